"""``mmad figures`` of detectors: files, numbers, and what cannot be drawn."""

import csv
import json
from pathlib import Path

import pytest

from mmad.cli.figures import app
from mmad.errors import PredictionError
from support.commands import invoke
from support.recognisers import make_recogniser

pytestmark = pytest.mark.slow

DETECTIONS = "0,val0000,0,4,9,0.9\n1,val0000,5,6,24,0.5\n2,val0001,0,1,9,0.4\n"


def figures(*words: object) -> str:
    return invoke(app, *words)


@pytest.fixture
def files(tmp_path: Path) -> tuple[object, ...]:
    """Predictions, and the option for their annotations."""
    truth, found = tmp_path / "truth.json", tmp_path / "found.csv"
    video = {"subset": "val", "duration": 9.0, "actions": [[9, 0, 4], [24, 5, 7]]}
    one = {"subset": "val", "duration": 9.0, "actions": [[9, 0, 2]]}
    truth.write_text(json.dumps({"val0000": video, "val0001": one}))
    found.write_text(",video_id,t_start,t_end,class,score\n" + DETECTIONS)
    return found, "--annotations", truth


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_profiles_of_both_levels(files: tuple[object, ...], tmp_path: Path) -> None:
    out, numbers = tmp_path / "f.pdf", tmp_path / "f.csv"
    words = (*files, "--out", out, "--csv", numbers)
    assert "(3.5 x" in figures("false-negatives", *words, "--width", "column")
    cells = {(row["level"], row["characteristic"]): row for row in rows_of(numbers)}
    # Of three annotations the detections match all at tIoU 0.5: 4 / 4, 1 / 2 and 1 / 2.
    assert (cells["action", "all"]["annotations"], cells["action", "all"]["percent"]) == (
        "3", "0.0"
    )  # fmt: skip
    figures("false-positives", *words, "--tiou", "0.7", "--level", "action")
    shares = {row["outcome"]: row["percent"] for row in rows_of(numbers) if row["rank"] == "1G"}
    assert float(shares["true positive"]) == pytest.approx(100 / 3)
    assert {row["level"] for row in rows_of(numbers)} == {"action"}


def test_detections_of_chosen_videos(files: tuple[object, ...], tmp_path: Path) -> None:
    out, numbers = tmp_path / "f.svg", tmp_path / "f.csv"
    words = (*files, "--out", out, "--csv", numbers)
    figures("detections", *words)
    assert [row["video"] for row in rows_of(numbers)] == ["val0000"] * 4 + ["val0001"] * 2
    figures("detections", *words, "--video", "val0001", "--best", 1)
    assert [(row["row"], row["tiou"]) for row in rows_of(numbers)] == [
        ("gt-1", ""), ("pred-1", "0.5")
    ]  # fmt: skip


def test_what_cannot_be_drawn_is_told(files: tuple[object, ...], tmp_path: Path) -> None:
    out = ("--out", tmp_path / "f.pdf")
    with pytest.raises(PredictionError, match="false-positives shows predictions; pass a run"):
        figures("false-positives", *out)
    recogniser = make_recogniser(tmp_path / "run", details=False)
    with pytest.raises(PredictionError, match="of a recogniser; detections shows those of a det"):
        figures("detections", recogniser, *out)
    with pytest.raises(PredictionError, match="--video x: is none of 2 annotated videos"):
        figures("detections", *files, "--video", "x", *out)
    with pytest.raises(PredictionError, match="there is no video val0000 in it"):
        figures("detections", *files, "--videos", tmp_path, *out)
    with pytest.raises(PredictionError, match="there is no such run or file of pred"):
        figures("sensitivity", tmp_path / "none.csv", *out)
