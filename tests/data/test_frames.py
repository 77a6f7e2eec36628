from pathlib import Path

import numpy as np
import pytest
import torch

from mmad.config.data import Augmentation, FrameSettings
from mmad.data.frames import FrameCache, FrameSource
from mmad.data.videos import unvaried
from mmad.engine.training import train_run
from support.clips import write_clip
from support.synthetic_data import tiny_clip_config, tiny_config


@pytest.mark.parametrize(
    ("image_size", "decoded"),
    [
        (32, (32, 107)),  # 48 x 160 by 32 / 48
        ([32, 64], (32, 107)),  # by 32 / 48, which is more than 64 / 160
        ([32, 128], (38, 128)),  # by 128 / 160
        ([96, 32], (96, 320)),  # by 96 / 48
    ],
)
def test_a_frame_is_decoded_as_small_as_the_image_allows(
    image_size: object, decoded: tuple[int, int], tmp_path: Path
) -> None:
    path = write_clip(tmp_path / "v.mp4", num_frames=4)
    settings = FrameSettings(image_size=image_size, augmentation=None)
    source = FrameSource(settings, training=False, cache=FrameCache(budget_gb=0))
    frames = source.read(path, np.arange(4), slice(None))
    assert frames.shape[1:3] == pytest.approx(decoded, abs=2)
    change = unvaried(frames, settings)
    # Nothing is stretched: the box that is cut out has the shape of the image.
    height, width = settings.image_hw
    assert change.box.width / change.box.height == pytest.approx(width / height, rel=0.05)
    assert change(torch.from_numpy(frames)).shape == (4, height, width, 3)


def test_a_margin_for_random_crops_grows_both_sides() -> None:
    settings = FrameSettings(image_size=[160, 320], augmentation=Augmentation())
    assert settings.decoded_hw(training=True) == (182, 364)  # OpenTAD decodes 182 for 160
    assert settings.decoded_hw(training=False) == (160, 320)


@pytest.mark.slow
@pytest.mark.parametrize("resize", ["crop", "squash"])
def test_images_need_not_be_square(resize: str, videos: Path, tmp_path: Path) -> None:
    changes = {"data__image_size": [32, 64], "data__resize": resize, "training__epochs": 1}
    for number, make in enumerate((tiny_config, tiny_clip_config)):
        folder = train_run(make(videos, **changes), out=tmp_path / str(number), quiet=True)
        losses = [row["loss"] for row in folder.rows() if row["kind"] == "step"]
        assert np.isfinite(losses).all()
