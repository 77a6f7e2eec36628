"""Settings of the backbone and its adapters."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from mmad.config.backbones.adapters import AdapterSettings, NoAdapter
from mmad.config.base import Settings


class CustomSize(Settings):
    """Dimensions of a VideoMAE of one's own."""

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


# Sides of patches in pixels, where a published size has others than 16.
_PATCHES = {"giant": 14}


def _kind_of_size(value: Any) -> str:
    return "dimensions" if isinstance(value, dict | CustomSize) else "published"


BackboneSize = Annotated[
    Annotated[Literal["small", "base", "large", "huge", "giant"], Tag("published")]
    | Annotated[CustomSize, Tag("dimensions")],
    Discriminator(_kind_of_size),
]


class BackboneSettings(Settings):
    """VideoMAE, its weights, and what of it is trained."""

    size: BackboneSize = Field(description="published size, or dimensions of one's own")
    pretrained: str | None = Field(
        None,
        description="weights: a file or folder of any naming, or a hub id; null starts at random",
    )
    pretrained_allow: list[str] = Field(
        [], description="tensors (patterns such as fc_norm.*) that may be missing or unexpected"
    )
    adapter: AdapterSettings = Field(NoAdapter(), description="what is put after the blocks")
    freeze: bool = Field(
        True, description="train adapters only; false fine-tunes the whole backbone"
    )
    clip_frames: int = Field(16, ge=2, multiple_of=2, description="frames of a clip")
    position_image_size: int = Field(
        224, ge=16, description="picture size in pixels that the position table was made for"
    )
    learned_positions: bool = Field(
        False, description="the position table is part of the weights, not fixed sinusoids"
    )
    drop_path: float = Field(0.1, ge=0, lt=1, description="rate at the last block")
    final_norm: bool | Literal["pooled", "auto"] = Field(
        False,
        description=(
            "layer norm after the last block: true of each token (self-supervised weights), pooled "
            "of the pooled vector (fine-tuned weights), auto: as the weights have it, false: none"
        ),
    )
    activation_checkpointing: bool = Field(
        False, description="less memory, about a third more time: recompute activations"
    )

    def cut_patches(self, image_size: int) -> Iterator[str]:
        """The problem of images of ``image_size`` pixels, if patches of them are cut."""
        patch = (
            self.size.patch if isinstance(self.size, CustomSize) else _PATCHES.get(self.size, 16)
        )
        if image_size % patch:
            yield (
                f"data.image_size {image_size} is not a multiple of the backbone's patches of "
                f"{patch} pixels"
            )
