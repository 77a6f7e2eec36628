"""`Stream`: detection in frames that keep coming, and frames in memory."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from mmad.api.calls import warn
from mmad.api.results import Detections
from mmad.engine.streaming.stream import DetectionStream
from mmad.engine.trained.detector import TrainedDetector
from mmad.errors import MmadError, VideoError
from mmad.labels import LabelMap
from mmad.structures import VideoRecord
from mmad.video.reader import Frame
from mmad.video.sources.camera import Camera
from mmad.video.sources.given import Colours, given_frames


class Stream:
    """Detection in a stream; iterate over it once. `Model.stream` opens one.

    Each item is the new `Detections` after a window, often none, with times in seconds since the
    first frame; each detection comes once. At the end, notices are issued as warnings.

    Attributes:
        delay_seconds: Longest time from the end of an event to its detection.
        window_seconds, step_seconds: Length of a window, and the time between two.
        seen_seconds: How much of the stream has come.
        is_exact: Whether all that was given out is what `Model.detect` gives, from ``min_score``
            on, for the frames so far.
    """

    def __init__(
        self,
        stream: DetectionStream,
        frames: Iterator[tuple[float, Frame]],
        *,
        labels: LabelMap,
        video_id: str,
        notices: Callable[[], list[str]] = list,
        close: Callable[[], object] = lambda: None,
    ) -> None:
        self._stream = stream
        self._frames = frames
        self._labels = labels
        self._video_id = video_id
        self._notices = notices
        self._close = close
        self._items = self._run()

    @property
    def delay_seconds(self) -> float:
        """Longest time from the end of an event to its detection."""
        return self._stream.delay_seconds

    @property
    def window_seconds(self) -> float:
        """Length of a window."""
        return self._stream.window_seconds

    @property
    def step_seconds(self) -> float:
        """Time between two windows."""
        return self._stream.step_seconds

    @property
    def seen_seconds(self) -> float:
        """How much of the stream has come."""
        return self._stream.seen_seconds

    @property
    def is_exact(self) -> bool:
        """Whether what was given out is what `Model.detect` gives for the frames so far."""
        return self._stream.is_exact

    def __repr__(self) -> str:
        return (
            f"<mmad.Stream {self._video_id!r}: {self.seen_seconds:.1f} s seen, a detection at most "
            f"{self.delay_seconds:.1f} s after its end>"
        )

    def __iter__(self) -> Iterator[Detections]:
        return self._items

    def _run(self) -> Iterator[Detections]:
        try:
            for found in self._stream.run(self._frames):
                video = VideoRecord(self._video_id, self.seen_seconds, subset="none")
                yield Detections(
                    found.segments_seconds,
                    found.labels,
                    found.scores,
                    video=video,
                    label_map=self._labels,
                )
            warn([*self._stream.notices(), *self._notices()])
        finally:
            self._close()


def open_stream(
    detector: TrainedDetector,
    source: Any,
    *,
    fps: float | None,
    times: Iterable[float] | None,
    colours: Colours,
    seconds: float | None,
    name: str | None,
    options: Mapping[str, Any],
) -> Stream:
    """The stream of a camera, an address or an iterable of images; see `Model.stream`."""
    is_camera = isinstance(source, int | str | os.PathLike)
    if is_camera and not (fps is None and times is None):
        raise VideoError("fps and times are for images; a camera has its own")
    if not is_camera and seconds is not None:
        raise VideoError("seconds are for cameras; end the images where they should end")
    if not is_camera:
        video_id = name or "stream"
        stream = detector.open_stream(fps=fps, name=video_id, **options)
        frames = given_frames(source, fps=fps, times=times, colours=colours, name=video_id)
        return Stream(stream, frames, labels=detector.labels, video_id=video_id)
    _ = detector.on_videos  # read before the camera runs
    camera = Camera(str(source) if isinstance(source, int) else os.fspath(source))
    try:
        stream = detector.open_stream(fps=camera.fps, name=camera.name, **options)
    except MmadError:
        camera.close()
        raise
    camera.shrink = stream.shrink
    return Stream(
        stream,
        camera.frames(seconds=seconds),
        labels=detector.labels,
        video_id=name or camera.video_id,
        notices=camera.notices,
        close=camera.close,
    )


def are_paths(given: Any) -> bool:
    """Whether this is a video file, or a list of them."""
    path = str | os.PathLike | VideoRecord
    in_list = isinstance(given, list | tuple) and bool(given) and isinstance(given[0], path)
    return isinstance(given, path) or in_list


def are_frames(given: Any) -> bool:
    """Whether these are images, in an array, a tensor, a sequence or an iterator, and no paths."""
    if are_paths(given):
        return False
    if hasattr(given, "__array__") or hasattr(given, "detach"):
        return True
    return bool(given) if isinstance(given, list | tuple) else hasattr(given, "__iter__")
