"""Videos in memory give the windows and detections of the same videos in files."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mmad.config.run import VideoRun
from mmad.engine.inference import DetectedVideos, detect_videos
from mmad.errors import VideoError
from mmad.models.build import build_detector
from mmad.models.detectors.whole import EndToEndDetector
from mmad.structures import Detections
from mmad.video.open import open_video
from mmad.video.records import record_of
from mmad.video.sampling import sample_frames
from mmad.video.sources.memory import MemoryVideo, hold_frames
from support.synthetic_data import tiny_config

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def file(videos: Path) -> Path:
    return min((videos / "videos").glob("val*.mp4"))


def detector(config: VideoRun) -> EndToEndDetector:
    torch.manual_seed(0)
    model = build_detector(config, num_classes=52)
    assert isinstance(model, EndToEndDetector)
    return model.eval()


def of_file(config: VideoRun, model: EndToEndDetector, file: Path) -> Detections:
    record = record_of(file)
    return detect_videos(model, [record], config, device=CPU, fps=15).detections[record.video_id]


def of_memory(config: VideoRun, model: EndToEndDetector, video: MemoryVideo) -> DetectedVideos:
    records = [video.record("a")]
    return detect_videos(model, records, config, device=CPU, fps=15, sources={"a": video})


@pytest.mark.parametrize("resizing", ["decoder", "opencv"])
def test_a_file_and_its_frames_in_memory_have_equal_detections(
    videos: Path, file: Path, resizing: str
) -> None:
    # Images of the decoded size are taken as they are; larger ones are resized as OpenCV does.
    side = 32 if resizing == "decoder" else 16
    config = tiny_config(
        videos, data__resizing=resizing, data__image_size=side, data__window_frames=32
    )
    assert isinstance(config, VideoRun)
    model = detector(config)
    wanted = of_file(config, model, file)
    with open_video(file) as video:
        frames = video.read(np.arange(video.index.num_frames))
        fps = video.index.fps
    assert len(frames) > 32
    assert len(wanted)
    for held in (hold_frames(frames, fps=fps), hold_frames(torch.from_numpy(frames), fps=fps)):
        found = of_memory(config, model, held).detections["a"]
        np.testing.assert_array_equal(found.segments_seconds, wanted.segments_seconds)
        np.testing.assert_array_equal(found.scores, wanted.scores)
        np.testing.assert_array_equal(found.labels, wanted.labels)


def test_frames_are_sampled_by_their_times(videos: Path, file: Path) -> None:
    config = tiny_config(videos)
    assert isinstance(config, VideoRun)
    with open_video(file) as video:
        frames = video.read(np.arange(40))
    times = 3.0 + np.cumsum(np.tile([0.02, 0.1], 20))
    held = hold_frames(frames, times=times)
    assert held.index.is_variable_rate
    assert held.index.times_seconds[0] == 0.0
    found = of_memory(config, detector(config), held)
    assert found.read["a"].resampled_fps == 15.0
    assert found.notices() == [
        "1 of 1 video resampled by time to 15 frames/s (1 of a variable rate)"
    ]
    positions = sample_frames(held.index, fps=15, tolerance=0.1).positions
    picked = hold_frames(frames[positions], fps=15)
    again = of_memory(config, detector(config), picked).detections["a"]
    np.testing.assert_array_equal(found.detections["a"].scores, again.scores)


def test_frames_of_an_iterator_are_shrunk_as_they_come_and_kept_apart() -> None:
    buffer = np.zeros((4, 4, 3), dtype=np.uint8)

    def overwritten():  # type: ignore[no-untyped-def]
        for value in range(3):
            buffer[:] = value
            yield buffer

    held = hold_frames(overwritten(), fps=5)
    assert [int(image[0, 0, 0]) for image in held.images] == [0, 1, 2]
    small = hold_frames(overwritten(), fps=5, shrink=lambda image: image[::2, ::2].copy())
    assert (small.index.width, small.index.height) == (2, 2)


def test_a_frame_beyond_the_end_is_named() -> None:
    held = hold_frames(np.zeros((3, 4, 4, 3), dtype=np.uint8), fps=5, name="camera 0")
    with open_video(held) as video, pytest.raises(VideoError, match="camera 0: frame 3 was asked"):
        video.read([2, 3])
