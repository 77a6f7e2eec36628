"""Frames of a stream at the rate of the model, and windows of them, as they arrive.

Both give what `mmad.video.sampling` and `mmad.data.windows` give for the whole video; what they
keep does not grow with the stream.
"""

from collections import deque
from collections.abc import Iterator

import numpy as np

from mmad.config.data import DataSettings
from mmad.data.windows import Window, sliding_windows
from mmad.errors import VideoError
from mmad.video.index import LONGEST_GAP_SECONDS
from mmad.video.reader import Frame
from mmad.video.sampling import has_rate

# The usual spacing of frames is the median of so many.
_SPACINGS = 100
# A spacing of more than this times the usual one is a gap.
_GAP = 1.5


class StreamSampler:
    """The frames of a stream at the rate of a model, each as soon as it is certain.

    A stream of a stated rate within ``tolerance`` of ``wanted`` gives every frame. Any other, and
    one with a time for each frame, is sampled at ``wanted`` by time: the frame nearest to each
    time, on a tie the earlier one.

    Args:
        fps: Stated constant rate of the stream; None if each frame has a time of its own.
        wanted: Rate of the model; None is the stated rate.
        tolerance: Share by which rates may differ.
        name: What messages call the stream.

    Attributes:
        fps: Rate of the frames that it gives.
        num_missing: Frames that are missing where the times leave a gap.
        first_gap_seconds: Start of the first such gap; None without one.

    Raises: VideoError if neither ``fps`` nor ``wanted`` is given.
    """

    def __init__(
        self, *, fps: float | None, wanted: float | None, tolerance: float, name: str
    ) -> None:
        if fps is None and wanted is None:
            raise VideoError(
                f"{name}: the model takes the rate of each video as it is (data.fps=own), and that "
                "of a stream with times is not known before its end; pass fps"
            )
        self._stated = fps
        self.is_resampled = fps is None or not has_rate(fps, fps=wanted, tolerance=tolerance)
        self.fps = float((wanted if self.is_resampled else fps) or 0.0)
        self._name = name
        self._first: float | None = None
        self._shift = 0.0  # what jumps of the clock are taken back
        self._last: tuple[float, Frame] | None = None
        self._count = 0  # frames that came
        self._given = 0
        self._chosen: deque[Frame] = deque()  # nearest frames that may lie beyond the end
        self._spacings: deque[float] = deque(maxlen=_SPACINGS)
        self.num_missing = 0
        self.first_gap_seconds: float | None = None
        self.notices: list[str] = []

    @property
    def seen_seconds(self) -> float:
        """Time of the end of the last frame."""
        if self._last is None:
            return 0.0
        return self._last[0] + 1 / self._rate()

    def _rate(self) -> float:
        """Mean rate of the frames that came."""
        if self._stated is not None:
            return self._stated
        if self._last is None or self._count < 2:
            return self.fps
        return (self._count - 1) / self._last[0]

    def push(self, seconds: float, frame: Frame) -> Iterator[Frame]:
        """The frames at the rate of the model that are certain once this one has come."""
        seconds = self._on_own_clock(seconds)
        if self.is_resampled:
            self._choose(seconds, frame)
        else:
            self._chosen.append(frame)
        self._last = seconds, frame
        self._count += 1
        # The video has frame k if it lasts until the middle of it.
        while self._chosen and (not self.is_resampled or seconds * self.fps > self._given + 0.5):
            self._given += 1
            yield self._chosen.popleft()

    def finish(self) -> Iterator[Frame]:
        """The frames that the end makes certain.

        Raises: VideoError if no frame has come.
        """
        if self._last is None:
            raise VideoError(f"{self._name}: ended without a frame; check the source")
        if not self.is_resampled:
            return
        total = max(1, round(self.seen_seconds * self.fps))
        while self._given < total:
            self._given += 1
            yield self._chosen.popleft() if self._chosen else self._last[1]

    def _on_own_clock(self, seconds: float) -> float:
        """Seconds since the first frame, without jumps of the clock."""
        if self._first is None:
            self._first = seconds
        seconds -= self._first + self._shift
        if self._last is None or self._stated is not None:
            return seconds
        spacing = seconds - self._last[0]
        usual = float(np.median(self._spacings)) if self._spacings else spacing
        if spacing > LONGEST_GAP_SECONDS:
            self.notices.append(
                f"{self._name}: the time stamp after {self._last[0]:.2f} s jumps by {spacing:.0f} "
                "s; taken as one frame later"
            )
            del self.notices[:-_SPACINGS]
            step = usual if self._spacings else 1 / self.fps
            self._shift += spacing - step
            return self._last[0] + step
        if len(self._spacings) > 1 and spacing > _GAP * usual:
            self.num_missing += max(1, round(spacing / usual) - 1)
            if self.first_gap_seconds is None:
                self.first_gap_seconds = self._last[0]
        self._spacings.append(spacing)
        return seconds

    def _choose(self, seconds: float, frame: Frame) -> None:
        """Add the frame nearest to each time up to ``seconds``."""
        while (time := (self._given + len(self._chosen)) / self.fps) <= seconds:
            nearest = frame
            if self._last is not None and time - self._last[0] <= seconds - time:
                nearest = self._last[1]
            self._chosen.append(nearest)


class WindowCutter:
    """Windows of the frames of a stream: those of `sliding_windows`, each once it is complete.

    Args:
        settings: Stride, length and overlap of windows.
        name: What messages call the stream.
        early: Whether to give also the beginnings of the first window, one step after another.

    Attributes:
        step_frames: Frames between the starts of two windows.
    """

    def __init__(self, settings: DataSettings, *, name: str, early: bool = False) -> None:
        self._settings = settings
        self._name = name
        self._early = early
        self.step_frames = max(1, round(settings.window_frames * (1 - settings.window_overlap)))
        self._kept: deque[Frame] = deque(maxlen=settings.window_frames)
        self._seen = 0  # before the stride
        self._count = 0
        self._done = 0

    def push(self, frame: Frame) -> tuple[Window, Frame] | None:
        """The window that this frame completes, and its images (F, H, W, 3); None if none."""
        self._seen += 1
        if (self._seen - 1) % self._settings.frame_stride:
            return None
        self._kept.append(frame)
        self._count += 1
        length = self._settings.window_frames
        if self._count == self._done * self.step_frames + length:
            self._done += 1
            return Window(self._count - length, self._count), np.stack(self._kept)
        if self._early and self._count < length and self._count % self.step_frames == 0:
            return Window(0, self._count), np.stack(self._kept)
        return None

    def finish(self) -> Iterator[tuple[Window, Frame]]:
        """The windows that the end completes.

        Raises: VideoError if the stride left one of several frames.
        """
        settings = self._settings
        if 1 < self._seen <= settings.frame_stride:
            raise VideoError(
                f"{self._name}: data.frame_stride {settings.frame_stride} would leave one of its "
                f"{self._seen} frames, which shows no action; set it below {self._seen}"
            )
        windows = sliding_windows(
            self._count,
            window_frames=settings.window_frames,
            overlap=settings.window_overlap,
            keep_tail=settings.keep_tail,
        )
        for window in windows[self._done :]:
            # Only windows that end with the stream are left.
            yield window, np.stack(self._kept)
