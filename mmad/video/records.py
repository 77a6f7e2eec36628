"""Records of videos without annotations."""

from pathlib import Path

from mmad.structures import VideoRecord
from mmad.video.find import video_id_of
from mmad.video.index import index_video


def record_of(path: Path) -> VideoRecord:
    """The record of a video without annotations."""
    index = index_video(path)
    return VideoRecord(
        video_id=video_id_of(path),
        duration_seconds=index.duration_seconds,
        subset="none",
        fps=index.fps,
        num_frames=index.num_frames,
        path=path,
    )
