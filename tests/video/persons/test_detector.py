from pathlib import Path

import numpy as np
import pytest

from mmad.errors import VideoError
from mmad.video.persons.detector import PersonDetector
from support.yolox import CELL, write_yolox


def test_boxes_are_in_pixels_of_any_image(tmp_path: Path) -> None:
    detector = PersonDetector(write_yolox(tmp_path / "yolox.onnx"), min_score=0.5)
    image = np.zeros((320, 640, 3), dtype=np.uint8)
    image[2 * CELL : 3 * CELL, 5 * CELL : 6 * CELL] = 255
    image[:CELL, :CELL] = 153  # 0.6 of 255, and the score its square, 0.36
    boxes, scores = detector.detect(image)
    cell = [5 * CELL, 2 * CELL, 6 * CELL, 3 * CELL]
    np.testing.assert_allclose(boxes, [cell], atol=1e-3)
    np.testing.assert_allclose(scores, [1.0], atol=1e-4)
    # Half the size, of which the network sees the same.
    boxes, _ = detector.detect(np.ascontiguousarray(image[::2, ::2]))
    np.testing.assert_allclose(boxes, [np.array(cell) / 2], atol=1e-3)
    high, _ = detector.detect(np.ascontiguousarray(image.transpose(1, 0, 2)))
    np.testing.assert_allclose(high, [[2 * CELL, 5 * CELL, 3 * CELL, 6 * CELL]], atol=1e-3)
    boxes, scores = detector.detect(np.zeros((64, 64, 3), np.uint8))
    assert (boxes.shape, scores.shape) == ((0, 4), (0,))


def test_what_is_no_person_detector(tmp_path: Path) -> None:
    other = write_yolox(tmp_path / "of_20_classes.onnx", classes=20)
    junk = tmp_path / "junk.onnx"
    junk.write_bytes(bytes(range(256)))
    for path in (other, junk):
        with pytest.raises(VideoError, match=r"is not a YOLOX detector that OpenCV can use; fetch"):
            PersonDetector(path, min_score=0.5)
    pointer = tmp_path / "pointer.onnx"
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(VideoError, match="is a pointer of Git LFS"):
        PersonDetector(pointer, min_score=0.5)
    with pytest.raises(VideoError, match="there is no such model; fetch object_detection_yolox"):
        PersonDetector(tmp_path / "none.onnx", min_score=0.5)
