"""The agreement of annotators as rows of one table."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mmad.evaluation.agreement.icc import IccPair
from mmad.files import finite
from mmad.labels import LabelMap


@dataclass(frozen=True)
class Estimate:
    """A measure and its 95 % interval over videos; None where it is undefined."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Deviation:
    """Deviation of the boundaries of matched annotations in seconds.

    Attributes:
        mean: Signed mean, second minus first; None without matches, and for more than two
            annotators.
        mean_absolute: Mean of absolute values.
        median_absolute: Median of absolute values, or None.
    """

    mean: float | None
    mean_absolute: Estimate
    median_absolute: float | None


@dataclass(frozen=True)
class AgreementRow:
    """The agreement of some annotators on one label, or on all labels of a level.

    Attributes:
        level: "action" or "body".
        annotators: Two of them, or all.
        label: Index of the label, or None for all together.
        num_instances: Annotations of each of these annotators.
        num_matched: Matched pairs at each threshold; of more than two annotators, over all pairs.
        f1: 2 * matched / (annotations of both) at each threshold; mean over pairs.
        kappa: Cohen's kappa over time; Fleiss' for more than two; for all labels the mean over
            those that have one.
        partial: Partial agreement of counts within intervals; for all labels, over those that any
            annotator has; mean over pairs.
        partial_scored: The same over the intervals in which at least one of two has any.
        partial_seconds: Partial agreement of seconds within intervals.
        icc_counts: Intraclass correlations of the numbers of annotations in each video.
        icc_seconds: Those of the seconds in which each video shows the label.
        start: Deviation of the starts of pairs that are matched at the first threshold.
        end: Deviation of their ends.
    """

    level: str
    annotators: tuple[str, ...]
    label: int | None
    num_instances: tuple[int, ...]
    num_matched: tuple[int, ...]
    f1: tuple[Estimate, ...]
    kappa: Estimate
    partial: Estimate
    partial_scored: Estimate
    partial_seconds: Estimate
    icc_counts: IccPair | None
    icc_seconds: IccPair | None
    start: Deviation
    end: Deviation


@dataclass(frozen=True)
class AgreementReport:
    """The agreement of several annotators.

    Attributes:
        annotators: Their names.
        videos: Ids of the videos that all have annotated, which were compared.
        left_out: Id of each other video, and who has annotated it.
        labels: Labels of each level.
        tiou: Thresholds.
        step_seconds: Interval of the times at which kappa compares.
        interval_seconds: Length of the intervals of partial agreement.
        num_resamples: Bootstrap resamples of the videos; 0 for no intervals.
        seed: Their seed.
        rows: One row for all labels and one for each that any annotator has; first of all
            annotators if they are more than two, then of every pair.
    """

    annotators: tuple[str, ...]
    videos: tuple[str, ...]
    left_out: Mapping[str, tuple[str, ...]]
    labels: Mapping[str, LabelMap]
    tiou: tuple[float, ...]
    step_seconds: float
    interval_seconds: float
    num_resamples: int
    seed: int
    rows: tuple[AgreementRow, ...]

    def row(
        self, *annotators: str, label: int | None = None, level: str = "action"
    ) -> AgreementRow:
        """The row of these annotators, all by default; KeyError if there is none."""
        wanted = (annotators or self.annotators, label, level)
        for one in self.rows:
            if (one.annotators, one.label, one.level) == wanted:
                return one
        raise KeyError(wanted)


def agreement_json(report: AgreementReport) -> dict[str, Any]:
    """The numbers of a report for a JSON file; labels by name."""
    content = {
        "annotators": list(report.annotators),
        "videos": list(report.videos),
        "left_out": {video: list(names) for video, names in report.left_out.items()},
        "tiou": list(report.tiou),
        "step_seconds": report.step_seconds,
        "interval_seconds": report.interval_seconds,
        "bootstrap": {"resamples": report.num_resamples, "seed": report.seed},
        "rows": [
            asdict(row)
            | {"label": None if row.label is None else report.labels[row.level].names[row.label]}
            for row in report.rows
        ],
    }
    found = finite(content)
    assert isinstance(found, dict)
    return found
