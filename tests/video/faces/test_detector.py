from pathlib import Path

import numpy as np
import pytest

from mmad.errors import VideoError
from mmad.video.faces.detector import FaceDetector
from support.yunet import CELL, write_yunet


def test_boxes_are_in_pixels_of_any_image(tmp_path: Path) -> None:
    detector = FaceDetector(write_yunet(tmp_path / "yunet.onnx"), min_score=0.7)
    image = np.zeros((100, 192, 3), dtype=np.uint8)
    image[CELL : 2 * CELL, 3 * CELL : 4 * CELL] = 255
    assert detector.detect(image).tolist() == [[3 * CELL, CELL, CELL, CELL]]
    image[:CELL, :CELL] = 153  # of 255: the score, a product of two roots, is 0.6
    assert len(detector.detect(image)) == 1
    assert detector.detect(np.zeros((64, 64, 3), np.uint8)).shape == (0, 4)


def test_what_is_no_face_detector(tmp_path: Path) -> None:
    other = write_yunet(tmp_path / "one_output.onnx", outputs=1)
    junk = tmp_path / "junk.onnx"
    junk.write_bytes(bytes(range(256)))
    for path in (other, junk):
        with pytest.raises(VideoError, match=r"is not a face detector that OpenCV can use; fetch"):
            FaceDetector(path, min_score=0.7)
    pointer = tmp_path / "pointer.onnx"
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(VideoError, match="is a pointer of Git LFS"):
        FaceDetector(pointer, min_score=0.7)
    with pytest.raises(VideoError, match="there is no such model; fetch face_detection_yunet"):
        FaceDetector(tmp_path / "none.onnx", min_score=0.7)
