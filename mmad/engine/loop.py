"""The training loop; a task supplies the losses of a batch and the validation."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from mmad.checkpoint import load_exactly, save_state, save_tensors, trainable_state
from mmad.config.training import TrainingSettings
from mmad.data.samples import raise_failures
from mmad.engine.distributed import Processes
from mmad.engine.loggers.collection import Loggers
from mmad.engine.optimiser import build_optimizer, shared_state
from mmad.engine.precision import choose_precision
from mmad.engine.runs.folder import FROZEN_HASH, RunFolder, TrainingState
from mmad.engine.schedule import Averaged, WeightAverage, learning_rate
from mmad.engine.sharding import average_gradients, clip_gradients, release_gathered
from mmad.engine.task import Experiment, Validation
from mmad.errors import ConfigError, MmadError
from mmad.progress import Listener, Progress
from mmad.sharded import gathered


class TrainingDiverged(MmadError):  # noqa: N818
    """The loss is not finite; the last good state is kept."""


def epoch_order(num_videos: int, *, batch: int, seed: int, epoch: int) -> list[list[int]]:
    """The videos of each step of an epoch, in random order.

    An incomplete last batch is dropped; fewer videos than a batch are repeated to fill one.

    >>> epoch_order(5, batch=2, seed=0, epoch=0) == epoch_order(5, batch=2, seed=0, epoch=0)
    True
    >>> [len(step) for step in epoch_order(5, batch=2, seed=0, epoch=0)]
    [2, 2]
    >>> epoch_order(1, batch=2, seed=0, epoch=0)
    [[0, 0]]
    """
    order = np.random.default_rng((seed, epoch, 1)).permutation(num_videos)
    if num_videos < batch:
        return [np.resize(order, batch).tolist()]
    return order[: num_videos // batch * batch].reshape(-1, batch).tolist()


def micro_batches(
    *, num_videos: int, settings: TrainingSettings, seed: int, processes: Processes, first_step: int
) -> Iterator[list[tuple[int, int]]]:
    """The videos, as (epoch, index), of every micro-batch of this process, starting at a step.

    Where a batch repeats a video, each time has an epoch of its own, and so other random draws.
    """
    step = 0
    for epoch in range(settings.epochs):
        for videos in epoch_order(num_videos, batch=settings.batch_videos, seed=seed, epoch=epoch):
            if step >= first_step:
                drawn = [
                    (epoch + place // num_videos * settings.epochs, index)
                    for place, index in enumerate(videos)
                ]
                mine = drawn[processes.rank :: processes.count]
                size = len(mine) // settings.accumulate
                for start in range(0, len(mine), size):
                    yield mine[start : start + size]
            step += 1


@dataclass
class Position:
    """The progress of a training.

    Attributes:
        step: Number of steps done.
        best: Best validation figure so far, or minus infinity.
        best_step: Step at which it was reached.
    """

    step: int = 0
    best: float = -math.inf
    best_step: int = -1


@dataclass
class Loop:
    """A training: model, data and state.

    Args:
        experiment: Model (in training mode, on its device), task and data; only parameters that
            require a gradient are trained.
        groups: Parameter groups of the optimiser, as `parameter_groups` returns them.
        settings: Training settings.
        seed: Random seed of order, augmentation and drop-path.
        folder: Run folder.
        processes: Processes of the run.
        num_workers: Number of processes that read videos.
        quiet: Show no progress bar.
        loggers: Receive every row of the log too.
        listener: Called with the fraction done after each step; what it raises stops the training.
    """

    experiment: Experiment
    groups: Sequence[dict[str, Any]]
    settings: TrainingSettings
    seed: int
    folder: RunFolder
    processes: Processes
    num_workers: int = 0
    quiet: bool = False
    loggers: Loggers | None = None
    listener: Listener | None = None
    position: Position = field(default_factory=Position)

    def __post_init__(self) -> None:
        self.model, self.task = self.experiment.model, self.experiment.task
        self.normalizer = self.experiment.normalizer
        share = self.processes.count * self.settings.accumulate
        if self.settings.batch_videos % share:
            raise ConfigError(
                f"training.batch_videos {self.settings.batch_videos} is not a multiple of "
                "processes x accumulate "
                f"({self.processes.count} x {self.settings.accumulate})"
            )
        device = self.processes.device
        self.precision = choose_precision(self.settings.precision, device)
        self._rates = [group["lr"] for group in self.groups]
        self.optimizer = build_optimizer(self.groups, self.settings)
        self._scaler = torch.amp.GradScaler(enabled=self.precision == torch.float16)
        self._average = WeightAverage(self.model, decay=self.settings.ema_decay)
        self._frozen_hash = ""
        self._is_resumed = False
        self._wrapped: nn.Module = self.model
        self._is_sharded = self.settings.sharding == "full"
        if self.processes.count > 1 and not self._is_sharded:
            self._wrapped = DistributedDataParallel(
                self.model, device_ids=[device] if device.type == "cuda" else None
            )

    @property
    def steps_per_epoch(self) -> int:
        """Steps of an epoch."""
        return max(self.experiment.num_items // self.settings.batch_videos, 1)

    @property
    def num_steps(self) -> int:
        """Steps of the whole training."""
        return self.steps_per_epoch * self.settings.epochs

    # ---- state ----

    def state(self) -> dict[str, Any]:
        """Everything that resuming needs, complete in the main process; all must call this."""
        state = {
            "step": self.position.step,
            "best": self.position.best,
            "best_step": self.position.best_step,
            "trained": trainable_state(self.model),
            "average": self._average.state,
            "average_updates": self._average.num_updates,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
            "normalizer": self.normalizer.value,
            FROZEN_HASH: self._frozen_hash,
        }
        return gathered(state, keep=self.processes.is_main)

    def restore(self, state: TrainingState) -> None:
        """Resume from a saved state."""
        load_exactly(self.model, state.trained, source=str(self.folder.last))
        self._average.load(state.average, num_updates=state.average_updates)
        self.optimizer.load_state_dict(shared_state(state.optimizer, self.optimizer))
        self._scaler.load_state_dict(state.scaler)
        self.normalizer.value.copy_(state.normalizer)
        self.position = Position(state.step, state.best, state.best_step)
        self._is_resumed = True

    def set_frozen_hash(self, value: str) -> None:
        """Set the hash of the frozen weights that checkpoints carry."""
        self._frozen_hash = value

    def save(self) -> None:
        """Write the state to resume from; all processes must call this."""
        state = self.state() if self._is_sharded or self.processes.is_main else {}
        if self.processes.is_main:
            save_state(self.folder.last, state)

    # ---- training ----

    def run(self) -> None:
        """Train to the end.

        Raises: TrainingDiverged if the loss is not finite, VideoError if a video cannot be read.
        """
        loader = DataLoader(
            self.experiment.dataset,
            batch_sampler=micro_batches(
                num_videos=self.experiment.num_items,
                settings=self.settings,
                seed=self.seed,
                processes=self.processes,
                first_step=self.position.step,
            ),
            collate_fn=self.experiment.collate,
            num_workers=self.num_workers,
            pin_memory=self.processes.device.type == "cuda",
        )
        batches = iter(loader)
        quiet = self.quiet or not self.processes.is_main
        total, done = self.num_steps, self.position.step
        with Progress(
            "train", total=total, unit="steps", done=done, quiet=quiet, listener=self.listener
        ) as progress:
            if self._is_resumed:
                progress.say(f"resumed at step {done} of {total}")
            while self.position.step < total:
                row = self.step(batches)
                progress.update(detail=self._detail(row))
                end_of_epoch = self.position.step % self.steps_per_epoch == 0
                if end_of_epoch and self._is_validation_due(row["epoch"]):
                    self._validate(row["epoch"], progress)
                if end_of_epoch or self.position.step % self.settings.checkpoint_steps == 0:
                    self.save()

    def step(self, batches: Iterator[tuple[Any, list]]) -> dict[str, Any]:
        """Train on the next micro-batches of ``batches``; returns the row of the log."""
        started = time.perf_counter()
        step = self.position.step
        rates = self._set_rates(step)
        micro = []
        for _ in range(self.settings.accumulate):
            batch, failures = next(batches)
            raise_failures(failures)
            micro.append(self.task.prepare(batch, self.processes.device))
        # Some detectors know their positives only after the network has run, and micro-batches run
        # one after the other. So gradients use the old divisor and are corrected at the end.
        divisor = self.normalizer.value.item()
        sums: dict[str, Tensor] = {}
        positives: list[Tensor] = []
        for number, prepared in enumerate(micro):
            # The random state depends on the step alone, so that a resumed run draws the same
            # numbers.
            torch.manual_seed(_mix(self.seed, step, self.processes.rank, number))
            is_last = number == len(micro) - 1
            losses, count = self._backward(prepared, divisor, synchronise=is_last)
            positives.append(count)
            for name, value in losses.items():
                sums[name] = sums.get(name, torch.zeros_like(value)) + value
        normalizer = self.normalizer.update(
            self.processes.total(torch.stack(positives).sum())
        ).item()
        values = {
            name: self.processes.total(value).item() / normalizer for name, value in sums.items()
        }
        if not math.isfinite(values["loss"]):
            raise TrainingDiverged(
                f"step {step}: the loss is {values['loss']}; the state before it is kept in "
                f"{self.folder.last}. "
                "Lower the learning rates, or train with training.precision=bf16 or fp32"
            )
        norm = self._update(divisor / normalizer)
        self.position.step = step + 1
        row: dict[str, Any] = {
            "kind": "step",
            "step": self.position.step,
            "epoch": step // self.steps_per_epoch,
            **values,
            "learning_rate": max(rates),
            "normalizer": normalizer,
            "gradient_norm": norm,
            "seconds": round(time.perf_counter() - started, 4),
        }
        self._log(row)
        return row

    def _backward(
        self, prepared: Any, divisor: float, *, synchronise: bool
    ) -> tuple[dict[str, Tensor], Tensor]:
        model = self._wrapped
        if isinstance(model, DistributedDataParallel):
            model.require_backward_grad_sync = synchronise
        device = self.processes.device.type
        with torch.autocast(
            device,
            dtype=self.precision,
            enabled=self.precision is not None,
            # Its cache of cast weights would be a second backbone, which nobody has whole.
            cache_enabled=not self._is_sharded,
        ):
            losses, num_positives = self.task.losses(model, prepared)
        # DDP averages gradients over processes; the loss is a sum over all of them.
        scaled = losses["loss"] / divisor * self.processes.count
        self._scaler.scale(scaled).backward()
        return {name: value.detach() for name, value in losses.items()}, num_positives.detach()

    def _update(self, correction: float) -> float:
        """Take an optimiser step with the gradients times ``correction``; returns their norm."""
        self._scaler.unscale_(self.optimizer)
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        if self._is_sharded:
            average_gradients(parameters, self.processes)
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.grad.mul_(correction)
        norm = clip_gradients(parameters, self.settings.clip_gradient or math.inf)
        self._scaler.step(self.optimizer)
        self._scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self._average.update(self.model)
        return norm

    def _set_rates(self, step: int) -> list[float]:
        rates = [
            learning_rate(
                step, base=base, settings=self.settings, steps_per_epoch=self.steps_per_epoch
            )
            for base in self._rates
        ]
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        return rates

    def _log(self, row: Mapping[str, Any]) -> None:
        if self.processes.is_main:
            self.folder.append(row)
            if self.loggers is not None:
                self.loggers.append(row)

    def _detail(self, row: Mapping[str, Any]) -> str:
        text = f"loss {row['loss']:.3f}, learning rate {row['learning_rate']:.1e}"
        if self.processes.device.type == "cuda":
            text += f", {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB"
        return text

    def _validated(self, row: Mapping[str, Any]) -> str:
        found = ", ".join(f"{name} {value:.4g}" for name, value in row.items())
        return f"validation at step {self.position.step} of {self.num_steps}: {found}"

    # ---- validation ----

    def _is_validation_due(self, epoch: int) -> bool:
        settings = self.settings
        if epoch == settings.epochs - 1:
            return True
        since = epoch - settings.validate_from_epoch
        return since >= 0 and since % settings.validate_every == 0

    def _validate(self, epoch: int, progress: Progress) -> None:
        """Validate the averaged weights; keep them if they are the best.

        In the main process, but by all of them if each has only a share of the backbone.
        """
        if self._is_sharded or self.processes.is_main:
            quiet = self.quiet or not self.processes.is_main
            with Averaged(self.model, self._average):
                found = self.task.validate(self.model, quiet=quiet)
                if self._is_sharded:
                    release_gathered(self.experiment.backbones)
            # Without validation data there is no best checkpoint: the last weights are used.
            is_best = bool(found.row) and found.figure > self.position.best
            if is_best:
                self.position.best, self.position.best_step = found.figure, self.position.step
            average = gathered(self._average.state, keep=self.processes.is_main) if is_best else {}
            if self.processes.is_main:
                self._report(found, epoch, progress, best=average)
        self.processes.wait()

    def _report(
        self, found: Validation, epoch: int, progress: Progress, *, best: Mapping[str, Tensor]
    ) -> None:
        """Log a validation, and write the predictions and the weights if they are the best."""
        self._log({"kind": "validation", "step": self.position.step, "epoch": epoch, **found.row})
        if found.row:
            progress.say(self._validated(found.row))
        if best:
            found.keep()
            information = {
                FROZEN_HASH: self._frozen_hash,
                "step": str(self.position.step),
                "validation": repr(found.figure),
            }
            save_tensors(self.folder.best, best, metadata=information)


def _mix(*numbers: int) -> int:
    """A seed derived from several numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
