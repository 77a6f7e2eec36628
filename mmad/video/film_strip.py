"""A film strip: a few small frames of a video, for its timeline."""

from pathlib import Path

import cv2
import numpy as np

from mmad.video.open import VideoSource, index_source, open_video
from mmad.video.reader import Frame


def film_strip(video: VideoSource, *, num_frames: int = 10) -> list[tuple[float, Frame]]:
    """Small frames, evenly spread over a video, with their times in seconds."""
    index = index_source(video)
    times = (np.arange(num_frames) + 0.5) * index.duration_seconds / num_frames
    positions = np.searchsorted(index.times_seconds, times).clip(0, index.num_frames - 1)
    with open_video(video, short_side=120) as reader:
        return list(zip(times.tolist(), reader.read(positions.tolist()), strict=True))


def strip_picture(path: Path, *, num_frames: int = 4, height: int = 72) -> bytes:
    """A small JPEG of frames side by side, evenly spread over a video."""
    frames = [frame for _, frame in film_strip(path, num_frames=num_frames)]
    width = max(1, round(height * frames[0].shape[1] / frames[0].shape[0]))
    small = [cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA) for frame in frames]
    row = cv2.cvtColor(np.concatenate(small, axis=1), cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", row, [cv2.IMWRITE_JPEG_QUALITY, 70])[1].tobytes()
