"""Coded events as the unvalidated content that training and evaluation are built from."""

import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from mmad.annotations.elan.reading import micro_action
from mmad.annotations.exchange.events import CodedVideo, EventFile
from mmad.annotations.subsets import guess_subset
from mmad.annotations.validation import RawFile, RawInstance, RawVideo
from mmad.errors import VideoError
from mmad.labels import MA52
from mmad.video.find import SUFFIXES
from mmad.wording import count

if TYPE_CHECKING:
    from mmad.video.index import VideoIndex

_UNKNOWN_SUBSET = "all"


def raw_file(file: EventFile, *, fps: float | None = None) -> RawFile:
    """The videos of a file of coded events, each with its instances in the order of the file.

    Points are left out, with a notice: nothing can be learnt or scored at no length. A length that
    the file does not state is that of the media file, at its path or beside the file; else the last
    time is used, with a notice. The names of micro-actions are recognised in any spelling.
    """
    raw = RawFile(problems=list(file.problems), notices=list(file.notices))
    videos: dict[str, RawVideo] = {}
    assumed = []
    ends: dict[str, float] = {}
    for event in file.events:
        ends[event.video_id] = max(event.end_seconds, ends.get(event.video_id, 0.0))
    for one in file.videos:
        subset = one.subset or guess_subset(file.path, video_id=one.video_id) or _UNKNOWN_SUBSET
        last = ends.get(one.video_id, 0.0)
        video = RawVideo(
            one.video_id,
            last if one.duration_seconds is None else one.duration_seconds,
            subset,
            fps=one.fps or fps,
        )
        if one.duration_seconds is None and not measure(video, one, folder=file.path.parent):
            if last <= 0:
                raw.notices.append(
                    f"{file.path.name}: video {one.video_id} has no events and no length, and is "
                    "left out"
                )
                continue
            video.is_length_assumed = True
            assumed.append(one.video_id)
        if video.num_frames is None and one.fps and one.duration_seconds:
            video.num_frames = round(one.fps * one.duration_seconds)
        videos[one.video_id] = video
    points = []
    for event, where in zip(file.events, file.places, strict=True):
        if event.is_point:
            points.append(f"{event.label} at {event.start_seconds:.3f} s ({where})")
            continue
        if event.video_id in videos:
            label = micro_action(event.label) or event.label
            videos[event.video_id].instances.append(
                RawInstance(where, event.start_seconds, event.end_seconds, label)
            )
    if points:
        raw.notices.append(
            f"{file.path.name}: {count(len(points), 'point event', 'is')} left out, first "
            f"{points[0]}: a point has no length to learn or to score; `mmad data convert` keeps it"
        )
    if assumed:
        raw.notices.append(
            f"{file.path.name} does not state the length of {count(len(assumed), 'video')}, first "
            f"{assumed[0]}; the last time of each is used"
        )
    raw.videos = list(videos.values())
    raw.classes = _classes(file)
    return raw


def _classes(file: EventFile) -> tuple[str, ...] | None:
    """The labels that the file defines and those it uses; None if it defines none."""
    if not file.labels:
        return None
    used = [event.label for event in file.events if not event.is_point]
    names = dict.fromkeys(micro_action(name) or name for name in (*file.labels, *used))
    return MA52.names if set(names) <= set(MA52.names) else tuple(names)


def measure(video: RawVideo, coded: CodedVideo, *, folder: Path) -> bool:
    """Set length, frame rate and number of frames of ``video`` from its media file.

    Returns False if there is no such file at its path or in ``folder``.
    """
    index = index_beside(coded.media, folder=folder)
    if index is None:
        return False
    video.duration_seconds, video.num_frames = index.duration_seconds, index.num_frames
    video.fps = index.fps
    return True


def index_beside(media: str, *, folder: Path) -> "VideoIndex | None":
    """The index of a media file at its path or in ``folder``; None if there is none."""
    if not media:
        return None
    # Imported here because the decoder is slow to import, and few files need it.
    from mmad.video.index import index_video

    name = media.replace("\\", "/")
    for path in (folder / name, folder / PurePosixPath(name).name):
        try:
            if path.suffix.lower() in SUFFIXES and os.path.isfile(path):
                return index_video(path)
        except (VideoError, OSError, ValueError):
            continue
    return None
