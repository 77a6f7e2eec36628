import gzip
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mmad.errors import PredictionError
from mmad.evaluation.detection import evaluate_detections
from mmad.evaluation.predictions import (
    read_predictions,
    write_predictions_csv,
    write_predictions_json,
)
from mmad.labels import MA52
from mmad.structures import Annotations, Detections, VideoRecord

HALF = np.array([0.5])


def record(video: str, *instances: tuple[float, float, int]) -> VideoRecord:
    table = np.array(instances, dtype=float).reshape(-1, 3)
    return VideoRecord(video, 60.0, "val", annotations=Annotations(table[:, :2], table[:, 2]))


def found(*rows: tuple[float, float, int, float]) -> Detections:
    table = np.array(rows, dtype=float).reshape(-1, 4)
    return Detections(table[:, :2], table[:, 2], table[:, 3])


def ap(detections: dict, records: list, *, protocol: str = "actionformer", tiou=HALF) -> float:
    report = evaluate_detections(
        detections, records, labels=MA52, tiou=tiou, protocol=protocol, levels=("action",)
    )
    return report.levels["action"].average


def test_files_round_trip(tmp_path: Path) -> None:
    detections = {"a": found((0.1, 1 / 3, 9, 0.2), (1, 2, 10, 0.9)), "b": found((5, 6, 0, 1e-9))}
    write_predictions_csv(tmp_path / "p.csv", detections)
    write_predictions_json(tmp_path / "p.json", detections, MA52)
    (tmp_path / "p.csv.gz").write_bytes(gzip.compress((tmp_path / "p.csv").read_bytes()))
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        archive.write(tmp_path / "p.csv", "prediction.csv")
    assert (
        (tmp_path / "p.csv")
        .read_text()
        .startswith(",video_id,t_start,t_end,class,score\n0,a,1.0,2.0,10,0.9")
    )
    for name in ("p.csv", "p.json", "p.csv.gz", "p.zip"):
        back = read_predictions(tmp_path / name, labels=MA52)
        for video, expected in detections.items():
            ranked = expected.by_score()
            assert (back[video].segments_seconds == ranked.segments_seconds).all()
            assert (back[video].labels == ranked.labels).all()
            assert (back[video].scores == ranked.scores).all()


def test_only_a_header_is_no_detections(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(",video_id,t_start,t_end,class,score\n")
    assert read_predictions(tmp_path / "p.csv", labels=MA52) == {}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("0,a,nan,2,9,0.5", "t_start must be a finite number, found 'nan'"),
        ("0,a,1,inf,9,0.5", "t_end must be a finite number, found 'inf'"),
        ("0,a,1,2,9,", "score must be a finite number, found ''"),
        ("0,a,1,2,9,-0.5", "score must be at least 0, found -0.5"),
        ("0,a,1,2,99,0.5", "unknown label 99"),
        ("0,a,1,2,noding,0.5", "did you mean 'nodding'"),
        ("0,a,x,2,9,0.5", "t_start must be a finite number, found 'x'"),
        ("0,a,1,2,9.5,0.5", "unknown label '9.5'"),
    ],
)
def test_bad_rows(tmp_path: Path, row: str, expected: str) -> None:
    (tmp_path / "p.csv").write_text(f",video_id,t_start,t_end,class,score\n{row}\n")
    with pytest.raises(PredictionError, match=f"p.csv: line 2: video 'a': .*{expected}"):
        read_predictions(tmp_path / "p.csv", labels=MA52)


ODD_ROWS = "0,a,0,10,9,0.9\n1,a,8,2,9,0.8\n2,a,5,5,9,0.7\n3,a,20,30,9,0.6\n"


def test_reversed_and_empty_rows_are_false_positives(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(",video_id,t_start,t_end,class,score\n" + ODD_ROWS)
    read = read_predictions(tmp_path / "p.csv", labels=MA52)
    assert (read.num_reversed, read.num_empty) == (1, 1)
    assert read.odd_rows_text() == (
        "2 rows (1 with end before start, 1 with zero length; first line 3: video 'a')"
    )
    truth = [record("a", (0, 10, 9), (20, 30, 9))]
    for protocol in ("mma52", "opentad", "actionformer"):
        # Hits at ranks 1 and 4, two annotations.
        assert ap(read, truth, protocol=protocol) == (1 + 2 / 4) / 2


def test_strict_reading_refuses_reversed_and_empty_rows(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(",video_id,t_start,t_end,class,score\n" + ODD_ROWS)
    with pytest.raises(PredictionError, match="2 problems") as caught:
        read_predictions(tmp_path / "p.csv", labels=MA52, strict=True)
    assert "line 3: video 'a': ends (2.0 s) before it starts (8.0 s)" in str(caught.value)
    assert "line 4: video 'a': starts and ends at 5.0 s" in str(caught.value)


def test_bad_files(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("video_id,t_start\na,1\n")
    with pytest.raises(PredictionError, match="missing t_end, class, score"):
        read_predictions(tmp_path / "p.csv", labels=MA52)
    (tmp_path / "p.json").write_text(json.dumps({"result": {}}))
    with pytest.raises(PredictionError, match="expected"):
        read_predictions(tmp_path / "p.json", labels=MA52)
    with pytest.raises(PredictionError, match="there is no such file"):
        read_predictions(tmp_path / "none.csv", labels=MA52)
    (tmp_path / "p.zip").write_bytes(b"nothing")
    with pytest.raises(PredictionError, match="cannot be read"):
        read_predictions(tmp_path / "p.zip", labels=MA52)


def test_all_problems_of_a_file_come_in_one_message(tmp_path: Path) -> None:
    rows = ["0,a,nan,2,9,-1", "1,b,1,2,9,0.5", "2,b,1,2,9", "3,,1,2,9,0.5"]
    (tmp_path / "p.csv").write_text("\n".join([",video_id,t_start,t_end,class,score", *rows]))
    with pytest.raises(PredictionError, match="4 problems") as caught:
        read_predictions(tmp_path / "p.csv", labels=MA52)
    told = str(caught.value)
    assert "line 2: video 'a': t_start must be a finite number, found 'nan'" in told
    assert "line 2: video 'a': score must be at least 0, found -1.0" in told
    assert "line 4: expected 6 cells, found 5" in told
    assert "line 5: video '': the video has no name" in told
    assert "line 3" not in told


def test_byte_order_mark_windows_lines_and_other_column_order(tmp_path: Path) -> None:
    text = "score,class,t_end,t_start,video_id\r\n0.5,B1,2,1,a\r\n\r\n"
    (tmp_path / "p.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    back = read_predictions(tmp_path / "p.csv", labels=MA52)
    assert back["a"].segments_seconds.tolist() == [[1.0, 2.0]]
    assert back["a"].labels.tolist() == [9]


def test_a_video_without_detections_survives_in_json(tmp_path: Path) -> None:
    write_predictions_json(tmp_path / "p.json", {"a": Detections()}, MA52)
    assert len(read_predictions(tmp_path / "p.json", labels=MA52)["a"]) == 0


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"segment": [1, 2], "label": True, "score": 1}, "name or index of a label, found True"),
        ({"segment": [1, 2], "label": 9.5, "score": 1}, "name or index of a label, found 9.5"),
        ({"segment": [1, 2], "label": 9}, "score must be a finite number, found None"),
        ({"segment": [1, True], "label": 9, "score": 1}, "t_end must be a finite number"),
        ({"segment": [1], "label": 9, "score": 1}, r"expected segment \[start, end\]"),
        ("nodding", r"expected segment \[start, end\]"),
    ],
)
def test_bad_json_items(tmp_path: Path, item: object, expected: str) -> None:
    (tmp_path / "p.json").write_text(json.dumps({"results": {"a": [item]}}))
    with pytest.raises(PredictionError, match=f"p.json: detection 0: video 'a': .*{expected}"):
        read_predictions(tmp_path / "p.json", labels=MA52)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("[1, 2]", "found no results"),
        ('{"results": [1]}', "found list"),
        ('{"results": {"a": 3}}', "expected a list of detections, found 3"),
        ('{"results": ', "not valid JSON"),
        ("video_id;t_start;t_end;class;score\n", "missing video_id"),
        ("", "missing video_id.*found nothing"),
    ],
)
def test_bad_content(tmp_path: Path, content: str, expected: str) -> None:
    (tmp_path / "p.txt").write_text(content)
    with pytest.raises(PredictionError, match=expected):
        read_predictions(tmp_path / "p.txt", labels=MA52)


def test_bad_archives(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        archive.writestr("../prediction.csv", "x")
    with pytest.raises(
        PredictionError, match=r"expected one prediction\.csv in the zip, found \.\./prediction"
    ):
        read_predictions(tmp_path / "p.zip", labels=MA52)
    packed = gzip.compress(b"some text that is long enough to be damaged")
    (tmp_path / "p.csv.gz").write_bytes(packed[:12] + b"\xff\xff" + packed[14:])
    with pytest.raises(PredictionError, match="cannot be read"):
        read_predictions(tmp_path / "p.csv.gz", labels=MA52)
