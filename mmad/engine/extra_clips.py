"""Clips of one action as further training videos of a detector."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mmad.annotations.clips.as_videos import clips_as_videos, lasting
from mmad.annotations.label_files import labels_named
from mmad.annotations.levels import with_body_parts
from mmad.config.run import DetectionRun, FeatureRun, VideoRun
from mmad.data.features.windows import WindowReader
from mmad.errors import FeatureError, VideoError, raise_problems
from mmad.structures import VideoRecord
from mmad.video.find import find_videos
from mmad.video.index import index_video


def clips_of_files(config: VideoRun, videos: Sequence[VideoRecord]) -> list[VideoRecord]:
    """The clips of ``data.extra_clips``, in ``data.extra_videos`` or beside the videos.

    Args:
        config: Run configuration.
        videos: Annotated videos, whose ids no clip may have.

    Raises: AnnotationError if a list is invalid, VideoError with the clips that are missing.
    """
    data = config.data
    if not data.extra_clips:
        return []
    files = find_videos(Path(data.extra_videos or data.videos))
    records = [
        replace(record, path=files.get(record.video_id)) for record in _clips(config, videos)
    ]
    raise_problems(
        VideoError,
        source=f"data.extra_videos: {data.extra_videos or data.videos}",
        problems=[
            f"there is no clip {record.video_id}" for record in records if record.path is None
        ],
    )
    return [
        lasting(record, index_video(record.path).duration_seconds)
        for record in records
        if record.path is not None
    ]


def clips_of_features(
    config: FeatureRun, videos: Sequence[VideoRecord], *, reader: WindowReader
) -> list[VideoRecord]:
    """The clips of ``data.extra_clips``, whose features are stored with those of the videos.

    Args:
        config: Run configuration.
        videos: Annotated videos, whose ids no clip may have.
        reader: Reader of the stored features.

    Raises: AnnotationError if a list is invalid, FeatureError with the clips without features.
    """
    if not config.data.extra_clips:
        return []
    records = _clips(config, videos)
    known = set(reader.source.video_ids())
    raise_problems(
        FeatureError,
        source=f"{reader.source.path}",
        problems=[
            f"has no features of clip {record.video_id}; extract those of its folder into the file"
            for record in records
            if record.video_id not in known
        ],
    )
    return [lasting(record, _seconds(record, reader, fps=videos[0].fps)) for record in records]


def _seconds(record: VideoRecord, reader: WindowReader, *, fps: float | None) -> float:
    known = reader.source.video(record.video_id).duration_seconds
    if known is not None:
        return known
    grid = reader.grid(replace(record, fps=fps))
    return float(grid.to_seconds([[0, grid.num_steps]])[0, 1])


def _clips(config: DetectionRun, videos: Sequence[VideoRecord]) -> list[VideoRecord]:
    labels = labels_named(config.data.labels)
    records = clips_as_videos(
        config.data.extra_clips,
        labels=labels,
        others={record.video_id for record in videos},
        most=config.data.max_videos,
    )
    if config.data.level == "body":
        records = [with_body_parts(record, labels) for record in records]
    return records
