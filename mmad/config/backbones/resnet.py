"""Depths of ResNets, for the settings of every network made of one."""

from collections.abc import Mapping
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
# Stem, first pooling and three stages halve height and width.
SIDE_STRIDE = 32
_FIRST_WITH_BOTTLENECKS = 50


def has_bottlenecks(depth: int) -> bool:
    """Whether a block has three convolutions, not two."""
    return depth >= _FIRST_WITH_BOTTLENECKS
