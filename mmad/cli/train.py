"""``mmad train``: train a model from a config."""

from pathlib import Path
from typing import Annotated

import typer

from mmad.cli._next_command import hint_to_resume, new_run, tell_next
from mmad.cli._options import DeviceOption, LabelsOption, OverridesArgument
from mmad.cli.data._options import SubjectsOption
from mmad.config.pretraining import PretrainingConfig
from mmad.config.reading import dump_config, load_any_config, run_folder_of, with_fold
from mmad.config.recognition import RecognitionConfig
from mmad.config.run import AnyConfig, DetectionRun, VideoRun
from mmad.engine.own_data import prepare_own_data
from mmad.engine.runs.folder import RunFolder
from mmad.engine.smoke import smoke_config
from mmad.engine.training import train_run
from mmad.errors import ConfigError
from mmad.evaluation.file_labels import label_choice

app = typer.Typer(add_completion=False)


@app.command()
def train(
    config: Annotated[Path, typer.Argument(help="YAML file, your own or a shipped one.")],
    overrides: OverridesArgument = None,
    out: Annotated[
        Path | None, typer.Option(help="Run folder; default runs/CONFIG, or runs/CONFIG_foldK.")
    ] = None,
    fold: Annotated[
        str | None,
        typer.Option(metavar="K", help="Clips: hold this fold out of training, to validate on."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume from the last checkpoint of --out.")
    ] = False,
    annotations: Annotated[
        list[Path] | None,
        typer.Option(
            help="Your own annotations, files or a folder: they are split if they are not in "
            "subsets, and windows, rate and passes follow from them."
        ),
    ] = None,
    videos: Annotated[
        Path | None, typer.Option(help="With --annotations: folder of their videos.")
    ] = None,
    labels: LabelsOption = None,
    subjects: SubjectsOption = None,
    smoke: Annotated[
        bool,
        typer.Option("--smoke", help="Quick check: two tiny videos, two blocks, one step."),
    ] = False,
    show_config: Annotated[
        bool, typer.Option("--show-config", help="Print all settings and exit.")
    ] = False,
    device: DeviceOption = "auto",
) -> None:
    """Train a model; checkpoints, log, curves and predictions go to the run folder."""
    words = overrides or []
    own = None
    if annotations:
        out = _own_folder(out, resume=resume)
        own = prepare_own_data(
            config,
            annotations=annotations,
            videos=videos or _beside(annotations[0]),
            labels=label_choice(labels) or "auto",
            subjects=subjects,
            out=out.with_name(f"{out.name}_data"),
            overrides=words,
        )
        for sentence in own.told:
            typer.echo(sentence)
        words = list(own.overrides)
    elif videos is not None or labels is not None or subjects is not None:
        raise ConfigError("--videos, --labels and --subjects are for --annotations; pass it, too")
    settings = load_any_config(config, overrides=words)
    if isinstance(settings, PretrainingConfig):
        raise ConfigError(f"{config}: is a config of pre-training; pass it to mmad pretrain")
    if fold is not None:
        settings = with_fold(settings, fold)
    folder = out or run_folder_of(config, settings)
    if smoke:
        settings = smoke_config(settings, data=folder.parent / "smoke_data")
    if show_config:
        typer.echo(dump_config(settings), nl=False)
        return
    with hint_to_resume("train", folder, device=device):
        run = train_run(settings, out=folder, resume=resume, device=device)
    typer.echo(f"{run.path}: trained{_kept(settings, run)}")
    training, validation = "train", "val"
    if isinstance(settings, RecognitionConfig) and settings.data.test:
        training = "test"
    if isinstance(settings, DetectionRun):
        training, validation = settings.data.train_subsets[0], settings.data.val_subset
    predictions = run.predictions(validation, ".csv")
    if own and isinstance(settings, VideoRun):
        shown = next(one for one in own.videos if one.subset == validation)
        tell_next("detect", shown.path, "--checkpoint", run.path)
        return
    if not predictions.is_file():
        tell_next("predict", run.path, "--subset", training)
    elif isinstance(settings, DetectionRun):
        tell_next("eval", predictions)
    else:
        tell_next("report", run.path)


def _own_folder(out: Path | None, *, resume: bool) -> Path:
    """The run folder of a training on one's own annotations.

    Raises: ConfigError if the run to resume is not named.
    """
    if out is None and resume:
        raise ConfigError("--resume: name the run folder with --out")
    return out or new_run("own")


def _beside(annotations: Path) -> Path:
    """The folder of an annotation file, in which its videos often are."""
    return annotations if annotations.is_dir() else annotations.parent


def _kept(settings: AnyConfig, run: RunFolder) -> str:
    """What is kept of a run in which no validation has chosen it."""
    if run.best.is_file():
        return ""
    averaged = ", averaged (EMA)" if settings.training.ema_decay else ""
    return f"; no validation has chosen a checkpoint, so the last weights are used{averaged}"
