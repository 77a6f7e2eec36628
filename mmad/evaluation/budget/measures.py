"""The measures of a time budget, for groups of observations.

Shapes: U observations, G groups, K behaviours, B bins of time, R resamples, V videos.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmad.errors import AnnotationError
from mmad.evaluation.breakdown import draw_videos
from mmad.evaluation.budget.coding import Coding
from mmad.evaluation.budget.summaries import Summaries, quantiles, summarise
from mmad.structures import Floats, Ints
from mmad.wording import count

# Numbers of one table that are kept in memory.
_MOST_CELLS = 20_000_000
_CONFIDENCE = 0.95


@dataclass(frozen=True, eq=False)
class Interval:
    """Limits of a central interval over resampled videos, (G, K, B); NaN where undefined."""

    low: Floats
    high: Floats


@dataclass(frozen=True, eq=False)
class Intervals:
    """Intervals of the three measures that are ratios of sums over videos.

    Attributes:
        rate: Of the rate per minute.
        mean: Of the mean duration.
        share: Of the share of time.
    """

    rate: Interval
    mean: Interval
    share: Interval


@dataclass(frozen=True, eq=False)
class Measures:
    """Measures of each group, behaviour and bin.

    Attributes:
        num_observations: Observations that reach into the bin, (G, B).
        num_videos: Their videos, (G, B).
        observed_seconds: Their observed time in the bin, (G, B).
        count: Events that start in the bin, (G, K, B).
        durations: Durations of those that are no points, (G, K, B).
        total_seconds: Time in which the behaviour is shown in the bin, (G, K, B). What several
            events of one person share counts once.
        latencies: Times from the start of the bin to the first event in it, one for each
            observation that has one, (G, K, B).
        gaps: Times from the end of the behaviour to its next start in the same observation, in the
            bin of that start, (G, K, B).
        intervals: Intervals over videos, or None.
    """

    num_observations: Ints
    num_videos: Ints
    observed_seconds: Floats
    count: Ints
    durations: Summaries
    total_seconds: Floats
    latencies: Summaries
    gaps: Summaries
    intervals: Intervals | None = None

    @property
    def rate_per_minute(self) -> Floats:
        """Events for each minute of observed time, (G, K, B); NaN without observed time."""
        return _ratio(60.0 * self.count, self.observed_seconds[:, None])

    @property
    def share_of_time(self) -> Floats:
        """Share of the observed time in which the behaviour is shown, (G, K, B)."""
        return _ratio(self.total_seconds, self.observed_seconds[:, None])


def measure(
    coding: Coding,
    groups: Ints,
    *,
    bin_seconds: float | None = None,
    num_resamples: int = 0,
    seed: int = 0,
) -> Measures:
    """The measures of each group of observations.

    Args:
        coding: Observations and events.
        groups: Index of the group of each observation, (U,), from 0 without gaps.
        bin_seconds: Length of a bin of time; one bin of the whole video by default.
        num_resamples: Number of bootstrap resamples of the videos of each group for intervals; none
            by default.
        seed: Seed of the resamples.

    Raises: AnnotationError if bins are not above 0, or too many.
    """
    edges = bin_edges(coding, bin_seconds)
    num_groups, num_labels, num_bins = int(groups.max(initial=-1)) + 1, len(coding.labels), 0
    num_bins = len(edges) - 1
    shape = (num_groups, num_labels, num_bins)
    if np.prod(shape, dtype=np.float64) > _MOST_CELLS:
        raise AnnotationError(
            f"{count(num_groups, 'group')} of {count(num_labels, 'behaviour')} in "
            f"{count(num_bins, 'bin')} are too many numbers; pass a longer --bin"
        )

    def cells(observations: Ints, behaviours: Ints, bins: Ints) -> Ints:
        return (groups[observations] * num_labels + behaviours) * num_bins + bins

    def summary(values: Floats, observations: Ints, behaviours: Ints, bins: Ints) -> Summaries:
        where = cells(observations, behaviours, bins)
        return summarise(values, where, num_cells=int(np.prod(shape))).reshape(*shape)

    starts, ends = coding.segments.T
    bins = _bins_of(starts, coding.observations, coding, edges)
    lasts = ends > starts
    shown, shown_behaviours, shown_observations = coding.unions()
    pieces, piece_bins, piece_seconds = cut(shown, edges)
    total = np.bincount(
        cells(shown_observations[pieces], shown_behaviours[pieces], piece_bins),
        weights=piece_seconds,
        minlength=int(np.prod(shape)),
    )
    first = _first_of_each(coding, bins, num_bins)
    follows = np.flatnonzero(
        (shown_observations[1:] == shown_observations[:-1])
        & (shown_behaviours[1:] == shown_behaviours[:-1])
    )
    observed = np.clip(coding.seconds[:, None] - edges[:-1], 0.0, np.diff(edges))
    result = Measures(
        num_observations=_sums(groups, observed > 0, num_groups).astype(np.int64),
        num_videos=_num_videos(coding, groups, observed > 0, num_groups),
        observed_seconds=_sums(groups, observed, num_groups),
        count=np.bincount(
            cells(coding.observations, coding.behaviours, bins), minlength=int(np.prod(shape))
        ).reshape(shape),
        durations=summary(
            (ends - starts)[lasts],
            coding.observations[lasts],
            coding.behaviours[lasts],
            bins[lasts],
        ),
        total_seconds=total.reshape(shape).astype(np.float64),
        latencies=summary(
            starts[first] - edges[bins[first]],
            coding.observations[first],
            coding.behaviours[first],
            bins[first],
        ),
        gaps=summary(
            shown[follows + 1, 0] - shown[follows, 1],
            shown_observations[follows],
            shown_behaviours[follows],
            _bins_of(shown[follows + 1, 0], shown_observations[follows], coding, edges),
        ),
    )
    if not num_resamples:
        return result
    # The same measures of each video of each group are what is drawn from.
    _, videos = np.unique(coding.videos, return_inverse=True)
    pairs, of_pair = np.unique(np.stack([groups, videos]), axis=1, return_inverse=True)
    of_videos = measure(coding, of_pair.reshape(-1), bin_seconds=bin_seconds)
    return Measures(
        **{
            **vars(result),
            "intervals": _intervals(
                of_videos, pairs[0], num_resamples=num_resamples, seed=seed, num_groups=num_groups
            ),
        }
    )


def bin_edges(coding: Coding, bin_seconds: float | None) -> Floats:
    """The edges of the bins in seconds, (B + 1,), up to the end of the longest video.

    Raises: AnnotationError if a bin is not a number above 0.
    """
    longest = float(coding.seconds.max(initial=0.0))
    if bin_seconds is None:
        return np.array([0.0, longest])
    if not 0 < bin_seconds < np.inf:
        raise AnnotationError(f"--bin {bin_seconds:g}: expected seconds above 0")
    number = max(1, int(np.ceil(round(longest / bin_seconds, 9))))
    if number > _MOST_CELLS:
        raise AnnotationError(f"--bin {bin_seconds:g}: {number} bins are too many; pass a longer")
    return np.append(bin_seconds * np.arange(number), max(longest, bin_seconds * (number - 1)))


def _bins_of(times: Floats, observations: Ints, coding: Coding, edges: Floats) -> Ints:
    """The bin of each time; what is at the end of a video is in the last bin that it reaches."""
    found = np.searchsorted(edges, times, side="right") - 1
    last = np.searchsorted(edges, coding.seconds[observations], side="left") - 1
    return np.clip(found, 0, np.maximum(last, 0))


def cut(segments: Floats, edges: Floats) -> tuple[Ints, Ints, Floats]:
    """The pieces of segments in bins: row of the segment, bin, and seconds in it.

    >>> [values.tolist() for values in cut(np.array([[1.0, 5.0]]), np.array([0.0, 2.0, 4.0, 6.0]))]
    [[0, 0, 0], [0, 1, 2], [1.0, 2.0, 1.0]]
    """
    top = len(edges) - 2
    first = np.clip(np.searchsorted(edges, segments[:, 0], side="right") - 1, 0, top)
    last = np.clip(np.searchsorted(edges, segments[:, 1], side="left") - 1, first, top)
    number = last - first + 1
    rows = np.repeat(np.arange(len(segments)), number)
    bins = np.arange(len(rows)) - np.repeat(np.cumsum(number) - number - first, number)
    low, high = np.maximum(segments[rows, 0], edges[bins]), segments[rows, 1]
    return rows, bins, np.minimum(high, edges[bins + 1]) - low


def _first_of_each(coding: Coding, bins: Ints, num_bins: int) -> Ints:
    """Rows of the first event of each observation, behaviour and bin."""
    keys = coding.cells * num_bins + bins  # events are in order of start
    return np.unique(keys, return_index=True)[1]


def _sums(groups: Ints, values: np.ndarray, num_groups: int) -> Floats:
    """Sums of ``values`` (U, ...) over the observations of each group, (G, ...)."""
    found = np.zeros((num_groups, *values.shape[1:]))
    np.add.at(found, groups, values)
    return found


def _num_videos(coding: Coding, groups: Ints, is_seen: np.ndarray, num_groups: int) -> Ints:
    _, videos = np.unique(coding.videos, return_inverse=True)
    pairs, first = np.unique(np.stack([groups, videos]), axis=1, return_index=True)
    return _sums(pairs[0], is_seen[first], num_groups).astype(np.int64)


def _ratio(above: np.ndarray, below: np.ndarray) -> Floats:
    above, below = np.broadcast_arrays(above, below)
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)


def _intervals(
    videos: Measures, groups: Ints, *, num_resamples: int, seed: int, num_groups: int
) -> Intervals:
    """Percentile intervals of ratios of sums over resampled videos.

    Args:
        videos: Measures of each video of each group, (P, K, B).
        groups: The group of each of these, (P,).
        num_resamples: Number of resamples.
        seed: Their seed, the same in every group.
        num_groups: Number of groups.
    """
    shape = (num_groups, *videos.count.shape[1:])
    found = np.full((3, 2, *shape), np.nan)
    minutes = np.broadcast_to(videos.observed_seconds[:, None], videos.count.shape)
    ratios = (
        (60.0 * videos.count, minutes),
        (videos.durations.total, videos.durations.count.astype(np.float64)),
        (videos.total_seconds, minutes),
    )
    tail = (1 - _CONFIDENCE) / 2
    for group in range(num_groups):
        mine = np.flatnonzero(groups == group)
        if len(mine) < 2:
            continue
        copies = draw_videos(len(mine), num_resamples=num_resamples, seed=seed).astype(np.float64)
        for measure_index, (above, below) in enumerate(ratios):
            drawn = _ratio(
                copies @ above[mine].reshape(len(mine), -1),
                copies @ below[mine].reshape(len(mine), -1),
            )
            found[measure_index, :, group] = quantiles(drawn, (tail, 1 - tail)).reshape(
                2, *shape[1:]
            )
    rate, mean, share = (Interval(low, high) for low, high in found)
    return Intervals(rate, mean, share)


def group_of_each(columns: Sequence[Sequence[str]]) -> tuple[Ints, list[tuple[str, ...]]]:
    """The group of each observation, and the values of each group, in order of appearance.

    >>> groups, names = group_of_each([["b", "a", "b"]])
    >>> groups.tolist(), names
    ([0, 1, 0], [('b',), ('a',)])
    """
    rows = list(zip(*columns, strict=True))
    place: dict[tuple[str, ...], int] = {}
    groups = [place.setdefault(row, len(place)) for row in rows]
    return np.array(groups, dtype=np.int64), list(place)
