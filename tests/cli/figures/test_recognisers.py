"""``mmad figures`` of recognisers: what is drawn of which runs, and what cannot be drawn."""

import csv
import json
from pathlib import Path

import pytest

from mmad.cli.figures import app
from mmad.errors import PredictionError
from support.commands import invoke
from support.recognisers import IDS, make_recogniser

pytestmark = pytest.mark.slow


def figures(*words: object) -> str:
    return invoke(app, *words)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_two_recognisers_are_named_after_their_runs(tmp_path: Path) -> None:
    one, other = (make_recogniser(tmp_path / name, details=False) for name in ("manet", "tsm"))
    out, numbers = tmp_path / "f.svg", tmp_path / "f.csv"
    clips = ("--clip", "b", "--clip", "a.mp4")
    figures("probabilities", one, other, "--out", out, "--csv", numbers, *clips)
    rows = rows_of(numbers)
    assert list(dict.fromkeys((row["clip"], row["recogniser"]) for row in rows)) == [
        ("b.mp4", "manet"), ("b.mp4", "tsm"), ("a.mp4", "manet"), ("a.mp4", "tsm")
    ]  # fmt: skip
    # Every clip is recognised as label 0, "a", with 0.5; a and b are of one body part.
    shown = {(row["level"], row["label"]): float(row["probability"]) for row in rows}
    assert shown["action", "a"] == 0.5
    assert shown["body", "x"] == 0.5 + 0.25
    again = make_recogniser(tmp_path / "elsewhere" / "manet", details=False)
    figures("probabilities", one, again, "--out", out, "--csv", numbers)
    assert {row["recogniser"] for row in rows_of(numbers)} == {
        str(run / "predictions" / "val.csv") for run in (one, again)
    }


def test_features_and_confusion(tmp_path: Path) -> None:
    run, numbers = make_recogniser(tmp_path / "manet"), tmp_path / "f.csv"
    figures("features", run, "--out", tmp_path / "f.png", "--csv", numbers)
    assert [(row["clip"], row["annotated"]) for row in rows_of(numbers)] == [
        ("a.mp4", "a"), ("b.mp4", "b"), ("c.mp4", "c")
    ]  # fmt: skip
    out = ("--out", tmp_path / "f.png", "--csv", numbers)
    assert "(3.5 x" in figures("confusion", run, "--level", "body", *out)
    shown = {(row["annotated"], row["recognised_as"]): row["clips"] for row in rows_of(numbers)}
    # a and b are of x, c of y; all are recognised as a.
    assert shown == {("x", "x"): "2", ("x", "y"): "0", ("y", "x"): "1", ("y", "y"): "0"}


def test_what_cannot_be_drawn_is_told(tmp_path: Path) -> None:
    one = make_recogniser(tmp_path / "one", details=False)
    out = ("--out", tmp_path / "f.pdf")
    with pytest.raises(PredictionError, match=f"run mmad predict {one} --subset val --details"):
        figures("features", one, *out)
    with pytest.raises(PredictionError, match="probabilities shows predictions; pass a run"):
        figures("probabilities", *out)
    with pytest.raises(PredictionError, match="expected one recogniser or two, found 3"):
        figures("probabilities", one, one, one, *out)
    other = make_recogniser(tmp_path / "other", ids=(*IDS[:2], "x.mp4"), details=False)
    with pytest.raises(PredictionError, match=r"other: .* other clips than one .*lacks 1: c.mp4"):
        figures("probabilities", one, other, *out)
    labels = make_recogniser(tmp_path / "labels", details=False)
    (labels / "labels.json").write_text(json.dumps({"names": ["a", "b", "d"]}))
    with pytest.raises(PredictionError, match=r"labels.*has other classes \(3\) than"):
        figures("probabilities", one, labels, *out)
    with pytest.raises(PredictionError, match="--clip z: is none of the 3 annotated clips"):
        figures("probabilities", one, "--clip", "z", *out)
    detections = tmp_path / "detections.csv"
    detections.write_text(",video_id,t_start,t_end,class,score\n0,val0000,0,10,9,0.5\n")
    with pytest.raises(
        PredictionError, match="of a detector; confusion shows those of a recogniser"
    ):
        figures("confusion", detections, *out)
    assert not (tmp_path / "f.pdf").exists()
