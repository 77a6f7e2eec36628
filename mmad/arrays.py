"""Detections as arrays with the names that supervision gives them, and back.

supervision describes boxes in one image; a micro-action is a segment of time. So ``class_id``,
``confidence`` and ``data["class_name"]`` mean the same, ``segments`` (N, 2) in seconds take the
place of ``xyxy`` (N, 4), and `boxes_at` gives the boxes of one moment: the whole image, for each
detection that is going on. supervision itself is not needed.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mmad.errors import PredictionError
from mmad.labels import LabelMap
from mmad.structures import Detections


def to_arrays(detections: Detections, labels: LabelMap | None = None) -> dict[str, Any]:
    """``segments`` (N, 2) in seconds, ``class_id`` (N,), ``confidence`` (N,), and ``data`` with the
    array ``class_name`` (N,) if labels are given.
    """
    data = {}
    if labels is not None:
        names = [labels.names[label] for label in detections.labels.tolist()]
        data["class_name"] = np.array(names, dtype=str)
    return {
        "segments": detections.segments_seconds,
        "class_id": detections.labels,
        "confidence": detections.scores,
        "data": data,
    }


def from_arrays(
    segments: ArrayLike,
    class_id: ArrayLike | None = None,
    confidence: ArrayLike | None = None,
    *,
    data: Mapping[str, Any] | None = None,
    labels: LabelMap | None = None,
) -> Detections:
    """Detections of the arrays of `to_arrays`.

    Args:
        segments: Starts and ends in seconds, (N, 2).
        class_id: Labels, (N,); None takes ``data["class_name"]``, for which labels are needed.
        confidence: Scores, (N,); None is 1 for each.
        data: May hold ``class_name``, (N,).
        labels: Label set that the names are looked up in.

    Raises: PredictionError if lengths disagree, a name is unknown, or there are neither labels nor
        names.
    """
    try:
        if class_id is None:
            names = (data or {}).get("class_name")
            if names is None or labels is None:
                raise PredictionError(
                    "arrays: expected class_id, or data['class_name'] and labels; found neither"
                )
            class_id = np.array([labels.index(str(name)) for name in names], dtype=np.int64)
        if confidence is None:
            confidence = np.ones(len(np.asarray(class_id)))
        return Detections(
            np.asarray(segments, dtype=np.float64),
            np.asarray(class_id),
            np.asarray(confidence, dtype=np.float64),
        )
    except KeyError as error:
        raise PredictionError(f"arrays: {error.args[0]}") from None
    except PredictionError:
        raise
    except (TypeError, ValueError) as error:
        raise PredictionError(f"arrays: {error}") from None


def at_time(detections: Detections, seconds: float) -> Detections:
    """The detections that are going on at a time: from their start up to their end."""
    starts, ends = detections.segments_seconds.T
    return detections[(starts <= seconds) & (seconds < ends)]


def by_frame(detections: Detections, *, fps: float) -> Callable[[int], Detections]:
    """A function from the index of a frame of a video of constant rate to what is going on in it,
    for loops over ``supervision.get_video_frames_generator`` and callbacks of ``process_video``.
    """
    if not fps > 0:
        raise PredictionError(f"fps: expected a number above 0, found {fps}")
    return lambda index: at_time(detections, index / fps)


def boxes_at(
    detections: Detections,
    seconds: float,
    *,
    width: int,
    height: int,
    labels: LabelMap | None = None,
) -> dict[str, Any]:
    """The arguments of ``supervision.Detections`` for the image at a time: ``xyxy`` (N, 4), which
    is the whole image, ``class_id``, ``confidence`` and ``data``.
    """
    arrays = to_arrays(at_time(detections, seconds), labels)
    del arrays["segments"]
    box = np.array([0.0, 0.0, width, height], dtype=np.float32)
    return {"xyxy": np.tile(box, (len(arrays["class_id"]), 1)), **arrays}
