import json
from pathlib import Path

import pytest

from mmad.annotations.exchange.convert import convert
from mmad.annotations.exchange.reading import read_events
from mmad.cli.data import app
from mmad.errors import AnnotationError, MmadError
from support.commands import invoke

PLAIN = "video,start,end,label,person,score\nv,0.5,1.5,nod,P1,0.9\nv,2,3,Nod,P1,0.2\nw,1,1,wave,,\n"


def put(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_several_files_become_one_and_one_becomes_several(tmp_path: Path) -> None:
    one = put(tmp_path, "a.csv", PLAIN)
    other = put(tmp_path, "b.txt", "1.0\t2.5\tshrug\n")
    project = tmp_path / "out" / "p.boris"
    told = invoke(app, "convert", one, other, project, "--to", "boris")
    assert "4 events of 3 videos from csv, audacity to boris" in told
    assert "'Nod' and 'nod'" in told
    told = invoke(app, "convert", project, tmp_path / "eaf", "--to", "elan")
    assert "4 events of 3 videos from boris to elan: 3 files in" in told
    assert sorted(path.name for path in (tmp_path / "eaf").iterdir()) == ["b.eaf", "v.eaf", "w.eaf"]
    found = read_events(tmp_path / "eaf" / "v.eaf").events
    assert [(one.label, one.person, one.score) for one in found] == [
        ("nod", "P1", 0.9),
        ("nod", "P1", 0.2),
    ]
    told = invoke(app, "convert", tmp_path / "eaf", tmp_path / "grids", "--to", "praat")
    assert "not kept, because praat has no place for it: the score of 2 events" in told


def test_labels_are_renamed_by_a_table_in_every_command(tmp_path: Path) -> None:
    path = put(tmp_path, "a.csv", PLAIN)
    table = put(tmp_path, "map.csv", "from,to\nnod,B1\nwave,C5\n")
    told = invoke(app, "convert", path, tmp_path / "a.json", "--to", "csv", "--labels", table)
    assert "3 labels were changed by map.csv" in told
    told = invoke(app, "stats", path, "--labels", table)
    assert "nodding" in told
    clips = put(tmp_path, "train.txt", "a.mp4 9\n")
    with pytest.raises(MmadError, match="for annotations in time"):
        invoke(app, "stats", clips, "--labels", table)


def test_nothing_of_a_person_is_overwritten(tmp_path: Path) -> None:
    path = put(tmp_path, "a.csv", PLAIN)
    with pytest.raises(AnnotationError, match="is an input, which is never overwritten"):
        convert([path], path, format="csv", overwrite=True)
    with pytest.raises(AnnotationError, match=r"is the folder of the input a\.csv"):
        convert([path], tmp_path, format="praat")
    taken = put(tmp_path, "b.csv", "mine")
    with pytest.raises(AnnotationError, match=r"b\.csv: exists, .* pass --overwrite"):
        convert([path], taken, format="csv")
    assert taken.read_text() == "mine"
    convert([path], taken, format="csv", overwrite=True, min_score=0.5)
    assert [one.score for one in read_events(taken).events] == [0.9, None]


def test_what_is_beyond_a_video_is_cut_or_left_out(tmp_path: Path) -> None:
    rows = "video,start,end,label,video_seconds\nv,1,9,nod,5\nv,6,7,nod,5\n"
    path = put(tmp_path, "a.csv", rows)
    with pytest.raises(AnnotationError, match="reaches beyond the end of the video at 5"):
        read_events(path)
    cut = read_events(path, out_of_video="clip")
    assert [(one.start_seconds, one.end_seconds) for one in cut.events] == [(1.0, 5.0)]
    assert any("2 events were cut" in notice for notice in cut.notices)
    assert read_events(path, out_of_video="drop").events == ()


def test_videos_state_their_lengths_and_rates(tmp_path: Path, videos: Path) -> None:
    name = sorted((videos / "videos").iterdir())[0].stem
    path = put(tmp_path, "a.csv", f"video,start,end,label\n{name},0.5,1.5,nod\n")
    done = convert([path], tmp_path / "a.json", format="label-studio", videos=videos / "videos")
    assert not any("frame rate" in notice for notice in done.written.notices)
    (task,) = json.loads((tmp_path / "a.json").read_text())
    assert task["data"]["video"].endswith(f"{name}.mp4")
    assert task["data"]["fps"] > 1


def test_a_format_that_is_only_read_is_said(tmp_path: Path) -> None:
    path = put(tmp_path, "a.csv", PLAIN)
    with pytest.raises(AnnotationError, match="format 'charades-csv' is not written; these are"):
        convert([path], tmp_path / "b.csv", format="charades-csv")


def test_a_file_is_replaced_once_the_new_one_is_written(tmp_path: Path) -> None:
    path = put(tmp_path, "a.csv", "video,start,end,label\nv,0.5,1.5,nodding\nw,1,2,waving\n")
    old = put(tmp_path, "b.csv", "mine")
    with pytest.raises(AnnotationError, match="frame rate and number of frames are needed"):
        convert([path], old, format="mma52-csv", overwrite=True)
    assert old.read_text() == "mine"
    folder = tmp_path / "elan"
    folder.mkdir()
    put(folder, "w.eaf", "mine")
    with pytest.raises(AnnotationError, match=r"w\.eaf: exists"):
        convert([path], folder, format="elan")
    assert [one.name for one in folder.iterdir()] == ["w.eaf"]
    convert([path], folder, format="elan", overwrite=True)
    assert len(read_events(folder / "w.eaf").events) == 1
