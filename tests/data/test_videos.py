"""Which frames of a video the model is given, and the grid of its steps."""

import math
from pathlib import Path

import numpy as np
import pytest

from mmad.annotations.attach import attach_videos
from mmad.config.reading import parse_config
from mmad.data.samples import FailedVideo, Sample
from mmad.data.videos import TrainingVideos, WindowStream, choose_frames, make_grid
from mmad.data.windows import Window, sliding_windows
from mmad.engine.detection import read_data, records_of
from mmad.errors import ConfigError, VideoError
from support.synthetic_data import tiny_config


def test_a_published_window_loses_frames_and_ours_does_not() -> None:
    positions = np.arange(4000)
    settings = _settings(frame_stride=4, window_frames=768)
    frames, stride = choose_frames(positions, settings, path=Path("a.mp4"))
    assert stride == 4
    theirs = sliding_windows(len(frames), window_frames=768, overlap=0.25, keep_tail=False)
    assert [(frames[w.start], frames[w.stop - 1]) for w in theirs] == [(0, 3068)]
    ours = sliding_windows(len(frames), window_frames=768, overlap=0.25)
    assert frames[ours[-1].stop - 1] == 3996


def test_a_stride_as_long_as_the_video_is_an_error() -> None:
    settings, path = _settings(frame_stride=40), Path("a.mp4")
    assert choose_frames(np.arange(41), settings, path=path)[0].tolist() == [0, 40]
    assert choose_frames(np.arange(1), settings, path=path)[0].tolist() == [0]
    message = r"a\.mp4: data.frame_stride 40 would leave one of its 40 frames.* set it below 40"
    with pytest.raises(VideoError, match=message):
        choose_frames(np.arange(40), settings, path=path)


def _settings(**changes: object):  # type: ignore[no-untyped-def]
    return tiny_config(Path("nowhere"), **{f"data__{k}": v for k, v in changes.items()}).data


def test_the_grid_of_a_resized_video_spans_it() -> None:
    settings = _settings(sampling="whole", window_frames=768)
    frames, stride = choose_frames(np.arange(1000), settings, path=Path("a.mp4"))
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


@pytest.mark.slow
def test_augmentation_is_a_function_of_seed_epoch_and_index(videos: Path) -> None:
    config = tiny_config(videos)
    annotations, _ = read_data(config)
    records = records_of(config, annotations, ["train"])
    first, second = (
        TrainingVideos(records, config.data, backbone=config.backbone, upsampling=1, seed=0)
        for _ in range(2)
    )
    assert (first[3, 1].frames == second[3, 1].frames).all()
    assert (first[3, 1].colour == second[3, 1].colour).all()
    assert (first[3, 1].colour != first[4, 1].colour).any()


@pytest.mark.slow
def test_sliding_windows_show_every_frame_at_its_time(videos: Path) -> None:
    config = tiny_config(videos, data__window_frames=32)
    annotations, _ = read_data(config)
    record = records_of(config, annotations, ["val"])[0]
    samples = list(WindowStream([record], config.data, backbone=config.backbone, upsampling=1))
    (whole,) = WindowStream(
        [record],
        config.data.model_copy(update={"window_frames": 1600}),
        backbone=config.backbone,
        upsampling=1,
    )
    assert len(samples) > 1
    seen = np.zeros(len(whole.frames), dtype=bool)
    for sample in samples:
        start = round(sample.grid.offset_frames)
        assert (sample.frames == whole.frames[start : start + len(sample.frames)]).all()
        seen[start : start + len(sample.frames)] = True
    assert seen.all()


@pytest.mark.slow
def test_pad_to_window_pads_with_the_last_frame(videos: Path) -> None:
    config = tiny_config(videos, data__pad_to_window=True)
    annotations, _ = read_data(config)
    record = records_of(config, annotations, ["val"])[0]
    (sample,) = WindowStream([record], config.data, backbone=config.backbone, upsampling=1)
    assert len(sample.frames) == 64
    assert sample.num_valid_frames < 64
    assert (
        sample.frames[sample.num_valid_frames :] == sample.frames[sample.num_valid_frames - 1]
    ).all()
