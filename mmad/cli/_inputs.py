"""What the commands that judge predictions have in common: which file, and what is true."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mmad.annotations.clips.folds import ClipLists
from mmad.annotations.elan_reader import ElanChoice
from mmad.annotations.formats import AnnotationSet, LabelChoice, read_annotations
from mmad.annotations.placeholders import find_placeholders
from mmad.annotations.validation import OutOfVideo
from mmad.config.labels import read_label_map
from mmad.config.reading import read_settings
from mmad.errors import PredictionError
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
            f"{runs}: no run in it has {what}; name a file, or train or predict first"
        )
    return max(found, key=lambda path: path.stat().st_mtime)


def is_recognition(predictions: Path) -> bool:
    """Whether a file holds guesses of clips; what is wrong with another, its reader says."""
    try:
        return guess_task(predictions) == "recognition"
    except PredictionError:
        return False


def subset_of(predictions: Path) -> str:
    """The subset that a file of predictions is about, if nothing else says it.

    A run names its files after their subset; other files are taken to be of the one that the run
    validates on, and outside of a run of "val".
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
    """The run folder that holds ``predictions`` in its folder of that name, or None."""
    folder = predictions.absolute().parent
    run = folder.parent
    return run if folder.name == "predictions" and (run / "config.yaml").is_file() else None


def data_of_run(predictions: Path) -> Mapping[str, Any]:
    """The settings of the data of the run that ``predictions`` lie in; empty outside of a run."""
    run = run_of(predictions)
    if run is None:
        return {}
    try:
        return dict(read_settings(run / "config.yaml")["data"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def annotations_of_run(predictions: Path) -> list[str]:
    """Where the run that ``predictions`` lie in has its annotations.

    Raises: PredictionError if they do not lie in a run folder, its config does not say, or they are
    no longer there.
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
    """The classes of the run that ``predictions`` lie in, or "auto" outside of a run."""
    run = run_of(predictions)
    path = None if run is None else run / "labels.json"
    return read_label_map(path) if path is not None and path.is_file() else "auto"


def annotated_clips(
    predictions: Path, annotations: Sequence[Path] | None, *, subset: str, labels: LabelMap
) -> list[ClipRecord]:
    """The clips of the lists that are named, or of those that the run has for ``subset``.

    Of lists with folds those of the fold that the run holds out.

    Raises: PredictionError if there is no list; AnnotationError if one cannot be read.
    """
    lists = ClipLists.of(data_of_run(predictions))
    if annotations:  # whole lists, even of a run that was tried on the first clips of its own
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
    """Annotations and the predictions that are held against them.

    Attributes:
        truth: the annotations; with ``--only-predicted`` of the predicted videos alone.
        found: one for each file.
        warnings: what a reader of the figures should know, one sentence each.
        counts: what the warnings count, by name.
    """

    truth: AnnotationSet
    found: tuple[Predictions, ...]
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
    """Files of predictions, and the annotations that are named or those of the first file's run.

    Raises: PredictionError if a file is not there, nothing says what is true, or something is wrong
    in the file, also a video that is not annotated.
    """
    first = predictions[0]
    if not first.is_file():
        raise PredictionError(f"{first}: there is no such file of predictions")
    sources = [str(path) for path in annotations] if annotations else annotations_of_run(first)
    subset = subset or subset_of(first)
    settings = data_of_run(first)
    # How the annotations of the run are read says nothing about other ones.
    own = {} if annotations else settings
    if elan is None or elan == ElanChoice():
        elan = ElanChoice.of(*(own.get(name) for name in ("tiers", "tier_types", "language")))
    truth = read_annotations(
        sources if len(sources) > 1 else sources[0],
        format=own.get("format", "auto"),
        subsets=[subset],
        labels=labels or _labels_of_run(first),
        out_of_video=out_of_video or settings.get("out_of_video", "error"),
        elan=elan,
    )
    warnings = [finding.message for finding in find_placeholders(truth.records)]
    counts: dict[str, int] = {}
    known = {record.video_id for record in truth.records}
    found = [
        read_predictions(path, labels=truth.labels, videos=known, strict=strict)
        for path in predictions
    ]
    for path, one in zip(predictions, found, strict=True):
        if text := one.odd_rows_text():
            warnings.append(
                f"{path}: {text}: each counts as a false positive, as in the official codes; "
                "--strict refuses them"
            )
    counts["reversed_rows"] = sum(one.num_reversed for one in found)
    counts["empty_rows"] = sum(one.num_empty for one in found)
    if only_predicted:
        kept = set.intersection(*({name for name in one if len(one[name])} for one in found))
        left_out = known - kept
        if left_out == known:
            raise PredictionError(f"{first}: no annotated video of subset {subset} has predictions")
        counts["videos_left_out"] = len(left_out)
        if left_out:
            warnings.append(
                f"{len(left_out)} of {len(known)} annotated videos have no predictions and are "
                "left out (--only-predicted)"
            )
        records = tuple(record for record in truth.records if record.video_id in kept)
        truth = replace(truth, records=records)
        for one in found:
            for name in left_out.intersection(one):
                del one[name]
    return Judged(truth, tuple(found), tuple(warnings), counts)
