"""Detections of a stream are those of the recorded video."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mmad.config.base import changed
from mmad.config.run import VideoRun
from mmad.engine.inference import detect_videos
from mmad.engine.streaming.stream import DetectionStream, joined
from mmad.errors import ConfigError, VideoError
from mmad.models.build import build_detector
from mmad.models.detectors.whole import EndToEndDetector
from mmad.structures import Detections
from mmad.video.open import open_video
from mmad.video.sources.memory import MemoryVideo, hold_frames
from support.synthetic_data import tiny_config

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def config(videos: Path) -> VideoRun:
    config = tiny_config(
        videos,
        data__window_frames=32,
        inference={"batch_windows": 1, "max_candidates": 40},
    )
    assert isinstance(config, VideoRun)
    return config


@pytest.fixture(scope="module")
def network(config: VideoRun) -> EndToEndDetector:
    torch.manual_seed(0)
    model = build_detector(config, num_classes=52)
    assert isinstance(model, EndToEndDetector)
    for name, parameter in model.named_parameters():
        if ".adapter." in name:
            torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


@pytest.fixture(scope="module")
def images(videos: Path) -> np.ndarray:
    """Frames of several videos, one behind another."""
    parts = []
    for file in sorted((videos / "videos").glob("*.mp4")):
        with open_video(file) as video:
            parts.append(video.read(np.arange(video.index.num_frames)))
    return np.concatenate(parts)[:170]


def recorded(network: EndToEndDetector, config: VideoRun, video: MemoryVideo) -> Detections:
    found = detect_videos(
        network, [video.record("a")], config, device=CPU, fps=15, sources={"a": video}
    )
    return found.detections["a"]


def sorted_rows(found: Detections) -> np.ndarray:
    rows = np.column_stack((found.segments_seconds, found.labels, found.scores))
    return rows[np.lexsort(rows.T)]


@pytest.mark.slow
@pytest.mark.parametrize("timed", [False, True])
def test_the_union_is_what_is_detected_in_the_recorded_video(
    network: EndToEndDetector, config: VideoRun, images: np.ndarray, timed: bool
) -> None:
    times = np.cumsum(np.tile([0.05, 0.1], len(images)))[: len(images)]
    clock = {"times": times} if timed else {"fps": 15.0}
    wanted = recorded(network, config, hold_frames(images, **clock))
    assert len(wanted) > 100
    stream = opened(network, config, fps=None if timed else 15.0, delay=1000.0)
    stamps = times if timed else np.arange(len(images)) / 15
    parts = list(stream.run(zip(stamps.tolist(), images, strict=True)))
    assert sum(map(len, parts[:-1])) > 10
    assert stream.is_exact
    np.testing.assert_allclose(
        sorted_rows(joined(parts)), sorted_rows(wanted), rtol=1e-6, atol=1e-9
    )
    assert (len(stream.notices()) == 1) == timed
    if timed:
        assert stream.notices() == ["camera: sampled by time to 15 frames/s"]


def opened(
    network: EndToEndDetector, config: VideoRun, *, fps: float | None = 15.0, **options: Any
) -> DetectionStream:
    return DetectionStream(
        network,
        config,
        device=CPU,
        model_fps=15.0,
        fps=fps,
        min_score=0.001,
        name="camera",
        **options,
    )


def test_the_delay_is_kept_and_memory_does_not_grow(
    network: EndToEndDetector, config: VideoRun, images: np.ndarray
) -> None:
    waiting = []
    for delay, steps in ((None, 4), (1.5, 1.5)):
        stream = opened(network, config, delay=delay)
        assert stream.window_seconds == pytest.approx(32 / 15)
        assert stream.delay_seconds == pytest.approx(delay or 64 / 15)
        for number, image in enumerate(images):
            found = stream.push(number / 15, image)
            assert stream.num_waiting <= 40 * (steps + 4)
            if found is None:
                continue
            waited = (number + 1) / 15 - found.segments_seconds[:, 1]
            assert waited.max(initial=0) <= max(stream.delay_seconds, 32 / 15) + 1e-6
            assert not len(found) or np.median(waited) <= stream.delay_seconds
        waiting.append(len(stream.finish()))
    assert waiting[1] < waiting[0]


def test_a_stream_shorter_than_a_window_is_one_window(
    network: EndToEndDetector, config: VideoRun, images: np.ndarray
) -> None:
    wanted = recorded(network, config, hold_frames(images[:20], fps=15.0))
    stream = opened(network, config)
    (found,) = stream.run((number / 15, image) for number, image in enumerate(images[:20]))
    np.testing.assert_allclose(sorted_rows(found), sorted_rows(wanted), rtol=1e-6, atol=1e-9)
    assert stream.seen_seconds == pytest.approx(20 / 15)


def test_what_cannot_be_streamed_is_said(network: EndToEndDetector, config: VideoRun) -> None:
    with pytest.raises(ConfigError, match=r"camera: delay: expected at least the 1\.07 s .* 1 s"):
        opened(network, config, delay=1.0)
    assert opened(network, config, delay=1.0, window_overlap=0.75).step_seconds < 1
    with pytest.raises(ConfigError, match="window_overlap: expected a share"):
        opened(network, config, window_overlap=1.0)
    whole = changed(config, data=changed(config.data, sampling="whole"))
    with pytest.raises(ConfigError, match=r"as a whole \(data.sampling=whole\).* recorded video"):
        opened(network, whole)
    with pytest.raises(VideoError, match="camera: ended without a frame"):
        list(opened(network, config).run([]))
