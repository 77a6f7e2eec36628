"""Training of any task, from settings to a run folder."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from mmad.checkpoint import (
    fill_memory,
    frozen_state,
    hash_state,
    load_exactly,
    load_tensors,
)
from mmad.config.reading import differing_settings, flat_settings, load_any_config
from mmad.config.recognition import RecognitionConfig
from mmad.config.run import AnyConfig, DetectionRun, FeatureRun
from mmad.engine.detection import prepare_detection
from mmad.engine.distributed import Processes, start_processes
from mmad.engine.emotion import prepare_emotion
from mmad.engine.features.compatibility import require_features_of, require_same_base
from mmad.engine.loggers.collection import Loggers, require_loggers
from mmad.engine.loggers.contract import Ending, LoggedRun
from mmad.engine.loop import Loop
from mmad.engine.optimiser import parameter_groups
from mmad.engine.pretraining.task import prepare_pretraining
from mmad.engine.recognition import prepare_recognition, settle_labels
from mmad.engine.runs.folder import RunFolder, create_run, read_state, save_frozen
from mmad.engine.runs.hub import local_run
from mmad.engine.runs.load import fill_from_run, labels_of
from mmad.engine.runs.people import DRAWN_FACT, is_drawn
from mmad.engine.runs.pretrained import load_pretrained, settle_backbone
from mmad.engine.sharding import require_shardable, shard_backbones
from mmad.engine.task import Experiment
from mmad.errors import CheckpointError
from mmad.files import check_writable, write_text
from mmad.parsing import reading
from mmad.process_lock import held
from mmad.progress import Listener
from mmad.report.curves import draw_training_curves
from mmad.weights.hub import source_of
from mmad.weights.load import LoadReport

EXPERIMENTS: Mapping[str, Callable[..., Experiment]] = {
    "detection": prepare_detection,
    "recognition": prepare_recognition,
    "emotion": prepare_emotion,
    "pretraining": prepare_pretraining,
}


def train_run(
    config: AnyConfig,
    *,
    out: Path,
    resume: bool = False,
    quiet: bool = False,
    device: str = "auto",
    listener: Listener | None = None,
) -> RunFolder:
    """Train as the settings say; the results go to the run folder.

    Args:
        config: Run configuration.
        out: Run folder; must be new or empty unless ``resume``.
        resume: Resume from the last checkpoint of ``out``, whose settings must be the same.
        quiet: Show no progress bar.
        device: As in `choose_device`.
        listener: Called with the fraction done after each step; what it raises stops the training.

    Raises: MmadError for any problem with settings, annotations, videos or weights; OutputError if
        another process trains in ``out``.
    """
    processes = start_processes(device)
    try:
        with held(out) if processes.is_main else nullcontext():
            folder = RunFolder(out)
            check_writable(out)
            if config.training.threads is not None:
                torch.set_num_threads(config.training.threads)
            require_loggers(config.training.loggers)
            if isinstance(config, RecognitionConfig):
                config = settle_labels(config, tell=processes.is_main and not quiet)
            begin = _resumed_loop if resume else _new_loop
            loop = begin(config, folder, processes=processes, quiet=quiet)
            loop.listener = listener
            _run(loop, folder, config)
            return folder
    finally:
        processes.close()


def _run(loop: Loop, folder: RunFolder, config: AnyConfig) -> None:
    if loop.processes.is_main:
        settings = flat_settings(config)
        run = LoggedRun(folder.path, settings, first_step=loop.position.step)
        loop.loggers = Loggers(config.training.loggers, run, rows=folder.rows())
    ending: Ending = "failed"
    try:
        loop.run()
        ending = "finished"
    except KeyboardInterrupt:
        ending = "interrupted"
        raise
    finally:
        if loop.loggers is not None:
            loop.loggers.close(ending)
    if loop.processes.is_main:
        draw_training_curves(folder.curves, folder.rows())


def _new_loop(config: AnyConfig, folder: RunFolder, *, processes: Processes, quiet: bool) -> Loop:
    """A new training, in a new run folder."""
    config = settle_backbone(config)
    experiment = _experiment(config, folder, processes=processes)
    starts = {
        one.settings.pretrained: load_pretrained(*one)
        for one in experiment.backbones
        if one.settings.pretrained is not None
    }
    told = experiment.start_more()
    if processes.is_main and not quiet:
        for line in (*starts.values(), *told):
            print(line)
    if config.training.start is not None:
        _start_from(config, experiment)
    if processes.is_main:
        create_run(folder.path, config, labels=experiment.labels)
    loop = make_loop(config, experiment, folder, processes=processes, quiet=quiet)
    loop.set_frozen_hash(save_frozen(folder, experiment.model, is_main=processes.is_main))
    if processes.is_main:
        for report in starts.values():
            folder.append({"kind": "weights", "step": 0, **_facts_of(report)})
        if experiment.features is not None:
            write_text(folder.features, experiment.features.to_json())
        people = DRAWN_FACT if is_drawn(config) else {}
        folder.append({"kind": "data", "step": 0, **people, **experiment.facts})
    processes.wait()
    loop.save()
    return loop


def _experiment(config: AnyConfig, folder: RunFolder, *, processes: Processes) -> Experiment:
    """The experiment of the settings, with its backbones divided among processes if they say so."""
    require_shardable(config.training, processes)
    experiment = EXPERIMENTS[config.task](config, processes=processes, folder=folder)
    if config.training.sharding == "full":
        shard_backbones(experiment.backbones, processes)
    return experiment


def _resumed_loop(
    config: AnyConfig, folder: RunFolder, *, processes: Processes, quiet: bool
) -> Loop:
    """The training of a run folder, resumed from its last checkpoint.

    Raises: CheckpointError if there is none, or its settings differ.
    """
    if not folder.last.is_file() or not folder.frozen.is_file():
        raise CheckpointError(
            f"{folder.path}: nothing was trained in it yet (no last.pt); start again without "
            "--resume"
        )
    config = settle_backbone(config, started=folder)
    if differing := differing_settings(load_any_config(folder.config), config):
        raise CheckpointError(
            f"{folder.path}: was started with other settings ({'; '.join(differing[:3])}); resume "
            f"with {folder.config}, or choose another --out"
        )
    experiment = _experiment(config, folder, processes=processes)
    if experiment.labels is not None and labels_of(folder) != experiment.labels:
        raise CheckpointError(
            f"{folder.path}: was started with other classes than the data have now; choose another "
            "--out"
        )
    if experiment.features is not None:
        require_features_of(folder, experiment.features, source=_features(config))
    frozen, _ = load_tensors(folder.frozen)
    load_exactly(experiment.model, frozen, source=str(folder.frozen))
    fill_memory(experiment.model)  # of trained weights of a large network, which are restored below
    loop = make_loop(config, experiment, folder, processes=processes, quiet=quiet)
    state = read_state(folder)
    frozen_hash = hash_state(frozen_state(loop.model))
    if state.frozen_sha256 != frozen_hash:
        raise CheckpointError(
            f"{folder.frozen}: are not the frozen weights that {folder.last} belongs to"
        )
    with reading(folder.last, expected="the state of this training", error=CheckpointError):
        loop.restore(state)
    loop.set_frozen_hash(frozen_hash)
    if processes.is_main:
        folder.keep_rows_until(loop.position.step)
    return loop


def make_loop(
    config: AnyConfig,
    experiment: Experiment,
    folder: RunFolder,
    *,
    processes: Processes,
    quiet: bool,
) -> Loop:
    """The training loop of an experiment, at its first step."""
    model = experiment.model.to(processes.device).train()
    experiment.normalizer.to(processes.device)
    return Loop(
        experiment,
        groups=parameter_groups(model, config.training, factors=experiment.rate_factors),
        settings=config.training,
        seed=config.seed,
        folder=folder,
        processes=processes,
        num_workers=config.data.num_workers,
        quiet=quiet,
    )


def _features(config: AnyConfig) -> str:
    return config.data.features if isinstance(config, FeatureRun) else ""


def _facts_of(report: LoadReport) -> dict[str, Any]:
    """What the log keeps of loaded weights: every tensor, the file, and its place on the Hub."""
    source = source_of(Path(report.source))
    hub = {} if source is None else {"hub": asdict(source)}
    return {"report": report.lines(), "sha256": report.sha256, **hub}


def _start_from(config: AnyConfig, experiment: Experiment) -> None:
    """Load the weights of ``training.start``.

    Raises: CheckpointError if they do not fit, FeatureError if they belong to other features.
    """
    assert config.training.start is not None
    start = RunFolder(local_run(config.training.start))
    if start.config.is_file():
        _require_same_steps(config, start)
        if experiment.features is not None:
            require_features_of(start, experiment.features, source=_features(config))
        elif start.features.is_file():
            for one in experiment.backbones:
                require_same_base(one.backbone, start)
    pretrained = config.backbone is not None and config.backbone.pretrained is not None
    fill_from_run(experiment.model, start.path, labels=experiment.labels, keeps_backbone=pretrained)


def _require_same_steps(config: AnyConfig, start: RunFolder) -> None:
    earlier = load_any_config(start.config)
    if not isinstance(config, DetectionRun) or not isinstance(earlier, DetectionRun):
        return
    wanted, found = config.upsampling, earlier.upsampling
    if wanted != found:
        raise CheckpointError(
            f"training.start={start.path}: was trained with upsampling {found:g}, this config "
            f"has {wanted:g}; its regression ranges would mean other lengths"
        )
