"""Settings of I3D, the inflated ResNet."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag

from mmad.config.backbones.family import BackboneFamilySettings
from mmad.config.backbones.resnet import (
    BLOCKS,
    SIDE_STRIDE,
    Depth,
    flags_of_blocks,
    has_bottlenecks,
    problems_of_flags,
)


def _kind_of_flags(value: Any) -> str:
    return "named" if isinstance(value, str) else "flags"


Inflate = Annotated[
    Annotated[Literal["alternate", "all", "none"], Tag("named")]
    | Annotated[list[bool | list[bool]], Tag("flags")],
    Discriminator(_kind_of_flags),
]


class I3DSettings(BackboneFamilySettings):
    """I3D: a ResNet whose convolutions are inflated over time."""

    name: Literal["i3d"] = "i3d"
    depth: Depth = Field(50, description="layers of the ResNet")
    base_channels: int = Field(
        64, ge=1, description="channels of the stem; each stage has twice those of the one before"
    )
    inflate: Inflate = Field(
        "alternate",
        description=(
            "which blocks span three steps. alternate: all of the first stage, then every "
            "other one, as published; all; none; or a flag for each stage, or for each of its "
            "blocks"
        ),
    )
    inflate_style: Literal["3x1x1", "3x3x3"] = Field(
        "3x1x1",
        description="which convolution of a bottleneck is temporal: the first, or the middle one",
    )
    stem_kernel: tuple[int, int, int] = Field(
        (5, 7, 7), description="first convolution: frames, height and width, odd numbers"
    )
    stem_stride: int = Field(2, ge=1, description="first convolution: temporal stride in frames")
    pool_stride: int = Field(2, ge=1, description="first pooling: temporal stride in steps")
    pools_after_first_stage: bool = Field(
        True, description="temporal max pooling of every two steps after the first stage"
    )
    keep_statistics: bool = Field(
        False,
        description=(
            "batch norms keep their stored statistics while the network is fine-tuned; frozen ones "
            "always do"
        ),
    )
    clip_frames: int = Field(32, ge=1, description="frames of a clip")

    @property
    def frames_per_step(self) -> int:
        """As in `BackboneFamilySettings`."""
        return self.stem_stride * self.pool_stride * (2 if self.pools_after_first_stage else 1)

    @property
    def side_multiple(self) -> int:
        """As in `BackboneFamilySettings`."""
        return SIDE_STRIDE

    @property
    def bottleneck(self) -> bool:
        """Whether a block has three convolutions instead of two."""
        return has_bottlenecks(self.depth)

    @property
    def inflated(self) -> tuple[tuple[bool, ...], ...]:
        """For each block of each stage, whether it is temporal."""
        blocks = BLOCKS[self.depth]
        if self.inflate == "alternate":
            first, *middle, last = blocks
            return (
                (True,) * first,
                *(tuple(block % 2 == 0 for block in range(count)) for count in middle),
                tuple(block % 2 == 1 for block in range(last)),
            )
        if isinstance(self.inflate, str):
            return tuple((self.inflate == "all",) * count for count in blocks)
        return flags_of_blocks(self.inflate, self.depth)

    def tiny(self) -> tuple[Self, int]:
        """As in `BackboneFamilySettings`: few channels."""
        return self.model_copy(update={"base_channels": 4, "pretrained": None}), 2 * SIDE_STRIDE

    def summary(self) -> list[str]:
        """As in `BackboneFamilySettings`."""
        width = "" if self.base_channels == 64 else f", {self.base_channels} channels in the stem"
        return [f"I3D (ResNet-{self.depth}{width})"]

    def problems(self) -> Iterator[str]:
        """As in `Settings`."""
        yield from super().problems()
        if any(size < 1 or size % 2 == 0 for size in self.stem_kernel):
            yield f"stem_kernel: expected odd numbers, found {list(self.stem_kernel)}"
        yield from problems_of_flags("inflate", self.inflated, self.depth)
