"""Small files as other programs write them: VIA, Label Studio, Audacity, Praat, ELAN's text."""

import json
from pathlib import Path

import pytest

from mmad.annotations.exchange.events import Event
from mmad.annotations.exchange.reading import read_events
from mmad.annotations.format_table import detect_format
from mmad.errors import AnnotationError

VIA_CSV = """\
# Exported using VGG Image Annotator (http://www.robots.ox.ac.uk/~vgg/software/via)
# ATTRIBUTE = {"1":{"aname":"Comment","anchor_id":"FILE1_Z2_XY0","type":1,"options":{}},\
"3":{"aname":"Behaviour","anchor_id":"FILE1_Z2_XY0","type":4,"options":{"0":"nod","1":"wave"}}}
# CSV_HEADER = metadata_id,file_list,flags,temporal_coordinates,spatial_coordinates,metadata
"1_a","[""a b.mp4""]",0,"[1.5,2.25]","[]","{""1"":""left"",""3"":""1""}"
"1_b","[""a b.mp4""]",0,"[4.5]","[]","{""3"":""0""}"
"1_c","[""a b.mp4""]",0,"[5]","[2,1,1,9,9]","{""3"":""0""}"
"""
VIA_SEGMENTS = """\
# CSV_HEADER = metadata_id,file_list,temporal_segment_start,temporal_segment_end,metadata
"1_a","[""v.mp4""]",1.5,2.25,"{""TEMPORAL-SEGMENTS"":""wave""}"
"""
LONG_GRID = """\
File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 9.5
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "IntervalTier"
        name = "anna"
        xmin = 0
        xmax = 9.5
        intervals: size = 2
        intervals [1]:
            xmin = 0
            xmax = 1.5
            text = ""
        intervals [2]:
            xmin = 1.5
            xmax = 2.25
            text = "say ""hi"" [2]"
    item [2]:
        class = "TextTier"
        name = "events"
        xmin = 0
        xmax = 9.5
        points: size = 1
        points [1]:
            number = 4.5
            mark = "nod"
"""
SHORT_GRID = """\
File type = "ooTextFile"
"TextGrid"

0
9.5
<exists>
2
"IntervalTier"
"anna"
0
9.5
2
0
1.5
""
1.5
2.25
"say ""hi"" [2]"
"TextTier"
"events"
0
9.5
1
4.5
"nod"
"""
ELAN_COLUMNS = (
    "anna\tAnna\t00:00:01.500\t1.5\t00:00:02.250\t2.25\t00:00:00.750\t0.75\twave\n"
    "anna\tAnna\t00:01:04.500\t64.5\t00:01:05.000\t65.0\t00:00:00.500\t0.5\t\n"
)
ELAN_TIERS = (
    '"#C:\\\\data\\\\P07.eaf"\n'
    "Begin Time - msec\tEnd Time - msec\tgesture\tgaze\n1500\t2250\twave\tleft\n2500\t3000\t\tup\n"
)


def put(folder: Path, name: str, text: str, *, encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def read(path: Path, **more: float) -> tuple[Event, ...]:
    return read_events(path, tell=lambda notice: None, **more).events


def task(*ranges: tuple[int, int], **data: object) -> list[dict[str, object]]:
    results = [
        {
            "id": f"r{place}",
            "type": "timelinelabels",
            "value": {"ranges": [{"start": start, "end": end}], "timelinelabels": ["wave"]},
        }
        for place, (start, end) in enumerate(ranges)
    ]
    media = {"video": "/data/upload/1/0a1b2c3d-P01.mp4"} | data
    return [{"id": 1, "data": media, "annotations": [{"completed_by": 7, "result": results}]}]


def test_via_reads_the_attribute_that_is_named_as_labels_are(tmp_path: Path) -> None:
    path = put(tmp_path, "x.csv", VIA_CSV)
    assert detect_format(path) == "via-csv"
    assert read(path) == (
        Event("a b", "wave", 1.5, 2.25, comment="left"),
        Event("a b", "nod", 4.5, 4.5),
    )
    found = read_events(path, strict=False)
    assert any("1 region is left out" in notice for notice in found.notices)
    assert found.labels == ("nod", "wave")
    assert read(put(tmp_path, "y.csv", VIA_SEGMENTS)) == (Event("v", "wave", 1.5, 2.25),)


def test_a_range_of_label_studio_begins_at_frame_1_and_has_its_last_frame(tmp_path: Path) -> None:
    path = put(tmp_path, "x.json", json.dumps(task((1, 25), (26, 26), fps=25)))
    assert detect_format(path) == "label-studio"
    assert read(path) == (
        Event("P01", "wave", 0.0, 1.0, annotator="7"),
        Event("P01", "wave", 1.0, 1.04, annotator="7"),
    )
    path = put(tmp_path, "y.json", json.dumps(task((1, 24))))
    assert read(path)[0].end_seconds == 1.0
    notices = read_events(path, strict=False).notices
    assert any("read at 24 frames per second" in notice for notice in notices)
    assert read(path, fps=12)[0].end_seconds == 2.0


def test_json_min_and_segments_in_seconds_are_read(tmp_path: Path) -> None:
    value = {"ranges": [{"start": 25, "end": 50}], "timelinelabels": ["wave"]}
    least = [{"video": "s3://b/P01/c.mp4", "id": 3, "annotator": 2, "label": [value], "fps": 25}]
    (found,) = read(put(tmp_path, "x.json", json.dumps(least)))
    assert (found.video_id, found.start_seconds, found.end_seconds) == ("c", 0.96, 2.0)
    spoken = {"start": 1.25, "end": 2.5, "channel": 0, "labels": ["laugh"]}
    results = [{"id": "a", "type": "labels", "value": spoken}]
    audio = [{"data": {"video_url": "v.mp4"}, "annotations": [{"result": results}]}]
    (found,) = read(put(tmp_path, "y.json", json.dumps(audio)))
    assert (found.label, found.start_seconds, found.end_seconds) == ("laugh", 1.25, 2.5)


@pytest.mark.parametrize("text", [LONG_GRID, SHORT_GRID, LONG_GRID.replace("\n", "\r\n")])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_textgrids_are_read_in_every_form(tmp_path: Path, text: str, encoding: str) -> None:
    path = put(tmp_path, "P01.TextGrid", text, encoding=encoding)
    assert detect_format(path) == "praat"
    found = read_events(path)
    assert found.events == (
        Event("P01", 'say "hi" [2]', 1.5, 2.25, person="anna"),
        Event("P01", "nod", 4.5, 4.5),
    )
    assert found.videos[0].duration_seconds == 9.5


def test_labels_of_audacity_are_read_without_frequencies(tmp_path: Path) -> None:
    text = "1,5\t2,25\twave left\n\\\t100.0\t200.0\n4.500000\t4.500000\tnod\n5.0\t6.0\n"
    path = put(tmp_path, "P01.txt", text)
    assert detect_format(path) == "audacity"
    assert read(path) == (Event("P01", "wave left", 1.5, 2.25), Event("P01", "nod", 4.5, 4.5))
    notices = read_events(path, strict=False).notices
    assert any("1 label is left out, first line 4: it has no text" in one for one in notices)


def test_columns_of_elans_text_are_told_apart_by_what_is_in_them(tmp_path: Path) -> None:
    path = put(tmp_path, "P01.txt", ELAN_COLUMNS)
    assert detect_format(path) == "elan-text"
    assert read(path) == (
        Event("P01", "wave", 1.5, 2.25, person="Anna"),
        Event("P01", "anna", 64.5, 65.0, person="Anna"),
    )
    assert read(put(tmp_path, "x.txt", ELAN_TIERS)) == (
        Event("P07", "wave", 1.5, 2.25),
        Event("P07", "left", 1.5, 2.25),
        Event("P07", "up", 2.5, 3.0),
    )


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.TextGrid", LONG_GRID[:-60], "the file ends where"),
        ("a.TextGrid", SHORT_GRID.replace("1.5\n2.25", "1.5\nx"), "line 18: expected a number"),
        ("a.TextGrid", SHORT_GRID.replace('"TextTier"', '"Pitch"'), "expected a tier of the class"),
        ("a.TextGrid", SHORT_GRID.replace("\n2\n0", "\n1000000000\n0"), "expected a number"),
        ("a.txt", "1.0\t2.0\tnod\nx\ty\n", "line 2: expected start, end and label with tabs"),
        ("a.txt", "2.0\t1.0\tnod\n", "line 1 .video a.: reversed segment"),
        ("a.csv", VIA_CSV.replace("[1.5,2.25]", "[1.5,null]"), "line 4: expected .start, end. in"),
        ("a.csv", VIA_CSV.replace("[1.5,2.25]", "[1.5"), "line 4: not valid JSON"),
        ("a.json", json.dumps(task((1, 2))).replace('"start": 1', '"start": "x"'), "r0: expected"),
        ("a.txt", ELAN_COLUMNS.replace("2.25\t", "9.25\t").replace("02.250", "09.250"), "agree"),
    ],
)
def test_a_malformed_file_is_one_clear_message(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    with pytest.raises(AnnotationError, match=message):
        read_events(put(tmp_path, name, text))
