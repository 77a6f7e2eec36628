"""Settings and networks of pre-training that are small enough for tests."""

from pathlib import Path

import torch

from mmad.config.pretraining import PretrainingConfig
from mmad.config.reading import parse_any_config
from mmad.models.build import build_pretraining
from mmad.models.pretraining.network import MaskedAutoencoder
from support.synthetic_data import change


def pretraining_config(videos: Path | str = "videos", **changes: object) -> PretrainingConfig:
    """A run on a folder of videos, with changes such as ``masks__kind="random"``."""
    content = {
        "task": "pretraining",
        "data": {"videos": str(videos), "image_size": 32, "num_workers": 0, "frame_stride": 1},
        "backbone": {
            "size": {"width": 16, "depth": 2, "num_heads": 2},
            "position_image_size": 32,
            "clip_frames": 8,
        },
        "masks": {"ratio": 0.5},
        "decoder": {"width": 8, "depth": 1, "num_heads": 2},
        "training": {
            **{"epochs": 2, "batch_videos": 2, "warmup_epochs": 0, "threads": 1},
            **{"learning_rate": 1e-3, "backbone_learning_rate": 1e-3},
        },
    }
    config = parse_any_config(change(content, changes), source="test")
    assert isinstance(config, PretrainingConfig)
    return config


def perturbed_autoencoder(seed: int = 0, **changes: object) -> MaskedAutoencoder:
    """Its weights are random, those of biases and norms, too, so that a forgotten one shows."""
    model = build_pretraining(pretraining_config(**changes))
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model
