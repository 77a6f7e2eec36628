"""Tensor names of AdaTAD and ActionFormer detectors in other projects.

Sources: the state dicts of OpenTAD (commit 3dd7b032) and actionformer_release. Those of backbones
are in the folders of their families.
"""

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from mmad.models.backbones.contract import BackboneFamily
from mmad.models.backbones.families import BACKBONES
from mmad.models.backbones.naming import Renamed, Rules, rename, rename_tensors, without_prefix

# Prefixes of a backbone inside a larger model; the longest that fits is dropped.
_BACKBONE_PREFIXES = (
    "backbone.model.backbone.",
    "model.backbone.",
    "backbone.",
    "videomae.",
    "vjepa2.",
)

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


def backbone_names(
    tensors: Mapping[str, Tensor], families: Mapping[str, BackboneFamily] = BACKBONES
) -> Renamed | None:
    """A backbone, alone or inside a detector or recogniser, under our names; None if there is none.

    What does not belong to the backbone keeps its name.
    """
    found = without_prefix(tensors, _BACKBONE_PREFIXES)
    bare = {name: value for name, (_, value) in found.items()}
    for name, family in families.items():
        for naming in family.namings:
            if naming.fits(bare):
                renamed = rename_tensors(bare, naming)
                origins = {
                    ours: tuple(found[theirs][0] for theirs in old)
                    for ours, old in renamed.origins.items()
                }
                return replace(renamed, origins=origins, family=name)
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
    origins = {rename(name, rules): (name,) for name in mine}
    renamed = {name: tensors[origin] for name, (origin,) in origins.items()}
    for name, value in renamed.items():
        if value.ndim == 3 and value.shape[0] == value.shape[2] == 1 and "norm" in name:
            renamed[name] = value.reshape(-1)
    return Renamed(naming, renamed, origins)
