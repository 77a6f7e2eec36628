"""Stacks of optical flow as the input of 2D networks on frames.

Source: TSN (arXiv 1608.00859); the order of the channels is that of its code.
"""

from einops import rearrange
from torch import Tensor

_FIRST = "stem.conv.weight"
_RGB = 3


def num_channels(flow_stack: int | None) -> int:
    """Channels of a frame: x and y of each image of a stack, or RGB without one."""
    return _RGB if flow_stack is None else 2 * flow_stack


def frames_of_clips(images_NCFHW: Tensor, flow_stack: int | None) -> Tensor:
    """The frames of all clips as 2D networks take them, (N x F, channels, H, W).

    Args:
        images_NCFHW: RGB images, (N, 3, F, H, W), or the images of consecutive stacks,
            (N, 3, F x S, H, W), of which the third channel is not read.
        flow_stack: S, images of a stack; None for RGB.
    """
    if flow_stack is None:
        return rearrange(images_NCFHW, "n c f h w -> (n f) c h w")
    return rearrange(images_NCFHW[:, :2], "n c (f s) h w -> (n f) (s c) h w", s=flow_stack)


def fit_first_kernels(tensors: dict[str, Tensor], flow_stack: int | None) -> dict[str, str]:
    """Make kernels for RGB those for stacks, in place; what was done, by name.

    Their mean over the colours is repeated for every channel (cross-modality pre-training).
    """
    kernels = tensors.get(_FIRST)
    if flow_stack is None or kernels is None or kernels.shape[1] != _RGB:
        return {}
    channels = num_channels(flow_stack)
    tensors[_FIRST] = kernels.mean(dim=1, keepdim=True).repeat(1, channels, 1, 1)
    return {_FIRST: f"mean of RGB, repeated for {channels} channels of optical flow"}
