"""The report on the quality of a model that `mmad project quality` shows and `methods` tells."""

from mmad.evaluation.blind.pull import measure_pull
from mmad.evaluation.blind.quality import measure_quality
from mmad.projects.study import Study
from mmad.report.project.quality import QualityReport


def quality_of(study: Study, *, tiou: float = 0.5, step_seconds: float = 0.1) -> QualityReport:
    """What the blind share of a study says.

    Args:
        study: The study.
        tiou: Lowest tIoU of a match.
        step_seconds: Time between two samples of kappa.
    """
    counted = study.tally(study.blind, tiou=tiou, step_seconds=step_seconds)
    pull = None
    if study.shown:
        shown = study.tally(study.shown, tiou=tiou, step_seconds=step_seconds)
        pull = measure_pull(*(measure_quality(one, fraction=0.0) for one in (shown, counted)))
    quality = measure_quality(counted, fraction=study.fraction)
    return QualityReport(study, quality, pull, tiou, step_seconds)
