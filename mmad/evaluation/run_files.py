"""Files of predictions, the runs that they are in, and the annotations they are scored against."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mmad.annotations.clips.folds import ClipLists
from mmad.annotations.elan.choice import ElanChoice
from mmad.annotations.formats import AnnotationSet, LabelChoice, read_annotations
from mmad.annotations.placeholders import find_placeholders
from mmad.annotations.validation import OutOfVideo
from mmad.config.labels import read_label_map
from mmad.config.reading import load_any_config, read_settings
from mmad.config.recognition import RecognitionConfig
from mmad.errors import ConfigError, PredictionError
from mmad.evaluation.predictions import Predictions, read_predictions
from mmad.evaluation.submission import guess_task
from mmad.labels import LabelMap
from mmad.structures import ClipRecord


def newest_predictions(runs: Path, *, subset: str | None) -> Path:
    """The newest predictions in the run folders below ``runs``, or in the run ``runs``.

    Those of ``subset``, or by default of the subset that each run validates on.

    Raises: PredictionError if there is none.
    """
    folders = [path for path in (*runs.glob("predictions"), *runs.glob("*/predictions"))]
    wanted = [folder / f"{subset or _validated(folder.parent)}.csv" for folder in folders]
    found = [path for path in wanted if path.is_file()]
    if not found:
        what = f"predictions/{subset}.csv" if subset else "predictions of its validation subset"
        raise PredictionError(
            f"{runs}: no run in it has {what}; pass a file, or train or predict first"
        )
    return max(found, key=lambda path: path.stat().st_mtime)


def is_recognition(predictions: Path) -> bool:
    """Whether a file holds predictions of clips; errors of unreadable files are left to its
    reader.
    """
    try:
        return guess_task(predictions) == "recognition"
    except PredictionError:
        return False


def subset_of(predictions: Path) -> str:
    """The default subset of a file of predictions.

    Files in a run are named after their subset; others default to the subset that the run validates
    on, and outside of a run to "val".
    """
    run = run_of(predictions)
    if run is None:
        return "val"
    settings = data_of_run(predictions)
    named = {"train", "val", "test", *settings.get("train_subsets", [])}
    return predictions.stem if predictions.stem in named else _validated(run)


def _validated(run: Path) -> str:
    return str(data_of_run(run / "predictions" / "any").get("val_subset", "val"))


def run_of(predictions: Path) -> Path | None:
    """The run folder that contains ``predictions``, or None."""
    folder = predictions.absolute().parent
    run = folder.parent
    return run if folder.name == "predictions" and (run / "config.yaml").is_file() else None


def data_of_run(predictions: Path) -> Mapping[str, Any]:
    """The data settings of the run that contains ``predictions``; empty outside of a run."""
    run = run_of(predictions)
    if run is None:
        return {}
    try:
        return dict(read_settings(run / "config.yaml")["data"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def trial_of(predictions: Path) -> str | None:
    """Why the run that contains ``predictions`` is a trial; None if it is not, or not known."""
    run = run_of(predictions)
    if run is None:
        return None
    try:
        config = load_any_config(run / "config.yaml")
    except ConfigError:  # of another version
        return None
    return config.heads.trial if isinstance(config, RecognitionConfig) else None


def annotations_of_run(predictions: Path) -> list[str]:
    """Annotation files of the run that contains ``predictions``.

    Raises: PredictionError if there is no such run, its config names none, or they no longer exist.
    """
    found = data_of_run(predictions).get("annotations")
    if not found:
        raise PredictionError(
            f"{predictions}: not in a run folder that names data.annotations; pass --annotations "
            "FILE"
        )
    paths = [found] if isinstance(found, str) else [str(path) for path in found]
    missing = [path for path in paths if not Path(path).exists()]
    if missing:
        raise PredictionError(
            f"{run_of(predictions)}: its annotations are no longer at {missing[0]}; pass "
            "--annotations FILE"
        )
    return paths


def _labels_of_run(predictions: Path) -> LabelMap | LabelChoice:
    """The labels of the run that contains ``predictions``, or "auto" outside of a run."""
    run = run_of(predictions)
    path = None if run is None else run / "labels.json"
    return read_label_map(path) if path is not None and path.is_file() else "auto"


def annotated_clips(
    predictions: Path, annotations: Sequence[Path] | None, *, subset: str, labels: LabelMap
) -> list[ClipRecord]:
    """The clips of ``annotations``, or of the run's lists of ``subset``.

    If the lists have folds, those of the fold that the run holds out.

    Raises: PredictionError if there is no list; AnnotationError if one cannot be read.
    """
    lists = ClipLists.of(data_of_run(predictions))
    if annotations:  # whole lists, even if the run used only the first clips of its own
        named = {subset: [str(path) for path in annotations]}
        lists = replace(lists, paths=named, folds=None, most=None)
    if not lists.names(subset):
        raise PredictionError(
            f"{predictions}: predictions of clips; pass --annotations LIST, a file with lines "
            "'name.mp4 label'"
        )
    return lists.read(subset, labels=labels)


@dataclass(frozen=True, eq=False)
class Judged:
    """Predictions and the annotations to score them against.

    Attributes:
        annotations: Annotations; with ``--only-predicted``, of predicted videos only.
        predictions: Predictions of each file.
        warnings: What a reader of the figures should know, one sentence each.
        counts: Figures of the warnings, by name.
    """

    annotations: AnnotationSet
    predictions: tuple[Predictions, ...]
    warnings: tuple[str, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)


def read_judged(
    predictions: Sequence[Path],
    annotations: Sequence[Path] | None,
    *,
    subset: str | None,
    strict: bool,
    only_predicted: bool,
    labels: LabelMap | LabelChoice | None = None,
    out_of_video: OutOfVideo | None = None,
    elan: ElanChoice | None = None,
) -> Judged:
    """Predictions of files, and ``annotations`` or those of the first file's run.

    Raises: PredictionError if a file is missing or invalid, there are no annotations, or a video is
        not annotated.
    """
    first = predictions[0]
    if not first.is_file():
        raise PredictionError(f"{first}: there is no such file of predictions")
    sources = [str(path) for path in annotations] if annotations else annotations_of_run(first)
    subset = subset or subset_of(first)
    settings = data_of_run(first)
    # How the run's annotations are read does not apply to others.
    own = {} if annotations else settings
    if elan is None or elan == ElanChoice():
        elan = ElanChoice.of(*(own.get(name) for name in ("tiers", "tier_types", "language")))
    annotated = read_annotations(
        sources if len(sources) > 1 else sources[0],
        format=own.get("format", "auto"),
        subsets=[subset],
        labels=labels or _labels_of_run(first),
        out_of_video=out_of_video or settings.get("out_of_video", "error"),
        elan=elan,
    )
    known = {record.video_id for record in annotated.records}
    scored = [
        read_predictions(path, labels=annotated.labels, videos=known, strict=strict)
        for path in predictions
    ]
    return judge(
        annotated,
        scored,
        names=list(map(str, predictions)),
        subset=subset,
        only_predicted=only_predicted,
    )


def judge(
    annotated: AnnotationSet,
    scored: Sequence[Predictions],
    *,
    names: Sequence[str],
    subset: str,
    only_predicted: bool,
) -> Judged:
    """Sets of detections with the annotations to score them against, and what is unusual.

    Args:
        annotated: Annotations of the subset.
        scored: Detections of each set; with ``only_predicted`` those of other videos are removed.
        names: Name of each set, for messages.
        subset: Subset, for messages.
        only_predicted: Leave out annotated videos without detections in any set.

    Raises: PredictionError if no annotated video has detections.
    """
    warnings = [finding.message for finding in find_placeholders(annotated.records)]
    counts: dict[str, int] = {}
    known = {record.video_id for record in annotated.records}
    for name, one in zip(names, scored, strict=True):
        if text := one.odd_rows_text():
            warnings.append(
                f"{name}: {text}: each counts as a false positive, as in the official evaluators; "
                "--strict refuses them"
            )
    counts["reversed_rows"] = sum(one.num_reversed for one in scored)
    counts["empty_rows"] = sum(one.num_empty for one in scored)
    if only_predicted:
        kept = set.intersection(*({name for name in one if len(one[name])} for one in scored))
        left_out = known - kept
        if left_out == known:
            raise PredictionError(
                f"{names[0]}: no annotated video of subset {subset} has predictions"
            )
        counts["videos_left_out"] = len(left_out)
        if left_out:
            warnings.append(
                f"{len(left_out)} of {len(known)} annotated videos have no predictions and are "
                "left out (--only-predicted)"
            )
        records = tuple(record for record in annotated.records if record.video_id in kept)
        annotated = replace(annotated, records=records)
        for one in scored:
            for video_id in left_out.intersection(one):
                del one[video_id]
    return Judged(annotated, tuple(scored), tuple(warnings), counts)
