from pathlib import Path

import pytest
from typer.testing import CliRunner

from mmad.annotations.clips.lists import (
    checked_clip_list,
    parse_clip_list,
    read_clip_list,
    write_clip_list,
)
from mmad.annotations.formats import detect_format
from mmad.cli.main import app
from mmad.errors import AnnotationError
from mmad.labels import MA52, LabelMap, flat_labels
from mmad.structures import ClipRecord

# As classInd.txt of UCF101 has them: numbers begin at 1.
UCF = LabelMap(("BabyCrawling", "Punch", "PushUps"), first_number=1)
HMDB = flat_labels(["brush hair", "kick"])


def put(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def labelled(clips: tuple[ClipRecord, ...]) -> dict[str, int | None]:
    return {clip.clip_id: clip.label for clip in clips}


def test_lists_of_ucf101(tmp_path: Path) -> None:
    train = put(
        tmp_path,
        "trainlist01.txt",
        "BabyCrawling/v_BabyCrawling_g08_c01.avi 1\nPunch/v_Punch_g08_c01.avi 2\n"
        "PushUps/v_PushUps_g08_c01.avi 3\n",
    )
    test = put(
        tmp_path,
        "testlist01.txt",
        "Punch/v_Punch_g01_c01.avi\nPushUps/v_PushUps_g01_c01.avi\n",
    )
    found = read_clip_list(train, labels=UCF)
    assert [clip.label for clip in found] == [0, 1, 2]
    assert labelled(read_clip_list(test, labels=UCF)) == {
        "Punch/v_Punch_g01_c01.avi": 1,
        "PushUps/v_PushUps_g01_c01.avi": 2,
    }
    write_clip_list(tmp_path / "again.txt", found, labels=UCF)
    assert (tmp_path / "again.txt").read_text() == train.read_text()


def test_a_list_that_counts_otherwise_than_the_label_file(tmp_path: Path) -> None:
    path = put(tmp_path, "train.txt", "Punch/a.avi 1\nPushUps/b.avi 2\n")
    with pytest.raises(AnnotationError, match=r"label 1 is 'BabyCrawling', but the folder is that"):
        read_clip_list(path, labels=UCF)
    path = put(tmp_path, "train.txt", "a.avi 0\nb.avi 4\nc.avi 3\n")
    with pytest.raises(AnnotationError, match="unknown label 0; expected 1 to 3") as error:
        read_clip_list(path, labels=UCF)
    assert "line 2 (clip b.avi): unknown label 4; expected 1 to 3" in str(error.value)
    path = put(tmp_path, "train.txt", "a.avi BabyCrawling\nb.avi Pusch\n")
    with pytest.raises(AnnotationError, match="unknown label 'Pusch'; did you mean 'Punch'"):
        read_clip_list(path, labels=UCF)


def test_unlabelled_clips_in_folders(tmp_path: Path) -> None:
    path = put(tmp_path, "test.txt", "day1/a.avi\nday2/b.avi\n")
    assert labelled(read_clip_list(path, labels=UCF)) == {"day1/a.avi": None, "day2/b.avi": None}
    path = put(tmp_path, "test.txt", "Punch/a.avi\nYoYo/b.avi\n")
    with pytest.raises(AnnotationError, match=r"not named after a class, first YoYo/b\.avi"):
        read_clip_list(path, labels=UCF)


def test_csv_with_every_column(tmp_path: Path) -> None:
    path = put(
        tmp_path,
        "clips.csv",
        "Video,Label,Subject,Fold,Split,note\na.mp4,Punch,p1,1,train,x\nb.mp4,1,p2,2,validation,\n",
    )
    found = checked_clip_list(path, labels=UCF)
    assert found.clips == (
        ClipRecord("a.mp4", 1, "train", subject="p1", fold="1"),
        ClipRecord("b.mp4", 0, "val", subject="p2", fold="2"),
    )
    assert found.has_folds
    assert found.has_splits
    assert detect_format(path) == "ma52-list"


def test_csv_without_labels(tmp_path: Path) -> None:
    path = put(tmp_path, "test_clips.csv", "clip\na.mp4\nb.mp4\n")
    assert read_clip_list(path, labels=UCF) == (
        ClipRecord("a.mp4", None, "test"),
        ClipRecord("b.mp4", None, "test"),
    )


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("clip,label\na.mp4,9\n", r"line 2 \(clip a.mp4\): unknown label 9; expected 1 to 3"),
        ("clip,label\na.mp4,1\na.mp4,1\n", "line 3: clip a.mp4 is listed twice"),
        ("clip,label\na.mp4,1\nb.mp4,\n", "1 of 2 clips have no label, first b.mp4"),
        ("clip,label\na.mp4\n", "line 2: expected 2 cells, found 1"),
        ("clip,label,fold\na.mp4,1,\n", r"line 2 \(clip a.mp4\): fold is empty"),
        ("clip,label\n,1\n", "clip is empty"),
        ("clip,label\n../a.mp4,1\n", "its name leads out of its folder"),
        ("clip,label,label\na.mp4,1,1\n", "the column label appears more than once"),
    ],
)
def test_bad_csv(rows: str, message: str, tmp_path: Path) -> None:
    path = put(tmp_path, "clips.csv", rows)
    with pytest.raises(AnnotationError, match=message):
        read_clip_list(path, labels=UCF)


def test_files_of_hmdb51(tmp_path: Path) -> None:
    put(tmp_path, "brush_hair_test_split1.txt", "a_u_nm_np1.avi 1 \n#20_b.avi 2 \nc.avi 0 \n")
    put(tmp_path, "kick_test_split1.txt", "(Rad)x!.avi 2 \n")
    found = checked_clip_list(tmp_path, labels=HMDB)
    assert found.clips == (
        ClipRecord("brush_hair/a_u_nm_np1.avi", 0, "train"),
        ClipRecord("brush_hair/#20_b.avi", 0, "test"),
        ClipRecord("kick/(Rad)x!.avi", 1, "test"),
    )
    assert [clip.clip_id for clip in found.part("train")] == ["brush_hair/a_u_nm_np1.avi"]
    # Nothing is set apart to validate on, so that is done on the test clips.
    assert found.part("val") == found.part("test") == found.clips[1:]
    only = read_clip_list(tmp_path / "kick_test_split1.txt", labels=HMDB)
    assert labelled(only) == {"kick/(Rad)x!.avi": 1}


def test_bad_files_of_hmdb51(tmp_path: Path) -> None:
    path = put(tmp_path, "wave_test_split1.txt", "a.avi 1\n")
    with pytest.raises(AnnotationError, match="unknown label 'wave'"):
        read_clip_list(path, labels=HMDB)
    path = put(tmp_path, "kick_test_split1.txt", "a.avi 1\nb.avi 3\n")
    with pytest.raises(AnnotationError, match=r"line 2: expected 'name.avi 0', 1 or 2, found 'b"):
        read_clip_list(path, labels=HMDB)
    put(tmp_path, "kick_test_split2.txt", "a.avi 1\n")
    with pytest.raises(AnnotationError, match="has the splits 1, 2; name the files of one"):
        read_clip_list(tmp_path, labels=HMDB)


def test_parts_of_a_list(tmp_path: Path) -> None:
    path = put(tmp_path, "c.csv", "clip,label,fold\na.mp4,1,1\nb.mp4,2,2\nc.mp4,3,10\n")
    found = parse_clip_list(path, labels=UCF)
    assert [clip.clip_id for clip in found.part("train", fold="2")] == ["a.mp4", "c.mp4"]
    assert [clip.clip_id for clip in found.part("val", fold="10")] == ["c.mp4"]
    assert found.part("test") == found.clips
    with pytest.raises(AnnotationError, match=r"c\.csv: there is no fold 3; found 1, 2, 10"):
        found.part("train", fold="3")
    path = put(tmp_path, "s.csv", "clip,label,split\na.mp4,1,train\nb.mp4,2,val\n")
    found = parse_clip_list(path, labels=UCF)
    assert [clip.clip_id for clip in found.part("val")] == ["b.mp4"]
    with pytest.raises(AnnotationError, match="no clips of subset test; found train, val"):
        found.part("test")
    # Lines say nothing of it, so the name of the file does not choose.
    path = put(tmp_path, "test.txt", "a.mp4 1\n")
    assert len(parse_clip_list(path, labels=UCF).part("train")) == 1


def test_labels_that_are_no_micro_actions_say_how_to_name_others(tmp_path: Path) -> None:
    path = put(tmp_path, "train.txt", "a.mp4 nod twice\n")
    with pytest.raises(AnnotationError, match=r"--labels FILE .*\(data\.labels in a config\)"):
        read_clip_list(path, labels=MA52)


def test_commands_on_lists_with_labels_of_their_own(tmp_path: Path) -> None:
    labels = put(tmp_path, "classInd.txt", "1 BabyCrawling\n2 Punch\n3 PushUps\n")
    rows = [f"p{i % 6}_{i}.mp4,{1 + i % 3},s{i % 6}" for i in range(36)]
    path = put(tmp_path, "clips.csv", "\n".join(["clip,label,subject", *rows]) + "\n")

    def call(*arguments: object) -> str:
        words = ["data", *map(str, arguments), "--labels", str(labels)]
        result = CliRunner().invoke(app, words, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    assert "36 clips, 36 labels: 0 errors" in call("check", path)
    assert "BabyCrawling" in call("stats", path)
    call("split", path, "--out", tmp_path / "split")
    parts = [
        read_clip_list(tmp_path / "split" / f"{name}.txt", labels=UCF) for name in ("train", "val")
    ]
    people = [{clip.clip_id.split("_")[0] for clip in part} for part in parts]
    assert not people[0] & people[1]
    before = labelled(read_clip_list(path, labels=UCF))
    assert {name: label for part in parts for name, label in labelled(part).items()} == before
