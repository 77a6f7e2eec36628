"""BN-Inception on the frames of a clip: TSN, and with a shift of channels between frames TSM.

Shapes: N clips, T frames of a clip, H W pixels; M = N x T frames of all clips, h w cells of a
feature map, C channels.

Sources: batch normalization (arXiv 1502.03167) as TSN's authors trained it with Caffe; widths,
poolings and the order of branches are those of Cadene/pretrained-models.pytorch
(pretrainedmodels/models/bninception.py), the places of the shifts those of
mit-han-lab/temporal-shift-module (archs/bn_inception.py, ``--shift_place=block``: its ``blockres``
adds what a unit gets to what it gives, which have different widths).
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from mmad.models.backbones.contract import (
    Backbone,
    BackboneSpec,
    ClipTokens,
    StageSpec,
    tokens_of_map,
)
from mmad.models.backbones.stacked_flow import (
    fit_first_kernels,
    frames_of_clips,
    num_channels,
)
from mmad.models.layers.batch_norm import BatchNorm2d
from mmad.models.layers.temporal_exchange import TemporalShift

# Stem 2, two poolings and two units 2 each.
_SIDE_STRIDE = 32
# Channels of the stem to which the widths below belong.
_STEM = 64
_SECOND = 192


@dataclass(frozen=True)
class UnitWidths:
    """Channels of the branches of a unit.

    Attributes:
        one: 1x1 convolution; 0 for a unit that halves height and width.
        three: 1x1 and 3x3 convolution.
        five: 1x1 and two 3x3 convolutions, both as wide; together they reach over 5x5.
        pool: 1x1 convolution after a pooling; 0 for a pooling alone, which passes all channels.
        pools_largest: The pooling takes the largest values, not means.
    """

    one: int
    three: tuple[int, int]
    five: tuple[int, int]
    pool: int
    pools_largest: bool = False

    @property
    def halves(self) -> bool:
        """Whether the unit halves height and width."""
        return not self.pool

    def outputs(self, inputs: int) -> int:
        """Channels of the output, for so many of the input."""
        return self.one + self.three[1] + self.five[1] + (self.pool or inputs)


UNITS = {
    "3a": UnitWidths(64, (64, 64), (64, 96), 32),
    "3b": UnitWidths(64, (64, 96), (64, 96), 64),
    "3c": UnitWidths(0, (128, 160), (64, 96), 0, pools_largest=True),
    "4a": UnitWidths(224, (64, 96), (96, 128), 128),
    "4b": UnitWidths(192, (96, 128), (96, 128), 128),
    "4c": UnitWidths(160, (128, 160), (128, 160), 128),
    "4d": UnitWidths(96, (128, 192), (160, 192), 128),
    "4e": UnitWidths(0, (128, 192), (192, 256), 0, pools_largest=True),
    "5a": UnitWidths(352, (192, 320), (160, 224), 128),
    "5b": UnitWidths(352, (192, 320), (192, 224), 128, pools_largest=True),
}
# Our choice: the last map of each size, which is halved next.
_STAGES = {"conv2": "second", "conv3": "3b", "conv4": "4d", "conv5": "5b"}


class Convolution(nn.Module):
    """Padded convolution with bias, as Caffe has it, batch norm and ReLU."""

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        side: int,
        stride: int = 1,
        keep_statistics: bool,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, side, stride=stride, padding=side // 2)
        self.norm = BatchNorm2d(channels, keep_statistics=keep_statistics)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")
        if self.conv.bias is not None:
            nn.init.zeros_(self.conv.bias)

    def forward(self, x_MCHW: Tensor) -> Tensor:
        """Features (M, channels, H / stride, W / stride), rounded up."""
        return functional.relu(self.norm(self.conv(x_MCHW)), inplace=True)


class Unit(nn.Module):
    """Four branches side by side; a unit that halves height and width has three.

    Args:
        in_channels: Channels of the input.
        widths: Channels of the branches.
        keep_statistics: See `BatchNorm2d`.
    """

    def __init__(self, in_channels: int, widths: UnitWidths, *, keep_statistics: bool) -> None:
        super().__init__()
        stride = 2 if widths.halves else 1
        self.halves, self.pools_largest = widths.halves, widths.pools_largest

        def convolution(inputs: int, outputs: int, *, side: int, stride: int = 1) -> Convolution:
            return Convolution(
                inputs, outputs, side=side, stride=stride, keep_statistics=keep_statistics
            )

        self.one = convolution(in_channels, widths.one, side=1) if widths.one else None
        narrow, wide = widths.three
        self.three = nn.Sequential(
            convolution(in_channels, narrow, side=1),
            convolution(narrow, wide, side=3, stride=stride),
        )
        narrow, wide = widths.five
        self.five = nn.Sequential(
            convolution(in_channels, narrow, side=1),
            convolution(narrow, wide, side=3),
            convolution(wide, wide, side=3, stride=stride),
        )
        self.pool = convolution(in_channels, widths.pool, side=1) if widths.pool else None

    def forward(self, x_MCHW: Tensor) -> Tensor:
        """Features of all branches, (M, C, h, w)."""
        if self.halves:
            pooled = _halved(x_MCHW)
        elif self.pools_largest:
            pooled = functional.max_pool2d(x_MCHW, 3, stride=1, padding=1)
        else:
            # A cell at the border counts the zeros around it.
            pooled = functional.avg_pool2d(x_MCHW, 3, stride=1, padding=1)
        branches = [
            *([] if self.one is None else [self.one(x_MCHW)]),
            self.three(x_MCHW),
            self.five(x_MCHW),
            pooled if self.pool is None else self.pool(pooled),
        ]
        return torch.cat(branches, dim=1)


class BNInception(Backbone):
    """BN-Inception without its classifier, on every frame of a clip.

    Args:
        clip_frames: Frames of a clip.
        base_channels: Channels of the stem; all widths are in proportion.
        divisor: The channels that enter a unit are shifted as by `TemporalShift`, but for the stem;
            None: not at all.
        keep_statistics: See `BatchNorm2d`.
        flow_stack: Consecutive images of optical flow whose x and y are the channels of a frame;
            None for RGB.
    """

    def __init__(
        self,
        *,
        clip_frames: int,
        base_channels: int,
        divisor: int | None,
        keep_statistics: bool,
        flow_stack: int | None,
    ) -> None:
        def scaled(width: int) -> int:
            return width * base_channels // _STEM

        inputs = {"second": base_channels}
        outputs = {"second": scaled(_SECOND)}
        channels = outputs["second"]
        widths = {}
        for name, full in UNITS.items():
            widths[name] = replace(
                full,
                one=scaled(full.one),
                three=(scaled(full.three[0]), scaled(full.three[1])),
                five=(scaled(full.five[0]), scaled(full.five[1])),
                pool=scaled(full.pool),
            )
            inputs[name] = channels
            channels = outputs[name] = widths[name].outputs(channels)
        super().__init__(
            BackboneSpec(
                channels=channels,
                clip_frames=clip_frames,
                frames_per_step=1,
                side_multiple=_SIDE_STRIDE,
                images_per_frame=flow_stack or 1,
                stages={
                    stage: StageSpec(outputs[name], _SIDE_STRIDE >> (len(_STAGES) - 1 - number))
                    for number, (stage, name) in enumerate(_STAGES.items())
                },
            )
        )
        self.flow_stack = flow_stack
        self.stem = Convolution(
            num_channels(flow_stack),
            base_channels,
            side=7,
            stride=2,
            keep_statistics=keep_statistics,
        )
        self.second = nn.Sequential(
            Convolution(base_channels, base_channels, side=1, keep_statistics=keep_statistics),
            Convolution(base_channels, outputs["second"], side=3, keep_statistics=keep_statistics),
        )
        self.units = nn.ModuleDict(
            {
                name: Unit(inputs[name], widths[name], keep_statistics=keep_statistics)
                for name in UNITS
            }
        )
        self.shifts = nn.ModuleDict()
        if divisor is not None:
            for name, count in inputs.items():
                self.shifts[name] = TemporalShift(count, num_frames=clip_frames, divisor=divisor)

    def forward(
        self, images_NCFHW: Tensor, video_of_clip_N: Tensor, *, stop_before: int | None = None
    ) -> ClipTokens:
        """As in `Backbone`; there is no block to stop before."""
        assert stop_before is None
        return self.forward_stages(images_NCFHW, video_of_clip_N, ())

    def forward_stages(
        self, images_NCFHW: Tensor, video_of_clip_N: Tensor, stages: Collection[str]
    ) -> ClipTokens:
        """As in `Backbone`."""
        self.require_fitting(images_NCFHW)
        asked = {_STAGES[stage]: stage for stage in stages}
        kept = {}
        for name, map_MChw in self.maps(frames_of_clips(images_NCFHW, self.flow_stack)):
            if name in asked:
                kept[asked[name]] = map_MChw.unflatten(0, (-1, self.spec.clip_frames))
        last_NCThw = rearrange(map_MChw, "(n t) c h w -> n c t h w", t=self.spec.clip_frames)
        return replace(tokens_of_map(last_NCThw), stage_maps_NTChw=kept)

    def maps(self, images_MCHW: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Name and feature map (M, C, h, w) of the stem, the second stage and the units.

        Takes images of any size; a partial cell at the border counts as a whole one.
        """
        x = self.stem(images_MCHW)
        yield "stem", x
        x = self.second(self._shifted("second", _halved(x)))
        yield "second", x
        x = _halved(x)
        for name, unit in self.units.items():
            x = unit(self._shifted(name, x))
            yield name, x

    def _shifted(self, name: str, x_MCHW: Tensor) -> Tensor:
        return self.shifts[name](x_MCHW) if name in self.shifts else x_MCHW

    def depth_of(self, name: str) -> int:
        """As in `Backbone`: the number of units before, of which the stem is the first."""
        part, *place = name.split(".")
        if part in ("stem", "second"):
            return ("stem", "second").index(part)
        return 2 + list(UNITS).index(place[0])

    def fit_weights(self, tensors: dict[str, Tensor], *, source: str) -> dict[str, str]:
        """As in `Backbone`: kernels for RGB become kernels for optical flow."""
        return fit_first_kernels(tensors, self.flow_stack)


def _halved(x_MCHW: Tensor) -> Tensor:
    """The largest values of 3x3 cells, at every second cell; Caffe's poolings begin at the border
    and have a last, partial window.
    """
    return functional.max_pool2d(x_MCHW, 3, stride=2, ceil_mode=True)
