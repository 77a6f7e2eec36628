"""Frames that a caller gives: checked, in RGB, each with its time."""

import math
from collections.abc import Iterable, Iterator
from numbers import Real
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mmad.errors import VideoError
from mmad.video.reader import Frame

Colours = Literal["rgb", "bgr"]
_CLOCKS = "pass fps=FRAMES PER SECOND, or times=SECONDS with one time a frame"


def given_frames(
    frames: Any,
    *,
    fps: float | None = None,
    times: Iterable[float] | None = None,
    colours: Colours = "rgb",
    name: str = "frames",
) -> Iterator[tuple[float, Frame]]:
    """Time in seconds and image, RGB uint8 (H, W, 3), of each frame; an image may share memory with
    what was given.

    Args:
        frames: Array or tensor (T, H, W, 3), or anything that gives images (H, W, 3) one after
            another, or pairs (seconds, image).
        fps: Their constant rate; the first is at 0.
        times: Their times in seconds, ascending; they need not begin at 0.
        colours: Order of the channels: "bgr" is that of OpenCV. Nothing can tell it from the images
            themselves.
        name: What messages call the frames.

    Raises: VideoError if there is neither ``fps`` nor a time for each frame, or both; a time is not
        above the one before it; or an image is not uint8, of another shape, or of another size than
        the first.
    """
    if colours not in ("rgb", "bgr"):
        raise VideoError(f"{name}: colours: expected 'rgb' or 'bgr', found {colours!r}")
    if fps is not None and times is not None:
        raise VideoError(f"{name}: found fps and times; pass one of them")
    if fps is not None and not 0 < fps <= 1000:
        raise VideoError(f"{name}: fps: expected a number above 0, up to 1000; found {fps}")
    return _checked(_items(frames, name), fps=fps, times=times, colours=colours, name=name)


def whole_array(frames: Any, *, name: str) -> Frame | None:
    """An array or tensor of frames as uint8 (T, H, W, 3), without a copy if it can be; None for
    anything else.

    Raises: VideoError if it is not uint8 or has another shape.
    """
    if not hasattr(frames, "__array__") and not hasattr(frames, "detach"):
        return None
    array = _as_array(frames)
    if array.ndim != 4 or array.shape[-1] != 3:
        hint = "images (H, W, 3) one behind another"
        if array.ndim == 4 and array.shape[1] == 3:
            hint = "the channels last, such as tensor.permute(0, 2, 3, 1)"
        raise VideoError(
            f"{name}: expected an array (T, H, W, 3), found {array.shape}; give {hint}"
        )
    _require_bytes(array, name)
    return array


def _items(frames: Any, name: str) -> Iterator[Any]:
    array = whole_array(frames, name=name)
    try:
        return iter(frames if array is None else array)
    except TypeError:
        raise VideoError(
            f"{name}: expected an array (T, H, W, 3) or an iterable of images (H, W, 3), found "
            f"{type(frames).__name__}"
        ) from None


def _checked(
    items: Iterator[Any],
    *,
    fps: float | None,
    times: Iterable[float] | None,
    colours: Colours,
    name: str,
) -> Iterator[tuple[float, Frame]]:
    stamps = None if times is None else iter(times)
    size: tuple[int, ...] | None = None
    before: float | None = None
    for position, item in enumerate(items):
        stamp, image = _split(item)
        if stamp is not None and (fps is not None or stamps is not None):
            raise VideoError(
                f"{name}: frame {position} has a time of its own; pass no fps or times"
            )
        if fps is not None:
            stamp = position / fps
        elif stamps is not None:
            stamp = next(stamps, None)
            if stamp is None:
                raise VideoError(f"{name}: has more frames than times ({position}); {_CLOCKS}")
        if stamp is None:
            raise VideoError(f"{name}: nothing says when each frame was taken; {_CLOCKS}")
        seconds = _later(stamp, before, position, name)
        image = as_image(image, position=position, colours=colours, name=name)
        if size is not None and image.shape != size:
            raise VideoError(
                f"{name}: frame {position} is {_size(image.shape)}, but those before it are "
                f"{_size(size)}; resize them to one size"
            )
        size, before = image.shape, seconds
        yield seconds, image
    if stamps is not None and next(stamps, None) is not None:
        count = 0 if size is None else position + 1
        raise VideoError(f"{name}: has more times than frames ({count}); give one for each frame")


def as_image(image: Any, *, position: int, colours: Colours, name: str) -> Frame:
    """One image as RGB uint8 (H, W, 3).

    Raises: VideoError if it has another shape or type.
    """
    array = _as_array(image)
    if array.ndim != 3 or array.shape[-1] != 3 or not array.size:
        raise VideoError(
            f"{name}: frame {position}: expected an image (H, W, 3), found shape {array.shape}"
        )
    _require_bytes(array, f"{name}: frame {position}")
    return array[..., ::-1] if colours == "bgr" else array


def _as_array(values: Any) -> NDArray[Any]:
    """A tensor or anything that NumPy understands, without importing torch."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    return np.asarray(values)


def _require_bytes(array: NDArray[Any], name: str) -> None:
    if array.dtype != np.uint8:
        hint = "(frames * 255).round().astype('uint8') if they are 0 to 1"
        raise VideoError(
            f"{name}: expected uint8 from 0 to 255, found {array.dtype}; convert with {hint}"
        )


def _split(item: Any) -> tuple[float | None, Any]:
    """Time and image of a pair (seconds, image); otherwise None and the image."""
    if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], Real):
        return float(item[0]), item[1]
    return None, item


def _later(stamp: ArrayLike, before: float | None, position: int, name: str) -> float:
    """The time of a frame in seconds, which is to be above the one before."""
    try:
        seconds = float(stamp)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        seconds = math.nan
    if not math.isfinite(seconds):
        raise VideoError(f"{name}: frame {position}: expected its time in seconds, found {stamp!r}")
    if before is not None and seconds <= before:
        raise VideoError(
            f"{name}: frame {position} is at {seconds:.3f} s, not after the one before it "
            f"({before:.3f} s); sort the frames by time, or pass their constant rate as fps"
        )
    return seconds


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"
