"""Which frames and boxes of a clip are shown, and how often which clip."""

from pathlib import Path

import numpy as np
import pytest

from mmad.data.clips import EvaluationClips, TrainingClips
from mmad.data.samples import FailedVideo, Sample
from mmad.engine.recognition import read_clips
from mmad.errors import VideoError
from mmad.labels import MA52
from mmad.structures import ClipRecord
from support.clips import write_clip
from support.synthetic_data import tiny_clip_config


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
    config = tiny_clip_config(videos, data__val_clips=3)
    clips = read_clips(config, "val", labels=MA52)
    three = EvaluationClips(clips, config.data.views("val"), backbone=config.backbone)[0]
    assert isinstance(three, Sample)
    assert three.frames.shape == (48, 32, 32, 3)
    assert three.video_id == clips[0].clip_id


def test_all_crops_of_a_view_then_those_of_the_next(videos: Path) -> None:
    changes = {"data__resize": "crop", "data__short_side": 48, "data__test_clips": 2}
    config = tiny_clip_config(videos, data__test_crops="three", **changes)
    clips = read_clips(config, "val", labels=MA52)
    alone = tiny_clip_config(videos, data__least_aspect=1.0, **changes)
    many, one = (
        EvaluationClips(clips, c.data.views("test"), backbone=c.backbone)[0]
        for c in (config, alone)
    )
    assert isinstance(many, Sample)
    assert isinstance(one, Sample)
    by_view = many.frames.reshape(2, 3, 16, 32, 32, 3)
    # These videos are square: three crops lie side by side at half height.
    assert (by_view[:, 1] == one.frames.reshape(2, 16, 32, 32, 3)).all()
    assert (by_view[:, 0, :, :, 8:] == by_view[:, 1, :, :, :-8]).all()  # (48 - 32) // 2
    assert many.num_valid_frames == 2 * 3 * 16


@pytest.mark.slow
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
    failed = EvaluationClips([broken], config.data.views("val"), backbone=config.backbone)[0]
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
        found = EvaluationClips([record], config.data.views("val"), backbone=config.backbone)[0]
        assert isinstance(found, kind)
    assert isinstance(found, Sample)
    assert found.read is not None
    assert found.read.num_missing == 60 - found.read.num_frames
