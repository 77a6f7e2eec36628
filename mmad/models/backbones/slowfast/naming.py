"""Tensor names of SlowFast, and of 2D ResNets that its slow path can start from, elsewhere."""

from collections.abc import Sequence

from mmad.models.backbones.naming import Rules, WeightNaming
from mmad.models.backbones.resnet_naming import (
    COUNTS,
    MMACTION,
    PYSLOWFAST,
    PYTORCHVIDEO_PATHS,
    TORCHVISION,
)

_PATHS: Rules = ((r"^paths\.0\.", "slow."), (r"^paths\.1\.", "fast."))
_SLOW: Rules = ((r"^(stem|stages)\.", r"slow.\1."),)
_MMACTION: Rules = (
    (r"^(.*)\.num_batches_tracked$", rf"{COUNTS}\1"),
    (r"^slow_path\.conv1_lateral\.", "laterals.0."),
    *((rf"^slow_path\.layer{n}_lateral\.", f"laterals.{n}.") for n in (1, 2, 3)),
    (r"^(slow|fast)_path\.", r"\1."),
    (r"^(slow|fast)\.conv1\.", r"\1.stem."),
    *((rf"^(slow|fast)\.layer{n + 1}\.", rf"\1.stages.{n}.") for n in range(4)),
    (r"\.downsample\.", ".shortcut."),
    (r"\.bn\.", ".norm."),
)

NAMINGS: Sequence[WeightNaming] = (
    WeightNaming("our own", mark=r"^slow\.stem\.conv\.weight$"),
    WeightNaming(
        "Re2TAL",  # before mmaction, whose stem it has
        mark=r"^slow_path\.layer1\.blocks\.0\.Fm\.conv1\.conv\.weight$",
        rules=((r"\.blocks\.(\d+)\.(?:inv_block\.)?(?:Fm\.)?", r".\1."), *_MMACTION),
    ),
    WeightNaming("mmaction", mark=r"^slow_path\.conv1\.conv\.weight$", rules=_MMACTION),
    WeightNaming(
        "PySlowFast",
        mark=r"^s1\.(pathway|s)1_stem\.conv\.weight$",
        rules=(*PYSLOWFAST, *_PATHS),
    ),
    WeightNaming(
        "PyTorchVideo",
        mark=r"^blocks\.0\.multipathway_blocks\.1\.conv\.weight$",
        rules=(*PYTORCHVIDEO_PATHS, *_PATHS),
    ),
    WeightNaming(
        "mmaction 2D",
        mark=r"^layer1\.0\.conv1\.conv\.weight$",
        rules=(*MMACTION, *_SLOW),
        mark_ndim=4,
    ),
    WeightNaming("torchvision", mark=r"^layer1\.0\.conv1\.weight$", rules=(*TORCHVISION, *_SLOW)),
)

# The classifier of torchvision's and timm's files.
OPTIONAL = (COUNTS, "fc.")
