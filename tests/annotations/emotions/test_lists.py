import json
from pathlib import Path

import pytest

from mmad.annotations.emotions.lists import parse_emotions, read_emotions, write_emotions
from mmad.annotations.formats import detect_format, read_annotations
from mmad.errors import AnnotationError
from mmad.labels import EMOTIONS, MA52
from mmad.structures import EmotionRecord
from support.emotions import PRO, put


def test_csv_and_json_are_the_same_list(tmp_path: Path) -> None:
    path = put(tmp_path, "pro.csv", PRO)
    found = read_emotions(path, labels=MA52)
    joy, sadness, *_ = range(len(EMOTIONS))
    assert found == (
        EmotionRecord("a", joy, (9, 24), "train", 12.5, subject="s1"),
        EmotionRecord("b", sadness, (0, 48), "train", 7.0, subject="s2"),
        EmotionRecord("c", joy, (9,), "val", 60.0, subject="s3"),
        EmotionRecord("d", joy, (), "val", 5.0, subject="s3"),
    )
    assert detect_format(path) == "emotion-csv"
    for name, format in (("again.csv", "emotion-csv"), ("again.json", "emotion-json")):
        write_emotions(tmp_path / name, found, labels=MA52)
        assert detect_format(tmp_path / name) == format
        assert read_emotions(tmp_path / name, labels=MA52) == found


def test_names_of_columns_suffixes_and_subsets(tmp_path: Path) -> None:
    path = put(tmp_path, "val.csv", "Video,Actions,Emotion\nx.mp4,,FEAR\ny,B1;9;nodding,3\nz,,\n")
    found = parse_emotions(path, labels=MA52)
    assert found.videos == (
        EmotionRecord("x", 3, (), "val"),
        EmotionRecord("y", 3, (9,), "val"),
        EmotionRecord("z", None, (), "val"),
    )
    assert not found.problems
    assert [notice.message for notice in found.notices] == [
        "video y: B1 nodding is listed more than once and counts once"
    ]


def test_all_errors_of_a_list_at_once(tmp_path: Path) -> None:
    rows = (
        "a,happy,nodding\n"  # not one of the five
        "b,,nodding\n"  # actions without an emotion
        'c,joy,"nodding, waving"\n'
        "d,joy,noding\n"
        "a.mp4,joy,\n"  # a again
        "e,joy\n"
    )
    path = put(tmp_path, "all.csv", "video_id,emotion,actions\n" + rows)
    with pytest.raises(AnnotationError, match="6 problems") as error:
        read_emotions(path, labels=MA52)
    for line in (
        "line 2 (video a): unknown emotion 'happy'; expected joy, sadness, surprise, fear or anger;"
        " write joy?",
        "line 3 (video b): has actions but no emotion",
        "line 4 (video c): unknown label 'nodding, waving'; separate actions by ';'",
        "line 5 (video d): unknown label 'noding'; did you mean 'nodding'?",
        "line 6: video a is listed twice",
        "line 7: expected 3 cells, found 2",
        "pass --labels FILE",
    ):
        assert line in str(error.value)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"a": {"emotion": "neutral"}}, "unknown emotion 'neutral'"),
        ({"a": {"emotion": ["joy", "fear"]}}, "expected one emotion, found"),
        ({"a": {"emotion": True}}, "expected one emotion, found True"),
        ({"a": {"emotion": "joy", "actions": "B1"}}, "actions: expected a list, found 'B1'"),
        ({"a": ["joy"]}, "expected an object with emotion and actions"),
        ({"a": {"emotion": "joy", "actions": [99]}}, "unknown label 99; expected 0 to 51"),
        ({"a": {"emotion": "joy", "duration": -1}}, "duration: expected seconds above 0"),
        ({"../a": {"emotion": "joy"}}, "leads out of its folder"),
    ],
)
def test_errors_of_json(tmp_path: Path, entries: object, message: str) -> None:
    path = put(tmp_path, "all.json", json.dumps(entries))
    with pytest.raises(AnnotationError, match=message):
        read_emotions(path, labels=MA52)


def test_a_repeated_key_of_json(tmp_path: Path) -> None:
    path = put(tmp_path, "all.json", '{"a": {"emotion": "joy"}, "a": {"emotion": "fear"}}')
    with pytest.raises(AnnotationError, match="video a is listed twice"):
        read_emotions(path, labels=MA52)


def test_a_missing_column(tmp_path: Path) -> None:
    path = put(tmp_path, "all.csv", "video,actions\na,B1\n")
    assert detect_format(path) == "emotion-csv"
    with pytest.raises(AnnotationError, match="missing emotion, found video, actions"):
        read_emotions(path, labels=MA52)


def test_detection_says_that_there_are_no_times(tmp_path: Path) -> None:
    path = put(tmp_path, "pro.csv", PRO)
    with pytest.raises(AnnotationError, match="actions without start and end; detection needs"):
        read_annotations(path)
