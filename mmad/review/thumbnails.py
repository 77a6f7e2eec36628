"""Small images of single frames, for the film strip above the timeline."""

from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import cv2

from mmad.errors import OutputError, VideoError
from mmad.files import write_bytes
from mmad.projects.records import ProjectVideo
from mmad.video.open import open_video
from mmad.video.reader import VideoReader

THUMBNAILS = "thumbnails"
# Twice the height of the strip, for screens with two pixels in one.
_SHORT_SIDE = 80
_QUALITY = 72
_MOST_OPEN = 2


class Thumbnails:
    """Thumbnails of frames, made one after another when they are asked for, and kept as files.

    Args:
        folder: Folder of the project.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / THUMBNAILS
        # One thread: readers are not shared, and decisions never wait for images.
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="thumbnails")
        self._readers: OrderedDict[Path, VideoReader] = OrderedDict()

    def get(self, video: ProjectVideo, path: Path, frame: int) -> bytes:
        """A JPEG of a frame.

        Args:
            video: The video.
            path: Its file, or a copy with the same frames.
            frame: Number of the frame.

        Raises: VideoError if it cannot be read.
        """
        kept = self._folder / f"{video.id}-{video.sha256[:12]}" / f"{frame}.jpg"
        with suppress(OSError):
            return kept.read_bytes()
        return self._worker.submit(self._make, path, frame, kept).result()

    def close(self) -> None:
        """Close the videos, once the image that is being made is done."""
        self._worker.shutdown(cancel_futures=True)
        for reader in self._readers.values():
            reader.close()
        self._readers.clear()

    def _make(self, path: Path, frame: int, kept: Path) -> bytes:
        image = self._reader(path).read([frame])[0]
        pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        is_made, content = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        if not is_made:
            raise VideoError(f"{path}: no image can be made of frame {frame}")
        # A full disk costs the image, not the page.
        with suppress(OutputError):
            write_bytes(kept, content.tobytes())
        return content.tobytes()

    def _reader(self, path: Path) -> VideoReader:
        if path not in self._readers:
            self._readers[path] = open_video(path, short_side=_SHORT_SIDE, threads=1)
            if len(self._readers) > _MOST_OPEN:
                self._readers.popitem(last=False)[1].close()
        self._readers.move_to_end(path)
        return self._readers[path]
