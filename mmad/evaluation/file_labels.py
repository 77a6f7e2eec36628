"""Labels of prediction files: from the user, the run or the scores."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from mmad.annotations.formats import LabelChoice
from mmad.annotations.label_files import labels_or_changes
from mmad.annotations.labels.changes import LabelChanges
from mmad.config.labels import read_label_map
from mmad.errors import PredictionError
from mmad.evaluation.clips.scores import labels_in
from mmad.evaluation.run_files import run_of
from mmad.labels import MA52, LabelMap

_CHOICES = ("auto", "ma52", "file")


def label_choice(text: str | None) -> LabelMap | LabelChoice | None:
    """The value of ``--labels``: a keyword, the labels of a label file, new names, or None.

    Raises: AnnotationError if it is neither a keyword nor a label file.
    """
    if text is None or text in _CHOICES:
        return cast("LabelChoice | None", text)
    return labels_or_changes(text)


def labels_of_lists(text: str | None) -> LabelMap:
    """The labels of lists of clips: those of ``--labels``, else the 52 micro-actions.

    Raises: PredictionError if they should come from the list, which does not name them.
    """
    choice = label_choice(text)
    if choice == "file":
        raise PredictionError(
            "--labels file: a list of clips does not name its classes; pass --labels FILE, a file "
            "with one name per line"
        )
    if isinstance(choice, LabelChanges):
        raise PredictionError(
            f"--labels {text}: a table of new names (from, to) is for annotations in time; pass a "
            "file with one name per line"
        )
    return choice if isinstance(choice, LabelMap) else MA52


def labels_of_clips(predictions: Path, text: str | None) -> LabelMap:
    """The labels of predictions or scores of clips: those of ``--labels``, of the run that contains
    the file, or in the scores beside it; else the 52 micro-actions.

    Raises: PredictionError, AnnotationError or CheckpointError if their source cannot be read.
    """
    if text not in (None, "auto"):
        return labels_of_lists(text)
    return known_labels(predictions) or MA52


def known_labels(predictions: Path) -> LabelMap | None:
    """The labels of the run that contains the file, or in the scores beside it, or None.

    Raises: CheckpointError or PredictionError if those cannot be read.
    """
    run = run_of(predictions)
    if run is not None and (run / "labels.json").is_file():
        return read_label_map(run / "labels.json")
    return labels_in(predictions.with_suffix(".npz"))


def common_labels_of_clips(files: Sequence[Path], text: str | None) -> LabelMap:
    """The common labels of all files.

    Raises: PredictionError if they differ, and as `labels_of_clips`.
    """
    found = [labels_of_clips(path, text) for path in files]
    for path, labels in zip(files, found, strict=True):
        if labels.names != found[0].names or labels.parents != found[0].parents:
            raise PredictionError(
                f"{path}: has other classes ({len(labels)}) than {files[0]} ({len(found[0])}); if "
                "they are the same, pass --labels"
            )
    return found[0]
