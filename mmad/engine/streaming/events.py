"""Suppression in a stream: each detection is given out once, when nothing later can change it.

In greedy suppression a candidate can only be changed by one that overlaps it in time, is of the
same group and has a higher score. So a detection is settled as soon as (1) no later window can
overlap it, and (2) each overlapping candidate that is not settled itself has a lower score. What is
settled is what suppression of the whole video gives.
"""

import numpy as np
from numpy.typing import NDArray

from mmad.config.inference import InferenceSettings
from mmad.engine.inference import WindowPart, round_to
from mmad.segments import clip
from mmad.structures import Detections
from mmad.suppression import Candidates, groups_of, suppressed_scores, vote

# Above any score: what was given out is taken first, and so is never changed or given out again.
_GIVEN_OUT = 1e9
_WAITING, _DROPPED, _GIVEN = 0, 1, 2


class SettledEvents:
    """The candidates of a stream that still matter, and which of them are settled.

    Args:
        settings: Settings of suppression; ``max_detections`` does not apply, since the best of a
            video are known only at its end.
        min_score: Detections below it are not given out; at least ``settings.min_score``.
        memory_seconds: How long what was given out is remembered.

    Attributes:
        num_early: Detections given out before they were settled.
        num_contradicted: Others that a later candidate would have changed, because it begins before
            its own window.
        is_exact: Whether all that was given out is what suppression of the whole video gives.
    """

    def __init__(
        self, settings: InferenceSettings, *, min_score: float, memory_seconds: float
    ) -> None:
        self._settings = settings
        self.min_score = max(min_score, settings.min_score)
        self._lowest = self.min_score - (settings.round_scores or 0.0)
        self._memory_seconds = memory_seconds
        self.num_early = self.num_contradicted = 0
        self.is_exact = True
        self._pool = _empty()
        self._value: NDArray[np.float64] = np.zeros(0)  # scores that were given out
        self._seen_end: NDArray[np.float64] = np.zeros(0)
        self._state: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._sure: NDArray[np.bool_] = np.zeros(0, dtype=bool)

    def __len__(self) -> int:
        return len(self._pool)

    def add(self, part: WindowPart, *, window_end: float) -> None:
        """Add the candidates of a window that ends at ``window_end`` seconds."""
        segments, labels, scores = part
        segments = round_to(segments, self._settings.round_seconds)
        scores = round_to(scores, self._settings.round_scores)
        if self._settings.voting_threshold is None:
            keep = scores >= self._lowest
            segments, labels, scores = segments[keep], labels[keep], scores[keep]
        new = Candidates(segments, scores, labels, np.zeros(len(labels), dtype=np.int64))
        self._note_contradicted(new)
        count = len(new)
        self._pool = _joined(self._pool, new)
        self._value = np.append(self._value, np.zeros(count))
        self._seen_end = np.append(self._seen_end, np.minimum(segments[:, 1], window_end))
        self._state = np.append(self._state, np.full(count, _WAITING))
        self._sure = np.append(self._sure, np.zeros(count, dtype=bool))

    def _note_contradicted(self, new: Candidates) -> None:
        for row in np.flatnonzero(self._sure & (self._state == _GIVEN)):
            rivals = new.scores > self._value[row]
            rivals &= _overlaps(new.segments, self._pool.segments[row])
            if self._settings.per_class:
                rivals &= new.labels == self._pool.labels[row]
            if rivals.any():
                self.num_contradicted += 1
                self.is_exact = False
                self._sure[row] = False

    def give_out(
        self, *, open_from: float, force_before: float, end: float | None = None
    ) -> Detections:
        """Detections that are settled now, by descending score, and forget what is over.

        Args:
            open_from: No later window begins before this time in seconds.
            force_before: What ends before this time is given out even if it is not settled.
            end: Time in seconds that detections cannot go beyond; None for no limit.
        """
        final = self._final_scores()
        unsettled = self._unsettled(final, open_from)
        ripe = ~unsettled | (self._seen_end < force_before)
        ripe &= self._state == _WAITING
        given = np.flatnonzero(ripe & (final > -np.inf))
        self._state[ripe] = _DROPPED
        found = self._detections(given, final, end)
        self._state[given] = _GIVEN
        self._value[given] = final[given]
        self._sure[given] = ~unsettled[given]
        self.num_early += int(unsettled[given].sum())
        self.is_exact &= not (unsettled & ripe).any()
        self._forget(open_from, force_before)
        return found

    def _final_scores(self) -> NDArray[np.float64]:
        """Scores after suppression; -inf for what does not survive."""
        settings = self._settings
        scores = np.where(self._state == _GIVEN, _GIVEN_OUT, self._pool.scores)
        scores[self._state == _DROPPED] = -np.inf
        pool = Candidates(self._pool.segments, scores, self._pool.labels, self._pool.videos)
        return suppressed_scores(
            pool,
            groups_of(pool, per_class=settings.per_class),
            method=settings.nms,
            iou_threshold=settings.iou_threshold,
            sigma=settings.sigma,
            min_score=self._lowest,
        )

    def _unsettled(self, final: NDArray[np.float64], open_from: float) -> NDArray[np.bool_]:
        """Which candidates later windows could still change, (N,)."""
        pool = self._pool
        could_matter = (self._state == _WAITING) & (pool.scores >= self._lowest)
        unsettled = could_matter & (pool.segments[:, 1] >= open_from)
        todo = np.flatnonzero(unsettled).tolist()
        while todo:
            row = todo.pop()
            touched = could_matter & ~unsettled & (final <= pool.scores[row])
            touched &= _overlaps(pool.segments, pool.segments[row])
            if self._settings.per_class:
                touched &= pool.labels == pool.labels[row]
            unsettled |= touched
            todo += np.flatnonzero(touched).tolist()
        return unsettled

    def _detections(
        self, given: NDArray[np.int64], final: NDArray[np.float64], end: float | None
    ) -> Detections:
        settings, pool = self._settings, self._pool
        kept = pool.take(given)
        kept = Candidates(kept.segments, final[given], kept.labels, kept.videos)
        if settings.voting_threshold is not None:
            groups = groups_of(pool, per_class=settings.per_class)
            kept = vote(
                kept,
                pool,
                groups[given],
                groups,
                threshold=settings.voting_threshold,
                weight=settings.voting_weight,
            )
        segments = round_to(kept.segments, settings.round_seconds)
        last = segments.max(initial=0.0) if end is None else end
        scores = round_to(kept.scores, settings.round_scores)
        found = Detections(clip(segments, duration_seconds=last), kept.labels, scores)
        return found[scores >= self.min_score].by_score()

    def _forget(self, open_from: float, force_before: float) -> None:
        """Keep what waits, and what may still overlap that or a later candidate."""
        waiting = self._state == _WAITING
        starts = self._pool.segments[waiting & (self._pool.scores >= self._lowest), 0]
        needed_from = min(open_from, starts.min(initial=np.inf))
        ends = self._pool.segments[:, 1]
        keep = (ends >= needed_from) & (self._seen_end >= force_before - self._memory_seconds)
        if self._settings.voting_threshold is None:  # nobody asks again what was dropped
            keep &= self._state != _DROPPED
        # A candidate may begin before its window, and contradict what was given out.
        given = self._state == _GIVEN
        keep |= given & (self._seen_end >= open_from - self._memory_seconds)
        self._pool = self._pool.take(keep)
        self._value, self._seen_end = self._value[keep], self._seen_end[keep]
        self._state, self._sure = self._state[keep], self._sure[keep]


def _overlaps(segments: NDArray[np.float64], segment: NDArray[np.float64]) -> NDArray[np.bool_]:
    return (segments[:, 0] < segment[1]) & (segments[:, 1] > segment[0])


def _empty() -> Candidates:
    nothing = np.zeros(0, dtype=np.int64)
    return Candidates(np.zeros((0, 2)), np.zeros(0), nothing, nothing)


def _joined(one: Candidates, other: Candidates) -> Candidates:
    return Candidates(
        np.concatenate((one.segments, other.segments)),
        np.concatenate((one.scores, other.scores)),
        np.concatenate((one.labels, other.labels)),
        np.concatenate((one.videos, other.videos)),
    )
