"""Tensor names of Video Swin, and of the image Swin it starts from, in other projects.

Sources: the state dicts of mmaction2 1.1, SwinTransformer/Video-Swin-Transformer,
microsoft/Swin-Transformer and, of the reversible network, OpenTAD.
"""

from collections.abc import Sequence

from mmad.models.backbones.naming import Rules, WeightNaming

# What other networks store and ours computes.
_COMPUTED = "computed."

# The original code calls the last norm "norm", mmaction2 "norm3".
_MMACTION: Rules = (
    (r"^(.*\.(?:relative_position_index|attn_mask))$", rf"{_COMPUTED}\1"),
    (r"^patch_embed\.", "patches."),
    (r"^layers\.", "stages."),
    (r"\.relative_position_bias_table$", ".bias_table"),
    (r"\.downsample\.reduction\.", ".merge.reduce."),
    (r"\.downsample\.norm\.", ".merge.norm."),
    (r"^norm3\.", "norm."),
)

NAMINGS: Sequence[WeightNaming] = (
    WeightNaming("our own", mark=r"^stages\.0\.blocks\.0\.attn\.bias_table$"),
    WeightNaming(
        "mmaction",
        mark=r"^layers\.0\.blocks\.0\.attn\.relative_position_bias_table$",
        rules=_MMACTION,
    ),
    WeightNaming(
        "Re2TAL",
        mark=r"^layers\.0\.blocks\.0\.inv_block\.Fm\.attn\.relative_position_bias_table$",
        rules=((r"\.inv_block\.[FG]m\.", "."), *_MMACTION),
    ),
)

OPTIONAL = (_COMPUTED,)
