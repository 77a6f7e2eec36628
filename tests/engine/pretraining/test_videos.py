"""Which videos a pre-training learns from."""

import shutil
from pathlib import Path

import pytest

from mmad.engine.pretraining.videos import FoundStretches, find_stretches
from mmad.errors import VideoError
from support.clips import write_clip
from support.pretraining import pretraining_config


def found_in(folders: list[Path], **changes: object) -> FoundStretches:
    config = pretraining_config(**changes)
    data = config.data.model_copy(update={"videos": [str(folder) for folder in folders]})
    return find_stretches(config.model_copy(update={"data": data}), quiet=True)


def test_each_file_counts_once_and_keeps_a_name_of_its_own(tmp_path: Path) -> None:
    first = write_clip(tmp_path / "x.mp4", num_frames=12)
    for name in ("a/x.mp4", "a/b/x.mp4", "b/x.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(first, tmp_path / name)
    found = found_in(
        [tmp_path / "a", tmp_path / "b", tmp_path / "a" / "b", tmp_path / "a"], data__val_share=0.4
    )
    stretches = [*found.training, *found.validation]
    assert len(stretches) == len({stretch.name for stretch in stretches}) == 3
    assert len({stretch.path for stretch in stretches}) == 3
    assert found.num_videos == 2


def test_videos_to_validate_on_are_not_trained_on(tmp_path: Path) -> None:
    first = write_clip(tmp_path / "x.mp4", num_frames=12)
    kept = tmp_path / "kept"
    kept.mkdir()
    shutil.copy(first, kept)
    found = found_in([tmp_path], data__val_videos=str(kept))
    assert [stretch.path for stretch in found.training] == [first]
    assert [stretch.path for stretch in found.validation] == [kept / "x.mp4"]
    with pytest.raises(VideoError, match=r"none is left to train on; name another folder"):
        found_in([kept], data__val_videos=str(kept))


def test_a_large_share_leaves_a_video_to_train_on(tmp_path: Path) -> None:
    shutil.copy(write_clip(tmp_path / "x.mp4", num_frames=12), tmp_path / "y.mp4")
    found = found_in([tmp_path], data__val_share=0.9)
    assert (len(found.training), len(found.validation)) == (1, 1)


def test_a_video_that_cannot_be_sampled_is_skipped(tmp_path: Path) -> None:
    write_clip(tmp_path / "x.mp4", num_frames=12)
    write_clip(tmp_path / "lapse.mp4", num_frames=12, times_ms=range(0, 43_200_000, 3_600_000))
    found = found_in([tmp_path], data__fps=30, data__val_share=0)
    assert [stretch.name for stretch in found.training] == ["x.mp4"]
    assert found.num_broken == 1
