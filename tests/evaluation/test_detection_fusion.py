import numpy as np
import pytest

from mmad.evaluation.detection_fusion import fuse_detections
from mmad.structures import Detections
from mmad.suppression import LENGTH_EPS


def detections(*rows: tuple[float, float, int, float]) -> Detections:
    table = np.array(rows, dtype=np.float64).reshape(-1, 4)
    return Detections(table[:, :2], table[:, 2].astype(np.int64), table[:, 3])


def soft_nms(found: Detections, *, sigma: float, min_score: float) -> list[tuple[float, ...]]:
    """Plain Gaussian Soft-NMS of one video, class by class."""
    rows = [
        [start, end, label, score]
        for (start, end), label, score in zip(
            found.segments_seconds.tolist(),
            found.labels.tolist(),
            found.scores.tolist(),
            strict=True,
        )
        if score >= min_score
    ]
    kept = []
    while rows:
        best = rows.pop(max(range(len(rows)), key=lambda i: rows[i][3]))
        kept.append(tuple(best))
        for row in rows:
            if row[2] == best[2]:
                inner = max(0.0, min(row[1], best[1]) - max(row[0], best[0]))
                union = row[1] - row[0] + best[1] - best[0] + 2 * LENGTH_EPS - inner
                row[3] *= np.exp(-((inner / union) ** 2) / sigma)
        rows = [row for row in rows if row[3] >= min_score]
    return kept


def rows_of(found: Detections) -> list[tuple[float, ...]]:
    return [
        (*segment, label, score)
        for segment, label, score in zip(
            found.segments_seconds.tolist(),
            found.labels.tolist(),
            found.scores.tolist(),
            strict=True,
        )
    ]


def random_detections(seed: int, *, size: int = 60) -> Detections:
    random = np.random.default_rng(seed)
    start = random.uniform(0, 20, size)
    ends = start + random.uniform(0.5, 6, size)
    return Detections(
        np.stack([start, ends], axis=1), random.integers(0, 4, size), random.uniform(0, 1, size)
    )


@pytest.mark.parametrize("sigma", [0.5, 0.1])
def test_one_member_is_soft_nms_of_it(sigma: float) -> None:
    found = random_detections(0)
    fused = fuse_detections([{"v": found}], sigma=sigma, min_score=0.05)["v"]
    expected = soft_nms(found, sigma=sigma, min_score=0.05)
    assert 10 < len(fused) < len(found)
    assert np.array(rows_of(fused)) == pytest.approx(np.array(expected), abs=1e-12)


def test_several_members_are_soft_nms_of_all() -> None:
    first, second = random_detections(1), random_detections(2)
    pooled = Detections(
        np.concatenate([first.segments_seconds, second.segments_seconds]),
        np.concatenate([first.labels, second.labels]),
        np.concatenate([first.scores, second.scores]),
    )
    fused = fuse_detections([{"v": first}, {"v": second}])["v"]
    expected = soft_nms(pooled, sigma=0.5, min_score=0.001)
    assert np.array(rows_of(fused)) == pytest.approx(np.array(expected), abs=1e-12)


def test_two_identical_members() -> None:
    found = detections((0, 10, 9, 0.8), (50, 60, 9, 0.4))
    fused = fuse_detections([{"v": found}, {"v": found}])["v"]
    # The copies overlap by (almost) 1: their scores fall by exp(-1 / 0.5).
    fall = np.exp(-1 / 0.5)
    assert fused.scores == pytest.approx([0.8, 0.4, 0.8 * fall, 0.4 * fall], abs=1e-6)
    assert fused.segments_seconds[:, 0].tolist() == [0, 50, 0, 50]


def test_weights_of_detections_are_relative_to_the_largest() -> None:
    first, second = {"v": detections((0, 1, 0, 0.9))}, {"v": detections((5, 6, 0, 0.8))}
    fused = fuse_detections([first, second], weights=[3, 1])["v"]
    assert fused.scores == pytest.approx([0.9, 0.8 / 3], abs=1e-15)
    for weights in (None, [7, 7]):
        assert fuse_detections([first, second], weights=weights)["v"].scores.tolist() == [0.9, 0.8]
    left_out = fuse_detections([first, second], weights=[1, 0], min_score=0.0)["v"]
    assert left_out.scores.tolist() == [0.9]


def test_videos_of_some_members_and_without_detections() -> None:
    first = {"b": detections((0, 1, 0, 0.5)), "empty": Detections()}
    second = {"a": detections((0, 1, 0, 0.7)), "b": detections((0, 1, 1, 0.6))}
    fused = fuse_detections([first, second])
    assert list(fused) == ["b", "empty", "a"]
    assert fused["b"].scores.tolist() == [0.6, 0.5]  # another class is not suppressed
    assert len(fused["empty"]) == 0
    assert fuse_detections([first, second], max_per_video=1)["b"].labels.tolist() == [1]
