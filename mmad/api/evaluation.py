"""Annotations and predictions from files, and scores and errors of predictions."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mmad.annotations import formats
from mmad.annotations.elan.choice import ElanChoice
from mmad.annotations.formats import AnnotationSet, LabelChoice
from mmad.annotations.validation import OutOfVideo
from mmad.api.calls import Place, paths_of, public, warn
from mmad.api.results import Detections, Found, by_video, named_detections
from mmad.api.tables import data_frame, predictions_of_frame
from mmad.errors import PredictionError
from mmad.evaluation.breakdown import compare, comparison_json, draw_videos, interval, resample
from mmad.evaluation.clips.recognition import RecognitionReport, recognition_json
from mmad.evaluation.clips.scoring import RecognitionOptions, left_out_text, report_of
from mmad.evaluation.detection import (
    DetectionReport,
    detection_json,
    evaluate_detections,
    parse_tiou,
)
from mmad.evaluation.emotions.metrics import EmotionReport, emotion_json, evaluate_emotions
from mmad.evaluation.emotions.models import EmotionOptions, read_emotion_models
from mmad.evaluation.emotions.predictions import is_emotion_file
from mmad.evaluation.error_analysis import ErrorReport, analyse_errors
from mmad.evaluation.file_labels import known_labels, label_choice, labels_of_clips
from mmad.evaluation.predictions import Predictions, write_predictions_csv, write_predictions_json
from mmad.evaluation.predictions import read_predictions as read_file
from mmad.evaluation.run_files import (
    Judged,
    is_recognition,
    judge,
    newest_predictions,
    read_judged,
    trial_of,
)
from mmad.evaluation.ties import tie_range, ties_json
from mmad.labels import MA52, LabelMap
from mmad.report.error_tables import error_json, error_tables
from mmad.structures import VideoRecord

if TYPE_CHECKING:
    from pandas import DataFrame

Level = Literal["action", "body", "both"]
Labels = LabelMap | Place | None
Annotated = AnnotationSet | Place | Sequence[Place]
Thresholds = str | float | Sequence[float]
Predicted: TypeAlias = "Place | Found | DataFrame"


@public
def read_annotations(
    path: Place | Sequence[Place],
    *,
    format: str = "auto",
    subset: str | Sequence[str] | None = None,
    labels: Labels = None,
    out_of_video: OutOfVideo = "error",
    tiers: Sequence[str] = (),
    fps: float | None = None,
) -> AnnotationSet:
    """The annotated videos of a file, of several, or of a folder, in any format of docs/data.md.

    Args:
        path: File, files or folder.
        format: Name of the format; "auto" detects it.
        subset: Subset, or subsets, to keep; None: all.
        labels: Labels; a label file; "ma52"; "file", those of the file itself; None: by the file.
        out_of_video: An annotation that is not inside its video is an "error", cut ("clip") or left
            out ("drop").
        tiers: For ELAN files: tiers to read, or patterns; by default all.
        fps: Frame rate of the videos, for files without one.

    Raises: AnnotationError with all problems of all files.
    """
    found = formats.read_annotations(
        paths_of(path) if not isinstance(path, str | os.PathLike) else Path(path),
        format=format,
        subsets=[subset] if isinstance(subset, str) else subset,
        labels=_labels(labels) or "auto",
        out_of_video=out_of_video,
        elan=ElanChoice.of(tiers, None, None) if tiers else None,
        fps=fps,
        tell=lambda _: None,
    )
    warn(found.notices)
    return found


@public
def read_predictions(
    source: "Place | DataFrame", *, labels: Labels = None, strict: bool = False
) -> list[Detections]:
    """The detections of each video in a file of predictions, a run, or a pandas table.

    Args:
        source: CSV (also .gz, .zip) or JSON; a run folder, for the predictions of its validation
            subset; or a table with the columns of `Detections.to_frame`.
        labels: Labels, or a label file; None: those of the run that contains the file, else MA-52.
        strict: Refuse reversed and empty rows.

    Raises: PredictionError with all problems.
    """
    if not isinstance(source, str | os.PathLike):
        classes = _labels(labels)
        named = classes if isinstance(classes, LabelMap) else MA52
        return named_detections(predictions_of_frame(source, named), [], named)
    path = _file(source)
    classes = _labels(labels)
    named = classes if isinstance(classes, LabelMap) else known_labels(path) or MA52
    found = read_file(path, labels=named, strict=strict)
    if text := found.odd_rows_text():
        warn([f"{path}: {text}; --strict refuses them"])
    return named_detections(found, [], named)


@public
def write_predictions(path: Place, found: Detections | Sequence[Detections]) -> Path:
    """Write detections of videos: ActivityNet-style JSON for .json, else the challenge's CSV.

    Args:
        path: File to write.
        found: Detections of a video, or of each of several.

    Returns: The path.

    Raises: PredictionError if they have different labels, OutputError if it cannot be written.
    """
    named = by_video(found)
    target = Path(path)
    if target.suffix.lower() != ".json":
        write_predictions_csv(target, named)
        return target
    each = [found] if isinstance(found, Detections) else found
    labels = {one.label_map for one in each} or {MA52}
    if len(labels) > 1:
        raise PredictionError(f"{path}: the detections have different label sets; write two files")
    write_predictions_json(target, named, labels.pop())
    return target


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
    thresholds = _thresholds(tiou)
    if isinstance(predictions, str | os.PathLike):
        path = _file(predictions, subset=subset)
        if is_emotion_file(path):
            given = _files(annotations), subset, _text(labels), only_predicted
            return _emotion_scores(path, EmotionOptions(*given, details=False))
        if is_recognition(path):
            lists, named = _files(annotations), _text(labels)
            return _clip_scores(path, RecognitionOptions(lists, subset, named, f1, only_predicted))
    judged, name = _judged(
        predictions, annotations, subset, labels, out_of_video, only_predicted, strict
    )
    warn(judged.warnings)
    report = evaluate_detections(
        judged.predictions[0],
        judged.annotations.records,
        labels=judged.annotations.labels,
        tiou=thresholds,
        protocol=protocol,
        levels=_levels(level),
    )
    ties = {level_name: tie_range(one) for level_name, one in report.levels.items()}
    numbers = detection_json(report) | {"ties": ties_json(ties), "counts": judged.counts}
    return Scores(numbers, report, name)


@dataclass(frozen=True, eq=False, repr=False)
class Errors:
    """The errors of a detector.

    Attributes:
        numbers: All numbers, as ``mmad error-analysis --json`` writes them.
        report: The full result.
        name: Name of the predictions.
    """

    numbers: Mapping[str, Any]
    report: ErrorReport
    name: str

    @public
    def tables(self) -> dict[str, "DataFrame"]:
        """The tables of ``mmad error-analysis`` by name, as pandas tables.

        Raises: MmadError if pandas is not installed.
        """
        return {
            table.name: data_frame(
                {name: [row[at] for row in table.rows] for at, name in enumerate(table.header)}
            )
            for table in error_tables(self.report)
        }

    def __repr__(self) -> str:
        told = [
            f"{name}: {100 * level.missed():.1f} % missed, normalised mAP {100 * level.base:.1f} %"
            for name, level in self.report.levels.items()
        ]
        return f"<{self.name}: {'; '.join(told)}>"


@public
def error_analysis(
    predictions: Predicted,
    annotations: Annotated | None = None,
    *,
    subset: str | None = None,
    tiou: Thresholds = "0.5",
    level: Level = "both",
    out: Place | None = None,
    labels: Labels = None,
    out_of_video: OutOfVideo | None = None,
    only_predicted: bool = False,
    strict: bool = False,
) -> Errors:
    """The errors of detections, as ``mmad error-analysis`` finds them.

    Args:
        predictions: As in `evaluate`, of detections.
        annotations: As in `evaluate`.
        subset: As in `evaluate`.
        tiou: Thresholds, over which shares are averaged.
        level: Levels to analyse.
        out: Folder to write all tables and figures to.
        labels: As in `evaluate`.
        out_of_video: As in `evaluate`.
        only_predicted: As in `evaluate`.
        strict: As in `evaluate`.

    Raises: As `evaluate`.
    """
    thresholds = _thresholds(tiou)
    judged, name = _judged(
        predictions, annotations, subset, labels, out_of_video, only_predicted, strict
    )
    warn(judged.warnings)
    annotated, found = judged.annotations, judged.predictions[0]
    report = analyse_errors(
        found,
        annotated.records,
        labels=annotated.labels,
        tiou=thresholds,
        levels=_levels(level),
    )
    numbers = error_json(report) | {"counts": judged.counts}
    if out is not None:
        from mmad.report.detector_figures.error_files import write_error_files

        content = json.dumps(numbers, indent=1) + "\n"
        write_error_files(Path(out), report, annotated, found, content=content)
    return Errors(numbers, report, name)


def _thresholds(tiou: Thresholds) -> NDArray[np.float64]:
    numbers = [tiou] if isinstance(tiou, str) or not isinstance(tiou, Iterable) else tiou
    return parse_tiou(",".join(map(str, numbers)))


def _levels(level: Level) -> tuple[str, ...]:
    return ("action", "body") if level == "both" else (level,)


def _file(source: Place, *, subset: str | None = None) -> Path:
    """The file of predictions: itself, or the newest of a run folder."""
    path = Path(source)
    return newest_predictions(path, subset=subset) if path.is_dir() else path


def _text(labels: Labels) -> str | None:
    """Labels as the readers of lists take them.

    Raises: PredictionError if they are a label set, which these do not take.
    """
    if isinstance(labels, LabelMap):
        raise PredictionError("labels: predictions of clips and emotions take the label file")
    return None if labels is None else os.fspath(labels)


def _labels(labels: Labels) -> LabelMap | LabelChoice | None:
    if labels is None or isinstance(labels, LabelMap):
        return labels
    return label_choice(os.fspath(labels))


def _files(annotations: Annotated | None) -> list[Path] | None:
    """Files of annotations.

    Raises: PredictionError if they are in memory: a file of predictions is scored against files.
    """
    if isinstance(annotations, AnnotationSet):
        raise PredictionError("clips and emotions are scored against their lists; pass the files")
    return None if annotations is None else paths_of(annotations)


def _judged(
    predictions: Predicted,
    annotations: Annotated | None,
    subset: str | None,
    labels: Labels,
    out_of_video: OutOfVideo | None,
    only_predicted: bool,
    strict: bool,
) -> tuple[Judged, str]:
    """Detections with the annotations to score them against, and a name for them."""
    path = _file(predictions, subset=subset) if isinstance(predictions, str | os.PathLike) else None
    if path is not None and not isinstance(annotations, AnnotationSet):
        judged = read_judged(
            [path],
            _files(annotations),
            subset=subset,
            strict=strict,
            only_predicted=only_predicted,
            labels=_labels(labels),
            out_of_video=out_of_video,
        )
        return judged, str(path)
    if annotations is None:
        raise PredictionError("detections in memory are of no run; pass annotations=FILE")
    annotated = annotations
    if not isinstance(annotated, AnnotationSet):
        annotated = read_annotations(annotated, labels=labels, out_of_video=out_of_video or "error")
    name = "predictions"
    if path is not None:
        found, name = read_file(path, labels=annotated.labels, strict=strict), str(path)
    else:
        assert not isinstance(predictions, str | os.PathLike)
        found = _in_memory(predictions, annotated.labels)
    chosen = _subset_of(found, annotated.records) if subset is None else subset
    records = tuple(record for record in annotated.records if record.subset == chosen)
    if not records:
        present = ", ".join(sorted({one.subset for one in annotated.records})) or "none"
        raise PredictionError(f"{annotated.path}: no videos of subset {chosen}; found: {present}")
    annotated = replace(annotated, records=records)
    judged = judge(annotated, [found], names=[name], subset=chosen, only_predicted=only_predicted)
    return judged, name


def _in_memory(predictions: "Found | DataFrame", labels: LabelMap) -> Predictions:
    """Detections in memory by video.

    Raises: PredictionError if their labels are not those of the annotations.
    """
    if not isinstance(predictions, Mapping | Sequence | Detections):
        return predictions_of_frame(predictions, labels)
    found = by_video(predictions)
    for one in found.values():
        if isinstance(one, Detections) and one.label_map.names != labels.names:
            raise PredictionError(
                f"video '{one.video_id}': its detections have {len(one.label_map)} labels, others "
                f"than the {len(labels)} of the annotations"
            )
    return Predictions(found)


def _subset_of(found: Mapping[str, Any], records: Sequence[VideoRecord]) -> str:
    """The subset of the videos of detections.

    Raises: PredictionError if they are of several.
    """
    subsets = sorted({record.subset for record in records if record.video_id in found})
    if len(subsets) > 1:
        raise PredictionError(
            f"the detections are of videos of several subsets ({', '.join(subsets)}); pass subset="
        )
    return subsets[0] if subsets else "val"


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
