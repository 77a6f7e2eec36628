"""Data sets of stored features: random windows for training, sliding windows for inference.

Shapes: T steps, C channels, B windows of a batch.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset, IterableDataset

from mmad.config.features import FeatureDataSettings, StoredGrid
from mmad.data.balance import BalancedOrder, rarest_classes
from mmad.data.features.files import FeatureFile, FeatureSource
from mmad.data.features.folders import FeatureFolder
from mmad.data.samples import FailedVideo
from mmad.data.windows import Window, sliding_windows, training_window, visible_annotations
from mmad.data.workers import share_of_worker
from mmad.errors import FeatureError
from mmad.models.backbones.features import interpolate_steps
from mmad.structures import Annotations, FeatureGrid, VideoRecord


def open_features(
    path: str | Path,
    *,
    grid: StoredGrid | None = None,
    file_name: str = "{video_id}",
    channels_first: bool = False,
) -> FeatureSource:
    """The features in a file or folder; arguments as in `FeatureFolder`.

    Raises: FeatureError if they cannot be read, or have another grid than ``grid``.
    """
    if not Path(path).is_dir():
        source: FeatureSource = FeatureFile(path)
    else:
        source = FeatureFolder(path, grid=grid, file_name=file_name, channels_first=channels_first)
    known = source.manifest.grid
    if grid is None:
        return source
    # A grid without a rate accepts that of the features.
    compared = known if known is None or grid.fps else known.model_copy(update={"fps": None})
    if compared != grid:
        raise FeatureError(
            f"{path}: the grid of these features is {_describe(known)}; data.grid is "
            f"{_describe(grid)}"
        )
    return source


def _describe(grid: StoredGrid | None) -> str:
    if grid is None:
        return "a different one for each video"
    rate = "each video's own rate" if grid.fps is None else f"{grid.fps:g} frames/s"
    return f"a step every {grid.stride_frames:g} frames from {grid.offset_frames:g} on, at {rate}"


@dataclass(frozen=True, eq=False)
class FeatureSample:
    """One window of the features of one video.

    Attributes:
        video_id: Id of the video.
        features_CT: float32 features; steps beyond the end of the video may follow.
        grid: Where its steps lie in the video; `num_steps` of them exist.
        annotations: Annotations in the window, in seconds of the video.
    """

    video_id: str
    features_CT: Tensor
    grid: FeatureGrid
    annotations: Annotations = field(default_factory=Annotations)


@dataclass(frozen=True, eq=False)
class FeatureBatch:
    """Windows of features, padded to one length.

    Attributes:
        features: Features (B, C, T), zero beyond the end of a window.
        mask: Whether each step exists, (B, T).
        grids, annotations, video_ids: One for each window.
    """

    features: Tensor
    mask: Tensor
    grids: tuple[FeatureGrid, ...]
    annotations: tuple[Annotations, ...]
    video_ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.video_ids)

    @property
    def inputs(self) -> tuple[Tensor, Tensor]:
        """The arguments of a detector on features."""
        return self.features, self.mask

    def to(self, device: torch.device) -> "FeatureBatch":
        """The batch with its tensors on ``device``."""
        return replace(
            self,
            features=self.features.to(device, non_blocking=True),
            mask=self.mask.to(device, non_blocking=True),
        )

    def pin_memory(self) -> "FeatureBatch":
        """The batch with its tensors in pinned memory, for a fast copy to a GPU."""
        return replace(self, features=self.features.pin_memory(), mask=self.mask.pin_memory())


def stack_features(
    items: Sequence[FeatureSample | FailedVideo],
) -> tuple[FeatureBatch | None, list[FailedVideo]]:
    """The batch of the samples (None if there are none) and the failures; for a loader."""
    samples = [item for item in items if isinstance(item, FeatureSample)]
    failures = [item for item in items if isinstance(item, FailedVideo)]
    if not samples:
        return None, failures
    length = max(sample.features_CT.shape[1] for sample in samples)
    features = torch.stack(
        [functional.pad(s.features_CT, (0, length - s.features_CT.shape[1])) for s in samples]
    )
    steps = torch.tensor([sample.grid.num_steps for sample in samples])
    mask = torch.arange(length)[None] < steps[:, None]
    batch = FeatureBatch(
        features=features * mask[:, None],
        mask=mask,
        grids=tuple(sample.grid for sample in samples),
        annotations=tuple(sample.annotations for sample in samples),
        video_ids=tuple(sample.video_id for sample in samples),
    )
    return batch, failures


class WindowReader:
    """Reads windows of stored features with as many steps as the network wants.

    Args:
        source: Stored features.
        steps_per_stored: Steps per stored step; 2 interpolates to twice as many.
    """

    def __init__(self, source: FeatureSource, *, steps_per_stored: float) -> None:
        self.source = source
        self._factor = steps_per_stored

    def grid(self, record: VideoRecord, *, start: int = 0, stop: int | None = None) -> FeatureGrid:
        """The grid of the stored rows ``start`` to ``stop``.

        Raises: FeatureError if the frame rate of the video is not known.
        """
        video = self.source.video(record.video_id)
        rows = (video.num_steps if stop is None else min(stop, video.num_steps)) - start
        steps = math.ceil(rows * self._factor)
        per_step = self.source.manifest.frames_per_step
        if per_step is not None and video.num_frames is not None:
            # Some frames of the last step may be repeated ones.
            frames = min(rows * per_step, video.num_frames - start * per_step)
            steps = math.ceil(frames * self._factor / per_step)
        offset = video.offset_frames + start * video.stride_frames
        if not self.source.manifest.is_dense:
            # Interpolation keeps the ends of the sequence, not the centres of its steps. Dense
            # features are interpolated as end to end, where reference implementations ignore this.
            offset += (0.5 / self._factor - 0.5) * video.stride_frames
        return FeatureGrid(
            fps=self._fps(record),
            stride_frames=video.stride_frames / self._factor,
            num_steps=steps,
            offset_frames=offset,
        )

    def sample(
        self, record: VideoRecord, window: Window, annotations: Annotations
    ) -> FeatureSample:
        """The features of a window of stored rows."""
        video = self.source.video(record.video_id)
        # The last window keeps the steps beyond the end of the video, because the interpolation
        # sees them end to end, too.
        stop = video.num_rows if window.stop >= video.num_steps else window.stop
        rows = torch.from_numpy(self.source.read(record.video_id, window.start, stop))
        if self._factor < 1 and len(rows) % round(1 / self._factor):
            rows = torch.cat((rows, rows[-1:]))
        features = interpolate_steps(rows.t()[None].contiguous(), factor=self._factor)[0]
        if not torch.isfinite(features).all():
            raise FeatureError(
                f"{self.source.path}: the features of video '{record.video_id}' hold values that "
                "are not finite; extract them again, with --dtype float32"
            )
        grid = self.grid(record, start=window.start, stop=window.stop)
        return FeatureSample(record.video_id, features, grid, annotations)

    def seconds_per_row(self, record: VideoRecord) -> float:
        """Seconds from one stored step to the next."""
        return self.source.video(record.video_id).stride_frames / self._fps(record)

    def first_second(self, record: VideoRecord) -> float:
        """Time of the first stored step in seconds."""
        return self.source.video(record.video_id).offset_frames / self._fps(record)

    def _fps(self, record: VideoRecord) -> float:
        fps = self.source.video(record.video_id).fps or record.fps
        if fps is None:
            raise FeatureError(
                f"{self.source.path}: the frame rate of video '{record.video_id}' is neither in "
                "the features nor in the annotations; set data.grid={fps: ...}"
            )
        return fps


class TrainingFeatures(Dataset):
    """One random window of the features of each video; the same one for the same seed, epoch and
    index.

    Videos with rare classes may have several places in an epoch, or be drawn more often.

    Args:
        records: Videos with their annotations.
        reader: Reader of their features.
        settings: Data settings.
        seed: Random seed of the run.
    """

    def __init__(
        self,
        records: Sequence[VideoRecord],
        reader: WindowReader,
        settings: FeatureDataSettings,
        *,
        seed: int,
    ) -> None:
        self.records = list(records)
        classes, counts = rarest_classes([record.annotations for record in self.records])
        self._order = BalancedOrder(classes, counts, settings)
        self._reader = reader
        self._settings = settings
        self._seed = seed

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, epoch_and_index: tuple[int, int]) -> FeatureSample | FailedVideo:
        """The window of place ``index`` of ``epoch``, which is a video."""
        rng = np.random.default_rng((self._seed, *epoch_and_index))
        record = self.records[self._order.item(epoch_and_index[1], rng=rng)]
        try:
            first = self._reader.first_second(record)
            window, annotations = training_window(
                self._reader.source.video(record.video_id).num_steps,
                _moved(record.annotations, -first),
                window_frames=self._settings.window_steps,
                seconds_per_frame=self._reader.seconds_per_row(record),
                min_visible=self._settings.min_visible,
                shorten=self._settings.shorten,
                rng=rng,
            )
            return self._reader.sample(record, window, _moved(annotations, first))
        except FeatureError as error:
            return FailedVideo(record.video_id, str(error))


def _moved(annotations: Annotations, seconds: float) -> Annotations:
    return Annotations(annotations.segments_seconds + seconds, annotations.labels)


class FeatureStream(IterableDataset):
    """Sliding windows of the features of videos. Workers of a loader take every n-th video.

    Args:
        records: Videos, with or without annotations.
        reader: Reader of their features.
        settings: Data settings.
    """

    def __init__(
        self, records: Sequence[VideoRecord], reader: WindowReader, settings: FeatureDataSettings
    ) -> None:
        self._records = list(records)
        self._reader = reader
        self._settings = settings

    def __iter__(self) -> Iterator[FeatureSample | FailedVideo]:
        for record in share_of_worker(self._records):
            try:
                yield from self._windows(record)
            except FeatureError as error:
                yield FailedVideo(record.video_id, str(error))

    def _windows(self, record: VideoRecord) -> Iterator[FeatureSample]:
        settings = self._settings
        start_seconds = self._reader.first_second(record)
        row_seconds = self._reader.seconds_per_row(record)
        for window in sliding_windows(
            self._reader.source.video(record.video_id).num_steps,
            window_frames=settings.window_steps,
            overlap=settings.window_overlap,
            keep_tail=settings.keep_tail,
        ):
            annotations = visible_annotations(
                record.annotations,
                start_seconds=start_seconds + window.start * row_seconds,
                stop_seconds=start_seconds + window.stop * row_seconds,
                min_visible=settings.min_visible,
            )
            yield self._reader.sample(record, window, annotations)
