"""A film strip: a few small frames of a video, for its timeline."""

from pathlib import Path

import numpy as np

from mmad.video.index import index_video
from mmad.video.open import open_video
from mmad.video.reader import Frame


def film_strip(path: Path, *, num_frames: int = 10) -> list[tuple[float, Frame]]:
    """Small frames, evenly spread over a video, with their times in seconds."""
    index = index_video(path)
    times = (np.arange(num_frames) + 0.5) * index.duration_seconds / num_frames
    positions = np.searchsorted(index.times_seconds, times).clip(0, index.num_frames - 1)
    with open_video(path, short_side=120) as video:
        return list(zip(times.tolist(), video.read(positions.tolist()), strict=True))
