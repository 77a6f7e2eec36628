"""The persons of a video, found by a detector in some of its frames."""

import csv
import hashlib
import io
import multiprocessing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from mmad.files import write_text
from mmad.video.index import index_video
from mmad.video.open import open_video
from mmad.video.persons.detector import FoundPersons, PersonDetector

# The detector sees images of this short side, at most: larger ones would be made smaller anyway.
_SEARCH_SHORT_SIDE = 640
# A worker process reads the model once.
_detector = lru_cache(maxsize=1)(PersonDetector)


@dataclass(frozen=True)
class PersonSearch:
    """How persons are searched for.

    Attributes:
        model: File of the detector, see `PersonDetector`.
        min_score: Score from which on it finds a person, 0 to 1.
        every: Distance in frames between the images that it sees.
    """

    model: Path
    min_score: float = 0.5
    every: int = 5

    def digest(self) -> str:
        """Hash of the model.

        Raises: VideoError if it is no detector.
        """
        PersonDetector(self.model, min_score=self.min_score)  # said once, not for each video
        return hashlib.sha256(self.model.read_bytes()).hexdigest()


def search_persons(video: Path, search: PersonSearch) -> FoundPersons:
    """All persons in every so many frames of a video, in pixels of its full size.

    Raises: VideoError if the video cannot be read.
    """
    if multiprocessing.parent_process() is not None:
        # Workers already share the cores among themselves.
        cv2.setNumThreads(1)
    index = index_video(video)
    detector = _detector(search.model, min_score=search.min_score)
    small = min(index.width, index.height, _SEARCH_SHORT_SIDE)
    # With the last frame, where the person may have moved to since the one before.
    chosen = sorted({*range(0, index.num_frames, search.every), index.num_frames - 1})
    frames: list[int] = []
    boxes, scores = [np.zeros((0, 4))], [np.zeros(0)]
    with open_video(video, short_side=small, threads=1) as reader:
        for frame, image in zip(chosen, reader.stream(chosen), strict=True):
            height, width = image.shape[:2]
            found, sure = detector.detect(image)
            boxes.append(found * np.tile([index.width / width, index.height / height], 2))
            scores.append(sure)
            frames += [frame] * len(found)
    return FoundPersons(
        np.array(frames, dtype=np.int64),
        np.concatenate(boxes),
        np.concatenate(scores),
        len(chosen),
    )


def person_notices(video: Path, found: FoundPersons) -> list[str]:
    """What to say of the persons of a video: that there are several in some frames."""
    _, counts = np.unique(found.frames, return_counts=True)
    several = int((counts > 1).sum())
    if not several:
        return []
    return [
        f"{video}: up to {counts.max()} persons in {several} of the {found.num_searched} frames "
        "searched; the crop has all of them; for one of them, pass its rows of the CSV as --boxes"
    ]


def write_persons(path: Path, video_id: str, found: FoundPersons) -> None:
    """Write the boxes as CSV, as `mmad.video.person_box.read_boxes` reads them; atomically."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(["video_id", "frame", "left", "top", "right", "bottom", "score"])
    for frame, box, score in zip(found.frames, found.boxes, found.scores, strict=True):
        sides = [f"{value:.1f}" for value in box]
        rows.writerow([video_id, int(frame), *sides, f"{score:.3f}"])
    write_text(path, out.getvalue())
