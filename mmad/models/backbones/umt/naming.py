"""Tensor names of UMT: those of VideoMAE's own code, which are ours.

Source: the state dicts of OpenGVLab/unmasked_teacher (commit 4fb4049f), fine-tuned and pre-trained.
"""

from mmad.models.backbones.naming import WeightNaming
from mmad.models.backbones.plain_vit import is_plain_vit

NAMINGS = (
    WeightNaming(
        "official",
        mark=r"^(encoder\.)?blocks\.0\.attn\.(q_bias|qkv\.weight)$",
        rules=((r"^encoder\.", ""),),
        condition=is_plain_vit,
    ),
)
# The decoders of its teacher's features, and what only some files have.
OPTIONAL = ("fc_norm.", "norm.", "pos_embed", "clip_decoder.", "clip_pos_embed")
