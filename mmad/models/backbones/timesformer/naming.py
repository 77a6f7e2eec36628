"""Tensor names of TimeSformer, and of the image transformer it starts from, in other projects.

Sources: the state dicts of mmaction2 1.1, facebookresearch/TimeSformer and timm.
"""

from collections.abc import Sequence

from mmad.models.backbones.naming import Rules, WeightNaming

_TABLES: Rules = (
    (r"^cls_token$", "class_token"),
    (r"^pos_embed$", "position_table"),
    (r"^time_embed$", "time_table"),
)
_MMACTION: Rules = (
    *_TABLES,
    (r"^patch_embed\.projection\.", "patches."),
    (r"^transformer_layers\.layers\.", "blocks."),
    (r"\.attn\.in_proj_", ".attn.qkv."),
    (r"\.attn\.out_proj\.", ".attn.proj."),
    (r"\.ffns\.0\.norm\.", ".mlp_norm."),
    (r"\.ffns\.0\.layers\.0\.0\.", ".mlp.fc1."),
    (r"\.ffns\.0\.layers\.1\.", ".mlp.fc2."),
)

NAMINGS: Sequence[WeightNaming] = (
    WeightNaming("our own", mark=r"^blocks\.0\.attention\.norm\.weight$"),
    WeightNaming(
        "mmaction",  # of divided attention
        mark=r"^transformer_layers\.layers\.0\.attentions\.1\.norm\.weight$",
        rules=(
            *_MMACTION,
            (r"\.attentions\.0\.temporal_fc\.", ".temporal.fc."),
            (r"\.attentions\.0\.", ".temporal."),
            (r"\.attentions\.1\.", ".attention."),
        ),
    ),
    WeightNaming(
        "mmaction",  # of joint attention, or within frames only
        mark=r"^transformer_layers\.layers\.0\.norms\.0\.weight$",
        rules=(
            *_MMACTION,
            (r"\.attentions\.0\.", ".attention."),
            (r"\.norms\.0\.", ".attention.norm."),
            (r"\.norms\.1\.", ".mlp_norm."),
        ),
    ),
    WeightNaming(
        "timm",  # and TimeSformer's own code, which puts "model." before them
        mark=r"^(model\.)?blocks\.0\.attn\.qkv\.bias$",
        # Transformers of videos have such blocks, too, but no class token.
        condition=lambda tensors: not {"cls_token", "model.cls_token"}.isdisjoint(tensors),
        rules=(
            (r"^model\.", ""),
            *_TABLES,
            (r"^patch_embed\.proj\.", "patches."),
            (r"\.temporal_norm1\.", ".temporal.norm."),
            (r"\.temporal_attn\.", ".temporal.attn."),
            (r"\.temporal_fc\.", ".temporal.fc."),
            (r"^(blocks\.\d+)\.norm1\.", r"\1.attention.norm."),
            (r"^(blocks\.\d+)\.attn\.", r"\1.attention.attn."),
            (r"^(blocks\.\d+)\.norm2\.", r"\1.mlp_norm."),
        ),
    ),
)

# Of classifiers of images, between the last norm and the classes.
OPTIONAL = ("pre_logits.",)
