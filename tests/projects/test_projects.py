"""Projects: behaviours, videos, detections and decisions in one file."""

import os
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from mmad.errors import ProjectError, VideoError
from mmad.labels import MA52, flat_labels
from mmad.projects.actions import Actions, Target
from mmad.projects.project import Project, new_project
from mmad.projects.records import Curves, Instance
from mmad.structures import Detections
from mmad.video.find import find_videos
from support.studies import FOUND, make_study
from support.studies import LABELS as STUDY_LABELS

LABELS = flat_labels(["nodding", "waving"])


@pytest.fixture
def project(videos: Path, tmp_path: Path) -> Project:
    found = new_project(tmp_path / "study", labels=LABELS)
    files = find_videos(videos / "videos")
    found.catalogue.add_videos({name: files[name] for name in sorted(files)[:2]})
    return found


def first(project: Project) -> str:
    return project.catalogue.videos()[0].name


def test_what_was_put_in_is_there_when_opened_again(project: Project) -> None:
    name = first(project)
    conditions = {"group": "control"}
    project.catalogue.describe_video(name, person="P1", conditions=conditions)
    project.decisions.change("Ann", name, "draw", add=[Instance(None, 1, 0.5, 1.0)])
    project.decisions.mark_reviewed("Ann", name, 0.0, 1.5, blind=True)
    with Project.open(project.folder) as again:
        video = again.catalogue.video(name)
        assert (video.person, video.conditions) == ("P1", conditions)
        assert video.path.is_file()
        assert not Path(os.path.relpath(video.path, again.folder)).is_absolute()
        (drawn,) = again.decisions.instances(name, "Ann")
        assert (drawn.start_seconds, drawn.end_seconds, drawn.state) == (0.5, 1.0, "accepted")
        (stretch,) = again.decisions.reviewed("Ann")
        assert stretch.is_blind
        assert again.decisions.annotators() == ["Ann"]
    parts = {
        one.body_part
        for one in new_project(project.folder / "b", labels=MA52).catalogue.behaviours()
    }
    assert len(parts) == 7


def test_decisions_and_detections_never_touch_each_other(project: Project) -> None:
    name = first(project)
    found = Detections(np.array([[0.0, 1.0], [1.0, 2.0]]), np.array([0, 1]), np.array([0.2, 0.9]))
    source = project.findings.add_source("runs/a", {"min_score": 0.1})
    project.findings.add_detections(source, name, found, LABELS)
    best, other = project.findings.detections(name)
    assert (best.score, other.score) == (0.9, 0.2)
    accepted = Instance(None, best.behaviour, 1.1, 1.9, "accepted", detection=best.id)
    project.decisions.change("Ann", name, "accept", add=[accepted])
    with pytest.raises(ProjectError, match="somebody has decided about detections of source 1"):
        project.findings.add_detections(source, name, found, LABELS)
    newer = project.findings.add_source("runs/b", {}, threshold=0.2)
    sources = project.findings.sources()
    assert [one.threshold for one in sources] == [None, 0.2]
    assert [one.least_score for one in sources] == pytest.approx([0.0, 0.15])
    assert [one.min_score for one in sources] == [0.5, 0.2]
    project.findings.add_detections(newer, name, found[:1], LABELS)
    assert len(project.findings.detections(name)) == 1
    assert len(project.findings.detections(name, source=source)) == 2
    assert project.decisions.instances(name, "Ann")[0].detection == best.id
    with pytest.raises(ProjectError, match="source 2: detects 'jumping', not among"):
        project.findings.add_detections(newer, name, found[:1], flat_labels(["jumping", "b"]))


def test_behaviours_renamed_half_way_are_said_and_nothing_is_lost(
    videos: Path, tmp_path: Path
) -> None:
    project = make_study(tmp_path / "renamed", videos)
    name, other = (one.name for one in project.catalogue.videos())
    Actions(project, "Ann", name).accept(Target(detection=1))
    source = project.findings.add_source("runs/b", {})
    project.findings.add_detections(source, name, FOUND, STUDY_LABELS)
    before = [(one.id, one.behaviour) for one in project.findings.detections(name)]
    project.catalogue.rename_behaviour(1, "head nod")
    with pytest.raises(ProjectError) as caught:
        project.findings.add_detections(source, other, FOUND, STUDY_LABELS)
    said = str(caught.value)
    assert said.startswith("source 2: detects 'nodding', not among the behaviours of ")
    assert "nothing was added" in said
    assert "\n" not in said
    assert project.findings.searched(source) == {name}
    assert [(one.id, one.behaviour) for one in project.findings.detections(name)] == before
    assert [one.behaviour for one in project.decisions.instances(name, "Ann")] == [1]
    project.catalogue.rename_behaviour(1, "nodding")
    project.findings.add_detections(source, other, FOUND, STUDY_LABELS)
    assert project.findings.searched(source) == {name, other}


def test_everything_can_be_undone_and_stays_in_the_history(project: Project) -> None:
    name, decisions = first(project), project.decisions
    assert decisions.undo("Ann") is None
    (drawn,) = decisions.change("Ann", name, "draw", add=[Instance(None, 1, 0.0, 1.0)]).after
    halves = [Instance(None, 1, 0.0, 0.5), Instance(None, 1, 0.5, 1.0)]
    assert drawn.id is not None
    decisions.change("Ann", name, "split", remove=[drawn.id], add=halves)
    decisions.change("Bob", name, "draw", add=[Instance(None, 2, 0.2, 0.4)])
    assert len(decisions.instances(name, "Ann")) == 2
    decisions.undo("Ann")
    assert decisions.instances(name, "Ann") == [drawn]
    decisions.undo("Ann")
    assert decisions.instances(name, "Ann") == []
    assert decisions.undo("Ann") is None
    assert len(decisions.instances(name, "Bob")) == 1
    assert [one.what for one in decisions.history()] == ["draw", "split", "draw", "undo", "undo"]
    assert [one.annotator for one in decisions.history(annotator="Bob")] == ["Bob"]


def test_what_cannot_be_is_refused_and_nothing_is_lost(project: Project) -> None:
    name, decisions = first(project), project.decisions
    (drawn,) = decisions.change("Ann", name, "draw", add=[Instance(None, 1, 0.0, 1.0)]).after
    assert drawn.id is not None
    for start, end in ((1.0, 0.5), (0.5, 0.5), (-0.1, 1.0), (0.0, 1e6), (float("nan"), 1.0)):
        moved = [Instance(drawn.id, 1, start, end)]
        with pytest.raises(ProjectError, match="is not a stretch of its"):
            decisions.change("Ann", name, "move", remove=[drawn.id], add=moved)
    with pytest.raises(ProjectError, match="is another person's"):
        decisions.change("Bob", name, "delete", remove=[drawn.id])
    with pytest.raises(ProjectError, match="a behaviour of the project"):
        decisions.change("Ann", name, "draw", add=[Instance(None, 99, 0.0, 1.0)])
    assert decisions.instances(name, "Ann") == [drawn]
    assert len(decisions.history()) == 1
    with pytest.raises(ProjectError, match="has no video 'x'; it has"):
        decisions.instances("x", "Ann")


def test_scores_over_time_are_those_of_the_newest_source(project: Project) -> None:
    name, findings = first(project), project.findings
    assert findings.curves(name) is None
    scores = np.arange(6, dtype=np.uint8).reshape(3, 2)
    old = findings.add_source("runs/a", {})
    findings.add_curves(old, name, Curves(0.5, (2, 1), scores))
    found = Detections(np.array([[0.2, 0.6]]), np.array([0]), np.array([0.9]))
    findings.add_detections(old, name, found, LABELS)
    kept = findings.curves(name)
    assert kept is not None
    assert (kept.step_seconds, kept.behaviours) == (0.5, (2, 1))
    assert np.array_equal(kept.scores, scores)
    new = findings.add_source("runs/b", {})
    assert findings.curves(name) is not None, "the new one has not searched this video yet"
    findings.add_detections(new, name, found, LABELS)
    assert findings.curves(name) is None
    assert findings.curves(name, source=old) is not None


def test_what_was_looked_at_is_one_stretch_and_can_be_taken_back(project: Project) -> None:
    name, decisions = first(project), project.decisions
    for start, end in ((0.0, 0.4), (0.8, 1.0), (0.4, 0.6), (1.2, 1.4)):
        decisions.mark_reviewed("Ann", name, start, end, blind=False)
    decisions.mark_reviewed("Ann", name, 0.1, 0.5, blind=True)
    decisions.mark_reviewed("Bob", name, 0.0, 1.0, blind=False)

    def seen() -> list[tuple[float, float, bool]]:
        found = decisions.reviewed("Ann")
        return sorted((one.start_seconds, one.end_seconds, one.is_blind) for one in found)

    blind = (0.1, 0.5, True)
    assert seen() == [(0.0, 0.6, False), blind, (0.8, 1.0, False), (1.2, 1.4, False)]
    decisions.clear_reviewed("Ann", name, 0.2, 0.9)
    assert seen() == [(0.0, 0.2, False), blind, (0.9, 1.0, False), (1.2, 1.4, False)]
    assert len(decisions.reviewed("Bob")) == 1
    for start, end in ((0.5, 0.5), (0.0, 1e6), (-1.0, 1.0)):
        with pytest.raises(ProjectError, match="is not a stretch of its"):
            decisions.mark_reviewed("Ann", name, start, end, blind=False)
        with pytest.raises(ProjectError, match="is not a stretch of its"):
            decisions.clear_reviewed("Ann", name, start, end)
    with sqlite3.connect(project.folder / "project.sqlite") as database:
        (kept,) = database.execute("SELECT COUNT(*) FROM reviewed WHERE ended IS NOT NULL")
    assert kept == (3,), "what was taken back or became part of another is kept with its times"


def test_behaviours_keep_what_was_coded_when_they_are_renamed(project: Project) -> None:
    name, catalogue = first(project), project.catalogue
    own = catalogue.add_behaviour("my gesture")
    project.decisions.change("Ann", name, "draw", add=[Instance(None, own.id, 0.0, 1.0)])
    catalogue.rename_behaviour(own.id, "gesture A")
    assert catalogue.behaviours()[-1].name == "gesture A"
    assert project.decisions.instances(name, "Ann")[0].behaviour == own.id
    assert catalogue.add_behaviour("gesture A") == catalogue.behaviours()[-1]
    with pytest.raises(ProjectError, match="there is 'gesture A' already; use that spelling"):
        catalogue.add_behaviour("Gesture a")
    with pytest.raises(ProjectError, match="the name of another one"):
        catalogue.rename_behaviour(own.id, "Nodding")


def test_videos_that_are_gone_or_replaced_are_named(videos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    source = next(iter(find_videos(videos / "videos").values()))
    for name in ("a", "b", "c"):
        (folder / f"{name}.mp4").write_bytes(source.read_bytes())
    (folder / "broken.mp4").write_bytes(b"no video")
    project = new_project(tmp_path / "study", labels=LABELS)
    with pytest.raises(VideoError, match="broken"):
        project.catalogue.add_videos(find_videos(folder))
    assert [one.name for one in project.catalogue.videos()] == ["a", "b", "c"]
    assert project.catalogue.add_videos({"a": folder / "a.mp4"}) == []
    (folder / "a.mp4").unlink()
    with (folder / "b.mp4").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"x")
    assert list(project.catalogue.problems_of_videos()) == ["a"]
    found = project.catalogue.problems_of_videos(thorough=True)
    assert "is gone" in found["a"]
    assert "is another video" in found["b"]
    assert "c" not in found


def test_a_project_moves_with_its_videos(videos: Path, tmp_path: Path) -> None:
    here = tmp_path / "here"
    (here / "videos").mkdir(parents=True)
    source = next(iter(find_videos(videos / "videos").values()))
    (here / "videos" / "a.mp4").write_bytes(source.read_bytes())
    with new_project(here / "study", labels=LABELS) as project:
        project.catalogue.add_videos(find_videos(here / "videos"))
    here.rename(tmp_path / "there")
    with Project.open(tmp_path / "there" / "study") as moved:
        assert moved.catalogue.problems_of_videos(thorough=True) == {}


def test_what_is_no_project_is_said(project: Project, tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match=r"is not a project .* mmad project new"):
        Project.open(tmp_path)
    with pytest.raises(ProjectError, match="is a project already"):
        new_project(project.folder, labels=LABELS)
    path = tmp_path / "other" / "project.sqlite"
    path.parent.mkdir()
    path.write_bytes(b"no database" * 500)
    with pytest.raises(ProjectError, match="is not a database"):
        Project.open(path.parent)
    path.unlink()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE a (b)")
    with pytest.raises(ProjectError, match="of another program"):
        Project.open(path.parent)
    project.close()
    with sqlite3.connect(project.folder / "project.sqlite") as newer:
        newer.execute("PRAGMA user_version = 99")
    with pytest.raises(ProjectError, match=r"newer mmad .*pip install --upgrade"):
        Project.open(project.folder)


@pytest.mark.slow
def test_a_killed_process_loses_nothing_that_it_reported(project: Project) -> None:
    """kill -9 while decisions are made: all that were reported are there, and at most one more."""
    name = first(project)
    project.close()
    script = f"""
        from mmad.projects.project import Project
        from mmad.projects.records import Instance
        project = Project.open({str(project.folder)!r})
        while True:
            project.decisions.change("Ann", {name!r}, "draw", add=[Instance(None, 1, 0.0, 1.0)])
            print("done", flush=True)
    """
    for wanted in (1, 7, 30):
        with Project.open(project.folder) as opened:
            before = len(opened.decisions.history())
        command = [sys.executable, "-c", textwrap.dedent(script)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            reported = sum(process.stdout.readline() == "done\n" for _ in range(wanted))
            process.kill()
            reported += process.stdout.read().count("done\n")
        with Project.open(project.folder) as opened:
            made = len(opened.decisions.history()) - before
            assert reported <= made <= reported + 1
            assert len(opened.decisions.instances(name, "Ann")) == before + made
