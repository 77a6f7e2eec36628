"""Tensor names of C3D in other projects.

Sources: the state dicts of mmaction2 1.1 and DavideA/c3d-pytorch (C3D_model.py), whose weights are
those of Sports-1M.
"""

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
    WeightNaming(
        "Sports-1M",
        mark=r"^conv5b\.weight$",
        rules=(
            (r"^conv([12])\.", r"conv\1a."),
            *_CONVOLUTIONS,
            (r"^(stages\.\d\.\d)\.", r"\1.conv."),
        ),
    ),
)

# "fc8." is the classifier of Sports-1M.
OPTIONAL = (COUNTS, "fc8.")
