"""Settings of SlowFast."""

from collections.abc import Iterator
from typing import Literal, Self

from pydantic import Field

from mmad.config.backbones.adapters import OddKernel
from mmad.config.backbones.resnet import (
    SIDE_STRIDE,
    Depth,
    flags_of_blocks,
    has_bottlenecks,
    problems_of_flags,
)
from mmad.config.backbones.reversible import ReversibleSettings

Flags = list[bool | list[bool]]


class SlowFastSettings(ReversibleSettings):
    """SlowFast: a ResNet on few frames, and a narrow one on many that feeds it."""

    name: Literal["slowfast"] = "slowfast"
    depth: Depth = Field(50, description="layers of the slow ResNet")
    fast_depth: Depth | None = Field(
        None, description="layers of the fast ResNet; null: as many as the slow one has"
    )
    base_channels: int = Field(
        64,
        ge=1,
        description="channels of the slow stem; each stage has twice those of the one before",
    )
    channel_ratio: int = Field(8, ge=1, description="channels of the slow path / those of the fast")
    slow_stride: int = Field(
        8, ge=1, description="temporal stride of the slow path in frames; it sees the first of them"
    )
    speed_ratio: int = Field(8, ge=1, description="steps of the fast path / those of the slow one")
    lateral_kernel: OddKernel = Field(
        5, description="temporal kernel of the lateral connections, in steps of the fast path"
    )
    lateral_ratio: int = Field(
        2, ge=1, description="channels that a lateral connection adds / those of the fast path"
    )
    lateral_norm: bool = Field(
        False, description="batch norm and ReLU after each lateral connection"
    )
    slow_stem_kernel: tuple[OddKernel, OddKernel, OddKernel] = Field(
        (1, 7, 7), description="first convolution of the slow path: steps, height, width"
    )
    fast_stem_kernel: tuple[OddKernel, OddKernel, OddKernel] = Field(
        (5, 7, 7), description="first convolution of the fast path: steps, height, width"
    )
    slow_inflate: Flags = Field(
        [False, False, True, True],
        description=(
            "which blocks of the slow path span three steps: a flag for each stage, or for each of "
            "its blocks"
        ),
    )
    fast_inflate: Flags = Field([True, True, True, True], description="the same of the fast path")
    inflate_style: Literal["3x1x1", "3x3x3"] = Field(
        "3x1x1",
        description="which convolution of a bottleneck is temporal: the first, or the middle one",
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
        return self.slow_stride

    @property
    def side_multiple(self) -> int:
        """As in `BackboneFamilySettings`."""
        return SIDE_STRIDE

    @property
    def depths(self) -> tuple[Depth, Depth]:
        """Layers of the slow and of the fast path."""
        return self.depth, self.depth if self.fast_depth is None else self.fast_depth

    @property
    def bottlenecks(self) -> tuple[bool, bool]:
        """Whether a block has three convolutions, not two: in the slow and in the fast path."""
        slow, fast = self.depths
        return has_bottlenecks(slow), has_bottlenecks(fast)

    @property
    def inflated(self) -> tuple[tuple[tuple[bool, ...], ...], tuple[tuple[bool, ...], ...]]:
        """For each block of each stage, whether it reaches over time, of the slow and fast path."""
        slow, fast = self.depths
        return flags_of_blocks(self.slow_inflate, slow), flags_of_blocks(self.fast_inflate, fast)

    def tiny(self) -> tuple[Self, int]:
        """As in `BackboneFamilySettings`: few channels, one of them fast, and four steps."""
        frames = min(self.clip_frames, 4 * self.slow_stride)
        few = {"base_channels": 4, "channel_ratio": 4, "clip_frames": frames, "pretrained": None}
        return self.model_copy(update=few), 2 * SIDE_STRIDE

    def summary(self) -> list[str]:
        """As in `BackboneFamilySettings`."""
        slow, fast = self.depths
        name = f"ResNet-{slow}" if slow == fast else f"ResNet-{slow}, fast path ResNet-{fast}"
        width = "" if self.base_channels == 64 else f", {self.base_channels} channels in the stem"
        kind = "reversible SlowFast" if self.reversible else "SlowFast"
        return [f"{kind} ({name}{width})"]

    def problems(self) -> Iterator[str]:
        """As in `Settings`."""
        yield from super().problems()
        slow, fast = self.depths
        slow_flags, fast_flags = self.inflated
        yield from problems_of_flags("slow_inflate", slow_flags, slow)
        yield from problems_of_flags("fast_inflate", fast_flags, fast)
        if self.base_channels % self.channel_ratio:
            yield (
                f"base_channels {self.base_channels} is not a multiple of channel_ratio "
                f"{self.channel_ratio}"
            )
        if self.slow_stride % self.speed_ratio:
            yield (
                f"slow_stride {self.slow_stride} is not a multiple of speed_ratio "
                f"{self.speed_ratio}"
            )
        if has_bottlenecks(slow) != has_bottlenecks(fast):
            yield (
                f"fast_depth {fast}: its blocks have other widths than those of depth {slow}; "
                "choose both below 50, or both from 50 on"
            )
