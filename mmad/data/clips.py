"""Data sets for recognition: short clips of one action each, sampled uniformly.

Sampling and crops are those of Li et al. (ACM MM 2024) and their mmaction2 configs.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from mmad.config.backbones.family import BackboneFamilySettings
from mmad.config.recognition import ClipDataSettings
from mmad.data.clip_transform import Change, draw_look
from mmad.data.frames import FrameCache, FrameSource
from mmad.data.samples import FailedVideo, Sample
from mmad.data.transforms import Box, colour_map, subtract_background
from mmad.errors import VideoError
from mmad.structures import Annotations, ClipRecord, FeatureGrid
from mmad.video.index import index_video


def training_frames(num_frames: int, *, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """One random frame from each of ``count`` equal parts of a clip, ends included, ascending."""
    edges = np.round((num_frames - 1) / count * np.arange(count + 1)).astype(np.int64)
    return rng.integers(edges[:-1], edges[1:] + 1)


def evaluation_frames(num_frames: int, *, count: int, num_views: int) -> NDArray[np.int64]:
    """Frames of ``num_views`` views of a clip, shape (num_views, count).

    View k lies (k + 1) / (num_views + 1) of a part behind the start of each part.

    >>> evaluation_frames(33, count=4, num_views=1).tolist()
    [[4, 12, 20, 28]]
    """
    part = (num_frames - 1) / count
    starts = np.round(part * np.arange(count)).astype(np.int64)
    offsets = [int(part / (num_views + 1) * (k + 1)) for k in range(num_views)]
    return starts[None] + np.array(offsets)[:, None]


def evaluation_box(height: int, width: int, *, hw: tuple[int, int], least_aspect: float) -> Box:
    """A centre crop, at most as wide as ``hw`` and 1 / ``least_aspect`` times as high.

    >>> evaluation_box(455, 256, hw=(224, 224), least_aspect=0.6)
    Box(top=41, left=16, height=373, width=224)
    """
    box_height, box_width = min(height, int(hw[0] / least_aspect)), min(width, hw[1])
    return Box((height - box_height) // 2, (width - box_width) // 2, box_height, box_width)


def repeats(count: int, *, below: int | None) -> int:
    """How often to list each clip of a class with ``count`` clips.

    >>> repeats(30, below=100), repeats(100, below=100), repeats(3, below=None)
    (2, 1, 1)
    """
    if below is None or count >= below:
        return 1
    return int(math.log2(below // count)) + 1


def flow_path(folder: str | Path, clip_id: str) -> Path:
    """The file in which `mmad data flow` has stored the optical flow of a clip.

    >>> flow_path("flow", "a/b.avi").as_posix()
    'flow/b.mp4'
    """
    return Path(folder) / f"{Path(clip_id).stem}.mp4"


# The images of a clip, or its images and its optical flow.
Streams = Sample | tuple[Sample, Sample]


class _Clips(Dataset):
    """Common base of the data sets for training and evaluation."""

    def __init__(
        self,
        records: Sequence[ClipRecord],
        settings: ClipDataSettings,
        *,
        backbone: BackboneFamilySettings,
        training: bool,
        cache: FrameCache | None = None,
    ) -> None:
        self.records = list(records)
        self._settings = settings
        self._backbone = backbone
        self._clip_frames = backbone.clip_frames
        cache = cache or FrameCache(budget_gb=settings.cache_gb)
        self._source = FrameSource(settings, training=training, cache=cache)

    def _read(self, path: Path, wanted: NDArray[np.int64]) -> NDArray[np.uint8]:
        self._source.found(path)
        return self._source.read(path, np.arange(index_video(path).num_frames), wanted)

    def _images(self, path: Path, wanted: NDArray[np.int64]) -> NDArray[np.uint8]:
        images = self._read(path, wanted)
        return subtract_background(images) if self._settings.subtract_background else images

    def _streams(
        self,
        record: ClipRecord,
        wanted: NDArray[np.int64],
        images: NDArray[np.uint8],
        change: Change,
        colour: NDArray[np.float32],
        *,
        later: bool = False,
    ) -> Streams:
        """The sample of ``images``, and that of the optical flow of the same frames if used."""
        if self._settings.flow is None:
            return self._sample(record, images, change, colour, later=later)
        # A mirrored flow image would show the colours of the opposite direction.
        change = replace(change, flip=False)
        sample = self._sample(record, images, change, colour, later=later)
        return sample, self._flow(sample, record, wanted, change)

    def _flow(
        self, sample: Sample, record: ClipRecord, wanted: NDArray[np.int64], change: Change
    ) -> Sample:
        """The optical flow of the frames of a sample, cropped the same way.

        Its colours encode directions, so they are not jittered, and its background is black.
        """
        assert self._settings.flow is not None
        assert record.path is not None
        path = flow_path(self._settings.flow, record.clip_id)
        found = index_video(path).num_frames
        expected = index_video(record.path).num_frames
        if found != expected:
            raise VideoError(
                f"{path}: has {found} frames, the clip itself {expected}; compute its flow again"
            )
        images = self._read(path, wanted)
        # Changes of pixel values (operations, erasing) are for RGB images only.
        cut = replace(change, operations=(), erase=None)
        later = sample.change is not None
        return replace(
            sample,
            frames=images if later else cut(torch.from_numpy(images)).numpy(),
            colour=colour_map(images, self._backbone.colours),
            change=cut if later else None,
        )

    def _sample(
        self,
        record: ClipRecord,
        images: NDArray[np.uint8],
        change: Change,
        colour: NDArray[np.float32],
        *,
        later: bool,
    ) -> Sample:
        assert record.path is not None
        video = index_video(record.path)
        label = [] if record.label is None else [record.label]
        num_steps = self._clip_frames // self._backbone.frames_per_step
        return Sample(
            record.clip_id,
            images if later else change(torch.from_numpy(images)).numpy(),
            len(images),
            colour,
            # The frames are sampled from the whole clip, so the steps are spread over all of it.
            FeatureGrid(video.fps, video.num_frames / num_steps, num_steps),
            Annotations(
                np.array([[0.0, video.duration_seconds]] * len(label)).reshape(-1, 2),
                np.array(label, dtype=np.int64),
            ),
            change if later else None,
            self._source.found(record.path),
        )


class TrainingClips(_Clips):
    """Random frames of each clip; the same ones for the same seed, epoch and index.

    Args:
        records: Labelled clips with their paths.
        settings: Data settings.
        backbone: Settings of the backbone that the frames are for.
        seed: Random seed of the run.
        cache: Cache of decoded frames.
    """

    def __init__(
        self,
        records: Sequence[ClipRecord],
        settings: ClipDataSettings,
        *,
        backbone: BackboneFamilySettings,
        seed: int,
        cache: FrameCache | None = None,
    ) -> None:
        super().__init__(records, settings, backbone=backbone, training=True, cache=cache)
        self._seed = seed
        labels = np.array([record.label for record in self.records])
        counts = np.bincount(labels)
        listed = [repeats(int(counts[label]), below=settings.repeat_below) for label in labels]
        self._order = np.repeat(np.arange(len(labels)), listed)
        # If classes are drawn at random, repeats change nothing.
        weights = counts[labels].astype(float) ** (settings.balance_exponent - 1) / listed
        self._chances = None
        if settings.balance_exponent != 1:
            self._chances = weights[self._order] / weights[self._order].sum()

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, epoch_and_index: tuple[int, int]) -> Streams | FailedVideo:
        """Clip ``index`` in ``epoch``; a random one if classes are balanced."""
        rng = np.random.default_rng((self._seed, *epoch_and_index))
        place = epoch_and_index[1]
        if self._chances is not None:
            place = int(rng.choice(len(self._order), p=self._chances))
        record = self.records[self._order[place]]
        try:
            return self._training_sample(record, rng)
        except VideoError as error:
            return FailedVideo(record.clip_id, str(error))

    def _training_sample(self, record: ClipRecord, rng: np.random.Generator) -> Streams:
        assert record.path is not None
        settings = self._settings
        count = index_video(record.path).num_frames
        wanted = training_frames(count, count=self._clip_frames, rng=rng)
        images = self._images(record.path, wanted)
        change, colour = draw_look(
            images,
            settings,
            whole(images, settings),
            statistics=self._backbone.colours,
            seed=self._seed,
            rng=rng,
        )
        later = settings.augment_on == "device"
        return self._streams(record, wanted, images, change, colour, later=later)


class EvaluationClips(_Clips):
    """Several views of each clip, concatenated in one `Sample`.

    Args:
        records: Clips with their paths.
        settings: Data settings.
        backbone: Settings of the backbone that the frames are for.
        num_views: Number of views of each clip.
        cache: Cache of decoded frames.
    """

    def __init__(
        self,
        records: Sequence[ClipRecord],
        settings: ClipDataSettings,
        *,
        backbone: BackboneFamilySettings,
        num_views: int,
        cache: FrameCache | None = None,
    ) -> None:
        super().__init__(records, settings, backbone=backbone, training=False, cache=cache)
        self._num_views = num_views

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Streams | FailedVideo:
        """The views of clip ``index``."""
        record = self.records[index]
        assert record.path is not None
        try:
            wanted = evaluation_frames(
                index_video(record.path).num_frames,
                count=self._clip_frames,
                num_views=self._num_views,
            ).reshape(-1)
            images = self._images(record.path, wanted)
            change = whole(images, self._settings)
            colour = colour_map(images, self._backbone.colours)
            return self._streams(record, wanted, images, change, colour)
        except VideoError as error:
            return FailedVideo(record.clip_id, str(error))


def whole(images: NDArray[np.uint8], settings: ClipDataSettings) -> Change:
    """The transform of images without augmentation."""
    height, width = images.shape[1:3]
    box = Box(0, 0, height, width)
    if settings.resize == "crop":
        box = evaluation_box(
            height, width, hw=settings.image_hw, least_aspect=settings.least_aspect
        )
    return Change(box, settings.image_hw, smooth=settings.resizing == "decoder")
