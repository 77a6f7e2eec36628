"""A cross-validation from ``mmad train --fold`` to the summary of its folds."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from mmad.cli.main import app
from mmad.config.reading import load_any_config, with_fold
from mmad.errors import ConfigError, MmadError, PredictionError
from support.synthetic_data import change, own_labels, tiny_clip_content, tiny_config


def call(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(one) for one in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def write_config(videos: Path, folder: Path, **changes: object) -> Path:
    labels, clips = own_labels(videos, folder)
    places = {"data__labels": str(labels), "data__train": [str(clips)], "data__val": [str(clips)]}
    content = change(tiny_clip_content(videos), {**places, "training__epochs": 1, **changes})
    path = folder / "own.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture(scope="module")
def folds(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run for each of the two folds of a CSV."""
    folder = tmp_path_factory.mktemp("folds")
    config = write_config(videos, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for fold in (1, 2):
            call("train", config, "--fold", fold)
    return folder


@pytest.mark.slow
def test_each_fold_is_predicted_by_the_model_that_has_not_seen_it(folds: Path) -> None:
    table = {}
    for line in (folds / "clips.csv").read_text().splitlines()[1:]:
        name, _, _, fold = line.split(",")
        table[name] = fold
    for fold in ("1", "2"):
        run = folds / "runs" / f"own_fold{fold}"
        assert yaml.safe_load((run / "config.yaml").read_text())["data"]["fold"] == int(fold)
        lines = (run / "predictions" / "val.csv").read_text().splitlines()[1:]
        held_out = {name for name, its_fold in table.items() if its_fold == fold}
        assert {line.split(",")[0] for line in lines} == held_out


@pytest.mark.slow
def test_the_summary_of_the_folds(folds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folds)
    single = []
    for fold in (1, 2):
        call("eval", f"runs/own_fold{fold}/predictions/val.csv", "--json", "one.json")
        single.append(json.loads(Path("one.json").read_text()))
    said = call("eval", "runs/own_fold1", "runs/own_fold2", "--json", "all.json")
    for expected in ("own_fold1", "own_fold2", "mean", "standard deviation", "class mean"):
        assert expected in said
    content = json.loads(Path("all.json").read_text())
    assert list(content["folds"].values()) == [
        {key: value for key, value in one.items() if key != "clips_left_out"} for one in single
    ]
    for name in ("top1", "mean_class_accuracy", "f1_macro"):
        values = [one["action"][name] for one in single]
        assert content["mean"]["action"][name] == pytest.approx(np.mean(values))
        deviation = abs(values[0] - values[1]) / 2**0.5
        assert content["standard_deviation"]["action"][name] == pytest.approx(deviation)
    # Predicting again takes the same clips.
    before = Path("runs/own_fold1/predictions/val.csv").read_text()
    call("predict", "runs/own_fold1", "--subset", "val")
    assert Path("runs/own_fold1/predictions/val.csv").read_text() == before
    call("report", "runs/own_fold1")


@pytest.mark.slow
def test_drawn_folds(videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = write_config(videos, tmp_path, data__val=[], data__folds=3)
    call("train", config, "--fold", "2")
    run = Path("runs/own_fold2")
    held_out = [
        line.split(",")[0] for line in (run / "predictions/val.csv").read_text().splitlines()[1:]
    ]
    subjects = {
        line.split(",")[0]: line.split(",")[2]
        for line in Path("clips.csv").read_text().splitlines()[1:]
    }
    others = set(subjects) - set(held_out)
    assert held_out
    assert not {subjects[name] for name in held_out} & {subjects[name] for name in others}
    call("eval", run)
    call("report", run)


def test_folds_that_do_not_exist(videos: Path, tmp_path: Path) -> None:
    config = write_config(videos, tmp_path)

    def message(*arguments: object) -> str:
        words = ["train", str(config), *map(str, arguments), "--out", str(tmp_path / "run")]
        result = CliRunner().invoke(app, words)
        assert isinstance(result.exception, MmadError), result.output
        return str(result.exception)

    assert "there is no fold 3; found 1, 2" in message("--fold", 3)
    assert "has the folds 1, 2; choose the one to hold out: pass --fold 1" in message()
    drawn = ("data.val=[]", "data.folds=3")
    assert "there is no fold 4: data.folds is 3; expected 1 to 3" in message(*drawn, "--fold", 4)
    assert "leave data.val empty" in message("data.folds=3", "--fold", 1)
    assert not (tmp_path / "run").exists()
    with pytest.raises(ConfigError, match="--fold 1: folds are of clips, and this run is of detec"):
        with_fold(tiny_config(videos), "1")


@pytest.mark.slow
def test_what_a_summary_refuses(folds: Path, tmp_path: Path) -> None:
    one = folds / "runs/own_fold1/predictions/val.csv"

    def refused(*arguments: object) -> pytest.ExceptionInfo[MmadError]:
        with pytest.raises(MmadError) as error:
            CliRunner().invoke(app, ["eval", *map(str, arguments)], catch_exceptions=False)
        return error

    assert "passed twice; expected a file for each fold" in str(refused(one, one).value)
    other = tmp_path / "other.csv"
    other.write_text("vid,action_pred_1\na.mp4,0\n")
    error = refused(one, other)
    assert "has other classes (52) than" in str(error.value)
    assert error.type is PredictionError
    found = tmp_path / "detections.csv"
    found.write_text(",video_id,t_start,t_end,class,score\n0,a,0,1,2,0.5\n")
    assert "several files are the folds of a recogniser" in str(refused(found, found).value)


def test_a_path_with_a_fold_needs_no_brackets() -> None:
    lists = [f"data.{name}=ucf/{name}list0{{fold}}.txt" for name in ("train", "val")]
    config = load_any_config(
        "configs/recognition/own_labels.yaml", overrides=[*lists, "data.folds=null"]
    )
    assert config.data.train == ["ucf/trainlist0{fold}.txt"]
    assert config.data.val == ["ucf/vallist0{fold}.txt"]


def test_the_shipped_config_reads_and_shows_its_folds() -> None:
    config = load_any_config("configs/recognition/own_labels.yaml")
    assert config.data.folds == 3
    assert config.data.labels.endswith("labels.csv")
