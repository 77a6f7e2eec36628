"""What the commands that judge predictions have in common: which file, and what is true."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from mmad.annotations.formats import AnnotationSet, read_annotations
from mmad.errors import PredictionError
from mmad.evaluation.predictions import read_predictions
from mmad.structures import Detections


def newest_predictions(runs: Path, *, subset: str) -> Path:
    """The newest predictions of a subset in the run folders below ``runs``, or in the run ``runs``.

    Raises: PredictionError if there is none.
    """
    found = [*runs.glob(f"predictions/{subset}.csv"), *runs.glob(f"*/predictions/{subset}.csv")]
    if not found:
        raise PredictionError(
            f"{runs}: no run in it has predictions/{subset}.csv; name a file, or train or "
            "predict first"
        )
    return max(found, key=lambda path: path.stat().st_mtime)


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
    config = run / "config.yaml"
    try:
        return dict(yaml.safe_load(config.read_text(encoding="utf-8"))["data"])
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError):
        return {}


def annotations_of_run(predictions: Path) -> list[str]:
    """Where the run that ``predictions`` lie in has its annotations.

    Raises: PredictionError if they do not lie in a run folder, or its config does not say.
    """
    paths = data_of_run(predictions).get("annotations")
    if not paths:
        raise PredictionError(
            f"{predictions}: not in a run folder that says data.annotations; say --annotations FILE"
        )
    return [paths] if isinstance(paths, str) else [str(path) for path in paths]


def read_truth(
    predictions: Path, annotations: Sequence[Path] | None, *, subset: str
) -> AnnotationSet:
    """The annotations that a file of predictions is held against: those named, or of its run.

    Raises: PredictionError if the predictions are not there or nothing says what is true.
    """
    if not predictions.is_file():
        raise PredictionError(f"{predictions}: there is no such file of predictions")
    sources = [str(p) for p in annotations] if annotations else annotations_of_run(predictions)
    return read_annotations(sources if len(sources) > 1 else sources[0], subsets=[subset])


def read_found(predictions: Path, truth: AnnotationSet) -> dict[str, Detections]:
    """The detections of each video of ``truth`` that the file has.

    Raises: PredictionError if something is wrong in it, also a video that is not in ``truth``.
    """
    known = [record.video_id for record in truth.records]
    return read_predictions(predictions, labels=truth.labels, videos=known)


def parse_levels(text: str) -> tuple[str, ...]:
    """The levels of ``--level``.

    Raises: PredictionError if it is none of action, body, both.
    """
    if text not in ("action", "body", "both"):
        raise PredictionError(f"--level {text}: expected action, body or both")
    return ("action", "body") if text == "both" else (text,)
