import json
import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from mmad.cli.data import app
from mmad.errors import MmadError, VideoError
from mmad.video.crop import crop_videos, read_crops
from mmad.video.crop_sheet import MAX_VIDEOS, chosen_for_sheet, draw_sheet
from mmad.video.index import index_video
from mmad.video.open import open_video
from mmad.video.writer import VideoWriter

WIDTH, HEIGHT = 160, 120
BOXES = {"a": np.array([[20.0, 30, 80, 90]]), "b": np.array([[20.0, 30, 60, 90]])}


def write_square(path: Path, *, num_frames: int = 20, still: bool = False) -> Path:
    """A bright square of 20 pixels, rows 30 to 50, from column 40 to column 78 + 20."""
    rng = np.random.default_rng(0)
    ground = rng.integers(40, 90, (HEIGHT // 8, WIDTH // 8, 1)).repeat(8, axis=0).repeat(8, axis=1)
    with VideoWriter(path, fps=25, width=WIDTH, height=HEIGHT, crf=10) as writer:
        for number in range(num_frames):
            frame = np.clip(ground + rng.normal(0, 3, (HEIGHT, WIDTH, 3)), 0, 255).astype(np.uint8)
            if not still:
                frame[30:50, 40 + 2 * number : 60 + 2 * number] = 230
            writer.write(frame)
    return path


def test_copies_show_the_boxes(tmp_path: Path) -> None:
    sources = [write_square(tmp_path / f"{name}.mp4") for name in "ab"]
    out = tmp_path / "out"
    summary = crop_videos(sources, out, boxes=BOXES, expand=0.1)
    assert (len(summary.written), summary.num_frames, summary.failed) == (2, 40, {})
    # 20 - 6 to 80 + 6 and 30 - 6 to 90 + 6; the other one 20 - 4 to 60 + 4.
    for name, (left, top, width, height) in (("a", (14, 24, 72, 72)), ("b", (16, 24, 48, 72))):
        index = index_video(out / f"{name}.mp4")
        assert (index.width, index.height, index.num_frames, index.fps) == (width, height, 20, 25)
        with open_video(out / f"{name}.mp4") as copy, open_video(tmp_path / f"{name}.mp4") as video:
            part = video.read([7])[0][top : top + height, left : left + width]
            assert np.abs(copy.read([7])[0].astype(int) - part).mean() < 3
    noted = json.loads((out / "cropped.json").read_text())["copies"]
    assert noted["a.mp4"]["union"] == [20, 30, 80, 90]
    assert noted["a.mp4"]["found"] == {
        **{"left": 14, "top": 24, "width": 72, "height": 72},
        "is_found": True,
    }


def test_motion_and_size(tmp_path: Path) -> None:
    source = write_square(tmp_path / "a.mp4")
    summary = crop_videos([source], tmp_path / "out", expand=0, least_aspect=0, short_side=16)
    crop = read_crops([source], tmp_path / "out")[source]
    found = [crop.columns.start, crop.rows.start, crop.columns.stop, crop.rows.stop]
    np.testing.assert_allclose(found, [40, 30, 98, 50], atol=4)
    index = index_video(tmp_path / "out" / "a.mp4")
    assert index.height == 16
    assert index.width == pytest.approx(16 * crop.width / crop.height, abs=2)
    assert "perhaps a part of a person" in summary.written[0].notices[0]


def test_where_nobody_is_found_the_image_stays_whole(tmp_path: Path) -> None:
    still = write_square(tmp_path / "still.mp4", still=True)
    without = write_square(tmp_path / "b.mp4", num_frames=3)
    first = crop_videos([still], tmp_path / "motion")
    assert "nothing moves in it; the whole image is kept" in first.written[0].notices[0]
    boxes = {"still": BOXES["a"]}
    second = crop_videos([still, without], tmp_path / "boxes", boxes=boxes)
    assert "b.mp4: it has no boxes; the whole image is kept" in second.written[1].notices[0]
    for path in (tmp_path / "motion" / "still.mp4", tmp_path / "boxes" / "b.mp4"):
        index = index_video(path)
        assert (index.width, index.height) == (WIDTH, HEIGHT)


def test_finished_copies_are_left_alone_until_boxes_or_settings_change(tmp_path: Path) -> None:
    sources = [write_square(tmp_path / f"{name}.mp4", num_frames=3) for name in "ab"]
    out = tmp_path / "out"

    def written(**how) -> list[str]:
        summary = crop_videos(sources, out, **{"boxes": BOXES, **how})
        assert len(summary.written) + len(summary.skipped) == 2
        return [copy.path.name for copy in summary.written]

    assert written() == ["a.mp4", "b.mp4"]
    assert written() == []
    (out / "b.mp4").unlink()
    assert written() == ["b.mp4"]
    # Another box within the union changes nothing.
    inside = np.array([[25.0, 35, 70, 80]])
    assert written(boxes={**BOXES, "a": np.concatenate((BOXES["a"], inside))}) == []
    assert written(boxes={**BOXES, "a": inside}) == ["a.mp4"]
    assert written(boxes={**BOXES, "a": inside}, expand=0.2) == ["a.mp4", "b.mp4"]
    assert written(boxes=None, expand=0.2) == ["a.mp4", "b.mp4"]
    os.utime(sources[0], (1, 1))
    assert written(boxes=None, expand=0.2) == ["a.mp4"]
    assert written(boxes=None, expand=0.2, overwrite=True) == ["a.mp4", "b.mp4"]


def test_one_bad_video_does_not_stop_the_others(tmp_path: Path) -> None:
    good = [write_square(tmp_path / f"{name}.mp4", num_frames=3) for name in "ac"]
    bad = tmp_path / "b.mp4"
    bad.write_bytes(b"no video" * 100)
    out = tmp_path / "out"
    outside = {"a": BOXES["a"], "c": np.array([[300.0, 0, 400, 100]])}
    summary = crop_videos([good[0], bad, good[1]], out, boxes=outside, num_workers=2)
    assert [copy.path.name for copy in summary.written] == ["a.mp4"]
    assert "cannot be read as a video" in summary.failed[bad]
    assert "c.mp4: boxes from (300, 0) to (400, 100) lie outside" in summary.failed[good[1]]
    assert sorted(path.name for path in out.iterdir()) == ["a.mp4", "cropped.json"]


def test_impossible_requests_are_told_together(tmp_path: Path) -> None:
    source = write_square(tmp_path / "a.mp4", num_frames=3)
    (tmp_path / "prepared.json").write_text('{"copies": {}}')
    with pytest.raises(VideoError, match=r"expand: expected 0 or more, found -1") as caught:
        crop_videos([source], tmp_path, boxes={"x": BOXES["a"]}, expand=-1, short_side=2)
    message = str(caught.value)
    assert "no video has boxes: the videos are a, ..., the boxes are for x, ..." in message
    assert "short_side: expected at least 16 pixels, found 2" in message
    assert "would be overwritten by its copy" in message
    assert "copies of another command, listed in prepared.json" in message


def test_sheet_shows_at_most_twelve_videos_evenly() -> None:
    videos = [Path(f"{number}.mp4") for number in range(100)]
    shown = chosen_for_sheet(videos)
    assert len(shown) == MAX_VIDEOS == 12
    assert (shown[0], shown[-1]) == (videos[0], videos[-1])
    assert chosen_for_sheet(videos[:5]) == videos[:5]
    with pytest.raises(VideoError, match="there is no video to show"):
        draw_sheet({})


def run(arguments: Sequence[str]) -> str:
    result = CliRunner().invoke(app, ["crop", *arguments])
    if isinstance(result.exception, MmadError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_preview_alone_writes_one_image(tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    for name in "abcde":
        write_square(folder / f"{name}.mp4", num_frames=6, still=name == "c")
    before = sorted(tmp_path.rglob("*"))
    image = tmp_path / "look.png"
    said = run([str(folder), "--motion", "--preview", str(image)])
    assert "5 of 5 videos with their crops" in said
    assert sorted(tmp_path.rglob("*")) == sorted([*before, image])
    height, width = cv2.imread(str(image)).shape[:2]
    # Three columns and two rows of cells 200 pixels high, each with a title.
    assert 400 < height < 520
    assert 900 < width < 3 * 850


def test_command_with_boxes(tmp_path: Path) -> None:
    folder, boxes, out = tmp_path / "videos", tmp_path / "boxes.csv", tmp_path / "out"
    folder.mkdir()
    write_square(folder / "a.mp4", num_frames=4)
    write_square(folder / "b.mp4", num_frames=4)
    boxes.write_text("video_id,frame,left,top,right,bottom\na,0,20,30,80,90\n")
    arguments = [str(folder), "--boxes", str(boxes), "--out", str(out)]
    said = run([*arguments, "--preview", str(tmp_path / "look.jpg"), "--short-side", "48"])
    assert "1 of 2 videos without a row in the file of boxes: b" in said
    assert "2 videos written (8 frames in" in said
    assert (tmp_path / "look.jpg").is_file()
    index = index_video(out / "a.mp4")
    assert min(index.width, index.height) == 48
    (folder / "c.mp4").write_bytes(b"no video" * 100)
    with pytest.raises(VideoError, match=r"c\.mp4: cannot be read as a video"):
        run(arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "x"], "pass either --model FILE, --boxes FILE or --motion"),
        (["--out", "x", "--motion", "--boxes", "y.csv"], "pass either"),
        (["--motion"], "pass --out DIR to write copies"),
        (["--motion", "--preview", "x.pdf"], r"x\.pdf: expected an image that ends with"),
    ],
)
def test_command_says_what_is_missing(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(VideoError, match=message):
        run([str(tmp_path), *arguments])
