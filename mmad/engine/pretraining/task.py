"""Masked pre-training as a task of the training loop."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mmad.config.pretraining import PretrainingConfig
from mmad.data.frames import FrameCache
from mmad.data.pretraining import (
    MaskedBatch,
    MaskedClips,
    MaskedPacker,
    Stretch,
    stretches_of,
)
from mmad.data.samples import FailedVideo
from mmad.engine.distributed import Processes
from mmad.engine.pretraining.probe import LinearProbe
from mmad.engine.pretraining.reconstruction import reconstructions
from mmad.engine.runs.folder import RunFolder
from mmad.engine.runs.pretrained import pretrained_file
from mmad.engine.task import Experiment, FirstReading, StartingBackbone, Validation
from mmad.errors import VideoError
from mmad.models.build import build_pretraining
from mmad.models.layers.loss_normalizer import LossNormalizer
from mmad.models.pretraining.network import MaskedAutoencoder
from mmad.progress import Progress
from mmad.report.pretraining.reconstructions import Reconstruction, draw_reconstructions
from mmad.video.find import video_paths
from mmad.video.index import index_video
from mmad.video.reading import ReadVideo
from mmad.video.sampling import usual_rate
from mmad.weights.decoder import fill_decoder
from mmad.wording import count

_log = logging.getLogger(__name__)

_SHOWN_CLIPS = 4


class PretrainingTask:
    """Losses and validation of a masked autoencoder.

    Args:
        config: Run configuration.
        validation: Stretches to validate on; may be empty.
        fps: Frame rate of the model; None uses each video's own.
        processes: Processes of the run.
        folder: Run folder, which receives the images.
        probe: Linear probe; None without labels.
        cache: Cache of frames for validation.
    """

    def __init__(
        self,
        config: PretrainingConfig,
        *,
        validation: Sequence[Stretch],
        fps: float | None,
        processes: Processes,
        folder: RunFolder,
        probe: LinearProbe | None,
        cache: FrameCache | None = None,
    ) -> None:
        self._config = config
        self._validation = MaskedClips(validation, config, training=False, fps=fps, cache=cache)
        self._reading = FirstReading()
        self._processes = processes
        self._folder = folder
        self._probe = probe
        self._skipped: set[str] = set()

    def prepare(self, batch: MaskedBatch, device: torch.device) -> MaskedBatch:
        """The batch on ``device``; videos that were skipped are named once."""
        self._reading.add(batch.batch)
        for failed in batch.skipped:
            if failed.video_id not in self._skipped:
                self._skipped.add(failed.video_id)
                _log.warning("%s; another video takes its place", failed.message)
        return batch.to(device)

    def losses(
        self, model: nn.Module, prepared: MaskedBatch
    ) -> tuple[Mapping[str, Tensor], Tensor]:
        """The sum of the errors of patches that the network has not seen, and their number."""
        painted = model(
            prepared.batch.clips,
            prepared.batch.colours,
            prepared.seen_places,
            prepared.painted_places,
        )
        counted = prepared.counted
        return {"loss": (painted.errors_NM * counted).sum()}, counted.sum().float()

    @torch.no_grad()
    def validate(self, model: nn.Module, *, quiet: bool = False) -> Validation:
        """The error of reconstruction, with images, and the scores of the probe."""
        assert isinstance(model, MaskedAutoencoder)
        model.eval()
        row: dict[str, float] = {}
        shown: list[Reconstruction] = []
        read: dict[str, ReadVideo] = {}
        total = num_counted = 0.0
        with Progress(
            "validate", total=len(self._validation), unit="clips", quiet=quiet
        ) as progress:
            for batch in self._validation_batches():
                prepared = self.prepare(batch, self._processes.device)
                losses, counted = self.losses(model, prepared)
                total += losses["loss"].item()
                num_counted += counted.item()
                read |= batch.batch.read
                if len(shown) < _SHOWN_CLIPS:
                    shown += reconstructions(model, prepared)
                progress.update(len(batch.batch))
        self._reading.tell(read)
        if num_counted:
            row["reconstruction_error"] = total / num_counted
        if self._probe is not None:
            row |= self._probe.score(
                model.features.backbone, device=self._processes.device, quiet=quiet
            )
        # Without videos to validate on, the probe alone says which weights are the best.
        figure = -row["reconstruction_error"] if num_counted else row.get("probe_top1", 0.0)
        if row and self._skipped:
            row["num_skipped_videos"] = len(self._skipped)
        model.train()
        return Validation(figure, row, lambda: self._draw(shown))

    def _draw(self, shown: Sequence[Reconstruction]) -> None:
        if shown:
            draw_reconstructions(self._folder.reconstructions, shown[:_SHOWN_CLIPS])

    def _validation_batches(self) -> Iterator[MaskedBatch]:
        collate = MaskedPacker(self._config.backbone.clip_frames)
        size = self._config.training.batch_videos
        indices = [(0, index) for index in range(len(self._validation))]
        loader = DataLoader(
            self._validation,
            batch_sampler=[indices[first : first + size] for first in range(0, len(indices), size)],
            collate_fn=collate,
            num_workers=self._config.data.num_workers,
        )
        for batch, failures in loader:
            for failed in failures:
                _log.warning("validation: %s; left out", failed.message)
            if batch is not None:
                yield batch


@dataclass(frozen=True)
class _Found:
    """Readable videos with their rates, and how many were not."""

    paths: Mapping[str, Path]
    rates: Mapping[str, float]
    num_broken: int


def _readable(folders: Sequence[str], *, most: int | None, quiet: bool) -> _Found:
    """The videos of the folders that can be opened; broken ones are counted and skipped.

    Raises: VideoError if there is none.
    """
    named = [
        (path.relative_to(folder).as_posix(), path)
        for folder in folders
        for path in video_paths(Path(folder))
    ]
    source = f"data.videos: {', '.join(folders)}"
    if not named:
        raise VideoError(f"{source}: no video files in it, at any depth")
    paths: dict[str, Path] = {}
    rates: dict[str, float] = {}
    broken: list[FailedVideo] = []
    with Progress("open videos", total=len(named), unit="videos", quiet=quiet) as progress:
        for name, path in named:
            if most is not None and len(paths) == most:
                break
            # Two folders may hold files of the same name.
            unique = name if name not in paths else str(path)
            try:
                rates[unique] = index_video(path).fps
                paths[unique] = path
            except VideoError as error:
                broken.append(FailedVideo(unique, str(error)))
            progress.update()
    if not paths:
        raise VideoError(
            f"{source}: none of {count(len(broken), 'video')} can be read; the first: "
            f"{broken[0].message}"
        )
    if broken and not quiet:
        _log.warning(
            "%s: %d of %s cannot be read and %s skipped, first %s",
            source,
            len(broken),
            count(len(broken) + len(paths), "video"),
            "is" if len(broken) == 1 else "are",
            broken[0].message,
        )
    return _Found(paths, rates, len(broken))


def _divided(config: PretrainingConfig, names: Sequence[str]) -> tuple[list[str], list[str]]:
    """The videos to train on, and those kept to validate on: a share of them, drawn by the seed."""
    share = config.data.val_share
    if config.data.val_videos is not None or share == 0 or len(names) < 2:
        return list(names), []
    order = np.random.default_rng((config.seed, 2)).permutation(len(names))
    kept = set(order[: max(1, round(share * len(names)))].tolist())
    training = [name for place, name in enumerate(names) if place not in kept]
    return training, [name for place, name in enumerate(names) if place in kept]


def _spread(stretches: Sequence[Stretch], most: int) -> list[Stretch]:
    """At most so many, evenly spread."""
    if len(stretches) <= most:
        return list(stretches)
    chosen = np.linspace(0, len(stretches) - 1, most).round().astype(int)
    return [stretches[place] for place in chosen]


def prepare_pretraining(
    config: PretrainingConfig, *, processes: Processes, folder: RunFolder
) -> Experiment:
    """Data, model, losses and validation of pre-training.

    Raises: MmadError for any problem with settings or videos.
    """
    data, quiet = config.data, not processes.is_main
    readable = _readable(data.videos, most=data.max_videos, quiet=quiet)
    usual = usual_rate(list(readable.rates.values()))
    fps = data.rate(usual=usual)
    training_names, kept_names = _divided(config, list(readable.paths))
    kept = {name: readable.paths[name] for name in kept_names}
    if data.val_videos is not None:
        kept = dict(_readable([data.val_videos], most=data.max_videos, quiet=quiet).paths)

    def stretches(paths: Mapping[str, Path]) -> list[Stretch]:
        return [
            one for name, path in paths.items() for one in stretches_of(path, name, config, fps=fps)
        ]

    training = stretches({name: readable.paths[name] for name in training_names})
    validation = _spread(stretches(kept), data.val_clips)
    model = build_pretraining(config)
    cache = FrameCache(budget_gb=data.cache_gb)
    keeps = data.cache_gb > 0 and data.num_workers == 0
    return Experiment(
        model=model,
        backbones=(StartingBackbone(model.features.backbone, config.backbone),),
        labels=None,
        task=PretrainingTask(
            config,
            validation=validation,
            fps=fps,
            processes=processes,
            folder=folder,
            probe=None if config.probe is None else LinearProbe(config),
            cache=cache if keeps else None,
        ),
        dataset=MaskedClips(training, config, training=True, fps=fps, cache=cache),
        num_items=len(training),
        collate=MaskedPacker(config.backbone.clip_frames),
        # The sum over patches of a step is divided by their number.
        normalizer=LossNormalizer(initial=1.0, momentum=0.0),
        facts={
            "fps": fps or usual,
            "num_videos": len(training_names),
            "num_stretches": len(training),
            "num_broken": readable.num_broken,
        },
        start_more=lambda: start_decoder(config, model),
    )


def start_decoder(config: PretrainingConfig, model: MaskedAutoencoder) -> list[str]:
    """Load the decoder of the weights that the backbone starts from, if they have one.

    Returns what to tell about it.

    Raises: CheckpointError if it has other dimensions.
    """
    pretrained = config.backbone.pretrained
    if pretrained is None:
        return []
    if config.decoder.start == "fresh":
        return ["decoder: a new one (decoder.start=fresh)"]
    file = pretrained_file(pretrained)
    report = fill_decoder(model.decoder, file)
    if report is None:
        return [f"decoder: {file.source} has none, so it starts fresh"]
    return [f"decoder: {report}"]
