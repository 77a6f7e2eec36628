import json
import math
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from mmad.cli.data import app
from mmad.errors import VideoError
from mmad.video.flow import (
    code_of,
    flow_between,
    flow_frames,
    flow_image,
    flow_statistics,
    flow_videos,
)
from mmad.video.index import index_video
from mmad.video.open import open_video
from mmad.video.writer import VideoWriter
from support.clips import write_clip


def texture(*, right: int = 0, down: int = 0) -> NDArray[np.uint8]:
    """A smooth random RGB image (64, 96, 3), moved by this many pixels."""
    noise = np.random.default_rng(0).random((120, 160)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    grey = 255 * (smooth - smooth.min()) / (smooth.max() - smooth.min())
    part = grey[28 - down : 92 - down, 32 - right : 128 - right]
    return np.repeat(part.astype(np.uint8)[..., None], 3, axis=2)


def middle(image: NDArray) -> NDArray:
    return image[16:-16, 16:-16]


def test_image_moved_to_the_right_has_hue_0_and_its_speed() -> None:
    before, after = texture(), texture(right=2)
    flow = middle(flow_between(before[..., 0], after[..., 0]))
    speed, degrees = cv2.cartToPolar(flow[..., 0], flow[..., 1], angleInDegrees=True)
    assert np.median(speed) == pytest.approx(2, abs=0.1)
    assert np.median(np.minimum(degrees, 360 - degrees)) < 3
    first = next(flow_frames([before, after], max_pixels=4))
    red, green, blue = np.median(middle(first).reshape(-1, 3), axis=0)
    assert red == pytest.approx(255 * 2 / 4, abs=8)
    assert max(green, blue) < 0.1 * red


@pytest.mark.parametrize(
    ("flow", "hue"), [((2, 0), 0), ((0, 2), 90), ((-2, 0), 180), ((0, -2), 270), ((2, -1e-4), 360)]
)
def test_hue_is_the_direction(flow: tuple[float, float], hue: float) -> None:
    image = flow_image(np.full((2, 2, 2), flow, dtype=np.float32), max_pixels=2)
    degrees = 2 * float(cv2.cvtColor(image, cv2.COLOR_RGB2HSV)[0, 0, 0])
    assert min(abs(degrees - hue), 360 - abs(degrees - hue)) <= 2


def test_fixed_scale_saturates_and_keeps_still_frames_dark() -> None:
    flow = np.zeros((1, 4, 2), dtype=np.float32)
    flow[0, :, 0] = 0, 0.01, 2, 100
    # 255 * 0.01 / 4 is less than 1; 255 * 2 / 4 = 127.5.
    assert flow_image(flow, max_pixels=4)[0, :, 0].tolist() == [0, 0, 127, 255]
    # The released scale makes the smallest motion of a still frame bright.
    still = flow[:, :2]
    assert flow_image(still, scale="per-frame")[0, :, 0].tolist() == [0, 255]
    assert flow_image(np.zeros((2, 2, 2), np.float32), scale="per-frame").max() == 0


def test_as_many_images_as_frames_and_the_last_is_repeated() -> None:
    frames = [texture(right=n) for n in range(4)]
    images = list(flow_frames(frames))
    assert len(images) == 4
    np.testing.assert_array_equal(images[-1], images[-2])
    single = list(flow_frames(frames[:1]))
    assert len(single) == 1
    assert single[0].max() == 0
    assert list(flow_frames([])) == []


@pytest.mark.parametrize("scale", ["fixed", "per-frame"])
@pytest.mark.parametrize("times", [None, np.cumsum([40, 20, 20, 100] * 5).tolist()])
def test_flow_videos_have_the_frames_and_times_of_their_source(
    scale: str, times: list[int] | None, tmp_path: Path
) -> None:
    source = write_clip(tmp_path / "a.mkv", num_frames=20, times_ms=times)
    out = tmp_path / "out"
    summary = flow_videos([source], out, scale=scale, short_side=32)
    assert (len(summary.written), summary.num_frames, summary.failed) == (1, 20, {})
    before, after = index_video(source), index_video(out / "a.mp4")
    assert after.num_frames == 20
    np.testing.assert_allclose(after.times_seconds, before.times_seconds, atol=1e-3)
    assert (after.width, after.height) == (106, 32)
    with open_video(out / "a.mp4") as video:
        images = video.read([18, 19]).astype(int)
    assert np.abs(images[1] - images[0]).mean() < 3
    noted = json.loads((out / "flow.json").read_text())["copies"]["a.mp4"]
    assert (noted["scale"], noted["short_side"]) == (scale, 32)
    assert noted["found"].get("max_pixels") == (0.025 * 32 if scale == "fixed" else None)
    with open_video(out / "a.mp4") as video:
        every = np.stack(list(video.stream())).reshape(-1, 3).astype(float)
    measured = flow_statistics([source], out)
    assert measured is not None
    # The video is compressed, with fewer colours.
    np.testing.assert_allclose(measured, (every.mean(axis=0), every.std(axis=0)), rtol=0.1)
    assert flow_statistics([source, tmp_path / "b.mp4"], out) is None


def test_statistics_are_those_of_all_videos(tmp_path: Path) -> None:
    found = {"a.mp4": ([10.0, 0, 4], [200.0, 0, 16]), "b.mp4": ([30.0, 0, 4], [1800.0, 0, 16])}
    copies = {
        name: {"found": {"mean": mean, "mean_square": square}}
        for name, (mean, square) in found.items()
    }
    (tmp_path / "flow.json").write_text(json.dumps({"copies": copies}))
    measured = flow_statistics([Path("a.avi"), Path("b.avi")], tmp_path)
    # 10 and 30, deviations of 10 and 30: the mean of the squares is (200 + 1800) / 2.
    assert measured == ([20.0, 0.0, 4.0], [round(math.sqrt(1000 - 20**2), 3), 0.0, 0.0])


def test_tiny_images(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4", num_frames=3, width=16, height=16)
    assert flow_videos([source], tmp_path / "out").num_frames == 3


def test_only_what_is_missing_is_made_and_bad_videos_do_not_stop_it(tmp_path: Path) -> None:
    sources = [write_clip(tmp_path / f"{name}.mp4", num_frames=5) for name in "ac"]
    bad = tmp_path / "b.mp4"
    bad.write_bytes(b"no video" * 100)
    out = tmp_path / "out"
    summary = flow_videos([sources[0], bad, sources[1]], out, num_workers=2)
    assert sorted(copy.path.name for copy in summary.written) == ["a.mp4", "c.mp4"]
    assert "cannot be read as a video" in summary.failed[bad]
    assert sorted(path.name for path in out.iterdir()) == ["a.mp4", "c.mp4", "flow.json"]
    (out / "a.mp4").unlink()
    summary = flow_videos(sources, out)
    assert [copy.path.name for copy in summary.written] == ["a.mp4"]
    assert [path.name for path in summary.skipped] == ["c.mp4"]
    os.utime(sources[1], (1, 1))
    assert [copy.path.name for copy in flow_videos(sources, out).written] == ["c.mp4"]


def test_displacements_are_numbers_that_the_video_keeps(tmp_path: Path) -> None:
    frames = [texture(right=2 * n, down=-n) for n in range(6)]
    source = tmp_path / "a.mp4"
    with VideoWriter(source, fps=25, width=96, height=64, crf=8) as writer:
        for frame in frames:
            writer.write(frame)
    summary = flow_videos([source], tmp_path / "xy", code="xy", max_pixels=10)
    assert summary.failed == {}
    with open_video(tmp_path / "xy" / "a.mp4") as video:
        images = video.read([0, 1, 2, 3, 4, 5]).astype(float)
    x, y = (np.median(middle(images[1])[..., channel]) for channel in (0, 1))
    # 255 levels for 20 pixels, from -10 on.
    assert x == pytest.approx((2 + 10) * 255 / 20, abs=2)
    assert y == pytest.approx((-1 + 10) * 255 / 20, abs=2)
    with open_video(source) as video:
        expected = np.stack(list(flow_frames(video.stream(), code="xy", max_pixels=10)))
    assert np.abs(images - expected)[..., :2].mean() < 0.5
    assert (expected[..., 2] == 128).all()
    (still,) = flow_frames(frames[:1], code="xy")
    assert (still == 128).all()


def test_codes_are_not_mixed(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4", num_frames=3)
    flow_videos([source], tmp_path / "out")
    assert code_of(tmp_path / "out") == "colours"
    with pytest.raises(VideoError, match="holds flow of the code colours, not xy"):
        flow_videos([source], tmp_path / "out", code="xy")
    flow_videos([source], tmp_path / "xy", code="xy")
    assert code_of(tmp_path / "xy") == "xy"
    assert code_of(tmp_path) is None
    assert [path.name for path in flow_videos([source], tmp_path / "xy", code="xy").skipped] == [
        "a.mp4"
    ]
    with pytest.raises(VideoError, match="holds flow of the code xy, not colours"):
        flow_videos([source], tmp_path / "xy")
    with pytest.raises(VideoError, match="scale per-frame is for the code colours"):
        flow_videos([source], tmp_path / "other", code="xy", scale="per-frame")
    with pytest.raises(VideoError, match="code: expected colours or xy, found 'hsv'"):
        flow_videos([source], tmp_path / "other", code="hsv")


def test_other_settings_for_the_same_folder_are_refused(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4", num_frames=3)
    out = tmp_path / "out"
    flow_videos([source], out)
    with pytest.raises(VideoError, match=r"holds flow of other settings \(a\.mp4: scale fixed ins"):
        flow_videos([source], out, scale="per-frame")
    with pytest.raises(VideoError, match="short_side None instead of 32"):
        flow_videos([source], out, short_side=32)
    (tmp_path / "crops").mkdir()
    (tmp_path / "crops" / "cropped.json").write_text('{"copies": {}}')
    with pytest.raises(VideoError, match=r"copies of another command, listed in cropped\.json"):
        flow_videos([source], tmp_path / "crops")


def test_impossible_settings_are_told_together(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="scale: expected fixed or per-frame") as caught:
        flow_videos([], tmp_path, scale="loud", max_pixels=-1, short_side=2)
    assert "max_pixels: expected more than 0, found -1" in str(caught.value)
    assert "short_side: expected at least 16 pixels, found 2" in str(caught.value)
    with pytest.raises(VideoError, match="max_pixels: the scale per-frame does not use it"):
        flow_videos([], tmp_path, scale="per-frame", max_pixels=3)


def test_command(tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    write_clip(folder / "a.mp4", num_frames=4)
    arguments = ["flow", str(folder), "--out", str(tmp_path / "out"), "--max-pixels", "3"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "1 video written (4 frames in" in result.output
    result = CliRunner().invoke(app, [*arguments, str(tmp_path / "none.mp4")])
    assert isinstance(result.exception, VideoError)
    assert "none.mp4: video not found" in str(result.exception)
    assert "0 videos written" in result.output
