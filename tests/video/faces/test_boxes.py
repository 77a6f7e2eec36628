from pathlib import Path

import numpy as np
import pytest

from mmad.errors import AnnotationError
from mmad.video.faces.boxes import FaceBoxes, no_faces, read_face_boxes, write_face_boxes
from support.emotions import put

HEADER = "video_id,frame,x,y,w,h\n"


def test_a_file_and_a_folder_of_files(tmp_path: Path) -> None:
    path = put(
        tmp_path, "all.csv", "Video,frame,x,y,w,h,score\na.mp4,4,1,2,30,40,1\na,0,5,6,7,8,1\n"
    )
    found = read_face_boxes(path)["a"]
    assert found.frames.tolist() == [0, 4]
    assert found.boxes.tolist() == [[5, 6, 7, 8], [1, 2, 30, 40]]
    folder = tmp_path / "each"
    write_face_boxes(folder / "a.csv", "a", found)
    write_face_boxes(folder / "b.csv", "b", no_faces())
    again = read_face_boxes(folder)
    assert again["a"].digest() == found.digest()
    assert len(again["b"]) == 0


def test_a_digest_is_of_frames_and_boxes() -> None:
    boxes = np.array([[1.0, 2, 3, 4]])
    one = FaceBoxes(np.array([0]), boxes).digest()
    assert one != FaceBoxes(np.array([1]), boxes).digest()
    assert one != FaceBoxes(np.array([0]), boxes + 1).digest()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a,0,1,2,0,4", r"line 2 \(video a\): expected a width and a height above 0"),
        ("a,0.5,1,2,3,4", "expected a whole number from 0 as the frame"),
        ("a,-1,1,2,3,4", "expected a whole number from 0 as the frame"),
        ("a,0,0.1,0.2,0.3,0.4", "these look like shares of the image"),
        ("a,0,1,nan,3,4", "expected finite numbers of pixels"),
        ("a,0,1,x,3,4", "expected frame, x, y, w, h as numbers, found 0, 1, x, 3, 4"),
        ("a,0,1,,3,4", "expected frame, x, y, w, h as numbers"),
        (",0,1,2,3,4", "video_id is empty"),
        ("a,0,1", "expected 6 cells, found 3"),
    ],
)
def test_bad_rows(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(AnnotationError, match=message):
        read_face_boxes(put(tmp_path, "all.csv", f"{HEADER}{row}\n"))


def test_no_boxes_at_all(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="has no CSV of face boxes"):
        read_face_boxes(tmp_path)
    path = put(tmp_path, "all.csv", "video_id,left,top\n")
    with pytest.raises(AnnotationError, match="expected the columns video_id,frame,x,y,w,h; found"):
        read_face_boxes(path)
