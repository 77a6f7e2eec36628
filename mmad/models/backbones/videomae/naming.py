"""Tensor names of VideoMAE in other projects.

Our network uses the names of VideoMAE's own code, which VideoMAE v2 and UMT have, too. Sources: the
state dicts of MCG-NJU/VideoMAE, OpenGVLab/VideoMAEv2, mmaction2 1.1, transformers 4 and 5, OpenTAD
(commit 3dd7b032).
"""

import re
from dataclasses import replace

from torch import Tensor

from mmad.models.backbones.naming import Renamed, Rules, WeightNaming, joined_attention
from mmad.models.backbones.plain_vit import is_plain_vit, tubelet_frames

_ADAPTER: Rules = (
    (r"\.adapter\.gamma$", ".adapter.alpha"),
    (r"\.adapter\.dwconv\.", ".adapter.temporal.depthwise."),
    (r"\.adapter\.conv\.", ".adapter.temporal.pointwise."),
    (r"\.adapter\.down_proj\.", ".adapter.down."),
    (r"\.adapter\.up_proj\.", ".adapter.up."),
)
_MMACTION: Rules = (
    (r"^patch_embed\.projection\.", "patch_embed.proj."),
    (r"^(blocks\.\d+\.mlp)\.layers\.0\.0\.", r"\1.fc1."),
    (r"^(blocks\.\d+\.mlp)\.layers\.1\.", r"\1.fc2."),
    *_ADAPTER,
)
# Ours and Hugging Face's, for both directions; {} is the number of the block. In transformers 5
# the biases are query.bias and value.bias.
_LAYER = "encoder.layer.{}"
HUGGING_FACE_PAIRS = (
    ("patch_embed.proj.", "embeddings.patch_embeddings.projection."),
    ("blocks.{}.norm1.", f"{_LAYER}.layernorm_before."),
    ("blocks.{}.norm2.", f"{_LAYER}.layernorm_after."),
    ("blocks.{}.attn.proj.", f"{_LAYER}.attention.output.dense."),
    ("blocks.{}.attn.q_bias", f"{_LAYER}.attention.attention.q_bias"),
    ("blocks.{}.attn.v_bias", f"{_LAYER}.attention.attention.v_bias"),
    ("blocks.{}.attn.query.", f"{_LAYER}.attention.attention.query."),
    ("blocks.{}.attn.key.", f"{_LAYER}.attention.attention.key."),
    ("blocks.{}.attn.value.", f"{_LAYER}.attention.attention.value."),
    ("blocks.{}.mlp.fc1.", f"{_LAYER}.intermediate.dense."),
    ("blocks.{}.mlp.fc2.", f"{_LAYER}.output.dense."),
    ("blocks.{}.adapter.", f"{_LAYER}.adapter."),
    ("norm.", "layernorm."),
)


def rule(old: str, new: str) -> tuple[str, str]:
    """A rule that replaces one prefix by another."""
    return "^" + re.escape(old).replace(r"\{\}", r"(\d+)"), new.replace("{}", r"\1")


_HUGGING_FACE: Rules = (
    (r"\.attention\.query\.bias$", ".attention.q_bias"),
    (r"\.attention\.value\.bias$", ".attention.v_bias"),
    *(rule(theirs, ours) for ours, theirs in HUGGING_FACE_PAIRS),
)
_OFFICIAL: Rules = ((r"^encoder\.", ""),)


def _finished(found: Renamed) -> Renamed:
    """The tensors with joined projections, and point-wise convolutions as linear layers."""
    found = joined_attention(found)
    tensors = {
        name: value.squeeze(-1) if _is_convolution(name, value) else value
        for name, value in found.tensors.items()
    }
    return replace(found, tensors=tensors)


def _is_convolution(name: str, value: Tensor) -> bool:
    return name.endswith(".pointwise.weight") and value.ndim == 3


NAMINGS = (
    WeightNaming("mmaction", r"^blocks\.0\.mlp\.layers\.0\.0\.weight$", _MMACTION, _finished),
    WeightNaming(
        "official",
        r"^(encoder\.)?blocks\.0\.attn\.(q_bias|qkv\.weight)$",
        _OFFICIAL,
        _finished,
        condition=lambda tensors: is_plain_vit(tensors) and tubelet_frames(tensors) in (2, None),
    ),
    WeightNaming(
        "hugging face",
        r"^embeddings\.patch_embeddings\.projection\.weight$",
        _HUGGING_FACE,
        _finished,
    ),
)
# Classifiers, decoders and norms that files of a whole model have; some backbones have the norms.
OPTIONAL = (
    *("fc_norm.", "norm.", "pos_embed", "decoder.", "encoder_to_decoder."),
    *("mask_token", "position_embeddings"),
)
