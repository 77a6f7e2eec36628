"""Score curves of detectors, from their raw outputs."""

from types import SimpleNamespace

import numpy as np
import torch

from mmad.engine.score_curves import ScoreCurves, step_scores
from mmad.models.detectors.dense.points import DenseOutputs, make_points
from mmad.models.detectors.mstct.network import FrameOutputs
from mmad.structures import FeatureGrid

RANGES = torch.tensor([[0.0, 4.0], [4.0, 100.0]])


def logit(scores: list[float]) -> torch.Tensor:
    return torch.tensor(scores, dtype=torch.float64).logit().float()[None, :, None]


def dense(fine: list[float], coarse: list[float]) -> DenseOutputs:
    points = make_points([len(fine), len(coarse)], regression_ranges=RANGES)
    mask = torch.ones(1, len(points), dtype=torch.bool)
    return DenseOutputs(
        logit(fine + coarse), torch.zeros(1, len(points), 1, 2), mask, points, body=None
    )


def test_a_step_has_the_highest_score_of_the_nearest_points() -> None:
    found = step_scores(dense([0.1, 0.2, 0.3, 0.4], [0.25, 0.05]))
    assert found is not None
    # The coarse points are at steps 0 and 2; step 1 is as near to both, and step 3 to the second.
    assert found[0, [0, 2, 3], 0].tolist() == torch.tensor([0.25, 0.3, 0.4]).tolist()


def test_steps_of_frames_are_scores_and_padding_is_zero() -> None:
    outputs = FrameOutputs(logit([0.5, 0.9]), logit([0.5, 0.5]), torch.tensor([[True, False]]))
    found = step_scores(outputs)
    assert found is not None
    assert found.flatten().tolist() == [0.5, 0.0]
    assert step_scores(SimpleNamespace(logits_LBQK=None)) is None


def test_a_curve_keeps_peaks_between_its_steps_and_fills_coarse_grids() -> None:
    fine = ScoreCurves(1.0, 1, step_seconds=0.5)
    scores = [0.2, 0.8, 0.2, 0.4, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2]
    grid = FeatureGrid(fps=10, stride_frames=1, num_steps=10)
    fine(SimpleNamespace(grids=[grid]), dense(scores, [0.01] * 5))  # type: ignore[arg-type]
    assert fine.as_bytes() is not None
    assert fine.as_bytes().tolist() == [[204], [51]]  # type: ignore[union-attr]
    coarse = ScoreCurves(2.0, 1, step_seconds=0.5)
    grid = FeatureGrid(fps=10, stride_frames=10, num_steps=2)
    coarse(SimpleNamespace(grids=[grid]), dense([0.2, 0.8], [0.01]))  # type: ignore[arg-type]
    assert coarse.as_bytes().tolist() == [[51], [204], [204], [204]]  # type: ignore[union-attr]
    assert ScoreCurves(1.0, 1).as_bytes() is None


def test_windows_that_overlap_keep_the_higher_score() -> None:
    curves = ScoreCurves(0.4, 1, step_seconds=0.1)
    first = FeatureGrid(fps=10, stride_frames=1, num_steps=3)
    second = FeatureGrid(fps=10, stride_frames=1, num_steps=3, offset_frames=1)
    curves(SimpleNamespace(grids=[first]), dense([0.2, 0.4, 0.2], [0.01] * 2))  # type: ignore[arg-type]
    curves(SimpleNamespace(grids=[second]), dense([0.2, 0.4, 0.8], [0.01] * 2))  # type: ignore[arg-type]
    assert np.array(curves.as_bytes()).ravel().tolist() == [51, 102, 102, 204]
