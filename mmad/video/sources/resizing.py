"""Resizing of images that are already decoded, by the rules of the readers of files."""

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from mmad.video.reader import Frame


class Resizer:
    """Resizes RGB images to one size; those that have it are passed on as they are.

    With "opencv" the result is that of reading the file. With "decoder" it differs by a few
    levels of 255, since in a file the colours have half the resolution and are resized
    first.

    Args:
        size: Size (height, width) in pixels.
        resizing: "decoder" averages pixels; "opencv" is bilinear.
    """

    def __init__(self, *, size: tuple[int, int], resizing: str) -> None:
        self._size = size
        self._resizing = resizing
        self._reformatter = VideoReformatter()

    def __call__(self, image: Frame) -> Frame:
        """The image at the size; uint8 (height, width, 3)."""
        height, width = self._size
        if image.shape[:2] == self._size:
            return np.ascontiguousarray(image)
        if self._resizing == "opencv":
            from mmad.video.opencv_resizing import resize_image  # OpenCV is slow to import

            return resize_image(image, self._size)
        shrinks = image.shape[0] > height or image.shape[1] > width
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        resized = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            interpolation=Interpolation.AREA if shrinks else Interpolation.BILINEAR,
            threads=1,
        )
        return np.ascontiguousarray(resized.to_ndarray(), dtype=np.uint8)
