"""Arithmetic on temporal segments, arrays of shape (N, 2) holding start and end in seconds."""

import heapq

import numpy as np
from numpy.typing import ArrayLike, NDArray

Segments = NDArray[np.float64]


def as_segments(segments_seconds: ArrayLike) -> Segments:
    """``segments_seconds`` as a float64 array of shape (N, 2).

    An empty input gives shape (0, 2).

    Raises: ValueError if the shape is not (N, 2).

    >>> as_segments([]).shape
    (0, 2)
    """
    segments = np.asarray(segments_seconds, dtype=np.float64)
    if segments.size == 0:
        return segments.reshape(0, 2)
    if segments.ndim != 2 or segments.shape[1] != 2:
        raise ValueError(f"segments: expected shape (N, 2), found {segments.shape}")
    return segments


def lengths(segments_seconds: ArrayLike) -> NDArray[np.float64]:
    """Length of each segment in seconds, shape (N,).

    >>> lengths([[1.0, 3.5], [2.0, 2.0]]).tolist()
    [2.5, 0.0]
    """
    segments = as_segments(segments_seconds)
    return segments[:, 1] - segments[:, 0]


def intersections(a_seconds: ArrayLike, b_seconds: ArrayLike) -> NDArray[np.float64]:
    """Length of the intersection of every pair of segments in seconds, shape (N, M).

    >>> intersections([[0, 4]], [[2, 6], [4, 5], [7, 8]]).tolist()
    [[2.0, 0.0, 0.0]]
    """
    a, b = as_segments(a_seconds), as_segments(b_seconds)
    starts = np.maximum(a[:, None, 0], b[None, :, 0])
    ends = np.minimum(a[:, None, 1], b[None, :, 1])
    return np.maximum(ends - starts, 0.0)


def tiou(a_seconds: ArrayLike, b_seconds: ArrayLike, *, eps: float = 0.0) -> NDArray[np.float64]:
    """Temporal IoU of every pair of segments, shape (N, M), in [0, 1].

    ``eps`` is added to the union (the MMA-52 challenge evaluator uses 1e-4). A pair whose union is
    zero has tIoU 0, so a segment of zero length matches nothing.

    >>> tiou([[0, 4]], [[2, 6], [0, 4]]).round(4).tolist()
    [[0.3333, 1.0]]
    >>> tiou([[1, 1]], [[1, 1]]).tolist()
    [[0.0]]
    """
    inner = intersections(a_seconds, b_seconds)
    union = lengths(a_seconds)[:, None] + lengths(b_seconds)[None, :] - inner + eps
    return np.divide(inner, union, out=np.zeros_like(inner), where=union > 0)


def clip(segments_seconds: ArrayLike, *, duration_seconds: float) -> Segments:
    """Segments cut to [0, ``duration_seconds``], shape (N, 2); none is dropped.

    >>> clip([[-1.0, 2.0], [3.0, 9.0]], duration_seconds=5.0).tolist()
    [[0.0, 2.0], [3.0, 5.0]]
    """
    return np.clip(as_segments(segments_seconds), 0.0, duration_seconds)


def assign_lanes(segments: ArrayLike, *, gap: float = 0.0) -> list[int]:
    """A lane for each segment, so that no two in a lane overlap; as few lanes as possible.

    In order of start (then end), each takes the lowest lane that has been free for ``gap``.

    >>> assign_lanes([[0.0, 2.0], [1.0, 3.0], [2.5, 4.0]])
    [0, 1, 0]
    """
    places = as_segments(segments)
    lanes = [0] * len(places)
    free: list[int] = []
    busy: list[tuple[float, int]] = []
    for row in np.lexsort((places[:, 1], places[:, 0])).tolist():
        start, end = places[row].tolist()
        while busy and busy[0][0] + gap <= start:
            heapq.heappush(free, heapq.heappop(busy)[1])
        lane = heapq.heappop(free) if free else len(busy)
        heapq.heappush(busy, (end, lane))
        lanes[row] = lane
    return lanes
