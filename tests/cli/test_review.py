"""``mmad project`` and ``mmad review`` on the command line."""

import importlib.util
import os
import shutil
from pathlib import Path

import pytest

from mmad.process_lock import held
from mmad.projects.actions import Actions, Target
from mmad.projects.project import Project
from support.commands import run_mmad
from support.studies import first_of, make_study


def test_a_project_from_new_to_export(videos: Path, tmp_path: Path) -> None:
    study, folder = tmp_path / "study", videos / "videos"
    persons, labels = tmp_path / "persons.csv", tmp_path / "labels.txt"
    persons.write_text("video,person,group\ntrain0000.mp4,P1,control\nother,P2,control\n")
    labels.write_text("nodding\nwaving\n")
    said = run_mmad(
        ["project", "new", study, "--videos", folder, "--labels", labels, "--persons", persons]
    )
    assert f"{study}: a project with 2 behaviours, 6 videos" in said.stdout
    assert "other" in said.stderr
    assert "no decisions yet" in run_mmad(["project", "show", study]).stdout
    assert (
        "is a project already"
        in run_mmad(["project", "new", study, "--videos", folder], code=2).stderr
    )
    with Project.open(study) as project:
        video = project.catalogue.video("train0000")
        assert (video.person, video.conditions) == ("P1", {"group": "control"})
        Actions(project, "Ann", "train0000").draw(1, 0.25, 0.75)
    assert "Ann" in run_mmad(["project", "show", study, "--thorough"]).stdout
    out = tmp_path / "coded.csv"
    said = run_mmad(["project", "export", study, out, "--to", "csv"])
    assert "1 event in 1 file" in said.stdout
    assert "train0000" in out.read_text()
    assert (
        "Bob has decided nothing"
        in run_mmad(
            ["project", "export", study, tmp_path / "b.csv", "--annotator", "Bob"], code=2
        ).stderr
    )


def test_the_detections_of_a_run_are_added_and_resumed(
    videos: Path, detection_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = tmp_path / "study"
    run_mmad(["project", "new", study, "--videos", videos / "videos"])
    words = ["project", "add", study, "--checkpoint", detection_run, "--min-score", "0"]
    said = run_mmad([*words, "--device", "cpu"])
    assert "in 6 videos" in said.stdout
    from mmad.engine.trained.detector import TrainedDetector

    monkeypatch.setattr(TrainedDetector, "detect", None)  # would fail if it were called
    assert run_mmad([*words, "--device", "cpu"]).stdout == said.stdout
    with Project.open(study) as project:
        (source,) = project.findings.sources()
        assert source.num_videos == 6
        Actions(project, "Ann", first_of(project)).accept(
            Target(detection=project.findings.detections(first_of(project))[0].id)
        )
    (tmp_path / "labels.txt").write_text("jumping\n")
    words = ["project", "new", tmp_path / "b", "--videos", videos / "videos", "--labels"]
    run_mmad([*words, tmp_path / "labels.txt"])
    said = run_mmad(["project", "add", tmp_path / "b", "--checkpoint", detection_run], code=2)
    assert "not among the behaviours of" in said.stderr


def test_what_cannot_be_reviewed_is_said(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make_study(tmp_path / "study", videos)
    folder = project.folder
    assert "is not a project" in run_mmad(["review", tmp_path], code=2).stderr
    assert "one line" in run_mmad(["review", folder, "--annotator", "a\nb"], code=2).stderr
    said = run_mmad(["review", folder, "--out", tmp_path / "b"], code=2)
    assert "--out is for --checkpoint" in said.stderr
    said = run_mmad(["review", folder, "--checkpoint", "runs/a"], code=2)
    assert "mmad project add" in said.stderr
    with held(folder):
        assert "is writing to this folder" in run_mmad(["review", folder], code=2).stderr
    project.close()
    if os.geteuid() != 0:  # root may write everywhere
        (folder / "project.sqlite").chmod(0o400)
        assert "is read-only" in run_mmad(["review", folder], code=2).stderr
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "mmad.cli.review.page.find_spec", lambda name: None if name == "uvicorn" else find(name)
    )
    assert "pip install 'mmad[review]'" in run_mmad(["review", folder], code=2).stderr


def test_videos_are_added_to_a_project(videos: Path, tmp_path: Path) -> None:
    study, folder = tmp_path / "study", tmp_path / "v"
    folder.mkdir()
    first, second = sorted((videos / "videos").glob("*.mp4"))[:2]
    shutil.copy(first, folder)
    (folder / "bad.mp4").write_bytes(b"")
    said = run_mmad(["project", "new", study, "--videos", folder], code=2).stderr
    assert "bad.mp4: the file is empty" in said
    assert "1 video is in the project; add the others once they are repaired: mmad pro" in said
    shutil.copy(second, folder / "bad.mp4")
    (tmp_path / "persons.csv").write_text("video,person\nbad,P7\n")
    words = ["project", "add", study, "--videos", folder, "--persons", tmp_path / "persons.csv"]
    assert f"{study}: 1 video added, 2 in all" in run_mmad(words).stdout
    assert f"{study}: 0 videos added, 2 in all" in run_mmad(words).stdout
    with Project.open(study) as project:
        assert project.catalogue.video("bad").person == "P7"
    said = run_mmad(["project", "add", study], code=2).stderr
    assert "pass --checkpoint RUN, --videos FOLDER, or both" in said
