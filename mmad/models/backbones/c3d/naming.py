"""Tensor names of C3D in other projects."""

from collections.abc import Sequence

from mmad.models.backbones.naming import WeightNaming
from mmad.models.backbones.resnet_naming import COUNTS

# conv1a, conv2a, conv3a, conv3b and so on.
_CONVOLUTIONS = tuple(
    (rf"^conv{stage + 1}{letter}\.", f"stages.{stage}.{number}.")
    for stage in range(5)
    for number, letter in enumerate("ab")
)

NAMINGS: Sequence[WeightNaming] = (
    WeightNaming("our own", mark=r"^stages\.0\.0\.conv\.weight$"),
    WeightNaming(
        "mmaction",
        mark=r"^conv1a\.conv\.weight$",
        rules=(
            (r"^(.*)\.num_batches_tracked$", rf"{COUNTS}\1"),
            *_CONVOLUTIONS,
            (r"\.bn\.", ".norm."),
        ),
    ),
)

OPTIONAL = (COUNTS,)
