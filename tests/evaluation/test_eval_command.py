import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mmad.cli.eval import app, newest_predictions
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
        (["--protocol", "coco"], PredictionError, "expected one of mma52, opentad, actionformer"),
        (["--level", "leg"], PredictionError, "expected action, body or both"),
        (["--tiou", "0"], PredictionError, "--tiou 0: expected"),
        (["--runs", "nowhere"], PredictionError, "no run in it has"),
        (["none.csv"], PredictionError, "none.csv: there is no such file"),
        ([__file__, "--annotations", "none.json"], AnnotationError, "none.json"),
        (
            [__file__],
            PredictionError,
            "not in a run folder that says data.annotations; say --annotations",
        ),
    ],
)
def test_wrong_arguments(arguments: list[str], error: type[MmadError], expected: str) -> None:
    with pytest.raises(error, match=expected):
        CliRunner().invoke(app, arguments, catch_exceptions=False)


def test_a_run_without_annotations_in_its_config(tmp_path: Path, annotations: Path) -> None:
    path = make_run(tmp_path / "runs", "r", annotations, seconds=1000)
    (tmp_path / "runs" / "r" / "config.yaml").write_text("data: 3\n")
    with pytest.raises(PredictionError, match=r"not in a run folder that says data\.annotations"):
        call(path)
