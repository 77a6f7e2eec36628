"""What a stream gives out, against suppression of all candidates at once."""

import math

import numpy as np
import pytest

from mmad.config.inference import InferenceSettings
from mmad.engine.inference import WindowPart
from mmad.engine.streaming.events import SettledEvents
from mmad.structures import Detections
from mmad.suppression import Candidates, suppress

WINDOW, STEP, WINDOWS = 10.0, 5.0, 12


def drawn(seed: int, *, per_window: int = 30) -> list[WindowPart]:
    """Candidates of overlapping windows."""
    rng = np.random.default_rng(seed)
    parts = []
    for number in range(WINDOWS):
        low, high = number * STEP, number * STEP + WINDOW
        starts = rng.uniform(low, high, per_window)
        ends = np.minimum(starts + rng.exponential(1.5, per_window), high)
        segments = np.stack([starts, ends], axis=1)
        labels = rng.integers(0, 3, per_window)
        parts.append((segments, labels, rng.beta(0.5, 3.0, per_window)))
    return parts


def streamed(
    parts: list[WindowPart], events: SettledEvents, *, delay: float = math.inf
) -> tuple[list[Detections], int]:
    """What is given out after each window, and the most candidates in memory."""
    found, most = [], 0
    for number, part in enumerate(parts):
        end = number * STEP + WINDOW
        events.add(part, window_end=end)
        most = max(most, len(events))
        open_from = (number + 1) * STEP if number + 1 < len(parts) else math.inf
        found.append(
            events.give_out(open_from=open_from, force_before=end - (delay - STEP), end=end)
        )
    return found, most


def whole(parts: list[WindowPart], settings: InferenceSettings) -> Detections:
    segments, labels, scores = (np.concatenate(column) for column in zip(*parts, strict=True))
    kept = suppress(
        Candidates(segments, scores, labels, np.zeros(len(labels), dtype=np.int64)),
        method=settings.nms,
        iou_threshold=settings.iou_threshold,
        sigma=settings.sigma,
        min_score=settings.min_score,
        max_per_video=10**6,
        per_class=settings.per_class,
        voting_threshold=settings.voting_threshold,
        voting_weight=settings.voting_weight,
    )
    return Detections(np.maximum(kept.segments, 0), kept.labels, kept.scores)


def rows(parts: list[Detections], *, min_score: float) -> np.ndarray:
    found = np.concatenate(
        [np.column_stack((d.segments_seconds, d.labels, d.scores)) for d in parts]
    )
    found = found[found[:, 3] >= min_score]
    return found[np.lexsort(found.T)]


@pytest.mark.parametrize(
    ("nms", "voting", "per_class"),
    [
        ("soft_gaussian", None, True),
        ("soft_gaussian", 0.7, True),
        ("soft_linear", None, False),
        ("soft_hard", None, True),
        ("hard", 0.7, True),
    ],
)
def test_the_union_is_what_suppression_of_the_whole_video_gives(
    nms: str, voting: float | None, per_class: bool
) -> None:
    settings = InferenceSettings(nms=nms, voting_threshold=voting, per_class=per_class)
    for min_score in (0.1, 0.02):
        parts = drawn(seed=3)
        events = SettledEvents(settings, min_score=min_score, memory_seconds=WINDOW)
        found, _ = streamed(parts, events)
        assert events.is_exact
        np.testing.assert_allclose(
            rows(found, min_score=min_score),
            rows([whole(parts, settings)], min_score=min_score),
            rtol=1e-9,
        )
        assert sum(len(part) for part in found[:-1]) > 10


def test_most_is_given_out_long_before_the_end_and_no_later_than_the_delay() -> None:
    events = SettledEvents(InferenceSettings(), min_score=0.1, memory_seconds=WINDOW)
    found, most = streamed(drawn(seed=4), events, delay=2 * WINDOW)
    waited = np.concatenate(
        [number * STEP + WINDOW - part.segments_seconds[:, 1] for number, part in enumerate(found)]
    )
    assert waited.max() <= 2 * WINDOW
    assert np.median(waited) <= WINDOW
    # A stream of five times the length keeps no more.
    events = SettledEvents(InferenceSettings(), min_score=0.1, memory_seconds=WINDOW)
    _, later = streamed([p for seed in range(5) for p in _moved(drawn(seed), seed)], events)
    assert most < 6 * 30
    assert later < 6 * 30


def _moved(parts: list[WindowPart], times: int) -> list[WindowPart]:
    offset = times * WINDOWS * STEP
    return [(segments + offset, labels, scores) for segments, labels, scores in parts]


def test_a_short_delay_is_kept_and_what_it_may_cost_is_told() -> None:
    settings = InferenceSettings()
    events = SettledEvents(settings, min_score=0.02, memory_seconds=WINDOW)
    parts = drawn(seed=5)
    found, _ = streamed(parts, events, delay=STEP + 1)
    for number, part in enumerate(found[1:], start=1):
        waited = number * STEP + WINDOW - part.segments_seconds[:, 1]
        assert waited.max() <= STEP + 1 + STEP
    assert events.num_early > 0
    assert not events.is_exact
    exact = rows([whole(parts, settings)], min_score=0.02)
    assert len(rows(found, min_score=0.02)) == pytest.approx(len(exact), rel=0.1)


def test_candidates_beyond_their_window_contradict_and_are_counted() -> None:
    sure = (np.array([[3.0, 4.0]]), np.array([1]), np.array([0.5]))
    late = np.array([[3.2, 4.2]])
    for label, score, contradicted in ((1, 0.9, 1), (1, 0.4, 0), (2, 0.9, 0)):
        events = SettledEvents(InferenceSettings(), min_score=0.1, memory_seconds=WINDOW)
        events.add(sure, window_end=10.0)
        assert len(events.give_out(open_from=5.0, force_before=-math.inf)) == 1
        events.add((late, np.array([label]), np.array([score])), window_end=15.0)
        assert events.num_contradicted == contradicted
        assert events.is_exact == (not contradicted)
