"""Detecting in the videos of a project, and their stored features."""

import os
from pathlib import Path

import numpy as np
import pytest
import yaml

from mmad.data.features.files import FeatureFile
from mmad.engine.jobs.project import Watcher, detect_in_project, extract_in_project
from mmad.engine.jobs.project_features import ProjectFeatures
from mmad.engine.trained.opening import open_trained, require_detector
from mmad.errors import ConfigError
from mmad.labels import MA52
from mmad.projects.project import Project, new_project
from mmad.video.find import find_videos
from mmad.video.records import record_of


@pytest.fixture
def project(videos: Path, tmp_path: Path) -> Project:
    project = new_project(tmp_path / "study", labels=MA52)
    files = find_videos(videos / "videos")
    project.catalogue.add_videos({name: files[name] for name in sorted(files)[:2]})
    return project


def test_detections_from_stored_features_are_those_of_the_videos(
    project: Project, detection_run: Path
) -> None:
    searched = detect_in_project(project, detection_run, min_score=0, device="cpu")
    assert searched.features is not None
    assert not searched.problems
    (extractor,) = project.findings.extractors()
    assert extractor.path == searched.features
    names = [one.name for one in project.catalogue.videos()]
    assert FeatureFile(extractor.path).video_ids() == names
    detector = require_detector(open_trained(detection_run, device="cpu"))
    for video in project.catalogue.videos():
        (wanted,) = detector.detect([record_of(video.path)], progress=False).detections.values()
        found = project.findings.detections(video.name)
        segments = wanted.segments_seconds
        lasting = wanted[segments[:, 1] > segments[:, 0]].by_score()
        assert len(found) == len(lasting)
        scores = np.array([one.score for one in found])
        np.testing.assert_allclose(scores, lasting.scores, rtol=1e-3)
        curves = project.findings.curves(video.name)
        assert curves is not None
        assert curves.scores.shape == (np.ceil(video.duration_seconds / 0.1), 52)
        # Suppression only lowers scores.
        best = found[0]
        column = curves.scores[:, curves.behaviours.index(best.behaviour)]
        assert column.max() >= int(best.score * 255)


def test_a_killed_search_resumes_after_its_last_video(
    project: Project, detection_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        detect_in_project(project, detection_run, min_score=0, tell=Watcher(video=stop))
    extracted: list[str] = []
    extract = ProjectFeatures.extract
    monkeypatch.setattr(
        ProjectFeatures,
        "extract",
        lambda self, name: (extracted.append(name), extract(self, name))[1],
    )
    searched = detect_in_project(project, detection_run, min_score=0)
    assert extracted == [project.catalogue.videos()[1].name]
    assert len(project.findings.sources()) == 1
    assert project.findings.searched(searched.source or 0) == {
        one.name for one in project.catalogue.videos()
    }
    detect_in_project(project, detection_run, min_score=0)
    assert len(extracted) == 1


def test_another_backbone_is_extracted_beside_and_an_older_video_again(
    project: Project, detection_run: Path, tmp_path: Path
) -> None:
    first = extract_in_project(project, detection_run)
    config = yaml.safe_load((detection_run / "config.yaml").read_text())
    other = tmp_path / "other.yaml"
    other.write_text(
        yaml.safe_dump(config | {"backbone": config["backbone"] | {"pretrained": None}})
    )
    with pytest.raises(ConfigError, match="meaningless"):
        extract_in_project(project, other)
    config["data"]["image_size"] = 16
    bigger = tmp_path / "bigger"
    bigger.mkdir()
    for path in detection_run.iterdir():
        if path.is_file() and path.name != "config.yaml":
            (bigger / path.name).write_bytes(path.read_bytes())
    (bigger / "config.yaml").write_text(yaml.safe_dump(config))
    second = extract_in_project(project, bigger)
    assert first.features != second.features
    assert [one.path for one in project.findings.extractors()] == [first.features, second.features]


def test_features_are_made_again_when_a_file_has_changed(
    videos: Path, detection_run: Path, tmp_path: Path
) -> None:
    files = find_videos(videos / "videos")
    copy = tmp_path / "one.mp4"
    copy.write_bytes(files[min(files)].read_bytes())
    project = new_project(tmp_path / "study", labels=MA52)
    project.catalogue.add_videos({"one": copy})
    extract_in_project(project, detection_run)
    done: list[str] = []
    extract_in_project(project, detection_run, tell=Watcher(video=lambda: done.append("again")))
    assert not done
    os.utime(copy, (1, 1))
    extract_in_project(project, detection_run, tell=Watcher(video=lambda: done.append("again")))
    assert done == ["again"]
    copy.write_bytes(b"another")
    searched = extract_in_project(project, detection_run)
    assert "is another video" in searched.problems["one"]
