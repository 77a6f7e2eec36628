"""The file formats of the MMA-52 data set: annotation CSV and annotation JSON; for the lists of
MA-52 see `mmad.annotations.clips.lists`.

The published CSV counts frames, the published JSON has seconds, equal to frame / fps rounded to
four places.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmad.annotations.problems import (
    BAD_FILE,
    BAD_VALUE,
    CONTRADICTION,
    DUPLICATE_VIDEO,
    Problem,
    raise_annotation_problems,
)
from mmad.annotations.subsets import guess_subset, plain_subset
from mmad.annotations.validation import (
    USUAL_FPS,
    RawFile,
    RawInstance,
    RawVideo,
    as_number,
)
from mmad.files import write_csv, write_text
from mmad.parsing import RepeatedKeyDict, number_text, parse_csv, parse_json, read_text
from mmad.structures import VideoRecord

CSV_COLUMNS = ("id", "video_id", "start_frame", "end_frame", "class", "total_frames", "fps")
_NEEDED_COLUMNS = ("video_id", "start_frame", "end_frame", "class", "total_frames")
# A video without any instance is a row in which these three cells are empty.
_INSTANCE_COLUMNS = ("start_frame", "end_frame", "class")
_DECIMALS = 4
UNKNOWN_SUBSET = "all"


def read_mma52_csv(path: Path, *, fps: float | None = None) -> RawFile:
    """The content of an MMA-52 CSV; frames become seconds by the frame rate of each row, rounded to
    four places as in the published JSON, so that both give the same figures to the last digit.

    Columns are found by name, so a missing or unnamed first column (``id``) and further columns do
    no harm. Without a column ``fps`` the argument ``fps`` is used, else 30, with a notice. The
    subset comes from a column ``subset``, else from the name of the file, else from the video id,
    else it is "all", with a notice.

    Raises: AnnotationError if the file cannot be split into columns.
    """
    header, rows = parse_csv(path, read_text(path))
    missing = [name for name in _NEEDED_COLUMNS if name not in header]
    repeated = sorted({name for name in header if name and header.count(name) > 1})
    raw = RawFile()
    if missing or repeated:
        trouble = [f"without {', '.join(missing)}"] if missing else []
        trouble += [f"with {', '.join(repeated)} more than once"] if repeated else []
        raw.problems.append(
            Problem(
                BAD_FILE,
                f"expected the columns {', '.join(CSV_COLUMNS)}; found {', '.join(header)} "
                f"({' and '.join(trouble)}); columns are separated by commas, semicolons or tabs",
            )
        )
        return raw
    if "fps" not in header and fps is None:
        raw.notices.append(
            f"{path.name} has no column fps: all its videos are taken to have "
            f"{USUAL_FPS:g} frames per second"
        )
    videos: dict[str, RawVideo] = {}
    for line, cells in rows:
        where = f"line {line}"
        if len(cells) != len(header):
            message = f"{where}: expected {len(header)} cells, found {len(cells)}"
            raw.problems.append(Problem(BAD_FILE, message))
            continue
        row = dict(zip(header, cells, strict=True))
        found = _read_row(row, where=where, videos=videos, path=path, default_fps=fps)
        raw.problems += [replace(problem, video_id=row["video_id"]) for problem in found]
    raw.videos = list(videos.values())
    if any(video.subset == UNKNOWN_SUBSET for video in raw.videos):
        raw.notices.append(
            f"{path.name} does not state the subset of its videos, so it is '{UNKNOWN_SUBSET}'; "
            "name the file train.csv, val.csv or test.csv, or add a column subset"
        )
    return raw


def _seconds(frames: float, fps: float) -> float:
    return round(frames / fps, _DECIMALS)


def _read_row(
    row: dict[str, str],
    *,
    where: str,
    videos: dict[str, RawVideo],
    path: Path,
    default_fps: float | None,
) -> list[Problem]:
    """Add the instance of ``row`` to its video in ``videos``, and return problems of the row."""
    video_id = row["video_id"]
    if not video_id:
        return [Problem(BAD_VALUE, f"{where}: video_id is empty")]
    place = f"{where} (video {video_id})"
    problems = []
    values: dict[str, float] = {}
    row_fps = row["fps"] if "fps" in row else number_text(default_fps or USUAL_FPS)
    unlabelled = not any(row[name] for name in _INSTANCE_COLUMNS)
    frame_columns = (
        ("total_frames",) if unlabelled else ("start_frame", "end_frame", "total_frames")
    )
    for name, text in [*((name, row[name]) for name in frame_columns), ("fps", row_fps)]:
        number = as_number(text)
        if number is None or (name != "fps" and not number.is_integer()):
            wanted = "a number" if name == "fps" else "a whole number of frames"
            problems.append(
                Problem(BAD_VALUE, f"{place}: {name}: expected {wanted}, found {text!r}")
            )
        elif name in ("total_frames", "fps") and number <= 0:
            problems.append(
                Problem(BAD_VALUE, f"{place}: {name} must be above 0, found {number:g}")
            )
        else:
            values[name] = number
    if problems:
        return problems
    video_fps, num_frames = values["fps"], int(values["total_frames"])
    subset = plain_subset(row.get("subset", "")) or guess_subset(path, video_id=video_id)
    new = RawVideo(
        video_id=video_id,
        duration_seconds=_seconds(num_frames, video_fps),
        subset=subset or UNKNOWN_SUBSET,
        fps=video_fps,
        num_frames=num_frames,
    )
    video = videos.setdefault(video_id, new)
    for name, before, now in [
        ("total_frames", video.num_frames, new.num_frames),
        ("fps", video.fps, new.fps),
        ("subset", video.subset, new.subset),
    ]:
        if before != now:
            message = f"{place}: {name} is {now} here but {before} in an earlier row of the video"
            problems.append(Problem(CONTRADICTION, message))
    if not unlabelled and not problems:
        video.instances.append(
            RawInstance(
                where=f"{where}, frames {int(values['start_frame'])} to {int(values['end_frame'])}",
                start_seconds=_seconds(values["start_frame"], video_fps),
                end_seconds=_seconds(values["end_frame"], video_fps),
                label=row["class"],
            )
        )
    return problems


def write_mma52_csv(path: str | Path, records: Sequence[VideoRecord]) -> None:
    """Write ``records`` in the columns of the published CSV; times are rounded to whole frames.

    A video without instances is one row whose start, end and class are empty. A column ``subset``
    is added only if a reader could not guess the subsets from the file name and the video ids.

    Raises: AnnotationError if the frame rate or number of frames of a video is not known.
    """
    unknown = [
        record.video_id for record in records if record.fps is None or record.num_frames is None
    ]
    raise_annotation_problems(
        path,
        [
            Problem(
                BAD_VALUE,
                f"video {video_id}: frame rate and number of frames are needed for the MMA-52 CSV; "
                "read the annotations with a frame rate, or write JSON",
            )
            for video_id in unknown
        ],
    )
    add_subset = any(
        guess_subset(Path(path), video_id=record.video_id) != record.subset for record in records
    )
    rows: list[list[object]] = []
    for record in records:
        fps = record.fps or USUAL_FPS
        tail = [record.num_frames, number_text(fps)] + ([record.subset] if add_subset else [])
        instances: list[list[object]] = []
        for seconds, label in zip(
            record.annotations.segments_seconds.tolist(), record.annotations.labels, strict=True
        ):
            start, end = (round(one * fps) for one in seconds)
            # A frame at least: files with empty segments are refused.
            start = min(start, (record.num_frames or 1) - 1)
            instances.append([start, max(end, start + 1), int(label)])
        for instance in instances or [["", "", ""]]:
            rows.append([len(rows), record.video_id, *instance, *tail])
    write_csv(path, header=[*CSV_COLUMNS, *(["subset"] if add_subset else [])], rows=rows)


def read_mma52_json(path: Path, *, fps: float | None = None) -> RawFile:
    """The content of an MMA-52 JSON.

    The published file has no frame rates: ``fps`` is that of every video, from which its number of
    frames follows; entries ``fps`` and ``frame`` of a video take precedence.

    Raises: AnnotationError if it is not a JSON object.
    """
    content = parse_json(path, read_text(path))
    raw = RawFile()
    raw.problems += repeated_videos(content)
    for video_id, entry in content.items():
        place = f"video {video_id}"
        if not isinstance(entry, dict) or not isinstance(entry.get("actions"), list):
            message = f"{place}: expected an object with subset, duration and a list of actions"
            raw.problems.append(Problem(BAD_FILE, message))
            continue
        video = json_video(video_id, entry, default_fps=fps, path=path, problems=raw.problems)
        if video is None:
            continue
        for position, action in enumerate(entry["actions"]):
            where = f"action {position}"
            if not isinstance(action, list) or len(action) != 3:
                message = f"{place}, {where}: expected [class, start, end], found {action!r}"
                raw.problems.append(Problem(BAD_FILE, message))
                continue
            label, *times = action
            instance = json_instance(
                times, label=label, where=where, place=place, problems=raw.problems
            )
            if instance:
                video.instances.append(instance)
        raw.videos.append(video)
    return raw


def write_mma52_json(path: str | Path, records: Sequence[VideoRecord]) -> None:
    """Write ``records`` as in the published JSON: seconds to four places, classes as indices."""
    content = {
        record.video_id: {
            "subset": record.subset,
            "duration": round(record.duration_seconds, _DECIMALS),
            "actions": [
                [int(label), round(float(start), _DECIMALS), round(float(end), _DECIMALS)]
                for (start, end), label in zip(
                    record.annotations.segments_seconds, record.annotations.labels, strict=True
                )
            ],
        }
        for record in records
    }
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def repeated_videos(content: RepeatedKeyDict) -> list[Problem]:
    """A problem for each video id that is repeated in a JSON object."""
    return [
        Problem(DUPLICATE_VIDEO, f"video {video_id} is listed twice in the file; keep one entry")
        for video_id in content.repeated_keys
    ]


def json_video(
    video_id: str,
    entry: dict[str, Any],
    *,
    default_fps: float | None,
    path: Path,
    problems: list[Problem],
) -> RawVideo | None:
    """The video of a JSON entry, without instances; None, with more ``problems``, if it is invalid.

    ``duration`` is required; ``fps``, ``frame`` (number of frames) and ``subset`` are optional.
    """
    place = f"video {video_id}"
    count = len(problems)
    numbers: dict[str, float | None] = {}
    for name in ("duration", "fps", "frame"):
        value = entry.get(name)
        numbers[name] = as_number(value)
        if numbers[name] is None and (value is not None or name == "duration"):
            message = f"{place}: {name}: expected a number, found {value!r}"
            problems.append(Problem(BAD_VALUE, message))
    subset = entry.get("subset", guess_subset(path, video_id=video_id) or UNKNOWN_SUBSET)
    if not isinstance(subset, str) or not subset.strip():
        message = f"{place}: subset: expected a name such as train, found {subset!r}"
        problems.append(Problem(BAD_VALUE, message))
    duration = numbers["duration"]
    if len(problems) > count or duration is None:
        return None
    fps = numbers["fps"] or default_fps
    num_frames = numbers["frame"]
    if num_frames is None and fps is not None:
        num_frames = duration * fps
    return RawVideo(
        video_id=video_id,
        duration_seconds=duration,
        subset=plain_subset(subset),
        fps=fps,
        num_frames=None if num_frames is None else round(num_frames),
    )


def json_instance(
    times: Any, *, label: Any, where: str, place: str, problems: list[Problem]
) -> RawInstance | None:
    """The instance with the two ``times``; None, with one more problem, if they are not numbers."""
    numbers = [as_number(value) for value in times] if isinstance(times, list) else []
    if len(numbers) == 2 and numbers[0] is not None and numbers[1] is not None:
        return RawInstance(where, numbers[0], numbers[1], label)
    message = f"{place}, {where}: expected start and end in seconds, found {times!r}"
    problems.append(Problem(BAD_VALUE, message))
    return None
