"""``mmad figures`` of videos: samples with and without segments, and what cannot be drawn."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from mmad.cli.figures import app
from mmad.errors import AnnotationError, MmadError, VideoError
from mmad.video.writer import VideoWriter
from support.commands import invoke

pytestmark = pytest.mark.slow


def figures(*words: object) -> str:
    return invoke(app, *words)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos of a second, one with two actions; the same as clips; one without a file."""
    folder = tmp_path_factory.mktemp("data")
    for name in ("val0000", "val0001"):
        path = folder / "videos" / f"{name}.mp4"
        path.parent.mkdir(exist_ok=True)
        with VideoWriter(path, fps=10, width=32, height=32) as writer:
            for number in range(10):
                writer.write(np.full((32, 32, 3), 20 * number, np.uint8))
    actions = {"val0000": [[9, 0, 1]], "val0001": [[24, 0.5, 1], [9, 0, 0.5]], "val0002": []}
    truth = {
        name: {"subset": "val", "duration": 1.0, "actions": rows} for name, rows in actions.items()
    }
    (folder / "truth.json").write_text(json.dumps(truth))
    (folder / "val.txt").write_text("val0000.mp4 9\nval0001.mp4 24\n")
    (folder / "none").mkdir()
    return folder


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_samples_of_videos_and_of_clips(data: Path, tmp_path: Path) -> None:
    numbers = tmp_path / "f.csv"
    out = ("--out", tmp_path / "f.svg", "--csv", numbers, "--width", "column", "--videos")
    figures("samples", data / "truth.json", *out, data / "videos")
    # The video with more actions first, its actions by start.
    assert [(row["video"], row["start_seconds"]) for row in rows_of(numbers)] == [
        ("val0001", "0.0"), ("val0001", "0.5"), ("val0000", "0.0")
    ]  # fmt: skip
    figures("samples", data / "truth.json", *out, data / "videos", "--video", "val0000")
    assert [row["label"] for row in rows_of(numbers)] == ["B1 nodding"]
    told = figures("samples", data / "val.txt", *out, data / "videos", "--frames", 7)
    assert "(3.5 x" in told
    assert [(row["clip"], row["label"]) for row in rows_of(numbers)] == [
        ("val0000.mp4", "B1 nodding"), ("val0001.mp4", "D3 shaking legs")
    ]  # fmt: skip


def test_samples_that_cannot_be_drawn(data: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "f.pdf")
    with pytest.raises(VideoError, match="samples shows frames; pass --videos FOLDER"):
        figures("samples", data / "truth.json", *out)
    with pytest.raises(VideoError, match="holds none of 3 annotated videos"):
        figures("samples", data / "truth.json", *out, "--videos", data / "none")
    here = ("--videos", data / "videos")
    with pytest.raises(VideoError, match="there is no video val0002 in it"):
        figures("samples", data / "truth.json", *out, *here, "--video", "val0002")
    with pytest.raises(AnnotationError, match="--video x: is none of 3 annotated ones"):
        figures("samples", data / "truth.json", *out, *here, "--video", "x")


def test_temporal_gradients_need_videos_and_a_title_for_each(data: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "f.svg")
    video = data / "videos/val0000.mp4"
    figures("temporal-gradient", video, "--title", "nodding", "--width", "column", *out)
    assert (tmp_path / "f.svg").is_file()
    with pytest.raises(VideoError, match="temporal-gradient shows videos; pass one"):
        figures("temporal-gradient", *out)
    with pytest.raises(MmadError, match="--title: expected 1, one for each video; found 2"):
        figures("temporal-gradient", video, "--title", "a", "--title", "b", *out)
