"""I3D, a ResNet whose convolutions are inflated to reach over time.

Shapes: N clips, F frames of a clip, H W pixels; T steps, h w cells of the feature map, S = h x w, C
channels.

Sources: arXiv 1705.07750 (inflation), arXiv 1711.07971 (as a ResNet), and mmaction2's ResNet3d,
whose strides, paddings and initial values these are.
"""

from collections.abc import Iterator, Sequence

from torch import Tensor
from torch.nn import functional

from mmad.models.backbones.contract import (
    Backbone,
    BackboneSpec,
    ClipTokens,
    tokens_of_map,
)
from mmad.models.backbones.inflation import inflate_kernels
from mmad.models.layers.residual3d import ConvNorm, InflateStyle, channels_of, residual_stages

# Stem 2, first pooling 2, three stages 2 each.
_SIDE_STRIDE = 32


class I3D(Backbone):
    """Inflated ResNet without its classifier.

    Args:
        clip_frames: Frames of a clip.
        base_channels: Channels of the stem, and width of the first stage; each stage doubles it.
        bottleneck: Whether blocks are bottlenecks; see `ResidualBlock`.
        inflate: Whether a block reaches over three steps, for each block of each of the four
            stages.
        inflate_style: See `ResidualBlock`.
        stem_kernel: Kernel of the first convolution: frames, height, width.
        stem_stride: Temporal stride of the first convolution.
        pool_stride: Temporal stride of the first pooling, which drops the steps between.
        pools_after_first_stage: Max-pool pairs of steps after the first stage.
        keep_statistics: See `BatchNorm`.
    """

    def __init__(
        self,
        *,
        clip_frames: int,
        base_channels: int,
        bottleneck: bool,
        inflate: Sequence[Sequence[bool]],
        inflate_style: InflateStyle,
        stem_kernel: tuple[int, int, int],
        stem_stride: int,
        pool_stride: int,
        pools_after_first_stage: bool,
        keep_statistics: bool,
    ) -> None:
        width = base_channels * 2 ** (len(inflate) - 1)
        super().__init__(
            BackboneSpec(
                channels=channels_of(width, bottleneck=bottleneck),
                clip_frames=clip_frames,
                frames_per_step=stem_stride * pool_stride * (2 if pools_after_first_stage else 1),
                side_multiple=_SIDE_STRIDE,
            )
        )
        self.blocks_per_stage = [len(flags) for flags in inflate]
        self.pool_stride = pool_stride
        self.pools_after_first_stage = pools_after_first_stage
        self.stem = ConvNorm(
            3,
            base_channels,
            kernel=stem_kernel,
            stride=(stem_stride, 2, 2),
            keep_statistics=keep_statistics,
        )
        self.stages = residual_stages(
            base_channels,
            bottleneck=bottleneck,
            inflate=inflate,
            inflate_style=inflate_style,
            keep_statistics=keep_statistics,
        )

    def forward(
        self, images_NCFHW: Tensor, video_of_clip_N: Tensor, *, stop_before: int | None = None
    ) -> ClipTokens:
        """As in `Backbone`; there is no block to stop before."""
        assert stop_before is None
        self.require_fitting(images_NCFHW)
        *_, map_NCThw = self.maps(images_NCFHW)
        return tokens_of_map(map_NCThw)

    def maps(self, images_NCFHW: Tensor) -> Iterator[Tensor]:
        """The feature maps (N, C, T, h, w) of the stem, its pooling, the first stage, its pooling
        if there is one, and the other stages.

        Takes images of any size; a partial cell at the border counts as a whole one.
        """
        x = functional.relu(self.stem(images_NCFHW), inplace=True)
        yield x
        x = functional.max_pool3d(x, (1, 3, 3), stride=(self.pool_stride, 2, 2), padding=(0, 1, 1))
        yield x
        for number, stage in enumerate(self.stages):
            x = stage(x)
            yield x
            if number == 0 and self.pools_after_first_stage:
                x = functional.max_pool3d(x, (2, 1, 1))
                yield x

    def depth_of(self, name: str) -> int:
        """As in `Backbone`."""
        part, *place = name.split(".")
        if part == "stem":
            return 0
        stage, block = int(place[0]), int(place[1])
        return 1 + sum(self.blocks_per_stage[:stage]) + block

    def fit_weights(self, tensors: dict[str, Tensor], *, source: str) -> dict[str, str]:
        """As in `Backbone`: kernels of a 2D ResNet are inflated."""
        return inflate_kernels(tensors, self.state_dict())
