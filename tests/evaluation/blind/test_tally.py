"""Counting in stretches: who owns what lies across a border, and sums over all stretches."""

import numpy as np
import pytest

from mmad.evaluation.agreement.sampling import take_samples
from mmad.evaluation.blind.tally import Stretches, Tally, tally
from mmad.evaluation.matching import Rows

TWO = Stretches(np.zeros(2, np.int64), np.array([[0.0, 10.0], [10.0, 20.0]]))


def rows(*table: tuple[float, float, int, int]) -> Rows:
    """Start, end, label and video of each."""
    values = np.array(table, np.float64).reshape(-1, 4)
    labels, videos = values[:, 2].astype(np.int64), values[:, 3].astype(np.int64)
    return Rows(values[:, :2], labels, videos, np.zeros(len(values)))


def counted(coded: Rows, found: Rows, stretches: Stretches = TWO, **given: float) -> Tally:
    choice = {"num_labels": 2, "tiou": 0.5, "step_seconds": 0.1, "context_seconds": 2.0} | given
    return tally(stretches, coded, found, **choice)  # type: ignore[arg-type]


def test_an_instance_counts_where_it_starts_and_time_is_cut() -> None:
    across = rows((9.5, 11.0, 0, 0))
    found = counted(across, rows((10.1, 11.1, 0, 0)), tiou=0.4)
    assert found.coded.tolist() == [[1, 0], [0, 0]]
    assert found.recalled.tolist() == [[1, 0], [0, 0]]
    # The detection belongs to the other stretch, and is right there.
    assert found.found.tolist() == [[0, 0], [1, 0]]
    assert found.right.tolist() == [[0, 0], [1, 0]]
    assert found.coded_seconds[:, 0].tolist() == pytest.approx([0.5, 1.0])
    assert found.found_seconds[:, 0].tolist() == pytest.approx([0.0, 1.0])
    assert (found.coded_samples[:, 0].tolist(), found.samples.tolist()) == ([5, 10], [100, 100])


def test_labels_and_videos_keep_apart() -> None:
    coded = rows((1, 2, 0, 0), (3, 4, 1, 0), (5, 6, 0, 7))
    found = counted(coded, rows((1, 2, 1, 0), (3, 4, 1, 0)))
    assert found.coded.tolist() == [[1, 1], [0, 0]]
    assert found.recalled.tolist() == [[0, 1], [0, 0]]
    assert found.right.tolist() == [[0, 1], [0, 0]]


def test_long_behaviours_are_matched_by_what_is_shown() -> None:
    """The person cuts what goes on beyond the context; the model does not."""
    found = counted(rows((5, 12, 0, 0)), rows((5, 60, 0, 0)), Stretches(TWO.videos, TWO.segments))
    assert (found.recalled[0, 0], found.right[0, 0]) == (1, 1)


@pytest.mark.parametrize("seed", range(5))
def test_stretches_add_up_to_the_whole(seed: int) -> None:
    rng = np.random.default_rng(seed)

    def drawn(number: int) -> Rows:
        start = rng.uniform(0, 95, number)
        segments = np.stack([start, start + rng.uniform(0.3, 5, number)], axis=1)
        return Rows(
            segments, rng.integers(0, 2, number), rng.integers(0, 2, number), np.zeros(number)
        )

    coded, found = drawn(60), drawn(60)
    edges = np.arange(0, 101, 10.0)
    pieces = Stretches(
        np.repeat([0, 1], 10), np.tile(np.stack([edges[:-1], edges[1:]], axis=1), (2, 1))
    )
    whole = Stretches(np.array([0, 1]), np.array([[0.0, 100.0]] * 2))
    parts, all_of_it = counted(coded, found, pieces), counted(coded, found, whole)
    for name in ("coded", "found", "coded_samples", "found_samples", "both_samples"):
        both = [getattr(one, name).reshape(2, -1, 2).sum(axis=1) for one in (parts, all_of_it)]
        assert both[0].tolist() == both[1].tolist(), name
    for name in ("coded_seconds", "found_seconds"):
        both = [getattr(one, name).sum() for one in (parts, all_of_it)]
        assert both[0] == pytest.approx(both[1]), name
    samples = take_samples(
        [coded, found], num_labels=2, durations_seconds=np.array([100.0, 100.0]), step_seconds=0.1
    )
    assert all_of_it.both_samples.tolist() == samples.both[0, 1].tolist()
    assert all_of_it.coded_samples.tolist() == samples.seen[0].tolist()
    assert all_of_it.samples.tolist() == samples.number.tolist()
    assert parts.take(np.arange(3)).coded.tolist() == parts.coded[:3].tolist()
