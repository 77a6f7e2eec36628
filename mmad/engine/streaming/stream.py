"""Detections in a stream of frames, given out while it runs.

The windows are those of a file, and so is what is done with them; only the end is not known. What
is kept does not grow: the frames of one window, and candidates for as long as they can matter.
"""

import math
import time
from collections.abc import Iterable, Iterator

import numpy as np
import torch

from mmad.config.base import changed
from mmad.config.run import VideoRun
from mmad.data.frames import Shrinker
from mmad.data.samples import pack
from mmad.data.videos import inference_sample, make_grid
from mmad.data.windows import Window
from mmad.engine.inference import window_candidates
from mmad.engine.streaming.events import SettledEvents
from mmad.engine.streaming.windows import StreamSampler, WindowCutter
from mmad.errors import ConfigError
from mmad.models.detectors.families import build_decoder
from mmad.models.detectors.whole import EndToEndDetector
from mmad.structures import Detections
from mmad.video.reader import Frame
from mmad.video.reading import rate_text
from mmad.wording import count


class DetectionStream:
    """Detects in one stream, window by window, and gives each detection out once.

    A detection is given out when no later window can change it: at most a window and a step of
    windows after its end, or later while candidates with higher scores overlap it and are open
    themselves; but no later than `delay_seconds` after its end. With a delay below a window, an
    event that only a later window finds comes when that is complete. If `is_exact`, all that was
    given out is what detection in the whole video gives from `min_score` on.

    Args:
        network: Detector; it is put into evaluation mode.
        config: Its settings.
        device: Device of the network.
        precision: Type of autocast, or None.
        model_fps: Rate of the model; None is that of the stream.
        fps: Constant rate of the stream; None if its frames have times.
        min_score: Lowest score that is given out.
        delay: Longest time in seconds from the end of an event to its detection. None is two
            windows, after which as good as nothing can change. A delay that is shorter than a
            window and a step gives detections out before all windows have seen them, which later
            ones may then contradict.
        window_overlap: Share by which windows overlap; None: the run's.
        name: What messages call the stream.

    Attributes:
        min_score: Lowest score that is given out; at least that of suppression.
        delay_seconds: Longest time from the end of an event to its detection.
        window_seconds, step_seconds: Length of a window, and the time between two.
        busy_seconds: How long windows took to compute; a camera needs it below `seen_seconds`.
        shrink: Brings an image to the size at which windows keep it; a source may do it before.

    Raises: ConfigError if the model needs a whole video, or the delay is shorter than the time
        between two windows; VideoError as `StreamSampler`.
    """

    def __init__(
        self,
        network: EndToEndDetector,
        config: VideoRun,
        *,
        device: torch.device,
        precision: torch.dtype | None = None,
        model_fps: float | None = None,
        fps: float | None = None,
        min_score: float = 0.1,
        delay: float | None = None,
        window_overlap: float | None = None,
        name: str = "stream",
    ) -> None:
        if config.data.sampling == "whole":
            raise ConfigError(
                f"{name}: the model sees a video as a whole (data.sampling=whole), so it cannot "
                "detect in a stream; detect in the recorded video"
            )
        if window_overlap is not None:
            if not 0 <= window_overlap < 1:
                raise ConfigError(
                    f"{name}: window_overlap: expected a share from 0 to below 1, found "
                    f"{window_overlap:g}"
                )
            config = changed(config, data=changed(config.data, window_overlap=window_overlap))
        self._network = network.eval()
        if isinstance(network, EndToEndDetector):
            network.features.backbone.use_tokens(config.backbone.computed_tokens)
        self._config = config
        self._device = device
        self._precision = precision
        self._name = name
        self.shrink = Shrinker(config.data)
        self._decoder = build_decoder(config.detector, config.inference)
        data = config.data
        self._sampler = StreamSampler(
            fps=fps, wanted=model_fps, tolerance=data.fps_tolerance, name=name
        )
        self._seconds_per_frame = data.frame_stride / self._sampler.fps
        self.window_seconds = data.window_frames * self._seconds_per_frame
        self._cutter = WindowCutter(data, name=name)
        self.step_seconds = self._cutter.step_frames * self._seconds_per_frame
        self.delay_seconds = 2 * self.window_seconds if delay is None else delay
        if not 0 <= min_score <= 1:
            raise ConfigError(f"{name}: min_score: expected a score from 0 to 1, found {min_score}")
        if not self.step_seconds <= self.delay_seconds < math.inf:
            raise ConfigError(
                f"{name}: delay: expected at least the {self.step_seconds:.2f} s between two "
                f"windows, found {self.delay_seconds:g} s; allow more, or pass a window_overlap "
                f"above {data.window_overlap:g}, which computes more"
            )
        if self.delay_seconds < self.window_seconds:
            self._cutter = WindowCutter(data, name=name, early=True)
        self._waits_for_end = self.delay_seconds >= self.window_seconds + self.step_seconds
        self._events = SettledEvents(
            config.inference, min_score=min_score, memory_seconds=self.window_seconds
        )
        self.min_score = self._events.min_score
        self._num_windows = self._num_given = 0
        self.busy_seconds = 0.0

    @property
    def seen_seconds(self) -> float:
        """How much of the stream has come, in seconds since its first frame."""
        return self._sampler.seen_seconds

    @property
    def is_exact(self) -> bool:
        """Whether what was given out so far is what detection in the whole video gives."""
        limit = self._config.inference.max_detections * max(1, self._num_windows)
        return self._events.is_exact and self._num_given <= limit

    @property
    def num_waiting(self) -> int:
        """Candidates in memory."""
        return len(self._events)

    def run(self, frames: Iterable[tuple[float, Frame]]) -> Iterator[Detections]:
        """New detections after each window, often none, and those left at the end.

        Args:
            frames: Time in seconds, ascending, and image, RGB uint8 (H, W, 3), of each frame.

        Raises: VideoError if there is no frame.
        """
        for seconds, image in frames:
            found = self.push(seconds, image)
            if found is not None:
                yield found
        yield self.finish()

    def push(self, seconds: float, image: Frame) -> Detections | None:
        """Add a frame; new detections if it completes a window, else None."""
        found = [
            self._settle(*completed)
            for frame in self._sampler.push(seconds, self.shrink(image))
            if (completed := self._cutter.push(frame)) is not None
        ]
        return joined(found) if found else None

    def finish(self) -> Detections:
        """The detections that are left once the stream has ended.

        Raises: VideoError if no frame has come, or one of several is left by the stride.
        """
        found = [
            self._settle(*completed)
            for frame in self._sampler.finish()
            if (completed := self._cutter.push(frame)) is not None
        ]
        for window, images in self._cutter.finish():
            self._add(window, images)
        rest = self._events.give_out(
            open_from=math.inf, force_before=math.inf, end=self.seen_seconds
        )
        self._num_given += len(rest)
        return joined([*found, rest])

    def _add(self, window: Window, images: Frame) -> None:
        """Add the candidates of a window."""
        started = time.perf_counter()
        config = self._config
        grid = make_grid(
            fps=self._sampler.fps,
            frame_stride=config.data.frame_stride,
            window=window,
            frames_per_step=config.backbone.frames_per_step,
            upsampling=config.upsampling,
        )
        sample = inference_sample(self._name, images, grid, config.data, backbone=config.backbone)
        (part,) = window_candidates(
            self._network,
            pack([sample], clip_frames=config.backbone.clip_frames),
            self._decoder,
            device=self._device,
            precision=self._precision,
        )
        self._events.add(part, window_end=window.stop * self._seconds_per_frame)
        self._num_windows += 1
        self.busy_seconds += time.perf_counter() - started

    def _settle(self, window: Window, images: Frame) -> Detections:
        """Add a window, and what is settled then."""
        self._add(window, images)
        # The next window begins a step later, but the last one may begin a frame later.
        is_early = len(window) < self._config.data.window_frames
        step = 1 if self._waits_for_end else 0 if is_early else self._cutter.step_frames
        end = window.stop * self._seconds_per_frame
        found = self._events.give_out(
            open_from=(window.start + step) * self._seconds_per_frame,
            force_before=end - (self.delay_seconds - self.step_seconds),
            end=end,
        )
        self._num_given += len(found)
        return found

    def notices(self) -> list[str]:
        """What the user should know: sampling, gaps, detections that were not settled."""
        sampler, events, name = self._sampler, self._events, self._name
        told = list(sampler.notices)
        if sampler.is_resampled:
            told.insert(0, f"{name}: sampled by time to {rate_text(sampler.fps)}")
        if sampler.num_missing:
            told.append(
                f"{name}: about {count(sampler.num_missing, 'frame', 'is')} missing, the first "
                f"after {sampler.first_gap_seconds:.2f} s; the frames beside each gap are repeated"
            )
        if events.num_early:
            told.append(
                f"{name}: {count(events.num_early, 'detection', 'was')} given out after "
                f"{self.delay_seconds:.1f} s, before later windows could change them; a longer "
                "delay is safer"
            )
        if events.num_contradicted:
            told.append(
                f"{name}: later windows would have changed "
                f"{count(events.num_contradicted, 'detection')} that had been given out"
            )
        limit = self._config.inference.max_detections * max(1, self._num_windows)
        if self._num_given > limit:
            told.append(
                f"{name}: has {self._num_given} detections; of a recorded video, the best {limit} "
                "are kept (inference.max_detections of a window)"
            )
        return told


def joined(parts: list[Detections]) -> Detections:
    """All detections in one, in their order."""
    if len(parts) == 1:
        return parts[0]
    return Detections(
        np.concatenate([part.segments_seconds for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.scores for part in parts]),
    )
