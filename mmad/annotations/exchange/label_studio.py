"""Exports of Label Studio: its timelines of frames, and segments in seconds; JSON and JSON-MIN.

Label Studio counts frames from 1 and shows frame n at (n - 1) / rate; the last frame of a range
belongs to it. So the range from frame s to e is (s - 1) / rate to e / rate seconds. The rate is
that of the labelling interface (``frameRate`` of the tag Video, 24 if it is not given), whatever
the rate of the video is: it is in no export, unless the tasks have it as a column.

Source: the tags TimelineLabels and Video, and their source,
https://github.com/HumanSignal/label-studio; its issues 3315 and 7757.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from mmad.annotations.exchange.coding import Coding, extras_of, media_ids, with_extras
from mmad.annotations.exchange.events import CodedVideo, Event, EventFile
from mmad.annotations.exchange.source import Source
from mmad.annotations.exchange.values import as_seconds, plain_name
from mmad.files import write_text
from mmad.wording import count

NAME = "label-studio"
USUAL_FPS = 24.0
_RATES = ("fps", "frame rate", "framerate", "video fps")
_MEDIA = re.compile(r"\.(mp4|webm|mov|avi|mkv|m4v|mpg|mpeg|ts|wav|mp3|flac|ogg|m4a)(\?|$)", re.I)
_UPLOAD = re.compile(r"[0-9a-f]{8}-(?=.)")
_LABELS = ("timelinelabels", "labels", "choices")


@dataclass(frozen=True)
class _Region:
    """A result of a task: its place, value, annotator, score and free text."""

    where: str
    value: Mapping[str, Any]
    annotator: str | None
    score: float | None
    text: str


def is_label_studio(content: Any) -> bool:
    """Whether a JSON value is a list of tasks with timelines or segments in time."""
    tasks = content if isinstance(content, list) else [content]
    return bool(tasks) and any(
        isinstance(task, dict) and any(True for _ in _regions(task, "", coding=None))
        for task in tasks[:200]
    )


def read_label_studio(source: Source, *, fps: float | None = None) -> EventFile:
    """The ranges of all annotations and predictions of an export.

    The frame rate is ``fps``, else that of a column of the task (such as ``fps``), else 24, the
    rate of Label Studio itself, with a notice. Regions of images are left out.
    """
    coding = Coding(source, NAME)
    tasks = source.json if isinstance(source.json, list) else [source.json]
    media = {}
    for number, task in enumerate(tasks, start=1):
        if not isinstance(task, dict):
            coding.problem(f"task {number}: expected an object, found {task!r:.40}")
            continue
        media[number] = _media_of(task) or str(task.get("id", number))
    ids = media_ids(dict.fromkeys(map(file_name, media.values())))
    assumed = []
    for number, path in media.items():
        task = tasks[number - 1]
        video_id = ids[file_name(path)]
        given = fps or _rate_of(task)
        rate = given or USUAL_FPS
        regions = list(_regions(task, f"task {task.get('id', number)}", coding=coding))
        last = max((_last_frame(region) for region in regions), default=0)
        if last and given is None:
            assumed.append(video_id)
        coding.video(CodedVideo(video_id, file_name(path), None, given))
        if last:
            _check_rate(coding, file_name(path), rate=rate, last=last)
        for region in regions:
            _add(coding, region, video_id=video_id, rate=rate)
    if assumed:
        coding.notice(
            f"{coding.name} does not state the frame rate of {count(len(assumed), 'video')}, "
            f"first {assumed[0]}: its frames are read at {USUAL_FPS:g} frames per second, as Label "
            "Studio counts unless its labelling interface states a frameRate; if yours does, pass "
            "it as --fps (it need not be that of the video)"
        )
    return coding.file()


def _regions(task: Mapping[str, Any], place: str, *, coding: Coding | None) -> Iterator[_Region]:
    """The results with times of a task, in the form of JSON or of JSON-MIN."""
    skipped = []
    lists = [
        (kind, item) for kind in ("annotations", "predictions") for item in _list(task.get(kind))
    ]
    for kind, item in lists:
        if not isinstance(item, dict) or item.get("was_cancelled"):
            continue
        author = _name_of(item.get("completed_by")) if kind == "annotations" else None
        author = author or (str(item.get("model_version") or "") or None)
        for one in _list(item.get("result")):
            if not isinstance(one, dict) or not isinstance(one.get("value"), dict):
                continue
            where = f"{place}, result {one.get('id', '?')}"
            if not _has_times(one["value"]):
                skipped.append(where)
                continue
            meta = one.get("meta")
            text = meta.get("text") if isinstance(meta, dict) else ""
            text = " ".join(map(str, text)) if isinstance(text, list) else str(text or "")
            score = one.get("score") if kind == "predictions" or "score" in one else None
            yield _Region(where, one["value"], author, _number(score), text)
    if not lists and "data" not in task:
        author = _name_of(task.get("annotator"))
        for name, values in task.items():
            for number, value in enumerate(_list(values) or [values], start=1):
                if isinstance(value, dict) and _has_times(value):
                    yield _Region(f"{place}, {name} {number}", value, author, None, "")
    if coding is not None:
        coding.left_out(skipped, "result", "it has no times and a label")


def _has_times(value: Mapping[str, Any]) -> bool:
    has_label = any(isinstance(value.get(key), list) for key in _LABELS)
    return has_label and ("ranges" in value or {"start", "end"} <= value.keys())


def _last_frame(region: _Region) -> int:
    ranges = [one for one in _list(region.value.get("ranges")) if isinstance(one, dict)]
    return max((int(_number(one.get("end")) or 0) for one in ranges), default=0)


def _add(coding: Coding, region: _Region, *, video_id: str, rate: float) -> None:
    value = region.value
    labels = next(value[key] for key in _LABELS if isinstance(value.get(key), list))
    extras: dict[str, Any] = extras_of(region.text)
    spans: list[tuple[float, float]] = []
    if "ranges" in value:
        for one in _list(value["ranges"]):
            ends = [
                _number(one.get(key)) if isinstance(one, dict) else None for key in ("start", "end")
            ]
            if None in ends or not all(
                number.is_integer() for number in ends if number is not None
            ):
                coding.problem(f"{region.where}: expected a range of frames, found {one!r:.60}")
                continue
            first, last = (int(number or 0) for number in ends)
            if first == 0:
                coding.notice(
                    f"{coding.name}: frames begin at 1 in Label Studio; 0 is read as the first "
                    f"frame, as in {region.where}"
                )
                first = 1
            spans.append(((first - 1) / rate, last / rate))
    else:
        ends = [_number(value.get(key)) for key in ("start", "end")]
        if ends[0] is None or ends[1] is None:
            coding.problem(f"{region.where}: expected start and end in seconds, found {ends}")
            return
        spans.append((ends[0], ends[1]))
    for start, end in spans:
        for label in labels:
            if not isinstance(label, str) or not label.strip():
                coding.problem(f"{region.where}: expected the name of a label, found {label!r:.40}")
                continue
            coding.add(
                Event(
                    video_id,
                    label,
                    start,
                    end,
                    person=extras.get("person"),
                    annotator=extras.get("annotator", region.annotator),
                    score=extras.get("score", region.score),
                    comment=extras["comment"],
                    modifiers=extras.get("modifiers", ""),
                ),
                region.where,
            )


def _check_rate(coding: Coding, path: str, *, rate: float, last: int) -> None:
    """Compare the highest frame with the length of the video, if that is beside the file."""
    from mmad.annotations.exchange.raw import index_beside

    index = index_beside(path, folder=coding.path.parent)
    if index is None:
        return
    most = math.ceil(index.duration_seconds * rate)
    if last > most:
        coding.problem(
            f"{path}: frame {last} is annotated, but at {rate:g} frames per second the video has "
            f"{most}; pass the frameRate of the labelling interface as --fps (the video itself has "
            f"{index.fps:g})"
        )
    elif abs(index.fps - rate) > 0.01:
        coding.notice(
            f"{coding.name}: {path} has {index.fps:g} frames per second, and its annotations are "
            f"read at {rate:g}"
        )


def _data_of(task: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a task is about: its ``data``, or itself in JSON-MIN."""
    data = task.get("data")
    return data if isinstance(data, dict) else task


def _media_of(task: Mapping[str, Any]) -> str:
    """The path of the medium of a task."""
    data = _data_of(task)
    texts = {key: value for key, value in data.items() if isinstance(value, str)}
    named = [value for key, value in texts.items() if "video" in key.casefold()]
    media = [value for value in texts.values() if _MEDIA.search(value)]
    return next((value for value in named if _MEDIA.search(value)), (media or named or [""])[0])


def file_name(path: str) -> str:
    """The path of a medium without what Label Studio adds to it.

    >>> file_name("/data/upload/3/1a2b3c4d-P01.mp4"), file_name("/data/local-files/?d=P01/c.mp4")
    ('P01.mp4', 'P01/c.mp4')
    >>> file_name("s3://bucket/P01/c%20d.mp4")
    'P01/c d.mp4'
    """
    try:
        parts = urlsplit(path)
    except ValueError:  # such as brackets that are no address
        return path
    if "/local-files" in parts.path and "d" in parse_qs(parts.query):
        return parse_qs(parts.query)["d"][0].lstrip("/")
    name = unquote(parts.path if parts.scheme else path.partition("?")[0])
    if "/data/upload/" in name or name.startswith(("upload/", "/upload/")):
        name = name.rpartition("/")[2]
        return _UPLOAD.sub("", name, count=1)
    return name.lstrip("/")


def _rate_of(task: Mapping[str, Any]) -> float | None:
    for key, value in _data_of(task).items():
        if plain_name(str(key)) in _RATES:
            rate = as_seconds(str(value))
            if rate and 0 < rate < 1e5:
                # Label Studio takes less than 1 for the length of a frame.
                return rate if rate >= 1 else 1 / rate
    return None


def _name_of(author: Any) -> str | None:
    if isinstance(author, dict):
        names = (author.get("email"), author.get("username"), author.get("id"))
        return next((str(name) for name in names if name), None)
    return str(author) if author not in (None, "") else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e12 else None


def write_label_studio(
    path: str | Path, file: EventFile, *, fps: float | None = None
) -> tuple[str, ...]:
    """Write events as tasks with ranges of frames, to import into a project with this interface::

        <View><Video name="video" value="$video" frameRate="$fps"/>
        <TimelineLabels name="label" toName="video"><Label value="..."/></TimelineLabels></View>

    Detections (events with a score) become predictions. Times are rounded to frames, of which a
    range has at least one.
    """
    videos = {video.video_id: video for video in file.videos}
    names = list(dict.fromkeys([*videos, *(event.video_id for event in file.events)]))
    results: dict[str, dict[str, list[dict[str, Any]]]] = {
        name: {"annotations": [], "predictions": []} for name in names
    }
    rates = {
        name: (videos[name].fps if name in videos else None) or fps or USUAL_FPS for name in names
    }
    furthest = 0.0
    for place, event in enumerate(file.events):
        rate = rates[event.video_id]
        first = max(1, round(event.start_seconds * rate) + 1)
        last = max(first, round(event.end_seconds * rate))
        ends = ((first - 1) / rate, last / rate)
        shifts = (ends[0] - event.start_seconds, ends[1] - event.end_seconds)
        furthest = max(furthest, *map(abs, shifts))
        kind = "annotations" if event.score is None else "predictions"
        one: dict[str, Any] = {
            "id": f"mmad{place:06d}",
            "type": "timelinelabels",
            "from_name": "label",
            "to_name": "video",
            "value": {
                "ranges": [{"start": first, "end": last}],
                "timelinelabels": [event.label],
            },
        }
        if event.score is not None:
            one["score"] = event.score
        if text := with_extras(event, without=("score",), person=True):
            one["meta"] = {"text": [text]}
        results[event.video_id][kind].append(one)
    tasks = []
    for name in names:
        media = videos[name].media if name in videos else ""
        task: dict[str, Any] = {"data": {"video": media or name, "fps": rates[name]}}
        for kind, found in results[name].items():
            task[kind] = [{"result": found}] if found else []
        tasks.append(task)
    write_text(path, json.dumps(tasks, ensure_ascii=False, indent=1) + "\n")
    unknown = [name for name in names if name not in videos or not (videos[name].fps or fps)]
    notices = []
    if unknown:
        notices.append(
            f"the frame rate of {count(len(unknown), 'video')} is not known, first {unknown[0]}: "
            f"{USUAL_FPS:g} is used; pass --fps or --videos"
        )
    if furthest > 1e-6:
        notices.append(f"times are rounded to frames, by {1000 * furthest:.0f} ms at most")
    return tuple(notices)
