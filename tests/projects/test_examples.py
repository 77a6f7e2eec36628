"""What decisions say about the videos."""

from pathlib import Path

import numpy as np
import pytest

from mmad.errors import ProjectError
from mmad.projects.actions import Actions, Target
from mmad.projects.examples import examples_of
from mmad.projects.pace import decisions_an_hour
from mmad.projects.project import Project
from support.studies import first_of, make_study


@pytest.fixture
def project(videos: Path, tmp_path: Path) -> Project:
    return make_study(tmp_path / "study", videos)


def known(project: Project, seconds: float, **choice: object) -> list[bool]:
    one = examples_of(project, **choice).videos[first_of(project)]  # type: ignore[arg-type]
    return one.known(np.array([seconds]), (1, 2, 3))[0].tolist()  # type: ignore[no-any-return]


def test_only_what_was_looked_at_is_known(project: Project) -> None:
    with pytest.raises(ProjectError, match="nobody has decided anything yet"):
        examples_of(project)
    name = first_of(project)
    actions = Actions(project, "Ann", name)
    actions.accept(Target(detection=1))  # nodding, 0.2 to 0.6 s
    assert known(project, 0.3) == [True, True, True]
    assert known(project, 0.55) == [True, False, True], "waving is still suggested there"
    assert known(project, 0.65) == [False, False, False]
    actions = Actions(project, "Ann", name)
    actions.reject(Target(detection=4))  # shrugging, 1.3 to 1.8 s
    assert known(project, 1.5) == [False, False, True]
    project.decisions.mark_reviewed("Ann", name, 0.0, 1.25, blind=False)
    assert known(project, 0.65) == [True, True, True]
    found = examples_of(project)
    assert found.counts() == {1: 1}
    assert (found.num_decisions, found.annotators) == (2, ("Ann",))


def test_suggestions_that_the_page_does_not_show_leave_nothing_open(project: Project) -> None:
    actions = Actions(project, "Ann", first_of(project))
    actions.accept(Target(detection=1))
    assert known(project, 0.55) == [True, False, True]
    database = project.catalogue._database
    database.run("UPDATE sources SET threshold = 1.0")
    least = project.findings.sources()[-1].least_score
    database.run("UPDATE detections SET score = ? WHERE id > 1", (least - 0.01,))
    assert known(project, 0.55) == [True, True, True]
    database.run("UPDATE detections SET score = ? WHERE id > 1", (least,))
    assert known(project, 0.55) == [True, False, True]


def test_another_name_says_that_the_first_is_wrong(project: Project) -> None:
    Actions(project, "Ann", first_of(project)).relabel(Target(detection=4), 2)
    found = examples_of(project).videos[first_of(project)]
    assert [span.behaviour for span in found.present] == [2]
    assert 3 in [span.behaviour for span in found.absent]


def test_contradictions_are_said_and_left_out(project: Project) -> None:
    Actions(project, "Ann", first_of(project)).accept(Target(detection=4))
    Actions(project, "Bob", first_of(project)).reject(Target(detection=4))
    found = examples_of(project)
    assert found.conflicts == (f"shrugging in {first_of(project)} at 1.3 s",)
    assert not found.counts()
    assert known(project, 1.5)[2] is False
    assert known(project, 1.5, annotators=["Bob"])[2] is True
    assert examples_of(project, annotators=["Ann"]).counts() == {3: 1}
    with pytest.raises(ProjectError, match="Cleo has decided nothing"):
        examples_of(project, annotators=["Cleo"])


def test_blind_stretches_are_not_learnt_from(project: Project) -> None:
    name = first_of(project)
    Actions(project, "Ann", name).draw(1, 0.2, 0.6)
    Actions(project, "Ann", name).draw(1, 1.2, 1.6)
    project.decisions.mark_reviewed("Ann", name, 1.0, 2.0, blind=True)
    assert examples_of(project).counts() == {1: 1}
    assert known(project, 1.4) == [False, False, False]


def test_the_pace_leaves_breaks_out(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0, *range(10, 120, 10), 1000, 1010])
    monkeypatch.setattr(
        "mmad.projects.decisions.now",
        lambda: f"2026-01-01T00:{(seconds := next(clock)) // 60:02d}:{seconds % 60:02d}+00:00",
    )
    assert decisions_an_hour(project) is None
    for _ in range(14):
        Actions(project, "Ann", first_of(project)).draw(1, 0.2, 0.6)
    assert decisions_an_hour(project) == pytest.approx(360)
