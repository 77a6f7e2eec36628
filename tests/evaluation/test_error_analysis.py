"""DETAD's error types by hand, and what must hold for any detections."""

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mmad.annotations.mma52 import write_mma52_json
from mmad.cli.main import app
from mmad.errors import PredictionError
from mmad.evaluation.beyond_detad import (
    boundary_errors,
    calibration,
    co_occurrence,
    confusions,
    errors_by_video,
    missed_by_co_occurrence,
)
from mmad.evaluation.detection import rows_of
from mmad.evaluation.error_analysis import (
    BACKGROUND,
    CONFUSION,
    DOUBLE,
    LOCALISATION,
    NOT_JUDGED,
    OUTCOMES,
    TRUE_POSITIVE,
    WRONG_LABEL,
    LevelErrors,
    analyse_errors,
)
from mmad.evaluation.matching import average_precision
from mmad.evaluation.predictions import write_predictions_csv
from mmad.labels import MA52, LabelMap
from mmad.structures import Detections, VideoRecord
from support.detections import FOUR, detect, random_data, record

AB = LabelMap(("a", "b"))


def analyse(
    found: dict[str, Detections], records: list[VideoRecord], labels: LabelMap = AB, **more: object
) -> LevelErrors:
    return analyse_errors(found, records, labels=labels, **more).levels["action"]  # type: ignore[arg-type]


def test_each_type_of_error() -> None:
    truth = [record("v", (0, 4, 0), (10, 14, 1)), record("w", *[(i, i + 1, 0) for i in range(9)])]
    found = {
        "v": detect(
            (0, 4, 0, 0.9),  # the annotation itself
            (0, 3, 0, 0.8),  # tIoU 3/4 with one that is taken
            (10, 14, 0, 0.7),  # on the other class
            (0, 1, 0, 0.6),  # tIoU 1/4, own class
            (10, 11, 0, 0.5),  # tIoU 1/4, other class
            (16, 18, 0, 0.4),  # nothing near
        )
    }
    errors = analyse(found, truth)
    expected = [TRUE_POSITIVE, DOUBLE, WRONG_LABEL, LOCALISATION, CONFUSION, BACKGROUND]
    assert errors.outcome[:, 0].tolist() == expected
    # Class a has 10 annotations, so all six are in the first multiple.
    np.testing.assert_allclose(errors.false_positives[0], np.full(6, 1 / 6))
    assert np.isnan(errors.false_positives[1:]).all()
    assert errors.nearest.tolist()[:3] == [0, 0, 1]
    assert errors.nearest_tiou.tolist()[3:] == [0.25, 0.25, 0.0]


def test_detections_beyond_ten_times_the_annotations_are_not_judged() -> None:
    rows = [(15.0, 16.0, 0, 1 - number / 100) for number in range(12)]
    errors = analyse({"v": detect(*rows)}, [record("v", (0, 4, 0))])
    assert (errors.outcome[:10, 0] == BACKGROUND).all()
    assert (errors.outcome[10:, 0] == NOT_JUDGED).all()
    assert np.isfinite(errors.false_positives).all()


def test_normalised_precision_and_gain_by_hand() -> None:
    # Class a: 3 annotations, b: 1, so N = 2. Of a: hit, double detection, hit.
    truth = [record("v", (0, 4, 0), (6, 8, 0), (10, 12, 0), (15, 16, 1))]
    found = {"v": detect((0, 4, 0, 0.9), (0, 4, 0, 0.8), (6, 8, 0, 0.7))}
    errors = analyse(found, truth)
    recalls = [1 / 3, 2 / 3]
    precisions = [1.0, recalls[1] * 2 / (recalls[1] * 2 + 1)]
    of_a = (precisions[0] + precisions[1]) / 3
    assert errors.base == pytest.approx((of_a + 0) / 2)
    fixed = (2 / 3 + 0) / 2
    np.testing.assert_allclose(errors.gain, [fixed - errors.base, 0, 0, 0, 0], atol=1e-12)
    assert errors.missed() == pytest.approx(2 / 4)


def test_a_hit_after_very_many_errors_does_not_count_as_found() -> None:
    # R N / (R N + FP) = 1 x 1 / (1 + 19) = 0.05 is too little, 1 / (1 + 18) is enough.
    for num_wrong, missed in [(18, 0.0), (19, 1.0)]:
        wrong = [(15.0, 16.0, 0, 0.9)] * num_wrong
        errors = analyse({"v": detect(*wrong, (0, 4, 0, 0.1))}, [record("v", (0, 4, 0))])
        assert errors.missed() == missed


def test_buckets_are_closed_on_the_right() -> None:
    rows = [(0, 3.0, 0), (0, 3.001, 0), (0, 5, 0), (0, 8, 0), (0, 9, 0), (0, 9.5, 0), (0, 20, 0)]
    errors = analyse({}, [record("v", *rows)])
    assert errors.buckets["length"].tolist() == [0, 1, 1, 2, 3, 4, 4]
    assert errors.buckets["coverage"].tolist() == [0, 0, 1, 1, 2, 2, 4]
    assert errors.buckets["instances"].tolist() == [2] * 7  # 5 < 7 <= 7


def test_sensitivity_leaves_out_what_takes_another_bucket() -> None:
    truth = [record("v", (0, 2, 0), (10, 16, 0))]
    found = {"v": detect((10, 16, 0, 0.9), (18, 19, 0, 0.8), (0, 2, 0, 0.7))}
    errors = analyse(found, truth)
    short, _, medium, *_ = errors.sensitivity("length")
    # N = 2 (one class). Short: a false positive, then the only one: R N = 2, one error.
    assert short == pytest.approx(2 / (2 + 1))
    assert medium == pytest.approx(1.0)
    assert math.isnan(errors.sensitivity("length")[1])


def test_no_annotations_is_an_error() -> None:
    with pytest.raises(PredictionError, match="no annotations"):
        analyse({}, [record("v")])


def test_confusions_inside_and_across_body_parts() -> None:
    nod, shake, leg = (MA52.index(name) for name in ("nodding", "shaking head", "shaking legs"))
    truth = [record("v", (0, 4, nod), (6, 10, nod), (12, 14, shake), (15, 17, leg))]
    found = {"v": detect((0, 4, shake, 0.9), (6, 10, leg, 0.8))}
    pairs = confusions(analyse(found, truth, MA52))
    assert [(p.annotated, p.detected, p.count, p.same_part) for p in pairs] == [
        (nod, shake, 1, True),
        (nod, leg, 1, False),
    ]


def test_co_occurrence_by_hand() -> None:
    nod, shake, leg = (MA52.index(name) for name in ("nodding", "shaking head", "shaking legs"))
    truth = [
        record("v", (0, 20, leg), (1, 2, nod), (1.5, 3, shake), (3, 4, nod)),
        record("w", (0, 1, nod), (1, 2, leg)),  # they touch, which is no overlap
    ]
    rows = rows_of({}, truth)[1]
    assert co_occurrence(rows, MA52).tolist() == [1, 2, 2, 1, 0, 0]
    found = {"v": detect((0, 20, leg, 0.9)), "w": detect((0, 1, nod, 0.8))}
    errors = analyse(found, truth, MA52)
    assert missed_by_co_occurrence(errors, co_occurrence(rows, MA52)) == [1 / 2, 1 / 2, 1.0]


def test_co_occurrence_agrees_with_a_plain_loop() -> None:
    rng = np.random.default_rng(4)
    for _ in range(20):
        rows = [
            (start, start + rng.uniform(0.1, 6), int(rng.integers(52)))
            for start in rng.uniform(0, 14, 9)
        ]
        truth = [record("v", *rows[:5]), record("w", *rows[5:])]
        expected = []
        for part in (rows[:5], rows[5:]):
            for one, other in itertools.product(range(len(part)), repeat=2):
                if other == 0:
                    expected.append(0)
                a, b = part[one], part[other]
                if one != other and max(a[0], b[0]) < min(a[1], b[1]):
                    same = MA52.parents[a[2]] == MA52.parents[b[2]]
                    expected[-1] = max(expected[-1], 2 if same else 1)
        assert co_occurrence(rows_of({}, truth)[1], MA52).tolist() == expected


def test_ends_and_calibration_by_hand() -> None:
    truth = [record("v", (1, 5, 0), (10, 14, 0))]
    found = {"v": detect((1.5, 5, 0, 0.95), (10, 13, 0, 0.91), (17, 18, 0, 0.15))}
    errors = analyse(found, truth)
    ends = boundary_errors(errors)
    assert ends.starts.tolist() == [0.5, 0.0]
    assert ends.ends.tolist() == [0.0, -1.0]
    assert ends.summary()["end"]["mean"] == -0.5
    sure = calibration(errors)
    assert sure.counts.tolist() == [0, 1, 0, 0, 0, 0, 0, 0, 0, 2]
    assert sure.precision[[1, 9]].tolist() == [0.0, 1.0]
    assert sure.expected_error == pytest.approx((0.15 + 2 * (1 - 0.93)) / 3)


def test_the_worst_video_comes_first() -> None:
    truth = [record("good", (0, 4, 0)), record("bad", (0, 4, 0), (6, 9, 1))]
    found = {"good": detect((0, 4, 0, 0.9)), "bad": detect((12, 13, 1, 0.8))}
    report = analyse_errors(found, truth, labels=AB)
    rows = errors_by_video(report, level="action")
    assert [(row.video_id, row.num_errors, row.missed) for row in rows] == [
        ("bad", 2 + 1, 2),
        ("good", 0, 0),
    ]


@pytest.mark.parametrize("seed", range(8))
def test_outcomes_are_a_partition_and_fixing_all_errors_is_perfect(seed: int) -> None:
    found, truth = random_data(seed)
    errors = analyse(found, truth, FOUR)
    judged = errors.outcome[:, 0] != NOT_JUDGED
    counts = np.bincount(errors.outcome[judged, 0], minlength=len(OUTCOMES))
    assert counts.sum() == judged.sum()
    np.testing.assert_allclose(np.nansum(errors.false_positives, axis=1)[0], 1.0)
    hits = errors.matches.table.matched[:, 0] >= 0
    assert ((errors.outcome[:, 0] == TRUE_POSITIVE) == (hits & judged)).all()
    for mine in errors.matches.ranked:
        kept = hits[mine][hits[mine], None]
        if len(kept):
            assert average_precision(kept, num_annotations=len(kept)).item() == pytest.approx(1.0)


@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_rows_does_not_matter(seed: int) -> None:
    found, truth = random_data(seed)
    rng = np.random.default_rng(seed)
    shuffled = {}
    for video in sorted(found, key=lambda _: rng.random()):
        shuffled[video] = found[video][rng.permutation(len(found[video]))]
    one, other = (analyse(item, truth, FOUR) for item in (found, shuffled))
    assert one.base == pytest.approx(other.base, abs=1e-12)
    np.testing.assert_allclose(one.gain, other.gain, atol=1e-12)
    np.testing.assert_allclose(one.false_positives, other.false_positives, atol=1e-12)
    assert one.missed() == other.missed()


@pytest.mark.long
@pytest.mark.slow
def test_the_command_writes_tables_and_figures(tmp_path: Path) -> None:
    nod, leg = MA52.index("nodding"), MA52.index("shaking legs")
    truth = [record("val0", (0, 4, nod), (6, 9, leg)), record("val1", (0, 2, leg))]
    write_mma52_json(tmp_path / "truth.json", truth)
    found = {"val0": detect((0, 4, nod, 0.9), (6, 8, nod, 0.8)), "val1": detect((0, 2, leg, 0.7))}
    write_predictions_csv(tmp_path / "mine.csv", found)
    arguments = ["error-analysis", str(tmp_path / "mine.csv"), "--annotations"]
    arguments += [str(tmp_path / "truth.json"), "--out", str(tmp_path / "out")]
    arguments += ["--json", str(tmp_path / "errors.json")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    content = json.loads((tmp_path / "errors.json").read_text())
    assert set(content) == {"action", "body", "counts"}
    level = content["action"]
    assert len(level["false_positives"]) == 10
    assert [len(level["sensitivity"][name]) for name in ("coverage", "length", "instances")] == [
        *(5, 5, 4)
    ]
    assert level["false_negatives"]["total"] == pytest.approx(100 / 3)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    for kind in (".png", ".svg", ".pdf"):
        assert f"action_false_positives{kind}" in names
        assert f"body_confusions{kind}" in names
        assert f"timeline_1_val0{kind}" in names
    assert {"action_confusions.csv", "body_videos.csv", "errors.json"} <= names
