"""A preview image: videos with their crops beside them."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from mmad.errors import VideoError
from mmad.files import write_bytes
from mmad.video.crop import Crop
from mmad.video.open import open_video
from mmad.video.reader import Frame
from mmad.video.sampling import evenly_spread

MAX_VIDEOS = 12

# Pixels of the sheet.
_HEIGHT = 200
_WIDEST = 400
_TITLE = 22
_GAP = 12

_PAPER = 245
_INK = (30, 30, 30)
_WARNING = (190, 30, 30)
_BOX = (255, 210, 0)


def chosen_for_sheet(videos: Sequence[Path]) -> list[Path]:
    """At most `MAX_VIDEOS` of ``videos``, evenly spread.

    >>> [path.name for path in chosen_for_sheet([Path(str(n)) for n in range(23)])][:4]
    ['0', '2', '4', '6']
    """
    return [videos[place] for place in evenly_spread(len(videos), MAX_VIDEOS)]


def draw_sheet(crops: Mapping[Path, Crop]) -> Frame:
    """A sheet, uint8 RGB (H, W, 3): the middle frame of each video with the box, and the crop.

    Raises: VideoError if a video cannot be read or there is none.
    """
    if not crops:
        raise VideoError("preview: there is no video to show")
    cells = [_cell(video, crop) for video, crop in crops.items()]
    num_columns = min(3, math.ceil(math.sqrt(len(cells))))
    cells += [np.full_like(cells[0][:, :1], _PAPER)] * (-len(cells) % num_columns)
    columns = []
    for first in range(num_columns):
        column = cells[first::num_columns]
        width = max(cell.shape[1] for cell in column)
        columns.append(np.concatenate([_padded(cell, width=width) for cell in column], axis=0))
    sheet = np.concatenate(columns, axis=1)
    return np.pad(sheet, ((_GAP, 0), (_GAP, 0), (0, 0)), constant_values=_PAPER)


def write_sheet(path: Path, sheet: Frame) -> None:
    """Write ``sheet`` as a PNG or JPEG; an old file stays until the new one is complete.

    Raises: VideoError if the suffix is another one, OutputError if it cannot be written.
    """
    check_sheet_path(path)
    _, encoded = cv2.imencode(path.suffix.lower(), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
    write_bytes(path, encoded.tobytes())


def check_sheet_path(path: Path) -> None:
    """Raise `VideoError` unless ``path`` has the suffix of an image."""
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise VideoError(f"{path}: expected an image that ends with .png or .jpg")


def _cell(video: Path, crop: Crop) -> Frame:
    """One cell: a title, and below it the image with the box and the crop."""
    with open_video(video) as reader:
        image = reader.read([reader.index.num_frames // 2])[0]
    part = _fitted(image[crop.rows, crop.columns])
    shown = _fitted(image)
    scale = shown.shape[1] / image.shape[1], shown.shape[0] / image.shape[0]
    corner = round(crop.columns.start * scale[0]), round(crop.rows.start * scale[1])
    opposite = round(crop.columns.stop * scale[0]) - 1, round(crop.rows.stop * scale[1]) - 1
    # Dark below bright, so that it is visible on any background.
    cv2.rectangle(shown, corner, opposite, _INK, 3)
    cv2.rectangle(shown, corner, opposite, _BOX, 1)
    between = np.full((_HEIGHT, 4, 3), _PAPER, dtype=np.uint8)
    images = np.concatenate((_tall(shown), between, _tall(part)), axis=1)
    title = np.full((_TITLE, images.shape[1], 3), _PAPER, dtype=np.uint8)
    full = f"{image.shape[1]}x{image.shape[0]}"
    size = f"{full} to {crop.width}x{crop.height}" if crop.is_found else f"{full}, nothing found"
    colour = _INK if crop.is_found else _WARNING
    name = video.stem if video.stem.isascii() else ascii(video.stem)[1:-1]
    room = max(4, images.shape[1] // 8 - len(size) - 2)
    name = name if len(name) <= room else f"{name[: room - 2]}.."
    cv2.putText(
        title, f"{name}  {size}", (0, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, 1, cv2.LINE_AA
    )
    cell = np.concatenate((title, images), axis=0)
    return np.pad(cell, ((0, _GAP), (0, _GAP), (0, 0)), constant_values=_PAPER)


def _fitted(image: Frame) -> Frame:
    """``image`` resized to fill a cell, keeping its aspect."""
    height, width = image.shape[:2]
    scale = min(_HEIGHT / height, _WIDEST / width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.array(cv2.resize(image, size, interpolation=how), dtype=np.uint8)


def _tall(image: Frame) -> Frame:
    below = _HEIGHT - image.shape[0]
    return np.pad(image, ((0, below), (0, 0), (0, 0)), constant_values=_PAPER)


def _padded(cell: Frame, *, width: int) -> Frame:
    return np.pad(cell, ((0, 0), (0, width - cell.shape[1]), (0, 0)), constant_values=_PAPER)
