"""What is wrong with a config is told in one message."""

from pathlib import Path

import pytest
import yaml

from mmad.config.reading import load_config, parse_config
from mmad.errors import ConfigError
from support.synthetic_data import tiny_content


def test_a_shipped_config_is_found_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_config("configs/dsta_videomae_b.yaml").backbone.adapter.name == "dsta"
    with pytest.raises(ConfigError, match=r"did you mean configs/dsta_videomae_b\.yaml"):
        load_config("configs/dsta_videomae_bb.yaml")


def problems(tmp_path: Path, **changes: object) -> str:
    content = tiny_content(tmp_path)
    for key, value in changes.items():
        *parents, last = key.split("__")
        place = content
        for parent in parents:
            place = place[parent]
        place[last] = value
    with pytest.raises(ConfigError, match=r"c\.yaml") as error:
        parse_config(content, source="c.yaml")
    return str(error.value)


def test_all_problems_in_one_message(tmp_path: Path) -> None:
    text = problems(tmp_path, data__windw_frames=3, training__epochs="many", data__frame_stride=0)
    assert text.startswith("c.yaml: 3 problems")
    assert "data.windw_frames: there is no such setting; did you mean 'window_frames'?" in text
    assert "training.epochs: input should be a valid integer" in text
    assert "found 'many'" in text
    assert "data.frame_stride: input should be greater than or equal to 1; found 0" in text


def test_problems_of_every_kind_come_in_one_list(tmp_path: Path) -> None:
    """Of one setting, of a group, of several groups, and of the overrides."""
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(tiny_content(tmp_path)))
    overrides = [
        "seed",
        "data.videos.x=1",
        "data.shorten=[1.0, 0.5]",
        "data.window_frames=65",
        "data.image_size=50",
        "data.frame_stride=0",
        "training.clip_gradient=many",
        "training.accumulate=3",
        "upsampling=2.5",
        "detector.regression_ranges=[[4, 0]]",
        "inference.sigma=-1",
        "inference.nmss=hard",
    ]
    with pytest.raises(ConfigError, match=r"c\.yaml: 13 problems") as error:
        load_config(tmp_path / "c.yaml", overrides=overrides)
    for expected in (
        "override 'seed': expected key=value",
        "override 'data.videos.x=1': 'videos' is '",
        "data: shorten: expected 0 < smallest <= largest",
        "data.window_frames 65 is not a multiple of backbone.clip_frames 16",
        "data.image_size 50 is not a multiple of 16 pixels",
        "data.frame_stride: input should be greater than or equal to 1",
        "training.clip_gradient: input should be a valid number",
        "training: batch_videos 2 is not a multiple of accumulate 3",
        "upsampling: expected a whole number, or 0.5, 0.25 and so on; found 2.5",
        "detector: regression_ranges: expected one for each of",
        "detector: regression_ranges: expected 0 <= low < high, found [4.0, 0.0]",
        "inference.sigma: input should be greater than",
        "inference.nmss: there is no such setting",
    ):
        assert expected in str(error.value)


def test_a_default_in_place_of_a_wrong_value_is_no_problem(tmp_path: Path) -> None:
    text = problems(tmp_path, data__window_frames="many", backbone__clip_frames=30)
    assert "window_frames: input should be a valid integer" in text
    assert "multiple of" not in text


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("backbone__adapter", {"name": "dsta", "ratoi": 1}, "did you mean 'ratio'"),
        ("backbone__adapter", {"name": "lora"}, "backbone.adapter"),
        (
            "backbone__size",
            {"width": 10, "depth": 1, "num_heads": 4},
            "not a multiple of num_heads",
        ),
        ("backbone__size", "smal", "'small'"),
        ("detector__num_branch", 4, "expected one for each of 5 levels"),
        ("data__window_frames", 65, "not a multiple of backbone.clip_frames 16"),
        ("data__shorten", [1.0, 0.5], "expected 0 < smallest <= largest"),
        ("training__accumulate", 3, "not a multiple of accumulate 3"),
    ],
)
def test_impossible_values(tmp_path: Path, key: str, value: object, expected: str) -> None:
    assert expected in problems(tmp_path, **{key: value})


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("training.epochs", "expected key=value"),
        ("seed.x=1", "'seed' is 0, not a group of settings"),
        ("training.epochs=[", "not valid YAML"),
    ],
)
def test_bad_overrides(override: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected.replace("[", r"\[")):
        load_config("configs/demo.yaml", overrides=[override])


def test_numbers_with_exponents_are_numbers() -> None:
    config = load_config("configs/demo.yaml", overrides=["training.learning_rate=1e-4"])
    assert config.training.learning_rate == 1e-4
