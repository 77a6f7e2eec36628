"""Augmentation and resizing of the images of a window.

A change is drawn once for all frames and applied to them as one batch, in a worker or on the GPU.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from mmad.config.backbones.family import ColourStatistics
from mmad.config.data import Augmentation, ImageSettings
from mmad.data.randaugment import OPERATIONS, Operation
from mmad.data.transforms import Box, Frames, colour_map, multi_scale_box, random_box


@dataclass(frozen=True)
class Change:
    """A transform of images: crop, resize, flip, random operations, erasing.

    Attributes:
        box: Region that is kept.
        hw: Height and width of the result in pixels.
        flip: Whether to mirror it left to right.
        smooth: Antialias if the box is larger than the result; else plain bilinear, as OpenCV.
        operations: Random operations, applied in this order.
        erase: Box of the result that is made grey, last of all.
        motion: Images are optical flow of this code, whose direction is inverted where they are
            mirrored; None: they are not.
    """

    box: Box
    hw: tuple[int, int]
    flip: bool = False
    smooth: bool = True
    operations: tuple[Operation, ...] = ()
    erase: Box | None = None
    motion: Literal["colours", "xy"] | None = None

    def __call__(self, frames_FHWC: Tensor) -> Tensor:
        """The transformed frames, uint8 of shape (F, *hw, 3), on the same device."""
        box = self.box
        part = frames_FHWC[:, box.top : box.top + box.height, box.left : box.left + box.width]
        if self.flip:
            part = part.flip(2)  # a copy
            if self.motion == "xy":
                part[..., 0] = 255 - part[..., 0]
            elif self.motion == "colours":
                part = mirrored_directions(part)
        part_FCHW = part.permute(0, 3, 1, 2)
        if part_FCHW.shape[-2:] != self.hw:
            part_FCHW = _resize(part_FCHW, self.hw, smooth=self.smooth)
        for operation in self.operations:
            part_FCHW = OPERATIONS[operation.name](part_FCHW, operation)
        changed = part_FCHW.permute(0, 2, 3, 1).contiguous()
        if (grey := self.erase) is not None:
            changed = changed.clone() if changed.data_ptr() == frames_FHWC.data_ptr() else changed
            changed[:, grey.top : grey.top + grey.height, grey.left : grey.left + grey.width] = 128
        return changed


def mirrored_directions(frames: Tensor) -> Tensor:
    """Flow as colours with left and right exchanged: hue h becomes 180 degrees - h.

    Green and blue change places, which makes h 360 degrees - h, then each colour its complement
    between the largest and the smallest of the three.

    >>> red, yellow_green, violet = [200, 0, 0], [100, 200, 0], [100, 0, 200]
    >>> mirrored_directions(torch.tensor([red, yellow_green, violet])).tolist()
    [[0, 200, 200], [100, 200, 0], [100, 0, 200]]
    """
    ends = frames.amin(-1, keepdim=True) + frames.amax(-1, keepdim=True)
    return ends - frames[..., [0, 2, 1]]


def _resize(frames_FCHW: Tensor, hw: tuple[int, int], *, smooth: bool) -> Tensor:
    # torch has a fast path for bytes on the CPU, but not on a GPU.
    on_gpu = frames_FCHW.device.type != "cpu"
    resized = functional.interpolate(
        frames_FCHW.float() if on_gpu else frames_FCHW,
        size=hw,
        mode="bilinear",
        antialias=smooth,
    )
    return resized.round_().clamp_(0, 255).to(torch.uint8) if on_gpu else resized


def draw_look(
    images: Frames,
    settings: ImageSettings,
    unvaried: Change,
    *,
    statistics: ColourStatistics,
    seed: int,
    rng: Generator,
) -> tuple[Change, NDArray[np.float32]]:
    """The transform and the colour map of a training window, drawn according to the settings.

    Args:
        images: Images of the window.
        settings: Image settings.
        unvaried: The transform without augmentation.
        statistics: Colour statistics that the network expects.
        seed: Random seed of the run.
        rng: Generator for this window.
    """
    augmentation = settings.augmentation
    if augmentation is None:
        return unvaried, colour_map(images, statistics)
    change = draw_change(
        augmentation,
        *images.shape[1:3],
        hw=settings.image_hw,
        smooth=settings.resizing == "decoder",
        seed=seed,
        rng=rng,
    )
    colour = colour_map(
        images,
        statistics,
        brightness=augmentation.brightness,
        contrast=augmentation.contrast,
        saturation=augmentation.saturation,
        hue=augmentation.hue,
        rng=rng,
    )
    return change, colour


def draw_change(
    augmentation: Augmentation,
    height: int,
    width: int,
    *,
    hw: tuple[int, int],
    smooth: bool,
    seed: int,
    rng: Generator,
) -> Change:
    """A random transform of images of (height, width).

    Args:
        augmentation: Augmentation settings.
        height, width: Size of the images in pixels.
        hw, smooth: As in `Change`.
        seed: Random seed of the run, for the signs that are drawn once per run.
        rng: Generator for this window.
    """
    if augmentation.multi_scale_crop is not None:
        box = multi_scale_box(height, width, settings=augmentation.multi_scale_crop, hw=hw, rng=rng)
    else:
        box = random_box(
            height,
            width,
            area=augmentation.crop_area,
            aspect=augmentation.crop_aspect,
            shape=hw[1] / hw[0],
            rng=rng,
        )
    flip = bool(rng.random() < augmentation.flip)
    operations: list[Operation] = []
    if augmentation.operations:
        names = list(OPERATIONS)
        chosen = np.sort(rng.permutation(len(names))[: augmentation.operations])
        signs = np.random.default_rng(seed) if augmentation.fixed_signs else rng
        drawn_signs = signs.choice([-1, 1], size=len(names))
        operations = [
            Operation(
                names[index],
                augmentation.magnitude,
                sign=int(drawn_signs[index]),
                place=(float(rng.random()), float(rng.random())),
            )
            for index in chosen
        ]
    erase = None
    if augmentation.erase and rng.random() < augmentation.erase:
        erase = random_box(
            *hw, area=augmentation.erase_area, aspect=augmentation.erase_aspect, rng=rng
        )
    return Change(box, hw, flip=flip, smooth=smooth, operations=tuple(operations), erase=erase)
