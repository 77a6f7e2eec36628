"""Depths and blocks of ResNets, for the settings of every network made of one."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, repeat
from typing import Literal

Depth = Literal[18, 34, 50, 101, 152]

# Blocks of each of the four stages.
BLOCKS: Mapping[int, tuple[int, ...]] = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
# The stages of blocks, as in the tables of ResNets: conv1 is the stem.
STAGES = ("conv2", "conv3", "conv4", "conv5")
# Stem, first pooling and three stages halve height and width.
SIDE_STRIDE = 32
_FIRST_WITH_BOTTLENECKS = 50


def has_bottlenecks(depth: int) -> bool:
    """Whether a block has three convolutions, not two."""
    return depth >= _FIRST_WITH_BOTTLENECKS


def flags_of_blocks(
    flags: Sequence[bool | Sequence[bool]], depth: int
) -> tuple[tuple[bool, ...], ...]:
    """A flag for each block of each stage, from one for each stage or for each of its blocks.

    Stages that the network does not have are kept, for `problems_of_flags`.
    """
    return tuple(
        (flag,) * count if isinstance(flag, bool) else tuple(flag)
        for flag, count in zip(flags, chain(BLOCKS[depth], repeat(1)), strict=False)
    )


def problems_of_flags(name: str, flags: Sequence[Sequence[bool]], depth: int) -> Iterator[str]:
    """The problem of the setting ``name``, if its flags are not those of the blocks."""
    expected, found = BLOCKS[depth], tuple(len(stage) for stage in flags)
    if expected != found:
        yield (
            f"{name}: a ResNet-{depth} has stages of {', '.join(map(str, expected))} blocks, found "
            f"flags for {', '.join(map(str, found)) or 'none'}"
        )
