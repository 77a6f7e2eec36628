"""From scores of steps to segments, against plain loops."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from mmad.models.detectors.mstct.decoder import RunDecoder, find_runs, logit_levels, run_scores
from mmad.models.detectors.mstct.network import FrameOutputs
from support.built_detectors import decoder_of


def plain_runs(scores, levels, *, max_gap: int) -> list[tuple[int, int, int]]:
    found = set()
    for level in levels:
        for label in range(scores.shape[1]):
            steps = [t for t in range(len(scores)) if scores[t, label] > level]
            while steps:
                first = last = steps.pop(0)
                while steps and steps[0] - last - 1 <= max_gap:
                    last = steps.pop(0)
                found.add((label, first, last))
    return sorted(found)


@pytest.mark.parametrize("max_gap", [0, 1, 3])
@pytest.mark.parametrize("steps", [1, 40])
def test_runs_equal_a_plain_loop(max_gap: int, steps: int) -> None:
    scores = torch.rand(steps, 3, generator=torch.Generator().manual_seed(1))
    scores[:, 2] = 0.0  # a class that never shows
    levels = logit_levels(lowest=0.2, highest=0.9, count=6)
    columns = find_runs(scores, levels, max_gap=max_gap)
    expected = plain_runs(scores.numpy(), np.float32(levels), max_gap=max_gap)
    assert len(expected) > 0
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == expected


def test_scores_of_runs_equal_a_plain_loop() -> None:
    scores = torch.rand(30, 2, generator=torch.Generator().manual_seed(2))
    runs = find_runs(scores, [0.3, 0.6, 0.9], max_gap=0)
    for contrast in (0.0, 1.0, 2.0):
        expected = []
        for label, first, last in zip(*(column.tolist() for column in runs), strict=True):
            row = scores[:, label].numpy().astype(float)
            margin = math.ceil(0.25 * (last + 1 - first))
            around = [*row[max(0, first - margin) : first], *row[last + 1 : last + 1 + margin]]
            inside = row[first : last + 1].mean()
            share = min(np.mean(around) / inside, 1.0) if around else 0.0
            expected.append(inside * (1 - share) ** contrast)
        found = run_scores(scores, *runs, contrast=contrast, margin=0.25)
        np.testing.assert_allclose(found, expected, atol=1e-6)


def decoder(*, levels: list[float], **changes: object) -> RunDecoder:
    return replace(decoder_of("mstct", **changes), levels=levels)


def test_the_whole_of_a_soft_instance_ranks_above_its_peak() -> None:
    scores = torch.tensor([0.02, 0.03, 0.7, 0.8, 0.9, 0.8, 0.7, 0.03, 0.02])[None, :, None]
    outputs = FrameOutputs(scores.logit(), scores.logit(), torch.ones(1, 9, dtype=torch.bool))
    keywords = {"score_threshold": 0.0, "max_candidates": 50, "levels": [0.01, 0.1, 0.75, 0.85]}
    (found,) = decoder(**keywords)(outputs)
    assert found.segments_grid[0].tolist() == [2 - 0.5, 6 + 0.5]
    (by_mean,) = decoder(**keywords, contrast=0.0)(outputs)
    assert by_mean.segments_grid[0].tolist() == [4 - 0.5, 4 + 0.5]
    assert by_mean.scores[0].item() == pytest.approx(0.9)


def test_decoder_limits_and_the_end_of_the_video() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, heatmap = (torch.randn(2, 23, 4, generator=generator) * 2 for _ in range(2))
    mask = torch.arange(23)[None] < torch.tensor([[20], [1]])
    # Beyond the ends everything is high, and is not to be seen.
    outputs = FrameOutputs(logits.masked_fill(~mask[..., None], 9.0), heatmap, mask)
    keywords = {"levels": logit_levels(lowest=0.01, highest=0.95, count=8), "max_gap": 0}
    full = decoder(**keywords, score_threshold=0.0, max_candidates=1000)(outputs)
    for found, steps in zip(full, [20, 1], strict=True):
        assert found.segments_grid.min() >= -0.5
        assert found.segments_grid.max() <= steps - 0.5
        assert (found.scores[:-1] >= found.scores[1:]).all()
        assert ((found.scores > 0) & (found.scores <= 1)).all()
        assert len(found.labels) == len(found.scores) == len(found.segments_grid) > 0
    best = decoder(**keywords, score_threshold=0.0, max_candidates=5)(outputs)[0]
    assert torch.equal(best.scores, full[0].scores[:5])
    good = decoder(**keywords, score_threshold=0.2, max_candidates=1000)(outputs)[0]
    assert len(good.scores) == (full[0].scores > 0.2).sum() < len(full[0].scores)
    long = decoder(**keywords, score_threshold=0.0, max_candidates=1000, min_length=2.0)
    lengths = np.diff(full[0].segments_grid)[:, 0]
    assert len(long(outputs)[0].scores) == (lengths > 2).sum() < len(lengths)
    silent = FrameOutputs(torch.full((1, 5, 4), -20.0), torch.zeros(1, 5, 4), torch.ones(1, 5) > 0)
    (nothing,) = decoder(**keywords, score_threshold=0.0, max_candidates=5)(silent)
    assert nothing.segments_grid.shape == (0, 2)


def test_the_heatmap_lowers_a_segment_without_a_centre() -> None:
    scores = torch.full((12, 1), -9.0)
    scores[2:5], scores[8:11] = 3.0, 3.0
    heatmap = torch.full((12, 1), -2.0)
    heatmap[9] = 2.0
    outputs = FrameOutputs(scores[None], heatmap[None], torch.ones(1, 12) > 0)
    keywords = {"levels": [0.5], "score_threshold": 0.0, "max_candidates": 9}
    (plain,) = decoder(**keywords)(outputs)
    (found,) = decoder(**keywords, centre_weight=0.5)(outputs)
    assert plain.scores[0].item() == pytest.approx(plain.scores[1].item())
    assert found.segments_grid.tolist() == [[7.5, 10.5], [1.5, 4.5]]
    p, q = torch.tensor([2.0, -2.0]).sigmoid().sqrt().tolist()
    assert (found.scores / plain.scores).tolist() == pytest.approx([p, q])
