"""Settings of UniFormer."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag

from mmad.config.backbones.adapters import AdaptableSettings
from mmad.config.base import Settings

Count = Annotated[int, Field(ge=1)]
Four = tuple[Count, Count, Count, Count]
# Of stages with attention; the others have convolutions.
_WITH_ATTENTION = (2, 3)
_FRAMES_PER_STEP, _SIDE_STRIDE = 2, 32


class UniFormerDimensions(Settings):
    """Dimensions of a UniFormer of one's own."""

    widths: Four = Field(description="channels of the four stages")
    depths: Four = Field(description="blocks of the four stages")
    head_width: int = Field(64, ge=1, description="channels of an attention head")

    def problems(self) -> Iterator[str]:
        """As in `Settings`."""
        yield from super().problems()
        for stage in _WITH_ATTENTION:
            if self.widths[stage] % self.head_width:
                yield (
                    f"widths: {self.widths[stage]} of stage {stage} is not a multiple of "
                    f"head_width {self.head_width}"
                )


_WIDTHS = (64, 128, 320, 512)
SIZES: Mapping[str, UniFormerDimensions] = {
    "small": UniFormerDimensions(widths=_WIDTHS, depths=(3, 4, 8, 3)),
    "base": UniFormerDimensions(widths=_WIDTHS, depths=(5, 8, 20, 7)),
}


def _kind_of_size(value: Any) -> str:
    return "published" if isinstance(value, str) else "dimensions"


UniFormerSize = Annotated[
    Annotated[Literal["small", "base"], Tag("published")]
    | Annotated[UniFormerDimensions, Tag("dimensions")],
    Discriminator(_kind_of_size),
]


class UniFormerSettings(AdaptableSettings):
    """UniFormer: two stages of convolutional blocks and two of transformer blocks.

    Only the latter have adapters, and are counted for them.
    """

    name: Literal["uniformer"] = "uniformer"
    size: UniFormerSize = Field("small", description="published size, or dimensions of one's own")
    mlp_ratio: float = Field(4.0, gt=0, description="hidden width of the MLPs / channels")
    qkv_bias: bool = Field(True, description="queries, keys and values have a bias")
    drop_path: float = Field(0.1, ge=0, lt=1, description="rate at the last block")
    keep_statistics: bool = Field(
        False,
        description=(
            "batch norms keep their stored statistics while the network is fine-tuned; frozen ones "
            "always do"
        ),
    )
    clip_frames: int = Field(16, ge=1, description="frames of a clip")

    @property
    def dimensions(self) -> UniFormerDimensions:
        """Dimensions of the size."""
        return self.size if isinstance(self.size, UniFormerDimensions) else SIZES[self.size]

    @property
    def frames_per_step(self) -> int:
        """As in `BackboneFamilySettings`."""
        return _FRAMES_PER_STEP

    @property
    def side_multiple(self) -> int:
        """As in `BackboneFamilySettings`."""
        return _SIDE_STRIDE

    def tiny(self) -> tuple[Self, int]:
        """As in `BackboneFamilySettings`: a block of few channels in each stage."""
        size = UniFormerDimensions(widths=(4, 8, 8, 16), depths=(1, 1, 1, 1), head_width=4)
        update = {"size": size, "pretrained": None, "adapter": self.adapter_of_all_blocks}
        return self.model_copy(update=update), 2 * _SIDE_STRIDE

    def summary(self) -> list[str]:
        """As in `BackboneFamilySettings`."""
        size = self.size
        if isinstance(size, UniFormerDimensions):
            return [f"UniFormer of widths {'-'.join(map(str, size.widths))}", *super().summary()]
        return [f"UniFormer {size}", *super().summary()]
