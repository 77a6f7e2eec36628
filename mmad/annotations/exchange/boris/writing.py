"""Writing projects of BORIS, and adding observations to an existing one.

An existing project is changed as a text: everything in it stays byte for byte, and behaviours,
subjects and observations that it lacks are added behind its own.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mmad.annotations.exchange.boris.json_edit import members, with_members
from mmad.annotations.exchange.boris.project import is_boris
from mmad.annotations.exchange.coding import with_extras
from mmad.annotations.exchange.events import CodedVideo, Event, EventFile
from mmad.annotations.exchange.lanes import lanes_of
from mmad.annotations.exchange.source import Source
from mmad.errors import AnnotationError
from mmad.files import write_bytes, write_text
from mmad.wording import count

STATE, POINT = "State event", "Point event"
# BORIS keeps milliseconds.
_DECIMALS = 3


def write_boris(path: str | Path, file: EventFile, *, fps: float | None = None) -> tuple[str, ...]:
    """Write events as a project, or add them to the one at ``path``.

    There is an observation for each video and annotator. Events of the same behaviour, subject and
    modifiers that overlap, which BORIS cannot tell apart, go to further observations.

    Raises: AnnotationError if the existing file is not a project of BORIS.
    """
    path = Path(path)
    if not path.exists():
        project = _new_project()
        kinds, _ = _kinds(file, known={})
        project["behaviors_conf"] = _behaviours(kinds, first=0)
        names = dict.fromkeys(event.person for event in file.events if event.person)
        project["subjects_conf"] = _subjects(names, first=0)
        project["observations"], notices = _observations(file, fps=fps, taken=(), kinds=kinds)
        write_text(path, json.dumps(project, ensure_ascii=False, indent=1) + "\n")
        return tuple(notices)
    source = Source(path)
    if source.is_packed:
        raise AnnotationError(f"{path}: is packed; unpack it (gunzip), then add to the plain file")
    if not is_boris(source.json):
        raise AnnotationError(
            f"{path}: exists and is no project of BORIS; name another file, or move this one away"
        )
    return _add_to(path, source, file, fps=fps)


def _add_to(path: Path, source: Source, file: EventFile, *, fps: float | None) -> tuple[str, ...]:
    project, text = source.json, source.text
    for part in ("behaviors_conf", "subjects_conf", "observations"):
        if not isinstance(project.get(part, {}), dict):
            raise AnnotationError(f"{path}: {part}: expected an object; nothing was written")
    known = {
        str(one.get("code", "")): str(one.get("type", ""))
        for one in project["behaviors_conf"].values()
        if isinstance(one, dict)
    }
    kinds, told = _kinds(file, known=known)
    of_labels = {
        label: STATE if label in told or "STATE" in known.get(label, kind).upper() else POINT
        for label, kind in kinds.items()
    } | dict.fromkeys(told, STATE)
    observations, notices = _observations(
        file, fps=fps, taken=project["observations"], kinds=of_labels
    )
    _name_codes(observations, told)
    notices += [
        f"'{old}' is no {STATE.lower()} in {path.name} and was added as '{new}'"
        for old, new in told.items()
    ]
    same = {
        name: one
        for name, one in observations.items()
        if any(
            isinstance(other, dict) and other.get("events") == one["events"]
            for other in project["observations"].values()
        )
    }
    if same:
        notices.append(f"{count(len(same), 'observation', 'is')} in {path.name} already")
    observations = {name: one for name, one in observations.items() if name not in same}
    subjects = project.get("subjects_conf") or {}
    present = {one.get("name") for one in subjects.values() if isinstance(one, dict)}
    people = dict.fromkeys(
        event.person for event in file.events if event.person and event.person not in present
    )
    new = {code: kind for code, kind in kinds.items() if code not in known}
    for part, added in (
        ("behaviors_conf", _behaviours(new, first=_next(project["behaviors_conf"]))),
        ("subjects_conf", _subjects(people, first=_next(subjects))),
        ("observations", observations),
    ):
        place = next((one for one in members(text) if one.key == part), None)
        if added and place is None:
            text = with_members(text, 0, {part: added})
        elif added and place is not None:
            text = with_members(text, place.start, added)
    encoding = source.encoding
    mark = b"\xef\xbb\xbf" if encoding == "utf-8-sig" else b""
    write_bytes(path, mark + text.encode("utf-8" if mark else encoding))
    return tuple(notices)


def _new_project() -> dict[str, Any]:
    return {
        "time_format": "hh:mm:ss",
        "project_date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
        "project_name": "mmad",
        "project_description": "",
        "project_format_version": "7.0",
        "subjects_conf": {},
        "behaviors_conf": {},
        "observations": {},
        "behavioral_categories": [],
        "independent_variables": {},
        "coding_map": {},
        "behaviors_coding_map": [],
        "converters": {},
    }


def _kinds(file: EventFile, *, known: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """State or point for each code, and the new code of labels that are points in the project."""
    states = dict.fromkeys(event.label for event in file.events if not event.is_point)
    labels = dict.fromkeys([*file.labels, *(event.label for event in file.events)])
    only_points = {event.label for event in file.events if event.is_point} - states.keys()
    renamed = {
        label: f"{label} (state)"
        for label in states
        if label in known and "STATE" not in known[label].upper()
    }
    kinds = {
        renamed.get(label, label): POINT if label in only_points else STATE for label in labels
    }
    return kinds, renamed


def _name_codes(observations: Mapping[str, Any], renamed: Mapping[str, str]) -> None:
    for one in observations.values() if renamed else ():
        for event in one["events"]:
            event[2] = renamed.get(event[2], event[2])


def _observations(
    file: EventFile, *, fps: float | None, taken: Collection[str], kinds: Mapping[str, str]
) -> tuple[dict[str, Any], list[str]]:
    videos = {video.video_id: video for video in file.videos}
    groups: dict[tuple[str, str | None], list[Event]] = {}
    for video_id in videos:
        if not any(event.video_id == video_id for event in file.events):
            groups[video_id, None] = []
    for event in file.events:
        groups.setdefault((event.video_id, event.annotator), []).append(event)
    found: dict[str, Any] = {}
    num_more = 0
    for (video_id, annotator), events in groups.items():
        parts: dict[int, list[Event]] = {1: []} if not events else {}
        lanes = lanes_of(
            events,
            key=lambda one: (one.label, one.modifiers),
            decimals=_DECIMALS,
            is_apart=lambda one: kinds.get(one.label) == POINT,
        )
        for lane in lanes:
            parts.setdefault(lane.number, []).extend(lane.events)
        for number, part in sorted(parts.items()):
            name = f"{video_id} {annotator}" if annotator else video_id
            name += f" ({number})" if number > 1 else ""
            num_more += number > 1
            name = _free(name, (*taken, *found))
            video = videos.get(video_id, CodedVideo(video_id))
            found[name] = _observation(video, part, annotator=annotator, fps=fps, kinds=kinds)
    notices = []
    if num_more:
        notices.append(
            "events of the same behaviour and subject overlap, which BORIS cannot tell apart: "
            f"{count(num_more, 'further observation', 'was')} written for them"
        )
    return found, notices


def _free(name: str, taken: Collection[str]) -> str:
    number = 1
    while (numbered := name if number == 1 else f"{name} #{number}") in taken:
        number += 1
    return numbered


def _observation(
    video: CodedVideo,
    events: Sequence[Event],
    *,
    annotator: str | None,
    fps: float | None,
    kinds: Mapping[str, str],
) -> dict[str, Any]:
    media = video.media or video.video_id
    lines = []
    for event in events:
        comment = with_extras(event, without=("modifiers", "by"))
        lines.append(_line(event, event.start_seconds, comment))
        if kinds.get(event.label) != POINT:
            lines.append(_line(event, event.end_seconds, ""))
    lines.sort(key=lambda line: line[0])
    info: dict[str, Any] = {"length": {}, "fps": {}, "hasVideo": {media: True}, "hasAudio": {}}
    if video.duration_seconds is not None:
        info["length"][media] = video.duration_seconds
    if rate := video.fps or fps:
        info["fps"][media] = rate
    # An observer without a name says that the observation itself is none.
    variables = {"observer": annotator or ""}
    return {
        "file": {str(player): [media] if player == 1 else [] for player in range(1, 9)},
        "type": "MEDIA",
        "date": "",
        "description": "",
        "time offset": 0.0,
        "events": lines,
        "observation time interval": [0, 0],
        "independent_variables": variables,
        "visualize_spectrogram": False,
        "visualize_waveform": False,
        "close_behaviors_between_videos": False,
        "scan_sampling_time": 0,
        "start_from_current_time": False,
        "start_from_current_epoch_time": False,
        "media_info": info,
    }


def _line(event: Event, time: float, comment: str) -> list[Any]:
    return [round(time, _DECIMALS), event.person or "", event.label, event.modifiers, comment]


def _subjects(names: Iterable[str | None], *, first: int) -> dict[str, Any]:
    return {
        str(number): {"key": "", "name": name, "description": ""}
        for number, name in enumerate(names, start=first)
    }


def _behaviours(kinds: Mapping[str, str], *, first: int) -> dict[str, Any]:
    return {
        str(number): {
            "type": kind,
            "key": "",
            "code": code,
            "description": "",
            "color": "",
            "category": "",
            "modifiers": {},
            "excluded": "",
            "coding map": "",
        }
        for number, (code, kind) in enumerate(kinds.items(), start=first)
    }


def _next(conf: Any) -> int:
    numbers = [int(key) for key in conf if str(key).isdigit()] if isinstance(conf, dict) else []
    return max(numbers, default=-1) + 1
