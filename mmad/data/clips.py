"""Data sets for recognition: short clips of one action each, and views of them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from mmad.config.backbones.family import BackboneFamilySettings
from mmad.config.recognition import ClipDataSettings
from mmad.config.views import Views
from mmad.data.balance import BalancedOrder
from mmad.data.clip_transform import Change, draw_look
from mmad.data.frame_sampling import Sampling
from mmad.data.frames import FrameCache, FrameSource
from mmad.data.samples import FailedVideo, Sample
from mmad.data.transforms import colour_map, subtract_background
from mmad.data.views import cut_views, evaluation_crops, whole
from mmad.errors import VideoError
from mmad.structures import Annotations, ClipRecord, FeatureGrid
from mmad.video.index import index_video


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
        self._flow_code: Literal["colours", "xy"] = "xy" if backbone.reads_flow else "colours"
        self._reads_flow = backbone.reads_flow or settings.flow_only
        self._flow_colours = settings.flow_colours(backbone.colours)
        self._clip_frames = backbone.clip_frames
        self._sampling = Sampling.of(settings, backbone)
        cache = cache or FrameCache(budget_gb=settings.cache_gb)
        self._source = FrameSource(settings, training=training, cache=cache)

    def _read(self, path: Path, wanted: NDArray[np.int64]) -> NDArray[np.uint8]:
        self._source.check(path)
        return self._source.read(path, np.arange(index_video(path).num_frames), wanted)

    def _images(self, record: ClipRecord, wanted: NDArray[np.int64]) -> NDArray[np.uint8]:
        """What the network is given of the clip: its frames, or its optical flow."""
        assert record.path is not None
        if self._reads_flow:
            return self._flow_images(record, wanted)
        images = self._read(record.path, wanted)
        return subtract_background(images) if self._settings.subtract_background else images

    def _flow_images(self, record: ClipRecord, wanted: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Images of the clip's optical flow, of which there are as many as frames."""
        assert self._settings.flow is not None
        assert record.path is not None
        path = flow_path(self._settings.flow, record.clip_id)
        if not path.is_file():
            raise VideoError(
                f"{path}: there is no flow of {record.clip_id}; write it there with mmad data flow "
                f"--code {self._flow_code}"
            )
        found = index_video(path).num_frames
        expected = index_video(record.path).num_frames
        if found != expected:
            raise VideoError(
                f"{path}: has {found} frames, the clip itself {expected}; compute its flow again"
            )
        return self._read(path, wanted)

    def _streams(
        self,
        record: ClipRecord,
        wanted: NDArray[np.int64],
        images: NDArray[np.uint8],
        crops: Sequence[Change],
        colour: NDArray[np.float32],
        *,
        later: bool = False,
    ) -> Streams:
        """The sample of ``images``, and that of the optical flow of the same frames if used."""
        if self._settings.flow is None or self._reads_flow:
            return self._sample(record, images, crops, colour, later=later)
        if not self._settings.mirror_flow:
            crops = [replace(crop, flip=False) for crop in crops]
        sample = self._sample(record, images, crops, colour, later=later)
        return sample, self._flow(sample, record, wanted, crops)

    def _flow(
        self,
        sample: Sample,
        record: ClipRecord,
        wanted: NDArray[np.int64],
        crops: Sequence[Change],
    ) -> Sample:
        """The optical flow of the frames of a sample, cropped the same way.

        Its colours encode directions, so they are not jittered, and its background is black.
        """
        images = self._flow_images(record, wanted)
        cuts = [self._of_flow(crop) for crop in crops]
        later = sample.change is not None
        return replace(
            sample,
            frames=images if later else self._cut(images, cuts),
            colour=colour_map(images, self._flow_colours),
            change=cuts[0] if later else None,
        )

    def _of_flow(self, change: Change) -> Change:
        """The change for images of optical flow, whose values are no colours under some light."""
        return replace(change, operations=(), erase=None, motion=self._flow_code)

    def _sample(
        self,
        record: ClipRecord,
        images: NDArray[np.uint8],
        crops: Sequence[Change],
        colour: NDArray[np.float32],
        *,
        later: bool,
    ) -> Sample:
        assert record.path is not None
        video = index_video(record.path)
        label = [] if record.label is None else [record.label]
        num_steps = self._clip_frames // self._backbone.frames_per_step
        frames = images if later else self._cut(images, crops)
        return Sample(
            record.clip_id,
            frames,
            len(frames),
            colour,
            # The frames are sampled from the whole clip, so the steps are spread over all of it.
            FeatureGrid(video.fps, video.num_frames / num_steps, num_steps),
            Annotations(
                np.array([[0.0, video.duration_seconds]] * len(label)).reshape(-1, 2),
                np.array(label, dtype=np.int64),
            ),
            crops[0] if later else None,
            self._source.found(record.path),
        )

    def _cut(self, images: NDArray[np.uint8], crops: Sequence[Change]) -> NDArray[np.uint8]:
        return cut_views(images, crops, images_per_view=self._backbone.images_per_clip)


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
        self._order = BalancedOrder(labels, np.bincount(labels), settings)

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, epoch_and_index: tuple[int, int]) -> Streams | FailedVideo:
        """Clip ``index`` in ``epoch``; a random one if classes are balanced."""
        rng = np.random.default_rng((self._seed, *epoch_and_index))
        record = self.records[self._order.item(epoch_and_index[1], rng=rng)]
        try:
            return self._training_sample(record, rng)
        except VideoError as error:
            return FailedVideo(record.clip_id, str(error))

    def _training_sample(self, record: ClipRecord, rng: np.random.Generator) -> Streams:
        assert record.path is not None
        settings = self._settings
        count = index_video(record.path).num_frames
        wanted = self._sampling.training(count, rng=rng)
        images = self._images(record, wanted)
        change, colour = draw_look(
            images,
            settings,
            whole(images, settings),
            statistics=self._backbone.colours,
            seed=self._seed,
            rng=rng,
        )
        if self._reads_flow:
            change = self._of_flow(change)
            colour = colour_map(images, self._flow_colours)
        later = settings.augment_on == "device"
        return self._streams(record, wanted, images, [change], colour, later=later)


class EvaluationClips(_Clips):
    """Several views of each clip, concatenated in one `Sample`.

    Args:
        records: Clips with their paths.
        views: Views of each clip, with the data settings.
        backbone: Settings of the backbone that the frames are for.
        cache: Cache of decoded frames.
    """

    def __init__(
        self,
        records: Sequence[ClipRecord],
        views: Views,
        *,
        backbone: BackboneFamilySettings,
        cache: FrameCache | None = None,
    ) -> None:
        settings = views.settings
        assert isinstance(settings, ClipDataSettings)
        super().__init__(records, settings, backbone=backbone, training=False, cache=cache)
        self._views = views

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Streams | FailedVideo:
        """The views of clip ``index``."""
        record = self.records[index]
        assert record.path is not None
        try:
            count = index_video(record.path).num_frames
            wanted = self._sampling.evaluation(count, num_views=self._views.num_clips).reshape(-1)
            images = self._images(record, wanted)
            crops = evaluation_crops(images, self._views)
            statistics = self._backbone.colours
            if self._reads_flow:
                crops, statistics = [self._of_flow(crop) for crop in crops], self._flow_colours
            colour = colour_map(images, statistics)
            return self._streams(record, wanted, images, crops, colour)
        except VideoError as error:
            return FailedVideo(record.clip_id, str(error))
