"""A whole training, of any task: from settings to a run folder."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path

import torch

from mmad.checkpoint import frozen_state, hash_state, load_exactly, load_tensors
from mmad.config.reading import differing_settings, load_any_config
from mmad.config.run import AnyConfig
from mmad.engine.detection import prepare_detection
from mmad.engine.distributed import Processes, start_processes
from mmad.engine.features.stored import require_features_of, require_same_base
from mmad.engine.loop import Loop
from mmad.engine.optimiser import parameter_groups
from mmad.engine.recognition import prepare_recognition
from mmad.engine.runs.folder import (
    RunFolder,
    create_run,
    fill_from_run,
    read_state,
    save_frozen,
)
from mmad.engine.runs.pretrained import load_pretrained, settle_backbone
from mmad.engine.task import Experiment
from mmad.engine.tensorboard import TensorBoardLog, require_tensorboard
from mmad.errors import CheckpointError
from mmad.files import check_writable, write_text
from mmad.labels import LabelMap
from mmad.parsing import reading
from mmad.process_lock import held
from mmad.report.curves import draw_training_curves

EXPERIMENTS: Mapping[str, Callable[..., Experiment]] = {
    "detection": prepare_detection,
    "recognition": prepare_recognition,
}


def train_run(
    config: AnyConfig,
    *,
    out: Path,
    resume: bool = False,
    quiet: bool = False,
    device: str = "auto",
) -> RunFolder:
    """Train as the settings say; the results are in the run folder.

    Args:
        config: the run.
        out: run folder; must be new or empty unless ``resume``.
        resume: go on from the last checkpoint of ``out``; its own settings must be the same.
        quiet: no progress bar.
        device: as in `choose_device`.

    Raises: MmadError of some kind for whatever is wrong with settings, annotations, videos or
    weights; OutputError if another process trains in ``out``.
    """
    processes = start_processes(device)
    try:
        with held(out) if processes.is_main else nullcontext():
            return _train(config, out=out, resume=resume, quiet=quiet, processes=processes)
    finally:
        processes.close()


def _train(
    config: AnyConfig, *, out: Path, resume: bool, quiet: bool, processes: Processes
) -> RunFolder:
    if config.training.threads is not None:
        torch.set_num_threads(config.training.threads)
    folder = RunFolder(out)
    check_writable(out)
    config = settle_backbone(config, started=folder if resume else None)
    experiment = EXPERIMENTS[config.task](config, processes=processes, folder=folder)
    model = experiment.model
    report = None
    if config.backbone is not None and config.backbone.pretrained is not None and not resume:
        for backbone in experiment.backbones:
            report = load_pretrained(backbone, config)
        if report is not None and processes.is_main and not quiet:
            print(report)
    if config.training.start is not None and not resume:
        _start_from(config, experiment)
    if experiment.features is not None and resume:
        require_features_of(folder, experiment.features, source=_features(config))
    if config.training.tensorboard:
        require_tensorboard()
    _open_folder(config, folder, labels=experiment.labels, resume=resume, processes=processes)
    if resume:
        frozen, _ = load_tensors(folder.frozen)
        load_exactly(model, frozen, source=str(folder.frozen))
    elif processes.is_main:
        if report is not None:
            folder.append({"kind": "weights", "step": 0, "report": report.lines()})
        save_frozen(folder, model)
        if experiment.features is not None:
            write_text(folder.features, experiment.features.to_json())
        folder.append({"kind": "data", "step": 0, **experiment.facts})
    processes.wait()
    model.to(processes.device)
    loop = Loop(
        model=model.train(),
        task=experiment.task,
        dataset=experiment.dataset,
        num_videos=experiment.num_items,
        groups=parameter_groups(model, config.training),
        normalizer=experiment.normalizer.to(processes.device),
        settings=config.training,
        seed=config.seed,
        collate=experiment.collate,
        folder=folder,
        processes=processes,
        num_workers=config.data.num_workers,
        quiet=quiet,
    )
    loop.set_frozen_hash(hash_state(frozen_state(model)))
    if resume:
        _restore(loop, folder)
    else:
        loop.save()
    if config.training.tensorboard and processes.is_main:
        loop.tensorboard = TensorBoardLog(folder.tensorboard, first_step=loop.position.step)
    try:
        loop.run()
    finally:
        if loop.tensorboard is not None:
            loop.tensorboard.close()
    if processes.is_main:
        draw_training_curves(folder.curves, folder.rows())
    return folder


def _features(config: AnyConfig) -> str:
    return getattr(config.data, "features", "")


def _start_from(config: AnyConfig, experiment: Experiment) -> None:
    """Weights of ``training.start``.

    Raises: CheckpointError if they do not fit, FeatureError if they belong to other features.
    """
    assert config.training.start is not None
    start = RunFolder(Path(config.training.start))
    if start.config.is_file():
        _require_same_steps(config, start)
        if experiment.features is not None:
            require_features_of(start, experiment.features, source=_features(config))
        elif start.features.is_file():
            for backbone in experiment.backbones:
                require_same_base(backbone, start)
    pretrained = config.backbone is not None and config.backbone.pretrained is not None
    fill_from_run(experiment.model, start.path, keeps_backbone=pretrained)


def _require_same_steps(config: AnyConfig, start: RunFolder) -> None:
    wanted = getattr(config, "upsampling", None)
    found = getattr(load_any_config(start.config), "upsampling", None)
    if None not in (wanted, found) and wanted != found:
        raise CheckpointError(
            f"training.start={start.path}: was trained with upsampling {found:g}, this config "
            f"has {wanted:g}; its regression ranges would mean other lengths"
        )


def _open_folder(
    config: AnyConfig, folder: RunFolder, *, labels: LabelMap, resume: bool, processes: Processes
) -> None:
    out = folder.path
    if not resume:
        if processes.is_main:
            create_run(out, config, labels=labels)
        processes.wait()
        return
    if not folder.last.is_file() or not folder.frozen.is_file():
        raise CheckpointError(
            f"{out}: nothing was trained in it yet (no last.pt); start again without --resume"
        )
    if differing := differing_settings(load_any_config(folder.config), config):
        raise CheckpointError(
            f"{out}: was started with other settings ({'; '.join(differing[:3])}); resume with "
            f"{folder.config}, or choose another --out"
        )


def _restore(loop: Loop, folder: RunFolder) -> None:
    state = read_state(folder)
    if state.frozen_sha256 != hash_state(frozen_state(loop.model)):
        raise CheckpointError(
            f"{folder.frozen}: are not the frozen weights that {folder.last} belongs to"
        )
    with reading(folder.last, expected="the state of this training", error=CheckpointError):
        loop.restore(state)
    if loop.processes.is_main:
        folder.keep_rows_until(loop.position.step)
