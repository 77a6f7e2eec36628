"""A project whose stored features show where behaviours are: each adds a direction of its own."""

import shutil
from pathlib import Path

import numpy as np

from mmad.config.features import ExtractionSettings, StoredGrid
from mmad.data.features.files import PartWriter, StoredVideo, merge_parts
from mmad.data.features.manifest import FeatureManifest
from mmad.labels import flat_labels
from mmad.projects.actions import Actions
from mmad.projects.project import Project, new_project
from mmad.video.find import find_videos

NAMES = ("nodding", "waving", "own")
CHANNELS = 24
FPS = 15
# Start and end of the one of each behaviour in every video, before it is moved a little.
PLACES = {1: (0.2, 0.7), 2: (0.9, 1.3), 3: (1.4, 1.8)}
_MANIFEST = FeatureManifest(
    grid=StoredGrid(stride_frames=1, fps=FPS),
    step_shape=[CHANNELS],
    extraction=ExtractionSettings(),
)


def planted(folder: Path, videos: Path, *, num_videos: int) -> Project:
    """The project; behaviour k adds 3 to channel k, and all channels have noise and a mean."""
    files = find_videos(videos / "videos")
    shortest = files[min(files, key=lambda name: files[name].stat().st_size)]
    folder.mkdir()
    project = new_project(folder / "study", labels=flat_labels(list(NAMES)))
    for number in range(num_videos):
        shutil.copy(shortest, folder / f"v{number:02d}.mp4")
    project.catalogue.add_videos(find_videos(folder))
    path = project.folder / "features" / "planted.h5"
    path.parent.mkdir()
    parts = {}
    rng = np.random.default_rng(0)
    for video in project.catalogue.videos():
        rows = rng.normal(size=(video.num_frames, CHANNELS)) + 5.0
        for behaviour in PLACES:
            start, end = segment(video.name, behaviour)
            rows[round(start * FPS) : round(end * FPS) + 1, behaviour] += 3.0
        state = video.path.stat()
        facts = StoredVideo(
            num_rows=len(rows),
            num_steps=len(rows),
            stride_frames=1,
            fps=FPS,
            num_frames=len(rows),
            source_bytes=state.st_size,
            source_mtime_ns=state.st_mtime_ns,
        )
        parts[video.name] = path.with_name(f"{video.name}.h5")
        writer = PartWriter(
            parts[video.name],
            manifest=_MANIFEST,
            video_id=video.name,
            video=facts,
            dtype="float32",
        )
        writer.write(rows)
        writer.publish()
    merge_parts(parts, path, manifest=_MANIFEST)
    project.findings.add_extractor("planted", path)
    return project


def segment(video: str, behaviour: int) -> tuple[float, float]:
    """Where a behaviour is."""
    moved = 0.05 * (int(video[1:]) % 3)
    start, end = PLACES[behaviour]
    return start + moved, end + moved


def decide(project: Project, *, number: int, behaviours: tuple[int, ...], whole: bool) -> None:
    """Draw what is in the first videos; as a person who looked at all of each, or not."""
    for video in project.catalogue.videos()[:number]:
        for behaviour in behaviours:
            Actions(project, "Ann", video.name).draw(behaviour, *segment(video.name, behaviour))
        if whole:
            project.decisions.mark_reviewed(
                "Ann", video.name, 0.0, video.duration_seconds, blind=False
            )


def hits(project: Project, behaviour: int, *, skip: int, source: int) -> list[bool]:
    """Whether the best detection of a behaviour is where it is, in each video after the first."""
    found = []
    for video in project.catalogue.videos()[skip:]:
        mine = [
            one
            for one in project.findings.detections(video.name, source=source)
            if one.behaviour == behaviour
        ]
        start, end = segment(video.name, behaviour)
        found.append(
            bool(mine)
            and min(mine[0].end_seconds, end) - max(mine[0].start_seconds, start)
            >= 0.5 * (max(mine[0].end_seconds, end) - min(mine[0].start_seconds, start))
        )
    return found
