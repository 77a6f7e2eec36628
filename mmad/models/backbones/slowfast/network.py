"""SlowFast: a 3D ResNet that sees few frames, and a narrow one that sees many and feeds the first.

Shapes: N clips, F frames of a clip, H W pixels; T steps of the slow path, h w cells of a feature
map, S = h x w, C channels.

Sources: arXiv 1812.03982, and mmaction2's ResNet3dSlowFast, whose strides, paddings, choice of
frames and initial values these are.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from einops import reduce
from torch import Tensor, nn
from torch.nn import functional

from mmad.models.backbones.contract import (
    Backbone,
    BackboneSpec,
    ClipTokens,
    tokens_of_map,
)
from mmad.models.backbones.inflation import inflate_kernels
from mmad.models.layers.residual3d import (
    ConvNorm,
    InflateStyle,
    channels_of,
    residual_stages,
    reversible_stage,
)
from mmad.models.layers.reversible import Activations

# Stem 2, first pooling 2, three stages 2 each.
_SIDE_STRIDE = 32


class Path(nn.Module):
    """One of the two ResNets, without strides in time.

    Args:
        base_channels: Channels of the stem, and width of the first stage; each stage doubles it.
        added: Channels that the other path adds to the input of each stage.
        stem_kernel: Kernel of the first convolution: steps, height, width.
        bottleneck, inflate_style, keep_statistics: See `ResidualBlock`.
        inflate: Whether a block reaches over three steps, for each block of each stage.
    """

    def __init__(
        self,
        *,
        base_channels: int,
        added: Sequence[int],
        stem_kernel: tuple[int, int, int],
        bottleneck: bool,
        inflate: Sequence[Sequence[bool]],
        inflate_style: InflateStyle,
        keep_statistics: bool,
    ) -> None:
        super().__init__()
        self.blocks_per_stage = [len(flags) for flags in inflate]
        self.stem = ConvNorm(
            3,
            base_channels,
            kernel=stem_kernel,
            stride=(1, 2, 2),
            keep_statistics=keep_statistics,
        )
        self.stages = residual_stages(
            base_channels,
            bottleneck=bottleneck,
            inflate=inflate,
            inflate_style=inflate_style,
            keep_statistics=keep_statistics,
            added=added,
        )

    def depth_of(self, stage: int, block: int) -> int:
        """1 for the first block of the first stage, then one more for each block."""
        return 1 + sum(self.blocks_per_stage[:stage]) + block


class Lateral(nn.Module):
    """From the steps of the fast path to channels for the slow one.

    Args:
        channels: Channels of the fast path.
        out_channels: Channels that it adds to the slow one.
        kernel, stride: Steps of the fast path that it reaches over, and that it moves on.
        norm: Batch norm and ReLU behind the convolution.
        keep_statistics: See `BatchNorm`.
    """

    def __init__(
        self,
        channels: int,
        out_channels: int,
        *,
        kernel: int,
        stride: int,
        norm: bool,
        keep_statistics: bool,
    ) -> None:
        super().__init__()
        made = ConvNorm(
            channels,
            out_channels,
            kernel=(kernel, 1, 1),
            stride=(stride, 1, 1),
            keep_statistics=keep_statistics,
        )
        self.conv = made.conv
        self.norm = made.norm if norm else None

    def forward(self, fast_NCThw: Tensor) -> Tensor:
        """Features (N, out_channels, T, h, w) at the steps of the slow path."""
        x = self.conv(fast_NCThw)
        return x if self.norm is None else functional.relu(self.norm(x), inplace=True)


class Maps(NamedTuple):
    """Feature maps (N, C, T, h, w) of both paths."""

    slow: Tensor
    fast: Tensor


class SlowFast(Backbone):
    """Both paths without the classifier; a token is [fast, slow] of a step of the slow path.

    Args:
        clip_frames: Frames of a clip.
        slow: The slow path.
        fast: The fast path.
        laterals: Before each stage, the connection from the fast to the slow path.
        channels: Channels of the maps of both paths together.
        slow_stride: The slow path sees the first of so many frames.
        fast_stride: The fast path sees the first of so many frames.
        reversible: The blocks of a stage are coupled as in `reversible_stage`.
        activations: For the backward pass of a reversible network: see `Activations`.
    """

    def __init__(
        self,
        *,
        clip_frames: int,
        slow: Path,
        fast: Path,
        laterals: Sequence[Lateral],
        channels: int,
        slow_stride: int,
        fast_stride: int,
        reversible: bool,
        activations: Activations,
    ) -> None:
        super().__init__(
            BackboneSpec(
                channels=channels,
                clip_frames=clip_frames,
                frames_per_step=slow_stride,
                side_multiple=_SIDE_STRIDE,
            )
        )
        self.slow, self.fast = slow, fast
        self.laterals = nn.ModuleList(laterals)
        self.slow_stride, self.fast_stride = slow_stride, fast_stride
        self.reversible, self.activations = reversible, activations

    def forward(
        self, images_NCFHW: Tensor, video_of_clip_N: Tensor, *, stop_before: int | None = None
    ) -> ClipTokens:
        """As in `Backbone`; there is no block to stop before."""
        assert stop_before is None
        self.require_fitting(images_NCFHW)
        *_, maps = self.maps(images_NCFHW)
        return tokens_of_maps(maps)

    def maps(self, images_NCFHW: Tensor) -> Iterator[Maps]:
        """The feature maps behind the stems, their pooling, and each stage.

        Takes images of any size; a partial cell at the border counts as a whole one.
        """
        slow = images_NCFHW[:, :, :: self.slow_stride]
        fast = images_NCFHW[:, :, :: self.fast_stride]
        slow = functional.relu(self.slow.stem(slow), inplace=True)
        fast = functional.relu(self.fast.stem(fast), inplace=True)
        yield Maps(slow, fast)
        slow, fast = _pooled(slow), _pooled(fast)
        yield Maps(slow, fast)
        for lateral, slow_stage, fast_stage in zip(
            self.laterals, self.slow.stages, self.fast.stages, strict=True
        ):
            slow = self._stage(slow_stage, torch.cat((slow, lateral(fast)), dim=1))
            fast = self._stage(fast_stage, fast)
            yield Maps(slow, fast)

    def _stage(self, stage: nn.Module, x_NCThw: Tensor) -> Tensor:
        if not self.reversible:
            return stage(x_NCThw)
        return reversible_stage(stage.children(), x_NCThw, activations=self.activations)

    def depth_of(self, name: str) -> int:
        """As in `Backbone`; stages of the fast path are as deep as those of the slow one."""
        part, *place = name.split(".")
        if part == "laterals":
            return self.slow.depth_of(int(place[0]), 0) - 1
        if place[0] == "stem":
            return 0
        stage, block = int(place[1]), int(place[2])
        return self.slow.depth_of(stage, min(block, self.slow.blocks_per_stage[stage] - 1))

    def fit_weights(self, tensors: dict[str, Tensor], *, source: str) -> dict[str, str]:
        """As in `Backbone`: a 2D ResNet is inflated for the slow path.

        The channels that the connections add get weights of zero, and the connections and the
        fast path, of which a 2D network has nothing, stay as they are.
        """
        own = self.state_dict()
        if any(name.startswith("fast.") for name in tensors):
            return inflate_kernels(tensors, own)
        for name, kernel in tensors.items():
            more = own[name].shape[1] - kernel.shape[1] if name in own and kernel.ndim == 4 else 0
            if more > 0:
                tensors[name] = functional.pad(kernel, (0, 0, 0, 0, 0, more))
        done = inflate_kernels(tensors, own)
        for name in own:
            if name.startswith(("fast.", "laterals.")):
                tensors[name] = own[name].clone()
                done[name] = "left as it was; a 2D network has no such tensor"
        return done


def channels_of_paths(
    base_channels: int, *, channel_ratio: int, bottleneck: bool, num_stages: int
) -> tuple[list[int], int]:
    """Channels of the fast path before each stage, and of both paths behind the last.

    >>> channels_of_paths(64, channel_ratio=8, bottleneck=True, num_stages=4)
    ([8, 32, 64, 128], 2304)
    """
    slow = [base_channels * 2**stage for stage in range(num_stages)]
    behind = [channels_of(width, bottleneck=bottleneck) for width in slow]
    fast = [channels // channel_ratio for channels in (base_channels, *behind)]
    return fast[:-1], behind[-1] + fast[-1]


def tokens_of_maps(maps: Maps) -> ClipTokens:
    """The cells of both maps as tokens [fast, slow], the fast one averaged over a slow step."""
    steps = maps.slow.shape[2]
    fast = reduce(maps.fast, "n c (t frames) h w -> n c t h w", "mean", t=steps)
    return tokens_of_map(torch.cat((fast, maps.slow), dim=1))


def _pooled(map_NCThw: Tensor) -> Tensor:
    return functional.max_pool3d(map_NCThw, (1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1))
