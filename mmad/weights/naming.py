"""How other projects call the tensors of a VideoMAE, an AdaTAD detector and an ActionFormer.

Our backbone has the names of VideoMAE's own code. Sources: the state dicts of MCG-NJU/VideoMAE,
mmaction2 1.1, transformers 4 and 5, OpenTAD (commit 3dd7b032) and actionformer_release.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Rules = Sequence[tuple[str, str]]

# Prefixes of a backbone inside a larger model; the longest that fits is dropped.
_BACKBONE_PREFIXES = ("backbone.model.backbone.", "model.backbone.", "backbone.", "videomae.")

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
_HUGGING_FACE_PAIRS = (
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


def _rule(old: str, new: str) -> tuple[str, str]:
    """From the beginning of one name to that of another."""
    return "^" + re.escape(old).replace(r"\{\}", r"(\d+)"), new.replace("{}", r"\1")


_HUGGING_FACE: Rules = (
    (r"\.attention\.query\.bias$", ".attention.q_bias"),
    (r"\.attention\.value\.bias$", ".attention.v_bias"),
    *(_rule(theirs, ours) for ours, theirs in _HUGGING_FACE_PAIRS),
)
_TO_HUGGING_FACE: Rules = tuple(_rule(*pair) for pair in _HUGGING_FACE_PAIRS)
_OFFICIAL: Rules = ((r"^encoder\.", ""),)

NAMINGS: Mapping[str, tuple[str, Rules]] = {
    # The tensor by which a naming is known -> its rules.
    "official": (r"^(encoder\.)?patch_embed\.proj\.weight$", _OFFICIAL),
    "mmaction": (r"^patch_embed\.projection\.weight$", _MMACTION),
    "hugging face": (r"^embeddings\.patch_embeddings\.projection\.weight$", _HUGGING_FACE),
}

_PYRAMID_BLOCK: Rules = (
    (r"\.ln([12])\.", r".norm\1."),
    (r"\.mlp\.0\.", ".fc1."),
    (r"\.mlp\.3\.", ".fc2."),
    (r"\.drop_path_(attn|mlp)\.scale$", r".scale_\1"),
)
_OPENTAD_DETECTOR: Rules = (
    (r"^projection\.", "pyramid."),
    (r"^neck\.fpn_norms\.", "pyramid.level_norms."),
    (r"^rpn_head\.cls_convs\.", "classification.convs."),
    (r"^rpn_head\.reg_convs\.", "regression.convs."),
    (r"^((?:pyramid\.embed|classification\.convs|regression\.convs)\.\d+\.conv)\.", r"\1.conv."),
    (r"^rpn_head\.cls_head\.", "classification.out.conv."),
    (r"^rpn_head\.reg_head\.", "regression.out.conv."),
    (r"^rpn_head\.scale\.(\d+)\.scale$", r"level_scales.\1"),
    *_PYRAMID_BLOCK,
)
_ACTIONFORMER: Rules = (
    (r"^backbone\.embd\.(\d+)\.conv\.", r"pyramid.embed.\1.conv.conv."),
    (r"^backbone\.embd_norm\.(\d+)\.", r"pyramid.embed.\1.norm."),
    (r"^backbone\.", "pyramid."),
    (r"^neck\.fpn_norms\.", "pyramid.level_norms."),
    (r"^cls_head\.head\.(\d+)\.conv\.", r"classification.convs.\1.conv.conv."),
    (r"^cls_head\.norm\.(\d+)\.", r"classification.convs.\1.norm."),
    (r"^cls_head\.cls_head\.", "classification.out."),
    (r"^reg_head\.head\.(\d+)\.conv\.", r"regression.convs.\1.conv.conv."),
    (r"^reg_head\.norm\.(\d+)\.", r"regression.convs.\1.norm."),
    (r"^reg_head\.offset_head\.", "regression.out."),
    (r"^reg_head\.scale\.(\d+)\.scale$", r"level_scales.\1"),
    *_PYRAMID_BLOCK,
)


@dataclass(frozen=True)
class Renamed:
    """Tensors under our names.

    Attributes:
        naming: whose names the file had.
        tensors: by our name.
        origins: our name -> names in the file; more than one where tensors were joined.
    """

    naming: str
    tensors: Mapping[str, Tensor]
    origins: Mapping[str, tuple[str, ...]]


def backbone_names(tensors: Mapping[str, Tensor]) -> Renamed | None:
    """A VideoMAE, alone or inside a detector or recogniser, under our names; None if there is none.

    What does not belong to the backbone keeps its name.
    """
    prefix = next((p for p in _BACKBONE_PREFIXES if any(n.startswith(p) for n in tensors)), "")
    names = {name.removeprefix(prefix): name for name in tensors}
    for naming, (mark, rules) in NAMINGS.items():
        if any(re.search(mark, name) for name in names):
            origins = {_rename(name, rules): (origin,) for name, origin in names.items()}
            renamed = {name: tensors[origin] for name, (origin,) in origins.items()}
            return _join_attention(Renamed(naming, renamed, origins))
    return None


def detector_names(tensors: Mapping[str, Tensor]) -> Renamed | None:
    """Pyramid and head of a dense detector under our names; None if there is none.

    Layer norms lose the dimensions of size 1 that ActionFormer gives them.
    """
    if any(name.startswith("rpn_head.") for name in tensors):
        naming, rules = "opentad", _OPENTAD_DETECTOR
        mine = [name for name in tensors if name.startswith(("projection.", "neck.", "rpn_head."))]
    elif any(name.startswith("cls_head.head.") for name in tensors):
        naming, rules = "actionformer", _ACTIONFORMER
        mine = list(tensors)
    elif any(name.startswith("classification.out.") for name in tensors):
        naming, rules = "our own", ()
        mine = list(tensors)
    else:
        return None
    origins = {_rename(name, rules): (name,) for name in mine}
    renamed = {name: tensors[origin] for name, (origin,) in origins.items()}
    for name, value in renamed.items():
        if value.ndim == 3 and value.shape[0] == value.shape[2] == 1 and "norm" in name:
            renamed[name] = value.reshape(-1)
    return Renamed(naming, renamed, origins)


def hugging_face_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a backbone under the names of `transformers.VideoMAEModel`.

    Adapters, which that model does not have, are ``encoder.layer.N.adapter.*``.

    >>> list(hugging_face_names({"blocks.0.mlp.fc1.bias": Tensor()}))
    ['encoder.layer.0.intermediate.dense.bias']
    """
    split: dict[str, Tensor] = {}
    for name, value in tensors.items():
        if name.endswith(".attn.qkv.weight"):
            for part, matrix in zip(("query", "key", "value"), value.chunk(3), strict=True):
                split[name.replace("qkv", part)] = matrix
        else:
            split[name] = value
    return {_rename(name, _TO_HUGGING_FACE): value for name, value in split.items()}


def _rename(name: str, rules: Rules) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def _join_attention(found: Renamed) -> Renamed:
    """Separate query, key and value projections as one matrix; point-wise convolutions as such."""
    tensors, origins = dict(found.tensors), dict(found.origins)
    for name in list(tensors):
        if match := re.fullmatch(r"(blocks\.\d+\.attn)\.query\.weight", name):
            parts = [f"{match[1]}.{part}.weight" for part in ("query", "key", "value")]
            if all(part in tensors for part in parts):
                joined = f"{match[1]}.qkv.weight"
                tensors[joined] = torch.cat([tensors.pop(part) for part in parts])
                origins[joined] = tuple(origin for part in parts for origin in origins.pop(part))
        elif name.endswith(".pointwise.weight") and tensors[name].ndim == 3:
            tensors[name] = tensors[name].squeeze(-1)
    return Renamed(found.naming, tensors, origins)
