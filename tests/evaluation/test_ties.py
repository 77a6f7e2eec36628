import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mmad.cli.eval import app
from mmad.evaluation.detection import DetectionReport, evaluate_detections, parse_tiou
from mmad.evaluation.predictions import (
    read_predictions,
    write_predictions_csv,
    write_predictions_json,
)
from mmad.evaluation.ties import TieRange, tie_range
from mmad.labels import MA52, flat_labels
from mmad.structures import Annotations, Detections, VideoRecord

HEADER = ",video_id,t_start,t_end,class,score\n"
HALF = np.array([0.5])
Row = tuple[str, float, float, int, float]


def records_of(truth: dict[str, list[tuple[float, float, int]]]) -> list[VideoRecord]:
    tables = {name: np.array(rows, dtype=float).reshape(-1, 3) for name, rows in truth.items()}
    return [
        VideoRecord(name, 60.0, "val", annotations=Annotations(table[:, :2], table[:, 2]))
        for name, table in tables.items()
    ]


def detections_of(rows: list[Row]) -> dict[str, Detections]:
    """Detections of a file with ``rows`` in this order."""
    found = {}
    for video in dict.fromkeys(row[0] for row in rows):
        places = [place for place, row in enumerate(rows) if row[0] == video]
        table = np.array([rows[place][1:] for place in places], dtype=float)
        found[video] = Detections(table[:, :2], table[:, 2], table[:, 3], places=np.array(places))
    return found


def evaluate(rows: list[Row], truth: dict, *, tiou: np.ndarray = HALF) -> DetectionReport:
    return evaluate_detections(
        detections_of(rows),
        records_of(truth),
        labels=flat_labels(["x", "y"]),
        tiou=tiou,
        protocol="actionformer",
    )


def range_of(rows: list[Row], truth: dict, **how: int) -> TieRange:
    return tie_range(evaluate(rows, truth).levels["action"], **how)


def plain_ap(rows: list[Row], truth: dict, label: int, threshold: float) -> float:
    """Average precision of a class by its definition; ``rows`` in the order in which they choose.

    Detection after detection takes the free annotation with the highest tIoU.
    """
    wanted = [(v, *one) for v, listed in truth.items() for one in listed if one[2] == label]
    taken: set[int] = set()
    hits = []
    for video, start, end, _, _ in (row for row in rows if row[3] == label):
        options = []
        for number, (other, a, b, _) in enumerate(wanted):
            inner = min(end, b) - max(start, a)
            tiou = inner / (end - start + b - a - inner)
            if other == video and inner > 0 and tiou >= threshold and number not in taken:
                options.append((-tiou, number))
        hits.append(bool(options))
        if options:
            taken.add(min(options)[1])
    precision = [sum(hits[: k + 1]) / (k + 1) for k in range(len(hits))]
    return sum(max(precision[k:]) for k in range(len(hits)) if hits[k]) / len(wanted)


def orders(rows: list[Row]) -> list[list[Row]]:
    """All orders in which the scores fall."""
    groups = [
        list(itertools.permutations([row for row in rows if row[4] == score]))
        for score in sorted({row[4] for row in rows}, reverse=True)
    ]
    return [list(itertools.chain(*chosen)) for chosen in itertools.product(*groups)]


def brute_force(rows: list[Row], truth: dict, tiou: np.ndarray) -> tuple[float, float]:
    """Lowest and highest mAP if each class and threshold had its own order."""
    labels = {label for listed in truth.values() for _, _, label in listed}
    cells = [
        [plain_ap(order, truth, label, threshold) for order in orders(rows)]
        for label in labels
        for threshold in tiou
    ]
    return float(np.mean([min(cell) for cell in cells])), float(np.mean([max(c) for c in cells]))


def random_case(seed: int, *, per_video: int) -> tuple[list[Row], dict]:
    """Six detections of two scores, close to annotations of two videos, on a grid."""
    rng = np.random.default_rng(seed)
    truth = {
        video: [
            (start, start + float(rng.integers(2, 6)), 0)
            for start in rng.permutation(5)[:per_video].astype(float)
        ]
        for video in "ab"
    }
    rows = []
    for _ in range(6):
        video = str(rng.choice(["a", "b"]))
        start = float(rng.integers(0, 8))
        end = start + float(rng.integers(1, 6))
        rows.append((video, start, end, 0, float(rng.choice([0.9, 0.5]))))
    return rows, truth


THRESHOLDS = np.array([0.2, 0.4, 0.6])


@pytest.mark.parametrize("seed", range(20))
def test_the_bounds_are_exact_with_one_annotation_in_a_video(seed: int) -> None:
    rows, truth = random_case(seed, per_video=1)
    level = evaluate(rows, truth, tiou=THRESHOLDS).levels["action"]
    found = tie_range(level)
    expected = brute_force(rows, truth, THRESHOLDS)
    assert (found.worst, found.best) == pytest.approx(expected, abs=1e-12)


def test_no_order_is_outside_of_the_bounds() -> None:
    exact = exact_without_search = 0
    for seed in range(30):
        rows, truth = random_case(seed, per_video=3)
        level = evaluate(rows, truth, tiou=THRESHOLDS).levels["action"]
        found, loose = tie_range(level), tie_range(level, most_states=0)
        worst, best = brute_force(rows, truth, THRESHOLDS)
        for bounds in (found, loose):
            assert bounds.worst <= worst + 1e-12 <= level.average + 2e-12
            assert level.average <= best + 1e-12 <= bounds.best + 2e-12
        assert loose.worst <= found.worst + 1e-12 <= found.best + 2e-12 <= loose.best + 3e-12
        exact += (found.worst, found.best) == pytest.approx((worst, best), abs=1e-12)
        exact_without_search += (loose.worst, loose.best) == pytest.approx((worst, best), abs=1e-12)
    assert exact >= 25 > 15 > exact_without_search


def test_without_ties_there_is_nothing_to_move() -> None:
    truth = {"a": [(0, 10, 0)]}
    rows = [("a", 30, 40, 0, 0.9), ("a", 0, 10, 0, 0.8)]
    assert range_of(rows, truth) == TieRange(0, 0.0, 1 / 2, 1 / 2)


def test_a_hit_may_come_first_or_last() -> None:
    truth = {"a": [(0, 10, 0)], "b": [(0, 10, 0)]}
    rows = [("a", 0, 10, 0, 0.9), ("a", 30, 40, 0, 0.5), ("b", 0, 10, 0, 0.5)]
    found = range_of(rows, truth)
    assert (found.num_tied, found.share) == (2, 2 / 3)
    assert found.worst == (1 + 2 / 3) / 2
    assert found.best == 1


def test_repeated_detections_leave_no_choice() -> None:
    """Whichever comes first is the hit, and the others follow."""
    truth = {"a": [(0, 10, 0), (20, 30, 0)]}
    rows = [("a", 0, 10, 0, 0.9), ("a", 0, 10, 0, 0.9), ("a", 20, 30, 0, 0.5)]
    found = range_of(rows, truth)
    assert found.num_tied == 2
    assert found.worst == found.best == pytest.approx((1 + 2 / 3) / 2)


def test_who_chooses_first_decides_how_many_hit() -> None:
    """The second can take the first annotation only, which the first prefers."""
    truth = {"a": [(0, 10, 0), (4, 14, 0)]}
    rows = [("a", 0, 12, 0, 0.9), ("a", 0, 9, 0, 0.9)]
    found = range_of(rows, truth)
    assert (found.worst, found.best) == (1 / 2, 1)


def test_ties_that_can_hit_nothing_do_not_count() -> None:
    truth = {"a": [(0, 10, 0)]}
    rows = [
        ("a", 0, 10, 0, 0.9),
        ("a", 30, 40, 0, 0.5),
        ("a", 40, 50, 0, 0.5),
        ("a", 30, 40, 1, 0.2),  # of a class without annotations
        ("a", 40, 50, 1, 0.2),
    ]
    assert range_of(rows, truth) == TieRange(0, 0.0, 1, 1)


def test_a_crowd_of_equal_detections_is_bounded_without_a_search() -> None:
    rng = np.random.default_rng(0)
    truth = {"a": [(4.0 * number, 4.0 * number + 6, 0) for number in range(12)]}
    starts = rng.uniform(0, 44, 200)
    rows = [("a", start, start + rng.uniform(3, 8), 0, 0.5) for start in starts.tolist()]
    level = evaluate(rows, truth, tiou=parse_tiou("0.1:0.9")).levels["action"]
    found = tie_range(level)
    assert found.num_tied == 200
    for seed in range(5):
        shuffled = [rows[place] for place in np.random.default_rng(seed).permutation(200)]
        average = evaluate(shuffled, truth, tiou=level.tiou).levels["action"].average
        assert found.worst < average < found.best


def write_csv(path: Path, rows: list[Row]) -> Path:
    lines = [f"{n},{v},{a},{b},{label},{score}\n" for n, (v, a, b, label, score) in enumerate(rows)]
    path.write_text(HEADER + "".join(lines))
    return path


def test_equal_scores_keep_the_order_of_the_file_across_videos(tmp_path: Path) -> None:
    truth = {"a": [], "b": [(0, 10, 9)]}
    rows = [("a", 0, 10, 9, 0.5), ("b", 0, 10, 9, 0.5), ("a", 20, 30, 9, 0.5)]
    # The hit has rank 2, also if videos of the annotations come in another order.
    for annotated in (truth, dict(reversed(truth.items()))):
        read = read_predictions(write_csv(tmp_path / "p.csv", rows), labels=MA52)
        report = evaluate_detections(read, records_of(annotated), labels=MA52, tiou=HALF)
        assert report.levels["action"].average == 1 / 2
        assert report.levels["body"].average == 1 / 2
    # A file that goes from video to video has this order, and so has JSON: the hit has rank 3.
    write_predictions_csv(tmp_path / "q.csv", read)
    write_predictions_json(tmp_path / "q.json", read, MA52)
    for name in ("q.csv", "q.json"):
        read = read_predictions(tmp_path / name, labels=MA52)
        report = evaluate_detections(read, records_of(truth), labels=MA52, tiou=HALF)
        assert report.levels["action"].average == 1 / 3


@pytest.fixture
def annotations(tmp_path: Path) -> Path:
    path = tmp_path / "truth.json"
    actions = [[9, 0.0, 10.0], [9, 20.0, 30.0]]
    path.write_text(
        json.dumps({"val0000": {"subset": "val", "duration": 60.0, "actions": actions}})
    )
    return path


def call(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def test_eval_tells_how_far_ties_could_move_the_figure(tmp_path: Path, annotations: Path) -> None:
    rows = [("val0000", 0, 10, 9, 0.9), ("val0000", 40, 50, 9, 0.5), ("val0000", 20, 30, 9, 0.5)]
    numbers = tmp_path / "n.json"
    path = write_csv(tmp_path / "p.csv", rows)
    out = call(path, "--annotations", annotations, "--json", numbers)
    expected = (
        "2 of 3 detections (66.7 %) tie with others of their class; another order of them could "
        "give an average mAP of 83.33 to 100.00 (83.33 in the order of the file)"
    )
    assert f"action: {expected}" in out
    assert f"body: {expected}" in out
    ties = json.loads(numbers.read_text())["ties"]
    assert ties["action"] == ties["body"]
    assert (ties["action"]["tied"], ties["action"]["share"]) == (2, 2 / 3)
    assert ties["action"]["worst"] == pytest.approx((1 + 2 / 3) / 2)
    assert ties["action"]["best"] == 1


def test_eval_is_silent_about_few_ties(tmp_path: Path, annotations: Path) -> None:
    tied = [("val0000", 20, 30, 9, 0.95), ("val0000", 40, 50, 9, 0.95)]
    others = [("val0000", 40, 50, 9, 0.5 + number / 1000) for number in range(199)]
    numbers = tmp_path / "n.json"
    out = call(
        write_csv(tmp_path / "p.csv", tied + others),
        *("--annotations", annotations, "--json", numbers),
    )
    assert "another order" not in out
    ties = json.loads(numbers.read_text())["ties"]["action"]
    assert (ties["tied"], ties["share"]) == (2, 2 / 201)
    assert (ties["worst"], ties["best"]) == (1 / 2 / 2, 1 / 2)
    more = write_csv(tmp_path / "q.csv", tied + others[:100])
    assert "2 of 102 detections (2.0 %)" in call(more, "--annotations", annotations)
