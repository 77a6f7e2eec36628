from dataclasses import replace
from datetime import time, timedelta
from pathlib import Path

import openpyxl
import pytest

from mmad.annotations.exchange.events import CodedVideo, Event, EventFile
from mmad.annotations.exchange.plain import write_plain
from mmad.annotations.exchange.reading import read_events
from mmad.annotations.formats import read_annotations
from mmad.errors import AnnotationError


def put(folder: Path, text: str, *, encoding: str = "utf-8", name: str = "coded.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def times(path: Path, **more: float) -> list[tuple[str, float, float, str]]:
    events = read_events(path, tell=lambda notice: None, **more).events
    return [(one.video_id, one.start_seconds, one.end_seconds, one.label) for one in events]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("video,start,end,label\nv.mp4,0.5,1.25,nod\n", ("v", 0.5, 1.25, "nod")),
        ("Video;Onset (s);Offset (s);Behaviour\nv;0,5;1,25;nod\n", ("v", 0.5, 1.25, "nod")),
        ("label\tduration_ms\tonset_ms\tfile\nnod\t750\t500\tv.avi\n", ("v", 0.5, 1.25, "nod")),
        ("behavior,begin time,end time\nnod,00:00:00.5,0:01.25\n", ("coded", 0.5, 1.25, "nod")),
        ("code,start_frame,end_frame,fps,vid\n7,10,25,20,a/v.mp4\n", ("v", 0.5, 1.25, "7")),
    ],
)
def test_columns_are_found_by_the_names_people_give_them(
    tmp_path: Path, text: str, expected: tuple[str, float, float, str]
) -> None:
    assert times(put(tmp_path, text)) == [expected]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_encodings_and_line_ends_do_not_matter(tmp_path: Path, encoding: str) -> None:
    text = "video,start,end,label,comment\r\nMüller.mp4,1,2.5,nod,\r\n"
    path = put(tmp_path, text, encoding=encoding)
    assert times(path) == [("Müller", 1.0, 2.5, "nod")]
    notices = read_events(path, strict=False).notices
    assert any("Windows-1252" in one for one in notices) == (encoding == "cp1252")


def test_frames_need_a_rate(tmp_path: Path) -> None:
    path = put(tmp_path, "video,frame_start,frame_end,label\nv,25,50,nod\n")
    with pytest.raises(AnnotationError, match=r"line 2: frame_start is in frames.*pass --fps"):
        read_events(path)
    assert times(path, fps=25) == [("v", 1.0, 2.0, "nod")]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("v,x,1,nod", r"coded\.csv: line 2: start: expected a time, found 'x'"),
        ("v,nan,1,nod", "expected a time, found 'nan'"),
        ("v,1e99,1,nod", "expected a time, found '1e99'"),
        ("v,2,1,nod", r"line 2 \(video v\): reversed segment, starts at 2\.0000"),
        ("v,-1,1,nod", r"line 2 \(video v\): starts at -1\.0000 s, before the video"),
        ("v,0,1,", "line 2: the label .label. is empty"),
        (",0,1,nod", "line 2: the cell of the video .video. is empty"),
        ('v,0,1,"nod', "not valid CSV at line 2"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, row: str, message: str) -> None:
    path = put(tmp_path, f"video,start,end,label\n{row}\n")
    with pytest.raises(AnnotationError, match=message):
        read_events(path)


def test_labels_that_differ_by_case_or_blanks_are_one(tmp_path: Path) -> None:
    rows = "v,0,1,Nod\nv,1,2,nod\nv,2,3,nod\nv,3,4,head  shake\nv,4,5,head shake\n"
    path = put(tmp_path, f"video,start,end,label\n{rows}")
    found = read_events(path, strict=False)
    assert [event.label for event in found.events] == ["nod"] * 3 + ["head shake"] * 2
    assert any("are taken for one: 'Nod' and 'nod'" in one for one in found.notices)
    assert read_annotations(path).labels.names == ("head shake", "nod")


def test_points_are_kept_as_events_and_left_out_of_training(tmp_path: Path) -> None:
    path = put(tmp_path, "video,start,end,label\nv,1,1,nod\nv,1,2,nod\n")
    assert [event.is_point for event in read_events(path).events] == [True, False]
    found = read_annotations(path)
    assert len(found.records[0].annotations) == 1
    assert any("1 point event is left out, first nod at 1.000 s" in one for one in found.notices)


def test_everything_about_an_event_survives(tmp_path: Path) -> None:
    events = (
        Event("a, b", 'say "x"\ttwo', 0.25, 1.5, "P1", "anna", 0.5, "left; late", "m|n"),
        Event("c", "nod", 2.0, 2.0),
    )
    videos = (CodedVideo("a, b", "", 9.5, 29.97, "train"), CodedVideo("c"), CodedVideo("d"))
    path = tmp_path / "out.csv"
    write_plain(path, EventFile(path, "csv", events, ("", ""), videos))
    found = read_events(path)
    assert found.events == (replace(events[0], label='say "x" two'), events[1])
    assert [one.video_id for one in found.videos] == ["a, b", "c", "d"]
    assert (found.videos[0].duration_seconds, found.videos[0].fps) == (9.5, 29.97)
    assert found.videos[0].subset == "train"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("video,start,end,label\nv,1,5,2,5,nod\n", r"line 2: expected 4 cells.*decimal commas"),
        ("video;start;end;label\nv;1;2;nod;x\n", "line 2: expected 4 cells as in the header, fo"),
        ("video,start,end,label,fps\nv,1,2,nod,30 fps\n", "fps: expected a number above 0, found"),
        ("video,start,end,label,fps\nv,1,2,nod,0\n", "fps: expected a number above 0"),
        ("video,start,end,label,video_seconds\nv,1,2,nod,ten\n", "video_seconds: expected a num"),
    ],
)
def test_rows_that_would_be_misread_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(AnnotationError, match=message):
        read_events(put(tmp_path, text))


def test_empty_cells_beyond_the_header_are_those_of_a_spreadsheet(tmp_path: Path) -> None:
    assert times(put(tmp_path, "video,start,end,label\nv,1,2,nod,,\n")) == [("v", 1, 2, "nod")]


def test_clock_times_of_a_spreadsheet_are_those_of_its_csv(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["video", "start", "end", "label"])
    for start, end, form in (
        (time(0, 5), time(0, 12), "h:mm"),
        (time(0, 0, 5), timedelta(seconds=12), "[h]:mm:ss"),
    ):
        sheet.append(["v", start, end, "nod"])
        for cell in sheet[sheet.max_row][1:3]:
            cell.number_format = form
    book.save(tmp_path / "a.xlsx")
    text = "video,start,end,label\nv,0:05,0:12,nod\nv,0:00:05,0:00:12,nod\n"
    assert times(tmp_path / "a.xlsx") == times(put(tmp_path, text)) == 2 * [("v", 5, 12, "nod")]
