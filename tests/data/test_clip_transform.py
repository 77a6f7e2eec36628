"""Changes of all frames of a clip: geometry against OpenCV, alike everywhere."""

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from mmad.annotations.attach import attach_videos
from mmad.config.data import Augmentation
from mmad.data.clip_transform import Change, draw_change
from mmad.data.samples import UncutBatch, pack
from mmad.data.transforms import Box
from mmad.data.videos import TrainingVideos
from mmad.engine.detection import read_data
from mmad.video.flow import flow_image
from support.images import difference, images
from support.synthetic_data import tiny_config


def test_cut_and_flip() -> None:
    frames = np.arange(2 * 4 * 6 * 3, dtype=np.uint8).reshape(2, 4, 6, 3)
    box = Box(0, 1, 4, 4)
    tensor = torch.from_numpy(frames)
    assert (Change(box, (4, 4))(tensor).numpy() == frames[:, :, 1:5]).all()
    assert (Change(box, (4, 4), flip=True)(tensor).numpy() == frames[:, :, 4:0:-1]).all()
    assert Change(box, (2, 2))(tensor).shape == (2, 2, 2, 3)


def test_mirrored_flow_shows_the_other_direction() -> None:
    """But for a step of OpenCV's hue, two degrees of the 60 in which a colour rises to 255."""
    flow = np.random.default_rng(0).normal(size=(20, 30, 2)).astype(np.float32)
    change = Change(Box(0, 0, 20, 30), (20, 30), flip=True, motion="colours")
    found = change(torch.from_numpy(flow_image(flow, max_pixels=2)[None]))[0].numpy()
    expected = flow_image(flow[:, ::-1] * np.float32([-1, 1]), max_pixels=2)
    assert np.abs(found.astype(int) - expected).max() <= math.ceil(255 * 2 / 60) + 1


@pytest.mark.parametrize("box", [Box(3, 5, 30, 24), Box(0, 0, 12, 15)])
def test_unsmoothed_resizing_is_that_of_opencv(box: Box) -> None:
    frames = images()
    ours = Change(box, (20, 20), smooth=False)(torch.from_numpy(frames)).numpy()
    part = frames[:, box.top : box.top + box.height, box.left : box.left + box.width]
    theirs = [cv2.resize(np.ascontiguousarray(frame), (20, 20)) for frame in part]
    assert difference(ours, theirs) <= 1


def test_every_frame_of_a_window_is_changed_alike() -> None:
    frame = images(1)
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


def test_a_grey_box_lies_over_all_frames() -> None:
    frames = torch.zeros(3, 8, 8, 3, dtype=torch.uint8)
    out = Change(Box(0, 0, 8, 8), (8, 8), erase=Box(1, 2, 3, 4))(frames)
    assert (out == 128).sum() == 3 * 3 * 3 * 4
    assert (out[:, 1:4, 2:6] == 128).all()
    assert (frames == 0).all()
