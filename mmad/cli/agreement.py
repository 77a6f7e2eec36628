"""``mmad agreement``: agreement of annotators, and their consensus."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from mmad.annotations.elan.choice import ElanChoice
from mmad.cli._inputs import refuse_inputs
from mmad.cli._options import (
    BootstrapOption,
    JsonOption,
    LabelsOption,
    LanguageOption,
    LevelOption,
    OutOfVideoOption,
    ResampleSeedOption,
    TierOption,
    TierTypeOption,
    TiouOption,
)
from mmad.errors import MmadError
from mmad.evaluation.agreement.consensus import find_consensus
from mmad.evaluation.agreement.consensus_files import (
    check_consensus_path,
    disputed_path,
    write_consensus,
)
from mmad.evaluation.agreement.panel import read_panel
from mmad.evaluation.agreement.report import measure_agreement
from mmad.evaluation.agreement.results import agreement_json
from mmad.evaluation.detection import levels_of, parse_tiou
from mmad.evaluation.file_labels import label_choice
from mmad.files import write_text
from mmad.report.agreement_tables import (
    agreement_table,
    consensus_text,
    videos_text,
    write_agreement,
)

app = typer.Typer(add_completion=False)


@app.command(name="agreement")
def agreement(
    files: Annotated[
        list[Path], typer.Argument(help="Annotations or predictions, one file per annotator.")
    ],
    tiou: TiouOption = "0.5",
    step: Annotated[
        float, typer.Option(min=0.01, help="Seconds between two samples of kappa.")
    ] = 0.1,
    interval: Annotated[
        float, typer.Option(min=0.1, help="Seconds of an interval of partial agreement.")
    ] = 10.0,
    level: LevelOption = "both",
    subset: Annotated[str | None, typer.Option(help="Compare videos of this subset only.")] = None,
    min_score: Annotated[
        float, typer.Option(min=0, max=1, help="Lowest score of a prediction.")
    ] = 0.5,
    labels: LabelsOption = None,
    out_of_video: OutOfVideoOption = None,
    tier: TierOption = None,
    tier_type: TierTypeOption = None,
    language: LanguageOption = None,
    consensus_file: Annotated[
        Path | None,
        typer.Option(
            "--consensus",
            help="Write the annotators' consensus: .json, .csv, .eaf, or a folder of ELAN files.",
        ),
    ] = None,
    table: Annotated[
        list[Path] | None,
        typer.Option(help="Also write the table here, as .csv or .xlsx; repeat for both."),
    ] = None,
    bootstrap: BootstrapOption = 1000,
    seed: ResampleSeedOption = 0,
    json_file: JsonOption = None,
) -> None:
    """Compare annotators: F1, kappa, partial agreement, ICC and boundaries in one table."""
    _check_outputs(files, consensus_file, table or [])
    thresholds = parse_tiou(tiou).tolist()
    panel = read_panel(
        files,
        min_score=min_score,
        labels=label_choice(labels) or "auto",
        out_of_video=out_of_video or "error",
        elan=ElanChoice.of(tier, tier_type, language),
    )
    for notice in panel.notices:
        typer.echo(f"note: {notice}")
    if subset is not None:
        panel = panel.of_subset(subset)
    report = measure_agreement(
        panel.annotators,
        labels=panel.labels,
        durations_seconds={name: one.duration_seconds for name, one in panel.videos.items()},
        tiou=thresholds,
        step_seconds=step,
        interval_seconds=interval,
        levels=levels_of(level),
        num_resamples=bootstrap,
        seed=seed,
        reasons=panel.reasons,
    )
    console = Console(width=180)
    console.print(agreement_table(report))
    console.print(videos_text(report), highlight=False, markup=False)
    for path in table or []:
        write_agreement(path, report)
    if consensus_file is not None:
        found = find_consensus(panel.annotators)
        disputed = write_consensus(consensus_file, found, panel)
        console.print(consensus_text(found), highlight=False)
        typer.echo(f"written to {consensus_file}, disputed instances to {disputed}")
    if json_file is not None:
        write_text(json_file, json.dumps(agreement_json(report), indent=1) + "\n")


def _check_outputs(files: Sequence[Path], consensus: Path | None, tables: Sequence[Path]) -> None:
    """Refuse to write to inputs, and tables of other kinds."""
    if consensus is not None:
        refuse_inputs([disputed_path(consensus)], files)
    for path in tables:
        if path.suffix.lower() not in (".csv", ".xlsx"):
            raise MmadError(f"--table {path}: expected a name that ends in .csv or .xlsx")
    if consensus is not None:
        check_consensus_path(consensus)
