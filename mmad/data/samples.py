"""Input of the model: windows of videos, packed so that only existing frames are computed.

Shapes: N clips of all windows, F frames of a clip, H W pixels, V windows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmad.data.clip_transform import Change
from mmad.errors import VideoError
from mmad.structures import Annotations, FeatureGrid
from mmad.video.reading import ReadVideo


@dataclass(frozen=True, eq=False)
class Sample:
    """One window of one video.

    Attributes:
        video_id: Id of the video.
        frames: Frames, uint8 (F, H, W, 3).
        num_valid_frames: Number of frames that exist; the rest repeat the last one.
        colour: Affine map (3, 4) from raw to normalised colour.
        grid: Where the feature steps of the window lie in the video.
        annotations: Annotations in the window, in seconds of the video.
        change: Transform still to be applied on the device; None if already applied.
        read: What reading the video revealed; of sliding windows, only the last one has it.
    """

    video_id: str
    frames: NDArray[np.uint8]
    num_valid_frames: int
    colour: NDArray[np.float32]
    grid: FeatureGrid
    annotations: Annotations = field(default_factory=Annotations)
    change: Change | None = None
    read: ReadVideo | None = None


@dataclass(frozen=True)
class FailedVideo:
    """A video that could not be read.

    It crosses from a worker to the main process in place of a sample.
    """

    video_id: str
    message: str


@dataclass(frozen=True, eq=False)
class Batch:
    """Windows packed for the model.

    Attributes:
        clips: uint8 (N, F, H, W, 3); the clips of a window are consecutive.
        clips_per_window: Number of clips of each window.
        frames_per_window: Number of existing frames of each window.
        colours: Affine colour map of each window, (V, 3, 4).
        grids, annotations, video_ids: One for each window.
        read: What reading revealed, by id, for each video whose last window is in this batch.
    """

    clips: Tensor
    clips_per_window: tuple[int, ...]
    frames_per_window: tuple[int, ...]
    colours: Tensor
    grids: tuple[FeatureGrid, ...]
    annotations: tuple[Annotations, ...]
    video_ids: tuple[str, ...]
    read: Mapping[str, ReadVideo] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.video_ids)

    @property
    def inputs(self) -> tuple[Tensor, Tensor, tuple[int, ...], tuple[int, ...]]:
        """The arguments of a detector."""
        return self.clips, self.colours, self.clips_per_window, self.frames_per_window

    def to(self, device: torch.device) -> "Batch":
        """The batch with its tensors on ``device``."""
        return replace(
            self,
            clips=self.clips.to(device, non_blocking=True),
            colours=self.colours.to(device, non_blocking=True),
        )

    def pin_memory(self) -> "Batch":
        """The batch with its tensors in pinned memory, for a fast copy to a GPU."""
        return replace(self, clips=self.clips.pin_memory(), colours=self.colours.pin_memory())


@dataclass(frozen=True, eq=False, kw_only=True)
class UncutBatch(Batch):
    """Windows whose images are transformed on the device; until then ``clips`` is empty.

    Attributes:
        clip_frames: F, the frames of a clip.
        windows: Frames of each window, uint8 (frames, height, width, 3).
        changes: Transform of each window.
    """

    clip_frames: int
    windows: tuple[Tensor, ...]
    changes: tuple[Change, ...]

    def to(self, device: torch.device) -> Batch:
        """The batch on ``device``, with its clips."""
        clips = [
            to_clips(change(window.to(device, non_blocking=True)), clip_frames=self.clip_frames)
            for window, change in zip(self.windows, self.changes, strict=True)
        ]
        return Batch(
            torch.cat(clips),
            self.clips_per_window,
            self.frames_per_window,
            self.colours.to(device, non_blocking=True),
            self.grids,
            self.annotations,
            self.video_ids,
            self.read,
        )

    def pin_memory(self) -> "UncutBatch":
        """The batch with its tensors in pinned memory, for a fast copy to a GPU."""
        windows = tuple(window.pin_memory() for window in self.windows)
        return replace(self, windows=windows, colours=self.colours.pin_memory())


def pad_frames(frames: NDArray[np.uint8], *, num_frames: int) -> NDArray[np.uint8]:
    """``frames`` with the last one repeated up to ``num_frames``."""
    missing = num_frames - len(frames)
    if missing <= 0:
        return frames
    return np.concatenate((frames, np.repeat(frames[-1:], missing, axis=0)))


def to_clips(frames_FHWC: Tensor, *, clip_frames: int) -> Tensor:
    """Clips, shape (N, clip_frames, H, W, 3); the last one repeats its last frame."""
    missing = -len(frames_FHWC) % clip_frames
    if missing:
        last = frames_FHWC[-1:].expand(missing, -1, -1, -1)
        frames_FHWC = torch.cat((frames_FHWC, last))
    return frames_FHWC.reshape(-1, clip_frames, *frames_FHWC.shape[1:])


def pack(samples: Sequence[Sample], *, clip_frames: int) -> Batch:
    """The windows as clips of ``clip_frames``; the last clip of each repeats its last frame."""
    windows = tuple(torch.from_numpy(sample.frames) for sample in samples)
    changes = tuple(sample.change for sample in samples if sample.change is not None)
    clips = [] if changes else [to_clips(window, clip_frames=clip_frames) for window in windows]
    batch = Batch(
        clips=torch.cat(clips) if clips else torch.empty(0, clip_frames, 0, 0, 3),
        clips_per_window=tuple(-(-len(window) // clip_frames) for window in windows),
        frames_per_window=tuple(sample.num_valid_frames for sample in samples),
        colours=torch.from_numpy(np.stack([sample.colour for sample in samples])),
        grids=tuple(sample.grid for sample in samples),
        annotations=tuple(sample.annotations for sample in samples),
        video_ids=tuple(sample.video_id for sample in samples),
        read={sample.video_id: sample.read for sample in samples if sample.read is not None},
    )
    if not changes:
        return batch
    return UncutBatch(**vars(batch), clip_frames=clip_frames, windows=windows, changes=changes)


class Packer:
    """The collate function of a loader: packs samples and separates failures.

    Args:
        clip_frames: Frames of a clip.
    """

    def __init__(self, *, clip_frames: int) -> None:
        self.clip_frames = clip_frames

    def __call__(
        self, items: Sequence[Sample | tuple[Sample, ...] | FailedVideo]
    ) -> tuple[Batch | None, list[FailedVideo]]:
        """The batch of the samples (None if there are none) and the failures.

        The streams of an item become consecutive windows.
        """
        samples = [
            sample
            for item in items
            if not isinstance(item, FailedVideo)
            for sample in (item if isinstance(item, tuple) else (item,))
        ]
        failures = [item for item in items if isinstance(item, FailedVideo)]
        return (pack(samples, clip_frames=self.clip_frames) if samples else None), failures


def raise_failures(failures: Sequence[FailedVideo]) -> None:
    """Raise a `VideoError` that lists every failure, if there are any."""
    if failures:
        raise VideoError("\n".join(failure.message for failure in failures))
