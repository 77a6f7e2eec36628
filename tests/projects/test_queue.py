"""The queue and the progress of a person."""

from pathlib import Path

import numpy as np
import pytest

from mmad.projects.actions import Actions, Target
from mmad.projects.examples import examples_of
from mmad.projects.project import Project
from mmad.structures import Detections
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


def test_a_newer_source_does_not_offer_what_is_decided(project: Project) -> None:
    name = first_of(project)
    Actions(project, "Ann", name).accept(Target(detection=1))
    Actions(project, "Ann", name).reject(Target(detection=4))
    source = project.findings.add_source("runs/b", {})
    project.findings.add_detections(source, name, FOUND, LABELS)
    again, waving, nodding, shrugging = sorted(
        project.findings.detections(name), key=lambda x: x.start_seconds
    )
    assert [one for one in waiting(project) if one not in (5, 6)] == [waving.id, nodding.id]
    assert set(project.queue.settled("Ann", name)) == {again.id, shrugging.id}
    assert project.queue.settled("Bob", name) == []
    assert {again.id, shrugging.id} <= set(waiting(project, "Bob"))
    project.decisions.mark_reviewed("Ann", name, 0.65, 1.2, blind=False)
    assert [one for one in waiting(project) if one not in (5, 6)] == [waving.id]
    assert project.queue.progress("Ann")[0].open == 1
    assert set(project.queue.settled("Ann", name)) == {again.id, shrugging.id, nodding.id}
    project.decisions.clear_reviewed("Ann", name, 0.65, 1.2)
    assert nodding.id in waiting(project)


def test_uncertain_is_what_the_decisions_on_a_source_say(project: Project) -> None:
    name = first_of(project)
    duration = project.catalogue.videos()[0].duration_seconds
    scores = np.linspace(0.05, 0.95, 60)
    starts = np.linspace(0, duration - 0.02, 60)
    many = Detections(
        np.stack((starts, starts + 0.01), axis=1), np.zeros(60, dtype=np.int64), scores
    )
    source = project.findings.add_source("runs/b", {})
    project.findings.add_detections(source, name, many, LABELS)
    by_score = sorted(project.findings.detections(name), key=lambda one: one.score)
    # This model is right from a score of 0.8 on.
    for one in by_score[::2]:
        actions = Actions(project, "Ann", name)
        decide = actions.accept if one.score > 0.8 else actions.reject
        decide(Target(detection=one.id))
    first = project.queue.waiting("Ann", videos=[name])[0]
    assert 0.65 < first.detection.score < 0.9
    assert abs(project.queue.waiting("Bob", videos=[name])[0].detection.score - 0.5) < 0.02


@pytest.mark.parametrize("seed", range(5))
def test_each_detection_is_decided_settled_or_waits(project: Project, seed: int) -> None:
    """What a person has yet to decide is not what is learnt as absent, and the other way round."""
    name, rng = first_of(project), np.random.default_rng(seed)
    duration = project.catalogue.video(name).duration_seconds
    starts = rng.uniform(0, duration - 0.3, 40)
    segments = np.stack((starts, starts + rng.uniform(0.05, 0.3, 40)), axis=1)
    found = Detections(segments, rng.integers(0, 3, 40), rng.uniform(0, 1, 40))
    project.findings.add_detections(project.findings.add_source("b", {}), name, found, LABELS)
    for one in project.findings.detections(name)[:6]:
        Actions(project, "Ann", name).reject(Target(detection=one.id))
    stretch = sorted(rng.uniform(0, duration, 2))
    project.decisions.mark_reviewed("Ann", name, *stretch, blind=False)
    decided = {one.detection for one in project.decisions.instances(name, "Ann")}
    settled = set(project.queue.settled("Ann", name))
    waits = set(waiting(project, videos=[name]))
    everything = {one.id: one for one in project.findings.detections(name)}
    assert decided | settled | waits == everything.keys()
    assert len(decided) + len(settled) + len(waits) == len(everything)
    known = examples_of(project).videos[name]
    for number in settled | waits:
        one = everything[number]
        inside = stretch[0] <= one.start_seconds and one.end_seconds <= stretch[1]
        assert not (inside and number in waits)
        middle = np.array([(one.start_seconds + one.end_seconds) / 2])
        if inside:
            assert known.known(middle, [one.behaviour]).all()
