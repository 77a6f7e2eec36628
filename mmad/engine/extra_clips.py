"""Clips of one action as further training videos of a detector."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from mmad.annotations.clips.as_videos import clips_as_videos
from mmad.annotations.label_files import labels_named
from mmad.annotations.levels import with_body_parts
from mmad.config.run import DetectionRun, FeatureRun, VideoRun
from mmad.data.features.windows import WindowReader
from mmad.errors import VideoError
from mmad.structures import VideoRecord
from mmad.video.find import find_videos
from mmad.video.index import index_video


def clips_of_files(config: VideoRun, training: Sequence[VideoRecord]) -> list[VideoRecord]:
    """The clips of ``data.extra_clips``, in ``data.extra_videos`` or beside the videos.

    Raises: AnnotationError if a list is invalid, VideoError if a clip is missing.
    """
    data = config.data
    if not data.extra_clips:
        return []
    folder = Path(data.extra_videos or data.videos)
    files = find_videos(folder)

    def duration_of(name: str) -> float:
        if name not in files:
            raise VideoError(f"{folder}: there is no clip {name}; set data.extra_videos")
        return index_video(files[name]).duration_seconds

    found = _clips(config, training, duration_of)
    return [replace(record, path=files[record.video_id]) for record in found]


def clips_of_features(
    config: FeatureRun, training: Sequence[VideoRecord], *, reader: WindowReader
) -> list[VideoRecord]:
    """The clips of ``data.extra_clips``, whose features are stored with those of the videos.

    Raises: AnnotationError if a list is invalid, FeatureError if a clip has no features.
    """
    if not config.data.extra_clips:
        return []

    def duration_of(name: str) -> float:
        known = reader.source.video(name).duration_seconds
        if known is not None:
            return known
        record = VideoRecord(name, 0.0, "train", fps=training[0].fps)
        grid = reader.grid(record)
        return float(grid.to_seconds([[0, grid.num_steps]])[0, 1])

    return _clips(config, training, duration_of)


def _clips(
    config: DetectionRun, training: Sequence[VideoRecord], duration_of: Callable[[str], float]
) -> list[VideoRecord]:
    labels = labels_named(config.data.labels)
    records = clips_as_videos(
        config.data.extra_clips,
        labels=labels,
        others={record.video_id for record in training},
        duration_of=duration_of,
        most=config.data.max_videos,
    )
    if config.data.level == "body":
        records = [with_body_parts(record, labels) for record in records]
    return records
