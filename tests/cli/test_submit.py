import csv
import io
import json
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mmad.cli.submit import app
from mmad.errors import AnnotationError, MmadError, PredictionError
from mmad.evaluation.clips.recognition import RECOGNITION_COLUMNS
from mmad.evaluation.submission import build_submission, check_submission, guess_task

DETECTION = ",video_id,t_start,t_end,class,score\n"
RECOGNITION = ",".join(RECOGNITION_COLUMNS) + "\n"
ROW = "0,test0000,1.5,2.5,9,0.5\n"
CLIP = "a.mp4,9,8,7,6,5,1,1,1,1,1\n"


def zipped(folder: Path, text: str, **others: str) -> Path:
    path = folder / "s.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("prediction.csv", text)
        for name, content in others.items():
            archive.writestr(name, content)
    return path


def inside(path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["prediction.csv"]
        return archive.read("prediction.csv").decode()


def call(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def annotations(tmp_path: Path) -> Path:
    """Two test videos of 30 s with placeholder instances, and one of another subset."""
    video = {"subset": "test", "duration": 30.0, "actions": [[0, 0.0, 0.6667]]}
    content = {"test0000": video, "test0001": video, "val0000": {**video, "subset": "val"}}
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_detections_become_the_zip(kind: str, tmp_path: Path) -> None:
    source = tmp_path / f"p.{kind}"
    if kind == "csv":
        source.write_text("score,video_id,class,t_start,t_end\n0.25,v,B1,1,2\n0.5,v,0,3,4.5\n")
    else:
        low = {"segment": [1, 2], "label": "nodding", "score": 0.25}
        high = {"segment": [3, 4.5], "label": "shaking body", "score": 0.5}
        source.write_text(json.dumps({"results": {"v": [low, high]}}))
    said = call(source, "--out", tmp_path / "a.zip")
    assert "a.zip: written, detection, 2 detections of 1 video" in said
    assert "not checked: whether the ids are known and all videos present" in said
    assert inside(tmp_path / "a.zip") == DETECTION + "0,v,3.0,4.5,0,0.5\n1,v,1.0,2.0,9,0.25\n"
    call(source, "--out", tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert "a.zip: in order, detection, 2 detections" in call("--check", tmp_path / "a.zip")


def test_recognitions_become_the_zip(tmp_path: Path) -> None:
    source = tmp_path / "p.csv"
    source.write_text("vid,label," + ",".join(RECOGNITION_COLUMNS[1:6]) + "\na,3,9,8,0,6,5\n")
    said = call(source, "--out", tmp_path / "a.zip")
    assert "a.zip: written, recognition, 1 clip" in said
    assert inside(tmp_path / "a.zip") == RECOGNITION + "a.mp4,9,8,0,6,5,1,1,0,1,1\n"
    assert "recognition, 1 clip" in call("--check", tmp_path / "a.zip")


def test_detections_of_zero_length_are_left_out_and_told(tmp_path: Path) -> None:
    source = tmp_path / "p.csv"
    source.write_text(DETECTION + ROW + "1,test0000,3,3,9,0.4\n2,test0000,4,4,9,0.4\n")
    said = call(source, "--out", tmp_path / "a.zip")
    assert "warning: detections of zero length, left out: 2 (video 'test0000')\n" in said
    assert len(list(csv.reader(io.StringIO(inside(tmp_path / "a.zip"))))) == 1 + 1


def test_nothing_is_written_that_would_be_refused(tmp_path: Path) -> None:
    source = tmp_path / "p.csv"
    source.write_text(DETECTION + "0,v,1,2,9,1.5\n")
    with pytest.raises(PredictionError, match=r"score must be from 0 to 1, found 1\.5"):
        build_submission(source, tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists()


@pytest.mark.parametrize("subset", ["test", "val"])
def test_presence_of_videos(subset: str, tmp_path: Path, annotations: Path) -> None:
    path = zipped(tmp_path, DETECTION + ROW + "1,test0001,0,30,51,1\n")
    if subset == "test":
        said = call("--check", path, "--annotations", annotations)
        assert "present: 2 of 2 videos" in said
        assert "not checked" not in said
        return
    other = r"its videos are those of subset test of .*, not of val; pass --subset test"
    with pytest.raises(PredictionError, match=other):
        call("--check", path, "--annotations", annotations, "--subset", "val")
    mixed = zipped(tmp_path, DETECTION + ROW + "1,elsewhere,0,30,51,1\n")
    with pytest.raises(PredictionError) as error:
        call("--check", mixed, "--annotations", annotations, "--subset", "val")
    assert "video 'test0000': is not in the annotations of this subset" in str(error.value)
    assert "1 of 1 videos have no row: val0000" in str(error.value)


def test_presence_of_clips(tmp_path: Path) -> None:
    path = zipped(tmp_path, RECOGNITION + CLIP)
    listed = tmp_path / "test_list.txt"
    listed.write_text("a.mp4\n")
    assert "present: 1 of 1 clip" in call("--check", path, "--annotations", listed)
    listed.write_text("b.mp4\nc.mp4\n")
    with pytest.raises(PredictionError, match=r"2 of 2 clips have no row: b\.mp4, c\.mp4") as error:
        call("--check", path, "--annotations", listed)
    assert "line 2: clip 'a.mp4': is not in the annotations" in str(error.value)


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (30.0005, ""),
        (30.5, "segments that end after their video: 1 (line 2"),
        (99, "segments that end"),
    ],
)
def test_ends_after_the_video(end: float, expected: str, tmp_path: Path) -> None:
    path = zipped(tmp_path, DETECTION + f"0,test0000,1,{end},9,0.5\n")
    warnings = check_submission(path, expected={"test0000": 30.0}).warnings
    assert [warning[: len(expected)] for warning in warnings] == ([expected] if expected else [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (DETECTION, "the file has no rows"),
        ("video_id,t_start,t_end,class,score\nv,1,2,9,1\n", "expected the header ,video_id"),
        (",video_id,t_end,t_start,class,score\n", "expected the header ,video_id,t_start"),
        (DETECTION + "0,,1,2,9,0.5\n", "line 2: video '': the id is empty"),
        (DETECTION + "0,v,1,2,52,0.5\n", "class must be an index from 0 to 51, found '52'"),
        (DETECTION + "0,v,1,2,nodding,0.5\n", "found 'nodding'"),
        (DETECTION + "0,v,1,2,9.0,0.5\n", r"found '9\.0'"),
        (DETECTION + "0,v,nan,2,9,0.5\n", "t_start must be a finite number, found 'nan'"),
        (DETECTION + "0,v,1,inf,9,0.5\n", "t_end must be a finite number, found 'inf'"),
        (DETECTION + "0,v,1,2,9,\n", "score must be a finite number, found ''"),
        (DETECTION + "0,v,-1,2,9,0.5\n", "t_start must be at least 0, found -1"),
        (DETECTION + "0,v,2,2,9,0.5\n", r"must end after it starts, found 2\.0 to 2\.0"),
        (DETECTION + "0,v,1,2,9,-0.5\n", r"score must be from 0 to 1, found -0\.5"),
        (DETECTION + "0,v,1,2,9\n", "line 2: expected 6 cells, found 5"),
        (RECOGNITION + "a,9,8,7,6,5,1,1,1,1,1\n", r"clip 'a': expected an id that ends in \.mp4"),
        (RECOGNITION + CLIP + CLIP, r"line 3: clip 'a\.mp4': has a row already, line 2"),
        (RECOGNITION + "a.mp4,9,8,7,6,,1,1,1,1,1\n", "action_pred_5 must be an index .* found ''"),
        (RECOGNITION + "a.mp4,9,8,7,6,5,1,1,1,1,7\n", "body_pred_5 .* from 0 to 6, found '7'"),
        ("vid,action_pred_1\na.mp4,1\n", "expected the header vid,action_pred_1,action_pred_2"),
        ("name,label\n", "expected a header with video_id .*found 'name,label'"),
    ],
)
def test_what_the_challenge_would_refuse(text: str, expected: str, tmp_path: Path) -> None:
    with pytest.raises(PredictionError, match=expected):
        check_submission(zipped(tmp_path, text))


def test_all_problems_in_one_message(tmp_path: Path) -> None:
    rows = "".join(f"{i},v,2,1,60,7\n" for i in range(10))
    with pytest.raises(PredictionError, match=r"s\.zip: 30 problems\n") as error:
        check_submission(zipped(tmp_path, DETECTION + rows))
    assert str(error.value).endswith(f"... and {3 * 10 - 20} more")


def test_warnings(tmp_path: Path) -> None:
    text = RECOGNITION + "a.mp4,9,8,7,6,5,2,1,1,1,1\n"
    said = call("--check", zipped(tmp_path, text, **{"notes.txt": "x"}))
    assert "warning: entries of the zip beside prediction.csv: 1 (notes.txt)" in said
    assert "clips whose body_pred_1 is not the body part of action_pred_1: 1 (line 2: " in said


def test_what_only_differs_from_taste_is_a_warning(tmp_path: Path) -> None:
    text = RECOGNITION + "a.mp4,9,9,7,6,5,1,1,1,1,1\n"
    said = call("--check", zipped(tmp_path, text))
    assert (
        "warning: clips that name fewer than 5 different actions: 1 (line 2: clip 'a.mp4'" in said
    )
    said = call("--check", zipped(tmp_path, DETECTION + "0,v,1,2,9,0.5\n1,v,1.0,2,9,0.50\n"))
    assert "warning: rows that repeat an earlier one: 1 (line 3: video 'v' repeats line 2)" in said


def test_a_submission_is_repaired(tmp_path: Path, annotations: Path) -> None:
    rows = [
        "0,test0000,1,2,9,2.5",
        "1,test0000,5,4,9,0.5",
        "2,test0001,-1,2,9,-0.5",
        "3,test0001,nan,2,9,0.5",
        "4,test0001,1,2,99,0.5",
        "5,nobody,1,2,9,0.5",
        "6,test0001,1,2",
        "7,test0001,3,3,9,0.5",
    ]
    source = tmp_path / "p.csv"
    source.write_text(DETECTION + "".join(f"{row}\n" for row in rows))
    arguments = [source, "--out", tmp_path / "a.zip", "--annotations", annotations]
    with pytest.raises(PredictionError, match=r"p\.csv: 4 problems"):
        call(*arguments)
    assert not (tmp_path / "a.zip").exists()
    said = call(*arguments, "--repair")
    for told in (
        "left out 1 row, first line 8: expected 6 cells, found 4",
        "mapped scores from -0.5 to 2.5 linearly into 0 to 1",
        "left out 2 rows, first line 5: video 'test0001': t_start must be a finite number",
        "left out 1 row, first line 7: video 'nobody', not in the annotations of this subset",
        "left out 2 rows (1 with end before start, 1 with zero length; first line 3",
        "set 1 negative start to 0",
    ):
        assert f"repaired: {told}" in said
    assert inside(tmp_path / "a.zip") == (
        DETECTION + "0,test0000,1.0,2.0,9,1.0\n1,test0001,0.0,2.0,9,0.0\n"
    )
    assert "present: 2 of 2 videos" in said


def test_reversed_rows_alone_are_refused_or_left_out(tmp_path: Path) -> None:
    source = tmp_path / "p.csv"
    source.write_text(DETECTION + ROW + "1,test0000,3,2,9,0.4\n")
    with pytest.raises(
        PredictionError, match=r"p\.csv: .*first line 3.*leave them out with --repair"
    ):
        call(source, "--out", tmp_path / "a.zip")
    call(source, "--out", tmp_path / "a.zip", "--repair")
    assert inside(tmp_path / "a.zip") == DETECTION + "0,test0000,1.5,2.5,9,0.5\n"


def test_guesses_are_repaired(tmp_path: Path) -> None:
    source, listed = tmp_path / "p.csv", tmp_path / "test_list.txt"
    source.write_text(
        RECOGNITION
        + CLIP
        + CLIP
        + CLIP.replace("a.mp4", "b")
        + CLIP.replace("9", "99", 1).replace("a", "c")
    )
    listed.write_text("a.mp4\n")
    arguments = [source, "--out", tmp_path / "a.zip", "--annotations", listed]
    with pytest.raises(PredictionError, match="2 problems"):
        call(*arguments)
    said = call(*arguments, "--repair")
    assert "repaired: left out rows with 2 problems, first line 3: clip 'a.mp4' is listed" in said
    assert "repaired: left out 1 row of clips not in the annotations" in said
    assert inside(tmp_path / "a.zip") == RECOGNITION + CLIP


def test_the_task_is_told_by_the_header_or_said(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    for text, task in [(DETECTION, "detection"), (RECOGNITION, "recognition")]:
        path.write_text(text)
        assert guess_task(path) == task
    with pytest.raises(PredictionError, match=r"expected the header vid,.* for recognition"):
        call("--check", zipped(tmp_path, DETECTION + ROW), "--task", "recognition")


@pytest.mark.parametrize(
    ("arguments", "error", "expected"),
    [
        ([], PredictionError, "expected PREDICTIONS --out FILE.zip, or --check"),
        (["p.csv"], PredictionError, "expected PREDICTIONS --out"),
        (["--out", "x.zip"], PredictionError, "expected PREDICTIONS --out"),
        (["p.csv", "--check", "x.zip"], PredictionError, "excludes PREDICTIONS"),
        (["--check", "x.zip", "--repair"], PredictionError, "mmad submit x.zip --out NEW.zip"),
        (["none.csv", "--out", "x.zip"], PredictionError, "none.csv: there is no such file"),
        (["--check", "none.zip"], PredictionError, "none.zip: there is no such file"),
        (["p.csv", "--out", "x.csv"], PredictionError, "expected a name that ends in .zip"),
        (["--check", "p.csv"], PredictionError, "p.csv: expected a zip"),
        (["p.csv", "--out", "x.zip", "--annotations", "no.json"], AnnotationError, "no.json"),
    ],
)
def test_wrong_arguments(
    arguments: list[str],
    error: type[MmadError],
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p.csv").write_text(DETECTION + ROW)
    with pytest.raises(error, match=expected):
        CliRunner().invoke(app, arguments, catch_exceptions=False)


@pytest.mark.parametrize(
    ("header", "task"),
    [
        ('"","video_id","t_start","t_end","class","score"', "detection"),
        ('"vid","action_pred_1"', "recognition"),
    ],
)
def test_quoted_headers_are_understood(tmp_path: Path, header: str, task: str) -> None:
    (tmp_path / "p.csv").write_text(f"{header}\r\n")
    assert guess_task(tmp_path / "p.csv") == task
