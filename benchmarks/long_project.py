"""A project with one long video and many detections, to measure the page of ``mmad review``."""

from pathlib import Path

import av
import numpy as np

from mmad.labels import MA52
from mmad.projects.project import Project, new_project
from mmad.projects.records import Curves
from mmad.structures import Detections

FPS = 25
STEP_SECONDS = 0.16
_PART_SECONDS = 60
_SIDES = (320, 180)


def write_long_video(path: Path, *, seconds: int) -> None:
    """A video of a disc that wanders: a minute of it, encoded once and repeated as packets."""
    part = path.with_name("part.mp4")
    _write_part(part)
    with av.open(str(part)) as reading, av.open(str(path), "w") as writing:
        source = reading.streams.video[0]
        assert source.time_base is not None
        stream = writing.add_stream_from_template(source)
        length = round(_PART_SECONDS / source.time_base)
        packets = [one for one in reading.demux(source) if one.dts is not None]
        kept = [(one.pts, one.dts) for one in packets]
        for turn in range(-(-seconds // _PART_SECONDS)):
            for packet, (pts, dts) in zip(packets, kept, strict=True):
                assert pts is not None
                packet.pts, packet.dts = pts + turn * length, dts + turn * length
                packet.stream = stream
                writing.mux(packet)
    part.unlink()


def _write_part(path: Path) -> None:
    width, height = _SIDES
    rows, columns = np.mgrid[:height, :width]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"preset": "ultrafast", "g": "50", "bf": "0"}
        for number in range(_PART_SECONDS * FPS):
            turn = 2 * np.pi * number / (_PART_SECONDS * FPS)
            x, y = width * (0.5 + 0.4 * np.sin(5 * turn)), height * (0.5 + 0.35 * np.cos(3 * turn))
            is_disc = (rows - y) ** 2 + (columns - x) ** 2 < 24**2
            image = np.empty((height, width, 3), np.uint8)
            image[...] = np.where(is_disc[..., None], (240, 200, 60), (30, 60, 110))
            image[..., 1] += (columns // 8 % 24).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))


def make_long_project(folder: Path, *, seconds: int, detections: int, seed: int = 0) -> Project:
    """A project of the 52 actions with one video, its detections, and scores over time."""
    folder.mkdir(parents=True)
    video = folder / "long.mp4"
    write_long_video(video, seconds=seconds)
    project = new_project(folder / "study", labels=MA52)
    project.catalogue.add_videos({"long": video})
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(MA52.names), detections)
    starts = np.sort(rng.uniform(0, seconds - 5, detections))
    segments = np.stack([starts, starts + rng.uniform(0.4, 4, detections)], axis=1)
    scores = rng.uniform(0.05, 1, detections)
    source = project.findings.add_source("runs/long", {"min_score": 0.05})
    found = Detections(segments, labels, scores)
    project.findings.add_detections(source, "long", found, MA52)
    steps = np.zeros((int(seconds / STEP_SECONDS), len(MA52.names)), np.float64)
    times = (np.arange(len(steps)) + 0.5) * STEP_SECONDS
    for (start, end), label, score in zip(segments, labels, scores, strict=True):
        near = slice(*np.searchsorted(times, (start - 2, end + 2)))
        middle, width = (start + end) / 2, (end - start) / 2
        bump = score * np.exp(-(((times[near] - middle) / width) ** 2))
        steps[near, label] = np.maximum(steps[near, label], bump)
    curves = np.round(255 * np.clip(steps + rng.uniform(0, 0.04, steps.shape), 0, 1))
    behaviours = tuple(one.id for one in project.catalogue.behaviours())
    project.findings.add_curves(
        source, "long", Curves(STEP_SECONDS, behaviours, curves.astype(np.uint8))
    )
    return project
