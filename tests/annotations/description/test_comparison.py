"""Data sets side by side: their facts, and the table for a paper."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from mmad.annotations.formats import write_mma52_json
from mmad.cli.data import app
from mmad.errors import AnnotationError, MmadError, VideoError
from mmad.video.writer import VideoWriter
from support.commands import invoke
from support.detections import record

pytestmark = pytest.mark.slow


def compare(*words: object) -> str:
    return invoke(app, "compare", *words)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two annotated videos, and three clips of which two have files."""
    folder = tmp_path_factory.mktemp("data")
    truth = [record("val0", (0, 1, 9), (2, 5, 24)), record("val1", (0, 2, 9))]
    write_mma52_json(folder / "truth.json", truth)
    (folder / "train.txt").write_text("p1_a.mp4 0\np2_a.mp4 9\n")
    (folder / "val.txt").write_text("p1_b.mp4 3\n")
    (folder / "subjects.csv").write_text("video_id,subject\nval0,p1\nval1,p2\n")
    (folder / "clips").mkdir()
    for name, frames in (("p1_a", 10), ("p2_a", 30)):
        with VideoWriter(folder / f"clips/{name}.mp4", fps=10, width=32, height=16) as writer:
            for _ in range(frames):
                writer.write(np.zeros((16, 32, 3), np.uint8))
    return folder


def test_facts_are_those_of_the_annotations_and_files(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "table.csv"
    compare(
        *(f"MMA={data}/truth.json", f"clips={data}/train.txt", f"all={data}/train.txt"),
        *(f"all={data}/val.txt", "--subjects", f"MMA={data}/subjects.csv"),
        *("--videos", f"clips={data}/clips", "--subject-pattern", "all=^([^_]+)_", "--out", out),
    )
    with out.open(newline="") as file:
        mma, clips, everything = csv.DictReader(file)
    # Instances of 1, 3 and 2 s in two videos of 20 s each.
    assert mma == {
        "Dataset": "MMA", "#C": "52", "#Subj.": "2", "H-L": "yes", "Resolution": "n/a",
        "Video": "2", "Instance": "3", "Duration": "2.00 s", "Total": "0.01 h",
        "Task": "detection",
    }  # fmt: skip
    # Clips of 1 and 3 s, whose subjects are not known.
    assert (clips["Video"], clips["Duration"], clips["#Subj."]) == ("2", "2.00 s", "n/a")
    assert (clips["Resolution"], clips["Task"]) == ("32 x 16", "recognition")
    # Both lists; subjects p1 and p2 are in the names.
    assert (everything["Video"], everything["Duration"], everything["#Subj."]) == ("3", "n/a", "2")


def test_statistics_of_clips_have_lengths_and_subjects(data: Path, tmp_path: Path) -> None:
    (data / "people.csv").write_text("video_id,subject\np1_a,p1\np2_a,p1\n")
    numbers = tmp_path / "numbers.json"
    words = ("--videos", data / "clips", "--subjects", data / "people.csv", "--json", numbers)
    told = invoke(app, "stats", data / "train.txt", *words)
    assert "Split" in told
    (one,) = json.loads(numbers.read_text())["subsets"]
    assert (one["name"], one["num_clips"], one["num_subjects"]) == ("train", 2, 1)
    assert (one["mean_seconds"], one["total_seconds"]) == (2.0, 4.0)


def test_tables_for_a_paper(data: Path, tmp_path: Path) -> None:
    name = "a_b & c|d"
    for suffix in ("md", "tex"):
        compare(f"{name}={data}/val.txt", "--out", tmp_path / f"t.{suffix}")
    assert (tmp_path / "t.md").read_text().splitlines()[2].startswith(r"| a_b & c\|d | 52 |")
    latex = (tmp_path / "t.tex").read_text()
    assert r"a\_b \& c|d & 52 & n/a & yes & n/a & 1 & 1 & n/a & n/a & recognition \\" in latex
    assert r"Dataset & \#C & \#Subj." in latex


def test_what_cannot_be_compared_is_told(data: Path, tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r"expected NAME=PATH, such as MMA-52=truth\.json"):
        compare("truth.json")
    with pytest.raises(AnnotationError, match=r"--videos b=\.\.\.: the data sets are a"):
        compare(f"a={data}/truth.json", "--videos", "b=videos")
    with pytest.raises(VideoError, match=r"lacks 1 of 1 clips, first p1_b\.mp4"):
        compare(f"a={data}/val.txt", "--videos", f"a={data}/clips")
    with pytest.raises(AnnotationError, match="is for clips; pass --subjects"):
        compare(f"a={data}/truth.json", "--subject-pattern", "a=^(.)")
    with pytest.raises(MmadError, match=r"expected a file ending in \.csv, \.md, \.tex"):
        compare(f"a={data}/truth.json", "--out", tmp_path / "t.pdf")
