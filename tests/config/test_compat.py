"""The settings that make ours do what the published codes do otherwise."""

from pathlib import Path

import pytest

from mmad.config.reading import dump_config, load_config, parse_config
from support.synthetic_data import tiny_content


@pytest.mark.parametrize("preset", ["opentad", "actionformer"])
def test_a_preset_is_read_back_as_it_was(preset: str, tmp_path: Path) -> None:
    content = tiny_content(tmp_path) | {"compat": preset}
    content["detector"]["norm_eps"] = 0.5  # what the config says itself stays
    config = parse_config(content, source="test")
    assert config.detector.norm_eps == 0.5
    assert config.detector.pool_sees_padding
    assert config.data.pad_to_window
    assert config.inference.keep_best
    assert config.inference.candidates_per_level == (preset == "actionformer")
    assert config.inference.round_seconds == (0.01 if preset == "opentad" else None)
    (tmp_path / "c.yaml").write_text(dump_config(config))
    assert load_config(tmp_path / "c.yaml") == config


def test_without_a_preset_nothing_is_theirs(tmp_path: Path) -> None:
    config = parse_config(tiny_content(tmp_path), source="test")
    assert config.compat is None
    assert not config.detector.pool_sees_padding
    assert config.detector.mask_features
