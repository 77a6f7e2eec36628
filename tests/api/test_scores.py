import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mmad
from mmad.annotations.formats import AnnotationSet
from support.commands import run_mmad


@pytest.fixture(scope="module")
def annotations(videos: Path) -> Path:
    return videos / "annotations" / "mma52.json"


@pytest.fixture(scope="module")
def predictions(annotations: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every second annotation of the subset, found half a second late, and one of zero length."""
    found = []
    for record in mmad.read_annotations(annotations, subset="val").records:
        chosen = record.annotations[::2]
        segments = np.concatenate([chosen.segments_seconds + 0.1, [[1.0, 1.0]]])
        labels = np.concatenate([chosen.labels, [3]])
        scores = np.linspace(0.9, 0.2, len(labels))
        found.append(mmad.Detections(segments, labels, scores, video=record, label_map=mmad.MA52))
    return mmad.write_predictions(tmp_path_factory.mktemp("found") / "found.csv", found)


def test_scores_are_those_of_the_command(
    predictions: Path, annotations: Path, tmp_path: Path
) -> None:
    with pytest.warns(mmad.MmadWarning, match="zero length"):
        scores = mmad.evaluate(predictions, annotations)
    out = tmp_path / "numbers.json"
    run_mmad(["eval", predictions, "--annotations", annotations, "--json", out])
    assert json.loads(out.read_text()) == json.loads(json.dumps(scores.numbers))
    assert scores.figures["action_map"] > 0
    assert scores.figures["average"] == pytest.approx(
        (scores.figures["action_map"] + scores.figures["body_map"]) / 2
    )
    assert repr(scores).endswith(f"average {100 * scores.figures['average']:.2f} (%)>")
    assert len(scores.to_frame()) == 18


@pytest.mark.filterwarnings("ignore::mmad.errors.MmadWarning")
def test_what_is_in_memory_scores_like_its_file(predictions: Path, annotations: Path) -> None:
    expected = mmad.evaluate(predictions, annotations).figures
    found = mmad.read_predictions(predictions)
    read = mmad.read_annotations(annotations)
    assert isinstance(read, AnnotationSet)
    assert mmad.evaluate(found, annotations).figures == expected
    assert mmad.evaluate(found, read, subset="val").figures == expected
    assert mmad.evaluate(mmad.to_frame(found), read).figures == expected
    assert mmad.evaluate(predictions, read).figures == expected
    worse = [one[one.scores > 0.5] for one in found]
    first, second = mmad.evaluate(worse, read), mmad.evaluate(found, read)
    gain = first.compare(second, resamples=20)["action"]
    assert gain["difference"] == pytest.approx(
        second.figures["action_map"] - first.figures["action_map"]
    )
    low, high = second.interval(resamples=20)
    assert low <= high
    assert set(mmad.to_frame(read)["subset"]) == {"train", "val"}


@pytest.mark.filterwarnings("ignore::mmad.errors.MmadWarning")
def test_errors_are_those_of_the_command(
    predictions: Path, annotations: Path, tmp_path: Path
) -> None:
    errors = mmad.error_analysis(predictions, annotations)
    out = tmp_path / "errors.json"
    run_mmad(["error-analysis", predictions, "--annotations", annotations, "--json", out])
    assert json.loads(out.read_text()) == json.loads(json.dumps(errors.numbers))
    tables = errors.tables()
    assert list(tables["action_gain"].columns)
    assert "missed" in repr(errors)


@pytest.mark.filterwarnings("ignore::mmad.errors.MmadWarning")
def test_what_does_not_fit_is_said_in_python(predictions: Path, annotations: Path) -> None:
    found = mmad.read_predictions(predictions, labels="ma52")
    for call, message in (
        (lambda: mmad.evaluate(predictions), "pass annotations=FILE"),
        (lambda: mmad.evaluate(found), "pass annotations=FILE"),
        (lambda: mmad.evaluate(found, annotations, tiou="2"), "tiou=2: expected a number"),
        (lambda: mmad.evaluate(found, annotations, subset="test"), "no videos of subset test"),
        (lambda: mmad.evaluate([*found, *found], annotations), "two sets of detections"),
        (lambda: mmad.evaluate("none.csv", annotations), "there is no such file"),
        (lambda: mmad.read_predictions("none.csv"), "there is no such file of predictions"),
        (lambda: mmad.read_annotations("none.json"), "none.json"),
        (lambda: mmad.read_predictions(predictions, strict=True), "starts and ends"),
    ):
        with pytest.raises(mmad.MmadError, match=message):
            call()


@pytest.mark.filterwarnings("ignore:1 of 2 annotated videos")
def test_detections_of_one_video_need_no_list(annotations: Path, tmp_path: Path) -> None:
    record = mmad.read_annotations(annotations, subset="val").records[0]
    chosen = record.annotations
    scores = np.linspace(0.9, 0.2, len(chosen))
    found = mmad.Detections(
        chosen.segments_seconds, chosen.labels, scores, video=record, label_map=mmad.MA52
    )
    one = mmad.evaluate(found, annotations, tiou=[0.5, 0.7], only_predicted=True)
    listed = mmad.evaluate([found], annotations, tiou="0.5,0.7", only_predicted=True)
    assert one.numbers == listed.numbers
    assert mmad.error_analysis(found, annotations, tiou=0.5, only_predicted=True).numbers
    assert mmad.write_predictions(tmp_path / "one.csv", found).is_file()
    assert mmad.write_predictions(tmp_path / "one.json", found).is_file()


@pytest.mark.parametrize("given", [None, 5, [3], ["a.csv"]])
def test_what_is_no_prediction_is_named(given: Any, annotations: Path) -> None:
    with pytest.raises(mmad.MmadError, match=r"expected .*; found (NoneType|int|str)"):
        mmad.evaluate(given, annotations)


def test_notices_of_annotations_are_warnings(tmp_path: Path) -> None:
    late = {"database": {"a": {"subset": "val", "duration": 5, "annotations": []}}}
    late["database"]["a"]["annotations"] = [{"segment": [1, 9], "label": "nodding"}]
    path = tmp_path / "late.json"
    path.write_text(json.dumps(late))
    with pytest.warns(mmad.MmadWarning) as caught:
        mmad.read_annotations(path, out_of_video="clip")
    assert caught[0].filename == __file__
