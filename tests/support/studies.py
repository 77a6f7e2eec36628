"""A project with two videos and the detections of a model, for tests of what people decide."""

from pathlib import Path

import numpy as np

from mmad.labels import flat_labels
from mmad.projects.project import Project, new_project
from mmad.structures import Detections
from mmad.video.find import find_videos

LABELS = flat_labels(["nodding", "waving", "shrugging"])
# Segments, labels and scores of the model in the first video; the second has the first two.
SEGMENTS = [[0.2, 0.6], [0.5, 1.2], [0.7, 1.1], [1.3, 1.8]]
FOUND = Detections(np.array(SEGMENTS), np.array([0, 1, 0, 2]), np.array([0.9, 0.5, 0.3, 0.1]))


def make_study(folder: Path, videos: Path, *, num_videos: int = 2) -> Project:
    """The project in ``folder``, on the first of the videos of `make_videos`."""
    project = new_project(folder, labels=LABELS)
    files = find_videos(videos / "videos")
    project.catalogue.add_videos({name: files[name] for name in sorted(files)[:num_videos]})
    source = project.findings.add_source("runs/a", {"min_score": 0.05})
    for place, video in enumerate(project.catalogue.videos()):
        project.findings.add_detections(source, video.name, FOUND[: 4 - 2 * place], LABELS)
    return project


def first_of(project: Project) -> str:
    return project.catalogue.videos()[0].name
