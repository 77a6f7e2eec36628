"""A run works from any folder, after a move together with its data, and on another computer."""

import shutil
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from mmad.cli.main import app
from mmad.config.paths import found_from_here, with_start
from mmad.config.reading import differing_settings, load_any_config
from mmad.engine.training import train_run
from mmad.errors import CheckpointError, ConfigError, MmadError

pytestmark = pytest.mark.slow

ANNOTATIONS = "annotations/mma52.json"


def mmad(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(one) for one in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def world(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data and a run on them, trained there with relative paths."""
    folder = tmp_path_factory.mktemp("here")
    shutil.copytree(videos, folder / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        places = (f"data.annotations=data/{ANNOTATIONS}", "data.videos=data/videos")
        mmad("train", "configs/demo.yaml", *places, "--smoke", "--out", "demo/run")
    return folder


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def use_everything(run: Path, data: Path, *, flags: bool = False) -> None:
    """Every command that takes a run; with flags if it does not find its data by itself."""
    annotations = ("--annotations", data / ANNOTATIONS) if flags else ()
    videos = ("--videos", data / "videos") if flags else ()
    mmad("predict", run, "--subset", "val", *annotations, *videos)
    predictions = run / "predictions/val.csv"
    mmad("eval", predictions, *annotations)
    mmad("eval", "--runs", run.parent, *annotations)
    mmad("error-analysis", predictions, *annotations)
    mmad("report", run, *annotations, *videos)
    video = next((data / "videos").iterdir())
    mmad("detect", video, "--checkpoint", run, "--no-pictures")
    mmad("extract-features", run, video, "--out", "f.h5", "--overwrite")


def test_a_run_works_from_any_folder(world: Path, elsewhere: Path) -> None:
    use_everything(world / "demo/run", world / "data")


def test_a_run_moves_together_with_its_data(world: Path, elsewhere: Path) -> None:
    moved = elsewhere / "moved"
    shutil.copytree(world, moved)
    (moved / "data").rename(moved / "was_data")
    with pytest.raises(CheckpointError, match=r"annotations of this run are no longer at moved/d"):
        mmad("predict", moved / "demo/run", "--subset", "val")
    (moved / "was_data").rename(moved / "data")
    use_everything(moved / "demo/run", moved / "data")


def test_a_run_works_on_another_computer(world: Path, elsewhere: Path) -> None:
    run = elsewhere / "somewhere/deep/run"
    shutil.copytree(world / "demo/run", run)
    predictions = run / "predictions/val.csv"
    for arguments, flag in [
        (("predict", run, "--subset", "val"), "--annotations FILE"),
        (("predict", run, "--annotations", world / "data" / ANNOTATIONS), "--videos DIR"),
        (("eval", predictions), "--annotations FILE"),
        (("report", run), "--annotations FILE"),
        (("error-analysis", predictions), "--annotations FILE"),
    ]:
        with pytest.raises(MmadError, match=f"no longer at .*; pass {flag}"):
            mmad(*arguments)
    use_everything(run, world / "data", flags=True)


def test_a_run_of_an_earlier_version_works_from_the_folder_it_was_trained_in(
    world: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = world / "demo/run"
    old = world / "old_run"
    shutil.copytree(run, old)
    content = yaml.safe_load((run / "config.yaml").read_text())
    assert content.pop("paths_relative_to") == "../.."
    assert content["data"]["annotations"] == f"data/{ANNOTATIONS}"
    (old / "config.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(CheckpointError, match="no longer at data/annotations"):
        mmad("predict", old, "--subset", "val")
    monkeypatch.chdir(world)
    mmad("predict", "old_run", "--subset", "val")
    config = load_any_config("old_run/config.yaml")
    assert differing_settings(config, load_any_config("demo/run/config.yaml")) == []


def test_a_run_resumes_from_another_folder(world: Path, elsewhere: Path) -> None:
    run = elsewhere / "copy/demo/run"
    shutil.copytree(world, elsewhere / "copy")
    config = load_any_config(run / "config.yaml")
    assert config.data.annotations == f"copy/data/{ANNOTATIONS}"  # type: ignore[union-attr]
    train_run(config, out=run, resume=True, quiet=True)
    other = load_any_config(run / "config.yaml", overrides=["data.format=mma52-json", "seed=7"])
    with pytest.raises(
        CheckpointError, match=r"other settings \(seed: 0, now 7; data\.format: auto, now"
    ):
        train_run(other, out=run, resume=True, quiet=True)


def test_absolute_paths_and_names_of_weights_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.pth").write_bytes(b"")
    run = tmp_path / "runs/a"
    elsewhere = tmp_path.parent
    for name in ("weights.pth", "MCG-NJU/videomae-base"):
        given = {
            "data": {"annotations": ["a.json", "/b.json"], "videos": "../v"},
            "backbone": {"pretrained": name, "size": "base"},
            "training": {"start": None},
        }
        stored = with_start(given, run)
        assert stored == {"paths_relative_to": "../..", **given}
        found = found_from_here(stored, run / "config.yaml")
        assert found == {**given, "data": {**given["data"], "videos": str(elsewhere / "v")}}
        monkeypatch.chdir(elsewhere)
        found = found_from_here(stored, run / "config.yaml")
        monkeypatch.chdir(tmp_path)
        assert found["data"]["annotations"] == [f"{tmp_path.name}/a.json", "/b.json"]
        assert found["data"]["videos"] == "v"
        there = f"{tmp_path.name}/{name}" if name == "weights.pth" else name
        assert found["backbone"]["pretrained"] == there
    with pytest.raises(ConfigError, match="paths_relative_to: expected a folder, found 3"):
        found_from_here({"paths_relative_to": 3}, run / "config.yaml")


def test_a_run_copied_alone_finds_the_data_of_the_working_folder(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(world)
    shutil.copytree("demo/run", "somewhere/else/run")
    mmad("eval", "somewhere/else/run/predictions/val.csv")


def test_a_run_folder_may_be_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "disk/runs").mkdir(parents=True)
    (tmp_path / "runs").symlink_to(tmp_path / "disk/runs", target_is_directory=True)
    stored = with_start({"data": {"videos": "v"}}, Path("runs/a"))
    for run in ("runs/a", "disk/runs/a"):
        assert found_from_here(stored, Path(run) / "config.yaml") == {"data": {"videos": "v"}}
