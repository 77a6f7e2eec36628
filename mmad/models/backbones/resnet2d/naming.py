"""Tensor names of 2D ResNets in other projects."""

from collections.abc import Sequence

from mmad.models.backbones.naming import Rules, WeightNaming
from mmad.models.backbones.resnet_naming import COUNTS, MMACTION, TORCHVISION, TSN, TSN_MARK

_UNUSED = "unused."
_BRANCH: Rules = tuple(
    (rf"^(stages\.\d\.\d+)\.conv{number + 1}\.", rf"\1.branch.{number}.") for number in range(3)
)
_EXCHANGE: Rules = (
    # What pools steps holds the stage as `net`, what shifts a whole block holds the block.
    (r"^(stages\.\d)\.net\.", r"\1."),
    (r"^(stages\.\d\.\d+)\.net\.", r"\1."),
    # What shifts the branch holds its first convolution as `net`, what interlaces it as `net2`.
    (r"\.conv1\.conv\.net2?\.", ".conv1.conv."),
    (r"\.conv1\.conv\.net1\.offset_net\.conv\.", ".exchange.movement.offsets.conv."),
    (r"\.conv1\.conv\.net1\.offset_net\.fc1\.", ".exchange.movement.offsets.hidden."),
    (r"\.conv1\.conv\.net1\.offset_net\.fc2\.", ".exchange.movement.offsets.out."),
    (r"\.conv1\.conv\.net1\.weight_net\.conv\.", ".exchange.movement.weights.conv."),
    # MANet's gate, and convolutions that its blocks hold without using them.
    (r"\.conv1\.conv\.fcce\.0\.", ".exchange.gate.down."),
    (r"\.conv1\.conv\.fcce\.2\.", ".exchange.gate.up."),
    (r"^(.*)\.conv1\.conv\.action_p2_", rf"{_UNUSED}\1."),
)

NAMINGS: Sequence[WeightNaming] = (
    WeightNaming("our own", mark=r"^stages\.0\.0\.branch\.0\.conv\.weight$"),
    WeightNaming(
        "mmaction",
        mark=r"^layer1\.0\.(net\.)?conv1\.conv\.(net2?\.)?weight$",
        mark_ndim=4,
        rules=(*MMACTION, *_EXCHANGE, *_BRANCH),
    ),
    WeightNaming(
        "torchvision",
        mark=r"^layer1\.0\.conv1\.weight$",
        mark_ndim=4,
        rules=(*TORCHVISION, *_BRANCH),
    ),
    WeightNaming("TSN and TSM", mark=TSN_MARK, mark_ndim=4, rules=(*TSN, *_BRANCH)),
)

# "fc." is the classifier of torchvision's and timm's files, "new_fc." that of TSN and TSM.
OPTIONAL = (COUNTS, _UNUSED, "fc.", "new_fc.")
