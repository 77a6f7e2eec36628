"""Detection of faces in images with OpenCV and its YuNet model, which the user fetches."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mmad.errors import VideoError
from mmad.video.reader import Frame

# The newer one is the same network for images of any size, which OpenCV 5 wants.
_FILE = f"face_detection_yunet_{'2023mar' if cv2.__version__ < '5' else '2026may'}.onnx"
HOW_TO_FETCH = (
    f"fetch {_FILE} (0.2 MB, MIT licence), that for OpenCV {cv2.__version__}, from the folder "
    "models/face_detection_yunet of github.com/opencv/opencv_zoo, as a file, and pass --model FILE"
)
_OVERLAP = 0.3
_MOST_FACES = 50
_TRIAL_HW = (64, 96)


class FaceDetector:
    """YuNet, for images of one size after another.

    Raises: VideoError if the file is no such model.
    """

    def __init__(self, path: str | Path, *, min_score: float) -> None:
        self._path = Path(path)
        if not self._path.is_file():
            raise VideoError(f"{path}: there is no such model; {HOW_TO_FETCH}")
        if self._path.read_bytes()[:64].startswith(b"version https://git-lfs"):
            raise VideoError(
                f"{path}: is a pointer of Git LFS and not the model itself; {HOW_TO_FETCH}"
            )
        level = cv2.utils.logging.getLogLevel()
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        try:
            self._network = cv2.FaceDetectorYN.create(
                str(path), "", _TRIAL_HW, min_score, _OVERLAP, _MOST_FACES
            )
            # Other networks are only found out when they see an image.
            self.detect(np.zeros((*_TRIAL_HW, 3), np.uint8))
        except Exception:  # bytes of another kind make OpenCV raise anything, at length
            raise VideoError(
                f"{path}: is not a face detector that OpenCV can use; {HOW_TO_FETCH}"
            ) from None
        finally:
            cv2.utils.logging.setLogLevel(level)

    def detect(self, image: Frame) -> NDArray[np.float64]:
        """The faces of an RGB image, (M, 4), left, top, width, height in its pixels.

        Raises: VideoError if the model cannot take images of this size.
        """
        height, width = image.shape[:2]
        try:
            self._network.setInputSize((width, height))
            _, found = self._network.detect(np.ascontiguousarray(image[:, :, ::-1]))
        except cv2.error:
            raise VideoError(
                f"{self._path}: OpenCV cannot use it for images of {width} x {height} pixels; "
                f"{HOW_TO_FETCH}"
            ) from None
        if found is None:
            return np.zeros((0, 4))
        boxes = np.asarray(found, dtype=np.float64)[:, :4]
        is_box = np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > 0).all(axis=1)
        return boxes[is_box]
