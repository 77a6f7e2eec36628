"""Lists of videos with an emotion and the actions of each, as MA-52-Pro has them; CSV and JSON.

Source: MA-52 paper, section VI-A: a video has one of five emotions and 1 to 15 micro-actions. The
authors have not released files, so the columns are our own.
"""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmad.annotations.problems import (
    BAD_FILE,
    BAD_VALUE,
    DUPLICATE_VIDEO,
    NO_EMOTION,
    UNKNOWN_EMOTION,
    UNKNOWN_LABEL,
    Problem,
    raise_annotation_problems,
)
from mmad.annotations.statistics import in_usual_order
from mmad.annotations.subsets import guess_subset, plain_subset
from mmad.annotations.validation import as_number, find_label
from mmad.errors import AnnotationError
from mmad.files import write_text
from mmad.labels import EMOTIONS, MA52, LabelMap, emotion_index
from mmad.names import problem_of_id
from mmad.parsing import (
    RepeatedKeyDict,
    header_names,
    number_text,
    parse_csv,
    parse_json,
    read_text,
)
from mmad.structures import EmotionRecord
from mmad.video.find import SUFFIXES
from mmad.wording import count

UNKNOWN_SUBSET = "all"
REPEATED_ACTION = "action listed twice for a video"
ACTION_SEPARATOR = ";"
_VIDEO_COLUMNS = ("video_id", "video", "vid", "clip")
_KEYS = ("emotion", "actions", "subset", "split", "subject", "duration")


@dataclass(frozen=True)
class EmotionList:
    """The content of a list.

    Attributes:
        path: File that was read.
        videos: Videos in the order of the list.
        problems: What is wrong with its entries.
        notices: What is good to know about them.
    """

    path: Path
    videos: tuple[EmotionRecord, ...]
    problems: tuple[Problem, ...] = ()
    notices: tuple[Problem, ...] = ()


def is_emotion_header(line: str) -> bool:
    """Whether a line is the header of a CSV list of videos with emotions.

    >>> is_emotion_header("Video,Emotion,Actions"), is_emotion_header("clip,label,subject")
    (True, False)
    >>> is_emotion_header("video,actions")
    True
    """
    cells = set(header_names(line.casefold()))
    return bool(
        cells & set(_VIDEO_COLUMNS)
        and cells & {"emotion", "actions"}
        and not cells & {"start", "end", "start_frame", "label"}
    )


def read_emotions(
    path: str | Path, *, labels: LabelMap, subset: str | None = None
) -> tuple[EmotionRecord, ...]:
    """All videos of a list, see `parse_emotions`.

    Raises: AnnotationError with everything that is wrong with it.
    """
    found = parse_emotions(path, labels=labels, subset=subset)
    try:
        raise_annotation_problems(path, found.problems)
    except AnnotationError as error:
        if labels != MA52 or UNKNOWN_LABEL not in {problem.kind for problem in found.problems}:
            raise
        raise AnnotationError(
            f"{error}\nif these are not micro-actions of MA-52, pass --labels FILE with their "
            "label file"
        ) from None
    return found.videos


def read_emotion_lists(
    paths: Sequence[str | Path], *, labels: LabelMap
) -> tuple[EmotionRecord, ...]:
    """All videos of several lists, see `parse_emotions`.

    Raises: AnnotationError with everything that is wrong with a list, or if a video is in two.
    """
    videos = tuple(video for path in paths for video in read_emotions(path, labels=labels))
    times = Counter(video.video_id for video in videos)
    if repeated := [name for name, number in times.items() if number > 1]:
        raise AnnotationError(
            f"{', '.join(map(str, paths))}: {count(len(repeated), 'video', 'is')} in more than one "
            f"of the lists, first {repeated[0]}; mmad data check names all"
        )
    return videos


def parse_emotions(path: str | Path, *, labels: LabelMap, subset: str | None = None) -> EmotionList:
    """The videos of a list, and what is wrong with its entries.

    The list is one of

    - CSV with the columns ``video_id`` (or ``video``), ``emotion``, ``actions`` (separated by
      semicolons) and, if they are there, ``subset``, ``subject`` and ``duration`` in seconds;
    - JSON, an object with one entry a video: ``{"a": {"emotion": "joy", "actions": ["B1", 32]}}``,
      with the same further keys.

    Actions are indices, codes or names; an emotion is one of the five names, or its index. A video
    with neither is unlabelled.

    Args:
        path: Path of the list.
        labels: Label set of the actions.
        subset: Subset of videos without one in the list; by default guessed from the file name.

    Raises: AnnotationError if the file cannot be read or lacks a column.
    """
    path = Path(path)
    text = read_text(path)
    found = _Collector(labels, subset or guess_subset(path) or UNKNOWN_SUBSET)
    if text.lstrip().startswith(("{", "[")):
        _collect_json(path, text, found)
    else:
        _collect_csv(path, text, found)
    return EmotionList(
        path, tuple(found.videos.values()), tuple(found.problems), tuple(found.notices)
    )


class _Collector:
    """Collects videos and problems while a list is read."""

    def __init__(self, labels: LabelMap, subset: str) -> None:
        self.labels = labels
        self.subset = subset
        self.videos: dict[str, EmotionRecord] = {}
        self.problems: list[Problem] = []
        self.notices: list[Problem] = []

    def add(self, where: str, name: str, entry: dict[str, Any], actions: Iterable[Any]) -> None:
        """Add the video ``name`` of the list; the values of ``entry`` are as the file has them."""
        video_id = Path(name).stem if Path(name).suffix.lower() in SUFFIXES else name
        place = f"{where} (video {video_id!s:.60})"
        if wrong := problem_of_id(video_id):
            self._tell(BAD_VALUE, f"{where}: video {video_id!r:.60}: its name {wrong}")
        if video_id in self.videos:
            self._tell(DUPLICATE_VIDEO, f"{where}: video {video_id} is listed twice; keep one")
        listed = list(actions)
        emotion = self._emotion(place, entry.get("emotion"), num_actions=len(listed))
        self.videos[video_id] = EmotionRecord(
            video_id,
            emotion,
            self._actions(place, video_id, listed),
            plain_subset(str(entry.get("subset") or entry.get("split") or self.subset)),
            duration_seconds=self._duration(place, entry.get("duration")),
            subject=str(entry["subject"]) if entry.get("subject") not in (None, "") else None,
        )

    def _tell(self, kind: str, message: str) -> None:
        self.problems.append(Problem(kind, message))

    def _emotion(self, place: str, value: Any, *, num_actions: int) -> int | None:
        if value in (None, ""):
            if num_actions:
                message = "has actions but no emotion; give one, or remove the actions"
                self._tell(NO_EMOTION, f"{place}: {message}")
            return None
        if not isinstance(value, str | int) or isinstance(value, bool):
            self._tell(UNKNOWN_EMOTION, f"{place}: expected one emotion, found {value!r:.60}")
            return None
        try:
            return emotion_index(value)
        except KeyError as error:
            self._tell(UNKNOWN_EMOTION, f"{place}: {error.args[0]}")
            return None

    def _actions(self, place: str, video_id: str, listed: Sequence[Any]) -> tuple[int, ...]:
        found: list[int] = []
        for value in listed:
            try:
                found.append(find_label(self.labels, value))
            except KeyError as error:
                wrong = error.args[0]
                if isinstance(value, str) and any(sign in value for sign in ",|/"):
                    wrong = f"unknown label {value!r}; separate actions by '{ACTION_SEPARATOR}'"
                self._tell(UNKNOWN_LABEL, f"{place}: {wrong}")
        repeated = sorted({label for label in found if found.count(label) > 1})
        if repeated:
            names = ", ".join(map(self.labels.title, repeated))
            message = f"video {video_id}: {names} is listed more than once and counts once"
            self.notices.append(Problem(REPEATED_ACTION, message, video_id))
        return tuple(sorted(set(found)))

    def _duration(self, place: str, value: Any) -> float | None:
        if value in (None, ""):
            return None
        number = as_number(value)
        if number is None or number <= 0:
            message = f"duration: expected seconds above 0, found {value!r:.40}"
            self._tell(BAD_VALUE, f"{place}: {message}")
            return None
        return number


def _collect_csv(path: Path, text: str, found: _Collector) -> None:
    header, rows = parse_csv(path, text)
    header = ["duration" if name == "duration_seconds" else name for name in header]
    video = next((name for name in _VIDEO_COLUMNS if name in header), None)
    missing = [name for name in ("emotion", "actions") if name not in header]
    if video is None or missing:
        raise AnnotationError(
            f"{path}: expected the columns video_id, emotion, actions; missing "
            f"{', '.join([*([] if video else ['video_id']), *missing])}, found "
            f"{', '.join(header):.80}"
        )
    if repeated := sorted({name for name in (video, *_KEYS) if header.count(name) > 1}):
        raise AnnotationError(f"{path}: the column {', '.join(repeated)} appears more than once")
    for line, cells in rows:
        where = f"line {line}"
        if len(cells) != len(header):
            message = f"{where}: expected {len(header)} cells, found {len(cells)}"
            found.problems.append(Problem(BAD_FILE, message))
            continue
        row = dict(zip(header, cells, strict=True))
        if not row[video]:
            found.problems.append(Problem(BAD_VALUE, f"{where}: {video} is empty"))
            continue
        actions = [cell.strip() for cell in row["actions"].split(ACTION_SEPARATOR)]
        found.add(where, row[video].replace("\\", "/"), row, filter(None, actions))


def _collect_json(path: Path, text: str, found: _Collector) -> None:
    content = parse_json(path, text)
    for name in content.repeated_keys:
        found.problems.append(Problem(DUPLICATE_VIDEO, f"video {name} is listed twice; keep one"))
    for name, entry in content.items():
        if not isinstance(entry, RepeatedKeyDict):
            message = (
                f"video {name!s:.60}: expected an object with emotion and actions, found "
                f"{entry!r:.40}"
            )
            found.problems.append(Problem(BAD_FILE, message))
            continue
        actions = entry.get("actions") or []
        if not isinstance(actions, list):
            message = f"video {name!s:.60}: actions: expected a list, found {actions!r:.40}"
            found.problems.append(Problem(BAD_VALUE, message))
            continue
        found.add("entry", name, entry, actions)


def of_subset(
    videos: Sequence[EmotionRecord], subset: str, *, source: str | Path
) -> list[EmotionRecord]:
    """The videos of a subset; all of them if neither the lists nor their names state one.

    Raises: AnnotationError, naming the subsets of ``source``, if it is none of them.
    """
    found = in_usual_order({video.subset for video in videos})
    if found == [UNKNOWN_SUBSET]:
        return list(videos)
    if plain_subset(subset) not in found:
        raise AnnotationError(
            f"{source}: no videos of subset {subset}; found {', '.join(found) or 'none'}; pass "
            "--subset"
        )
    return [video for video in videos if video.subset == plain_subset(subset)]


def write_emotions(path: str | Path, videos: Sequence[EmotionRecord], *, labels: LabelMap) -> None:
    """Write the list as JSON if the name ends in .json, else as CSV, with names of labels.

    Subjects and durations are written if any video has one.

    Raises: OutputError if it cannot be written.
    """
    entries = {video.video_id: _entry(video, labels) for video in videos}
    if Path(path).suffix.lower() == ".json":
        write_text(path, json.dumps(entries, indent=1, ensure_ascii=False) + "\n")
        return
    further = [
        key for key in ("subject", "duration") if any(key in one for one in entries.values())
    ]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["video_id", "subset", "emotion", "actions", *further])
    for name, entry in entries.items():
        duration = entry.get("duration")
        cells = {**entry, "duration": "" if duration is None else number_text(duration)}
        actions = ACTION_SEPARATOR.join(entry["actions"])
        row = [name, entry["subset"], entry["emotion"] or "", actions]
        writer.writerow(row + [cells.get(key, "") for key in further])
    write_text(path, out.getvalue())


def _entry(video: EmotionRecord, labels: LabelMap) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "subset": video.subset,
        "emotion": None if video.emotion is None else EMOTIONS.names[video.emotion],
        "actions": [labels.names[label] for label in video.actions],
    }
    if video.subject is not None:
        entry["subject"] = video.subject
    if video.duration_seconds is not None:
        entry["duration"] = video.duration_seconds
    return entry
