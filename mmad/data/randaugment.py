"""RandAugment on all frames of a window at once.

The operations are those that mmaction2 configures imgaug with for AdaTAD; imgaug's enhancements
are Pillow's, and so are these. Input and output are uint8 of shape (F, 3, H, W) on any device.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Operation:
    """One operation, drawn once for all frames of a window.

    Attributes:
        name: Key of `OPERATIONS`.
        level: Strength, 0 to 1; OpenTAD uses 0.9.
        sign: 1 or -1, for operations with a direction.
        place: (x, y) as shares of the image, for operations at a place.
    """

    name: str
    level: float
    sign: int = 1
    place: tuple[float, float] = (0.5, 0.5)


def _warp(frames: Tensor, rows: tuple[tuple[float, ...], tuple[float, ...]]) -> Tensor:
    """Pixels sampled where ``rows`` map them, in pixels from the centre; black outside."""
    height, width = frames.shape[-2:]
    (a, b, x), (c, d, y) = rows
    theta = torch.tensor(
        [[a, b * height / width, 2 * x / width], [c * width / height, d, 2 * y / height]],
        device=frames.device,
    )
    grid = functional.affine_grid(theta[None], [1, 1, height, width], align_corners=False)
    warped = functional.grid_sample(
        frames.float(), grid.expand(len(frames), -1, -1, -1), align_corners=False
    )
    return warped.round_().to(torch.uint8)


def _shear_x(frames: Tensor, operation: Operation) -> Tensor:
    slope = math.tan(math.radians(17.19 * operation.level)) * operation.sign
    return _warp(frames, ((1, slope, 0), (0, 1, 0)))


def _shear_y(frames: Tensor, operation: Operation) -> Tensor:
    slope = math.tan(math.radians(17.19 * operation.level)) * operation.sign
    return _warp(frames, ((1, 0, 0), (slope, 1, 0)))


def _translate_x(frames: Tensor, operation: Operation) -> Tensor:
    shift = 0.2 * operation.level * operation.sign * frames.shape[-1]
    return _warp(frames, ((1, 0, -shift), (0, 1, 0)))


def _translate_y(frames: Tensor, operation: Operation) -> Tensor:
    shift = 0.2 * operation.level * operation.sign * frames.shape[-2]
    return _warp(frames, ((1, 0, 0), (0, 1, -shift)))


def _rotate(frames: Tensor, operation: Operation) -> Tensor:
    angle = math.radians(30 * operation.level) * operation.sign
    cos, sin = math.cos(angle), math.sin(angle)
    return _warp(frames, ((cos, sin, 0), (-sin, cos, 0)))


def _posterize(frames: Tensor, operation: Operation) -> Tensor:
    bits = max(1, int(4 * operation.level))
    return frames & (256 - (1 << (8 - bits)))


def _solarize(frames: Tensor, operation: Operation) -> Tensor:
    return torch.where(frames >= 256 * operation.level, 255 - frames, frames)


def _grey(frames: Tensor) -> Tensor:
    """Luma as Pillow computes it, shape (F, 1, H, W)."""
    red, green, blue = frames.int().unbind(1)
    return ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16)[:, None]


def _away_from(poor: Tensor | float, frames: Tensor, operation: Operation) -> Tensor:
    """Extrapolation from a degraded image through ``frames``, as Pillow's enhancements do."""
    factor = 1.8 * operation.level + 0.1
    return (poor + factor * (frames.float() - poor)).clamp_(0, 255).to(torch.uint8)


def _color(frames: Tensor, operation: Operation) -> Tensor:
    return _away_from(_grey(frames).float(), frames, operation)


def _contrast(frames: Tensor, operation: Operation) -> Tensor:
    mean = _grey(frames).double().mean(dim=(1, 2, 3), keepdim=True)
    return _away_from((mean + 0.5).floor().float(), frames, operation)


def _brightness(frames: Tensor, operation: Operation) -> Tensor:
    return _away_from(0.0, frames, operation)


def _sharpness(frames: Tensor, operation: Operation) -> Tensor:
    kernel = torch.ones(3, 1, 3, 3, device=frames.device)
    kernel[:, :, 1, 1] = 5
    smooth = frames.float()
    inner = functional.conv2d(smooth, kernel / 13, groups=3)
    smooth[..., 1:-1, 1:-1] = (inner + 0.5).floor()
    return _away_from(smooth, frames, operation)


def _autocontrast(frames: Tensor, operation: Operation) -> Tensor:
    low = frames.amin(dim=(2, 3), keepdim=True).float()
    high = frames.amax(dim=(2, 3), keepdim=True).float()
    # 0.01 guards exact whole numbers against the rounding of the division.
    stretched = ((frames - low) * 255 / (high - low).clamp(min=1) + 0.01).floor()
    return torch.where(high > low, stretched, frames.float()).clamp_(0, 255).to(torch.uint8)


def _equalize(frames: Tensor, operation: Operation) -> Tensor:
    num = frames.shape[0] * frames.shape[1]
    values = frames.long().reshape(num, -1)
    offsets = 256 * torch.arange(num, device=frames.device)[:, None]
    counts = (values + offsets).reshape(-1).bincount(minlength=256 * num).reshape(num, 256)
    levels = torch.arange(256, device=frames.device)
    highest = values.amax(dim=1, keepdim=True)
    step = (values.shape[1] - counts.gather(1, highest)) // 255
    below = counts.cumsum(dim=1) - counts
    table = ((step // 2 + below) // step.clamp(min=1)).clamp(max=255)
    table = torch.where(step > 0, table, levels)
    return table.gather(1, values).reshape(frames.shape).to(torch.uint8)


def _invert(frames: Tensor, operation: Operation) -> Tensor:
    return 255 - frames


def _cutout(frames: Tensor, operation: Operation) -> Tensor:
    height, width = frames.shape[-2:]
    side = 0.2 * operation.level * min(height, width)
    left = round(operation.place[0] * width - side / 2)
    top = round(operation.place[1] * height - side / 2)
    result = frames.clone()
    rows = slice(max(0, top), max(0, top + round(side)))
    columns = slice(max(0, left), max(0, left + round(side)))
    result[..., rows, columns] = 128
    return result


# In the order of application when several are drawn.
OPERATIONS: dict[str, Callable[[Tensor, Operation], Tensor]] = {
    "shear_x": _shear_x,
    "shear_y": _shear_y,
    "translate_x": _translate_x,
    "translate_y": _translate_y,
    "rotate": _rotate,
    "posterize": _posterize,
    "solarize": _solarize,
    "color": _color,
    "contrast": _contrast,
    "brightness": _brightness,
    "sharpness": _sharpness,
    "autocontrast": _autocontrast,
    "equalize": _equalize,
    "invert": _invert,
    "cutout": _cutout,
}
