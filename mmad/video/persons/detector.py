"""Detection of persons in images with OpenCV and a YOLOX model, which the user fetches.

Source of the input and of the output's code: YOLOX (arXiv 2107.08430), as OpenCV's zoo has it.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mmad.errors import VideoError
from mmad.video.reader import Frame

HOW_TO_FETCH = (
    "fetch object_detection_yolox_2022nov.onnx (36 MB, Apache 2.0 licence) from the folder "
    "models/object_detection_yolox of github.com/opencv/opencv_zoo, as a file, and pass --model "
    "FILE"
)
_SIDE = 640
_STRIDES = (8, 16, 32)
# Grey around images that are not square.
_PADDING = 114.0
_PERSON = 0
# Left, top, width, height, whether there is anything, and the 80 classes of COCO.
_COLUMNS = 4 + 1 + 80
_OVERLAP = 0.5


@dataclass(frozen=True)
class FoundPersons:
    """Persons in some frames of a video.

    Attributes:
        frames: int64, (M,), ascending.
        boxes: float64, (M, 4), left, top, right, bottom in pixels of the upright video.
        scores: float64, (M,), 0 to 1.
        num_searched: Number of frames that were looked at.
    """

    frames: NDArray[np.int64]
    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    num_searched: int


class PersonDetector:
    """YOLOX, for images of any size.

    Raises: VideoError if the file is no such model.
    """

    def __init__(self, path: str | Path, *, min_score: float) -> None:
        self._path = Path(path)
        self._min_score = min_score
        if not self._path.is_file():
            raise VideoError(f"{path}: there is no such model; {HOW_TO_FETCH}")
        if self._path.read_bytes()[:64].startswith(b"version https://git-lfs"):
            raise VideoError(
                f"{path}: is a pointer of Git LFS and not the model itself; {HOW_TO_FETCH}"
            )
        level = cv2.utils.logging.getLogLevel()
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        try:
            self._network = cv2.dnn.readNetFromONNX(str(path))
            # Other networks are only found out when they see an image.
            is_detector = self._raw(np.zeros((1, 3, _SIDE, _SIDE), np.float32)).shape == (
                sum((_SIDE // stride) ** 2 for stride in _STRIDES),
                _COLUMNS,
            )
        except Exception:  # bytes of another kind make OpenCV raise anything, at length
            is_detector = False
        finally:
            cv2.utils.logging.setLogLevel(level)
        if not is_detector:
            raise VideoError(f"{path}: is not a YOLOX detector that OpenCV can use; {HOW_TO_FETCH}")

    def detect(self, image: Frame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The persons in an RGB image: boxes (M, 4) as left, top, right, bottom in its pixels, and
        scores (M,).
        """
        height, width = image.shape[:2]
        scale = min(_SIDE / height, _SIDE / width)
        inner = (max(int(width * scale), 1), max(int(height * scale), 1))
        padded = np.full((_SIDE, _SIDE, 3), _PADDING, np.float32)
        padded[: inner[1], : inner[0]] = cv2.resize(image, inner, interpolation=cv2.INTER_LINEAR)
        cells = self._raw(padded.transpose(2, 0, 1)[None])
        scores = cells[:, 4] * cells[:, 5 + _PERSON]
        kept = np.flatnonzero(np.isfinite(cells[:, :4]).all(axis=1) & (scores >= self._min_score))
        boxes, scores = _boxes(cells, kept) / scale, scores[kept]
        sizes = np.concatenate((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]), axis=1)
        best = cv2.dnn.NMSBoxes(sizes.tolist(), scores.tolist(), self._min_score, _OVERLAP)
        rows = np.array(best, dtype=np.int64).reshape(-1)
        return boxes[rows], scores[rows]

    def _raw(self, blob: NDArray[np.float32]) -> NDArray[np.float64]:
        self._network.setInput(np.ascontiguousarray(blob))
        return np.asarray(self._network.forward(), dtype=np.float64)[0]


def _boxes(cells: NDArray[np.float64], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Left, top, right, bottom of these rows: middles relative to their cell, sizes as logarithms,
    both in units of its side.
    """
    places, sides = [], []
    for stride in _STRIDES:
        across = np.arange(_SIDE // stride)
        x, y = np.meshgrid(across, across)
        places.append(np.stack((x.ravel(), y.ravel()), axis=1))
        sides.append(np.full((x.size, 1), stride))
    place, side = np.concatenate(places)[rows], np.concatenate(sides)[rows]
    middle = (cells[rows, :2] + place) * side
    half = np.exp(np.minimum(cells[rows, 2:4], np.log(_SIDE))) * side / 2
    return np.concatenate((middle - half, middle + half), axis=1)
