"""Optical flow of videos as images, in one of two codes.

"colours": the hue is the direction, the brightness the speed. Source: optical flow of
multi_auxiliary_heads_hybrid_loss (grey frames, Farneback's method, an image of magnitude and
direction), with the parameters of its reference implementation.

"xy": red is the displacement to the right, green that downwards. Source: TSN (arXiv 1608.00859),
whose code bounds both to 20 pixels and stores them as grey images.
"""

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mmad.errors import VideoError, raise_problems
from mmad.video.copies import (
    FLOW_MANIFEST,
    CopySummary,
    FinishedCopy,
    check_copies,
    copy_path,
    copy_size,
    make_copies,
    read_manifest,
    write_frames,
)
from mmad.video.index import index_video
from mmad.video.open import open_video
from mmad.video.reader import Frame
from mmad.video.reading import describe_reading
from mmad.video.writer import check_encoding
from mmad.workers import LocalWorkers

CODES = ("colours", "xy")
SCALES = ("fixed", "per-frame")

# pyr_scale, levels, winsize, iterations, poly_n, poly_sigma, flags of the reference implementation.
_FARNEBACK = (0.5, 3, 15, 3, 5, 1.2, 0)

# Default speed of full brightness per frame, as a share of the shorter side.
_MOST_SHARE = 0.025
# Largest displacement in the code "xy" by default, as in TSN's code.
_MOST_PIXELS = 20.0
# Values of "xy" are numbers; this keeps them to about a seventh of a level on average.
_CRF_OF_NUMBERS = 12
_STILL = 128
# What is measured of the colours of each video.
_MEASURED = ("mean", "mean_square")


@dataclass(frozen=True)
class FlowSettings:
    """What decides the content of a flow video coded as colours, besides its source.

    Attributes:
        scale: Scale of the brightness, "fixed" or "per-frame".
        max_pixels: Speed of full brightness in pixels per frame, with the scale "fixed"; None is
            2.5 % of the shorter side.
        short_side: Pixels of the shorter side; None keeps the size.
        crf: Quality of x264; lower is better.
        gop_frames: Maximum number of frames between keyframes.
    """

    scale: str = "fixed"
    max_pixels: float | None = None
    short_side: int | None = None
    crf: int = 18
    gop_frames: int = 16


@dataclass(frozen=True)
class DisplacementSettings:
    """What decides the content of a flow video coded as displacements, besides its source.

    Attributes:
        max_pixels: Largest displacement in pixels per frame; larger ones are cut.
        short_side: Pixels of the shorter side; None keeps the size.
        crf: Quality of x264; lower is better.
        gop_frames: Maximum number of frames between keyframes.
        code: "xy".
    """

    max_pixels: float = _MOST_PIXELS
    short_side: int | None = None
    crf: int = _CRF_OF_NUMBERS
    gop_frames: int = 16
    code: str = "xy"


class _Moments:
    """Mean and mean square of the colours of images, which pass through."""

    def __init__(self) -> None:
        self._sums = np.zeros((2, 3))
        self._num_images = 0

    def of(self, images: Iterable[Frame]) -> Iterator[Frame]:
        """The same images."""
        for image in images:
            values = image.reshape(-1, 3).astype(np.float32)
            self._sums += values.mean(axis=0), (values**2).mean(axis=0)
            self._num_images += 1
            yield image

    def found(self) -> dict[str, list[float]]:
        """Of red, green and blue, on a scale of 0 to 255."""
        mean, square = (self._sums / max(self._num_images, 1)).round(3).tolist()
        return dict(zip(_MEASURED, (mean, square), strict=True))


def flow_between(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Flow (H, W, 2) from one grey image (H, W) to the next: right and down, in pixels.

    Source: Farneback's method with the parameters of the reference implementation of
    multi_auxiliary_heads_hybrid_loss.
    """
    start = np.zeros((*before.shape, 2), dtype=np.float32)
    return np.asarray(
        cv2.calcOpticalFlowFarneback(before, after, start, *_FARNEBACK), dtype=np.float32
    )


def flow_image(
    flow: NDArray[np.float32], *, scale: str = "fixed", max_pixels: float = 4.0
) -> Frame:
    """``flow`` (H, W, 2) as an RGB image, uint8 (H, W, 3).

    In terms of HSV, the hue is the direction (red right, then clockwise: yellow-green down, cyan
    left, violet up), the saturation is full, and the value is the speed.

    Args:
        flow: Flow in pixels to the right and down.
        scale: "fixed": value = min(speed / max_pixels, 1). "per-frame": the slowest pixel of the
            image is black and the fastest is bright, as in the reference implementation.
        max_pixels: Speed of full brightness, with the scale "fixed".

    Differs: the reference implementation has only the scale per frame, which makes the noise of
    frames without motion as bright as motion; the default here is the fixed one.

    >>> right = np.full((1, 1, 2), (2, 0), dtype=np.float32)
    >>> flow_image(right, max_pixels=4).tolist()  # half as bright as red can be
    [[[127, 0, 0]]]
    """
    speed, degrees = cv2.cartToPolar(flow[..., 0], flow[..., 1], angleInDegrees=True)
    hsv = np.full((*flow.shape[:2], 3), 255, dtype=np.uint8)
    # OpenCV's hue of 8 bits counts steps of two degrees.
    hsv[..., 0] = (np.asarray(degrees) / 2).astype(np.uint8) % 180
    if scale == "fixed":
        hsv[..., 2] = (np.minimum(np.asarray(speed) / max_pixels, 1) * 255).astype(np.uint8)
    else:
        low, high = float(np.min(speed)), float(np.max(speed))
        spread = high - low
        value = (np.asarray(speed) - low) * (255 / spread) if spread > 0 else np.zeros_like(speed)
        hsv[..., 2] = np.clip(value, 0, 255).astype(np.uint8)
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), dtype=np.uint8)


def displacement_image(flow: NDArray[np.float32], *, max_pixels: float = _MOST_PIXELS) -> Frame:
    """``flow`` (H, W, 2) as an image, uint8 (H, W, 3): x is red, y is green, and blue is 128.

    From -``max_pixels`` to ``max_pixels`` they are 0 to 255, larger ones are cut, and no motion is
    128; as in TSN's code.

    >>> displacement_image(np.float32([[[0, -20], [10, 99]]])).tolist()
    [[[128, 0, 128], [191, 255, 128]]]
    """
    image = np.full((*flow.shape[:2], 3), _STILL, dtype=np.uint8)
    levels = np.rint((flow + max_pixels) * (255 / (2 * max_pixels)))
    image[..., :2] = np.clip(levels, 0, 255).astype(np.uint8)
    return image


def flow_frames(
    frames: Iterable[Frame],
    *,
    code: str = "colours",
    scale: str = "fixed",
    max_pixels: float | None = None,
) -> Iterator[Frame]:
    """A flow image for each frame, one at a time: the motion from it to the next frame.

    The last image is repeated, so that frame and flow of the same number belong together. A
    single frame has an image without motion.

    Args:
        frames: Frames, uint8 RGB (H, W, 3).
        code: One of `CODES`.
        scale: As in `flow_image`, for "colours".
        max_pixels: As in `flow_image`, where None is 2.5 % of the shorter side, or as in
            `displacement_image`, where None is 20.

    Differs: the reference implementations have one image fewer than the video has frames.
    """
    before: NDArray[np.uint8] | None = None
    image: Frame | None = None
    for frame in frames:
        grey = np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
        if before is None:
            image = np.full_like(frame, _STILL if code == "xy" else 0)
        elif code == "xy":
            flow = flow_between(before, grey)
            image = displacement_image(flow, max_pixels=max_pixels or _MOST_PIXELS)
            yield image
        else:
            most = max_pixels or default_max_pixels(*grey.shape)
            image = flow_image(flow_between(before, grey), scale=scale, max_pixels=most)
            yield image
        before = grey
    if image is not None:
        yield image


def default_max_pixels(height: int, width: int) -> float:
    """The speed of full brightness in pixels per frame, for images of this size.

    >>> default_max_pixels(160, 284)
    4.0
    """
    return _MOST_SHARE * min(height, width)


def flow_videos(
    videos: Sequence[Path],
    out: Path,
    *,
    code: str = "colours",
    scale: str = "fixed",
    max_pixels: float | None = None,
    short_side: int | None = None,
    num_workers: int = 1,
    crf: int | None = None,
    gop_frames: int = 16,
    on_done: Callable[[Path], object] | None = None,
) -> CopySummary:
    """Write the optical flow of each video as ``out / (stem + ".mp4")``; return what was done.

    A flow video has as many frames as its source, at the same times. A video that fails is
    reported and does not stop the others. Calling again makes what is missing; ``out /
    "flow.json"`` records how each was made.

    Args:
        videos: Video files.
        out: Folder of the flow videos.
        code: One of `CODES`.
        scale: "fixed" or "per-frame"; see `flow_image`.
        max_pixels: Speed of full brightness in pixels per frame, with the scale "fixed"; None is
            2.5 % of the shorter side. In the code "xy" the largest displacement; None is 20.
        short_side: Pixels of the shorter side at which the flow is computed; None is the size of
            the source.
        num_workers: Number of worker processes.
        crf: Quality of x264; lower is better; None is 18, and 12 in the code "xy".
        gop_frames: Maximum number of frames between keyframes.
        on_done: Called with each source once it is done.

    Raises: VideoError if two videos would give the same copy, a setting is impossible, or ``out``
    holds flow of other settings or copies of another command.
    """
    settings: FlowSettings | DisplacementSettings
    if code == "xy":
        settings = DisplacementSettings(
            max_pixels or _MOST_PIXELS,
            short_side,
            _CRF_OF_NUMBERS if crf is None else crf,
            gop_frames,
        )
    else:
        settings = FlowSettings(
            scale, max_pixels, short_side, 18 if crf is None else crf, gop_frames
        )
    problems = check_encoding(short_side=short_side, crf=settings.crf, gop_frames=gop_frames)
    if code not in CODES:
        problems.append(f"code: expected {' or '.join(CODES)}, found {code!r}")
    if scale not in SCALES:
        problems.append(f"scale: expected {' or '.join(SCALES)}, found {scale!r}")
    elif code == "xy" and scale != "fixed":
        problems.append(f"scale {scale} is for the code colours; leave it out")
    if max_pixels is not None and not 0 < max_pixels < float("inf"):
        problems.append(f"max_pixels: expected more than 0, found {max_pixels}")
    elif max_pixels is not None and scale == "per-frame":
        problems.append("max_pixels: the scale per-frame does not use it; leave it out")
    problems += check_copies(videos, out, manifest_file=FLOW_MANIFEST)
    problems += _other_settings(out, settings)
    raise_problems(VideoError, source="flow", problems=problems)
    return make_copies(
        dict.fromkeys(videos, settings),
        out,
        flow_video,
        manifest_file=FLOW_MANIFEST,
        workers=LocalWorkers(num_workers),
        on_done=on_done,
    )


def flow_video(
    video: Path, copy: Path, settings: FlowSettings | DisplacementSettings
) -> FinishedCopy:
    """The flow video of one video.

    Raises: VideoError or OSError if the video cannot be read or the copy cannot be written.
    """
    if multiprocessing.parent_process() is not None:
        # Workers already share the cores among themselves.
        cv2.setNumThreads(1)
    index = index_video(video)
    height, width, notices = copy_size(
        index.width, index.height, short_side=settings.short_side, name=str(video)
    )
    max_pixels = settings.max_pixels or default_max_pixels(height, width)
    is_coloured = isinstance(settings, FlowSettings)
    scale = settings.scale if isinstance(settings, FlowSettings) else "fixed"
    code = "colours" if is_coloured else "xy"
    moments = _Moments()
    with open_video(video, size=(height, width), threads=1) as reader:
        frames = flow_frames(reader.stream(), code=code, scale=scale, max_pixels=max_pixels)
        write_frames(
            moments.of(frames) if is_coloured else frames,
            copy,
            index,
            crf=settings.crf,
            gop_frames=settings.gop_frames,
            codec="libx264" if is_coloured else "libx264rgb",
        )
        notices += describe_reading(reader.index, damaged=reader.damaged).file_notices()
    found: dict[str, float | list[float]] = {}
    if is_coloured:
        found = {**({"max_pixels": max_pixels} if scale == "fixed" else {}), **moments.found()}
    return FinishedCopy(copy, index.num_frames, tuple(notices), found)


def flow_statistics(videos: Sequence[Path], folder: Path) -> tuple[list[float], list[float]] | None:
    """Mean and standard deviation of red, green and blue of the flow of these videos, each video
    with the same weight; None if some of them were not measured.

    Raises: VideoError if the list of the folder's files is damaged.
    """
    manifest = read_manifest(folder / FLOW_MANIFEST)
    entries = [manifest.get(copy_path(video, folder).name) or {} for video in videos]
    found = [entry.get("found", {}) for entry in entries]
    if not found or not all("mean_square" in one for one in found):
        return None
    mean, square = (np.mean([one[name] for one in found], axis=0) for name in _MEASURED)
    return mean.round(3).tolist(), np.sqrt(np.maximum(square - mean**2, 0)).round(3).tolist()


def code_of(folder: Path) -> str | None:
    """The code of the flow in a folder, one of `CODES`; None if no list says.

    Raises: VideoError if the list of its files is damaged.
    """
    entries = [entry for entry in read_manifest(folder / FLOW_MANIFEST).values() if entry]
    return str(entries[0].get("code", "colours")) if entries else None


def _other_settings(out: Path, settings: FlowSettings | DisplacementSettings) -> list[str]:
    """A problem if ``out`` holds flow of other settings; a model must not see a mixture."""
    wanted = asdict(settings)
    found, code = code_of(out), wanted.get("code", "colours")
    if found not in (code, None):
        return [f"{out} holds flow of the code {found}, not {code}; choose another folder"]
    for name, noted in read_manifest(out / FLOW_MANIFEST).items():
        other = {key: (noted or {}).get(key) for key in wanted}
        if other != wanted:
            texts = [
                f"{key} {other[key]} instead of {wanted[key]}"
                for key in wanted
                if other[key] != wanted[key]
            ]
            return [
                f"{out} holds flow of other settings ({name}: {', '.join(texts)}); choose another "
                "folder or delete this one"
            ]
    return []
