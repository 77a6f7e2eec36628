"""Changes of pictures: geometry against OpenCV, operations against Pillow, alike everywhere."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from synthetic_data import make_videos, tiny_config

from mmad.annotations.attach import attach_videos
from mmad.config.data import Augmentation
from mmad.data.clip_transform import Change, draw_change
from mmad.data.randaugment import OPERATIONS, Operation
from mmad.data.samples import UncutBatch, pack
from mmad.data.transforms import Box
from mmad.data.videos import TrainingVideos
from mmad.engine.detection import read_data

LEVEL = 0.9


def pictures(num: int = 3, height: int = 40, width: int = 48) -> np.ndarray:
    """Smooth colour ramps with some noise: no picture uses every grey level."""
    rng = np.random.default_rng(5)
    ramp = np.linspace(20, 210, height * width).reshape(height, width, 1)
    frames = ramp[None] * rng.uniform(0.4, 1.0, (num, 1, 1, 3)) + rng.uniform(0, 25, (num, 1, 1, 3))
    return (frames + rng.uniform(-8, 8, (num, height, width, 3))).clip(0, 255).astype(np.uint8)


def apply(frames: np.ndarray, name: str, **values: object) -> np.ndarray:
    operation = Operation(name, LEVEL, **values)  # type: ignore[arg-type]
    result = OPERATIONS[name](torch.from_numpy(frames).permute(0, 3, 1, 2), operation)
    assert result.dtype == torch.uint8
    return result.permute(0, 2, 3, 1).numpy()


def difference(ours: np.ndarray, theirs: list) -> int:
    return int(np.abs(ours.astype(int) - np.stack([np.asarray(one) for one in theirs])).max())


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
    frames = pictures()
    theirs = [PILLOW[name](Image.fromarray(frame)) for frame in frames]
    assert difference(apply(frames, name), theirs) <= 1


@pytest.mark.parametrize("name", ["autocontrast", "equalize"])
def test_a_picture_of_one_colour_stays(name: str) -> None:
    frames = np.full((2, 8, 8, 3), 77, np.uint8)
    assert (apply(frames, name) == 77).all()


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("name", ["shear_x", "shear_y", "translate_x", "translate_y", "rotate"])
def test_geometric_operations_move_pixels_as_far_as_published(name: str, sign: int) -> None:
    frames = cv2.GaussianBlur(pictures(1, 60, 60)[0], (5, 5), 0)[None]
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


def test_cut_and_flip() -> None:
    frames = np.arange(2 * 4 * 6 * 3, dtype=np.uint8).reshape(2, 4, 6, 3)
    box = Box(0, 1, 4, 4)
    tensor = torch.from_numpy(frames)
    assert (Change(box, (4, 4))(tensor).numpy() == frames[:, :, 1:5]).all()
    assert (Change(box, (4, 4), flip=True)(tensor).numpy() == frames[:, :, 4:0:-1]).all()
    assert Change(box, (2, 2))(tensor).shape == (2, 2, 2, 3)


@pytest.mark.parametrize("box", [Box(3, 5, 30, 24), Box(0, 0, 12, 15)])
def test_unsmoothed_resizing_is_that_of_opencv(box: Box) -> None:
    frames = pictures()
    ours = Change(box, (20, 20), smooth=False)(torch.from_numpy(frames)).numpy()
    part = frames[:, box.top : box.top + box.height, box.left : box.left + box.width]
    theirs = [cv2.resize(np.ascontiguousarray(frame), (20, 20)) for frame in part]
    assert difference(ours, theirs) <= 1


def test_every_frame_of_a_window_is_changed_alike() -> None:
    frame = pictures(1)
    augmentation = Augmentation(operations=4)
    for index in range(20):
        rng = np.random.default_rng(index)
        change = draw_change(augmentation, 40, 48, hw=(32, 32), smooth=True, seed=0, rng=rng)
        assert len(change.operations) == 4
        out = change(torch.from_numpy(np.repeat(frame, 3, axis=0)))
        assert (out == out[:1]).all()


def test_signs_are_drawn_for_each_window_or_once() -> None:
    def signs(fixed: bool) -> set[int]:
        augmentation = Augmentation(operations=15, fixed_signs=fixed)
        found = set()
        for index in range(20):
            rng = np.random.default_rng(index)
            change = draw_change(augmentation, 40, 48, hw=(32, 32), smooth=True, seed=3, rng=rng)
            found.add(next(o.sign for o in change.operations if o.name == "rotate"))
        return found

    assert signs(fixed=False) == {1, -1}
    assert len(signs(fixed=True)) == 1


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_videos(tmp_path_factory.mktemp("videos"))


def test_the_device_computes_what_the_loader_does(videos: Path) -> None:
    samples = {}
    for where in ("loader", "device"):
        config = tiny_config(videos, data__augment_on=where, data__augmentation={"operations": 3})
        records = attach_videos(read_data(config)[0].records, config.data.videos)
        dataset = TrainingVideos(
            records, config.data, backbone=config.backbone, upsampling=1, seed=0
        )
        samples[where] = [dataset[(0, 0)], dataset[(0, 1)]]
    done, later = (pack(samples[where], clip_frames=16) for where in ("loader", "device"))
    assert isinstance(later, UncutBatch)
    assert later.clips.numel() == 0
    moved = later.to(torch.device("cpu"))
    assert (moved.clips == done.clips).all()
    assert moved.clips_per_window == done.clips_per_window
    assert (moved.colours == done.colours).all()
