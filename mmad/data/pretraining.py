"""Clips of videos without annotations, with masks: the data set of pre-training.

Shapes: N clips, F frames, H W pixels, S tokens of a clip, K of them seen, M painted.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from mmad.config.backbones.family import BackboneFamilySettings
from mmad.config.pretraining import MaskSettings, PretrainingConfig
from mmad.data.clip_transform import draw_look
from mmad.data.frames import FrameCache, FrameSource
from mmad.data.masks import draw_mask, motion_of, running_cells
from mmad.data.samples import Batch, FailedVideo, Sample, pack, pad_frames
from mmad.data.transforms import colour_map, subtract_background
from mmad.data.videos import make_grid, unvaried
from mmad.data.windows import Window
from mmad.errors import VideoError
from mmad.video.index import index_video
from mmad.video.sampling import SampledFrames, evenly_spread, sample_frames

_BACKGROUND_FRAMES = 15
# Videos that are tried in place of one that cannot be read.
_MOST_TRIES = 20


@dataclass(frozen=True)
class Stretch:
    """A part of a video, of which each pass draws a clip.

    Attributes:
        path: Video file.
        name: Its name in messages and logs.
        start, stop: Its frames at the rate of the model.
    """

    path: Path
    name: str
    start: int
    stop: int


@dataclass(frozen=True, eq=False)
class MaskedItem:
    """Views of one clip, with a mask for each.

    Attributes:
        samples: The views: a clip with different crops.
        hidden: Which tokens the network does not see, (views, S), boolean.
        painted: Which tokens the decoder paints, likewise.
        skipped: Videos that could not be read, which this item replaces, with the reasons.
    """

    samples: tuple[Sample, ...]
    hidden: NDArray[np.bool_]
    painted: NDArray[np.bool_]
    skipped: tuple[FailedVideo, ...] = ()


@dataclass(frozen=True, eq=False)
class MaskedBatch:
    """Clips with what is seen and painted of each.

    Attributes:
        batch: The clips, each a window of its own.
        seen_places: Numbers of the tokens that the network sees, (N, K).
        painted_places: Numbers of those that the decoder paints, (N, M).
        counted: Which of these the network did not see, so that a loss counts them, (N, M).
        skipped: Videos that could not be read.
    """

    batch: Batch
    seen_places: Tensor
    painted_places: Tensor
    counted: Tensor
    skipped: tuple[FailedVideo, ...] = field(default=())

    def to(self, device: torch.device) -> "MaskedBatch":
        """The batch with its tensors on ``device``."""
        return replace(
            self,
            batch=self.batch.to(device),
            seen_places=self.seen_places.to(device, non_blocking=True),
            painted_places=self.painted_places.to(device, non_blocking=True),
            counted=self.counted.to(device, non_blocking=True),
        )

    def pin_memory(self) -> "MaskedBatch":
        """The batch with its tensors in pinned memory, for a fast copy to a GPU."""
        return replace(
            self,
            batch=self.batch.pin_memory(),
            seen_places=self.seen_places.pin_memory(),
            painted_places=self.painted_places.pin_memory(),
            counted=self.counted.pin_memory(),
        )


def places_of(marked_NS: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The numbers of the marked tokens of each clip, of which all have equally many.

    >>> places_of(np.array([[True, False, True], [False, True, True]])).tolist()
    [[0, 2], [1, 2]]
    """
    return np.nonzero(marked_NS)[1].reshape(len(marked_NS), -1)


class MaskedPacker:
    """The collate function of a loader of `MaskedItem`.

    Args:
        clip_frames: Frames of a clip.
    """

    def __init__(self, clip_frames: int) -> None:
        self.clip_frames = clip_frames

    def __call__(
        self, items: Sequence[MaskedItem | FailedVideo]
    ) -> tuple[MaskedBatch | None, list[FailedVideo]]:
        """The batch of the items (None if there are none) and the failures."""
        good = [item for item in items if isinstance(item, MaskedItem)]
        failures = [item for item in items if isinstance(item, FailedVideo)]
        if not good:
            return None, failures
        hidden = np.concatenate([item.hidden for item in good])
        painted = np.concatenate([item.painted for item in good])
        places = places_of(painted)
        packed = MaskedBatch(
            pack([one for item in good for one in item.samples], clip_frames=self.clip_frames),
            torch.from_numpy(places_of(~hidden)),
            torch.from_numpy(places),
            torch.from_numpy(np.take_along_axis(hidden, places, axis=1)),
            tuple(failed for item in good for failed in item.skipped),
        )
        return packed, failures


def stretches_of(
    path: Path, name: str, config: PretrainingConfig, *, fps: float | None
) -> list[Stretch]:
    """The parts of a video of about ``data.stretch_seconds``, of equal length; at least one.

    Raises: VideoError if the video cannot be read.
    """
    sampled = _sampled(path, config, fps=fps)
    count = len(sampled.positions)
    parts = max(1, round(count / (sampled.fps * config.data.stretch_seconds)))
    ends = np.linspace(0, count, parts + 1).round().astype(int).tolist()
    return [Stretch(path, name, *pair) for pair in itertools.pairwise(ends)]


def _sampled(path: Path, config: PretrainingConfig, *, fps: float | None) -> SampledFrames:
    return sample_frames(index_video(path), fps=fps, tolerance=config.data.fps_tolerance)


class MaskedClips(Dataset):
    """Clips of stretches of videos, with masks; the same ones for the same seed, epoch and index.

    A video that cannot be read is replaced by another one, and named in the item.

    Args:
        stretches: What clips are drawn from.
        config: Run configuration.
        training: Random clips with augmentation; else that in the middle of each stretch, with the
            same mask in every epoch.
        fps: Frame rate of the model; None uses each video's own.
        cache: Cache of decoded frames.
    """

    def __init__(
        self,
        stretches: Sequence[Stretch],
        config: PretrainingConfig,
        *,
        training: bool,
        fps: float | None = None,
        cache: FrameCache | None = None,
    ) -> None:
        self.stretches = list(stretches)
        self._config = config
        self._training = training
        self._fps = fps
        cache = cache or FrameCache(budget_gb=config.data.cache_gb)
        self._source = FrameSource(config.data, training=training, cache=cache)

    def __len__(self) -> int:
        return len(self.stretches)

    def __getitem__(self, epoch_and_index: tuple[int, int]) -> MaskedItem | FailedVideo:
        """The clip of stretch ``index`` in ``epoch``."""
        epoch, index = epoch_and_index
        if not self._training:
            epoch = 0
        rng = np.random.default_rng((self._config.seed, epoch, index, 0 if self._training else 1))
        skipped: list[FailedVideo] = []
        stretch = self.stretches[index]
        for _ in range(_MOST_TRIES):
            try:
                return self._item(stretch, rng, tuple(skipped))
            except VideoError as error:
                skipped.append(FailedVideo(stretch.name, str(error)))
                stretch = self.stretches[int(rng.integers(len(self.stretches)))]
        return skipped[-1]

    def _item(
        self, stretch: Stretch, rng: Generator, skipped: tuple[FailedVideo, ...]
    ) -> MaskedItem:
        data, backbone = self._config.data, self._config.backbone
        self._source.check(stretch.path)
        sampled = _sampled(stretch.path, self._config, fps=self._fps)
        positions = sampled.positions[stretch.start : stretch.stop]
        wanted = self._clip(len(positions), rng)
        images = self._read(stretch.path, positions, wanted)
        grid = make_grid(
            fps=sampled.fps,
            frame_stride=data.frame_stride,
            window=Window(0, backbone.clip_frames),
            frames_per_step=backbone.frames_per_step,
            upsampling=1,
        )
        read = self._source.found(stretch.path, resampled_fps=sampled.resampled_fps)
        samples, hidden, painted = [], [], []
        for _ in range(data.repeats if self._training else 1):
            frames, colour = self._look(images, backbone, rng)
            samples.append(Sample(stretch.name, frames, len(frames), colour, grid, read=read))
            mask, told = draw_masks(self._config.masks, self._config.grid, frames, rng=rng)
            hidden.append(mask)
            painted.append(told)
        return MaskedItem(tuple(samples), np.stack(hidden), np.stack(painted), skipped)

    def _clip(self, count: int, rng: Generator) -> NDArray[np.int64]:
        """The frames of a clip in a stretch of ``count``; a short one repeats its last frame."""
        stride, frames = self._config.data.frame_stride, self._config.backbone.clip_frames
        free = max(0, count - (frames - 1) * stride - 1)
        start = int(rng.integers(free + 1)) if self._training else free // 2
        return np.minimum(start + stride * np.arange(frames), count - 1)

    def _read(
        self, path: Path, positions: NDArray[np.int64], wanted: NDArray[np.int64]
    ) -> NDArray[np.uint8]:
        """The images of a clip, without the background of its stretch if the settings say so."""
        if not self._config.data.subtract_background:
            return self._source.read(path, positions, wanted)
        spread = evenly_spread(len(positions), _BACKGROUND_FRAMES)
        # Both are read at once, in the order of the video, and each frame once.
        frames, place = np.unique(np.concatenate((spread, wanted)), return_inverse=True)
        images = self._source.read(path, positions, frames)
        background, clip = images[place[: len(spread)]], images[place[len(spread) :]]
        return subtract_background(clip, background_of=background)

    def _look(
        self, images: NDArray[np.uint8], backbone: BackboneFamilySettings, rng: Generator
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """A view of the clip, and its colour map."""
        change = unvaried(images, self._config.data)
        if self._training:
            change, colour = draw_look(
                images,
                self._config.data,
                change,
                statistics=backbone.colours,
                seed=self._config.seed,
                rng=rng,
            )
        else:
            colour = colour_map(images, backbone.colours)
        frames = change(torch.from_numpy(images)).numpy()
        return pad_frames(frames, num_frames=backbone.clip_frames), colour


def draw_masks(
    settings: MaskSettings,
    grid: tuple[int, int, int],
    frames: NDArray[np.uint8],
    *,
    rng: Generator,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which tokens of a clip are hidden, and which the decoder paints, (S,) each."""
    motion = motion_of(frames, grid) if settings.kind == "moving" else None
    hidden = draw_mask(settings, grid, motion=motion, rng=rng)
    if math.isclose(settings.decoded, 1):
        return hidden, hidden
    return hidden, running_cells(settings, grid, rng=rng)
