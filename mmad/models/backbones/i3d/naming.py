"""Tensor names of inflated ResNets, and of the 2D ones they start from, in other projects."""

from collections.abc import Sequence

from mmad.models.backbones.naming import Rules, WeightNaming

# Batch norms elsewhere count their batches; ours do not.
_COUNTS = "num_batches_tracked."
_STAGES: Rules = tuple((rf"^layer{number + 1}\.", f"stages.{number}.") for number in range(4))

NAMINGS: Sequence[WeightNaming] = (
    WeightNaming("our own", mark=r"^stages\.0\.0\.conv1\.conv\.weight$"),
    WeightNaming(
        "mmaction",
        mark=r"^layer1\.0\.conv1\.conv\.weight$",
        rules=(
            (r"^(.*)\.num_batches_tracked$", rf"{_COUNTS}\1"),
            (r"^conv1\.", "stem."),
            *_STAGES,
            (r"\.downsample\.", ".shortcut."),
            (r"\.bn\.", ".norm."),
        ),
    ),
    WeightNaming(
        "torchvision",  # timm has the same names
        mark=r"^layer1\.0\.conv1\.weight$",
        rules=(
            (r"^(.*)\.num_batches_tracked$", rf"{_COUNTS}\1"),
            (r"^conv1\.", "stem.conv."),
            (r"^bn1\.", "stem.norm."),
            *_STAGES,
            (r"\.downsample\.0\.", ".shortcut.conv."),
            (r"\.downsample\.1\.", ".shortcut.norm."),
            (r"^(stages\..*)\.conv([123])\.", r"\1.conv\2.conv."),
            (r"^(stages\..*)\.bn([123])\.", r"\1.conv\2.norm."),
        ),
    ),
)

# The classifier of torchvision's and timm's files.
OPTIONAL = (_COUNTS, "fc.")
