"""Detections as arrays, and as supervision takes them."""

import numpy as np
import pytest

from mmad.arrays import at_time, boxes_at, by_frame, from_arrays, to_arrays
from mmad.errors import PredictionError
from mmad.labels import MA52
from mmad.structures import Detections

FOUND = Detections([[1.0, 2.0], [1.5, 4.0], [6.0, 7.0]], [9, 0, 3], [0.9, 0.4, 0.7])


def test_there_and_back() -> None:
    arrays = to_arrays(FOUND, MA52)
    assert arrays["data"]["class_name"].tolist() == [MA52.names[n] for n in (9, 0, 3)]
    by_name = from_arrays(**(arrays | {"class_id": None}), labels=MA52)
    for again in (from_arrays(**arrays), by_name):
        np.testing.assert_array_equal(again.segments_seconds, FOUND.segments_seconds)
        np.testing.assert_array_equal(again.labels, FOUND.labels)
        np.testing.assert_array_equal(again.scores, FOUND.scores)
    assert from_arrays([[0, 1]], [2]).scores.tolist() == [1.0]
    assert len(from_arrays(**to_arrays(Detections(), MA52))) == 0


def test_what_is_going_on_in_a_frame() -> None:
    active = by_frame(FOUND, fps=10)
    assert [active(n).labels.tolist() for n in (9, 10, 15, 20, 40)] == [[], [9], [9, 0], [0], []]
    assert at_time(Detections(), 3.0).labels.tolist() == []


@pytest.mark.slow
def test_supervision_takes_the_boxes() -> None:
    arguments = boxes_at(FOUND, 1.7, width=64, height=48, labels=MA52)
    assert arguments["xyxy"].tolist() == [[0, 0, 64, 48]] * 2
    supervision = pytest.importorskip("supervision")
    detections = supervision.Detections(**arguments)
    assert detections.class_id.tolist() == [9, 0]
    assert detections["class_name"].tolist() == [MA52.names[9], MA52.names[0]]
    image = np.zeros((48, 64, 3), dtype=np.uint8)
    assert supervision.BoxAnnotator().annotate(image.copy(), detections).any()
    assert len(supervision.Detections(**boxes_at(FOUND, 5.0, width=64, height=48))) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"segments": [[0, 1]]}, r"expected class_id, or data\['class_name'\] and labels"),
        ({"segments": [[0, 1]], "class_id": [1, 2]}, "1 segments, 2 labels"),
        ({"segments": [[0, 1, 2]], "class_id": [1]}, r"expected shape \(N, 2\)"),
        ({"segments": [[2, 1]], "class_id": [1]}, "ends .* before it starts"),
        (
            {"segments": [[0, 1]], "data": {"class_name": ["noding"]}, "labels": MA52},
            "did you mean 'nodding'",
        ),
    ],
)
def test_bad_arrays_are_one_message(arguments: dict, message: str) -> None:
    with pytest.raises(PredictionError, match=f"arrays: .*{message}"):
        from_arrays(**arguments)
