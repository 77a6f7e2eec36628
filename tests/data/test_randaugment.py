"""Operations on images against Pillow and OpenCV."""

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from mmad.data.randaugment import OPERATIONS, Operation
from support.images import difference, images

LEVEL = 0.9


def apply(frames: np.ndarray, name: str, **values: object) -> np.ndarray:
    operation = Operation(name, LEVEL, **values)  # type: ignore[arg-type]
    result = OPERATIONS[name](torch.from_numpy(frames).permute(0, 3, 1, 2), operation)
    assert result.dtype == torch.uint8
    return result.permute(0, 2, 3, 1).numpy()


FACTOR = 1.8 * LEVEL + 0.1
PILLOW = {
    "posterize": lambda image: ImageOps.posterize(image, 3),
    "solarize": lambda image: ImageOps.solarize(image, 256 * LEVEL),
    "color": lambda image: ImageEnhance.Color(image).enhance(FACTOR),
    "contrast": lambda image: ImageEnhance.Contrast(image).enhance(FACTOR),
    "brightness": lambda image: ImageEnhance.Brightness(image).enhance(FACTOR),
    "sharpness": lambda image: ImageEnhance.Sharpness(image).enhance(FACTOR),
    "autocontrast": ImageOps.autocontrast,
    "equalize": ImageOps.equalize,
    "invert": ImageOps.invert,
}


@pytest.mark.parametrize("name", PILLOW)
def test_colour_operations_are_those_of_pillow(name: str) -> None:
    frames = images()
    theirs = [PILLOW[name](Image.fromarray(frame)) for frame in frames]
    assert difference(apply(frames, name), theirs) <= 1


@pytest.mark.parametrize("name", ["autocontrast", "equalize"])
def test_a_image_of_one_colour_stays(name: str) -> None:
    frames = np.full((2, 8, 8, 3), 77, np.uint8)
    assert (apply(frames, name) == 77).all()


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("name", ["shear_x", "shear_y", "translate_x", "translate_y", "rotate"])
def test_geometric_operations_move_pixels_as_far_as_published(name: str, sign: int) -> None:
    frames = cv2.GaussianBlur(images(1, 60, 60)[0], (5, 5), 0)[None]
    slope = np.tan(np.radians(17.19 * LEVEL)) * sign
    turn, shift = np.radians(30 * LEVEL) * sign, 0.2 * LEVEL * 60 * sign
    linear = {
        "shear_x": [[1, -slope], [0, 1]],
        "shear_y": [[1, 0], [-slope, 1]],
        "rotate": [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]],
    }.get(name, np.eye(2))
    moved = {"translate_x": [shift, 0], "translate_y": [0, shift]}.get(name, [0, 0])
    centre = np.array([29.5, 29.5])
    forward = np.column_stack((linear, centre - linear @ centre + moved))
    theirs = cv2.warpAffine(frames[0], forward, (60, 60), flags=cv2.INTER_LINEAR)
    found = apply(frames, name, sign=sign)
    # Interpolation of OpenCV is in steps of 1/32 of a pixel.
    assert np.abs(found[0].astype(int) - theirs).mean() < 1.0
    assert np.abs(frames[0].astype(int) - theirs).mean() > 5.0


def test_cutout_is_a_grey_square_where_it_is_told() -> None:
    frames = np.zeros((2, 50, 100, 3), np.uint8)
    cut = apply(frames, "cutout", place=(0.5, 0.5))
    assert ((cut == 128).sum(axis=(1, 2, 3)) == 3 * 9 * 9).all()  # 0.2 x 0.9 of 50 pixels
    corner = apply(frames, "cutout", place=(0.0, 0.0))
    assert 0 < (corner[0] == 128).sum() < 3 * 9 * 9
