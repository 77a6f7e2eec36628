import csv
from pathlib import Path

import openpyxl

from mmad.evaluation.thresholds import Thresholds
from mmad.labels import MA52, LabelMap
from mmad.report.workbook.detections import TableFacts, write_detection_tables
from mmad.structures import Detections

FOUND = {
    "P01/cam1": Detections([[1.23456, 2.5], [0.1, 0.70049]], [9, 24], [0.9, 0.5]),
    "=cmd": Detections([[0, 1], [1, 2]], [9, 9], [0.05, 0.31]),
}


def test_csv_and_workbook_have_the_same_rounded_rows(tmp_path: Path) -> None:
    path = tmp_path / "detections_table.csv"
    facts = TableFacts("runs/a", Thresholds.same(0.1, MA52), ["drawn people"], {"bad": "is empty"})
    write_detection_tables(path, FOUND, MA52, facts)
    rows = list(csv.reader(path.read_text().splitlines()))
    assert rows[0] == [
        *("video", "behaviour", "body part", "start (s)", "end (s)", "duration (s)", "score")
    ]
    assert rows[1:] == [
        ["P01/cam1", "shaking legs", "lower limb", "0.100", "0.700", "0.600", "0.500"],
        ["P01/cam1", "nodding", "head", "1.235", "2.500", "1.265", "0.900"],
        ["'=cmd", "nodding", "head", "1.000", "2.000", "1.000", "0.310"],
    ]
    book = openpyxl.load_workbook(path.with_suffix(".xlsx"))
    assert book.sheetnames == ["Detections", "Videos", "Behaviours", "About"]
    table = list(book["Detections"].iter_rows(min_row=2, values_only=True))
    assert table[1] == ("P01/cam1", "nodding", "head", 1.235, 2.5, 1.265, 0.9)
    assert table[2][0] == "=cmd"
    videos = list(book["Videos"].iter_rows(min_row=2, values_only=True))
    assert videos == [
        ("P01/cam1", 2, 0, None),
        ("=cmd", 1, 1, None),
        ("bad", None, None, "is empty"),
    ]
    about = dict(book["About"].iter_rows(min_row=2, values_only=True))
    assert about["threshold"] == "0.1 for all behaviours"
    assert about["note"] == "drawn people"
    nodding = next(
        row for row in book["Behaviours"].iter_rows(values_only=True) if row[0] == "nodding"
    )
    assert nodding == ("nodding", 0.1, 2, 2, 2.265)


def test_labels_without_body_parts_have_no_such_column(tmp_path: Path) -> None:
    labels = LabelMap(("nod",))
    facts = TableFacts("runs/a", Thresholds.same(0.0, labels))
    path = tmp_path / "t.csv"
    write_detection_tables(path, {"v": Detections([[0, 1]], [0], [0.5])}, labels, facts)
    assert path.read_text() == (
        "video,behaviour,start (s),end (s),duration (s),score\nv,nod,0.000,1.000,1.000,0.500\n"
    )
