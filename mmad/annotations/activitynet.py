"""The ActivityNet JSON format, shared by many data sets for temporal action detection."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmad.annotations.mma52 import json_instance, json_video, repeated_videos
from mmad.annotations.problems import BAD_FILE, BAD_VALUE, Problem
from mmad.annotations.validation import RawFile
from mmad.files import write_text
from mmad.labels import LabelMap
from mmad.parsing import RepeatedKeyDict, parse_json, read_text
from mmad.structures import VideoRecord


def read_activitynet_json(path: Path, *, fps: float | None = None) -> RawFile:
    """The content of an ActivityNet JSON.

    It is ``{"database": {video: {subset, duration, annotations}}}``. The object of videos may also
    be the whole file, with ``duration_second`` for the duration. Each annotation is
    ``{"segment": [start, end], "label": name}`` in seconds. Entries ``fps`` and ``frame`` of a
    video are read if present; the argument ``fps`` is the frame rate of videos without them. A
    list ``classes`` beside ``database`` defines names and order of the label set.

    Raises: AnnotationError if it is not a JSON object.
    """
    content = parse_json(path, read_text(path))
    raw = RawFile()
    database = content.get("database", content)
    if not isinstance(database, RepeatedKeyDict):
        message = 'expected an object "database" with one entry per video'
        raw.problems.append(Problem(BAD_FILE, message))
        return raw
    raw.problems += repeated_videos(database)
    if database is not content:
        raw.classes = _read_classes(content.get("classes"), problems=raw.problems)
    for video_id, entry in database.items():
        place = f"video {video_id}"
        # The test split of ActivityNet has no annotations, or an empty list of them.
        if not isinstance(entry, dict) or not isinstance(entry.get("annotations", []), list):
            message = f"{place}: expected an object with subset, duration and a list of annotations"
            raw.problems.append(Problem(BAD_FILE, message))
            continue
        if "duration" not in entry and "duration_second" in entry:
            entry["duration"] = entry["duration_second"]
        video = json_video(video_id, entry, default_fps=fps, path=path, problems=raw.problems)
        if video is None:
            continue
        for position, annotation in enumerate(entry.get("annotations", [])):
            where = f"annotation {position}"
            if not isinstance(annotation, dict) or "label" not in annotation:
                message = f"{place}, {where}: expected segment and label, found {annotation!r}"
                raw.problems.append(Problem(BAD_FILE, message))
                continue
            instance = json_instance(
                annotation.get("segment"),
                label=_label_text(annotation["label"]),
                where=where,
                place=place,
                problems=raw.problems,
            )
            if instance:
                video.instances.append(instance)
        raw.videos.append(video)
    return raw


def _label_text(label: Any) -> Any:
    # A label 7 of a custom label set is the name "7", not the seventh of the sorted names.
    return str(label) if isinstance(label, int) and not isinstance(label, bool) else label


def _read_classes(classes: Any, *, problems: list[Problem]) -> tuple[str, ...] | None:
    if classes is None:
        return None
    names = classes if isinstance(classes, list) else []
    if not names or not all(isinstance(name, str) for name in names):
        problems.append(Problem(BAD_VALUE, "classes: expected a list of label names"))
        return None
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        message = f"classes: expected every name once, found twice: {', '.join(repeated)}"
        problems.append(Problem(BAD_VALUE, message))
        return None
    return tuple(names)


def write_activitynet_json(
    path: str | Path, records: Sequence[VideoRecord], labels: LabelMap
) -> None:
    """Write ``records`` in full precision, with frame rate and number of frames if known.

    ``classes`` lists all names of ``labels`` in order, so that a reader gets the same indices.
    """
    database = {}
    for record in records:
        entry: dict[str, Any] = {"subset": record.subset, "duration": record.duration_seconds}
        if record.fps is not None:
            entry["fps"] = record.fps
        if record.num_frames is not None:
            entry["frame"] = record.num_frames
        entry["annotations"] = [
            {"segment": [float(start), float(end)], "label": labels.names[label]}
            for (start, end), label in zip(
                record.annotations.segments_seconds, record.annotations.labels, strict=True
            )
        ]
        database[record.video_id] = entry
    content = {"classes": list(labels.names), "database": database}
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
