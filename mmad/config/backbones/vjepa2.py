"""Settings of V-JEPA 2."""

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Discriminator, Field, Tag

from mmad.config.backbones.vit import CustomSize, ViTSettings, kind_of_size

TUBELET_FRAMES = 2
# A head has two channels at least for each of time, row and column.
_LEAST_HEAD = 6

VJEPA2Size = Annotated[
    Annotated[Literal["large", "huge", "giant"], Tag("published")]
    | Annotated[CustomSize, Tag("dimensions")],
    Discriminator(kind_of_size),
]


class VJEPA2Settings(ViTSettings):
    """The encoder of V-JEPA 2, which has rotary positions: clips and images may have any size."""

    title: ClassVar[str] = "V-JEPA 2"
    sizes: ClassVar[Mapping[str, CustomSize]] = {
        "large": CustomSize(width=1024, depth=24, num_heads=16),
        "huge": CustomSize(width=1280, depth=32, num_heads=16),
        "giant": CustomSize(width=1408, depth=40, num_heads=22, mlp_ratio=48 / 11),
    }

    name: Literal["vjepa2"] = "vjepa2"
    size: VJEPA2Size = Field("large", description="published size, or custom dimensions")

    @property
    def frames_per_step(self) -> int:
        """Frames of a tubelet."""
        return TUBELET_FRAMES

    def problems(self) -> Iterator[str]:
        """As in `Settings`."""
        yield from super().problems()
        size = self.dimensions
        head = size.width // size.num_heads
        if head < _LEAST_HEAD or head % 2:
            yield (
                f"size: {size.num_heads} heads of {head} channels; rotary positions need an even "
                f"number of at least {_LEAST_HEAD}"
            )
