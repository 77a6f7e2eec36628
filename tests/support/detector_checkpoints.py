"""Tiny models under the names that mmaction2 and OpenTAD give their tensors."""

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from mmad.config.run import DetectionRun
from mmad.models.build import build_detector
from mmad.models.detectors.whole import EndToEndDetector
from mmad.models.layers.transformer import sinusoid_table
from support.synthetic_data import tiny_config


def mmaction(tensors: Mapping[str, Tensor], *, prefix: str = "backbone.") -> dict[str, Tensor]:
    changes = {
        "patch_embed.proj.": "patch_embed.projection.",
        "mlp.fc1.": "mlp.layers.0.0.",
        "mlp.fc2.": "mlp.layers.1.",
        "adapter.alpha": "adapter.gamma",
        "adapter.temporal.depthwise.": "adapter.dwconv.",
        "adapter.temporal.pointwise.": "adapter.conv.",
        "adapter.down.": "adapter.down_proj.",
        "adapter.up.": "adapter.up_proj.",
    }
    renamed = {}
    for name, value in tensors.items():
        if name.endswith("pointwise.weight"):
            value = value[..., None]
        for ours, theirs in changes.items():
            name = name.replace(ours, theirs)
        renamed[prefix + name] = value
    renamed[prefix + "pos_embed"] = sinusoid_table(8 * 4, 16)[None]
    return renamed


RULES = (
    (r"^pyramid\.level_norms\.", "neck.fpn_norms."),
    (r"^pyramid\.", "projection."),
    (r"^classification\.convs\.", "rpn_head.cls_convs."),
    (r"^regression\.convs\.", "rpn_head.reg_convs."),
    (r"^classification\.out\.conv\.", "rpn_head.cls_head."),
    (r"^regression\.out\.conv\.", "rpn_head.reg_head."),
    (r"^level_scales\.(\d+)$", r"rpn_head.scale.\1.scale"),
    (r"((?:embed|cls_convs|reg_convs)\.\d+)\.conv\.conv\.", r"\1.conv."),
    (r"\.norm([12])\.", r".ln\1."),
    (r"\.fc1\.", ".mlp.0."),
    (r"\.fc2\.", ".mlp.3."),
    (r"\.scale_(attn|mlp)$", r".drop_path_\1.scale"),
)


def tiny_tia_config(videos: Path, **changes: object) -> DetectionRun:
    return tiny_config(videos, backbone__adapter={"name": "tia"}, **changes)


def opentad_checkpoint(model: EndToEndDetector) -> dict[str, object]:
    tensors = mmaction(model.features.backbone.state_dict(), prefix="backbone.model.backbone.")
    for name, value in model.network.state_dict().items():
        for pattern, replacement in RULES:
            name = re.sub(pattern, replacement, name)
        tensors[name] = value
    tensors["rpn_head.loss_normalizer"] = torch.tensor(100)
    tensors["backbone.model.backbone.fc_norm.weight"] = torch.ones(16)
    wrapped = {f"module.{name}": value for name, value in tensors.items()}
    return {"epoch": 3, "state_dict_ema": wrapped, "optimizer": {}, "scheduler": {}}


def random_detector(videos: Path) -> EndToEndDetector:
    model = build_detector(tiny_tia_config(videos, seed=9), num_classes=52).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model


def actionformer_checkpoint() -> dict[str, dict[str, Tensor]]:
    """Some tensors of each part of an ActionFormer, under its own names."""
    theirs = {
        "module.backbone.embd.0.conv.weight": torch.randn(8, 4, 3),
        "module.backbone.embd_norm.0.weight": torch.randn(1, 8, 1),
        "module.cls_head.head.0.conv.weight": torch.randn(8, 8, 3),
        "module.cls_head.norm.0.bias": torch.randn(1, 8, 1),
        "module.cls_head.cls_head.conv.bias": torch.randn(7),
        "module.reg_head.scale.1.scale": torch.randn(1),
    }
    return {"state_dict": {}, "state_dict_ema": theirs}
