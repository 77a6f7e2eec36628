"""Crops of the images of views, in evaluation.

They are those of Li et al. (ACM MM 2024) and their mmaction2 configs.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from mmad.config.views import Views, ViewSettings
from mmad.data.clip_transform import Change
from mmad.data.transforms import CORNERS_AND_CENTRE, Box


def evaluation_box(height: int, width: int, *, hw: tuple[int, int], least_aspect: float) -> Box:
    """A centre crop, at most as wide as ``hw`` and 1 / ``least_aspect`` times as high.

    >>> evaluation_box(455, 256, hw=(224, 224), least_aspect=0.6)
    Box(top=41, left=16, height=373, width=224)
    """
    box_height, box_width = min(height, int(hw[0] / least_aspect)), min(width, hw[1])
    return Box((height - box_height) // 2, (width - box_width) // 2, box_height, box_width)


def evaluation_crops(images: NDArray[np.uint8], views: Views) -> list[Change]:
    """The crops of every view, as in mmaction2.

    Three lie along the longer side, at its start, middle and end; ten are the corners and the
    centre, then the same mirrored.
    """
    if views.crops == "centre":
        return [whole(images, views.settings)]
    (height, width), hw = images.shape[1:3], views.hw
    # Crops are moved by whole steps of a half or a quarter of what is free.
    steps = 2 if views.crops == "three" else 4
    down, right = (height - hw[0]) // steps, (width - hw[1]) // steps
    places: Sequence[tuple[int, int]] = CORNERS_AND_CENTRE
    if views.crops == "three":
        places = [(0, 1), (1, 1), (2, 1)] if height > width else [(1, 0), (1, 1), (1, 2)]
    boxes = [Box(down * y, right * x, *hw) for y, x in places]
    flips = (False, True) if views.crops == "ten" else (False,)
    return [Change(box, hw, flip=flip) for flip in flips for box in boxes]


def whole(images: NDArray[np.uint8], settings: ViewSettings) -> Change:
    """The transform of images without augmentation."""
    height, width = images.shape[1:3]
    box = Box(0, 0, height, width)
    if settings.resize == "crop":
        box = evaluation_box(
            height, width, hw=settings.image_hw, least_aspect=settings.least_aspect
        )
    return Change(box, settings.image_hw, smooth=settings.resizing == "decoder")


def cut_views(
    images: NDArray[np.uint8], crops: Sequence[Change], *, images_per_view: int
) -> NDArray[np.uint8]:
    """All crops of the first view, then all of the next.

    Args:
        images: Images of the views, one view after the other.
        crops: Crops of each.
        images_per_view: Number of images of a view.
    """
    frames = torch.from_numpy(images)
    cropped = [crop(frames).unflatten(0, (-1, images_per_view)) for crop in crops]
    return torch.stack(cropped, dim=1).flatten(0, 2).numpy()
