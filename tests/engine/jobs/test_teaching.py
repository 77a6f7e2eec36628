"""Teaching in a project, on features in which behaviours were planted."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmad.engine.jobs import teaching
from mmad.engine.jobs.learning import write_learning_curve
from mmad.engine.jobs.teaching import Hearer, teach
from mmad.engine.runs.load import load_run
from mmad.errors import OutputError, ProjectError
from mmad.process_lock import held
from mmad.projects.actions import Actions
from mmad.projects.project import Project
from mmad.structures import Detections
from support.planted import decide, hits, planted

NUMBER = 14


@pytest.fixture(scope="module")
def original(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("planted") / "p"
    planted(folder, videos, num_videos=NUMBER).close()
    return folder


@pytest.fixture
def project(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setattr(teaching, "CHECKPOINTS", (24, 36))
    shutil.copytree(original, tmp_path / "p")
    return Project.open(tmp_path / "p" / "study")


@pytest.mark.slow
def test_a_head_learns_what_was_decided_and_finds_it_elsewhere(project: Project) -> None:
    decide(project, number=10, behaviours=(1, 2), whole=True)
    before = [project.decisions.instances(f"v{n:02d}", "Ann") for n in range(NUMBER)]
    done = teach(project)
    assert done.heads == (1, 2)
    assert (done.num_decisions, done.annotators) == (20, ("Ann",))
    for behaviour in (1, 2):
        assert sum(hits(project, behaviour, skip=10, source=done.source)) >= 3
        assert done.precision[behaviour] > 0.5
    curves = project.findings.curves("v12")
    assert curves is not None
    assert curves.behaviours == (1, 2)
    assert before == [project.decisions.instances(f"v{n:02d}", "Ann") for n in range(NUMBER)]
    assert not project.decisions.history()[20:]

    assert done.run is not None
    _, config, labels = load_run(done.run)
    assert labels.names == ("nodding", "waving")
    assert config.upsampling == 0.5

    curve, picture = write_learning_curve(project, replace(done, num_steps=2))
    assert picture.stat().st_size > 1000
    assert curve.decided == 20
    assert "too early to tell, from 10 decided videos" in curve.sentence
    many = replace(curve, num_videos=40, gain=0.05, low=0.02, high=0.08, more=90, is_pace=True)
    assert many.sentence.endswith("+5.0 points (95 % interval +2.0 to +8.0): it pays")
    assert "hardly pays" in replace(many, low=-0.02, high=0.005).sentence
    assert "not clear" in replace(many, low=-0.02).sentence
    assert "too early" in replace(many, high=0.5).sentence
    assert curve.points[-1].precision + curve.gain <= 1
    assert [point.share for point in curve.points] == [0.25, 0.5, 0.75, 1.0]


def test_a_few_examples_give_the_nearest_stretches(project: Project) -> None:
    decide(project, number=5, behaviours=(3,), whole=False)
    done = teach(project)
    assert (done.heads, done.nearest, done.run) == ((), (3,), None)
    assert sum(hits(project, 3, skip=5, source=done.source)) >= 7
    # What was marked is not suggested again.
    assert not any(hits(project, 3, skip=0, source=done.source)[:5])


def test_what_is_not_taught_stays_as_the_model_before_found_it(project: Project) -> None:
    found = Detections(np.array([[0.2, 0.6]]), np.array([1]), np.array([0.7]))
    source = project.findings.add_results("runs/a", {}, {"v00": teaching.Result(found)})
    decide(project, number=5, behaviours=(3,), whole=False)
    done = teach(project)
    assert done.kept == (1,)
    kept = [one for one in project.findings.detections("v00") if one.behaviour == 1]
    assert [(one.start_seconds, one.score) for one in kept] == [(0.2, 0.7)]
    assert len(project.findings.detections("v00", source=source)) == 1


def test_what_cannot_be_taught_is_said(project: Project) -> None:
    with pytest.raises(ProjectError, match="nobody has decided anything yet"):
        teach(project)
    Actions(project, "Ann", "v00").draw(3, 0.2, 0.4)
    with pytest.raises(ProjectError, match=r"too few decisions .* \(own has most, 1\)"):
        teach(project)
    decide(project, number=5, behaviours=(3,), whole=False)
    with held(project.folder / "teaching"), pytest.raises(OutputError, match="is writing to"):
        teach(project)
    (project.folder.parent / "v01.mp4").write_bytes(b"another")
    done = teach(project)
    assert any("v01" in notice and "left out" in notice for notice in done.notices)
    project.findings.extractors()[0].path.unlink()
    with pytest.raises(ProjectError, match="has no stored features"):
        teach(project)


def test_a_killed_teaching_adds_nothing_and_a_copied_project_keeps_its_features(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teaching, "CHECKPOINTS", (1, 2))
    decide(project, number=10, behaviours=(1,), whole=True)

    def stop(text: str) -> None:
        if "detecting" in text:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        teach(project, hearer=Hearer(stage=stop))
    assert not project.findings.sources()
    assert not (project.folder / "runs").exists()
    # The copies of the videos have other times than their features say.
    assert teach(project).notices == ()


def test_renamed_behaviours_are_the_same(project: Project) -> None:
    decide(project, number=5, behaviours=(3,), whole=False)
    project.catalogue.rename_behaviour(3, "foot tapping")
    assert teach(project).nearest == (3,)
