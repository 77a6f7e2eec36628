"""A linear classifier on the features of a frozen backbone: what it knows before any adapter."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from mmad.annotations.label_files import labels_named
from mmad.config.pretraining import PretrainingConfig
from mmad.config.recognition import ClipDataSettings
from mmad.data.clips import EvaluationClips
from mmad.data.frames import FrameCache
from mmad.data.samples import Packer, raise_failures
from mmad.engine.precision import choose_precision
from mmad.engine.recognition import listed_clips
from mmad.errors import AnnotationError
from mmad.models.backbones.contract import Backbone
from mmad.models.backbones.features import normalise_windows
from mmad.progress import Progress
from mmad.structures import ClipRecord

_VIEWS = 2


class LinearProbe:
    """A ridge regression from the vectors of clips to their labels.

    Args:
        config: Settings of the pre-training, with those of the probe.
        cache: Cache of decoded frames.

    Raises: AnnotationError if a list is wrong, empty or without labels, VideoError with the
        missing files.
    """

    def __init__(self, config: PretrainingConfig, *, cache: FrameCache) -> None:
        assert config.probe is not None
        self._config, self._settings = config, config.probe
        self._labels = labels_named(config.probe.labels)
        data = config.data
        self._data = ClipDataSettings(
            labels=config.probe.labels,
            train=config.probe.train,
            val=config.probe.val,
            clips=config.probe.clips,
            image_size=data.image_size,
            short_side=min(data.image_hw),
            resize=data.resize,
            resizing=data.resizing,
            subtract_background=data.subtract_background,
            reader=data.reader,
            max_missing=data.max_missing,
            num_workers=data.num_workers,
            cache_gb=data.cache_gb,
            sampling="dense",
            frame_interval=data.frame_stride,
            val_clips=_VIEWS,
            augmentation=None,
        )
        self._clips = {
            subset: listed_clips(self._data, subset, labels=self._labels)
            for subset in ("train", "val")
        }
        for subset, clips in self._clips.items():
            if any(clip.label is None for clip in clips):
                raise AnnotationError(
                    f"probe.{subset}: a list without labels; expected 'name.mp4 label'"
                )
        self._cache = cache

    def score(
        self, backbone: Backbone, *, device: torch.device, quiet: bool = False
    ) -> dict[str, float]:
        """Share of the validation clips whose label the classifier names, for the log."""
        total = sum(map(len, self._clips.values()))
        with Progress("probe", total=total, unit="clips", quiet=quiet) as progress:
            vectors = {
                subset: self._vectors(backbone, clips, device=device, progress=progress)
                for subset, clips in self._clips.items()
            }
        labels = {
            subset: np.array([clip.label for clip in clips])
            for subset, clips in self._clips.items()
        }
        weights = fit_ridge(
            vectors["train"],
            labels["train"],
            num_classes=len(self._labels),
            shrinkage=self._settings.shrinkage,
        )
        named = weights(vectors["val"]).argmax(axis=1)
        return {"probe_top1": float((named == labels["val"]).mean())}

    def _vectors(
        self,
        backbone: Backbone,
        clips: Sequence[ClipRecord],
        *,
        device: torch.device,
        progress: Progress,
    ) -> NDArray[np.float64]:
        """The mean of the vectors of the views of each clip, (clips, C)."""
        dataset = EvaluationClips(
            clips, self._data.views("val"), backbone=self._config.backbone, cache=self._cache
        )
        keeps = self._data.cache_gb > 0
        loader = DataLoader(
            dataset,
            batch_size=self._settings.batch_clips,
            collate_fn=Packer(clip_frames=self._config.backbone.images_per_clip),
            num_workers=0 if keeps else min(self._data.num_workers, len(clips)),
        )
        precision = choose_precision(self._config.training.precision, device)
        parts = []
        with torch.inference_mode():
            for batch, failures in loader:
                raise_failures(failures)
                moved = batch.to(device)
                with torch.autocast(device.type, dtype=precision, enabled=precision is not None):
                    images = normalise_windows(moved.clips, moved.colours, moved.clips_per_window)
                    video_of_clip = torch.arange(len(images), device=device)
                    pooled = backbone.pool_clips(backbone(images, video_of_clip))
                views = pooled.double().unflatten(0, (len(batch), -1))
                parts.append(views.mean(dim=1).cpu().numpy())
                progress.update(len(batch))
        return np.concatenate(parts)


class Ridge:
    """A fitted linear classifier."""

    def __init__(
        self,
        mean: NDArray[np.float64],
        deviation: NDArray[np.float64],
        weights: NDArray[np.float64],
        bias: NDArray[np.float64],
    ) -> None:
        self._mean, self._deviation = mean, deviation
        self._weights, self._bias = weights, bias

    def __call__(self, vectors_NC: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scores of the classes, (N, K)."""
        return (vectors_NC - self._mean) / self._deviation @ self._weights + self._bias


def fit_ridge(
    vectors_NC: NDArray[np.float64],
    labels_N: NDArray[np.int64],
    *,
    num_classes: int,
    shrinkage: float,
) -> Ridge:
    """The ridge regression of one-hot labels on standardised vectors."""
    mean, deviation = vectors_NC.mean(axis=0), vectors_NC.std(axis=0) + 1e-8
    x_NC = (vectors_NC - mean) / deviation
    y_NK = np.eye(num_classes)[labels_N]
    bias = y_NK.mean(axis=0)
    gram = x_NC.T @ x_NC + shrinkage * np.eye(x_NC.shape[1])
    return Ridge(mean, deviation, np.linalg.solve(gram, x_NC.T @ (y_NK - bias)), bias)
