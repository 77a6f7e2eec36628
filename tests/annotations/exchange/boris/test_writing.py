import json
from pathlib import Path

import pytest

from mmad.annotations.exchange.boris.json_edit import members, with_members
from mmad.annotations.exchange.events import CodedVideo, Event, EventFile
from mmad.annotations.exchange.reading import read_events
from mmad.annotations.exchange.writing import write_events
from mmad.errors import AnnotationError

FILE = EventFile(
    Path("x"),
    "csv",
    (
        Event("v", "nod", 1.0, 2.0, person="anna", score=0.5),
        Event("v", "nod", 1.5, 3.0, person="anna"),
        Event("v", "blink", 2.0, 2.5, person="bo"),
    ),
    ("", "", ""),
    (CodedVideo("v", "v.mp4", 9.0, 25.0),),
)


def test_an_existing_project_stays_byte_for_byte(tmp_path: Path) -> None:
    """New entries come behind its own; whatever is between them is as it was."""
    path = tmp_path / "p.boris"
    behaviour = '{"code" :"blink","type":"Point event",  "key": "b", "mine": [1,  2.50]}'
    before = (
        '{\r\n  "project_name": "Ünïcode \\u00e9",\n "behaviors_conf": {\n\t"3": '
        + behaviour
        + '},\n "observations":{ "old": {"type": "LIVE", "events": [[1.0, "", "blink", "", ""]]}},'
        '\n "subjects_conf": {}, "unknown": {"a": [ ]}\n}\n\n'
    )
    path.write_bytes(before.encode())
    written = write_events(path, FILE, format="boris")
    after = path.read_bytes().decode()
    assert behaviour in after
    kept = iter(after)
    assert all(letter in kept for letter in before)  # in order, with what is new in between
    head, tail = before.index('"old"'), before.index('"unknown"')
    assert after.startswith(before[: before.index(behaviour)])
    assert after.endswith(before[tail:])
    assert before[head : before.index("}},")] in after
    project = json.loads(after)
    codes = [one["code"] for one in project["behaviors_conf"].values()]
    assert codes == ["blink", "nod", "blink (state)"]
    assert any("was added as 'blink (state)'" in notice for notice in written.notices)
    assert list(project["observations"]) == ["old", "v", "v (2)"]
    found = read_events(path, strict=False)
    assert [(one.label, one.start_seconds, one.score) for one in found.events] == [
        ("blink", 1.0, None),
        ("nod", 1.0, 0.5),
        ("blink (state)", 2.0, None),
        ("nod", 1.5, None),
    ]


def test_the_same_observations_are_added_once(tmp_path: Path) -> None:
    path = tmp_path / "p.boris"
    write_events(path, FILE, format="boris")
    before = path.read_bytes()
    written = write_events(path, FILE, format="boris")
    assert path.read_bytes() == before
    assert any("2 observations are in p.boris already" in one for one in written.notices)


def test_what_is_no_project_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "p.boris"
    path.write_text("[1]")
    with pytest.raises(AnnotationError, match="is no project of BORIS; name another file"):
        write_events(path, FILE, format="boris")
    assert path.read_text() == "[1]"


def test_members_are_found_among_texts_that_look_like_them() -> None:
    text = '{ "a" : "}{\\"", "b": [ {"c": 1}, "]" ], "d": -1.5e3 }'
    assert [(one.key, text[one.start : one.end]) for one in members(text)] == [
        ("a", '"}{\\""'),
        ("b", '[ {"c": 1}, "]" ]'),
        ("d", "-1.5e3"),
    ]
    assert json.loads(with_members(text, 0, {"é": {"x": []}}))["é"] == {"x": []}
