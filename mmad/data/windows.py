"""Windows of videos, counted in sampled frames (after the frame stride)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmad.segments import clip, intersections, lengths
from mmad.structures import Annotations


@dataclass(frozen=True)
class Window:
    """Sampled frames ``start`` (included) to ``stop`` (excluded) of a video."""

    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


def spread_frames(num_frames: int, *, count: int) -> NDArray[np.int64]:
    """``count`` frames spread evenly over a video, each in the middle of its share; repeated if
    the video has fewer. OpenTAD's rule for videos that are resized to one length.

    >>> spread_frames(8, count=4).tolist()
    [0, 2, 4, 6]
    >>> spread_frames(2, count=4).tolist()
    [0, 0, 1, 1]
    """
    share = num_frames / count
    middle = np.arange(share / 2 - 0.5, num_frames + share / 2 - 0.5, share)[:count]
    return np.clip(np.round(middle), 0, num_frames - 1).astype(np.int64)


def truncate_to_frames(
    annotations: Annotations, *, num_frames: int, duration_seconds: float, fps: float
) -> Annotations:
    """Annotations with starts and ends rounded down to whole frames, as in OpenTAD; in seconds."""
    frames = np.floor(annotations.segments_seconds / duration_seconds * num_frames)
    return Annotations(frames / fps, annotations.labels)


def sliding_windows(
    num_frames: int, *, window_frames: int, overlap: float, keep_tail: bool = True
) -> list[Window]:
    """Windows that cover all of a video; the last one is moved back to end with it.

    Without ``keep_tail`` there are as many as steps fit into the video (OpenTAD's rule), which
    misses the end of some videos if windows overlap by less than half.

    >>> sliding_windows(100, window_frames=128, overlap=0.5)
    [Window(start=0, stop=100)]
    >>> [w.start for w in sliding_windows(300, window_frames=128, overlap=0.5)]
    [0, 64, 128, 172]
    >>> [w.stop for w in sliding_windows(1000, window_frames=768, overlap=0.25, keep_tail=False)]
    [768]
    """
    if num_frames <= window_frames:
        return [Window(0, num_frames)]
    step = max(1, round(window_frames * (1 - overlap)))
    last = num_frames - window_frames
    if keep_tail:
        starts = [*range(0, last, step), last]
    else:
        starts = sorted({min(i * step, last) for i in range(max(1, num_frames // step))})
    return [Window(start, start + window_frames) for start in starts]


def visible_annotations(
    annotations: Annotations, *, start_seconds: float, stop_seconds: float, min_visible: float
) -> Annotations:
    """The annotations with at least a share ``min_visible`` inside a window, cut to it; times
    remain those of the video.

    >>> a = Annotations(np.array([[0.0, 4.0], [3.0, 5.0]]), np.array([1, 2]))
    >>> b = visible_annotations(a, start_seconds=2, stop_seconds=9, min_visible=0.75)
    >>> b.segments_seconds.tolist()
    [[3.0, 5.0]]
    """
    window = np.array([[start_seconds, stop_seconds]])
    inside = intersections(annotations.segments_seconds, window)[:, 0]
    length = lengths(annotations.segments_seconds)
    keep = (inside > 0) & (inside >= min_visible * length - 1e-9)
    kept = annotations[keep]
    shifted = clip(
        kept.segments_seconds - start_seconds, duration_seconds=stop_seconds - start_seconds
    )
    return Annotations(shifted + start_seconds, kept.labels)


def training_window(
    num_frames: int,
    annotations: Annotations,
    *,
    window_frames: int,
    seconds_per_frame: float,
    min_visible: float,
    shorten: tuple[float, float],
    rng: np.random.Generator,
    tries: int = 200,
) -> tuple[Window, Annotations]:
    """A random window and the annotations in it.

    A video that fits the window is cut to a random length between the shares in ``shorten``. In a
    longer one, up to ``tries`` windows are drawn until one contains an annotation; the last is
    used in any case.
    """
    if num_frames <= window_frames:
        shortest, longest = (max(1, round(num_frames * share)) for share in shorten)
        length = int(rng.integers(shortest, longest + 1))
    else:
        length = window_frames
    for _ in range(tries):
        start = int(rng.integers(0, num_frames - length + 1))
        window = Window(start, start + length)
        visible = visible_annotations(
            annotations,
            start_seconds=window.start * seconds_per_frame,
            stop_seconds=window.stop * seconds_per_frame,
            min_visible=min_visible,
        )
        if len(visible) or not len(annotations):
            break
    return window, visible
