"""Tiny backbones with random weights."""

import torch
from torch import Tensor

from mmad.config.backbones.videomae import VideoMAESettings
from mmad.config.reading import parse_config
from mmad.config.run import DetectionRun
from mmad.models.backbones.families import build_backbone
from mmad.models.backbones.plain_vit import PlainViT

TINY = {"width": 16, "depth": 2, "num_heads": 2}


def backbone(size: object = TINY, **settings: object) -> PlainViT:
    content = {
        "data": {"annotations": "a", "videos": "v"},
        "backbone": {"size": size, "position_image_size": 32, **settings},
        "training": {"epochs": 1},
    }
    torch.manual_seed(0)
    return build_backbone(parse_config(content, source="test").backbone)


def steps(model: PlainViT, clips: torch.Tensor, videos: torch.Tensor) -> torch.Tensor:
    return model.pool_steps(model(clips, videos))


def randomize(model: torch.nn.Module) -> None:
    for name, parameter in model.named_parameters():
        if ".adapter." in name:
            torch.nn.init.normal_(parameter, std=0.3)


def random_backbone(config: DetectionRun) -> PlainViT:
    """With adapters that do something."""
    torch.manual_seed(0)
    assert config.backbone is not None
    backbone = build_backbone(config.backbone).eval().requires_grad_(False)
    for name, parameter in backbone.named_parameters():
        if ".adapter." in name:
            torch.nn.init.normal_(parameter, std=0.3)
    return backbone


def perturbed_backbone(seed: int = 0, **settings: object) -> PlainViT:
    torch.manual_seed(seed)
    values = {"size": TINY, "position_image_size": 32, "drop_path": 0.0, **settings}
    model = build_backbone(VideoMAESettings(**values)).eval()
    with torch.no_grad():  # biases too, so that a forgotten one shows
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def official(model: PlainViT) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}
