"""Tensor names of UniFormer in other projects.

Sources: the state dicts of mmaction2 1.1 and Sense-X/UniFormer, for videos and for images, which
are the same.
"""

from collections.abc import Sequence

from mmad.models.backbones.naming import Rules, WeightNaming

# Batch norms elsewhere count their batches; ours do not.
_COUNTS = "num_batches_tracked."
_STAGES: Rules = tuple(
    rule
    for stage in range(4)
    for rule in (
        (rf"^patch_embed{stage + 1}\.", f"stages.{stage}.embed."),
        (rf"^blocks{stage + 1}\.(\d+)\.pos_embed\.", rf"stages.{stage}.blocks.\1.position."),
        # In convolutional blocks, what stands for attention is one convolution.
        (rf"^blocks{stage + 1}\.(\d+)\.attn\.(weight|bias)$", rf"stages.{stage}.blocks.\1.mix.\2"),
        (rf"^blocks{stage + 1}\.", f"stages.{stage}.blocks."),
    )
)

NAMINGS: Sequence[WeightNaming] = (
    WeightNaming("our own", mark=r"^stages\.0\.embed\.proj\.weight$"),
    WeightNaming(
        "official",
        mark=r"^patch_embed1\.proj\.weight$",
        rules=((r"^(.*)\.num_batches_tracked$", rf"{_COUNTS}\1"), *_STAGES),
    ),
)

OPTIONAL = (_COUNTS,)
