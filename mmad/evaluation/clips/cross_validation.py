"""Summary of cross-validation or official splits: each fold, mean and deviation."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mmad.evaluation.clips.recognition import RecognitionReport, recognition_json
from mmad.labels import LabelMap

# Figures of each level, as named in `RecognitionLevel`.
FIGURES = ("top1", "top5", "mean_class_accuracy", "f1_macro", "f1_micro")


@dataclass(frozen=True)
class Spread:
    """A figure over folds.

    Attributes:
        mean: Mean over the folds, regardless of their numbers of clips.
        deviation: Standard deviation of the folds, divided by their number less one.
    """

    mean: float
    deviation: float


@dataclass(frozen=True, eq=False)
class FoldSummary:
    """The summary of all folds.

    Attributes:
        reports: Report of each fold by its name, two or more.
        levels: Spread of each figure by level; a figure that a fold lacks is left out.
        f1_mean: Spread of F1_mean.
    """

    reports: Mapping[str, RecognitionReport]
    levels: Mapping[str, Mapping[str, Spread]]
    f1_mean: Spread


def summarise_folds(reports: Mapping[str, RecognitionReport]) -> FoldSummary:
    """The summary of the reports of two or more folds, all at the same levels."""
    assert len(reports) > 1
    folds = list(reports.values())
    levels: dict[str, dict[str, Spread]] = {}
    for level in folds[0].levels:
        rows = {name: [getattr(one.levels[level], name) for one in folds] for name in FIGURES}
        levels[level] = {name: spread(row) for name, row in rows.items() if None not in row}
    return FoldSummary(reports, levels, spread([one.f1_mean for one in folds]))


def spread(values: list[float]) -> Spread:
    """Mean and standard deviation of two or more values.

    >>> spread([0.25, 0.75]).mean, round(spread([0.25, 0.75]).deviation, 4)
    (0.5, 0.3536)
    """
    return Spread(float(np.mean(values)), float(np.std(values, ddof=1)))


def folds_json(summary: FoldSummary, labels: LabelMap) -> dict[str, object]:
    """The numbers of a summary, as fractions: each fold as `recognition_json`, and the spread."""

    def numbers(what: str) -> dict[str, object]:
        of_levels = {
            level: {name: getattr(one, what) for name, one in figures.items()}
            for level, figures in summary.levels.items()
        }
        return {"f1_mean": getattr(summary.f1_mean, what), **of_levels}

    return {
        "folds": {name: recognition_json(one, labels) for name, one in summary.reports.items()},
        "mean": numbers("mean"),
        "standard_deviation": numbers("deviation"),
    }
