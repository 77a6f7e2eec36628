"""Decisions as events."""

from pathlib import Path

import pytest

from mmad.annotations.exchange.reading import read_events
from mmad.annotations.exchange.writing import WRITERS, write_events
from mmad.errors import ProjectError
from mmad.projects.actions import Actions, Target
from mmad.projects.events import decided_events
from support.studies import first_of, make_study


def test_decisions_leave_in_every_format(videos: Path, tmp_path: Path) -> None:
    project = make_study(tmp_path / "study", videos)
    name = first_of(project)
    with pytest.raises(ProjectError, match="no accepted or drawn instances yet"):
        decided_events(project)
    project.catalogue.describe_video(name, person="P1", conditions={})
    Actions(project, "Ann", name).accept(Target(detection=1))
    Actions(project, "Ann", name).reject(Target(detection=2))
    Actions(project, "Bob", name).relabel(Target(detection=2), 3)
    file = decided_events(project)
    told = [(one.label, one.start_seconds, one.person, one.annotator) for one in file.events]
    assert told == [("nodding", 0.2, "P1", "Ann"), ("shrugging", 0.5, "P1", "Bob")]
    assert [one.annotator for one in decided_events(project, annotators=["Bob"]).events] == ["Bob"]
    with pytest.raises(ProjectError, match="Eve has decided nothing; annotators: Ann, Bob"):
        decided_events(project, annotators=["Eve"])
    for format, writer in WRITERS.items():
        out = tmp_path / format
        out.mkdir()
        target = out if writer.per_video else out / f"events{writer.suffix}"
        assert write_events(target, file, format=format).paths
    again = read_events(tmp_path / "csv" / "events.csv")
    assert {(one.label, one.annotator) for one in again.events} == {
        ("nodding", "Ann"),
        ("shrugging", "Bob"),
    }
