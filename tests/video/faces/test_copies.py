import json
import re
from pathlib import Path

import numpy as np
import pytest

from mmad.video.faces.boxes import read_face_boxes
from mmad.video.open import open_video
from mmad.video.writer import VideoWriter
from support.commands import run_mmad
from support.emotions import put
from support.yunet import CELL, write_yunet

FRAMES, SIDE = 12, 96


def bright(frame: int) -> tuple[int, int] | None:
    """Row and column of the bright cell of a frame; none in the last two frames."""
    return (1, 1 if frame < 6 else 2) if frame < FRAMES - 2 else None


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``a.mp4`` with a bright cell that jumps and leaves, and ``b.mp4`` without one."""
    folder = tmp_path_factory.mktemp("faces")
    for name in ("a", "b"):
        with VideoWriter(folder / f"{name}.mp4", fps=10, width=SIDE, height=SIDE) as writer:
            for frame in range(FRAMES):
                image = np.zeros((SIDE, SIDE, 3), dtype=np.uint8)
                if name == "a" and (cell := bright(frame)):
                    row, column = (CELL * place for place in cell)
                    image[row : row + CELL, column : column + CELL] = 255
                writer.write(image)
    return folder


def test_with_a_detector(videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "faces"
    model = write_yunet(tmp_path / "yunet.onnx", side=SIDE)
    command = ["data", "faces", videos, "--out", out, "--model", model, "--every", 1]
    command += ["--expand", 0, "--size", 32, "--max-gap", 0.1, "--json", tmp_path / "found.json"]
    said = run_mmad(command)
    assert "b.mp4: no face in 12 frames; the copy is black" in said.stderr
    assert "a.mp4: the face is away in 2 of 12 frames, first from 1.00 to 1.20 s" in said.stderr
    assert (
        "1 video without a face: b\n1 video in which the face is away for a while: a" in said.stdout
    )
    assert json.loads((tmp_path / "found.json").read_text())["without"] == ["b"]
    boxes = read_face_boxes(out)
    assert boxes["a"].frames.tolist() == list(range(FRAMES - 2))
    assert boxes["a"].boxes[0].tolist() == [CELL, CELL, CELL, CELL]
    assert boxes["a"].boxes[7].tolist() == [2 * CELL, CELL, CELL, CELL]
    assert len(boxes["b"]) == 0
    with open_video(out / "a.mp4") as reader:
        assert reader.index.num_frames == FRAMES
        means = reader.read(range(FRAMES)).mean(axis=(1, 2, 3))
    assert (means[: FRAMES - 2] > 200).all()
    assert (means[FRAMES - 2 :] < 20).all()
    model = model.rename(tmp_path / "moved.onnx")  # its content counts, not its place
    again = run_mmad([*command, "--model", model])
    assert "0 videos written" in again.stdout
    assert "1 video without a face: b" in again.stdout


def test_between_the_frames_that_are_searched(videos: Path, tmp_path: Path) -> None:
    """Of frames 0, 4, 8 and the last, 11, the first three have the cell, at two places."""
    model = write_yunet(tmp_path / "yunet.onnx", side=SIDE)
    command = ["data", "faces", videos / "a.mp4", "--out", tmp_path / "faces", "--model", model]
    run_mmad([*command, "--every", 4, "--max-gap", 0, "--size", 32])
    # It does not overlap itself from frame 4 to 8, so it is lost there, and gone after 8.
    assert read_face_boxes(tmp_path / "faces")["a"].frames.tolist() == [0, 1, 2, 3, 4, 8]


def test_with_boxes_of_a_file(videos: Path, tmp_path: Path) -> None:
    rows = "".join(f"a,{frame},32,32,32,32\na,{frame},70,0,16,16\n" for frame in (0, 4, 11))
    path = put(tmp_path, "boxes.csv", f"video_id,frame,x,y,w,h\n{rows}")
    out = tmp_path / "faces"
    said = run_mmad(["data", "faces", videos, "--out", out, "--boxes", path, "--size", 32])
    assert "a.mp4: the face is away in 6 of 12 frames, first from 0.50 to 1.10 s" in said.stderr
    assert "a.mp4: another face in 3 frames; the larger is kept" in said.stderr
    assert "1 video with another face: a" in said.stdout
    assert read_face_boxes(out)["a"].frames.tolist() == [0, 1, 2, 3, 4, 11]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a,12,1,1,9,9", "has a face box in frame 12, but its frames are 0 to 11"),
        ("a,0,200,1,9,9", "the face box 200, 1, 9, 9 in frame 0 lies outside of the image"),
        ("c,0,1,1,9,9", "no video is in .*: the videos are a, b, ..., the boxes are of c"),
    ],
)
def test_boxes_that_do_not_fit(videos: Path, tmp_path: Path, row: str, message: str) -> None:
    path = put(tmp_path, "boxes.csv", f"video_id,frame,x,y,w,h\n{row}\n")
    command = ["data", "faces", videos, "--out", tmp_path / "faces", "--boxes", path]
    assert re.search(message, run_mmad(command, code=2).stderr)


def test_neither_or_both(videos: Path, tmp_path: Path) -> None:
    command = ["data", "faces", videos, "--out", tmp_path / "faces"]
    said = run_mmad(command, code=2).stderr
    assert "pass --model FILE or --boxes FILE; for the model, fetch face_detection_yunet" in said
    said = run_mmad([*command, "--model", "x.onnx", "--boxes", "x.csv"], code=2).stderr
    assert "pass either --model FILE or --boxes FILE" in said


def test_videos_that_do_not_exist_and_sizes_that_are_none(videos: Path, tmp_path: Path) -> None:
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("video_id,frame,x,y,w,h\na,0,1,1,9,9\n")
    words = ["--out", tmp_path / "faces", "--boxes", boxes]
    said = run_mmad(["data", "faces", tmp_path / "none.mp4", *words], code=2).stderr
    assert "there is no such video: " in " ".join(said.split())
    said = run_mmad(["data", "faces", videos, *words, "--size", 0], code=2).stderr
    assert "--size" in said
