"""Annotations and detections of videos, made by hand or at random."""

import numpy as np

from mmad.labels import flat_labels
from mmad.structures import Annotations, Detections, VideoRecord


def record(video: str, *rows: tuple[float, float, int], duration: float = 20.0) -> VideoRecord:
    segments = np.array([row[:2] for row in rows]).reshape(-1, 2)
    return VideoRecord(
        video, duration, "val", annotations=Annotations(segments, [row[2] for row in rows])
    )


def detect(*rows: tuple[float, float, int, float]) -> Detections:
    return Detections([row[:2] for row in rows], [row[2] for row in rows], [row[3] for row in rows])


def random_data(seed: int) -> tuple[dict[str, Detections], list[VideoRecord]]:
    rng = np.random.default_rng(seed)
    found, truth = {}, []
    for number in range(6):
        rows = [
            (start, start + rng.uniform(0.5, 5), int(rng.integers(4)))
            for start in rng.uniform(0, 15, rng.integers(0, 7))
        ]
        truth.append(record(f"v{number}", *rows))
        guesses = [
            (*np.sort(np.array(row[:2]) + rng.normal(0, 0.6, 2)), int(rng.integers(4)))
            for row in rows * 3
        ]
        found[f"v{number}"] = detect(*[(*row, float(rng.random())) for row in guesses])  # type: ignore[misc]
    return found, truth


FOUR = flat_labels(("a", "b", "c", "d"))
