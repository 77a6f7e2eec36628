import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mmad.annotations.formats import read_annotations
from mmad.cli.agreement import app
from mmad.errors import AnnotationError, MmadError, PredictionError
from mmad.labels import MA52

NODDING, SHAKING_HEAD, WAVING = MA52.index("B1"), MA52.index("B2"), MA52.index("C5")


def write(path: Path, actions: Sequence, *, subset: str = "val", video: str = "v") -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({video: {"subset": subset, "duration": 10, "actions": actions}}))
    return path


def call(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_command_with_annotations_predictions_and_outputs(tmp_path: Path) -> None:
    ada = write(tmp_path / "ada.json", [[NODDING, 0, 4], [WAVING, 5, 7]])
    model = tmp_path / "model.csv"
    model.write_text(
        "video_id,t_start,t_end,class,score\n"
        "v,0,4.2,nodding,0.9\nv,5,7,waving,0.2\nother,0,1,nodding,0.9\n"
    )
    agreed, numbers = tmp_path / "out/agreed.json", tmp_path / "numbers.json"
    outputs = ["--consensus", agreed, "--json", numbers]
    out = call(ada, model, *outputs, "--level", "action", "--labels", "ma52")
    assert "1 video is annotated by all" in out
    assert "1 other is left out: other (only model)" in out
    assert "1 instance reliable" in out
    assert "body level" not in out
    level = json.loads(numbers.read_text())["pairs"][0]["action"]
    assert level["matched"][0]["f1"] == 2 * 1 / (2 + 1)
    assert level["matched"][0]["end"]["mean"] == pytest.approx(4.2 - 4)
    (record,) = read_annotations(agreed).records
    np.testing.assert_allclose(record.annotations.segments_seconds, [(0, (4 + 4.2) / 2)])
    assert (record.subset, record.duration_seconds) == ("val", 10)
    with open(tmp_path / "out/agreed_disputed.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row == {
        "video_id": "v",
        "start_seconds": "5.0",
        "end_seconds": "7.0",
        "label": "waving",
        "seen_by": "ada",
        "missed_by": "model",
    }
    low = call(ada, model, "--min-score", "0.1", "--json", numbers, "--labels", "ma52")
    assert "body level" in low
    assert json.loads(numbers.read_text())["pairs"][0]["action"]["matched"][0]["f1"] == 1


def test_files_with_one_name_and_subsets(tmp_path: Path) -> None:
    one = write(tmp_path / "ada/s.json", [[NODDING, 0, 4]])
    two = write(tmp_path / "ben/s.json", [[NODDING, 0, 4]])
    assert "ada/s and ben/s, action level" in call(one, two, "--subset", "validation")
    with pytest.raises(AnnotationError, match="--subset train: no video of it; found val"):
        call(one, two, "--subset", "train")


def own_labels(path: Path, *names: str) -> Path:
    annotations = [{"segment": [0, 1], "label": name} for name in names]
    content = {"database": {"v": {"subset": "val", "duration": 9, "annotations": annotations}}}
    path.write_text(json.dumps(content))
    return path


def test_label_sets_of_their_own(tmp_path: Path) -> None:
    a = own_labels(tmp_path / "a.json", "smile", "frown", "blink")
    b = own_labels(tmp_path / "b.json", "smile", "Frown", "jump")
    with pytest.raises(AnnotationError, match=r"(?s)only .*a.json: blink\n.*b.json: jump"):
        call(a, b)
    truth = write(tmp_path / "truth.json", [[NODDING, 0, 4]])
    with pytest.raises(AnnotationError, match=r"only .*a.json: blink, frown, smile$"):
        call(truth, a)
    own_labels(b, "Frown", "smile", "blink")
    agreed = tmp_path / "agreed.json"
    assert "3 instances reliable" in call(a, b, "--consensus", agreed)
    # What rich would take for markup is shown as it is.
    brackets = [own_labels(tmp_path / f"{name}.json", "[red] a") for name in "cd"]
    assert "[red] a" in call(*brackets)
    assert read_annotations(agreed).labels.names == ("blink", "frown", "smile")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["truth.json"], AnnotationError, "at least two files to compare, found 1"),
        (["truth.json", "none.json"], AnnotationError, "none.json: annotation file not found"),
        (["p.csv", "p.csv"], AnnotationError, "all files are predictions, which hold no durations"),
        (["truth.json", "bad.csv"], PredictionError, "bad.csv: line 2: video 'v': unknown label"),
        (["truth.json", "p.csv", "--tiou", "2"], PredictionError, "--tiou 2: expected"),
        (["truth.json", "p.csv", "--json", "p.csv"], MmadError, "is one of the files to compare"),
        (["truth.json", "p.csv", "--consensus", "a.eaf"], MmadError, "ends in .json"),
    ],
)
def test_wrong_arguments(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    error: type[MmadError],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "truth.json", [[NODDING, 0, 4]])
    header = "video_id,t_start,t_end,class,score\n"
    (tmp_path / "p.csv").write_text(header + "v,0,4,9,0.9\n")
    (tmp_path / "bad.csv").write_text(header + "v,0,4,99,0.9\n")
    with pytest.raises(error, match=message):
        call(*arguments)
