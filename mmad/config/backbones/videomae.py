"""Settings of VideoMAE."""

from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Discriminator, Field, Tag

from mmad.config.backbones.adapters import AdapterSettings, NoAdapter
from mmad.config.backbones.family import BackboneFamilySettings
from mmad.config.base import Settings


class CustomSize(Settings):
    """Dimensions of a custom VideoMAE."""

    width: int = Field(ge=8, description="channels of a token")
    depth: int = Field(ge=1, description="number of blocks")
    num_heads: int = Field(ge=1, description="attention heads")
    patch: int = Field(16, ge=2, description="side of a patch in pixels")
    mlp_ratio: float = Field(4.0, gt=0, description="hidden width of the MLP / width")

    def problems(self) -> Iterator[str]:
        """As in `Settings`."""
        yield from super().problems()
        if self.width % self.num_heads:
            yield f"width {self.width} is not a multiple of num_heads {self.num_heads}"


TUBELET_FRAMES = 2
SIZES: Mapping[str, CustomSize] = {
    "small": CustomSize(width=384, depth=12, num_heads=6),
    "base": CustomSize(width=768, depth=12, num_heads=12),
    "large": CustomSize(width=1024, depth=24, num_heads=16),
    "huge": CustomSize(width=1280, depth=32, num_heads=16),
    "giant": CustomSize(width=1408, depth=40, num_heads=16, patch=14, mlp_ratio=48 / 11),
}


def _kind_of_size(value: Any) -> str:
    return "dimensions" if isinstance(value, dict | CustomSize) else "published"


BackboneSize = Annotated[
    Annotated[Literal["small", "base", "large", "huge", "giant"], Tag("published")]
    | Annotated[CustomSize, Tag("dimensions")],
    Discriminator(_kind_of_size),
]


class VideoMAESettings(BackboneFamilySettings):
    """VideoMAE, with an adapter behind each of its blocks."""

    takes_adapters: ClassVar[bool] = True

    name: Literal["videomae"] = "videomae"
    size: BackboneSize = Field(description="published size, or custom dimensions")
    adapter: AdapterSettings = Field(NoAdapter(), description="adapter after the blocks")
    position_image_size: int = Field(
        224, ge=16, description="image size in pixels that the position table was made for"
    )
    learned_positions: bool = Field(
        False, description="the position table is part of the weights, not fixed sinusoids"
    )
    drop_path: float = Field(0.1, ge=0, lt=1, description="rate at the last block")
    final_norm: bool | Literal["pooled", "auto"] = Field(
        False,
        description=(
            "layer norm after the last block: true for each token (self-supervised weights), "
            "pooled for the pooled vector (fine-tuned weights), auto for what the weights have"
        ),
    )
    activation_checkpointing: bool = Field(
        False, description="recompute activations: less memory, about a third more time"
    )

    @property
    def dimensions(self) -> CustomSize:
        """Dimensions of the size."""
        return self.size if isinstance(self.size, CustomSize) else SIZES[self.size]

    @property
    def frames_per_step(self) -> int:
        """Frames of a tubelet."""
        return TUBELET_FRAMES

    @property
    def side_multiple(self) -> int:
        """Side of a patch."""
        return self.dimensions.patch

    @property
    def depends_on_weights(self) -> bool:
        """As in `BackboneFamilySettings`."""
        return self.final_norm == "auto"

    @property
    def norms_vectors(self) -> bool:
        """As in `BackboneFamilySettings`."""
        return bool(self.final_norm)

    def settled(self, names: Collection[str] | None) -> Self:
        """As in `BackboneFamilySettings`."""
        found: bool | str = True
        if names is not None and "norm.weight" not in names:
            found = "pooled" if "fc_norm.weight" in names else False
        return self.model_copy(update={"final_norm": found})

    def settled_as(self, other: BackboneFamilySettings) -> Self:
        """As in `BackboneFamilySettings`."""
        assert isinstance(other, VideoMAESettings)
        return self.model_copy(update={"final_norm": other.final_norm})

    def problems_of_streams(self) -> Iterator[str]:
        """As in `BackboneFamilySettings`."""
        if self.final_norm == "pooled":
            yield (
                "backbone.final_norm pooled is for one stream; with data.flow set it to true or "
                "false"
            )

    def tiny(self) -> tuple[Self, int]:
        """Two blocks of 48 channels; images of four patches."""
        patch = self.side_multiple
        update: dict[str, Any] = {
            "size": CustomSize(width=48, depth=2, num_heads=4, patch=patch),
            "pretrained": None,
        }
        if self.adapter.name != "none":
            update["adapter"] = self.adapter.model_copy(update={"blocks": "all"})
        return self.model_copy(update=update), 4 * patch

    def summary(self) -> list[str]:
        """As in `BackboneFamilySettings`."""
        size = self.size
        named = size if isinstance(size, str) else f"of width {size.width}, depth {size.depth}"
        return [f"VideoMAE {named}", f"adapter {self.adapter.name}"]
