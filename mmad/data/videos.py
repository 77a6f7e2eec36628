"""Data sets of videos: random windows for training, a stream of sliding windows for inference."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, IterableDataset

from mmad.config.backbones.family import BackboneFamilySettings
from mmad.config.data import DataSettings, FrameSettings, ImageSettings
from mmad.data.balance import BalancedOrder, rarest_classes
from mmad.data.clip_transform import Change, draw_look
from mmad.data.frames import FrameCache, FrameSource
from mmad.data.samples import FailedVideo, Sample, pad_frames
from mmad.data.transforms import Box, centre_box, colour_map, subtract_background
from mmad.data.windows import (
    Window,
    sliding_windows,
    spread_frames,
    training_window,
    truncate_to_frames,
    visible_annotations,
)
from mmad.data.workers import share_of_worker
from mmad.errors import VideoError
from mmad.structures import Annotations, FeatureGrid, VideoRecord
from mmad.video.index import index_video
from mmad.video.open import OpenedVideo, index_source
from mmad.video.sampling import sample_frames


def choose_frames(
    positions: NDArray[np.int64], settings: FrameSettings, *, path: Path
) -> tuple[NDArray[np.int64], float]:
    """The frames of a video that are used, and how many of ``positions`` each stands for.

    Args:
        positions: The frames at the rate of the model.
        settings: Which of them are used.
        path: The video, for messages.

    Raises: VideoError if the stride is as long as the video.
    """
    if 1 < len(positions) <= settings.frame_stride:
        raise VideoError(
            f"{path}: data.frame_stride {settings.frame_stride} would leave one of its "
            f"{len(positions)} frames, which shows no action; set it below {len(positions)}"
        )
    if settings.sampling == "whole":
        count = settings.window_frames
        return positions[spread_frames(len(positions), count=count)], len(positions) / count
    return positions[:: settings.frame_stride], settings.frame_stride


def make_grid(
    *,
    fps: float,
    frame_stride: float,
    window: Window,
    frames_per_step: int,
    upsampling: float,
) -> FeatureGrid:
    """The positions of the feature steps of a window in its video."""
    return FeatureGrid(
        fps=fps,
        stride_frames=frame_stride * frames_per_step / upsampling,
        num_steps=math.ceil(len(window) * upsampling / frames_per_step),
        offset_frames=float(window.start * frame_stride),
    )


def path_of(record: VideoRecord) -> Path:
    """The file of a video.

    Raises: VideoError if it is not known.
    """
    if record.path is None:
        raise VideoError(
            f"video '{record.video_id}': its file is not known; attach the video files first"
        )
    return record.path


def inference_sample(
    video_id: str,
    images: NDArray[np.uint8],
    grid: FeatureGrid,
    settings: DataSettings,
    *,
    backbone: BackboneFamilySettings,
    annotations: Annotations | None = None,
) -> Sample:
    """A window without augmentation, from its images as they were read, (F, H, W, 3)."""
    if settings.subtract_background:
        images = subtract_background(images)
    change = unvaried(images, settings)
    colour = colour_map(images, backbone.colours)
    return _finish(video_id, images, change, colour, grid, annotations or Annotations(), settings)


class TrainingVideos(Dataset):
    """One random window of each video; the same one for the same seed, epoch and index.

    Videos with rare classes may have several places in an epoch, or be drawn more often.

    Args:
        records: Videos with their annotations.
        settings: Data settings.
        backbone: Settings of the backbone that the windows are for.
        upsampling: Feature steps per step of the backbone.
        seed: Random seed of the run.
        fps: Frame rate of the model; None uses each video's own.
        cache: Cache of decoded frames.
    """

    def __init__(
        self,
        records: Sequence[VideoRecord],
        settings: DataSettings,
        *,
        backbone: BackboneFamilySettings,
        upsampling: float,
        seed: int,
        fps: float | None = None,
        cache: FrameCache | None = None,
    ) -> None:
        self.records = list(records)
        classes, counts = rarest_classes([record.annotations for record in self.records])
        self._order = BalancedOrder(classes, counts, settings)
        self._settings = settings
        self._backbone = backbone
        self._upsampling = upsampling
        self._seed = seed
        self._fps = fps
        cache = cache or FrameCache(budget_gb=settings.cache_gb)
        self._source = FrameSource(settings, training=True, cache=cache)

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, epoch_and_index: tuple[int, int]) -> Sample | FailedVideo:
        """The window of place ``index`` of ``epoch``, which is a video."""
        rng = np.random.default_rng((self._seed, *epoch_and_index))
        record = self.records[self._order.item(epoch_and_index[1], rng=rng)]
        try:
            return self._sample(record, rng)
        except VideoError as error:
            return FailedVideo(record.video_id, str(error))

    def _sample(self, record: VideoRecord, rng: np.random.Generator) -> Sample:
        settings = self._settings
        path = path_of(record)
        self._source.check(path)
        sampled = sample_frames(index_video(path), fps=self._fps, tolerance=settings.fps_tolerance)
        frames, stride = choose_frames(sampled.positions, settings, path=path)
        annotations = record.annotations
        if settings.truncate_annotations:
            annotations = truncate_to_frames(
                annotations,
                num_frames=len(sampled.positions),
                duration_seconds=record.duration_seconds,
                fps=sampled.fps,
            )
        window, annotations = training_window(
            len(frames),
            annotations,
            window_frames=settings.window_frames,
            seconds_per_frame=stride / sampled.fps,
            min_visible=settings.min_visible,
            shorten=(1.0, 1.0) if settings.sampling == "whole" else settings.shorten,
            rng=rng,
        )
        images = self._source.read(path, frames, slice(window.start, window.stop))
        if settings.subtract_background:
            images = subtract_background(images)
        change, colour = draw_look(
            images,
            settings,
            unvaried(images, settings),
            statistics=self._backbone.colours,
            seed=self._seed,
            rng=rng,
        )
        grid = make_grid(
            fps=sampled.fps,
            frame_stride=stride,
            window=window,
            frames_per_step=self._backbone.frames_per_step,
            upsampling=self._upsampling,
        )
        sample = _finish(
            record.video_id,
            images,
            change,
            colour,
            grid,
            annotations,
            settings,
            on=settings.augment_on,
        )
        read = self._source.found(path, resampled_fps=sampled.resampled_fps)
        return replace(sample, read=read)


def unvaried(frames: NDArray[np.uint8], settings: ImageSettings) -> Change:
    """The transform of images without augmentation."""
    height, width = frames.shape[1:3]
    box = Box(0, 0, height, width)
    if settings.resize == "crop":
        wanted_height, wanted_width = settings.image_hw
        box = centre_box(height, width, aspect=wanted_width / wanted_height)
    return Change(box, settings.image_hw, smooth=settings.resizing == "decoder")


def _finish(
    video_id: str,
    frames: NDArray[np.uint8],
    change: Change,
    colour: NDArray[np.float32],
    grid: FeatureGrid,
    annotations: Annotations,
    settings: DataSettings,
    *,
    on: Literal["loader", "device"] = "loader",
) -> Sample:
    later = change if on == "device" else None
    if later is None:
        frames = change(torch.from_numpy(frames)).numpy()
    num_valid = len(frames)
    if settings.pad_to_window:
        frames = pad_frames(frames, num_frames=settings.window_frames)
    return Sample(video_id, frames, num_valid, colour, grid, annotations, later)


class WindowStream(IterableDataset):
    """Sliding windows of videos; each video is decoded once, in order, one window in memory.

    Workers of a loader take every n-th video. Videos of another frame rate than the model's are
    resampled by time. The last window of a video tells what reading it revealed.

    Args:
        records: Videos, with or without annotations.
        settings: Data settings.
        backbone: Settings of the backbone that the windows are for.
        upsampling: Feature steps per step of the backbone.
        fps: Frame rate of the model; None uses each video's own.
        cache: Cache of decoded frames.
        sources: Opened videos, by id; the others are files.
    """

    def __init__(
        self,
        records: Sequence[VideoRecord],
        settings: DataSettings,
        *,
        backbone: BackboneFamilySettings,
        upsampling: float,
        fps: float | None = None,
        cache: FrameCache | None = None,
        sources: Mapping[str, OpenedVideo] | None = None,
    ) -> None:
        self._records = list(records)
        self._sources = sources or {}
        self._settings = settings
        self._backbone = backbone
        self._upsampling = upsampling
        self._fps = fps
        self._use_cache = cache is not None and settings.cache_gb > 0
        self._source = FrameSource(
            settings, training=False, cache=cache or FrameCache(budget_gb=settings.cache_gb)
        )

    def __iter__(self) -> Iterator[Sample | FailedVideo]:
        for record in share_of_worker(self._records):
            try:
                yield from self._windows(record)
            except VideoError as error:
                yield FailedVideo(record.video_id, str(error))

    def _windows(self, record: VideoRecord) -> Iterator[Sample]:
        settings = self._settings
        source = self._sources.get(record.video_id) or path_of(record)
        self._source.check(source)
        index = index_source(source)
        sampled = sample_frames(index, fps=self._fps, tolerance=settings.fps_tolerance)
        frames, stride = choose_frames(sampled.positions, settings, path=index.path)
        windows = sliding_windows(
            len(frames),
            window_frames=settings.window_frames,
            overlap=settings.window_overlap,
            keep_tail=settings.keep_tail,
        )
        if self._use_cache and len(windows) == 1:
            whole = self._source.read(index.path, frames, slice(None))
            parts: Iterator[NDArray[np.uint8]] = iter([whole])
        else:
            parts = self._source.stream(source, frames, windows)
        for number, (window, part) in enumerate(zip(windows, parts, strict=True), start=1):
            seconds_per_frame = stride / sampled.fps
            grid = make_grid(
                fps=sampled.fps,
                frame_stride=stride,
                window=window,
                frames_per_step=self._backbone.frames_per_step,
                upsampling=self._upsampling,
            )
            annotations = visible_annotations(
                record.annotations,
                start_seconds=window.start * seconds_per_frame,
                stop_seconds=window.stop * seconds_per_frame,
                min_visible=settings.min_visible,
            )
            sample = inference_sample(
                record.video_id,
                part,
                grid,
                settings,
                backbone=self._backbone,
                annotations=annotations,
            )
            if number == len(windows):
                read = self._source.found(source, resampled_fps=sampled.resampled_fps)
                sample = replace(sample, read=read)
            yield sample
