"""What a person coded and a model found in stretches of videos, side by side.

An instance belongs to the stretch in which it starts, so that each is counted once wherever the
borders are; time is cut at the borders. Instances are matched with what is shown around a stretch,
so that those at its borders are matched as a whole.

Shapes: S stretches, K behaviours, N instances or detections.
"""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mmad.evaluation.agreement.sampling import first_sample
from mmad.evaluation.agreement.symmetric_matching import match_both_ways
from mmad.evaluation.budget.summaries import unions
from mmad.evaluation.matching import Rows
from mmad.structures import Floats, Ints


@dataclass(frozen=True, eq=False)
class Stretches:
    """Stretches of videos.

    Attributes:
        videos: Index of the video of each, (S,).
        segments: Start and end in seconds, (S, 2).
    """

    videos: Ints
    segments: Floats

    def __len__(self) -> int:
        return len(self.videos)

    @property
    def seconds(self) -> Floats:
        """Length of each, (S,)."""
        return self.segments[:, 1] - self.segments[:, 0]


@dataclass(frozen=True, eq=False)
class Tally:
    """Numbers of each stretch and behaviour.

    Attributes:
        seconds: Length of each stretch, (S,).
        coded: Instances of the person that start in it, (S, K).
        recalled: Those of them that a detection matches, (S, K).
        found: Detections that start in it, (S, K).
        right: Those of them that an instance matches, (S, K).
        coded_seconds: Time in which the person saw the behaviour, (S, K).
        found_seconds: Time in which the model did, (S, K).
        samples: Times at which both are compared, (S,).
        coded_samples: Those at which the person saw the behaviour, (S, K).
        found_samples: Those at which the model did, (S, K).
        both_samples: Those at which both did, (S, K).
    """

    seconds: Floats
    coded: Ints
    recalled: Ints
    found: Ints
    right: Ints
    coded_seconds: Floats
    found_seconds: Floats
    samples: Ints
    coded_samples: Ints
    found_samples: Ints
    both_samples: Ints

    def __len__(self) -> int:
        return len(self.seconds)

    def take(self, index: NDArray) -> Self:
        """The numbers of some stretches."""
        return type(self)(*(getattr(self, one.name)[index] for one in fields(self)))


def tally(
    stretches: Stretches,
    coded: Rows,
    found: Rows,
    *,
    num_labels: int,
    tiou: float,
    step_seconds: float,
    context_seconds: float,
) -> Tally:
    """Count in each stretch what a person coded and what a model found.

    Args:
        stretches: The stretches; they do not overlap.
        coded: Instances of the person in the videos.
        found: Detections in the videos.
        num_labels: Number of behaviours.
        tiou: Lowest tIoU of a match.
        step_seconds: Time between two samples, for kappa.
        context_seconds: What is shown on either side of a stretch.
    """
    shape = (len(stretches), num_labels)
    sides = [_in_stretches(stretches, one, context_seconds) for one in (coded, found)]
    (shown_coded, starts_coded), (shown_found, starts_found) = sides
    rows_coded, rows_found, _ = match_both_ways(shown_coded, shown_found, tiou=tiou)

    def number(rows: Rows, chosen: NDArray) -> Ints:
        cells = rows.videos[chosen] * num_labels + rows.labels[chosen]
        return np.bincount(cells, minlength=shape[0] * num_labels).reshape(shape)

    def matched(rows: Rows, taken: Ints, starts: NDArray) -> Ints:
        hits = np.zeros(len(rows), dtype=bool)
        hits[taken] = True
        return number(rows, hits & starts)

    inside = [_cut(stretches, one) for one in (coded, found)]
    together = Rows(
        *(
            np.concatenate([getattr(one, name) for one in inside])
            for name in ("segments", "labels", "videos", "scores")
        )
    )
    number_of = np.array([first_sample(one, step_seconds) for one in stretches.seconds.tolist()])
    by_coded, by_found, by_either = (
        _samples(one, number_of, shape, step_seconds) for one in (*inside, together)
    )
    return Tally(
        seconds=stretches.seconds,
        coded=number(shown_coded, starts_coded),
        recalled=matched(shown_coded, rows_coded, starts_coded),
        found=number(shown_found, starts_found),
        right=matched(shown_found, rows_found, starts_found),
        coded_seconds=_shown(inside[0], shape),
        found_seconds=_shown(inside[1], shape),
        samples=number_of,
        coded_samples=by_coded,
        found_samples=by_found,
        both_samples=by_coded + by_found - by_either,
    )


def _in_stretches(
    stretches: Stretches, rows: Rows, context_seconds: float
) -> tuple[Rows, NDArray[np.bool_]]:
    """What is visible of ``rows`` in each stretch, with the stretch as its video; and whether it
    starts there.
    """
    where, which = _pairs(stretches, rows, context_seconds)
    start, end = stretches.segments[where].T
    segments = rows.segments[which]
    starts = (segments[:, 0] >= start) & (segments[:, 0] < end)
    shown = np.clip(segments, start[:, None] - context_seconds, end[:, None] + context_seconds)
    return Rows(shown, rows.labels[which], where, rows.scores[which]), starts


def _cut(stretches: Stretches, rows: Rows) -> Rows:
    """What is inside each stretch, in seconds from its start, with the stretch as its video."""
    where, which = _pairs(stretches, rows, 0.0)
    start, end = stretches.segments[where].T
    segments = np.clip(rows.segments[which], start[:, None], end[:, None]) - start[:, None]
    return Rows(segments, rows.labels[which], where, rows.scores[which])


def _pairs(stretches: Stretches, rows: Rows, context_seconds: float) -> tuple[Ints, Ints]:
    """Stretch and row of all that share time, by stretch."""
    start, end = stretches.segments.T[:, :, None]
    share = (
        (stretches.videos[:, None] == rows.videos)
        & (rows.segments[:, 0] < end + context_seconds)
        & (rows.segments[:, 1] > start - context_seconds)
    )
    where, which = np.nonzero(share)
    return where, which


def _shown(rows: Rows, shape: tuple[int, int]) -> Floats:
    """Time in which each behaviour is shown; what overlaps counts once."""
    segments, cells = unions(rows.segments, rows.videos * shape[1] + rows.labels)
    seconds = segments[:, 1] - segments[:, 0]
    sums = np.bincount(cells, weights=seconds, minlength=shape[0] * shape[1])
    return sums.astype(np.float64).reshape(shape)


def _samples(rows: Rows, number: Ints, shape: tuple[int, int], step_seconds: float) -> Ints:
    """At how many samples each behaviour is shown, as `take_samples` counts them, (S, K)."""
    segments, cells = unions(rows.segments, rows.videos * shape[1] + rows.labels)
    places = np.ceil(np.round(segments / step_seconds - 0.5, 6))
    places = np.clip(places, 0, number[cells // shape[1]][:, None])
    many = np.bincount(cells, weights=places[:, 1] - places[:, 0], minlength=shape[0] * shape[1])
    return many.astype(np.int64).reshape(shape)
