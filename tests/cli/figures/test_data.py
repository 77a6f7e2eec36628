"""``mmad figures`` of data sets: files, numbers, and what cannot be drawn."""

import csv
import json
from pathlib import Path

import pytest

from mmad.cli.figures import app
from mmad.errors import AnnotationError, MmadError, VideoError
from support.commands import invoke

pytestmark = pytest.mark.slow


def figures(*words: object) -> str:
    return invoke(app, *words)


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    content = {
        "train0000": {"subset": "train", "duration": 9.0, "actions": [[9, 0, 4], [24, 5, 6]]},
        "val0000": {"subset": "val", "duration": 9.0, "actions": [[9, 0, 2]]},
    }
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(content))
    return path


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("kind", ["class-ratio", "durations", "label-tree"])
def test_a_figure_and_its_numbers(kind: str, truth: Path, tmp_path: Path) -> None:
    out, numbers = tmp_path / "f.svg", tmp_path / "f.csv"
    told = figures(kind, truth, "--out", out, "--csv", numbers, "--width", "column")
    assert f"figure: {out} (3.5 x" in told
    assert f"numbers: {numbers}" in told
    assert "<svg" in out.read_text()
    found = [row for row in rows_of(numbers) if "B1 nodding" in row.values()]
    total = sum(int(row["instances"]) for row in found)
    assert total == 2


def test_a_subset_alone(truth: Path, tmp_path: Path) -> None:
    numbers = tmp_path / "f.csv"
    figures("durations", truth, "--subset", "val", "--out", tmp_path / "f.png", "--csv", numbers)
    (row,) = [row for row in rows_of(numbers) if row["label"] == "B1 nodding"]
    assert (row["instances"], float(row["mean_seconds"])) == ("1", 2.0)
    with pytest.raises(AnnotationError, match=r"--subset dev: .* found train, val"):
        figures("durations", truth, "--subset", "dev", "--out", tmp_path / "f.png")


def test_lists_of_clips_hold_classes_but_no_lengths(tmp_path: Path) -> None:
    clips = tmp_path / "train.txt"
    clips.write_text("a.mp4 9\nb.mp4 9\n")
    figures("class-ratio", clips, "--out", tmp_path / "f.pdf")
    with pytest.raises(AnnotationError, match="do not hold their lengths; pass --clips"):
        figures("durations", clips, "--out", tmp_path / "f.pdf")
    with pytest.raises(VideoError, match=r"lacks 2 of 2 clips, first a\.mp4"):
        figures("durations", clips, "--clips", tmp_path, "--out", tmp_path / "f.pdf")


def test_what_is_no_kind_or_no_figure(truth: Path, tmp_path: Path) -> None:
    with pytest.raises(MmadError, match="did you mean 'mmad figures class-ratio'"):
        figures("classratio", truth, "--out", tmp_path / "f.pdf")
    with pytest.raises(MmadError, match="did you mean 'mmad figures label-tree'"):
        figures("tree", truth, "--out", tmp_path / "f.pdf")
    with pytest.raises(MmadError, match="expected one of temporal-gradient, samples"):
        figures("xyz", truth, "--out", tmp_path / "f.pdf")
    with pytest.raises(MmadError, match=r"f\.gif: expected a file ending in .pdf, .png, .svg"):
        figures("label-tree", truth, "--out", tmp_path / "f.gif")
