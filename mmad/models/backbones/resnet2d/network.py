"""2D ResNet on the frames of a clip: TSN, and with an exchange of channels TSM and TIN.

Shapes: N clips, F frames of a clip, H W pixels; M = N x F frames of all clips; T steps, h w cells
of the feature map, C channels.

Sources: TSN (arXiv 1608.00859), TSM (arXiv 1811.08383), TIN (arXiv 2001.06499); strides, paddings
and initial values are those of mmaction2's ResNet, ResNetTSM and ResNetTIN.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice

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
from mmad.models.layers.residual2d import ConvNorm2d, residual_stage2d
from mmad.models.layers.residual3d import channels_of

# Stem 2, first pooling 2, three stages 2 each.
_SIDE_STRIDE = 32


class ResNet2d(Backbone):
    """2D ResNet without its classifier, on every frame of a clip.

    Args:
        clip_frames: Frames of a clip.
        stages: Names of the last stages, those with a map for each step.
        base_channels: Channels of the stem, and width of the first stage; each stage doubles it.
        bottleneck: Whether blocks are bottlenecks; see `ResidualBlock2d`.
        exchanging: Whether an exchange precedes the branch, for each block of each of the four
            stages.
        exchange: Builds it, for the channels of a block and ``num_frames``.
        exchange_shortcut: See `ResidualBlock2d`.
        pools_after_first_stage: Max-pool the frames to half as many steps after the first stage.
        keep_statistics: See `BatchNorm2d`.
        flow_stack: Consecutive images of optical flow whose x and y are the channels of a frame;
            None for RGB.
    """

    def __init__(
        self,
        *,
        clip_frames: int,
        stages: Sequence[str],
        base_channels: int,
        bottleneck: bool,
        exchanging: Sequence[Sequence[bool]],
        exchange: Callable[..., nn.Module],
        exchange_shortcut: bool,
        pools_after_first_stage: bool,
        keep_statistics: bool,
        flow_stack: int | None,
    ) -> None:
        widths = [base_channels * 2**stage for stage in range(len(exchanging))]
        outputs = [channels_of(width, bottleneck=bottleneck) for width in widths]
        places = range(len(widths))[-len(stages) :]
        super().__init__(
            BackboneSpec(
                channels=outputs[-1],
                clip_frames=clip_frames,
                frames_per_step=2 if pools_after_first_stage else 1,
                side_multiple=_SIDE_STRIDE,
                images_per_frame=flow_stack or 1,
                stages={
                    name: StageSpec(outputs[place], _SIDE_STRIDE >> (len(widths) - 1 - place))
                    for name, place in zip(stages, places, strict=True)
                },
            )
        )
        self.blocks_per_stage = [len(flags) for flags in exchanging]
        self.pools_after_first_stage = pools_after_first_stage
        self.flow_stack = flow_stack
        self.stem = ConvNorm2d(
            num_channels(flow_stack),
            base_channels,
            side=7,
            stride=2,
            keep_statistics=keep_statistics,
        )
        self.stages = nn.ModuleList()
        channels = base_channels
        for stage, (width, flags) in enumerate(zip(widths, exchanging, strict=True)):
            frames = clip_frames // 2 if pools_after_first_stage and stage else clip_frames
            build = partial(exchange, num_frames=frames)
            self.stages.append(
                residual_stage2d(
                    channels,
                    width,
                    bottleneck=bottleneck,
                    stride=1 if stage == 0 else 2,
                    exchanges=[build if flag else None for flag in flags],
                    exchange_shortcut=exchange_shortcut,
                    keep_statistics=keep_statistics,
                )
            )
            channels = outputs[stage]

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
        maps = self.maps(frames_of_clips(images_NCFHW, self.flow_stack))
        unnamed = 2 + len(self.stages) - len(self.spec.stages)
        kept = {}
        for name, map_MChw in zip(self.spec.stages, islice(maps, unnamed, None), strict=True):
            if name in stages:
                kept[name] = map_MChw.unflatten(0, (-1, self.spec.steps_per_clip))
        last_NCThw = rearrange(map_MChw, "(n t) c h w -> n c t h w", t=self.spec.steps_per_clip)
        return replace(tokens_of_map(last_NCThw), stage_maps_NTChw=kept)

    def maps(self, images_MCHW: Tensor) -> Iterator[Tensor]:
        """The feature maps (M, C, h, w) of the stem, its pooling and the four stages.

        Takes images of any size; a partial cell at the border counts as a whole one. From the
        second stage on there are half as many if steps are pooled.
        """
        x = functional.relu(self.stem(images_MCHW), inplace=True)
        yield x
        x = functional.max_pool2d(x, 3, stride=2, padding=1)
        yield x
        for number, stage in enumerate(self.stages):
            if number == 1 and self.pools_after_first_stage:
                x = pool_steps(x, num_frames=self.spec.clip_frames)
            x = stage(x)
            yield x

    def depth_of(self, name: str) -> int:
        """As in `Backbone`."""
        part, *place = name.split(".")
        if part == "stem":
            return 0
        stage, block = int(place[0]), int(place[1])
        return 1 + sum(self.blocks_per_stage[:stage]) + block

    def fit_weights(self, tensors: dict[str, Tensor], *, source: str) -> dict[str, str]:
        """As in `Backbone`: what is learned between frames starts anew from a plain ResNet, and
        kernels for RGB become kernels for optical flow.
        """
        done: dict[str, str] = {}
        own = {name: value for name, value in self.state_dict().items() if ".exchange." in name}
        if not own.keys() & tensors.keys():
            tensors.update(own)
            done |= dict.fromkeys(own, "left at its start: the file is of a plain ResNet")
        return done | fit_first_kernels(tensors, self.flow_stack)


def pool_steps(x_MCHW: Tensor, *, num_frames: int) -> Tensor:
    """Half as many frames: the largest values of each second frame and its neighbours."""
    x_NCTHW = rearrange(x_MCHW, "(n t) c h w -> n c t h w", t=num_frames)
    pooled = functional.max_pool3d(x_NCTHW, (3, 1, 1), stride=(2, 1, 1), padding=(1, 0, 0))
    return rearrange(pooled, "n c t h w -> (n t) c h w")
