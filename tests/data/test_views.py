"""Crops of the images of views in evaluation."""

import numpy as np
import pytest
from pydantic import ValidationError

from mmad.config.recognition import ClipDataSettings
from mmad.data.clip_transform import Change
from mmad.data.transforms import Box
from mmad.data.views import evaluation_box, evaluation_crops


def test_the_crop_at_test_is_at_most_373_high() -> None:
    assert evaluation_box(455, 256, hw=(224, 224), least_aspect=0.6) == Box(41, 16, 373, 224)
    assert evaluation_box(256, 341, hw=(224, 224), least_aspect=0.6) == Box(0, 58, 256, 224)


def data(**changes: object) -> ClipDataSettings:
    return ClipDataSettings(train=["x"], clips="y", **changes)


def boxes(changes: list[Change]) -> list[tuple[int, int, bool]]:
    return [(change.box.left, change.box.top, change.flip) for change in changes]


def test_three_crops_lie_along_the_longer_side() -> None:
    views = data(test_crops="three", test_short_side=256, test_image_size=256).views("test")
    wide = evaluation_crops(np.zeros((1, 256, 341, 3), np.uint8), views)
    step = (341 - 256) // 2  # as in mmaction2, so that one column is in no crop
    assert boxes(wide) == [(0, 0, False), (step, 0, False), (2 * step, 0, False)]
    assert all(change.hw == (256, 256) for change in wide)
    high = evaluation_crops(np.zeros((1, 455, 256, 3), np.uint8), views)
    step = (455 - 256) // 2
    assert boxes(high) == [(0, 0, False), (0, step, False), (0, 2 * step, False)]
    assert (views.num_crops, len(views), views.middle) == (3, 9, 3 + 1)


def test_ten_crops_are_corners_and_centre_and_mirrored() -> None:
    views = data(test_crops="ten", test_clips=1).views("test")
    found = boxes(evaluation_crops(np.zeros((1, 256, 341, 3), np.uint8), views))
    x, y = (341 - 224) // 4, (256 - 224) // 4
    places = [(0, 0), (4 * x, 0), (0, 4 * y), (4 * x, 4 * y), (2 * x, 2 * y)]
    assert found == [(*place, flip) for flip in (False, True) for place in places]
    assert (len(views), views.middle) == (10, 4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frame_interval": 2}, r"2 is that of dense views.*set data\.sampling=dense"),
        (
            {"sampling": "segments", "view_places": "middles", "test_clips": 3},
            r"test_clips 3: segments have two views in the middles.*data\.view_places=ends",
        ),
        ({"test_crops": "three", "resize": "squash"}, r"test_crops three needs data\.resize=crop"),
        (
            {"val_crops": "ten", "short_side": 200},
            r"val_crops ten: crops of 224x224 pixels are larger than images of short side 200; "
            r"set a larger data\.short_side",
        ),
        (
            {"test_crops": "three", "test_image_size": 288, "test_short_side": 256},
            r"crops of 288x288 .*short side 256; set a larger data\.test_short_side",
        ),
    ],
)
def test_views_that_make_no_sense_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        data(**changes)
