"""Projects of the VGG Image Annotator, version 3: JSON, and its exports as CSV.

A temporal segment has the times [start, end], a point [time]; what it is called is the value of one
of the attributes of temporal segments, which can be text or options.

Source: the data format of VIA 3, https://gitlab.com/vgg/via.
"""

import csv
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmad.annotations.exchange import plain
from mmad.annotations.exchange.coding import Coding, media_ids, or_none
from mmad.annotations.exchange.events import CodedVideo, Event, EventFile
from mmad.annotations.exchange.source import Source
from mmad.annotations.exchange.values import as_seconds
from mmad.errors import AnnotationError
from mmad.files import write_text
from mmad.parsing import json_value

JSON_NAME, CSV_NAME = "via-json", "via-csv"
_HEADER = re.compile(r"#\s*CSV_HEADER\s*=\s*(.+)")
_ATTRIBUTES = re.compile(r"#\s*ATTRIBUTES?\s*=\s*(\{.*\})")
_COLUMNS = "metadata_id,file_list,flags,temporal_coordinates,spatial_coordinates,metadata"
_TEXT, _CHECKBOX, _SELECT, _VIDEO, _LOCAL = 1, 2, 4, 4, 1
_DEFAULT = "_DEFAULT"
_FIELDS = ("person", "annotator", "score", "comment", "modifiers")


@dataclass(frozen=True)
class _Attribute:
    """An attribute: its name, kind and options."""

    name: str
    kind: int = _TEXT
    options: Mapping[str, str] = field(default_factory=dict)

    def values(self, text: str) -> list[str]:
        """What a value means: its text, or the options that are chosen."""
        if not self.options or self.kind == _TEXT:
            return [text.strip()] if text.strip() not in ("", _DEFAULT) else []
        keys = text.split(",") if self.kind == _CHECKBOX else [text]
        found = [self.options.get(key.strip(), key.strip()) for key in keys]
        return [value for value in found if value and value != _DEFAULT]


@dataclass(frozen=True)
class _Entry:
    """An annotation: its place, media files, times, whether it is a region, values by attribute."""

    where: str
    files: tuple[str, ...]
    times: Any
    is_region: bool
    values: Mapping[str, Any]


def is_via(content: Any) -> bool:
    """Whether a JSON value is a project of VIA 3."""
    return isinstance(content, dict) and {"metadata", "attribute", "file", "view"} <= content.keys()


def is_via_csv(text: str) -> bool:
    """Whether a text is an export of VIA 3 as CSV."""
    return "_id,file_list," in text[:20_000] and _HEADER.search(text[:20_000]) is not None


def read_via_json(source: Source, *, fps: float | None = None) -> EventFile:
    """The temporal segments and points of a project; regions of images are left out."""
    coding = Coding(source, JSON_NAME)
    project = source.json
    parts = {name: project[name] for name in ("metadata", "attribute", "file", "view")}
    for name, part in parts.items():
        if not isinstance(part, dict):
            coding.problem(f"{name}: expected an object, found {part!r:.40}")
            return coding.file()
    files = {
        str(key): str(one.get("src") or one.get("fname") or "")
        for key, one in parts["file"].items()
        if isinstance(one, dict)
    }
    views = {
        str(key): tuple(files.get(str(fid), "") for fid in one.get("fid_list") or ())
        for key, one in parts["view"].items()
        if isinstance(one, dict) and isinstance(one.get("fid_list"), list)
    }
    entries = []
    for key, one in parts["metadata"].items():
        where = f"metadata '{key}'"
        if not isinstance(one, dict) or str(one.get("vid")) not in views:
            coding.problem(f"{where}: expected an object with vid, z and av of a known view")
            continue
        values = one.get("av")
        values = values if isinstance(values, dict) else {}
        entries.append(
            _Entry(where, views[str(one["vid"])], one.get("z"), bool(one.get("xy")), values)
        )
    listed = dict.fromkeys(paths[0] for paths in views.values() if paths and paths[0])
    return _coded(coding, entries, attributes=_attributes(parts["attribute"]), media=listed)


def read_via_csv(source: Source, *, fps: float | None = None) -> EventFile:
    """The temporal segments and points of an export as CSV."""
    coding = Coding(source, CSV_NAME)
    attributes: dict[str, _Attribute] = {}
    header: list[str] = []
    entries = []
    for line, text in enumerate(source.text.splitlines(), start=1):
        where = f"line {line}"
        if text.lstrip('"').startswith("#"):
            if match := _HEADER.search(text):
                header = [cell.strip(' "') for cell in match[1].split(",")]
            elif match := _ATTRIBUTES.search(text):
                attributes = _attributes(_json(match[1], coding=coding, where=where) or {})
            continue
        if not text.strip():
            continue
        delimiter = "\t" if "\t" in text and text.count("\t") >= len(header) - 1 else ","
        try:
            cells = next(csv.reader([text], delimiter=delimiter, strict=True))
        except csv.Error as error:
            coding.problem(f"{where}: not valid CSV: {error}")
            continue
        row = dict(zip(header, cells, strict=False))
        if "file_list" not in row or "metadata" not in row:
            coding.problem(f"{where}: expected {len(header)} cells, found {len(cells)}")
            continue
        named = [_json(row[key], coding=coding, where=where) for key in ("file_list", "metadata")]
        if not isinstance(named[0], list) or not isinstance(named[1], dict):
            coding.problem(f"{where}: expected a list of files and an object of values")
            continue
        if "temporal_coordinates" in row:
            times = _json(row["temporal_coordinates"], coding=coding, where=where)
        else:
            ends = (row.get(f"temporal_segment_{one}", "") for one in ("start", "end"))
            times = [as_seconds(cell) for cell in ends]
        is_region = row.get("spatial_coordinates", "[]").strip() not in ("[]", "")
        files = tuple(str(one) for one in named[0])
        entries.append(_Entry(where, files, times, is_region, named[1]))
    listed = dict.fromkeys(one.files[0] for one in entries if one.files)
    return _coded(coding, entries, attributes=attributes, media=listed)


def _coded(
    coding: Coding,
    entries: list[_Entry],
    *,
    attributes: Mapping[str, _Attribute],
    media: Mapping[str, None],
) -> EventFile:
    ids = media_ids(media)
    for path, video_id in ids.items():
        coding.video(CodedVideo(video_id, path))
    regions = [one.where for one in entries if one.is_region]
    coding.left_out(regions, "region", "regions of images have no behaviour in time")
    entries = [one for one in entries if not one.is_region]
    untimed = [one.where for one in entries if one.times == []]
    coding.left_out(untimed, "annotation", "it has no times, but is of the whole file")
    entries = [one for one in entries if one.times != []]
    roles = _roles(entries, attributes)
    label_key = roles.get("label")
    if label_key is not None and label_key in attributes:
        coding.labels += attributes[label_key].options.values()
    unnamed = []
    for one in entries:
        times = one.times if isinstance(one.times, list) else []
        good = [value for value in times if _is_time(value)]
        if not one.files or not one.files[0]:
            coding.problem(f"{one.where}: its file is not named in the project")
            continue
        if len(good) != len(times) or not 1 <= len(good) <= 2:
            coding.problem(
                f"{one.where}: expected [start, end] in seconds, found {one.times!r:.60}"
            )
            continue
        texts = {
            key: attributes.get(str(key), _Attribute(str(key))).values(str(value))
            for key, value in one.values.items()
        }
        labels = texts.get(label_key or "", [])
        if not labels:
            unnamed.append(one.where)
        fields = {role: " ".join(texts.get(key, [])) for role, key in roles.items()}
        score = as_seconds(fields.get("score", ""))
        others = [
            f"{attributes[key].name}: {', '.join(found)}"
            for key, found in texts.items()
            if found and key not in roles.values() and key in attributes
        ]
        for label in labels:
            coding.add(
                Event(
                    ids[one.files[0]],
                    label,
                    float(good[0]),
                    float(good[-1]),
                    person=or_none(fields.get("person", "")),
                    annotator=or_none(fields.get("annotator", "")),
                    score=score,
                    comment="; ".join(filter(None, (fields.get("comment", ""), *others))),
                    modifiers=fields.get("modifiers", ""),
                ),
                one.where,
            )
    coding.left_out(unnamed, "segment", "it has no value that could be a label")
    return coding.file()


def _roles(entries: list[_Entry], attributes: Mapping[str, _Attribute]) -> dict[str, str]:
    """The attribute that is the label, the person, ..., by their names.

    Without one named as labels are, the label is the attribute that most annotations have.
    """
    used = Counter(
        str(key) for one in entries for key, value in one.values.items() if str(value).strip()
    )
    roles = {
        role: key
        for key, attribute in attributes.items()
        if (role := plain.field_of(attribute.name)) in ("label", *_FIELDS)
    }
    if "label" not in roles:
        free = [key for key, _ in used.most_common() if key not in roles.values()]
        roles |= {"label": free[0]} if free else {}
    return roles


def _attributes(content: Any) -> dict[str, _Attribute]:
    found = {}
    for key, one in content.items() if isinstance(content, dict) else ():
        if isinstance(one, dict):
            options = one.get("options")
            options = options if isinstance(options, dict) else {}
            texts = {str(name): str(text).strip() for name, text in options.items()}
            kind = one.get("type")
            kind = kind if isinstance(kind, int) else _TEXT
            found[str(key)] = _Attribute(str(one.get("aname", key)), kind, texts)
    return found


def _json(text: str, *, coding: Coding, where: str) -> Any:
    try:
        return json_value(where, text)
    except AnnotationError as error:
        coding.problem(str(error))
        return None


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12


def write_via_json(path: str | Path, file: EventFile, *, fps: float | None = None) -> None:
    """Write events as a project of VIA 3."""
    project = _project(file)
    write_text(path, json.dumps(project, ensure_ascii=False, separators=(",", ":")) + "\n")


def write_via_csv(path: str | Path, file: EventFile, *, fps: float | None = None) -> None:
    """Write events as VIA 3 exports them."""
    project = _project(file)
    lines = [
        "# Exported for the VGG Image Annotator (http://www.robots.ox.ac.uk/~vgg/software/via)",
        f"# ATTRIBUTE = {json.dumps(project['attribute'], ensure_ascii=False)}",
        f"# CSV_HEADER = {_COLUMNS}",
    ]
    for key, one in project["metadata"].items():
        name = project["file"][one["vid"]]["fname"]
        cells = [key, [name], one["flg"], one["z"], one["xy"], one["av"]]
        lines.append(",".join(_csv_cell(cell) for cell in cells))
    write_text(path, "\n".join(lines) + "\n")


def _csv_cell(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if isinstance(value, int) else '"' + text.replace('"', '""') + '"'


def _project(file: EventFile) -> dict[str, Any]:
    labels = list(dict.fromkeys([*file.labels, *(event.label for event in file.events)]))
    options = {str(number): label for number, label in enumerate(labels)}
    number_of = {label: number for number, label in options.items()}
    attribute = {"1": _attribute("label", _SELECT, options)}
    key_of = {}
    for name in _FIELDS:
        if any(getattr(event, name) not in (None, "") for event in file.events):
            key_of[name] = str(len(attribute) + 1)
            attribute[key_of[name]] = _attribute(name, _TEXT, {})
    videos = {video.video_id: video for video in file.videos}
    names = list(dict.fromkeys([*videos, *(event.video_id for event in file.events)]))
    vid_of = {name: str(number) for number, name in enumerate(names, start=1)}
    files = {}
    for name, vid in vid_of.items():
        media = videos[name].media if name in videos else ""
        files[vid] = {"fid": vid, "fname": media or name, "type": _VIDEO, "loc": _LOCAL, "src": ""}
    metadata = {}
    for place, event in enumerate(file.events):
        ends = (event.start_seconds, event.end_seconds)
        times = [round(time, 6) for time in (ends[:1] if event.is_point else ends)]
        values = {"1": number_of[event.label]}
        for name, key in key_of.items():
            value = getattr(event, name)
            if value not in (None, ""):
                values[key] = repr(value) if isinstance(value, float) else str(value)
        vid = vid_of[event.video_id]
        metadata[f"{vid}_{place:08d}"] = {"vid": vid, "flg": 0, "z": times, "xy": [], "av": values}
    return {
        "project": {
            "pid": "__VIA_PROJECT_ID__",
            "rev": "__VIA_PROJECT_REV_ID__",
            "rev_timestamp": "__VIA_PROJECT_REV_TIMESTAMP__",
            "pname": "mmad",
            "data_format_version": "3.1.1",
            "creator": "VGG Image Annotator (http://www.robots.ox.ac.uk/~vgg/software/via)",
            "created": 0,
            "vid_list": list(vid_of.values()),
        },
        "config": {
            "file": {"loc_prefix": {"1": "", "2": "", "3": "", "4": ""}},
            "ui": {
                "file_content_align": "center",
                "file_metadata_editor_visible": True,
                "spatial_metadata_editor_visible": True,
                "spatial_region_label_attribute_id": "",
            },
        },
        "attribute": attribute,
        "file": files,
        "metadata": metadata,
        "view": {vid: {"fid_list": [vid]} for vid in vid_of.values()},
    }


def _attribute(name: str, kind: int, options: Mapping[str, str]) -> dict[str, Any]:
    return {
        "aname": name,
        "anchor_id": "FILE1_Z2_XY0",
        "type": kind,
        "desc": "",
        "options": dict(options),
        "default_option_id": "",
    }
