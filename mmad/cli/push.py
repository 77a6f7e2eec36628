"""``mmad push``: put a run on the Hugging Face Hub, with a model card made from it."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from mmad.cli._card import CardOptions, card_facts
from mmad.cli._next_command import tell_next
from mmad.cli._options import AnnotationsOption
from mmad.engine.runs.folder import RunFolder
from mmad.engine.runs.hub import write_run_for_hub
from mmad.errors import CheckpointError
from mmad.export.reading import is_exported
from mmad.files import replaced_folder, require_new
from mmad.report.model_card import model_card
from mmad.weights.hub import hub_place, upload

app = typer.Typer(add_completion=False)


@app.command()
def push(
    run: Annotated[Path, typer.Argument(help="Run folder of a trained model.")],
    repository: Annotated[
        str, typer.Argument(metavar="ORG/NAME", help="Id of the repository on the Hub.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Also keep what is pushed in this new folder.")
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Write the folder (default: hub/NAME), and push nothing."),
    ] = False,
    private: Annotated[
        bool, typer.Option("--private", help="Make the repository private, if it is new.")
    ] = False,
    licence: Annotated[
        str | None,
        typer.Option(
            "--licence",
            "--license",
            help="Licence of the weights, such as cc-by-nc-4.0; default: that of the pre-trained "
            "weights, if they are from the Hub.",
        ),
    ] = None,
    data_licence: Annotated[
        str | None, typer.Option(help="Sentence on the licence of the data, for the model card.")
    ] = None,
    annotations: AnnotationsOption = None,
) -> None:
    """Push weights (safetensors), settings, labels and a model card; no pickle, no data."""
    place = hub_place(repository)
    if place is None or place.revision is not None or place.file is not None:
        raise CheckpointError(f"{repository}: expected ORG/NAME, such as my-lab/dsta-mma52")
    if is_exported(run):
        raise CheckpointError(f"{run}: is an exported file; pass the run folder it was made from")
    options = CardOptions(licence, data_licence, annotations)
    facts, missing = card_facts(RunFolder(run), repository, options)
    for sentence in missing:
        typer.echo(f"warning: in the model card, {sentence}")
    if licence is not None and facts.base_licence not in (None, licence):
        typer.echo(
            f"warning: the pre-trained weights, which are part of these, have the licence "
            f"{facts.base_licence}; make sure that {licence} is compatible with it"
        )
    kept = out or (Path("hub") / place.repository.split("/")[1] if dry_run else None)
    if kept is not None:
        require_new(kept)
    with tempfile.TemporaryDirectory() as temporary:
        target = kept or Path(temporary) / "run"
        with replaced_folder(target) as folder:
            write_run_for_hub(RunFolder(run), folder, card=model_card(facts))
        files = sorted(path.name for path in target.iterdir())
        if dry_run:
            typer.echo(f"{target}: {', '.join(files)}; nothing was pushed")
            typer.echo(f"read {target / 'README.md'}, then push without --dry-run")
            return
        address = upload(target, place.repository, private=private, tell=typer.echo)
    typer.echo(f"{address}: {', '.join(files)}")
    command = "detect" if facts.task == "detection" else "recognize"
    tell_next(command, "VIDEO", "--checkpoint", repository)
