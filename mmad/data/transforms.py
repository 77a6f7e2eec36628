"""Crop boxes, background subtraction and colour jitter, the same for all frames of a window.

Colour jitter is one affine map per window, which the model applies together with the
normalisation, on the GPU if there is one.

Frames are uint8 of shape (F, H, W, 3), RGB.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmad.config.backbones.family import ColourStatistics
from mmad.config.data import MultiScaleCrop
from mmad.video.sampling import evenly_spread

Frames = NDArray[np.uint8]

_GREY = np.array([0.299, 0.587, 0.114])
_TO_YIQ = np.array([_GREY, [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])


@dataclass(frozen=True)
class Box:
    """A region of an image in pixels."""

    top: int
    left: int
    height: int
    width: int


def centre_box(height: int, width: int, *, aspect: float = 1.0) -> Box:
    """The largest centre crop of an image with width / height = ``aspect``.

    >>> centre_box(160, 284)
    Box(top=0, left=62, height=160, width=160)
    >>> centre_box(160, 284, aspect=0.5)
    Box(top=0, left=102, height=160, width=80)
    """
    box_height = min(height, round(width / aspect))
    box_width = min(width, round(height * aspect))
    return Box((height - box_height) // 2, (width - box_width) // 2, box_height, box_width)


def random_box(
    height: int,
    width: int,
    *,
    area: tuple[float, float],
    aspect: tuple[float, float],
    shape: float = 1.0,
    rng: np.random.Generator,
) -> Box:
    """A box of random area (share of the image) and aspect at a random place.

    ``aspect`` is that of the box relative to ``shape``, the width / height of the result.
    Ten attempts to fit one, then the largest centre crop, as in mmaction2.
    """
    for _ in range(10):
        wanted = rng.uniform(*area) * height * width
        ratio = shape * math.exp(rng.uniform(math.log(aspect[0]), math.log(aspect[1])))
        box_width, box_height = round(math.sqrt(wanted * ratio)), round(math.sqrt(wanted / ratio))
        if 0 < box_width <= width and 0 < box_height <= height:
            top = int(rng.integers(0, height - box_height + 1))
            left = int(rng.integers(0, width - box_width + 1))
            return Box(top, left, box_height, box_width)
    return centre_box(height, width, aspect=shape)


# Where a fixed crop lies, (down, right) in quarters of what is free: corners and centre, then edges
# and the middles of the quarters.
CORNERS_AND_CENTRE = ((0, 0), (0, 4), (4, 0), (4, 4), (2, 2))
_THIRTEEN = (*CORNERS_AND_CENTRE, (2, 0), (2, 4), (4, 2), (0, 2), (1, 1), (1, 3), (3, 1), (3, 3))


def multi_scale_box(
    height: int,
    width: int,
    *,
    settings: MultiScaleCrop,
    hw: tuple[int, int],
    rng: np.random.Generator,
) -> Box:
    """A box of one of a few sizes at one of a few places, as in mmaction2.

    Sides that differ from those of the result, ``hw``, by less than 3 pixels are made equal.
    """
    short = min(height, width)
    sides = [max(int(short * scale), 1) for scale in settings.scales]
    sizes = [
        (high, wide)
        for i, high in enumerate(sides)
        for j, wide in enumerate(sides)
        if abs(i - j) <= settings.max_gap
    ]
    box_height, box_width = (
        wanted if abs(side - wanted) < 3 and wanted <= short else side
        for side, wanted in zip(sizes[rng.integers(len(sizes))], hw, strict=True)
    )
    if settings.places == "random":
        top = int(rng.integers(height - box_height + 1))
        left = int(rng.integers(width - box_width + 1))
        return Box(top, left, box_height, box_width)
    places = CORNERS_AND_CENTRE if settings.places == "five" else _THIRTEEN
    down, right = places[rng.integers(len(places))]
    top, left = (height - box_height) // 4 * down, (width - box_width) // 4 * right
    return Box(top, left, box_height, box_width)


def subtract_background(
    frames: Frames, *, num_frames: int = 15, background_of: Frames | None = None
) -> Frames:
    """``frames`` minus their median, plus 128: grey where nothing moves; uint8, same shape.

    Differences beyond 127 are clipped. The median is over ``num_frames`` frames of the window, or
    of ``background_of`` if that is given: frames that are further apart.
    """
    seen = frames if background_of is None else background_of
    offset = 128 - _median(seen[evenly_spread(len(seen), num_frames)]).astype(np.int16)
    # Clipped before the offset is added, all in bytes: several times faster than in wider integers.
    result = np.maximum(frames, np.maximum(-offset, 0).astype(np.uint8))
    np.minimum(result, (255 - np.maximum(offset, 0)).astype(np.uint8), out=result)
    result += offset.astype(np.uint8)
    return result


def _median(frames: Frames) -> Frames:
    """The median of each value of a few images, rounded down: (H, W, 3).

    The larger half is taken out one by one, by comparisons of whole images, ten times as fast as
    sorting the values of each pixel.
    """
    left = list(frames)
    largest: list[Frames] = []
    while len(largest) <= len(frames) // 2:
        highest = left.pop()
        for place, image in enumerate(left):
            left[place] = np.minimum(highest, image)
            highest = np.maximum(highest, image)
        largest.append(highest)
    if len(frames) % 2:
        return largest[-1]
    return ((largest[-1].astype(np.uint16) + largest[-2]) // 2).astype(np.uint8)


def colour_map(
    frames: Frames,
    statistics: ColourStatistics,
    *,
    brightness: float = 0.0,
    contrast: float = 0.0,
    saturation: float = 0.0,
    hue: float = 0.0,
    rng: np.random.Generator | None = None,
) -> NDArray[np.float32]:
    """Affine map (3, 4) from raw to normalised colour: random jitter, then mean and standard
    deviation.

    ``statistics`` are those that the network expects. The others are the largest relative changes
    (hue: in turns); without ``rng`` nothing is jittered. The grey level that contrast is relative
    to is measured on a few frames of the window.
    """
    matrix, offset = np.eye(3), np.zeros(3)
    if rng is not None:

        def factor(limit: float) -> float:
            return float(rng.uniform(max(0.0, 1 - limit), 1 + limit))

        bright, stretch, vivid = factor(brightness), factor(contrast), factor(saturation)
        angle = 2 * math.pi * rng.uniform(-hue, hue)
        turn = np.eye(3)
        turn[1:, 1:] = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
        rotate = np.linalg.inv(_TO_YIQ) @ turn @ _TO_YIQ
        saturate = vivid * np.eye(3) + (1 - vivid) * np.tile(_GREY, (3, 1))
        few = frames[:: max(1, len(frames) // 4), ::4, ::4].reshape(-1, 3)
        grey = float(few.mean(axis=0) @ _GREY) * bright
        matrix = rotate @ saturate @ (bright * stretch * np.eye(3))
        offset = np.full(3, (1 - stretch) * grey)
    mean, std = np.array(statistics.mean), np.array(statistics.std)
    scaled = np.concatenate((matrix, (offset - mean)[:, None]), axis=1) / std[:, None]
    return scaled.astype(np.float32)
