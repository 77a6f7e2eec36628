"""Tensor names of ResNets in other projects, for the namings of every network made of one."""

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
