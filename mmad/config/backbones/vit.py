"""What the settings of plain video transformers have in common: sizes, adapters, memory."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self

from pydantic import Field

from mmad.config.backbones.adapters import AdaptableSettings
from mmad.config.base import Settings

_LARGE = 5e8


class CustomSize(Settings):
    """Dimensions of a custom transformer."""

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


def kind_of_size(value: Any) -> str:
    """Tag of a size: ``published`` for a name, else ``dimensions``."""
    return "dimensions" if isinstance(value, dict | CustomSize) else "published"


class ViTSettings(AdaptableSettings):
    """A plain video transformer with an adapter behind each of its blocks.

    A family adds its ``size``, a published name or a `CustomSize`.
    """

    title: ClassVar[str]
    sizes: ClassVar[Mapping[str, CustomSize]]

    drop_path: float = Field(0.1, ge=0, lt=1, description="rate at the last block")
    activation_checkpointing: bool = Field(
        False, description="recompute activations: less memory, about a third more time"
    )

    @property
    def dimensions(self) -> CustomSize:
        """Dimensions of the size."""
        size = self.size  # type: ignore[attr-defined]
        return size if isinstance(size, CustomSize) else self.sizes[size]

    @property
    def is_large(self) -> bool:
        """As in `BackboneFamilySettings`: from half a billion parameters in the blocks."""
        size = self.dimensions
        return size.depth * size.width**2 * (4 + 2 * size.mlp_ratio) >= _LARGE

    @property
    def side_multiple(self) -> int:
        """Side of a patch."""
        return self.dimensions.patch

    def tiny(self) -> tuple[Self, int]:
        """Two blocks of 48 channels; images of four patches."""
        patch = self.side_multiple
        update: dict[str, Any] = {
            "size": CustomSize(width=48, depth=2, num_heads=4, patch=patch),
            "pretrained": None,
            "adapter": self.adapter_of_all_blocks,
        }
        return self.model_copy(update=update), 4 * patch

    def summary(self) -> list[str]:
        """As in `BackboneFamilySettings`."""
        size = self.size  # type: ignore[attr-defined]
        named = size if isinstance(size, str) else f"of width {size.width}, depth {size.depth}"
        return [f"{self.title} {named}", *super().summary()]
