"""The annotation CSV of EPIC-KITCHENS-100, with one row per action, a verb and a noun."""

import re
from pathlib import Path

from mmad.annotations.mma52 import UNKNOWN_SUBSET
from mmad.annotations.problems import BAD_FILE, BAD_VALUE, Problem
from mmad.annotations.subsets import guess_subset
from mmad.annotations.validation import RawFile, RawInstance, RawVideo, as_number
from mmad.parsing import parse_csv, read_text
from mmad.wording import count

_TIMES = ("start_timestamp", "stop_timestamp")
_CLOCK = re.compile(r"(\d{1,4}):(\d{1,4}):(\d{1,4}(?:\.\d+)?)")


def read_epic_verb_csv(path: Path, *, fps: float | None = None) -> RawFile:
    """The content of an EPIC-KITCHENS-100 CSV, with the classes of the verbs as labels.

    The names of the classes come from ``EPIC_100_verb_classes.csv`` (or ``verb_classes.csv``), and
    durations and frame rates from ``EPIC_100_video_info.csv``, if these are beside the file.
    Otherwise labels are numbers, and the last stop is taken as the duration, with a notice.

    Raises: AnnotationError if a file cannot be split into columns.
    """
    return _read(path, word="verb", fps=fps)


def read_epic_noun_csv(path: Path, *, fps: float | None = None) -> RawFile:
    """The same with the classes of the nouns as labels."""
    return _read(path, word="noun", fps=fps)


def _read(path: Path, *, word: str, fps: float | None) -> RawFile:
    header, rows = parse_csv(path, read_text(path))
    raw = RawFile()
    label_column = f"{word}_class"
    missing = [name for name in ("video_id", *_TIMES, label_column) if name not in header]
    if missing:
        message = f"missing columns {', '.join(missing)}; the published test files have no labels"
        raw.problems.append(Problem(BAD_FILE, message))
        return raw
    lengths = _lengths(path.parent / "EPIC_100_video_info.csv")
    raw.classes = _classes(path.parent, word)
    subset = guess_subset(path) or UNKNOWN_SUBSET
    videos: dict[str, RawVideo] = {}
    for line, cells in rows:
        row = {**dict.fromkeys(header, ""), **dict(zip(header, cells, strict=False))}
        video_id = row["video_id"]
        start, end = (_seconds(row.get(name, "")) for name in _TIMES)
        label = as_number(row.get(label_column))
        if start is None or end is None or label is None or not label.is_integer():
            message = (
                f"line {line} (video {video_id}): expected times such as 00:01:02.50 and a class, "
                f"found {', '.join(repr(row.get(name)) for name in (*_TIMES, label_column))}"
            )
            raw.problems.append(Problem(BAD_VALUE, message, video_id))
            continue
        length, rate = lengths.get(video_id, (0.0, None))
        video = videos.setdefault(
            video_id,
            RawVideo(
                video_id, length, subset, fps=rate or fps, is_length_assumed=video_id not in lengths
            ),
        )
        if video.is_length_assumed:
            video.duration_seconds = max(video.duration_seconds, end)
        video.instances.append(RawInstance(f"line {line}", start, end, int(label)))
    raw.videos = list(videos.values())
    assumed = sum(video.is_length_assumed for video in raw.videos)
    if assumed:
        raw.notices.append(
            f"{path.name} does not state the duration of {count(assumed, 'video')}; the last stop "
            "is used; put EPIC_100_video_info.csv beside it"
        )
    return raw


def _seconds(clock: str) -> float | None:
    """Seconds of a text such as ``00:01:02.50``; None if it is something else."""
    match = _CLOCK.fullmatch(clock)
    return None if match is None else 3600 * int(match[1]) + 60 * int(match[2]) + float(match[3])


def _lengths(path: Path) -> dict[str, tuple[float, float | None]]:
    """Duration and frame rate of each video; empty if there is no such file."""
    if not path.is_file():
        return {}
    header, rows = parse_csv(path, read_text(path))
    found = {}
    for _, cells in rows:
        row = {**dict.fromkeys(header, ""), **dict(zip(header, cells, strict=False))}
        length = as_number(row.get("duration"))
        if length:
            found[row.get("video_id", "")] = (length, as_number(row.get("fps")))
    return found


def _classes(folder: Path, word: str) -> tuple[str, ...] | None:
    """Names of the classes by index; None if their file is missing or incomplete."""
    places = [folder / name for name in (f"EPIC_100_{word}_classes.csv", f"{word}_classes.csv")]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        return None
    header, rows = parse_csv(path, read_text(path))
    named = [dict(zip(header, cells, strict=False)) for _, cells in rows]
    named.sort(key=lambda row: as_number(row.get("id")) or 0)
    names = tuple(row.get("key", "") for row in named)
    is_whole = [as_number(row.get("id")) for row in named] == list(range(len(named)))
    return names if is_whole and len(set(names)) == len(names) else None
