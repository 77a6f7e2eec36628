"""The blind share: what is drawn, who codes it, and what stays hidden until then."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from mmad.errors import ProjectError
from mmad.labels import flat_labels
from mmad.projects.actions import Actions, Target
from mmad.projects.blind import CONTEXT_SECONDS, BlindShare
from mmad.projects.database import now
from mmad.projects.project import Project, new_project
from mmad.structures import Detections
from support.coded import add_video
from support.commands import run_mmad

LABELS = flat_labels(["nodding", "waving"])
MINUTES = (10.0, 4.0, 4.0, 0.3)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    found = new_project(tmp_path / "study", labels=LABELS)
    for place, minutes in enumerate(MINUTES):
        add_video(found, f"v{place}", 60 * minutes)
    return found


def detect(project: Project, name: str, segments: list) -> None:
    source = project.findings.add_source("runs/a", {})
    found = Detections(
        np.array(segments, dtype=float),
        np.zeros(len(segments), np.int64),
        np.full(len(segments), 0.5),
    )
    project.findings.add_detections(source, name, found, LABELS)


def keys(blind: BlindShare) -> set[tuple[str, float]]:
    return {(one.video, one.start_seconds) for one in blind.stretches()}


def test_a_share_is_drawn_enlarged_and_spread_over_videos(project: Project) -> None:
    blind = project.blind
    assert blind.all_stretches() == []
    first = blind.draw(240)
    assert (blind.stretch_seconds, blind.seed) == (30.0, 0)
    assert sum(one.seconds for one in first) >= 240
    assert len(blind.all_stretches()) == 20 + 8 + 8 + 1
    assert first == blind.stretches()
    before = keys(blind)
    new = blind.draw(550)
    assert keys(blind) == before | {(one.video, one.start_seconds) for one in new}
    assert blind.draw(550) == []
    # Half of the time: half of the stretches of each video, give or take one.
    number = Counter(one.video for one in blind.stretches())
    assert abs(number["v0"] - 10) <= 1
    assert abs(number["v1"] - 4) <= 1
    # What is drawn later of a new video is as if it had been there.
    add_video(project, "v9", 240)
    blind.draw(672)
    assert Counter(one.video for one in blind.stretches())["v9"] in (3, 4, 5)


def test_every_stretch_is_as_likely_as_any_other(tmp_path: Path) -> None:
    project = new_project(tmp_path / "study", labels=LABELS)
    for place, seconds in enumerate((300, 90, 25)):
        add_video(project, f"v{place}", seconds)
    drawn: Counter = Counter()
    for seed in range(1000):
        order = project.blind._in_order(30.0, seed)
        drawn.update((one.video, one.start_seconds) for one in order[:4])
    # 4 of 14; the limits are five standard errors from it.
    assert len(drawn) == 14
    assert all(abs(number / 1000 - 4 / 14) < 0.072 for number in drawn.values())


def test_stretches_cover_each_video_once(project: Project) -> None:
    project.blind.draw(1, stretch_seconds=7.0, seed=3)
    for video in project.catalogue.videos():
        mine = [one for one in project.blind.all_stretches() if one.video == video.name]
        edges = sorted((one.start_seconds, one.end_seconds) for one in mine)
        assert edges[0][0] == 0
        assert edges[-1][1] == video.duration_seconds
        assert all(a[1] == b[0] for a, b in pairwise(edges))
        assert all(0 < one.place <= 1 for one in mine)


def test_wrong_choices_are_one_sentence(project: Project) -> None:
    for seconds, choice, told in (
        (0, {}, "longer than 0"),
        (60, {"stretch_seconds": 0.5}, "at least 1"),
    ):
        with pytest.raises(ProjectError, match=told):
            project.blind.draw(seconds, **choice)  # type: ignore[arg-type]
    project.blind.draw(60, stretch_seconds=20)
    assert project.blind.draw(90, stretch_seconds=20, seed=0)
    for choice in ({"stretch_seconds": 30}, {"seed": 1}):
        with pytest.raises(ProjectError, match="cannot be changed any more"):
            project.blind.draw(600, **choice)  # type: ignore[arg-type]


def test_suggestions_are_hidden_until_a_stretch_is_coded(project: Project) -> None:
    project.blind.draw(120)
    (first, *others) = project.blind.stretches()
    start, end = first.start_seconds, first.end_seconds
    inside, across = [start + 1, start + 2], [end - 0.5, end + CONTEXT_SECONDS + 1]
    detect(project, first.video, [inside, across])

    def waiting(annotator: str = "Ann") -> list[float]:
        return sorted(one.detection.start_seconds for one in project.queue.waiting(annotator))

    def opened(annotator: str = "Ann") -> int:
        return sum(one.open for one in project.queue.progress(annotator))

    assert (waiting(), opened()) == ([], 0)
    context = (start - CONTEXT_SECONDS, end + CONTEXT_SECONDS)
    assert context in project.blind.hidden("Ann", first.video)
    Actions(project, "Ann", first.video).draw(1, start + 3, start + 4)
    project.blind.finish("Ann", first.id)
    project.blind.finish("Ann", first.id)
    assert project.blind.done("Ann").keys() == {first.id}
    assert project.blind.waiting("Ann") == others
    # What lies in it has been coded; what leaves it may still be decided about.
    assert (waiting(), opened()) == ([across[0]], 1)
    assert (waiting("Bob"), opened("Bob")) == ([], 0)
    assert context not in project.blind.hidden("Ann", first.video)
    assert context in project.blind.hidden("Bob", first.video)
    with pytest.raises(ProjectError, match="no such stretch"):
        project.blind.finish("Ann", 999)


def test_what_was_seen_with_suggestions_is_not_offered(project: Project) -> None:
    detect(project, "v1", [[5.0, 6.0], [100.0, 101.0]])
    Actions(project, "Ann", "v1").accept(Target(detection=1))
    project.decisions.undo("Ann")
    project.decisions.mark_reviewed("Ann", "v0", 0.0, 600.0, blind=False)
    project.decisions.clear_reviewed("Ann", "v0", 0.0, 600.0)
    project.blind.draw(1098)
    by_id = {one.id: one for one in project.blind.stretches()}
    seen = [by_id[number] for number in project.blind.seen("Ann")]
    assert {one.video for one in seen} == {"v0", "v1"}
    assert sum(one.video == "v0" for one in seen) == 20
    assert [one.start_seconds for one in seen if one.video == "v1"] == [0.0]
    assert len(project.blind.waiting("Ann")) == len(by_id) - 21
    assert project.blind.seen("Bob") == set()
    # It was seen, so it need not be hidden.
    assert [one.detection.id for one in project.queue.waiting("Ann")] == [1]
    with pytest.raises(ProjectError, match="was seen with suggestions"):
        project.blind.finish("Ann", seen[0].id)


def test_what_was_coded_at_a_time_is_remembered(project: Project) -> None:
    actions = Actions(project, "Ann", "v0")
    actions.draw(1, 3.0, 4.0)
    actions.draw(2, 1.0, 2.0)
    then = now()
    while now() == then:
        pass
    one = project.decisions.instances("v0", "Ann")[0]
    Actions(project, "Ann", "v0").delete(Target(instance=one.id))
    Actions(project, "Ann", "v1").draw(1, 3.0, 4.0)
    found = project.decisions.instances_at("v0", "Ann", then)
    assert [(one.behaviour, one.start_seconds) for one in found] == [(2, 1.0), (1, 3.0)]
    assert project.decisions.instances_at("v0", "Bob", then) == []
    assert [one.start_seconds for one in project.decisions.instances("v0", "Ann")] == [3.0]


def test_the_command_draws_adds_and_refuses(project: Project) -> None:
    words = ["project", "blind", project.folder]
    said = run_mmad(words).stdout
    assert "4 stretches in 3 videos" in said or "4 stretches in 2 videos" in said
    assert "4 of them are new" in said
    assert "mmad review" in said
    assert "none of it is new" in run_mmad([*words, "--minutes", 1]).stdout
    project.blind.finish("Ann", project.blind.waiting("Ann")[0].id)
    said = run_mmad([*words, "--share", "1"]).stdout
    assert "37 stretches in 4 videos" in said
    assert said.split("Ann")[1].split()[1:6:2] == ["1", "36", "0"]
    for wrong in (["--share", 0.1, "--minutes", 3], ["--share", 2], ["--minutes", 99]):
        said = run_mmad([*words, *wrong], code=2)
        assert "--" in said.stderr
