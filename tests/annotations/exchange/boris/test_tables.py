from pathlib import Path

import pytest

from mmad.annotations.exchange.events import CodedVideo, Event, EventFile
from mmad.annotations.exchange.reading import read_events
from mmad.annotations.exchange.writing import write_events
from mmad.annotations.format_table import detect_format
from mmad.errors import AnnotationError

# As BORIS 2 to 7 export a single observation.
OLD = """\
Observation id\tobs\t\t\t\t\t\t\t
Player #1\tv.mp4\t\t\t\t\t\t\t
Time offset (s)\t100.0\t\t\t\t\t\t\t
Time\tMedia file path\tTotal length\tFPS\tSubject\tBehavior\tModifier 1\tComment\tStatus
101.000\tv.mp4\t20.000\t25.0\tanna\tnod\tfast\t\tSTART
101.500\tv.mp4\t20.000\t25.0\tNo focal subject\tblink\t\tx\tPOINT
102.250\tv.mp4\t20.000\t25.0\tanna\tnod\tfast\t\tSTOP
"""
AGGREGATED = """\
Observation id,Observation date,Media file,Total length,FPS,Subject,Behavior,Modifiers,\
Behavior type,Start (s),Stop (s),Duration (s),Comment start,Comment stop
obs,2016-12-01,C:/x/v.mp4,20.0,25.0,anna,nod,fast,STATE,1.000,2.250,1.250,,
obs,2016-12-01,C:/x/v.mp4,20.0,25.0,No focal subject,blink,,POINT,1.500,1.500,NA,x,
"""
EXPECTED = (
    Event("v", "nod", 1.0, 2.25, person="anna", modifiers="fast"),
    Event("v", "blink", 1.5, 1.5, comment="x"),
)


@pytest.mark.parametrize(
    ("name", "text", "format"),
    [("a.tsv", OLD, "boris-tabular"), ("a.csv", AGGREGATED, "boris-aggregated")],
)
def test_exports_are_read_by_the_names_of_their_columns(
    tmp_path: Path, name: str, text: str, format: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    assert detect_format(path) == format
    found = read_events(path)
    assert found.events == EXPECTED
    assert (found.videos[0].duration_seconds, found.videos[0].fps) == (20.0, 25.0)


@pytest.mark.parametrize("format", ["boris-tabular", "boris-aggregated"])
def test_spreadsheets_are_written_and_read(tmp_path: Path, format: str) -> None:
    file = EventFile(tmp_path, "csv", EXPECTED, ("", ""), (CodedVideo("v", "v.mp4", 20.0, 25.0),))
    write_events(tmp_path / "a.xlsx", file, format=format)
    assert detect_format(tmp_path / "a.xlsx") == format
    assert read_events(tmp_path / "a.xlsx").events == EXPECTED


def test_what_cannot_be_known_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text(OLD.replace("STOP", "START").replace("fast\t\tSTART", "\t\tSTART", 1))
    with pytest.raises(AnnotationError, match=r"line 5: 'nod' of anna at 101\.000 s has a start w"):
        read_events(path)
    path.write_text(AGGREGATED.replace("C:/x/v.mp4", "C:/x/u.mp4", 1))
    with pytest.raises(AnnotationError, match="has 2 media files one after another"):
        read_events(path)
