from pathlib import Path

import pytest

from mmad.annotations.exchange.reading import read_events
from mmad.annotations.formats import read_annotations
from mmad.annotations.labels.changes import LabelChanges, read_label_changes
from mmad.errors import AnnotationError


def changes(folder: Path, rows: str) -> LabelChanges:
    path = folder / "map.csv"
    path.write_text(f"from,to\n{rows}", encoding="utf-8")
    return read_label_changes(path)


def test_labels_are_renamed_joined_and_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("video,start,end,label\nv,0,1,Nod\nv,1,2,jerk\nv,2,3,other\nv,3,4,wave\n")
    table = changes(tmp_path, "nod,head movement\njerk,head movement\nother,\nblink,eyes\n")
    found = read_events(path, labels=table, strict=False)
    assert [one.label for one in found.events] == ["head movement", "head movement", "wave"]
    assert "3 labels were changed by map.csv, 1 of them left out" in found.notices[1]
    assert "map.csv: 1 label is not in a.csv, first 'blink'" in found.notices[2]
    annotated = read_annotations(path, labels=table)
    assert annotated.labels.names == ("head movement", "wave")
    assert annotated.records[0].annotations.labels.tolist() == [0, 0, 1]


def test_a_label_has_one_new_name(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="line 3: 'Nod' becomes 'c' here but 'b' before"):
        changes(tmp_path, "nod,b\nNod,c\n")
    with pytest.raises(AnnotationError, match="line 2: the cell of from is empty"):
        changes(tmp_path, ",b\n")


def test_rows_of_another_width_and_semicolons(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="line 2: expected 2 cells, found 3"):
        changes(tmp_path, "nod, left,nodding\n")
    with pytest.raises(AnnotationError, match="line 2: expected 2 cells, found 1"):
        changes(tmp_path, "unclear\n")
    (tmp_path / "map.csv").write_text("from;to\nHead nod;nodding\n")
    assert read_label_changes(tmp_path / "map.csv").new_names == {"head nod": "nodding"}
