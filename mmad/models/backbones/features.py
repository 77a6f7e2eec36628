"""Padded sequences of features from the clips of windows of different length.

Shapes: N clips of all windows, F frames of a clip, V windows of the batch (B once they are padded),
T steps, C channels.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmad.models.backbones.contract import Backbone
from mmad.models.backbones.kept_tokens import KeptTokens


def normalise_windows(
    clips_NFHWC: Tensor, colours_V34: Tensor, clips_per_window: Sequence[int]
) -> Tensor:
    """Clips as input of a network, (N, 3, F, H, W), with the colours of each window normalised.

    Args:
        clips_NFHWC: uint8 frames; the clips of a window are consecutive.
        colours_V34: Affine colour map of each window.
        clips_per_window: Number of clips of each window.
    """
    device = clips_NFHWC.device.type
    # The first layer would cast to these anyway, with more memory.
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else torch.float32
    num_clips, frames, height, width, _ = clips_NFHWC.shape
    images = clips_NFHWC.new_empty((num_clips, 3, frames, height, width), dtype=dtype)
    counts = torch.tensor(clips_per_window)
    windows = torch.arange(len(counts)).repeat_interleave(counts).tolist()
    with torch.autocast(device, enabled=False):
        for image_CFHW, clip_FHWC, window in zip(images, clips_NFHWC, windows, strict=True):
            planes_CFHW = clip_FHWC.permute(3, 0, 1, 2).contiguous().float()
            image_CFHW.copy_(_with_colours(planes_CFHW, colours_V34[window]))
    return images


def _with_colours(planes_CFHW: Tensor, colour_34: Tensor) -> Tensor:
    """Colours through an affine map, same shape."""
    if planes_CFHW.device.type != "cpu":
        rows = torch.addmm(colour_34[:, 3:], colour_34[:, :3], planes_CFHW.flatten(1))
        return rows.view_as(planes_CFHW)
    # Products with such small matrices take processors three times as long as sums of planes.
    mapped_CFHW = torch.empty_like(planes_CFHW)
    for plane, (red, green, blue, offset) in zip(mapped_CFHW, colour_34.tolist(), strict=True):
        torch.mul(planes_CFHW[0], red, out=plane)
        plane.add_(planes_CFHW[1], alpha=green).add_(planes_CFHW[2], alpha=blue).add_(offset)
    return mapped_CFHW


def chosen_tokens(backbone: Backbone, clips_NFHWC: Tensor) -> dict[str, KeptTokens]:
    """The argument of ``backbone`` for the tokens of uint8 clips that it computes; none if all."""
    kept_NTS = backbone.choose(clips_NFHWC)
    return {} if kept_NTS is None else {"kept": KeptTokens.of(kept_NTS)}


def interpolate_steps(features_BCT: Tensor, *, factor: float) -> Tensor:
    """The sequence with ``factor`` times as many steps, by linear interpolation."""
    if factor == 1:
        return features_BCT
    steps = features_BCT.shape[2]  # a tensor while the network is traced
    size = steps * int(factor) if factor == int(factor) else round(int(steps) * factor)
    return functional.interpolate(features_BCT, size=size, mode="linear")


class VideoFeatures(nn.Module):
    """Features of windows of different length: colours, backbone, interpolation, padding.

    Args:
        backbone: Video network.
        upsampling: Feature steps for each step of the backbone: 2 interpolates to twice as many,
            0.5 averages two.
        mask_padding: Set features beyond a window's end to zero; the reference implementations do
            not.
    """

    def __init__(self, backbone: Backbone, *, upsampling: float, mask_padding: bool) -> None:
        super().__init__()
        self.backbone = backbone
        self.upsampling = upsampling
        self.mask_padding = mask_padding

    def forward(
        self,
        clips_NFHWC: Tensor,
        colours_V34: Tensor,
        clips_per_window: Sequence[int],
        frames_per_window: Sequence[int],
    ) -> tuple[Tensor, Tensor]:
        """Features (B, C, T) and the mask of the steps that exist (B, T).

        Args:
            clips_NFHWC, colours_V34, clips_per_window: As `normalise_windows`.
            frames_per_window: Number of frames that exist; what follows is padding.
        """
        images = normalise_windows(clips_NFHWC, colours_V34, clips_per_window)
        counts = torch.tensor(list(clips_per_window), device=images.device)
        video_of_clip_N = torch.arange(len(counts), device=images.device).repeat_interleave(counts)
        chosen = chosen_tokens(self.backbone, clips_NFHWC)
        tokens = self.backbone(images, video_of_clip_N, **chosen)
        steps_LC = self.backbone.pool_steps(tokens).flatten(0, 1)

        per_clip = self.backbone.spec.steps_per_clip
        sequences = []
        for part_TC in steps_LC.split([count * per_clip for count in clips_per_window]):
            sequences.append(interpolate_steps(part_TC.t()[None], factor=self.upsampling)[0])
        length = max(part.shape[1] for part in sequences)
        features_BCT = torch.stack(
            [functional.pad(part, (0, length - part.shape[1])) for part in sequences]
        )
        steps = [self.num_steps(frames) for frames in frames_per_window]
        valid = torch.tensor(steps, device=features_BCT.device)
        mask_BT = torch.arange(length, device=valid.device)[None] < valid[:, None]
        if self.mask_padding:
            features_BCT = features_BCT * mask_BT[:, None]
        return features_BCT.float(), mask_BT

    def num_steps(self, num_frames: int) -> int:
        """Feature steps of ``num_frames`` frames; a partly filled step counts."""
        return math.ceil(num_frames * self.upsampling / self.backbone.spec.frames_per_step)


class VideoBackbones(nn.Module):
    """The backbones of a recogniser, under the attribute name of `VideoFeatures`, so that weights
    can be exchanged.

    Args:
        backbone: Network for images.
        flow_backbone: Network for optical flow, if separate.
    """

    def __init__(self, backbone: Backbone, flow_backbone: Backbone | None = None) -> None:
        super().__init__()
        self.backbone = backbone
        self.flow_backbone = flow_backbone


# Prefix of the names of backbone weights inside a detector or recogniser.
BACKBONE_PREFIX = "features.backbone."
