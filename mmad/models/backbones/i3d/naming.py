"""Tensor names of inflated ResNets, and of the 2D ones they start from, in other projects."""

from collections.abc import Sequence

from mmad.models.backbones.naming import WeightNaming
from mmad.models.backbones.resnet_naming import COUNTS, MMACTION, TORCHVISION

NAMINGS: Sequence[WeightNaming] = (
    WeightNaming("our own", mark=r"^stages\.0\.0\.conv1\.conv\.weight$"),
    WeightNaming("mmaction", mark=r"^layer1\.0\.conv1\.conv\.weight$", rules=MMACTION),
    WeightNaming("torchvision", mark=r"^layer1\.0\.conv1\.weight$", rules=TORCHVISION),
)

# The classifier of torchvision's and timm's files.
OPTIONAL = (COUNTS, "fc.")
