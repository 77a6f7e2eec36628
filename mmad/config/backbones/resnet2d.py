"""Settings of 2D ResNets on frames: TSN, TSM, TIN, and MANet's backbone."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, Self

from pydantic import Field

from mmad.config.backbones.frames import FrameNetworkSettings
from mmad.config.backbones.resnet import BLOCKS, SIDE_STRIDE, STAGES, Depth, has_bottlenecks

# Channels of a block's input / channels that move one way (shift), or at all (interlace).
_DIVISORS: Mapping[str, int] = {"none": 1, "shift": 8, "interlace": 4}
# TIN moves four groups of channels, each by an offset of its own.
_GROUPS = 4
# With as many blocks in the third stage, TSM shifts in every second block only.
_BLOCKS_TO_ALTERNATE = 23
_TITLES: Mapping[str, str] = {"none": "TSN", "shift": "TSM", "interlace": "TIN"}


class ResNet2dSettings(FrameNetworkSettings):
    """A 2D ResNet on the frames of a clip, which may exchange channels between them."""

    name: Literal["resnet2d"] = "resnet2d"
    depth: Depth = Field(50, description="layers of the ResNet")
    base_channels: int = Field(
        64, ge=1, description="channels of the stem; each stage has twice those of the one before"
    )
    temporal: Literal["none", "shift", "interlace"] = Field(
        "none",
        description=(
            "what blocks see of other frames. none: nothing (TSN); shift: channels of the next and "
            "the previous frame (TSM; at depth 101 and 152 in every second block); interlace: "
            "channels moved by learned offsets (TIN)"
        ),
    )
    divisor: int | None = Field(
        None,
        ge=2,
        description=(
            "channels / channels that move: each way in shift (null: 8, as published), in all in "
            "interlace (null: 4)"
        ),
    )
    shift_place: Literal["branch", "block"] = Field(
        "branch", description="the shortcut sees what was there before the shift, or after it"
    )
    squeeze: int | None = Field(
        None,
        ge=1,
        description=(
            "gate of the channels of each frame before they move (MANet: 4): channels / width of "
            "its hidden layer; null for none"
        ),
    )
    convolves_exchanged: bool = Field(
        False,
        description=(
            "a 3x3 convolution and ReLU between the exchange and the block's own convolutions "
            "(MANet: true in Eq. 1, false as released)"
        ),
    )
    pools_after_first_stage: bool = Field(
        False, description="max-pool the frames to half as many steps after the first stage"
    )

    @property
    def frames_per_step(self) -> int:
        """As in `BackboneFamilySettings`."""
        return 2 if self.pools_after_first_stage else 1

    @property
    def stages(self) -> tuple[str, ...]:
        """As in `BackboneFamilySettings`: those with one map for a step."""
        return STAGES[1:] if self.pools_after_first_stage else STAGES

    @property
    def bottleneck(self) -> bool:
        """Whether a block has three convolutions, not two."""
        return has_bottlenecks(self.depth)

    @property
    def moving_divisor(self) -> int:
        """``divisor``, as published if it is not set."""
        return self.divisor or _DIVISORS[self.temporal]

    @property
    def exchanging(self) -> tuple[tuple[bool, ...], ...]:
        """For each block of each stage, whether a gate or an exchange precedes its branch."""
        exchanges = self.temporal != "none" or self.squeeze is not None
        blocks = BLOCKS[self.depth]
        alternates = (
            self.temporal == "shift"
            and self.shift_place == "branch"
            and blocks[2] >= _BLOCKS_TO_ALTERNATE
        )
        every = 2 if alternates else 1
        return tuple(
            tuple(exchanges and block % every == 0 for block in range(count)) for count in blocks
        )

    def tiny(self) -> tuple[Self, int]:
        """As in `BackboneFamilySettings`: the fewest channels that can move."""
        few = {"none": 4, "shift": self.moving_divisor, "interlace": _GROUPS * self.moving_divisor}
        channels = max(few[self.temporal], self.squeeze or 0)
        update: dict[str, Any] = {"base_channels": channels, "pretrained": None}
        return self.model_copy(update=update), 2 * SIDE_STRIDE

    def summary(self) -> list[str]:
        """As in `BackboneFamilySettings`."""
        width = "" if self.base_channels == 64 else f", {self.base_channels} channels in the stem"
        gated = "" if self.squeeze is None else " with gates"
        body = f"2D ResNet-{self.depth}{width}{self.flow_summary}"
        return [f"{_TITLES[self.temporal]}{gated} ({body})"]

    def problems(self) -> Iterator[str]:
        """As in `Settings`."""
        yield from super().problems()
        if self.temporal == "interlace":
            moving = self.base_channels // self.moving_divisor
            if not moving or moving % _GROUPS:
                yield (
                    f"temporal interlace moves four groups of channels; base_channels "
                    f"{self.base_channels} // divisor {self.moving_divisor} = {moving} is not a "
                    "multiple of 4"
                )
        if self.temporal == "shift" and self.base_channels < self.moving_divisor:
            yield (
                f"temporal shift moves none of base_channels {self.base_channels} with divisor "
                f"{self.moving_divisor}; set a smaller divisor, or more channels"
            )
        if self.squeeze is not None and self.squeeze > self.base_channels:
            yield (
                f"squeeze {self.squeeze} leaves no hidden channel of base_channels "
                f"{self.base_channels}"
            )
        if self.convolves_exchanged and not any(self.exchanging[0]):
            yield "convolves_exchanged needs temporal=shift or interlace, or squeeze"
        if self.temporal != "shift" and self.shift_place != "branch":
            yield f"shift_place {self.shift_place} needs temporal=shift, found {self.temporal}"
