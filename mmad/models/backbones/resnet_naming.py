"""Tensor names of ResNets in other projects, for the namings of every network made of one.

Sources, besides state dicts of mmaction2 1.1 and torchvision: TSN and TSM from yjxiong/tsn-pytorch
(models.py) and mit-han-lab/temporal-shift-module (ops/models.py, ops/temporal_shift.py); PySlowFast
from facebookresearch/SlowFast (slowfast/models/stem_helper.py, resnet_helper.py and
video_model_builder.py; "s0_stem" is an older name of "pathway0_stem"); PyTorchVideo from state
dicts of its hub's slowfast_r50, slow_r50, i3d_r50 and c2d_r50 (pytorchvideo 0.1.5).
"""

from mmad.models.backbones.naming import Rules

# Batch norms elsewhere count their batches; ours do not.
COUNTS = "num_batches_tracked."
_COUNTS: Rules = ((r"^(.*)\.num_batches_tracked$", rf"{COUNTS}\1"),)
_STAGES: Rules = tuple((rf"^layer{number + 1}\.", f"stages.{number}.") for number in range(4))

MMACTION: Rules = (
    *_COUNTS,
    (r"^conv1\.", "stem."),
    *_STAGES,
    (r"\.downsample\.", ".shortcut."),
    (r"\.bn\.", ".norm."),
)
# timm has the same names.
TORCHVISION: Rules = (
    *_COUNTS,
    (r"^conv1\.", "stem.conv."),
    (r"^bn1\.", "stem.norm."),
    *_STAGES,
    (r"\.downsample\.0\.", ".shortcut.conv."),
    (r"\.downsample\.1\.", ".shortcut.norm."),
    (r"^(stages\..*)\.conv([123])\.", r"\1.conv\2.conv."),
    (r"^(stages\..*)\.bn([123])\.", r"\1.conv\2.norm."),
)
# A ResNet of torchvision inside TSN's and TSM's own code. What pools steps holds a stage as `net`,
# what shifts a whole block holds the block, what shifts the branch its first convolution.
TSN: Rules = (
    (r"^base_model\.", ""),
    (r"^(layer\d)\.net\.", r"\1."),
    (r"^(layer\d\.\d+)\.net\.", r"\1."),
    (r"\.conv1\.net\.", ".conv1."),
    *TORCHVISION,
)
TSN_MARK = r"^base_model\.layer1\.0\.(net\.)?conv1\.(net\.)?weight$"

# Networks of one or more ResNets, numbered `paths.0.` and so on.
PYSLOWFAST: Rules = (
    *_COUNTS,
    (r"^s1\.(?:pathway|s)(\d)_stem\.conv\.", r"paths.\1.stem.conv."),
    (r"^s1\.(?:pathway|s)(\d)_stem\.bn\.", r"paths.\1.stem.norm."),
    *((rf"^s{n + 2}\.pathway(\d)_res(\d+)\.", rf"paths.\1.stages.{n}.\2.") for n in range(4)),
    *((rf"^s{n + 1}_fuse\.conv_f2s\.", f"laterals.{n}.conv.") for n in range(4)),
    *((rf"^s{n + 1}_fuse\.bn\.", f"laterals.{n}.norm.") for n in range(4)),
    (r"\.branch1\.", ".shortcut.conv."),
    (r"\.branch1_bn\.", ".shortcut.norm."),
    *((rf"\.branch2\.{letter}\.", f".conv{n + 1}.conv.") for n, letter in enumerate("abc")),
    *((rf"\.branch2\.{letter}_bn\.", f".conv{n + 1}.norm.") for n, letter in enumerate("abc")),
)
_PYTORCHVIDEO_BLOCK: Rules = (
    (r"\.branch1_(conv|norm)\.", r".shortcut.\1."),
    *(
        (rf"\.branch2\.(conv|norm)_{letter}\.", rf".conv{n + 1}.\1.")
        for n, letter in enumerate("abc")
    ),
    (r"^blocks\.\d\.proj\.", "head."),
)
PYTORCHVIDEO_PATHS: Rules = (
    *_COUNTS,
    (r"^blocks\.0\.multipathway_blocks\.(\d)\.(conv|norm)\.", r"paths.\1.stem.\2."),
    *(
        (
            rf"^blocks\.{n + 1}\.multipathway_blocks\.(\d)\.res_blocks\.",
            rf"paths.\1.stages.{n}.",
        )
        for n in range(4)
    ),
    (r"^blocks\.(\d)\.multipathway_fusion\.conv_fast_to_slow\.", r"laterals.\1.conv."),
    (r"^blocks\.(\d)\.multipathway_fusion\.norm\.", r"laterals.\1.norm."),
    *_PYTORCHVIDEO_BLOCK,
)


def pytorchvideo_stages(first_blocks: tuple[int, int, int, int]) -> Rules:
    """Rules for one ResNet of PyTorchVideo.

    Args:
        first_blocks: Numbers of its four stages among its blocks; a pooling counts as a block.
    """
    return (
        *_COUNTS,
        (r"^blocks\.0\.(conv|norm)\.", r"stem.\1."),
        *(
            (rf"^blocks\.{number}\.res_blocks\.", f"stages.{stage}.")
            for stage, number in enumerate(first_blocks)
        ),
        *_PYTORCHVIDEO_BLOCK,
    )
