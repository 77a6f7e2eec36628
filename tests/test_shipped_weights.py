"""The weights that ship with mmad fit the demo's network, whole."""

import pytest

from mmad.config.reading import load_config
from mmad.config.run import require_videos
from mmad.engine.runs.pretrained import load_pretrained, settle_backbone
from mmad.models.backbones.families import build_backbone
from mmad.weights.load import find_weights


@pytest.mark.parametrize(
    ("name", "has_norm"),
    [
        ("demo_backbone.safetensors", False),
        ("demo_backbone_without_labels.safetensors", True),
    ],
)
def test_shipped_weights_fit_and_are_small(name: str, has_norm: bool) -> None:
    overrides = [f"backbone.pretrained={name}", "backbone.final_norm=auto"]
    config = require_videos(
        settle_backbone(load_config("configs/demo.yaml", overrides=overrides))  # type: ignore[arg-type]
    )
    backbone = build_backbone(config.backbone)
    assert config.backbone.final_norm is has_norm  # type: ignore[union-attr]
    report = load_pretrained(backbone, config.backbone)
    assert not report.missing
    assert find_weights(name).stat().st_size < 5e6
