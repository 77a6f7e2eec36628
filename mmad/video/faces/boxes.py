"""Files of face boxes: a row for each face in a frame of a video."""

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmad.errors import AnnotationError, raise_problems
from mmad.files import write_csv
from mmad.parsing import parse_csv, read_text
from mmad.video.find import ID_COLUMNS, SUFFIXES

COLUMNS = ("video_id", "frame", "x", "y", "w", "h")
_NUMBERS = COLUMNS[1:]


@dataclass(frozen=True, eq=False)
class FaceBoxes:
    """The boxes of faces in the frames of one video; several faces may be in a frame.

    Attributes:
        frames: int64, (M,), number of the frame of each box, ascending.
        boxes: float64, (M, 4), left, top, width and height in pixels of the upright video.
    """

    frames: NDArray[np.int64]
    boxes: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.frames)

    def digest(self) -> str:
        """A hash of all numbers."""
        content = self.frames.tobytes() + self.boxes.tobytes()
        return hashlib.sha256(content).hexdigest()


def no_faces() -> FaceBoxes:
    """The boxes of a video without a face."""
    return FaceBoxes(np.zeros(0, dtype=np.int64), np.zeros((0, 4)))


def read_face_boxes(path: Path) -> dict[str, FaceBoxes]:
    """The boxes of each video in a CSV, or in all CSV files of a folder, by its id.

    The CSV has the columns ``video_id`` (or ``video``), ``frame`` from 0, ``x``, ``y``, ``w``,
    ``h``; others are ignored. A row with an id alone stands for a video without a face. Ids may
    have the suffix of the video file.

    Raises: AnnotationError if a file cannot be read or lacks a column, or with everything that is
    wrong with its rows.
    """
    files = sorted(path.glob("*.csv")) if path.is_dir() else [path]
    if not files:
        raise AnnotationError(f"{path}: has no CSV of face boxes; expected {', '.join(COLUMNS)}")
    rows: dict[str, list[tuple[int, float, float, float, float]]] = {}
    for file in files:
        _read_rows(file, rows)
    found = {}
    for name, numbers in rows.items():
        table = np.array(numbers, dtype=np.float64).reshape(-1, 5)
        table = table[np.argsort(table[:, 0], kind="stable")]
        found[name] = FaceBoxes(table[:, 0].astype(np.int64), table[:, 1:])
    return found


def _read_rows(path: Path, rows: dict[str, list[tuple[int, float, float, float, float]]]) -> None:
    header, lines = parse_csv(path, read_text(path))
    id_column = next((name for name in ID_COLUMNS if name in header), None)
    missing = [name for name in _NUMBERS if name not in header]
    if id_column is None or missing:
        raise AnnotationError(
            f"{path}: expected the columns {','.join(COLUMNS)}; found {','.join(header):.80}"
        )
    problems = []
    for line, cells in lines:
        if len(cells) != len(header):
            problems.append(f"line {line}: expected {len(header)} cells, found {len(cells)}")
            continue
        row = dict(zip(header, cells, strict=True))
        name = row[id_column]
        name = Path(name).stem if Path(name).suffix.lower() in SUFFIXES else name
        texts = [row[column] for column in _NUMBERS]
        of_video = rows.setdefault(name, [])
        if not any(texts):
            continue
        try:
            frame, x, y, w, h = map(float, texts)
            problem = _problem_of(frame, x, y, w, h)
        except ValueError:
            problem = "expected frame, x, y, w, h as numbers"
        if not name:
            problem = f"{id_column} is empty"
        if problem:
            found = ", ".join(texts)
            problems.append(f"line {line} (video {name}): {problem}, found {found:.80}")
            continue
        of_video.append((int(frame), x, y, w, h))
    raise_problems(AnnotationError, source=str(path), problems=problems)


def _problem_of(frame: float, x: float, y: float, w: float, h: float) -> str | None:
    if not all(map(math.isfinite, (frame, x, y, w, h))) or max(map(abs, (x, y, w, h))) > 1e6:
        return "expected finite numbers of pixels"
    if not (frame.is_integer() and 0 <= frame < 2**53):
        return "expected a whole number from 0 as the frame"
    if w <= 0 or h <= 0:
        return "expected a width and a height above 0"
    if w <= 1 and h <= 1:
        return "expected pixels, and these look like shares of the image"
    return None


def write_face_boxes(path: Path, video_id: str, boxes: FaceBoxes) -> None:
    """Write the boxes of one video, or a row with its id alone if it has none.

    Raises: OutputError if it cannot be written.
    """
    pairs = zip(boxes.frames.tolist(), boxes.boxes.round(2).tolist(), strict=True)
    rows: list[list[object]] = [[video_id, frame, *box] for frame, box in pairs]
    write_csv(path, header=COLUMNS, rows=rows or [[video_id, *("" for _ in _NUMBERS)]])
