import numpy as np
import pytest

from mmad.errors import PredictionError
from mmad.evaluation.detection import evaluate_detections, parse_tiou
from mmad.labels import MA52, flat_labels
from mmad.structures import Annotations, Detections, VideoRecord

HALF = np.array([0.5])


def record(video: str, *instances: tuple[float, float, int]) -> VideoRecord:
    table = np.array(instances, dtype=float).reshape(-1, 3)
    return VideoRecord(video, 60.0, "val", annotations=Annotations(table[:, :2], table[:, 2]))


def found(*rows: tuple[float, float, int, float]) -> Detections:
    table = np.array(rows, dtype=float).reshape(-1, 4)
    return Detections(table[:, :2], table[:, 2], table[:, 3])


def ap(detections: dict, records: list, *, protocol: str = "actionformer", tiou=HALF) -> float:
    report = evaluate_detections(
        detections, records, labels=MA52, tiou=tiou, protocol=protocol, levels=("action",)
    )
    return report.levels["action"].average


def test_average_precision_by_hand() -> None:
    truth = [record("a", (0, 10, 9), (20, 30, 9))]
    hits = {"a": found((0, 10, 9, 0.9), (50, 55, 9, 0.8), (20, 29, 9, 0.7))}
    assert ap(hits, truth) == 1 / 2 * 1 + 1 / 2 * 2 / 3


def test_a_second_detection_of_one_instance_is_wrong() -> None:
    truth = [record("a", (0, 10, 9), (40, 50, 9))]
    twice = {"a": found((0, 10, 9, 0.9), (0, 9, 9, 0.8), (40, 50, 9, 0.7))}
    assert ap(twice, truth) == 1 / 2 * 1 + 1 / 2 * 2 / 3


def test_the_next_best_instance_is_taken_when_the_best_is_gone() -> None:
    truth = [record("a", (0, 10, 9), (2, 12, 9))]
    assert ap({"a": found((0, 10, 9, 0.9), (0.5, 10.5, 9, 0.8))}, truth) == 1.0


@pytest.mark.parametrize(("first", "expected"), [(True, 1.0), (False, 1 / 2)])
def test_of_equal_scores_the_first_in_the_file_wins(first: bool, expected: float) -> None:
    rows = [(0, 10, 9, 0.5), (30, 40, 9, 0.5)]
    truth = [record("a", (0, 10, 9))]
    assert ap({"a": found(*(rows if first else rows[::-1]))}, truth) == expected


def test_exactly_at_the_threshold() -> None:
    truth = [record("a", (0, 10, 9))]
    exact = {"a": found((0, 5, 9, 1.0))}
    assert ap(exact, truth) == 1.0
    assert ap(exact, truth, protocol="opentad") == 1.0
    assert ap(exact, truth, protocol="mma52") == 0.0  # 5 / 10.0001 is below a half


def test_zero_length_detection_is_a_false_positive() -> None:
    truth = [record("a", (0, 10, 9))]
    assert ap({"a": found((3, 3, 9, 0.9), (0, 10, 9, 0.5))}, truth) == 1 / 2


def test_body_level_maps_labels_and_keeps_duplicates() -> None:
    truth = [record("a", (0, 10, 9))]
    report = evaluate_detections(
        {"a": found((0, 10, 8, 0.9), (0, 10, 9, 0.8))}, truth, labels=MA52, tiou=HALF
    )
    assert report.levels["action"].average == 1.0
    assert report.levels["body"].average == 1.0  # nodding and turning head are both head
    assert report.avg == 1.0
    assert len(report.levels["body"].left_out) == 6


def test_duplicate_annotations_differ_by_protocol() -> None:
    truth = [record("a", (0, 10, 9), (0, 10.0005, 9))]
    one = {"a": found((0, 10, 9, 0.9))}
    assert ap(one, truth, protocol="mma52") == 1 / 2
    assert ap(one, truth, protocol="opentad") == 1.0


def test_duplicates_are_counted_from_annotations_that_stay() -> None:
    # The second repeats the first; the third repeats only the second, which is gone.
    truth = [record("a", (0, 10, 9), (0, 10.0008, 9), (0, 10.0016, 9))]
    three = {"a": found((0, 10, 9, 0.9), (0, 10, 9, 0.8))}
    assert ap(three, truth, protocol="opentad") == 1.0
    report = evaluate_detections(three, truth, labels=MA52, tiou=HALF, protocol="opentad")
    assert len(report.levels["action"].matches.annotations) == 2


def test_nothing_found_and_nothing_there() -> None:
    truth = [record("a", (0, 10, 9)), record("b")]
    report = evaluate_detections({}, truth, labels=MA52, tiou=HALF)
    assert report.levels["action"].average == 0.0
    assert report.num_videos_without_detections == 2
    assert 9 not in report.levels["action"].left_out
    assert len(report.levels["action"].left_out) == 51
    empty = evaluate_detections({"b": found((0, 1, 3, 0.5))}, [record("b")], labels=MA52, tiou=HALF)
    assert empty.levels["action"].average == 0.0


def test_labels_without_parents_have_one_level() -> None:
    labels = flat_labels(["x", "y"])
    report = evaluate_detections({}, [record("a", (0, 1, 1))], labels=labels, tiou=HALF)
    assert list(report.levels) == ["action"]


def test_unknown_video_is_an_error() -> None:
    with pytest.raises(PredictionError, match="video 'z' is not in the ground truth"):
        ap({"z": found((0, 1, 9, 0.5))}, [record("a", (0, 1, 9))])


def slow_ap(detections: dict, records: list, label: int, threshold: float) -> float:
    """The definition, one detection at a time."""
    truth = [
        (r.video_id, *s)
        for r in records
        for s, c in zip(r.annotations.segments_seconds, r.annotations.labels, strict=True)
        if c == label
    ]
    rows = [
        (score, video, *segment)
        for video, d in detections.items()
        for segment, c, score in zip(d.segments_seconds, d.labels, d.scores, strict=True)
        if c == label
    ]
    rows.sort(key=lambda row: -row[0])
    taken: set[int] = set()
    hits = []
    for _, video, start, end in rows:
        best, best_iou = -1, 0.0
        for k, (other, a, b) in enumerate(truth):
            inner = max(0.0, min(end, b) - max(start, a))
            iou = inner / ((end - start) + (b - a) - inner) if inner else 0.0
            if other == video and k not in taken and iou >= threshold and iou > best_iou:
                best, best_iou = k, iou
        taken.add(best)
        hits.append(best >= 0)
    precision = [sum(hits[: k + 1]) / (k + 1) for k in range(len(hits))]
    return sum(max(precision[k:]) for k in range(len(hits)) if hits[k]) / len(truth)


def test_against_a_plain_loop_on_random_data() -> None:
    rng = np.random.default_rng(0)

    def segments(count: int) -> np.ndarray:
        start = rng.uniform(0, 20, count)
        return np.stack([start, start + rng.exponential(4, count) + 0.1], 1)

    records, detections = [], {}
    for number in range(12):
        count = int(rng.integers(1, 7))
        truth = Annotations(segments(count), rng.integers(0, 3, count))
        records.append(VideoRecord(f"v{number}", 30.0, "val", annotations=truth))
        near = truth.segments_seconds[rng.integers(0, count, 40)] + rng.normal(0, 0.7, (40, 2))
        near.sort(axis=1)
        detections[f"v{number}"] = Detections(near, rng.integers(0, 3, 40), rng.random(40))
    tiou = parse_tiou("0.1:0.9")
    report = evaluate_detections(
        detections, records, labels=MA52, tiou=tiou, protocol="actionformer", levels=("action",)
    )
    for label in range(3):
        expected = [slow_ap(detections, records, label, threshold) for threshold in tiou]
        np.testing.assert_allclose(
            report.levels["action"].per_class[:, label], expected, atol=1e-12
        )


def test_thresholds_have_the_official_floats() -> None:
    assert parse_tiou("0.1:0.9").tolist() == np.linspace(0.1, 0.9, 9).tolist()
    assert parse_tiou("0.5:0.95:0.05").tolist() == np.linspace(0.5, 0.95, 10).tolist()
    for text in ("x", "0", "1.5", "0.1:0.9:0", "0.1:inf", "0.1:1e9", "0.1:0.95", "0.1:0.2:0.1:1"):
        with pytest.raises(PredictionError, match="--tiou"):
            parse_tiou(text)


def test_body_level_of_labels_without_body_parts_is_an_error() -> None:
    labels = flat_labels(["x"])
    with pytest.raises(PredictionError, match="no body parts"):
        evaluate_detections({}, [record("a")], labels=labels, tiou=HALF, levels=("body",))


def test_zero_length_annotation_by_protocol() -> None:
    truth = [record("a", (0, 10, 9), (3, 3, 9))]
    one = {"a": found((0, 10, 9, 0.9))}
    assert ap(one, truth, protocol="opentad") == 1.0
    assert ap(one, truth, protocol="actionformer") == 1 / 2
    assert ap(one, truth, protocol="mma52") == 1 / 2


def test_many_identical_detections_take_one_annotation_each() -> None:
    truth = [record("a", *[(0, 10 + k / 100, 9) for k in range(5)])]
    same = {"a": found(*[(0, 10, 9, 0.5)] * 8)}
    assert ap(same, truth, protocol="mma52") == 1.0


def test_a_lower_scored_false_positive_never_raises_ap() -> None:
    truth = [record("a", (0, 10, 9), (20, 30, 9))]
    rows = [(0, 10, 9, 0.9), (50, 60, 9, 0.8), (20, 30, 9, 0.7)]
    before = ap({"a": found(*rows)}, truth)
    assert before == 1 / 2 * 1 + 1 / 2 * 2 / 3
    assert ap({"a": found(*rows, (70, 80, 9, 0.1))}, truth) == before
