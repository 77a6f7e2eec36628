"""Which frames and boxes of a clip are shown, and how often which clip."""

from pathlib import Path

import numpy as np
import pytest

from mmad.data.clips import (
    EvaluationClips,
    TrainingClips,
    evaluation_box,
    evaluation_frames,
    training_frames,
)
from mmad.data.samples import FailedVideo, Sample
from mmad.data.transforms import Box
from mmad.engine.recognition import read_clips
from mmad.errors import VideoError
from mmad.labels import MA52
from mmad.structures import ClipRecord
from support.clips import write_clip
from support.synthetic_data import tiny_clip_config


@pytest.mark.parametrize("num_frames", [1, 9, 16, 17, 45, 300])
def test_training_frames_are_one_of_each_part(num_frames: int) -> None:
    part = (num_frames - 1) / 16
    seen = [set() for _ in range(16)]
    for seed in range(300):
        frames = training_frames(num_frames, count=16, rng=np.random.default_rng(seed))
        for place, frame in enumerate(frames.tolist()):
            assert round(part * place) <= frame <= round(part * (place + 1))
            seen[place].add(frame)
    if num_frames <= 45:  # both ends of each part are drawn
        assert all(
            len(s) == round(part * (i + 1)) - round(part * i) + 1 for i, s in enumerate(seen)
        )


@pytest.mark.parametrize("num_views", [1, 2, 3])
def test_test_frames_as_specified(num_views: int) -> None:
    for num_frames in (1, 10, 16, 33, 45, 451):
        part = (num_frames - 1) / 16
        expected = [
            [round(part * i) + int(part / (num_views + 1) * (k + 1)) for i in range(16)]
            for k in range(num_views)
        ]
        found = evaluation_frames(num_frames, count=16, num_views=num_views)
        assert found.tolist() == expected
        assert found.max() < num_frames


def test_the_crop_at_test_is_at_most_373_high() -> None:
    assert evaluation_box(455, 256, hw=(224, 224), least_aspect=0.6) == Box(41, 16, 373, 224)
    assert evaluation_box(256, 341, hw=(224, 224), least_aspect=0.6) == Box(0, 58, 256, 224)


def dataset(videos: Path, **changes: object) -> TrainingClips:
    config = tiny_clip_config(videos, **changes)
    return TrainingClips(
        read_clips(config, "train", labels=MA52), config.data, backbone=config.backbone, seed=0
    )


def test_a_clip_is_the_same_for_the_same_seed(videos: Path) -> None:
    first, second = (dataset(videos)[(2, 3)] for _ in range(2))
    assert isinstance(first, Sample)
    assert isinstance(second, Sample)
    assert (first.frames == second.frames).all()
    assert first.frames.shape == (16, 32, 32, 3)
    other = dataset(videos)[(3, 3)]
    assert isinstance(other, Sample)
    assert (first.frames != other.frames).any()
    assert len(first.annotations) == 1
    assert first.grid.num_steps == 8


def test_views_of_a_clip_lie_one_behind_the_other(videos: Path) -> None:
    config = tiny_clip_config(videos)
    clips = read_clips(config, "val", labels=MA52)
    three = EvaluationClips(clips, config.data, backbone=config.backbone, num_views=3)[0]
    assert isinstance(three, Sample)
    assert three.frames.shape == (48, 32, 32, 3)
    assert three.video_id == clips[0].clip_id


def test_rare_classes_are_repeated_and_drawn_more_often(videos: Path) -> None:
    plain, repeated = dataset(videos), dataset(videos, data__repeat_below=100)
    counts = np.bincount([r.label for r in plain.records], minlength=52)
    expected = sum(n * (int(np.log2(100 // n)) + 1) for n in counts.tolist() if n)
    assert (len(plain), len(repeated)) == (24, expected)
    balanced = dataset(videos, data__balance_exponent=0.0)
    drawn = []
    for index in range(300):
        sample = balanced[(0, index % 24)] if index < 24 else balanced[(index, index % 24)]
        assert isinstance(sample, Sample)
        drawn.append(int(sample.annotations.labels[0]))
    shares = np.bincount(drawn, minlength=52)[counts > 0] / 300
    assert shares.max() < 2.5 / (counts > 0).sum()


def test_a_clip_that_cannot_be_read_is_told(videos: Path, tmp_path: Path) -> None:
    config = tiny_clip_config(videos)
    clip = read_clips(config, "val", labels=MA52)[0]
    (tmp_path / clip.clip_id).write_bytes(b"no video")
    broken = type(clip)(clip.clip_id, clip.label, "val", tmp_path / clip.clip_id)
    failed = EvaluationClips([broken], config.data, backbone=config.backbone, num_views=1)[0]
    assert isinstance(failed, FailedVideo)
    assert clip.clip_id in failed.message


def test_missing_clips_are_all_named(videos: Path, tmp_path: Path) -> None:
    config = tiny_clip_config(videos, data__clips=str(tmp_path))
    with pytest.raises(VideoError, match=r"24 problems"):
        read_clips(config, "train", labels=MA52)
    config = tiny_clip_config(videos, data__clips=str(tmp_path / "nowhere"))
    with pytest.raises(VideoError, match="no such folder of clips"):
        read_clips(config, "train", labels=MA52)


def test_a_truncated_clip_fails_or_is_told(videos: Path, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", num_frames=60, faststart=True)
    content = clip.read_bytes()
    clip.write_bytes(content[: len(content) // 2])
    record = ClipRecord("a.mp4", None, "test", clip)
    for share, kind in ((0.1, FailedVideo), (1.0, Sample)):
        config = tiny_clip_config(videos, data__max_missing=share)
        found = EvaluationClips([record], config.data, backbone=config.backbone, num_views=1)[0]
        assert isinstance(found, kind)
    assert isinstance(found, Sample)
    assert found.read is not None
    assert found.read.num_missing == 60 - found.read.num_frames
