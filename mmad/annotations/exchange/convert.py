"""Converting files of annotations or detections from any format to another."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mmad.annotations.exchange.events import CodedVideo, Event, EventFile
from mmad.annotations.exchange.reading import read_events
from mmad.annotations.exchange.writing import WRITERS, Written, write_events
from mmad.annotations.formats import find_files
from mmad.annotations.labels.choice import LabelChoice
from mmad.annotations.validation import OutOfVideo
from mmad.errors import AnnotationError, VideoError
from mmad.labels import LabelMap
from mmad.video.find import find_videos
from mmad.wording import count


@dataclass(frozen=True)
class Converted:
    """What was converted.

    Attributes:
        formats: Format of each input.
        num_events: Number of events that were written.
        num_videos: Number of their videos.
        written: The files, and what was lost.
        notices: What was assumed when reading.
    """

    formats: tuple[str, ...]
    num_events: int
    num_videos: int
    written: Written
    notices: tuple[str, ...]


def convert(
    inputs: Sequence[Path],
    out: Path,
    *,
    format: str,
    labels: LabelMap | LabelChoice = "auto",
    videos: Path | None = None,
    read_as: str = "auto",
    fps: float | None = None,
    out_of_video: OutOfVideo = "error",
    min_score: float = 0.0,
    overwrite: bool = False,
) -> Converted:
    """Read files of any formats and write all of their events to one file, or a file per video.

    Args:
        inputs: Files, or folders of files of one format.
        out: File or folder; an existing project of BORIS is added to.
        format: A name in `WRITERS`.
        labels: As in `read_events`.
        videos: Folder of the videos, which states their paths, lengths and frame rates.
        read_as: Format of the inputs, or "auto".
        fps: Frame rate of videos whose rate is not known.
        out_of_video: As in `read_events`.
        min_score: Lowest score of detections that are kept.
        overwrite: Whether existing files may be replaced; an input never is.

    Raises: AnnotationError if anything cannot be read or written, or ``out`` is an input;
        VideoError if ``videos`` cannot be searched.
    """
    if format not in WRITERS:
        known = ", ".join(WRITERS)
        raise AnnotationError(f"format '{format}' is not written; these are: {known}")
    paths = find_files(list(inputs))
    _require_other(out, paths)
    notices: list[str] = []
    files = [
        read_events(
            path,
            format=read_as,
            labels=labels,
            fps=fps,
            out_of_video=out_of_video,
            tell=notices.append,
        )
        for path in paths
    ]
    merged = _merged(files, min_score=min_score, notices=notices)
    if not merged.events and not merged.videos:
        raise AnnotationError(f"{paths[0]}: there is neither an event nor a video to write")
    if videos is not None:
        merged = _with_videos(merged, videos, notices=notices)
    written = write_events(out, merged, format=format, fps=fps, overwrite=overwrite)
    return Converted(
        formats=tuple(file.format for file in files),
        num_events=len(merged.events),
        num_videos=len(merged.videos),
        written=written,
        notices=tuple(dict.fromkeys(notices)),
    )


def _require_other(out: Path, inputs: Sequence[Path]) -> None:
    """Raise AnnotationError if ``out`` is an input, or the folder of inputs it might replace."""
    for path in inputs:
        if path.resolve() == out.resolve():
            raise AnnotationError(f"{out}: is an input, which is never overwritten; name another")
        if out.is_dir() and path.resolve().parent == out.resolve():
            raise AnnotationError(f"{out}: is the folder of the input {path.name}; name another")


def _merged(files: Sequence[EventFile], *, min_score: float, notices: list[str]) -> EventFile:
    """All events and videos; what is said of a video in any file counts for all."""
    events: list[Event] = []
    places: list[str] = []
    videos: dict[str, CodedVideo] = {}
    num_low = 0
    for file in files:
        prefix = f"{file.path.name} " if len(files) > 1 else ""
        for event, where in zip(file.events, file.places, strict=True):
            if event.score is not None and event.score < min_score:
                num_low += 1
                continue
            events.append(event)
            places.append(prefix + where)
        for video in file.videos:
            known = videos.get(video.video_id, video)
            videos[video.video_id] = CodedVideo(
                video.video_id,
                known.media or video.media,
                known.duration_seconds or video.duration_seconds,
                known.fps or video.fps,
                known.subset or video.subset,
            )
    if num_low:
        notices.append(f"{count(num_low, 'detection')} with a score below {min_score:g} left out")
    labels = dict.fromkeys(label for file in files for label in file.labels)
    return EventFile(
        path=files[0].path,
        format=files[0].format,
        events=tuple(events),
        places=tuple(places),
        videos=tuple(videos.values()),
        labels=tuple(labels),
    )


def _with_videos(file: EventFile, folder: Path, *, notices: list[str]) -> EventFile:
    """The file with the paths, lengths and frame rates of the videos in a folder."""
    # Imported here because the decoder is slow to import.
    from mmad.video.index import index_video

    found = find_videos(folder)
    measured = []
    missing = []
    for video in file.videos:
        path = found.get(video.video_id)
        if path is None:
            missing.append(video.video_id)
            measured.append(video)
            continue
        try:
            index = index_video(path)
        except VideoError as error:
            notices.append(f"{path.name} cannot be measured: {error}")
            measured.append(replace(video, media=str(path)))
            continue
        measured.append(
            replace(video, media=str(path), duration_seconds=index.duration_seconds, fps=index.fps)
        )
    if missing:
        notices.append(
            f"{folder}: {count(len(missing), 'video')} of {len(file.videos)} not there, first "
            f"{missing[0]}"
        )
    return replace(file, videos=tuple(measured))
