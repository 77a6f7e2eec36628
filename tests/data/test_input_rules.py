"""Which frames and pixels the model is given: the published codes' rules, written a second time."""

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from synthetic_data import make_videos, tiny_config

from mmad.annotations.attach import attach_videos
from mmad.config.backbones.family import STATISTICS
from mmad.config.reading import parse_config
from mmad.data.samples import FailedVideo, Sample
from mmad.data.transforms import centre_box, colour_map
from mmad.data.videos import TrainingVideos, WindowStream, choose_frames, make_grid
from mmad.data.windows import (
    Window,
    sliding_windows,
    spread_frames,
    training_window,
    truncate_to_frames,
)
from mmad.engine.detection import read_data
from mmad.errors import ConfigError
from mmad.structures import Annotations
from mmad.video.open import open_video
from mmad.video.reader import scaled_size


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_videos(tmp_path_factory.mktemp("videos"))


@pytest.mark.parametrize("overlap", [0.25, 0.5])
def test_sliding_windows_are_those_of_opentad(overlap: float) -> None:
    for num_snippets in [1, 700, 768, 769, 1000, 1153, 2304, 5001]:
        window, step = 768, int(768 * (1 - overlap))
        theirs = []
        for number in range(max(1, num_snippets // step)):
            start = number * step
            end = start + window
            if end > num_snippets:  # the last window ends with the video
                start, end = max(0, num_snippets - window), num_snippets
            theirs.append((start, end))
        ours = sliding_windows(num_snippets, window_frames=window, overlap=overlap, keep_tail=False)
        assert [(w.start, w.stop) for w in ours] == sorted(set(theirs))


def test_a_published_window_loses_frames_and_ours_does_not() -> None:
    positions = np.arange(4000)
    frames, stride = choose_frames(positions, _settings(frame_stride=4, window_frames=768))
    assert stride == 4
    theirs = sliding_windows(len(frames), window_frames=768, overlap=0.25, keep_tail=False)
    assert [(frames[w.start], frames[w.stop - 1]) for w in theirs] == [(0, 3068)]
    ours = sliding_windows(len(frames), window_frames=768, overlap=0.25)
    assert frames[ours[-1].stop - 1] == 3996


def _settings(**changes: object):  # type: ignore[no-untyped-def]
    return tiny_config(Path("nowhere"), **{f"data__{k}": v for k, v in changes.items()}).data


@pytest.mark.parametrize("total", [1, 100, 767, 768, 769, 1000, 5403])
def test_a_resized_video_has_the_frames_of_opentad(total: int) -> None:
    wanted = 192 * 4
    stride = total / wanted
    theirs = np.arange(stride / 2 - 0.5, total + stride / 2 - 0.5, stride)[:wanted]
    theirs = np.round(theirs).clip(0, total - 1)
    assert (spread_frames(total, count=wanted) == theirs).all()


def test_the_grid_of_a_resized_video_spans_it() -> None:
    frames, stride = choose_frames(np.arange(1000), _settings(sampling="whole", window_frames=768))
    grid = make_grid(
        fps=25.0,
        frame_stride=stride,
        window=Window(0, len(frames)),
        frames_per_step=2,
        upsampling=0.5,
    )
    assert grid.num_steps == 192
    np.testing.assert_allclose(grid.to_grid([[0.0, 40.0]]), [[0.0, 192.0]])


def test_a_whole_video_is_one_window(videos: Path) -> None:
    config = tiny_config(videos, data__sampling="whole", data__window_frames=32)
    records = attach_videos(read_data(config)[0].records, config.data.videos)
    stream = list(WindowStream(records, config.data, backbone=config.backbone, upsampling=1))
    assert len(stream) == len(records)
    training = TrainingVideos(records, config.data, backbone=config.backbone, upsampling=1, seed=0)
    for record, seen, drawn in zip(
        records, stream, [training[(0, i)] for i in range(len(records))], strict=True
    ):
        for sample in (seen, drawn):
            assert isinstance(sample, Sample)
            assert len(sample.frames) == 32
            assert len(sample.annotations) == len(record.annotations)
            spans = sample.grid.to_seconds([[0, sample.grid.num_steps]])
            np.testing.assert_allclose(spans, [[0, record.duration_seconds]], atol=1e-3)


def test_a_stride_and_whole_videos_exclude_each_other() -> None:
    with pytest.raises(ConfigError, match=r"frame_stride 2.*sampling=whole"):
        _settings(sampling="whole", frame_stride=2)


def test_short_training_videos_are_cut_to_a_length_of_the_published_range() -> None:
    lengths = set()
    for seed in range(400):
        window, _ = training_window(
            57,
            Annotations(),
            window_frames=768,
            seconds_per_frame=0.1,
            min_visible=0.75,
            shorten=(0.9, 1.0),
            rng=np.random.default_rng(seed),
        )
        assert 0 <= window.start <= window.stop <= 57
        lengths.add(len(window))
    assert lengths == set(range(round(0.9 * 57), 58))


def test_training_instances_stay_if_enough_of_them_is_inside() -> None:
    rng = np.random.default_rng(0)
    starts = rng.integers(0, 900, 12)
    segments = np.column_stack((starts, starts + rng.integers(4, 90, 12))).astype(float)
    annotations = Annotations(segments, np.arange(12))
    for seed in range(50):
        window, seen = training_window(
            1000,
            annotations,
            window_frames=300,
            seconds_per_frame=1.0,
            min_visible=0.75,
            shorten=(0.9, 1.0),
            rng=np.random.default_rng(seed),
        )
        left = np.maximum(segments[:, 0], window.start)
        right = np.minimum(segments[:, 1], window.stop)
        kept = (right - left).clip(0) / (segments[:, 1] - segments[:, 0]) >= 0.75
        assert seen.labels.tolist() == np.flatnonzero(kept).tolist()
        np.testing.assert_allclose(
            seen.segments_seconds, np.column_stack((left, right))[kept], atol=1e-9
        )


def test_annotations_cut_to_whole_frames() -> None:
    annotations = Annotations([[0.99, 2.34], [3.0, 9.99]], [0, 1])
    cut = truncate_to_frames(annotations, num_frames=250, duration_seconds=10.0, fps=25.0)
    frames = [[int(t / 10.0 * 250) for t in row] for row in [[0.99, 2.34], [3.0, 9.99]]]
    assert (cut.segments_seconds * 25).round(6).tolist() == frames


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (640, 480), (333, 500), (320, 320)])
def test_sizes_and_centre_crops_are_those_of_openmmlab(width: int, height: int) -> None:
    for short in (160, 182):
        scale = short / min(width, height)
        theirs = int(height * scale + 0.5), int(width * scale + 0.5)
        assert scaled_size(width, height, short_side=short) == theirs
    box = centre_box(*scaled_size(width, height, short_side=160))
    new_height, new_width = scaled_size(width, height, short_side=160)
    assert (box.left, box.top) == ((new_width - 160) // 2, (new_height - 160) // 2)
    assert (box.width, box.height) == (160, 160)


def test_colours_are_normalised_as_all_published_weights_expect() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (50, 3)).astype(np.float32)
    table = torch.from_numpy(colour_map(np.zeros((1, 2, 2, 3), np.uint8), STATISTICS["imagenet"]))
    ours = torch.from_numpy(pixels) @ table[:, :3].T + table[:, 3]
    mean, std = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
    np.testing.assert_allclose(ours, (pixels - mean) / std, atol=1e-5)
    assert STATISTICS["imagenet"] == (tuple(mean), tuple(std))


@pytest.mark.parametrize("short_side", [20, 50])
def test_resizing_as_opencv_does_it(videos: Path, short_side: int) -> None:
    path = sorted((videos / "videos").iterdir())[0]
    order = [5, 0, 0, 11]
    with open_video(path) as video:
        full = video.read(order)
    theirs = [cv2.resize(f, (short_side, short_side)) for f in full]
    with open_video(path, short_side=short_side, resizing="opencv") as video:
        assert (video.read(order) == np.stack(theirs)).all()
        streamed = list(video.stream([0, 5, 11]))
        assert (np.stack(streamed) == np.stack(theirs)[[1, 0, 3]]).all()
        assert not video.damaged
    with open_video(path, short_side=short_side) as video:
        assert (video.read(order) != np.stack(theirs)).any()


def test_the_input_of_the_opentad_preset(videos: Path) -> None:
    content = tiny_config(videos).model_dump(mode="json")
    content["compat"] = "opentad"
    for name in ("pad_to_window", "keep_tail", "resizing", "truncate_annotations", "augmentation"):
        del content["data"][name]
    config = parse_config(content, source="test")
    settings = config.data
    assert settings.resizing == "opencv"
    assert settings.truncate_annotations
    assert settings.augmentation is not None
    assert (settings.augmentation.operations, settings.augmentation.fixed_signs) == (2, True)
    records = attach_videos(read_data(config)[0].records, videos / "videos")
    sample = TrainingVideos(records, settings, backbone=config.backbone, upsampling=1, seed=0)[
        (0, 0)
    ]
    assert not isinstance(sample, FailedVideo)
    assert sample.frames.shape[0] == settings.window_frames
    assert sample.grid.num_steps == math.ceil(sample.num_valid_frames / 2)
    # Where a preset's group is switched off, it stays off.
    content["data"]["augmentation"] = None
    assert parse_config(content, source="test").data.augmentation is None
