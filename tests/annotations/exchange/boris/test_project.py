import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from mmad.annotations.exchange.reading import read_events
from mmad.annotations.formats import detect_format, read_annotations
from mmad.errors import AnnotationError

BEHAVIOURS = {
    "0": {"type": "State event", "key": "n", "code": "nod"},
    "1": {"type": "Point event", "key": "b", "code": "blink"},
}


def project(*observations: dict[str, Any]) -> dict[str, Any]:
    named = {one.get("name", f"obs {place}"): one for place, one in enumerate(observations)}
    return {
        "project_format_version": "7.0",
        "subjects_conf": {},
        "behaviors_conf": BEHAVIOURS,
        "observations": named,
    }


def observation(*events: list[Any], files: tuple[str, ...] = ("v.mp4",), **more: Any) -> dict:
    lengths = dict.fromkeys(files, 20.0)
    return {
        "type": "MEDIA",
        "file": {"1": list(files), "2": []},
        "time offset": 0.0,
        "events": list(events),
        "media_info": {"length": lengths, "fps": dict.fromkeys(files, 25.0)},
    } | more


def put(folder: Path, *observations: dict[str, Any]) -> Path:
    path = folder / "p.boris"
    path.write_text(json.dumps(project(*observations)), encoding="utf-8")
    return path


def test_starts_and_stops_are_paired_by_subject_behaviour_and_modifiers(tmp_path: Path) -> None:
    path = put(
        tmp_path,
        observation(
            [1.0, "anna", "nod", "", "first"],
            [1.5, "", "nod", "", ""],
            [2.0, "anna", "blink", "", ""],
            [2.5, "anna", "nod", "fast|left", ""],
            [3.0, "anna", "nod", "", "second"],
            [3.5, "anna", "nod", "fast|left", ""],
            [4.0, "", "nod", "", ""],
        ),
    )
    assert detect_format(path) == "boris"
    found = read_events(path)
    assert [
        (one.start_seconds, one.end_seconds, one.person, one.label, one.modifiers)
        for one in found.events
    ] == [
        (1.0, 3.0, "anna", "nod", ""),
        (1.5, 4.0, None, "nod", ""),
        (2.0, 2.0, "anna", "blink", ""),
        (2.5, 3.5, "anna", "nod", "fast|left"),
    ]
    assert found.events[0].comment == "first / second"
    assert (found.videos[0].duration_seconds, found.videos[0].fps) == (20.0, 25.0)
    annotated = read_annotations(path)
    assert annotated.labels.names == ("nod",)
    assert annotated.records[0].num_frames == 500


def test_times_are_those_of_the_media_file(tmp_path: Path) -> None:
    """The offset of the observation and the files before are subtracted."""
    events = ([103.0, "", "nod", "", ""], [104.0, "", "nod", "", ""], [121.0, "", "blink", "", ""])
    path = put(
        tmp_path, observation(*events, files=("P1/c.mp4", "P2/c.mp4"), **{"time offset": 100.0})
    )
    found = read_events(path).events
    assert [(one.video_id, one.start_seconds) for one in found] == [("P1/c", 3.0), ("P2/c", 1.0)]


def test_packed_projects_are_read(tmp_path: Path) -> None:
    plain = put(tmp_path, observation([1.0, "", "blink", "", ""]))
    packed = tmp_path / "p.boris_gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert read_events(packed).events == read_events(plain).events


def test_two_observations_of_a_video_are_two_annotators(tmp_path: Path) -> None:
    one = observation([1.0, "", "nod", "", ""], [2.0, "", "nod", "", ""], name="by a")
    two = observation([1.1, "", "blink", "", ""], independent_variables={"Observer": "bo"})
    found = read_events(put(tmp_path, one, two), strict=False)
    assert [event.annotator for event in found.events] == ["by a", "bo"]
    assert any("more than one observation" in notice for notice in found.notices)


@pytest.mark.parametrize(
    ("events", "message"),
    [
        (
            [[1.0, "anna", "nod", "", ""]],
            "event 1: 'nod' of anna starts at 1.000 s and never stops",
        ),
        ([["x", "", "nod", "", ""]], "event 1: expected a time in seconds, found 'x'"),
        ([[float("nan"), "", "nod", "", ""]], "expected a time in seconds, found nan"),
        ([[1.0, "", "wave", "", ""]], "event 1: 'wave' is not in the ethogram"),
        ([[-2.0, "", "blink", "", ""]], r"event 1 \(video v\): starts at -2\.0000 s, before"),
        ([[31.0, "", "blink", "", ""]], "reaches beyond the end of the video at 20"),
        ([3], "event 1: expected .time, subject, behaviour"),
    ],
)
def test_a_bad_event_is_named(tmp_path: Path, events: list[Any], message: str) -> None:
    with pytest.raises(AnnotationError, match=message):
        read_events(put(tmp_path, observation(*events)))
    found = read_events(put(tmp_path, observation(*events)), strict=False)
    assert not found.events
    assert found.problems
