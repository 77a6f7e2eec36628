"""What all decoders do at their end."""

import pytest
import torch

from mmad.models.detectors.candidates import best_pairs, select_candidates

SEGMENTS = torch.tensor([[0.0, 4.0], [1.0, 2.0], [5.0, 9.0], [3.0, 3.0]])
LABELS = torch.tensor([2, 0, 1, 1])
SCORES = torch.tensor([0.5, 0.9, 0.5, 0.7])


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({}, [1, 3, 0, 2]),  # of equal scores the first comes first
        ({"score_threshold": 0.5}, [1, 3]),
        ({"min_length": 1.0}, [0, 2]),
        ({"min_length": 0.5}, [1, 0, 2]),
        ({"max_candidates": 3}, [1, 3, 0]),
        ({"min_length": 1.0, "max_candidates": 1}, [0]),  # of what remains
        ({"score_threshold": 0.9}, []),
    ],
)
def test_candidates_within_limits(limits: dict, expected: list[int]) -> None:
    keywords = {"score_threshold": 0.0, "min_length": 0.0, "max_candidates": None} | limits
    found = select_candidates(SEGMENTS, LABELS, SCORES, **keywords)
    assert torch.equal(found.segments_grid, SEGMENTS[expected])
    assert torch.equal(found.labels, LABELS[expected])
    assert torch.equal(found.scores, SCORES[expected])


def test_best_pairs_of_row_and_class() -> None:
    scores = torch.tensor([[[0.1, 0.8, 0.3], [0.6, 0.2, 0.7]]])
    best = [column[0].tolist() for column in best_pairs(scores, 3)]
    assert best == [pytest.approx([0.8, 0.7, 0.6]), [0, 1, 1], [1, 2, 0]]
    assert best_pairs(scores, 99)[0].shape == (1, 6)
