"""Scores of predictions."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mmad.annotations.validation import OutOfVideo
from mmad.api.calls import public, warn
from mmad.api.files import Labels, prediction_file
from mmad.api.judging import (
    Annotated,
    Predicted,
    Thresholds,
    annotation_files,
    judged_detections,
    label_file,
    thresholds_of,
)
from mmad.api.tables import data_frame
from mmad.errors import PredictionError
from mmad.evaluation.breakdown import compare, comparison_json, draw_videos, interval, resample
from mmad.evaluation.clips.recognition import RecognitionReport, recognition_json
from mmad.evaluation.clips.scoring import RecognitionOptions, left_out_text, report_of
from mmad.evaluation.detection import (
    DetectionReport,
    Level,
    detection_json,
    evaluate_detections,
    levels_of,
)
from mmad.evaluation.emotions.metrics import EmotionReport, emotion_json, evaluate_emotions
from mmad.evaluation.emotions.models import EmotionOptions, read_emotion_models
from mmad.evaluation.emotions.predictions import is_emotion_file
from mmad.evaluation.file_labels import labels_of_clips
from mmad.evaluation.run_files import is_recognition, trial_of
from mmad.evaluation.ties import tie_range, ties_json

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, eq=False, repr=False)
class Scores:
    """The scores of predictions.

    Attributes:
        numbers: All numbers, as ``mmad eval --json`` writes them; fractions.
        report: The full result: a `DetectionReport`, `RecognitionReport` or `EmotionReport`.
        name: Name of the predictions.
    """

    numbers: Mapping[str, Any]
    report: DetectionReport | RecognitionReport | EmotionReport
    name: str

    @property
    def figures(self) -> dict[str, float]:
        """The main figures by name, fractions: the average mAP of each level and their mean; or F1
        and accuracy of clips; or accuracy, F1 and mAP of emotions.
        """
        report = self.report
        if isinstance(report, DetectionReport):
            found = {f"{name}_map": level.average for name, level in report.levels.items()}
            return {**found, "average": report.avg}
        if isinstance(report, RecognitionReport):
            found = {f"{name}_top1": level.top1 for name, level in report.levels.items()}
            return {**found, "f1_mean": report.f1_mean}
        numbers = self.numbers.items()
        return {name: float(value) for name, value in numbers if isinstance(value, float)}

    @public
    def to_frame(self) -> "DataFrame":
        """A pandas table of the main figures; of detections, the mAP at each level and threshold.

        Raises: MmadError if pandas is not installed.
        """
        if not isinstance(self.report, DetectionReport):
            figures = self.figures
            return data_frame({"figure": list(figures), "value": list(figures.values())})
        rows = [
            (name, tiou, value)
            for name, level in self.report.levels.items()
            for tiou, value in zip(level.tiou.tolist(), level.map.tolist(), strict=True)
        ]
        levels, thresholds, values = zip(*rows, strict=True)
        return data_frame({"level": levels, "tiou": thresholds, "map": values})

    @public
    def interval(self, level: str = "action", *, resamples: int = 1000) -> tuple[float, float]:
        """The 95 % bootstrap interval of the average mAP at a level, over videos.

        Raises: PredictionError if these are not scores of detections, or not of the level.
        """
        report = self._of_detections()
        if level not in report.levels:
            raise PredictionError(f"level '{level}': was not scored; {', '.join(report.levels)}")
        copies = draw_videos(report.num_videos, num_resamples=resamples)
        scored = report.levels[level]
        return interval(resample(scored, copies).average, scored.average)

    @public
    def compare(self, other: "Scores", *, resamples: int = 1000) -> dict[str, dict[str, Any]]:
        """How much better the other is, at each level: paired bootstrap over videos.

        Args:
            other: Scores of other detections on the same videos.
            resamples: Number of resamples.

        Returns: For each level ``difference`` of the average mAP (other minus this), its 95 %
        ``interval``, and more, as ``mmad eval --compare`` writes them.

        Raises: PredictionError if the two were not scored on the same videos by the same protocol.
        """
        first, second = self._of_detections(), other._of_detections()
        copies = draw_videos(first.num_videos, num_resamples=resamples)
        found = compare(first, second, copies=copies)
        return {name: dict(comparison_json(one)) for name, one in found.items()}

    def _of_detections(self) -> DetectionReport:
        if not isinstance(self.report, DetectionReport):
            raise PredictionError(f"{self.name}: intervals are for scores of detections")
        return self.report

    def __repr__(self) -> str:
        named = ", ".join(f"{name} {100 * value:.2f}" for name, value in self.figures.items())
        return f"<{self.name}: {named} (%)>"


@public
def evaluate(
    predictions: Predicted,
    annotations: Annotated | None = None,
    *,
    subset: str | None = None,
    tiou: Thresholds = "0.1:0.9",
    level: Level = "both",
    protocol: Literal["mma52", "opentad", "actionformer"] = "mma52",
    f1: Literal["per_class", "harmonic"] = "per_class",
    labels: Labels = None,
    out_of_video: OutOfVideo | None = None,
    only_predicted: bool = False,
    strict: bool = False,
) -> Scores:
    """The scores of predictions, as ``mmad eval`` computes them.

    Args:
        predictions: File of detections, of clips or of emotions; a run folder, for its predictions;
            or detections from a model, `read_predictions` or a pandas table.
        annotations: Annotations, or their files; None: those of the run that contains the file.
        subset: Subset of the annotations; None: that of the run, else "val"; for detections in
            memory, that of their videos.
        tiou: Thresholds: a number, several ([0.3, 0.5] or "0.3,0.5") or a range "0.1:0.9".
        level: Levels to score.
        protocol: Evaluation protocol; see docs/eval.md.
        f1: Rule of macro F1 of clips.
        labels: Labels, or a label file; None: as in the run, else by the file.
        out_of_video: As in `read_annotations`; None: as in the run.
        only_predicted: Leave out annotated videos without predictions.
        strict: Refuse reversed and empty rows instead of scoring them.

    Raises: PredictionError if the predictions cannot be read or do not fit the annotations,
        AnnotationError if these cannot be read.
    """
    thresholds = thresholds_of(tiou)
    if isinstance(predictions, str | os.PathLike):
        path = prediction_file(predictions, subset=subset)
        if is_emotion_file(path):
            given = annotation_files(annotations), subset, label_file(labels), only_predicted
            return _emotion_scores(path, EmotionOptions(*given, details=False))
        if is_recognition(path):
            lists, named = annotation_files(annotations), label_file(labels)
            return _clip_scores(path, RecognitionOptions(lists, subset, named, f1, only_predicted))
    judged, name = judged_detections(
        predictions, annotations, subset, labels, out_of_video, only_predicted, strict
    )
    warn(judged.warnings)
    report = evaluate_detections(
        judged.predictions[0],
        judged.annotations.records,
        labels=judged.annotations.labels,
        tiou=thresholds,
        protocol=protocol,
        levels=levels_of(level),
    )
    ties = {level_name: tie_range(one) for level_name, one in report.levels.items()}
    numbers = detection_json(report) | {"ties": ties_json(ties), "counts": judged.counts}
    return Scores(numbers, report, name)


def _clip_scores(path: Path, options: RecognitionOptions) -> Scores:
    labels = labels_of_clips(path, options.labels)
    report, num_left_out = report_of(path, options, labels=labels)
    notice = left_out_text(report, num_left_out)
    warn([notice] if notice else [])
    numbers = recognition_json(report, labels) | {"clips_left_out": num_left_out}
    trial = trial_of(path)
    return Scores(numbers if trial is None else numbers | {"trial": trial}, report, str(path))


def _emotion_scores(path: Path, options: EmotionOptions) -> Scores:
    read = read_emotion_models([path], options)
    notice = read.left_out_text()
    warn([notice] if notice else [])
    reports = read.each(partial(evaluate_emotions, labels=read.labels))
    report = next(iter(reports.values()))
    return Scores(emotion_json(report, labels=read.labels), report, str(path))
