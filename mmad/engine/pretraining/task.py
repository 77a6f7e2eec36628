"""Masked pre-training as a task of the training loop."""

import logging
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mmad.config.pretraining import PretrainingConfig
from mmad.data.frames import FrameCache
from mmad.data.pretraining import MaskedBatch, MaskedClips, MaskedPacker, Stretch
from mmad.engine.distributed import Processes
from mmad.engine.pretraining.probe import LinearProbe
from mmad.engine.pretraining.reconstruction import reconstructions
from mmad.engine.pretraining.videos import find_stretches
from mmad.engine.runs.folder import RunFolder
from mmad.engine.runs.pretrained import pretrained_file
from mmad.engine.task import Experiment, FirstReading, StartingBackbone, Validation
from mmad.models.build import build_pretraining
from mmad.models.layers.loss_normalizer import LossNormalizer
from mmad.models.pretraining.network import MaskedAutoencoder
from mmad.progress import Progress
from mmad.report.pretraining.reconstructions import Reconstruction, draw_reconstructions
from mmad.video.reading import ReadVideo
from mmad.weights.decoder import fill_decoder

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


def prepare_pretraining(
    config: PretrainingConfig, *, processes: Processes, folder: RunFolder
) -> Experiment:
    """Data, model, losses and validation of pre-training.

    Raises: MmadError for any problem with settings or videos.
    """
    videos = find_stretches(config, quiet=not processes.is_main)
    model = build_pretraining(config)
    cache = FrameCache(budget_gb=config.data.cache_gb)
    keeps = config.data.cache_gb > 0 and config.data.num_workers == 0
    return Experiment(
        model=model,
        backbones=(StartingBackbone(model.features.backbone, config.backbone),),
        labels=None,
        task=PretrainingTask(
            config,
            validation=videos.validation,
            fps=videos.fps,
            processes=processes,
            folder=folder,
            probe=None if config.probe is None else LinearProbe(config, cache=cache),
            cache=cache if keeps else None,
        ),
        dataset=MaskedClips(videos.training, config, training=True, fps=videos.fps, cache=cache),
        num_items=len(videos.training),
        collate=MaskedPacker(config.backbone.clip_frames),
        # The sum over patches of a step is divided by their number.
        normalizer=LossNormalizer(initial=1.0, momentum=0.0),
        facts={
            "fps": videos.fps or videos.usual_fps,
            "num_videos": videos.num_videos,
            "num_stretches": len(videos.training),
            "num_broken": videos.num_broken,
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
