import numpy as np
import pytest

from mmad.suppression import Candidates, suppress


def plain_nms(segments, scores, *, method, iou_threshold, sigma, min_score):
    """One group at a time, one segment at a time."""
    scores = scores.copy()
    left = [k for k in range(len(scores)) if scores[k] >= min_score]
    kept = []
    while left:
        best = max(left, key=lambda k: scores[k])
        left.remove(best)
        kept.append((best, scores[best]))
        for k in list(left):
            inner = max(
                0.0, min(segments[k, 1], segments[best, 1]) - max(segments[k, 0], segments[best, 0])
            )
            union = np.ptp(segments[k]) + np.ptp(segments[best]) + 2e-6 - inner
            overlap = inner / union
            if method == "soft_gaussian":
                scores[k] *= np.exp(-(overlap**2) / sigma)
            elif overlap >= iou_threshold:
                scores[k] *= 1 - overlap if method == "soft_linear" else 0.0
            if scores[k] < max(min_score, 1e-300):
                left.remove(k)
    return kept


@pytest.mark.parametrize("method", ["hard", "soft_gaussian", "soft_linear", "soft_hard"])
@pytest.mark.parametrize("per_class", [True, False])
def test_nms_equals_a_plain_loop(method: str, per_class: bool) -> None:
    rng = np.random.default_rng(0)
    count = 240
    start = rng.uniform(0, 60, count)
    segments = np.stack([start, start + rng.exponential(3, count)], 1)
    scores, labels, videos = rng.random(count), rng.integers(0, 4, count), rng.integers(0, 3, count)
    settings = {"method": method, "iou_threshold": 0.4, "sigma": 0.5, "min_score": 0.02}
    found = suppress(
        Candidates(segments, scores, labels, videos),
        per_class=per_class,
        max_per_video=1000,
        **settings,
    )
    expected = []
    for video in range(3):
        for label in range(4) if per_class else [None]:
            rows = np.flatnonzero((videos == video) & ((labels == label) | (label is None)))
            expected += [
                (video, value, rows[k])
                for k, value in plain_nms(segments[rows], scores[rows], **settings)
            ]
    expected.sort(key=lambda item: (item[0], -item[1]))
    np.testing.assert_allclose(found.scores, [value for _, value, _ in expected], rtol=1e-12)
    np.testing.assert_allclose(found.segments, segments[[row for *_, row in expected]])


def test_nms_limits_and_empty() -> None:
    empty = Candidates(np.zeros((0, 2)), np.zeros(0), np.zeros(0, int), np.zeros(0, int))
    assert len(suppress(empty)) == 0
    many = Candidates(
        np.array([[0, 1], [10, 11], [20, 21.0]]),
        np.array([0.3, 0.9, 0.5]),
        np.zeros(3, int),
        np.zeros(3, int),
    )
    assert suppress(many, max_per_video=2).scores.tolist() == [0.9, 0.5]


def test_voting_averages_the_boundaries() -> None:
    candidates = Candidates(
        np.array([[0.0, 10.0], [1.0, 10.0], [50.0, 50.0]]),
        np.array([0.6, 0.3, 0.1]),
        np.zeros(3, int),
        np.zeros(3, int),
    )
    found = suppress(candidates, method="hard", voting_threshold=0.5, voting_weight="score")
    assert found.segments[0].tolist() == pytest.approx([(0.6 * 0 + 0.3 * 1) / 0.9, 10.0])
    assert found.segments[1].tolist() == [50.0, 50.0]  # zero length: nothing to average


def candidates(*rows: tuple[float, float, float, int]) -> Candidates:
    table = np.array(rows, dtype=np.float64)
    videos = np.zeros(len(table), dtype=np.int64)
    return Candidates(table[:, :2], table[:, 2], table[:, 3].astype(np.int64), videos)


def test_gaussian_by_length_spares_small_overlaps_with_long_segments() -> None:
    # tIoU of both others with the first is 1/3; the threshold is 0.1 + 0.05 x 4 = 0.3.
    found = candidates((0, 4, 0.9, 0), (2, 6, 0.8, 0), (20, 30, 0.7, 0), (25, 35, 0.6, 0))
    result = suppress(
        found, method="soft_gaussian_by_length", sigma=0.5, length_threshold=(0.1, 0.05)
    )
    decayed = 0.8 * np.exp(-((2 / 6) ** 2) / 0.5)
    # For the second pair it is 0.1 + 0.05 x 10 = 0.6: nothing decays.
    assert result.scores == pytest.approx(sorted([0.9, decayed, 0.7, 0.6])[::-1], abs=1e-6)


def test_the_best_of_a_class_may_be_kept_below_the_lowest_score() -> None:
    found = candidates((0, 1, 0.04, 0), (5, 6, 0.03, 0), (0, 1, 0.5, 1))
    assert suppress(found, min_score=0.1).scores.tolist() == [0.5]
    assert suppress(found, min_score=0.1, keep_best=True).scores.tolist() == [0.5, 0.04]
