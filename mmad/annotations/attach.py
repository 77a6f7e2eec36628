"""Attaching video files and subjects to annotated records."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from unicodedata import normalize

from mmad.annotations.problems import (
    BAD_FILE,
    BAD_VALUE,
    CONTRADICTION,
    Problem,
    raise_annotation_problems,
)
from mmad.errors import VideoError, raise_problems
from mmad.parsing import parse_csv, read_text, wrong_width
from mmad.structures import ClipRecord, VideoRecord
from mmad.video.find import find_videos


def attach_videos(
    records: Sequence[VideoRecord], folder: str | Path, *, allow_missing: bool = False
) -> tuple[VideoRecord, ...]:
    """``records`` with the path of the file in ``folder`` (or below) whose stem is the video id.

    With ``allow_missing``, the path of a record without a file stays None.

    Raises: VideoError, naming all missing videos, or if the folder cannot be searched.
    """
    found = find_videos(Path(folder))
    # macOS decomposes accents in names of files, Excel does not.
    composed = {normalize("NFC", name): path for name, path in found.items()}
    paths = {
        record.video_id: found.get(record.video_id, composed.get(normalize("NFC", record.video_id)))
        for record in records
    }
    missing = [video_id for video_id, path in paths.items() if path is None]
    if missing and not allow_missing:
        raise_problems(
            VideoError,
            source=f"{folder}: {len(missing)} of {len(records)} annotated videos are missing",
            problems=[f"no video file with the name {video_id}" for video_id in missing],
        )
    return tuple(replace(record, path=paths[record.video_id]) for record in records)


def read_subjects(path: str | Path) -> dict[str, str]:
    """The subject of each video id, from a CSV with the columns ``video_id`` and ``subject``.

    Raises: AnnotationError if a column is missing, a cell is empty or a video has two subjects.
    """
    path = Path(path)
    header, rows = parse_csv(path, read_text(path))
    if not {"video_id", "subject"} <= set(header):
        message = f"expected the columns video_id, subject; found {', '.join(header)}"
        raise_annotation_problems(path, [Problem(BAD_FILE, message)])
    subjects: dict[str, str] = {}
    problems = []
    for line, cells in rows:
        if wrong := wrong_width(header, cells):
            problems.append(Problem(BAD_VALUE, f"line {line}: {wrong}"))
            continue
        row = dict(zip(header, cells, strict=False))
        video_id, subject = row["video_id"], row["subject"]
        if not video_id or not subject:
            message = f"line {line}: expected a video_id and a subject, found {','.join(cells)!r}"
            problems.append(Problem(BAD_VALUE, message))
        elif subjects.setdefault(video_id, subject) != subject:
            message = (
                f"line {line}: video {video_id} has the subject {subject} here but "
                f"{subjects[video_id]} before"
            )
            problems.append(Problem(CONTRADICTION, message))
    raise_annotation_problems(path, problems)
    return subjects


def attach_subjects(
    records: Sequence[VideoRecord], csv_path: str | Path
) -> tuple[VideoRecord, ...]:
    """``records`` with the subjects in ``csv_path``; those of videos not in it stay None.

    Raises: AnnotationError if the file is invalid or contains none of the videos.
    """
    subjects = read_subjects(csv_path)
    if records and not any(record.video_id in subjects for record in records):
        message = (
            f"contains none of the {len(records)} annotated videos, such as "
            f"{records[0].video_id}; "
            "expected video ids without the suffix of the file"
        )
        raise_annotation_problems(csv_path, [Problem(BAD_VALUE, message)])
    return tuple(
        replace(record, subject=subjects.get(record.video_id, record.subject)) for record in records
    )


def with_subjects(clips: Sequence[ClipRecord], table: Mapping[str, str]) -> list[ClipRecord]:
    """``clips`` with the subjects of a table of names, with or without their suffix; those of other
    clips stay as they are.
    """
    return [
        replace(
            clip,
            subject=table.get(clip.clip_id, table.get(PurePath(clip.clip_id).stem, clip.subject)),
        )
        for clip in clips
    ]
