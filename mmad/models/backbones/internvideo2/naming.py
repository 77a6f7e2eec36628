"""Tensor names of InternVideo2 in its own code.

Source: the state dicts of OpenGVLab/InternVideo (commit 3965eef1), of fine-tuned, probed and
pre-trained networks; fused kernels have the same names.
"""

from collections.abc import Mapping

from torch import Tensor

from mmad.models.backbones.naming import Rules, WeightNaming

_OFFICIAL: Rules = (
    (r"^patch_embed\.proj\.", "patches."),
    (r"^cls_token$", "class_token"),
    (r"^pos_embed$", "positions.joint"),
    (r"^pos_embed_spatial$", "positions.of_places"),
    (r"^pos_embed_temporal$", "positions.of_times"),
    (r"^pos_embed_cls$", "positions.of_class"),
    (r"^(blocks\.\d+)\.ls([12])\.gamma$", r"\1.gamma_\2"),
    (r"^clip_projector\.norm1_q\.", "pool.query_norm."),
    (r"^clip_projector\.norm1_k\.", "pool.key_norm."),
    (r"^clip_projector\.norm1_v\.", "pool.value_norm."),
    (r"^clip_projector\.cross_attn\.q(_|\.)", "pool.query."),
    (r"^clip_projector\.cross_attn\.k(_|\.)", "pool.key."),
    (r"^clip_projector\.cross_attn\.v(_|\.)", "pool.value."),
    (r"^clip_projector\.cross_attn\.proj\.", "pool.proj."),
    (r"^extra_mlp\.0\.", "pool.mlp_norm."),
    (r"^extra_mlp\.1\.", "pool.mlp."),
    (r"^fc_norm\.", "pool.norm."),
)


def _has_blocks(tensors: Mapping[str, Tensor]) -> bool:
    """Whether there are such blocks; TimeSformer's code has class tokens, too, but 2D patches."""
    kernel = tensors.get("patch_embed.proj.weight", tensors.get("patches.weight"))
    return "blocks.0.attn.qkv.weight" in tensors and kernel is not None and kernel.ndim == 5


NAMINGS = (
    WeightNaming("our own", mark="^class_token$", condition=_has_blocks),
    WeightNaming("official", mark="^cls_token$", rules=_OFFICIAL, condition=_has_blocks),
)
# The pooling, which not every network of ours has, and what pre-training adds.
OPTIONAL = (
    *("pool.", "clip_decoder.", "final_clip_decoder.", "mae_decoder."),
    *("clip_pos_embed", "mae_pos_embed"),
)
