"""``mmad weights``: describe, convert, fetch and export weights."""

import shutil
from pathlib import Path
from typing import Annotated, Literal

import typer

from mmad.checkpoint import save_tensors
from mmad.cli._next_command import tell_next
from mmad.cli._options import OverridesArgument, RunArgument, SetOption
from mmad.config.reading import dump_config, load_config
from mmad.config.run import DetectionRun, require_videos
from mmad.engine.detection import read_data
from mmad.engine.optimiser import roles_in_backbones
from mmad.engine.runs.from_checkpoint import import_run
from mmad.engine.runs.hub import local_run, require_run
from mmad.engine.runs.load import is_pretraining, load_pretraining
from mmad.engine.runs.onto_videos import load_video_run
from mmad.errors import CheckpointError, ConfigError
from mmad.files import replaced_folder, require_new, write_bytes, write_text
from mmad.models.backbones.families import build_backbone
from mmad.weights.decoder import write_official, write_pretraining
from mmad.weights.describe import describe
from mmad.weights.export import write_hugging_face
from mmad.weights.files import read_weights
from mmad.weights.hub import fetch as fetch_from_hub
from mmad.weights.hub import hub_place
from mmad.weights.load import fill_backbone, find_weights
from mmad.weights.naming import backbone_names, detector_names
from mmad.wording import count

app = typer.Typer(add_completion=False)

Source = Annotated[str, typer.Argument(help="File, Hugging Face folder, shipped file or Hub id.")]
Current = Annotated[
    bool, typer.Option("--current", help="The weights themselves, not their moving average.")
]


@app.command()
def inspect(
    source: Source,
    overrides: OverridesArgument = None,
    config: Annotated[
        Path | None, typer.Option(help="Check that it loads into the backbone of this config.")
    ] = None,
    change: SetOption = None,
    keys: Annotated[bool, typer.Option("--keys", help="List every tensor.")] = False,
    current: Current = False,
) -> None:
    """Describe a file of weights, and whether it fits a config; no code in it is executed."""
    settings = _settings(config, change, overrides)
    file = read_weights(find_weights(source), averaged=not current)
    for line in describe(file):
        typer.echo(line)
    if keys:
        for name, value in file.tensors.items():
            typer.echo(f"  {name}  {tuple(value.shape)}  {str(value.dtype).removeprefix('torch.')}")
    if settings is not None:
        wanted = require_videos(settings).backbone
        backbone = build_backbone(wanted)
        allow = wanted.pretrained_allow
        for line in fill_backbone(backbone, file, allow=allow).lines():
            typer.echo(line)


def _settings(
    config: Path | None, change: list[str] | None, overrides: list[str] | None
) -> DetectionRun | None:
    changes = [*(change or []), *(overrides or [])]
    if config is not None:
        return load_config(config, overrides=changes)
    if changes:
        raise ConfigError(f"{changes[0]}: changes a setting of a config; pass --config FILE too")
    return None


@app.command()
def convert(
    source: Source,
    out: Annotated[Path, typer.Argument(help="A .safetensors file, or a new run folder.")],
    overrides: OverridesArgument = None,
    config: Annotated[
        Path | None,
        typer.Option(help="Config of the whole detector in the file; makes a run folder."),
    ] = None,
    change: SetOption = None,
    fps: Annotated[
        float | None, typer.Option(help="Frames per second of the videos it was trained on.")
    ] = None,
    current: Current = False,
) -> None:
    """Convert a backbone or a detector to safetensors in mmad's naming, or to a run folder.

    A run folder needs --config; one that names stored features takes an ActionFormer.
    """
    settings = _settings(config, change, overrides)
    if settings is not None:
        report = import_run(
            find_weights(source),
            settings,
            out=out,
            labels=read_data(settings)[1],
            fps=fps,
            averaged=not current,
        )
        typer.echo(str(report))
        typer.echo(f"{out}: a run folder, for mmad predict, detect and training.start={out}")
        tell_next("predict", out, "--subset", settings.data.val_subset)
        return
    if out.suffix != ".safetensors":
        raise CheckpointError(
            f"{out}: expected a name that ends in .safetensors, or --config for a whole detector"
        )
    file = read_weights(find_weights(source), averaged=not current)
    found = backbone_names(file.tensors) or detector_names(file.tensors)
    if found is None:
        raise CheckpointError(
            f"{file.source}: holds neither a backbone nor a detector in a known naming"
        )
    save_tensors(out, found.tensors, metadata={"source_sha256": file.sha256})
    typer.echo(
        f"{out}: {count(len(found.tensors), 'tensor')}, converted from {found.naming} naming to "
        "that of mmad"
    )
    tell_next("weights", "inspect", out)


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="Hub id, such as MCG-NJU/videomae-base.")],
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="New folder for a copy, to take to another machine.")
    ] = None,
) -> None:
    """Download weights, or a run, into the cache of the Hub, for use without a connection."""
    if hub_place(name) is None:
        raise CheckpointError(f"{name}: expected a Hub id, such as MCG-NJU/videomae-base")
    found = fetch_from_hub(name, revision=revision)
    if out is not None:
        require_new(out)
        with replaced_folder(out) as folder:
            if found.is_dir():
                shutil.copytree(found, folder, dirs_exist_ok=True)
            else:
                shutil.copyfile(found, folder / found.name)
        found = out if found.is_dir() else out / found.name
    if (found / "config.yaml").is_file():
        require_run(found, name=name)
        typer.echo(f"{found}: a run folder, for mmad detect, predict and recognize")
        return
    for line in describe(read_weights(found)):
        typer.echo(line)


@app.command()
def export(
    run: RunArgument,
    out: Annotated[Path, typer.Argument(help="New folder.")],
    trained_only: Annotated[
        bool,
        typer.Option("--trained-only", help="Adapters and head only, without the backbone."),
    ] = False,
    backbone: Annotated[
        str | None, typer.Option(help="For a run on features: current place of their backbone.")
    ] = None,
    naming: Annotated[
        Literal["hugging-face", "official"],
        typer.Option(help="Pre-training: the names of transformers, or of VideoMAE's own code."),
    ] = "hugging-face",
) -> None:
    """Write the merged model in Hugging Face's naming, or what was trained, with its config.

    Of a run of pre-training: encoder and decoder. These are weights; for the whole network as one
    ONNX file: mmad export.
    """
    require_new(out)
    run = local_run(run)
    if is_pretraining(run):
        if trained_only:
            raise ConfigError("--trained-only: all of a run of pre-training was trained")
        _export_pretraining(run, out, naming=naming)
        return
    if naming != "hugging-face":
        raise ConfigError(f"--naming {naming} is for runs of pre-training")
    model, config, _ = load_video_run(run, backbone=backbone)
    settings = config.backbone
    with replaced_folder(out) as folder:
        write_text(folder / "mmad-config.yaml", dump_config(config))
        write_bytes(folder / "mmad-labels.json", (run / "labels.json").read_bytes())
        if trained_only:
            roles = roles_in_backbones(model)
            trained = {
                name: value
                for name, value in model.state_dict().items()
                if not settings.freeze or name not in roles or roles[name].role == "adapter"
            }
            save_tensors(folder / "trained.safetensors", trained)
        else:
            head = {f"detector.{name}": value for name, value in model.network.state_dict().items()}
            write_hugging_face(folder, model.features.backbone, others=head)
    typer.echo(f"{out}: {', '.join(sorted(path.name for path in out.iterdir()))}")
    tell_next("weights", "inspect", out / "trained.safetensors" if trained_only else out)


def _export_pretraining(run: Path, out: Path, *, naming: str) -> None:
    model, config = load_pretraining(run)
    with replaced_folder(out) as folder:
        write_text(folder / "mmad-config.yaml", dump_config(config))
        if naming == "official":
            write_official(folder / "checkpoint.pth", model)
        else:
            write_pretraining(folder, model)
    typer.echo(f"{out}: {', '.join(sorted(path.name for path in out.iterdir()))}")
    tell_next("weights", "inspect", out / "checkpoint.pth" if naming == "official" else out)
