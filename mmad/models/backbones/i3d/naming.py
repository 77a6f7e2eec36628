"""Tensor names of inflated ResNets, and of the 2D ones they start from, in other projects."""

from collections.abc import Sequence

from mmad.models.backbones.naming import WeightNaming
from mmad.models.backbones.resnet_naming import (
    COUNTS,
    MMACTION,
    PYSLOWFAST,
    TORCHVISION,
    pytorchvideo_stages,
)

NAMINGS: Sequence[WeightNaming] = (
    WeightNaming("our own", mark=r"^stages\.0\.0\.conv1\.conv\.weight$"),
    WeightNaming("mmaction", mark=r"^layer1\.0\.conv1\.conv\.weight$", rules=MMACTION),
    WeightNaming("torchvision", mark=r"^layer1\.0\.conv1\.weight$", rules=TORCHVISION),
    WeightNaming(
        "PySlowFast",
        mark=r"^s1\.(pathway|s)0_stem\.conv\.weight$",
        rules=(*PYSLOWFAST, (r"^paths\.0\.", "")),
    ),
    WeightNaming(
        "PyTorchVideo",  # with a pooling after the first stage: I3D and C2D
        mark=r"^blocks\.5\.res_blocks\.0\.branch2\.conv_a\.weight$",
        rules=pytorchvideo_stages((1, 3, 4, 5)),
    ),
    WeightNaming(
        "PyTorchVideo",
        mark=r"^blocks\.4\.res_blocks\.0\.branch2\.conv_a\.weight$",
        rules=pytorchvideo_stages((1, 2, 3, 4)),
    ),
)

# The classifier of torchvision's and timm's files.
OPTIONAL = (COUNTS, "fc.")
