"""Following one face through a video: boxes of some frames become at most one box a frame."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmad.video.faces.boxes import FaceBoxes

# Two boxes of successive frames are of the same face from this intersection over union on.
_LEAST_IOU = 0.3
# A face that was away and comes back has about the size that it had; as factors of its area.
_SAME_SIZE = 2.5


@dataclass(frozen=True, eq=False)
class FaceTrack:
    """The face of a video of F frames.

    Attributes:
        boxes: float64, (F, 4), left, top, width, height in pixels; NaN without a face.
        num_other_frames: Number of frames with another face, which was left out.
    """

    boxes: NDArray[np.float64]
    num_other_frames: int

    @property
    def is_visible(self) -> NDArray[np.bool_]:
        """Whether the face is in each frame, (F,)."""
        return ~np.isnan(self.boxes[:, 0])

    def absences(self) -> list[tuple[int, int]]:
        """First frame without the face and first with it again, for each stretch without it."""
        edges = np.flatnonzero(np.diff(self.is_visible.astype(int), prepend=1, append=1))
        return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]

    def as_boxes(self) -> FaceBoxes:
        """The boxes of the frames with the face."""
        frames = np.flatnonzero(self.is_visible)
        return FaceBoxes(frames, self.boxes[frames])


def follow_face(found: FaceBoxes, *, num_frames: int, max_gap: int) -> FaceTrack:
    """The largest face of a video, followed through its frames.

    Boxes are linked over time by their overlap. Of several faces, the one with the largest sum of
    areas is kept; a face of similar size at other times is the same one, come back. Between two
    boxes up to ``max_gap`` frames apart the box is interpolated; in longer gaps the face is away.

    Args:
        found: All boxes of the video.
        num_frames: Number of frames of the video.
        max_gap: Largest distance in frames between two boxes of an unbroken stretch, at least 1.

    >>> found = FaceBoxes(np.array([0, 2]), np.array([[10.0, 10, 8, 8], [14, 10, 8, 8]]))
    >>> follow_face(found, num_frames=4, max_gap=2).boxes[:, 0].tolist()
    [10.0, 12.0, 14.0, nan]
    """
    boxes = np.full((num_frames, 4), np.nan)
    tracks = _link(found, max_gap=max_gap)
    kept = _same_face(found, tracks)
    for rows in kept:
        _fill(boxes, found.frames[rows], found.boxes[rows])
    others = {
        int(found.frames[row])
        for rows in tracks
        if not any(rows is chosen for chosen in kept)
        for row in rows
    }
    return FaceTrack(boxes, len(others))


def _link(found: FaceBoxes, *, max_gap: int) -> list[list[int]]:
    """Rows of the boxes of each track, in order of time."""
    tracks: list[list[int]] = []
    for frame in np.unique(found.frames):
        rows = np.flatnonzero(found.frames == frame).tolist()
        ends = [one for one in tracks if frame - found.frames[one[-1]] <= max_gap]
        overlaps = [
            (_iou(found.boxes[one[-1]], found.boxes[row]), place, row)
            for place, one in enumerate(ends)
            for row in rows
        ]
        free = set(range(len(ends)))
        for overlap, place, row in sorted(overlaps, key=lambda pair: -pair[0]):
            if overlap >= _LEAST_IOU and place in free and row in rows:
                ends[place].append(row)
                free.remove(place)
                rows.remove(row)
        tracks += [[row] for row in rows]
    return tracks


def _same_face(found: FaceBoxes, tracks: Sequence[list[int]]) -> list[list[int]]:
    """The track of the largest face, and others of similar size that do not overlap it in time."""
    areas = found.boxes[:, 2] * found.boxes[:, 3]
    ordered = sorted(tracks, key=lambda rows: -float(areas[rows].sum()))
    kept: list[list[int]] = []
    for rows in ordered:
        first, last = found.frames[rows[0]], found.frames[rows[-1]]
        is_apart = all(
            last < found.frames[other[0]] or first > found.frames[other[-1]] for other in kept
        )
        size = float(np.median(areas[rows]) / np.median(areas[ordered[0]]))
        if is_apart and 1 / _SAME_SIZE <= size <= _SAME_SIZE:
            kept.append(rows)
    return kept


def _fill(
    boxes: NDArray[np.float64], frames: NDArray[np.int64], values: NDArray[np.float64]
) -> None:
    """Set the boxes of all frames from the first to the last of a track."""
    between = np.arange(frames[0], frames[-1] + 1)
    for side in range(4):
        boxes[between, side] = np.interp(between, frames, values[:, side])


def _iou(one: NDArray[np.float64], two: NDArray[np.float64]) -> float:
    """Intersection over union of two boxes."""
    start = np.maximum(one[:2], two[:2])
    end = np.minimum(one[:2] + one[2:], two[:2] + two[2:])
    common = float(np.prod(np.maximum(end - start, 0.0)))
    return common / float(one[2] * one[3] + two[2] * two[3] - common)


def square(box: NDArray[np.float64], *, expand: float) -> tuple[float, float, float]:
    """Left, top and side of the square around the middle of a box, ``expand`` of its longer side
    wider on each side.

    >>> square(np.array([10.0, 20, 40, 60]), expand=0.25)  # 60 * 1.5 around (30, 50)
    (-15.0, 5.0, 90.0)
    """
    x, y, w, h = (float(value) for value in box)
    side = max(w, h) * (1 + 2 * expand)
    return x + w / 2 - side / 2, y + h / 2 - side / 2, side
