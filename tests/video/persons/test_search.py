"""Crops around the persons that a detector finds, from the command to the copies."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mmad.cli.data import app
from mmad.errors import MmadError, VideoError
from mmad.video.index import index_video
from mmad.video.person_box import read_boxes
from mmad.video.writer import VideoWriter
from support.yolox import CELL, write_yolox

WIDTH, HEIGHT = 640, 320


def write_cells(path: Path, *frames: Sequence[tuple[int, int]]) -> Path:
    """A black video with white cells at (column, row), each frame shown three times."""
    with VideoWriter(path, fps=25, width=WIDTH, height=HEIGHT, crf=4) as writer:
        for cells in frames:
            image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
            for x, y in cells:
                image[y * CELL : (y + 1) * CELL, x * CELL : (x + 1) * CELL] = 255
            for _ in range(3):
                writer.write(image)
    return path


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["crop", *map(str, arguments)])
    if isinstance(result.exception, MmadError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.slow
def test_crops_are_around_all_persons_found(tmp_path: Path) -> None:
    model, folder, out = write_yolox(tmp_path / "m.onnx"), tmp_path / "videos", tmp_path / "out"
    folder.mkdir()
    write_cells(folder / "walks.mp4", [(3, 2)], [(5, 4)])
    write_cells(folder / "two.mp4", [(3, 2), (9, 2)], [(3, 2)])
    write_cells(folder / "empty.mp4", [], [])
    call = (folder, "--model", model, "--every", 3, "--expand", 0)
    said = run(*call, "--out", out)
    assert "3 videos written" in said
    assert "empty.mp4: no person in any of the 3 frames searched; the whole image is kept" in said
    assert "two.mp4: up to 2 persons in 1 of the 3 frames searched; the crop has all" in said
    sizes = {name: index_video(out / f"{name}.mp4") for name in ("walks", "two", "empty")}
    # Columns 3 to 6 and rows 2 to 5; columns 3 to 10 and row 2.
    assert (sizes["walks"].width, sizes["walks"].height) == (3 * CELL, 3 * CELL)
    assert (sizes["two"].width, sizes["two"].height) == (7 * CELL, CELL)
    assert (sizes["empty"].width, sizes["empty"].height) == (WIDTH, HEIGHT)
    boxes = read_boxes(out / "walks.csv")["walks"]
    cells = np.array([[3, 2, 4, 3], [5, 4, 6, 5], [5, 4, 6, 5]]) * CELL
    np.testing.assert_allclose(boxes, cells, atol=0.2)
    noted = json.loads((out / "cropped.json").read_text())["copies"]["walks.mp4"]
    assert (noted["every"], noted["min_score"]) == (3, 0.5)
    assert "0 videos written (0 frames" in run(*call, "--out", out)
    assert "3 videos written" in run(*call, "--min-score", 0.6, "--out", out)
    again = run(folder / "two.mp4", "--boxes", out / "two.csv", "--out", tmp_path / "b")
    assert "1 video written" in again
    assert "3 of 3 videos with their crops" in run(*call, "--preview", tmp_path / "look.png")


def test_one_source_of_boxes_and_a_model(tmp_path: Path) -> None:
    write_cells(tmp_path / "a.mp4", [])
    (tmp_path / "none.onnx").write_bytes(b"")
    model = ("--model", tmp_path / "none.onnx")
    with pytest.raises(VideoError, match="pass either --model FILE, --boxes FILE or --motion"):
        run(tmp_path, *model, "--motion", "--out", tmp_path / "o")
    for place in ("--out", "--preview"):
        with pytest.raises(VideoError, match="is not a YOLOX detector"):
            run(tmp_path, *model, place, tmp_path / "o.png")
