"""``mmad figures`` of recognisers: probabilities, features, confusion, coefficients, saliency."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from mmad.cli._options import (
    AnnotationsOption,
    DeviceOption,
    LabelsOption,
    RecogniserOption,
    RunSubsetOption,
)
from mmad.cli._recogniser import JudgedRecognisers, judge_recognisers
from mmad.cli.figures._predictions import prediction_files
from mmad.cli.figures._writing import (
    CsvOption,
    OutOption,
    WidthAsNeeded,
    WidthOption,
    inches_of,
    write_drawn,
)
from mmad.errors import PredictionError, VideoError
from mmad.evaluation.clips.scoring import RecognitionOptions, sweep_of
from mmad.evaluation.file_labels import common_labels_of_clips
from mmad.evaluation.run_files import subset_of

OneOrTwo = Annotated[
    list[Path] | None,
    typer.Argument(help="Run folder or predictions of a recogniser, or of two to compare."),
]


def probabilities(
    runs: OneOrTwo = None,
    *,
    out: OutOption,
    csv: CsvOption = None,
    width: WidthOption = "page",
    clip: Annotated[
        list[str] | None,
        typer.Option(help="Clip to show; repeat it for several. Default: six telling ones."),
    ] = None,
    annotations: AnnotationsOption = None,
    subset: RunSubsetOption = None,
    labels: LabelsOption = None,
) -> None:
    """Draw the probabilities of all labels for a few clips (MA-52, Fig. 4)."""
    found = _judge(runs, annotations, kind="probabilities", subset=subset, labels=labels)
    rows = found.rows_of(clip or [])
    # Not at the top: matplotlib is slow to import, and messages do without.
    from mmad.report.recogniser_figures.probabilities import draw_probabilities

    drawn = draw_probabilities(
        found.recognisers,
        found.clips,
        labels=found.labels,
        rows=rows,
        width_inches=inches_of(width),
    )
    write_drawn(drawn, out=out, csv=csv)


def features(
    runs: OneOrTwo = None,
    *,
    out: OutOption,
    csv: CsvOption = None,
    width: WidthAsNeeded = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the t-SNE.")] = 0,
    annotations: AnnotationsOption = None,
    subset: RunSubsetOption = None,
    labels: LabelsOption = None,
) -> None:
    """Draw the features of all clips in the plane, by t-SNE (MA-52, Fig. 5)."""
    found = _judge(
        runs, annotations, kind="features", subset=subset, labels=labels, needs_features=True
    )
    from mmad.report.recogniser_figures.features import draw_features

    drawn = draw_features(
        found.recognisers,
        found.clips,
        labels=found.labels,
        seed=seed,
        width_inches=width and inches_of(width),
    )
    write_drawn(drawn, out=out, csv=csv)


def confusion(
    run: Annotated[
        Path | None, typer.Argument(help="Run folder or predictions of a recogniser.")
    ] = None,
    *,
    out: OutOption,
    csv: CsvOption = None,
    width: WidthAsNeeded = None,
    level: Annotated[
        Literal["action", "body"], typer.Option(help="Actions, or body parts.")
    ] = "action",
    annotations: AnnotationsOption = None,
    subset: RunSubsetOption = None,
    labels: LabelsOption = None,
) -> None:
    """Draw the confusion matrix of a recogniser (MA-52, Fig. 6)."""
    runs = None if run is None else [run]
    found = _judge(runs, annotations, kind="confusion", subset=subset, labels=labels)
    (one,) = found.recognisers
    if level not in one.report.levels:
        raise PredictionError("--level body: the labels have no body parts; pass --level action")
    from mmad.report.recogniser_figures.confusion import draw_confusion

    drawn = draw_confusion(
        one, labels=found.labels, level=level, width_inches=width and inches_of(width)
    )
    write_drawn(drawn, out=out, csv=csv)


def coefficients(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(help="Run folder or predictions of a recogniser with heads.name=mlfe."),
    ] = None,
    *,
    out: OutOption,
    csv: CsvOption = None,
    width: WidthAsNeeded = None,
    annotations: AnnotationsOption = None,
    subset: RunSubsetOption = None,
    labels: LabelsOption = None,
) -> None:
    """Draw the accuracy over the weight of local features, the mean of folds (MLFE, Fig. 5)."""
    files = prediction_files(runs, kind="coefficients", of="clips", subset=subset)
    options = RecognitionOptions(annotations, subset, labels, "per_class", False)
    sweep = sweep_of(files, options, labels=common_labels_of_clips(files, labels))
    from mmad.report.recogniser_figures.coefficients import draw_coefficients

    drawn = draw_coefficients(sweep, width_inches=width and inches_of(width))
    write_drawn(drawn, out=out, csv=csv)


def saliency(
    clips: Annotated[
        list[Path] | None, typer.Argument(help="Video files, each of one action.")
    ] = None,
    *,
    checkpoint: RecogniserOption,
    out: OutOption,
    csv: CsvOption = None,
    width: WidthOption = "page",
    device: DeviceOption = "auto",
) -> None:
    """Draw what the best action of clips is seen in (MLFE, Fig. 4)."""
    if not clips:
        raise VideoError("saliency shows clips; pass one video file or several")
    # Not at the top: torch and matplotlib are slow to import, and other figures do without torch.
    from mmad.cli._saliency import saliency_of_files
    from mmad.engine.runs.hub import local_run
    from mmad.report.recogniser_figures.saliency import draw_saliency

    found = saliency_of_files(clips, local_run(checkpoint), device=device)
    write_drawn(draw_saliency(found, width_inches=inches_of(width)), out=out, csv=csv)


def _judge(
    runs: Sequence[Path] | None,
    annotations: list[Path] | None,
    *,
    kind: str,
    subset: str | None,
    labels: str | None,
    needs_features: bool = False,
) -> JudgedRecognisers:
    files = prediction_files(runs, kind=kind, of="clips", subset=subset)
    if len(files) > 2:
        raise PredictionError(f"expected one recogniser or two, found {len(files)}")
    return judge_recognisers(
        files,
        annotations,
        subset=subset or subset_of(files[0]),
        labels=labels,
        needs_features=needs_features,
    )
