"""Tables of recognition results for the terminal."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from rich.markup import escape
from rich.table import Table

from mmad.evaluation.clips.cross_validation import FoldSummary
from mmad.evaluation.clips.recognition import RecognitionLevel, RecognitionReport
from mmad.evaluation.clips.summed_scores import CoefficientSweep
from mmad.labels import LabelMap
from mmad.report.tables import percent
from mmad.wording import count


def recognition_table(report: RecognitionReport, *, trial: str | None = None) -> Table:
    """Accuracy, its mean over classes, and F1 (%) of each level, and F1_mean.

    Args:
        report: Results of the predictions.
        trial: Why they are those of a trial, written below the table.
    """
    rule = "" if report.f1 == "per_class" else f", macro F1 {report.f1}"
    table = Table(title=f"Recognition (%){rule}", title_justify="left", **_noted(trial))
    table.add_column("level")
    for name in ("top-1", "top-5", "class mean", "F1 macro", "F1 micro"):
        table.add_column(name, justify="right")
    table.add_column("F1_mean", justify="right", style="bold")
    for name, level in report.levels.items():
        numbers = (
            *(level.top1, level.top5, level.mean_class_accuracy),
            *(level.f1_macro, level.f1_micro),
        )
        table.add_row(name, *(percent(value) for value in numbers), "")
    table.add_section()
    table.add_row("all", "", "", "", "", "", percent(report.f1_mean))
    return table


def _noted(trial: str | None) -> dict[str, Any]:
    """Arguments of a table with this note below it."""
    if trial is None:
        return {}
    return {"caption": escape(f"trial: {trial}"), "caption_justify": "left"}


def folds_table(
    summary: FoldSummary, *, level: str, trials: Mapping[str, str] | None = None
) -> Table:
    """Accuracy and F1 (%) of each fold at a level, their mean and standard deviation.

    Args:
        summary: Results of the folds.
        level: Level of the figures.
        trials: By the name of a fold, why it is a trial, written below the table.
    """
    trials = trials or {}
    note = "; ".join(dict.fromkeys(trials.values())) or None
    table = Table(title=f"Folds, {level} (%)", title_justify="left", **_noted(note))
    table.add_column("fold")
    names = {
        **{"top1": "top-1", "top5": "top-5", "mean_class_accuracy": "class mean"},
        **{"f1_macro": "F1 macro", "f1_micro": "F1 micro"},
    }
    for name in ("clips", *names.values(), "F1_mean"):
        table.add_column(name, justify="right")
    for fold, report in summary.reports.items():
        values = [percent(getattr(report.levels[level], name)) for name in names]
        name = f"{fold} (trial)" if fold in trials else fold
        table.add_row(escape(name), str(report.num_clips), *values, percent(report.f1_mean))
    table.add_section()
    for title, what in (("mean", "mean"), ("standard deviation", "deviation")):
        figures = summary.levels[level]
        values = [
            percent(getattr(figures[name], what)) if name in figures else percent(None)
            for name in names
        ]
        row = (title, "", *values, percent(getattr(summary.f1_mean, what)))
        table.add_row(*row, style="bold" if what == "mean" else None)
    return table


def sweep_table(sweep: CoefficientSweep) -> Table:
    """Accuracy and F1 (%) of each level at each weight of local features, the highest in bold."""
    several = f", mean of {len(sweep.reports)} files" if len(sweep.reports) > 1 else ""
    table = Table(title=f"Weight of local features (%){several}", title_justify="left")
    table.add_column("lambda", justify="right")
    columns = []
    names = {"top1": "top-1", "mean_class_accuracy": "class mean", "f1_macro": "F1 macro"}
    levels = list(sweep.reports[0][0].levels)
    for level in levels:
        for figure, name in names.items():
            table.add_column(f"{level} {name}" if len(levels) > 1 else name, justify="right")
            columns.append(sweep.means(level, figure))
    for row, weight in enumerate(sweep.coefficients):
        cells = [
            f"[bold]{percent(values[row])}[/bold]"
            if values[row] == values.max()
            else percent(values[row])
            for values in columns
        ]
        table.add_row(f"{weight:g}", *cells)
    return table


def sweep_text(sweep: CoefficientSweep) -> str:
    """Text on the weight of the runs and the best one."""
    own = " and ".join(f"{weight:g}" for weight in dict.fromkeys(sweep.own))
    top1 = sweep.means("action", "top1")
    start = f"trained with lambda {own}; 0 is the classifier alone; top-1 is "
    if top1.min() == top1.max():
        return start + "the same at all"
    best = ", ".join(
        f"{weight:g}"
        for weight, value in zip(sweep.coefficients, top1, strict=True)
        if value == top1.max()
    )
    return f"{start}highest at {best}: a choice that these clips have made, so report it on others"


def most_confused(level: RecognitionLevel, *, top: int = 10) -> list[tuple[int, int, int, float]]:
    """Annotated label, first prediction, number of clips and their share of the label's, most clips
    first.

    Ties stay in the order of labels; correct predictions are left out.
    """
    wrong = level.confusion.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:top]
    pairs = zip(*np.unravel_index(order, wrong.shape), strict=True)
    return [
        (int(i), int(j), int(wrong[i, j]), float(wrong[i, j] / level.num_clips_per_label[i]))
        for i, j in pairs
        if wrong[i, j]
    ]


def confusion_table(
    report: RecognitionReport, labels: LabelMap, *, level: str = "action", top: int = 10
) -> Table:
    """The most confused pairs of labels at a level; share is of the annotated label's clips (%)."""
    names = labels if level == "action" else labels.parent_map
    table = Table(title=f"Most confused ({level})", title_justify="left")
    table.add_column("truth")
    table.add_column("prediction")
    table.add_column("clips", justify="right")
    table.add_column("share (%)", justify="right")
    for annotated, first, num_clips, share in most_confused(report.levels[level], top=top):
        table.add_row(names.title(annotated), names.title(first), str(num_clips), percent(share))
    return table


def recognition_counts_text(report: RecognitionReport) -> str:
    """Text on what was counted."""
    missing = f" ({report.num_missing} without a prediction, counted as wrong)"
    return count(report.num_clips, "clip") + (missing if report.num_missing else "")
