"""A config that names another one and what differs from it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from mmad.config.reading import dump_config, load_any_config, load_config
from mmad.errors import ConfigError
from support.synthetic_data import tiny_content


@pytest.fixture
def base(tmp_path: Path) -> Path:
    path = tmp_path / "base.yaml"
    path.write_text(yaml.safe_dump(tiny_content(tmp_path)))
    return path


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(content))
    return path


def test_what_is_not_said_is_that_of_the_extended_files(base: Path, tmp_path: Path) -> None:
    write(tmp_path / "one.yaml", {"extends": "base.yaml", "seed": 5, "training": {"epochs": 7}})
    two = write(tmp_path / "in" / "two.yaml", {"extends": "../one.yaml", "training": {"epochs": 8}})
    config = load_config(two)
    expected = load_config(base, overrides=["seed=5", "training.epochs=8"])
    assert config == expected
    assert load_config(two, overrides=["training.epochs=9"]).training.epochs == 9
    copy = tmp_path / "copy.yaml"
    copy.write_text(dump_config(config))  # whole: a run does not need the extended files
    assert load_any_config(copy) == config
    assert "extends" not in copy.read_text()


def test_a_group_of_another_name_is_another_one(base: Path, tmp_path: Path) -> None:
    content = {"extends": "base.yaml", "backbone": {"adapter": {"name": "standard"}}}
    config = load_config(write(tmp_path / "one.yaml", content))
    assert config.backbone.adapter.name == "standard"
    assert config.backbone.size == load_config(base).backbone.size


def test_a_shipped_config_is_extended_from_anywhere(tmp_path: Path) -> None:
    one = write(tmp_path / "one.yaml", {"extends": "configs/tia_videomae_s.yaml", "seed": 9})
    assert load_config(one) == load_config("configs/tia_videomae_s.yaml", overrides=["seed=9"])


def test_paths_of_each_file_start_where_it_says(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = tiny_content(tmp_path)
    content["data"] |= {"annotations": "a.json", "videos": "v"}
    write(base, {"paths_relative_to": ".", **content})
    monkeypatch.chdir(tmp_path.parent)
    one = write(tmp_path / "in" / "one.yaml", {"extends": "../base.yaml", "data": {"videos": "w"}})
    data = load_config(one).data
    assert data.annotations == f"{tmp_path.name}/a.json"
    assert data.videos == "w"


@pytest.mark.parametrize(
    ("extends", "message"),
    [
        ("nowhere.yaml", r"one\.yaml: extends: nowhere\.yaml: there is no such config"),
        ("one.yaml", r"one\.yaml: extends: one\.yaml extends this file in turn"),
        ("circle.yaml", r"circle\.yaml: extends: one\.yaml extends this file in turn"),
        (["base.yaml"], r"extends: expected a file, found \['base\.yaml'\]"),
        ("empty.yaml", r"empty\.yaml: the file is empty"),
    ],
)
def test_bad_extended_files(extends: Any, message: str, base: Path, tmp_path: Path) -> None:
    write(tmp_path / "circle.yaml", {"extends": "one.yaml"})
    (tmp_path / "empty.yaml").touch()
    with pytest.raises(ConfigError, match=message):
        load_config(write(tmp_path / "one.yaml", {"extends": extends}))
