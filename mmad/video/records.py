"""Records of videos and clips without annotations."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from mmad.errors import VideoError
from mmad.names import file_key
from mmad.structures import ClipRecord, VideoRecord
from mmad.video.find import as_text, video_id_of
from mmad.video.index import VideoIndex, index_video


def record_of(path: Path) -> VideoRecord:
    """The record of a video without annotations."""
    return record_of_index(index_video(path), path, video_id=video_id_of(path))


def record_of_index(index: VideoIndex, path: Path, *, video_id: str) -> VideoRecord:
    """The record of an indexed video without annotations."""
    return VideoRecord(
        video_id=video_id,
        duration_seconds=index.duration_seconds,
        subset="none",
        fps=index.fps,
        num_frames=index.num_frames,
        path=path,
    )


def records_of_files(files: Mapping[str, Path]) -> tuple[list[VideoRecord], list[str]]:
    """The records of videos by their ids, and the problems of those that cannot be opened."""
    records, problems = [], []
    for video_id, file in files.items():
        try:
            records.append(record_of_index(index_video(file), file, video_id=video_id))
        except VideoError as error:
            problems.append(str(error))
    return records, problems


def named_videos(files: Sequence[Path]) -> list[tuple[str, Path]]:
    """Id and path of each video, sorted.

    Raises: VideoError if two would have the same id.
    """
    by_id: dict[str, Path] = {}
    known: dict[str, Path] = {}
    for path in files:
        video_id = video_id_of(path)
        other = known.get(file_key(video_id))
        if other is not None and other.resolve() != path.resolve():
            raise VideoError(f"{other} and {path} would both be video '{video_id}'; rename one")
        by_id[video_id] = known[file_key(video_id)] = path
    return sorted(by_id.items())


def clip_records(clips: Sequence[Path]) -> list[ClipRecord]:
    """The clips in these files.

    Raises: VideoError if two have the same name.
    """
    names = [as_text(path.name) for path in clips]
    if len(set(names)) < len(names):
        raise VideoError("two clips have the same name; recognise them in separate calls")
    return [ClipRecord(name, None, "test", path) for name, path in zip(names, clips, strict=True)]
