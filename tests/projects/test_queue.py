"""The queue and the progress of a person."""

from pathlib import Path

import pytest

from mmad.projects.actions import Actions, Target
from mmad.projects.project import Project
from support.studies import FOUND, LABELS, first_of, make_study


@pytest.fixture
def project(videos: Path, tmp_path: Path) -> Project:
    return make_study(tmp_path / "study", videos)


def waiting(project: Project, annotator: str = "Ann", **choice: object) -> list[int]:
    return [one.detection.id for one in project.queue.waiting(annotator, **choice)]  # type: ignore[arg-type]


def test_orders(project: Project) -> None:
    assert waiting(project) == [2, 6, 3, 1, 4, 5]
    assert waiting(project, order="score") == [1, 5, 2, 6, 3, 4]
    assert waiting(project, order="time") == [1, 2, 3, 4, 5, 6]
    drawn = waiting(project, order="random")
    assert sorted(drawn) == [1, 2, 3, 4, 5, 6]
    assert drawn == waiting(project, "Bob", order="random")


def test_filters(project: Project) -> None:
    assert waiting(project, min_score=0.3, max_score=0.5) == [2, 6, 3]
    assert waiting(project, behaviours=[3]) == [4]
    assert waiting(project, videos=[first_of(project)], behaviours=[1]) == [3, 1]


def test_what_one_person_decided_waits_for_the_others(project: Project) -> None:
    Actions(project, "Ann", first_of(project)).accept(Target(detection=2))
    Actions(project, "Ann", first_of(project)).reject(Target(detection=3))
    Actions(project, "Ann", first_of(project)).draw(1, 0.0, 0.1)
    assert waiting(project) == [6, 1, 4, 5]
    assert waiting(project, "Bob") == [2, 6, 3, 1, 4, 5]
    first, second = project.queue.progress("Ann", min_score=0.2)
    assert (first.open, first.accepted, first.rejected) == (1, 2, 1)
    assert (second.open, second.accepted, second.rejected) == (2, 0, 0)


def test_only_the_newest_search_of_a_video_waits(project: Project) -> None:
    source = project.findings.add_source("runs/b", {})
    project.findings.add_detections(source, first_of(project), FOUND[:0], LABELS)
    assert project.findings.searched(source) == {first_of(project)}
    assert waiting(project) == [6, 5], "the newer model found nothing in the first video"
    old, new = project.findings.sources()
    assert (old.num_videos, old.num_detections) == (2, 6)
    assert (new.num_videos, new.num_detections) == (1, 0)
