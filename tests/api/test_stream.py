"""Frames in memory and streams, from Python."""

from pathlib import Path

import numpy as np
import pytest

import mmad
from mmad.api.stream import are_frames
from mmad.video.open import open_video

pytestmark = pytest.mark.slow


def test_frames_of_a_file_have_its_detections(videos: Path, detection_run: Path) -> None:
    file = min((videos / "videos").glob("val*.mp4"))
    model = mmad.load(detection_run, device="cpu")
    with open_video(file) as video:
        frames = video.read(np.arange(video.index.num_frames))
        fps = video.index.fps
    wanted = model.detect(file)
    for given in (frames, iter(frames), frames[..., ::-1]):
        colours = "bgr" if given is not frames and isinstance(given, np.ndarray) else "rgb"
        found = model.detect(given, fps=fps, colours=colours, name="mine")
        assert found.video_id == "mine"
        np.testing.assert_array_equal(found.scores, wanted.scores)
        np.testing.assert_array_equal(found.segments_seconds, wanted.segments_seconds)
    stream = model.stream(iter(frames), fps=fps, min_score=0.001, name="mine")
    assert stream.delay_seconds == pytest.approx(2 * stream.window_seconds)
    assert "mine" in repr(stream)
    with pytest.warns(mmad.MmadWarning, match="of a recorded video, the best 200 are kept"):
        streamed = list(stream)
    (last,) = streamed
    np.testing.assert_allclose(last.scores[:200], wanted.scores, rtol=1e-6)
    assert not stream.is_exact
    assert stream.seen_seconds == pytest.approx(wanted.video.duration_seconds)
    assert all(isinstance(found, mmad.Detections) for found in streamed)
    assert list(stream) == []
    of_camera = list(model.stream(str(file), seconds=1.0))
    assert of_camera[-1].video.duration_seconds == pytest.approx(1.0)


def test_mistakes_are_one_message(detection_run: Path) -> None:
    model = mmad.load(detection_run, device="cpu")
    frames = np.zeros((4, 32, 32, 3), dtype=np.uint8)
    with pytest.raises(mmad.MmadError, match="nothing says when each frame was taken; pass fps"):
        model.detect(frames)
    with pytest.raises(mmad.MmadError, match="nothing says when each frame was taken; pass fps"):
        list(model.stream(iter(frames)))
    with pytest.raises(mmad.MmadError, match="camera 97: OpenCV cannot open it"):
        model.stream(97)
    for call, message in (
        (lambda: model.detect("a.mp4", fps=25), "a file has its own"),
        (lambda: model.detect(3), "expected video files or frames, found int"),
        (lambda: model.stream(0, fps=25), "a camera has its own"),
        (lambda: model.stream(iter(frames), fps=25, seconds=1), "seconds are for cameras"),
        (lambda: model.stream(iter(frames), fps=25, min_score=3), "a score from 0 to 1, found 3"),
    ):
        with pytest.raises(mmad.MmadError, match=message):
            call()


def test_frames_are_told_from_paths() -> None:
    image = np.zeros((4, 4, 3), dtype=np.uint8)
    for frames in (image[None], [image], iter([image]), [(0.0, image)]):
        assert are_frames(frames)
    for paths in ("a.mp4", Path("a.mp4"), ["a.mp4"], (Path("a.mp4"),), []):
        assert not are_frames(paths)
