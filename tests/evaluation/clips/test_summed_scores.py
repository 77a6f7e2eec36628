"""Scores of two parts at other weights: the same as of a model with that weight."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mmad.errors import PredictionError
from mmad.evaluation.clips.recognition import evaluate_recognition
from mmad.evaluation.clips.scores import read_scores, to_recognitions, write_scores
from mmad.evaluation.clips.summed_scores import (
    COEFFICIENTS,
    SummedScores,
    read_summed_scores,
    sweep_coefficients,
    sweep_json,
)
from mmad.report.recogniser_figures.coefficients import draw_coefficients
from mmad.report.recognition_tables import sweep_table, sweep_text
from mmad.structures import ClipRecord
from support.scores import SMALL

CLIPS = [ClipRecord(f"{n}.mp4", n % 3, "val") for n in range(12)]


def made(*, average: str = "probability", coefficient: float = 0.1, seed: int = 0) -> SummedScores:
    """Two views of twelve clips; only the local features know the label."""
    rng = np.random.default_rng(seed)
    whole, local = rng.normal(size=(2, len(CLIPS), 2, 3)).astype(np.float32)
    local[range(len(CLIPS)), :, [clip.label for clip in CLIPS]] += 4
    ids = tuple(clip.clip_id for clip in CLIPS)
    return SummedScores(ids, whole, local, coefficient, average, "mapping")


def softmax(row: list[float]) -> list[float]:
    powers = [math.exp(value) for value in row]
    return [power / sum(powers) for power in powers]


@pytest.mark.parametrize("average", ["probability", "score"])
def test_scores_at_a_weight_are_those_of_the_sum(average: str) -> None:
    summed = made(average=average)
    found = summed.at(0.7, labels=SMALL)
    for clip in range(len(CLIPS)):
        views = [
            [float(w) + 0.7 * float(x) for w, x in zip(whole, local, strict=True)]
            for whole, local in zip(summed.whole_NVK[clip], summed.local_NVK[clip], strict=True)
        ]
        if average == "probability":
            both = [softmax(view) for view in views]
            expected = [(a + b) / 2 for a, b in zip(*both, strict=True)]
        else:
            expected = softmax([(a + b) / 2 for a, b in zip(*views, strict=True)])
        assert found.action_scores[clip].tolist() == pytest.approx(expected, rel=1e-9)
    best = found.action_scores.argmax(axis=1)
    assert (found.body_scores.argmax(axis=1) == SMALL.to_parents(best)).all()


def test_both_parts_are_in_the_file_of_the_scores(tmp_path: Path) -> None:
    summed, path = made(coefficient=0.3, average="score"), tmp_path / "s.npz"
    scores = summed.at(0.3, labels=SMALL)
    write_scores(path, scores, labels=SMALL, more=summed.arrays())
    assert np.array_equal(read_scores(path, labels=SMALL).action_scores, scores.action_scores)
    again = read_summed_scores(path, labels=SMALL)
    assert (again.clip_ids, again.coefficient) == (summed.clip_ids, 0.3)
    assert (again.average, again.hierarchy) == ("score", "mapping")
    assert np.array_equal(again.at(0.3, labels=SMALL).action_scores, scores.action_scores)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"local_scores": None}, "the two parts of the scores.*missing local_scores"),
        ({"local_scores": np.zeros((12, 2, 4))}, r"local_scores: expected numbers.*\(12, 2, 4\)"),
        ({"whole_logits": np.full((12, 2, 3), np.nan)}, "whole_logits: expected finite numbers"),
        ({"sum": np.array("{}")}, "sum: expected coefficient, average and hierarchy, found {}"),
        ({"sum": np.array("[")}, "sum"),
        ({"sum": np.array(json.dumps({"coefficient": -1}))}, "sum: expected coefficient"),
    ],
)
def test_damaged_files_are_refused(
    change: dict[str, NDArray | None], message: str, tmp_path: Path
) -> None:
    arrays = {"clip_ids": np.array([clip.clip_id for clip in CLIPS]), **made().arrays(), **change}
    path = tmp_path / "s.npz"
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
    with pytest.raises(PredictionError, match=message):
        read_summed_scores(path, labels=SMALL)


def test_a_sweep_has_the_figures_of_each_weight() -> None:
    members = [made(), made(seed=1, coefficient=0.2)]
    sweep = sweep_coefficients(members, [CLIPS, CLIPS], labels=SMALL, f1="per_class")
    assert sweep.coefficients == COEFFICIENTS == tuple(round(0.1 * k, 1) for k in range(11))
    for row, weight in zip(sweep_json(sweep), COEFFICIENTS, strict=True):
        reports = [
            evaluate_recognition(
                to_recognitions(member.at(weight, labels=SMALL)), CLIPS, labels=SMALL
            )
            for member in members
        ]
        assert row["coefficient"] == weight
        for level in ("action", "body"):
            top1 = sum(report.levels[level].top1 for report in reports) / 2
            assert row[f"{level}_top1"] == pytest.approx(top1)
    top1 = sweep.means("action", "top1")
    assert top1[-1] > top1[0] + 0.3  # only the local features know
    best = [f"{w:g}" for w, value in zip(COEFFICIENTS, top1, strict=True) if value == top1.max()]
    assert (
        f"trained with lambda 0.1 and 0.2; 0 is the classifier alone; top-1 is highest at {best[0]}"
        in sweep_text(sweep)
    )
    assert sweep_table(sweep).row_count == 11
    drawn = draw_coefficients(sweep)
    assert drawn.figure.get_figwidth() == 7.0
    narrow = draw_coefficients(sweep, width_inches=3.5).figure
    assert [axis.get_subplotspec().rowspan.start for axis in narrow.axes] == [0, 1]
    action = next(axis for axis in drawn.figure.axes if axis.get_title() == "actions")
    assert any(list(line.get_ydata()) == (100 * top1).tolist() for line in action.lines)
    assert drawn.rows[0][1:] == ("top1", 0.0, 100 * sweep.means(drawn.rows[0][0], "top1")[0])
    assert len(drawn.rows) == 2 * 2 * 11
