import json
from pathlib import Path

import pytest

from mmad.annotations.exchange.reading import read_events
from mmad.errors import AnnotationError
from mmad.labels import flat_labels


def test_formats_of_one_label_set_are_events_too(tmp_path: Path) -> None:
    path = tmp_path / "val.json"
    path.write_text(json.dumps({"a": {"duration": 9.5, "actions": [[9, 1.0, 2.5]]}}))
    found = read_events(path, labels="ma52", strict=False)
    assert [(one.video_id, one.label, one.end_seconds) for one in found.events] == [
        ("a", "nodding", 2.5)
    ]
    assert found.videos[0].duration_seconds == 9.5
    assert found.format == "mma52-json"


def test_labels_by_number_are_named_by_a_label_set(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("video,start,end,label\nv,0,1,1\nv,1,2,0\n")
    labels = flat_labels(["nod", "wave"])
    assert [one.label for one in read_events(path, labels=labels).events] == ["wave", "nod"]
    path.write_text("video,start,end,label\nv,0,1,7\n")
    with pytest.raises(AnnotationError, match="line 2: unknown label 7; expected 0 to 1"):
        read_events(path, labels=labels)


def test_lists_without_times_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "train.txt"
    path.write_text("a.mp4 9\n")
    with pytest.raises(AnnotationError, match=r"a list of clips \(ma52-list\) has no times"):
        read_events(path)
