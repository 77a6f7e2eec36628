"""A project of a drawn study: a person has coded a blind share, a model has searched it all."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmad.labels import flat_labels
from mmad.projects.actions import Actions
from mmad.projects.database import Database
from mmad.projects.project import Project, new_project
from mmad.structures import Detections

LABELS = flat_labels(["nodding", "waving", "never"])
PERSON = "Ann"


def add_video(
    project: Project, name: str, seconds: float, *, person: str | None = None, **conditions: str
) -> None:
    """Add a video without a file, which the database does not need."""
    database: Database = project._database
    row = (name, f"{name}.mp4", 1, f"content of {name}", seconds, 25.0, int(seconds * 25), person)
    with database.transaction():
        database.run(
            "INSERT INTO videos (name, path, bytes, sha256, duration_seconds, fps, num_frames, "
            "person) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            row,
        )
    project.catalogue.describe_video(name, person=person, conditions=conditions)


@dataclass(frozen=True)
class Drawn:
    """What there is in the videos, and what the model found.

    Attributes:
        project: The project.
        truth: Label, start and end of every instance in each video.
    """

    project: Project
    truth: dict[str, list[tuple[int, float, float]]]


def drawn_study(folder: Path, *, share: float = 0.25, num_videos: int = 4) -> Drawn:
    """Two behaviours in videos of four minutes, of which the model misses some and invents some."""
    rng = np.random.default_rng(5)
    project = new_project(folder, labels=LABELS)
    truth: dict[str, list[tuple[int, float, float]]] = {}
    for place in range(num_videos):
        group = "old" if place % 2 else "young"
        add_video(project, f"v{place}", 240, person=f"P{place}", group=group)
        starts = [np.sort(rng.uniform(0, 237, number)) for number in (40, 12)]
        truth[f"v{place}"] = [
            (label, float(start), float(start + rng.uniform(0.8, 2.5)))
            for label, some in enumerate(starts)
            for start in some
        ]
    source = project.findings.add_source("runs/a", {"min_score": 0.05})
    for name, instances in truth.items():
        rows = [
            (label, start + rng.normal(0, 0.05), end, rng.uniform(0.5, 1))
            for label, start, end in instances
            if rng.random() < 0.7
        ]
        rows += [(0, start, start + 1, 0.7) for start in rng.uniform(0, 238, 6)]
        rows.append((1, 10.0, 12.0, 0.2))
        labels, start, end, score = np.array(rows).T
        segments = np.stack([np.maximum(start, 0), end], axis=1)
        found = Detections(segments, labels.astype(np.int64), score)
        project.findings.add_detections(source, name, found, LABELS)
    project.blind.draw(share * 240 * num_videos)
    return Drawn(project, truth)


def code_blind(drawn: Drawn, *, number: int | None = None) -> None:
    """The person codes the stretches of the blind share, rightly."""
    blind = drawn.project.blind
    for stretch in blind.waiting(PERSON)[:number]:
        actions = Actions(drawn.project, PERSON, stretch.video)
        mine = drawn.project.decisions.instances(stretch.video, PERSON)
        known = {(one.behaviour, one.start_seconds) for one in mine}
        for label, start, end in drawn.truth[stretch.video]:
            touches = start < stretch.end_seconds and end > stretch.start_seconds
            if touches and (label + 1, start) not in known:
                actions.draw(label + 1, start, end)
        blind.finish(PERSON, stretch.id)
