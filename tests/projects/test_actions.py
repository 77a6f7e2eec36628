"""What people do with detections."""

from pathlib import Path

import pytest

from mmad.errors import ProjectError
from mmad.projects.actions import Actions, StaleError, Target
from mmad.projects.project import Project
from support.studies import first_of, make_study


@pytest.fixture
def project(videos: Path, tmp_path: Path) -> Project:
    return make_study(tmp_path / "study", videos)


def actions(project: Project, annotator: str = "Ann") -> Actions:
    return Actions(project, annotator, first_of(project))


def decided(project: Project, annotator: str = "Ann") -> list[tuple]:
    return [
        (one.behaviour, one.start_seconds, one.end_seconds, one.state, one.detection)
        for one in project.decisions.instances(first_of(project), annotator)
    ]


def test_a_detection_is_accepted_rejected_relabelled_and_moved(project: Project) -> None:
    actions(project).accept(Target(detection=1))
    actions(project).reject(Target(detection=2))
    actions(project).relabel(Target(detection=3), 3)
    actions(project).move(Target(detection=4), 1.25, 1.75)
    assert decided(project) == [
        (1, 0.2, 0.6, "accepted", 1),
        (2, 0.5, 1.2, "rejected", 2),
        (3, 0.7, 1.1, "accepted", 3),
        (3, 1.25, 1.75, "accepted", 4),
    ]
    found = project.findings.detections(first_of(project))
    assert [one.start_seconds for one in found] == [0.2, 0.5, 0.7, 1.3], "the model's stay"
    assert decided(project, "Bob") == []


def test_a_decision_changes_and_is_taken_back(project: Project) -> None:
    (one,) = actions(project).accept(Target(detection=1)).after
    (two,) = actions(project).reject(Target(instance=one.id)).after
    assert two.id == one.id
    actions(project).delete(Target(instance=one.id))
    assert decided(project) == []
    with pytest.raises(StaleError, match="changed in another window"):
        actions(project).accept(Target(instance=one.id))
    actions(project).accept(Target(detection=1))
    with pytest.raises(StaleError, match="decided in another window"):
        actions(project).accept(Target(detection=1))
    with pytest.raises(ProjectError, match="no such detection"):
        actions(project).accept(Target(detection=99))


def test_a_split_makes_two_and_a_merge_one(project: Project) -> None:
    first, second = actions(project).split(Target(detection=2), 0.8).after
    assert decided(project) == [(2, 0.5, 0.8, "accepted", 2), (2, 0.8, 1.2, "accepted", 2)]
    with pytest.raises(ProjectError, match="not inside the segment"):
        actions(project).split(Target(instance=first.id), 0.8)
    actions(project).merge([Target(instance=second.id), Target(instance=first.id)])
    assert decided(project) == [(2, 0.5, 1.2, "accepted", 2)]


def test_merged_detections_are_decided_until_the_whole_is_taken_back(project: Project) -> None:
    change = actions(project).merge([Target(detection=3), Target(detection=1)])
    whole = change.after[0]
    assert decided(project) == [(1, 0.2, 1.1, "accepted", 1), (1, 0.7, 1.1, "merged", 3)]
    waiting = [one.detection.id for one in project.queue.waiting("Ann")]
    assert 3 not in waiting
    actions(project).reject(Target(instance=whole.id))
    assert decided(project) == [(1, 0.2, 1.1, "rejected", 1)]
    assert 3 in [one.detection.id for one in project.queue.waiting("Ann")]
    with pytest.raises(ProjectError, match="of one behaviour"):
        actions(project).merge([Target(detection=2), Target(detection=3)])
    with pytest.raises(ProjectError, match="two or more"):
        actions(project).merge([Target(detection=2), Target(detection=2)])


def test_undo_and_redo_go_through_everything(project: Project) -> None:
    name, decisions = first_of(project), project.decisions
    states = [decided(project)]
    for act in (
        lambda: actions(project).merge([Target(detection=1), Target(detection=3)]),
        lambda: actions(project).relabel(Target(instance=1), 2),
        lambda: actions(project).draw(3, 0.0, 0.4),
        lambda: actions(project).split(Target(instance=1), 0.5),
    ):
        act()
        states.append(decided(project))
    for state in reversed(states[:-1]):
        assert decisions.undo("Ann") is not None
        assert decided(project) == state
    assert decisions.undo("Ann") is None
    for state in states[1:]:
        assert decisions.redo("Ann") is not None
        assert decided(project) == state
    assert decisions.redo("Ann") is None
    decisions.undo("Ann")
    assert decisions.can_take_back("Ann") == (3, 1)
    actions(project).reject(Target(detection=4))
    assert decisions.can_take_back("Ann") == (4, 0)
    assert decisions.redo("Ann") is None, "a new decision ends what could be redone"
    assert decisions.undo("Bob") is None
    assert len(decisions.instances(name, "Ann")) == len(states[3]) + 1
