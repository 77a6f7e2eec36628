import importlib
import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mmad.cli.eval import app, newest_predictions
from mmad.config.reading import dump_config, load_any_config
from mmad.errors import AnnotationError, MmadError, PredictionError

HEADER = ",video_id,t_start,t_end,class,score\n"


@pytest.fixture
def annotations(tmp_path: Path) -> Path:
    path = tmp_path / "truth.json"
    video = {"subset": "val", "duration": 30.0, "actions": [[9, 0.0, 10.0], [24, 5.0, 20.0]]}
    path.write_text(json.dumps({"val0000": video}))
    return path


def make_run(runs: Path, name: str, annotations: Path, *, seconds: int) -> Path:
    path = runs / name / "predictions" / "val.csv"
    path.parent.mkdir(parents=True)
    path.write_text(HEADER + "0,val0000,0,10,9,0.5\n")
    (runs / name / "config.yaml").write_text(f"data:\n  annotations: {annotations}\n")
    os.utime(path, (seconds, seconds))
    return path


def call(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_newest_run_is_scored(tmp_path: Path, annotations: Path) -> None:
    make_run(tmp_path / "runs", "old", annotations, seconds=1000)
    newest = make_run(tmp_path / "runs", "new", annotations, seconds=2000)
    assert newest_predictions(tmp_path / "runs", subset="val") == newest
    numbers = tmp_path / "numbers" / "n.json"
    out = call("--runs", tmp_path / "runs", "--json", numbers)
    assert f"predictions: {newest}" in out.replace("\n", "")
    content = json.loads(numbers.read_text())
    assert content["protocol"] == "mma52"
    assert len(content["tiou"]) == 9
    # One of the two classes is found, at every threshold.
    assert content["action"]["map"] == [1 / 2] * 9
    assert content["action"]["per_class"] == {"9": [1.0] * 9, "24": [0.0] * 9}
    assert content["body"]["average"] == content["avg"] == 1 / 2
    assert "50 classes without annotations" in out


def test_one_level_and_chosen_thresholds(tmp_path: Path, annotations: Path) -> None:
    path = make_run(tmp_path / "runs", "r", annotations, seconds=1000)
    out = call(path, "--annotations", annotations, "--tiou", "0.2,0.5,0.7", "--level", "action")
    assert "@0.2" in out
    assert "@0.9" not in out
    assert "body" not in out.partition("classes without")[0]


@pytest.mark.parametrize(
    ("arguments", "error", "expected"),
    [
        (["--tiou", "0"], PredictionError, "--tiou 0: expected"),
        (["--runs", "nowhere"], PredictionError, "no run in it has"),
        (["none.csv"], PredictionError, "none.csv: there is no such file"),
        ([__file__, "--annotations", "none.json"], AnnotationError, "none.json"),
        (
            [__file__],
            PredictionError,
            "not in a run folder that names data.annotations; pass --annotations",
        ),
    ],
)
def test_wrong_arguments(arguments: list[str], error: type[MmadError], expected: str) -> None:
    with pytest.raises(error, match=expected):
        CliRunner().invoke(app, arguments, catch_exceptions=False)


def test_a_run_without_annotations_in_its_config(tmp_path: Path, annotations: Path) -> None:
    path = make_run(tmp_path / "runs", "r", annotations, seconds=1000)
    (tmp_path / "runs" / "r" / "config.yaml").write_text("data: 3\n")
    with pytest.raises(PredictionError, match=r"not in a run folder that names data\.annotations"):
        call(path)


def test_reversed_and_empty_rows_are_counted(tmp_path: Path, annotations: Path) -> None:
    path = make_run(tmp_path / "runs", "r", annotations, seconds=1000)
    path.write_text(path.read_text() + "1,val0000,7,3,24,0.9\n2,val0000,4,4,24,0.8\n")
    out = call(path, "--json", tmp_path / "n.json").replace("\n", " ")
    assert "1 with end before start, 1 with zero length; first line 3: video 'val0000'" in out
    assert "each counts as a false positive" in out
    content = json.loads((tmp_path / "n.json").read_text())
    assert content["counts"] == {"reversed_rows": 1, "empty_rows": 1}
    assert content["action"]["map"] == [1 / 2] * 9
    with pytest.raises(PredictionError, match="line 3: video 'val0000': ends"):
        call(path, "--strict")


def test_only_predicted_videos(tmp_path: Path, annotations: Path) -> None:
    content = json.loads(annotations.read_text())
    content["val0001"] = content["val0002"] = content["val0000"]
    annotations.write_text(json.dumps(content))
    path = make_run(tmp_path / "runs", "r", annotations, seconds=1000)
    call(path, "--json", tmp_path / "all.json")
    out = call(path, "--only-predicted", "--json", tmp_path / "few.json")
    assert "warning: 2 of 3 annotated videos have no predictions and are left out" in out
    everything, few = (json.loads((tmp_path / f"{n}.json").read_text()) for n in ("all", "few"))
    assert (everything["action"]["average"], few["action"]["average"]) == (1 / 3 / 2, 1 / 2)
    assert few["counts"]["videos_left_out"] == 2
    path.write_text(HEADER)
    with pytest.raises(PredictionError, match="no annotated video of subset val has predictions"):
        call(path, "--only-predicted")


def test_only_predicted_clips(tmp_path: Path) -> None:
    guesses = tmp_path / "p.csv"
    guesses.write_text("vid,action_pred_1,body_pred_1\na.mp4,9,1\n")
    (tmp_path / "val.txt").write_text("a.mp4 9\nb.mp4 8\n")
    with pytest.raises(PredictionError, match="1 of 2 annotated clips have no prediction"):
        call(guesses, "--annotations", tmp_path / "val.txt")
    out = call(guesses, "--annotations", tmp_path / "val.txt", "--only-predicted")
    assert "warning: 1 of 2 annotated clips have no prediction and are left out" in out


def make_trial(runs: Path, name: str, *, embedding: str) -> Path:
    """A run of MANet with one prediction, in two folds if there are two."""
    path = runs / name / "predictions" / "val.csv"
    path.parent.mkdir(parents=True)
    path.write_text("vid,action_pred_1,body_pred_1\na.mp4,9,1\n")
    (runs / "val.txt").write_text("a.mp4 9\n")
    config = load_any_config(
        "configs/recognition/manet_r50.yaml",
        overrides=[
            f"heads.embedding={embedding}",
            "heads.word_vectors=null",
            f"data.val=[{runs / 'val.txt'}]",
        ],
    )
    (runs / name / "config.yaml").write_text(dump_config(config))
    return path


def test_figures_of_trials_are_marked(tmp_path: Path) -> None:
    runs, numbers = tmp_path / "runs", tmp_path / "n.json"
    letters, whole = (
        make_trial(runs, name, embedding=embedding)
        for name, embedding in (("one", "letters"), ("two", "none"))
    )
    told = "heads.embedding=letters: the vectors of the labels have no meaning, so this is a trial,"
    told += " not MANet"
    said = " ".join(call(letters, "--json", numbers).split())
    assert f"trial: {told}" in said
    assert json.loads(numbers.read_text())["trial"] == told
    assert "trial" not in call(whole, "--json", numbers)
    assert "trial" not in json.loads(numbers.read_text())
    said = " ".join(call(letters, whole, "--json", numbers).split())
    assert "one (trial)" in said
    assert "two (trial)" not in said
    assert f"trial: {told}" in said
    assert json.loads(numbers.read_text())["trials"] == {"one": told}


def test_the_subset_of_a_run_is_its_own(tmp_path: Path, annotations: Path) -> None:
    annotations.write_text(annotations.read_text().replace('"val"', '"fold2"'))
    path = make_run(tmp_path / "runs", "r", annotations, seconds=1000)
    config = tmp_path / "runs" / "r" / "config.yaml"
    config.write_text(config.read_text() + "  val_subset: fold2\n")
    own = path.rename(path.with_name("fold2.csv"))
    assert f"predictions: {own}" in call("--runs", tmp_path / "runs").replace("\n", "")
    assert "1 video (0 without detections)" in call(own)
    with pytest.raises(PredictionError, match=r"no run in it has predictions/val\.csv"):
        call("--runs", tmp_path / "runs", "--subset", "val")


@pytest.mark.parametrize("command", ["eval", "error_analysis", "report"])
def test_placeholder_labels_are_warned_of(command: str, tmp_path: Path) -> None:
    """As in the published test file of MMA-52: frames 0 to 20 of each video, classes in turn."""
    content = {
        f"test{number:04d}": {
            "subset": "test",
            "duration": 9.0,
            "actions": [[number % 52, 0.0, 0.6667]],
        }
        for number in range(60)
    }
    (tmp_path / "truth.json").write_text(json.dumps(content))
    (tmp_path / "p.csv").write_text(HEADER + "0,test0000,0,1,0,0.5\n")
    app = importlib.import_module(f"mmad.cli.{command}").app
    arguments = ["p.csv", "--annotations", "truth.json", "--subset", "test"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert "warning: subset test: 60 of 60 videos have one instance" in result.output
    assert "placeholders of hidden annotations" in result.output


def test_labels_are_those_of_the_run(tmp_path: Path) -> None:
    """Annotations of one subset may lack labels that the run knows."""
    truth = tmp_path / "few.json"
    annotations = [{"segment": [0, 10], "label": "wave"}]
    video = {"subset": "val", "duration": 30.0, "annotations": annotations}
    truth.write_text(json.dumps({"database": {"val0000": video}}))
    path = make_run(tmp_path / "runs", "r", truth, seconds=1000)
    path.write_text(HEADER + "0,val0000,0,10,2,0.5\n")
    labels = {"names": ["nod", "shrug", "wave"]}
    (tmp_path / "runs" / "r" / "labels.json").write_text(json.dumps(labels))
    call(path, "--json", tmp_path / "n.json")
    content = json.loads((tmp_path / "n.json").read_text())
    assert content["action"]["per_class"] == {"2": [1.0] * 9}


def test_annotations_are_read_as_the_run_reads_them(tmp_path: Path) -> None:
    """Nouns, not verbs, and an instance beyond its video cut."""
    truth = tmp_path / "EPIC_100_validation.csv"
    header = "video_id,start_timestamp,stop_timestamp,verb_class,noun_class\n"
    truth.write_text(header + "P01,00:00:01.00,00:00:09.00,1,0\n")
    (tmp_path / "EPIC_100_video_info.csv").write_text("video_id,duration,fps\nP01,8.0,50\n")
    path = make_run(tmp_path / "runs", "r", truth, seconds=1000)
    path.write_text(HEADER + "0,P01,1,8,0,0.5\n")
    config = tmp_path / "runs" / "r" / "config.yaml"
    with pytest.raises(AnnotationError, match="reaches beyond the end of the video at 8"):
        call(path)
    config.write_text(config.read_text() + "  format: epic-noun-csv\n  out_of_video: clip\n")
    call(path, "--json", tmp_path / "n.json")
    assert json.loads((tmp_path / "n.json").read_text())["action"]["per_class"] == {"0": [1.0] * 9}
