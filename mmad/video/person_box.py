"""Where the person is in a video: from the boxes of a person detector, or from motion.

Boxes are (M, 4) arrays of left, top, right, bottom in pixels of the upright image, the origin at
its top left corner.

Source: human-centred crop of multi_auxiliary_heads_hybrid_loss (persons found in each frame, their
union, expanded slightly, widened to an aspect of at least 0.6) and its reference implementation.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mmad.errors import AnnotationError, VideoError, raise_problems
from mmad.packed import read_npz
from mmad.parsing import RepeatedKeyDict, json_value, parse_csv, read_text, reading
from mmad.video.find import ID_COLUMNS, SUFFIXES
from mmad.video.reader import VideoReader
from mmad.video.sampling import evenly_spread

EXPAND = 0.06
LEAST_ASPECT = 0.6

_SIDES = ("left", "top", "right", "bottom")

# Grey levels by which a moving pixel must differ from the background, whatever the noise:
# compression alone makes edges flicker by a few.
_LEAST_DIFFERENCE = 12.0
# ... and how many standard deviations of the noise.
_NOISE_FACTOR = 6.0
# In how many frames a pixel must move, and which share of the image must move as one piece.
_LEAST_FRAMES = 2
_LEAST_AREA = 0.001


@dataclass(frozen=True)
class PersonBox:
    """A region of an image, in pixels of the upright video."""

    left: float
    top: float
    width: float
    height: float

    def pixels(self, *, width: int, height: int) -> tuple[slice, slice]:
        """Rows and columns of the box in an image of this size, an even number of both.

        Columns are rounded outwards and rows inwards, so that the box gets no narrower.

        >>> PersonBox(10.5, 20.5, 30.0, 41.0).pixels(width=100, height=100)
        (slice(20, 60, None), slice(10, 42, None))
        """
        left, right = math.floor(self.left), math.ceil(self.left + self.width)
        columns = _even(left, right, limit=width, up=True)
        top, bottom = math.floor(self.top), math.floor(self.top + self.height)
        return _even(top, bottom, limit=height, up=False), columns


def _even(start: int, stop: int, *, limit: int, up: bool) -> slice:
    """An even number of pixels, at least 2, about ``start`` to ``stop`` within 0 to ``limit``."""
    length = max(2, (stop - start + up) // 2 * 2)
    length = min(length, limit // 2 * 2)
    start = max(0, min(start, limit - length))
    return slice(start, start + length)


def whole_image(width: int, height: int) -> PersonBox:
    """The box of the whole image.

    >>> whole_image(640, 360)
    PersonBox(left=0.0, top=0.0, width=640.0, height=360.0)
    """
    return PersonBox(0.0, 0.0, float(width), float(height))


def union_box(
    boxes: NDArray[np.float64],
    *,
    width: int,
    height: int,
    expand: float = EXPAND,
    least_aspect: float = LEAST_ASPECT,
) -> PersonBox:
    """The smallest box around all ``boxes``, expanded, within the image, and not too narrow.

    The union grows on each side by ``expand`` of its own width or height. If it then is narrower
    than ``least_aspect`` times its height, it is widened on both sides, and moved inwards where
    the image ends. If the image is not wide enough for that, the height is reduced at both
    ends. Without boxes it is the whole image, whatever the aspect of that.

    Args:
        boxes: Boxes (M, 4), left, top, right, bottom in pixels; they may reach beyond the image.
        width, height: Size of the image in pixels.
        expand: Share of the width and height of the union that is added on each side, at least 0.
        least_aspect: Minimum width / height, at least 0.

    Raises: VideoError if all boxes lie outside of the image, or a setting is negative.

    Source: the reference implementation of multi_auxiliary_heads_hybrid_loss.
    Differs: the reference moves left, top, right and bottom by 60, 100, 80 and 60 pixels in
    images of about 900 x 1080; here the expansion is relative, so it fits any size of image and
    person. The reference widens and then cuts at the edge of the image, so its boxes can still be
    narrower than 0.6; here the aspect holds for every box.

    >>> boxes = np.array([[40.0, 50, 60, 90], [50, 60, 80, 150]])
    >>> union_box(boxes, width=200, height=200, expand=0.1)  # 40 to 80 and 50 to 150, expanded
    PersonBox(left=24.0, top=40.0, width=72.0, height=120.0)
    """
    if expand < 0 or least_aspect < 0:
        raise VideoError(
            f"expand, least_aspect: expected 0 or more, found {expand} and {least_aspect}"
        )
    if len(boxes) == 0:
        return whole_image(width, height)
    left, top = boxes[:, :2].min(axis=0)
    right, bottom = boxes[:, 2:].max(axis=0)
    if left >= width or top >= height or right <= 0 or bottom <= 0:
        raise VideoError(
            f"boxes from ({left:g}, {top:g}) to ({right:g}, {bottom:g}) lie outside of the image "
            f"of {width} x {height} pixels; give pixels of the upright video at its full size"
        )
    grow_x, grow_y = expand * (right - left), expand * (bottom - top)
    left, right = max(0.0, left - grow_x), min(float(width), right + grow_x)
    top, bottom = max(0.0, top - grow_y), min(float(height), bottom + grow_y)
    box_width, box_height = right - left, bottom - top
    if box_width < least_aspect * box_height:
        wanted = min(float(width), least_aspect * box_height)
        left = min(max(0.0, (left + right - wanted) / 2), width - wanted)
        box_width = wanted
    if box_width < least_aspect * box_height:
        fitting = box_width / least_aspect
        top += (box_height - fitting) / 2
        box_height = fitting
    return PersonBox(float(left), float(top), float(box_width), float(box_height))


def motion_box(
    video_reader: VideoReader,
    *,
    expand: float = EXPAND,
    least_aspect: float = LEAST_ASPECT,
    num_background: int = 15,
) -> tuple[PersonBox, bool]:
    """The box of what moves in the video of a fixed camera, and whether anything moves.

    The background is the median of ``num_background`` frames spread over the video. What differs
    from it by more than noise, in pieces of at least 0.1 % of the image, is united over all
    frames and treated as by `union_box`. If nothing moves, it is the whole image.

    What never moves belongs to the background, even if it is a part of the person. A moving
    camera gives the whole image.

    Args:
        video_reader: Reader of the video; 240 pixels at the shorter side are enough. The box is in
            pixels of the full size, which its index states.
        expand: As in `union_box`.
        least_aspect: As in `union_box`.
        num_background: Number of frames of the median.

    Raises: VideoError if the video cannot be read or a setting is negative.
    """
    index = video_reader.index
    chosen = evenly_spread(index.num_frames, num_background)
    images = np.stack([_smooth_grey(frame) for frame in video_reader.stream(chosen.tolist())])
    background = np.median(images, axis=0).astype(np.float32)
    greys = (_smooth_grey(frame) for frame in video_reader.stream())
    region = moving_region(greys, background)
    boxes = np.zeros((0, 4))
    if region is not None:
        rows, columns = background.shape
        scale = np.array([index.width / columns, index.height / rows])
        boxes = (region * np.tile(scale, 2))[None]
    box = union_box(
        boxes, width=index.width, height=index.height, expand=expand, least_aspect=least_aspect
    )
    return box, region is not None


def moving_region(
    greys: Iterable[NDArray[np.float32]], background: NDArray[np.float32]
) -> NDArray[np.float64] | None:
    """Left, top, right, bottom of what differs from ``background``, or None if nothing does.

    Args:
        greys: Grey images (H, W), 0 to 255.
        background: Grey image (H, W), 0 to 255.
    """
    small = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    large = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))
    times_moved = np.zeros(background.shape, dtype=np.int32)
    for grey in greys:
        difference = grey - background
        # The brightness of the whole image may drift; a few pixels suffice to measure it.
        difference -= np.median(difference[::3, ::3])
        distance = np.abs(difference)
        # Most pixels are background, so the median of the distance measures the noise.
        noise = 1.4826 * float(np.median(distance[::3, ::3]))
        mask = (distance > max(_LEAST_DIFFERENCE, _NOISE_FACTOR * noise)).astype(np.uint8)
        mask = np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, small), dtype=np.uint8)
        times_moved += mask
    moved = (times_moved >= _LEAST_FRAMES).astype(np.uint8)
    moved = np.asarray(cv2.morphologyEx(moved, cv2.MORPH_CLOSE, large), dtype=np.uint8)
    _, _, pieces, _ = cv2.connectedComponentsWithStats(moved, connectivity=8)
    # Row 0 is the background.
    pieces = pieces[1:][pieces[1:, cv2.CC_STAT_AREA] >= _LEAST_AREA * background.size]
    if len(pieces) == 0:
        return None
    starts, sizes = pieces[:, :2], pieces[:, 2:4]
    return np.concatenate((starts.min(axis=0), (starts + sizes).max(axis=0))).astype(np.float64)


def _smooth_grey(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A grey image (H, W), 0 to 255, of an RGB one, with less noise."""
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(grey, (5, 5), 0), dtype=np.float32)


def read_boxes(path: str | Path) -> dict[str, NDArray[np.float64]]:
    """The boxes (M, 4) of each video in a file; left, top, right, bottom in pixels.

    - CSV with the columns ``video_id,left,top,right,bottom`` in any order; others, such as
      ``frame`` and ``score``, are ignored.
    - JSON: ``{video_id: [[left, top, right, bottom], ...]}``, or a list of objects with the keys
      of the CSV.
    - npz: an array (M, 4) for each video id.

    A video id may have the suffix of its file (``a.mp4`` is ``a``). A video with an empty list or
    array has no boxes: no person was detected in it.

    Raises: AnnotationError if the file is missing, empty or of another format, or listing all
    boxes that are not numbers, are empty, or look like shares of the image instead of pixels.
    """
    path = Path(path)
    readers = {".csv": _rows_of_csv, ".json": _rows_of_json, ".npz": _rows_of_npz}
    read = readers.get(path.suffix.lower())
    if read is None:
        raise AnnotationError(
            f"{path}: expected a file of boxes that ends with {', '.join(readers)}, found "
            f"{path.suffix or 'no suffix'!r}"
        )
    problems: list[str] = []
    boxes: dict[str, list[NDArray[np.float64]]] = {}
    for where, name, rows in read(path, problems):
        video_id = Path(name).stem if Path(name).suffix.lower() in SUFFIXES else name
        try:
            array = np.asarray(rows, dtype=np.float64)
            array = array if array.size else np.zeros((len(rows), 4 if len(rows) == 0 else 0))
        except (TypeError, ValueError, OverflowError):
            array = np.zeros(0)
        if array.shape[1:] != (4,):
            problems.append(
                f"{where}: expected left, top, right, bottom as numbers, found {rows!s:.60}"
            )
            continue
        problems += [f"{where}{problem}" for problem in _problems_of(array)]
        if not video_id:
            problems.append(f"{where}: the video id is missing")
        boxes.setdefault(video_id, []).append(array)
    raise_problems(AnnotationError, source=str(path), problems=problems)
    if not boxes:
        raise AnnotationError(f"{path}: contains no boxes")
    return {video_id: np.concatenate(arrays) for video_id, arrays in boxes.items()}


# The place in the file, the video id, and its boxes as the file has them.
_Rows = Iterator[tuple[str, str, Any]]


def _problems_of(boxes: NDArray[np.float64]) -> list[str]:
    """Problems of boxes (M, 4), one text for each bad one."""
    finite = np.asarray(np.isfinite(boxes).all(axis=1))
    empty = np.asarray(finite & (boxes[:, 2:] <= boxes[:, :2]).any(axis=1))
    share = np.asarray(finite & ~empty & (boxes[:, 2:] <= 1).all(axis=1))
    found = []
    for row in np.flatnonzero(~finite | empty | share):
        values = ", ".join(f"{value:g}" for value in boxes[row])
        which = f", box {row}" if len(boxes) > 1 else ""
        if not finite[row]:
            wanted = "expected four finite numbers"
        elif empty[row]:
            wanted = "expected left < right and top < bottom (not width and height)"
        else:
            wanted = "expected pixels, and these look like shares of the image"
        found.append(f"{which}: {wanted}, found {values}")
    return found


def _rows_of_csv(path: Path, problems: list[str]) -> _Rows:
    header, rows = parse_csv(path, read_text(path))
    id_column = next((name for name in ID_COLUMNS if name in header), ID_COLUMNS[0])
    missing = [name for name in (id_column, *_SIDES) if name not in header]
    if missing:
        raise AnnotationError(
            f"{path}: expected the columns video_id,left,top,right,bottom in the first line; "
            f"{', '.join(missing)} missing from {','.join(header)}"
        )
    whole = [(line, cells) for line, cells in rows if len(cells) == len(header)]
    problems += [
        f"line {line}: expected {len(header)} columns, found {len(cells)}"
        for line, cells in rows
        if len(cells) != len(header)
    ]
    if not whole:
        return
    column = header.index(id_column)
    places = [header.index(name) for name in _SIDES]
    values = [[cells[place] for place in places] for _, cells in whole]
    try:
        array = np.array(values, dtype=np.float64).reshape(-1, 4)
    except ValueError:
        array = np.full((1, 4), np.nan)
    if _problems_of(array):
        # One by one, so that each bad line is reported.
        for (line, cells), box in zip(whole, values, strict=True):
            yield f"line {line} (video {cells[column]})", cells[column], [box]
        return
    names = np.array([cells[column] for _, cells in whole], dtype=np.str_)
    order = np.argsort(names, kind="stable")
    unique, starts = np.unique(names[order], return_index=True)
    for name, boxes in zip(unique, np.split(array[order], starts[1:]), strict=True):
        yield f"video {name}", str(name), boxes


def _rows_of_json(path: Path, problems: list[str]) -> _Rows:
    content = json_value(path, read_text(path), pairs=RepeatedKeyDict)
    if isinstance(content, RepeatedKeyDict):
        problems += [f"video {name} appears twice" for name in content.repeated_keys]
        for name, boxes in content.items():
            if isinstance(boxes, list):
                yield f"video {name}", name, boxes
            else:
                problems.append(f"video {name}: expected a list of boxes, found {boxes!r:.40}")
    elif isinstance(content, list):
        for number, entry in enumerate(content):
            keys = set(entry) if isinstance(entry, dict) else set()
            if keys >= {"video_id", *_SIDES}:
                name = str(entry["video_id"])
                yield f"entry {number} (video {name})", name, [[entry[side] for side in _SIDES]]
            else:
                problems.append(
                    f"entry {number}: expected video_id, left, top, right, bottom; "
                    f"found {entry!r:.80}"
                )
    else:
        raise AnnotationError(f"{path}: expected an object or a list, found {content!r:.40}")


def _rows_of_npz(path: Path, problems: list[str]) -> _Rows:
    with reading(path, expected="an npz file with an array for each video"):
        arrays = read_npz(path, error=AnnotationError)
    for name, array in arrays.items():
        if array.ndim == 2 and array.shape[1] == 4 and array.dtype.kind in "iuf":
            yield f"video {name}", name, array
        else:
            problems.append(
                f"video {name}: expected numbers of shape (M, 4), found {array.dtype} of shape "
                f"{array.shape}"
            )
