"""Observations: persons, lengths of videos, events outside of them."""

from pathlib import Path

import pytest

from mmad.annotations.exchange.events import Event
from mmad.errors import AnnotationError
from mmad.evaluation.budget.coding import make_coding
from mmad.evaluation.budget.conditions import read_conditions
from mmad.labels import MA52


def test_a_person_in_a_video_is_an_observation() -> None:
    events = [Event("v", "a", 0, 1, "ada"), Event("v", "a", 0, 1, "ben"), Event("w", "b", 0, 1)]
    coding = make_coding(events, seconds={"v": 5.0, "w": 6.0, "empty": 7.0})
    assert coding.videos == ("v", "v", "w", "empty")
    assert coding.persons == ("ada", "ben", "", "")
    assert coding.seconds.tolist() == [5.0, 5.0, 6.0, 7.0]
    assert coding.observations.tolist() == [0, 1, 2]
    assert not coding.notices


def test_micro_actions_have_body_parts() -> None:
    coding = make_coding([Event("v", "nodding", 0, 1)], seconds={"v": 5.0}, labels=MA52)
    assert coding.of_body_parts().labels.names[coding.of_body_parts().behaviours[0]] == "head"


def test_an_unknown_length_is_an_error_that_says_what_to_pass() -> None:
    with pytest.raises(AnnotationError, match=r"length of 1 video is unknown \(v\).*--videos"):
        make_coding([Event("v", "a", 0, 1)], seconds={"v": None})


def test_events_outside_of_their_video_are_an_error_or_cut_or_left_out() -> None:
    events = [Event("v", "a", 1, 9), Event("v", "a", 4.95, 5.05), Event("v", "a", 8, 9)]
    seconds = {"v": 5.0}
    with pytest.raises(
        AnnotationError, match=r"2 events .*1 to 9 s in the 5 s of v, .*--out-of-video"
    ):
        make_coding(events, seconds=seconds)
    cut = make_coding(events, seconds=seconds, out_of_video="clip")
    assert cut.segments.tolist() == [[1.0, 5.0], [4.95, 5.0]]
    assert "2 events not inside the video: cut" in cut.notices[0]
    left = make_coding(events, seconds=seconds, out_of_video="drop")
    assert left.segments.tolist() == [[4.95, 5.0]]


def test_conditions_give_persons_and_lengths(tmp_path: Path) -> None:
    table = tmp_path / "persons.csv"
    table.write_text(
        "video,person,group,duration_seconds\nv.mp4,ada,old,5\nw,ben,young,6\nx,cy,old,1\n",
        encoding="utf-8",
    )
    conditions = read_conditions(table, ["v", "w"])
    events = [Event("v", "a", 0, 1), Event("w", "a", 0, 1, "ben")]
    coding = make_coding(events, seconds={"v": None, "w": 9.0}, conditions=conditions)
    assert coding.persons == ("ada", "ben")
    assert coding.conditions == {"group": ("old", "young")}
    assert coding.seconds.tolist() == [5.0, 6.0]
    assert coding.notices == ("1 video is in persons.csv and in no other file: x",)


def test_persons_of_one_video_may_have_conditions_of_their_own(tmp_path: Path) -> None:
    table = tmp_path / "persons.csv"
    table.write_text("video,person,role\nv,ada,asks\nv,ben,answers\nv,cy,listens\n", "utf-8")
    events = [Event("v", "a", 0, 1, "ada"), Event("v", "a", 0, 1, "ben")]
    coding = make_coding(events, seconds={"v": 9.0}, conditions=read_conditions(table, ["v"]))
    assert coding.persons == ("ada", "ben", "cy")
    assert coding.conditions["role"] == ("asks", "answers", "listens")


def test_a_video_without_a_row_is_an_error(tmp_path: Path) -> None:
    table = tmp_path / "persons.csv"
    table.write_text("video,group\nv,old\n", encoding="utf-8")
    with pytest.raises(AnnotationError, match=r"1 observation has no row \(video w\); add"):
        make_coding([], seconds={"v": 1.0, "w": 1.0}, conditions=read_conditions(table, ["v", "w"]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,group\nv,old\n", "expected a column video"),
        ("video,group\nv,\n", "line 2: found no group"),
        ("video,group\nv\n", "line 2: found no group"),
        ("video,group\nv,old,extra\n", "line 2: found 3 cells, not 2"),
        ("video,group\nv,old\nv,young\n", "line 3: a second row for v"),
        ("video,group,group\nv,old,old\n", "column group is there twice"),
        ("video,count\nv,old\n", "a condition cannot be named 'count'"),
        ("video,group\n", "no row below the header"),
        ("video,duration_seconds\nv,long\n", "line 2: duration_seconds: expected a number"),
        ("video,duration_seconds\nv,nan\n", "line 2: duration_seconds: expected a number"),
        ("video,\nv,old\n", "a column has no name"),
        ("video|group\nv|old\n", "expected a column video"),
    ],
)
def test_a_bad_table_is_one_message(tmp_path: Path, text: str, message: str) -> None:
    table = tmp_path / "persons.csv"
    table.write_text(text, encoding="utf-8")
    with pytest.raises(AnnotationError, match=message):
        read_conditions(table, ["v"])
