"""Files of predictions that figures show, checked to be of the right task."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from mmad.errors import PredictionError
from mmad.evaluation.emotions.predictions import is_emotion_file
from mmad.evaluation.run_files import newest_predictions
from mmad.evaluation.submission import guess_task

Predicted = Literal["detections", "clips", "emotions"]
_OF = {"detections": "a detector", "clips": "a recogniser", "emotions": "a model of emotions"}


def prediction_files(
    given: Sequence[Path] | None, *, kind: str, of: Predicted, subset: str | None
) -> list[Path]:
    """The files, and of run folders the newest predictions of ``subset``.

    Args:
        given: Run folders or files.
        kind: Name of the figure.
        of: What it shows.
        subset: Value of ``--subset``.

    Raises: PredictionError if there are none, or one does not exist or holds other predictions.
    """
    if not given:
        raise PredictionError(
            f"{kind} shows predictions; pass a run folder of {_OF[of]}, or its predictions"
        )
    files = [newest_predictions(one, subset=subset) if one.is_dir() else one for one in given]
    for path in files:
        if not path.is_file():
            raise PredictionError(f"{path}: there is no such run or file of predictions")
        found = _predicted_in(path)
        if found != of:
            raise PredictionError(
                f"{path}: holds predictions of {_OF[found]}; {kind} shows those of {_OF[of]}"
            )
    return files


def _predicted_in(path: Path) -> Predicted:
    """What a file holds.

    Raises: PredictionError if it cannot be read, or holds none of them.
    """
    if is_emotion_file(path):
        return "emotions"
    return "clips" if guess_task(path) == "recognition" else "detections"
