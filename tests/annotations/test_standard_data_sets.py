"""Small files in the form of published data sets that are not about micro-actions."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mmad.annotations.formats import read_annotations
from mmad.cli.data import app
from mmad.config.data import DataSettings
from mmad.errors import AnnotationError
from mmad.labels import MA52


def put(folder: Path, name: str, content: object) -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def action(label: str, start: float, end: float) -> dict:
    return {
        "label": label,
        "segment": [start, end],
        "segment(frames)": [30 * start, 30 * end],
        "label_id": 5,
    }


THUMOS = {
    "version": "30fps",
    "database": {
        "video_test_0000004": {
            "subset": "Test",
            "duration": 33.83,
            "fps": 30.0,
            "annotations": [action("Bowling", 0.2, 1.1), action("Diving", 30.0, 35.5)],
        },
        "video_validation_0000051": {
            "subset": "Validation",
            "duration": 10.0,
            "fps": 30.0,
            "annotations": [
                action("Bowling", 11.0, 12.0),
                action("Diving", 3.0, 2.0),
                action("Diving", 4.0, 4.0),
            ],
        },
    },
}
# As MultiTHUMOS and Charades in JSON: the form of MMA-52 with other numbers.
NUMBERED = {
    "video_test_0000896": {
        "subset": "testing",
        "duration": 226.77,
        "actions": [[12, 18.6, 24.8], [24, 29.1, 34.8], [1, 200.0, 2000.5]],
    }
}


def test_what_is_out_of_its_video(tmp_path: Path) -> None:
    path = put(tmp_path, "thumos14.json", THUMOS)
    with pytest.raises(AnnotationError, match="4 problems") as caught:
        read_annotations(path)
    assert "--out-of-video clip or drop (data.out_of_video in a config)" in str(caught.value)

    clipped = read_annotations(path, out_of_video="clip")
    test, validation = clipped.records
    assert test.annotations.segments_seconds.tolist() == [[0.2, 1.1], [30.0, 33.83]]
    assert len(validation.annotations) == 0
    assert [notice.partition(", first")[0] for notice in clipped.notices] == [
        "1 instance was cut to the length of the video",
        "1 instance was left out (instance outside its video)",
        "1 instance was left out (reversed segment)",
        "1 instance was left out (empty segment)",
    ]
    dropped = read_annotations(path, out_of_video="drop")
    assert [len(record.annotations) for record in dropped.records] == [1, 0]
    assert "2 instances were left out (instance outside its video)" in dropped.notices[0]
    assert dropped.labels.names == ("Bowling", "Diving")


def test_numbers_are_not_taken_for_micro_actions(tmp_path: Path) -> None:
    path = put(tmp_path, "multithumos.json", NUMBERED)
    found = read_annotations(path, out_of_video="drop")
    # 0 to 24, so that a number is also the index of its label.
    assert found.labels.names == tuple(map(str, range(25)))
    assert found.records[0].annotations.labels.tolist() == [12, 24]
    assert "if they are micro-actions of MA-52, use the labels ma52" in found.notices[0]
    assert read_annotations(path, labels="ma52", out_of_video="drop").labels is MA52
    mma52 = put(tmp_path, "mma52.json", {"test0000": NUMBERED["video_test_0000896"]})
    assert read_annotations(mma52, out_of_video="drop").labels is MA52
    assert len(read_annotations(mma52, labels="file", out_of_video="drop").labels) == 25

    video = {"subset": "train", "duration": 9, "annotations": [{"segment": [0, 1], "label": 9}]}
    named = read_annotations(put(tmp_path, "a.json", {"database": {"v": video}}))
    assert named.labels.names == ("9",)
    negative = {"v": {"subset": "train", "duration": 9, "actions": [[-1, 0, 1]]}}
    with pytest.raises(AnnotationError, match="whole ones from 0 to 9999, found -1"):
        read_annotations(put(tmp_path, "b.json", negative))
    many = {"v": {"subset": "train", "duration": 9, "actions": [[65, 0, 1]]}}
    with pytest.raises(AnnotationError, match=r"unknown label 65.*\n.*--labels file"):
        read_annotations(put(tmp_path, "c.json", many), labels="ma52")


def test_labels_of_the_file_come_from_the_file(tmp_path: Path) -> None:
    """Of a set of one's own most labels may be called as micro-actions."""
    annotations = [{"segment": [0, 1], "label": name} for name in ("nodding", "waving", "cheering")]
    video = {"subset": "train", "duration": 9, "annotations": annotations}
    path = put(tmp_path, "own.json", {"database": {"v": video}})
    with pytest.raises(AnnotationError, match="unknown label 'cheering'"):
        read_annotations(path)
    assert read_annotations(path, labels="file").labels.names == ("cheering", "nodding", "waving")


def test_activitynet_without_database(tmp_path: Path) -> None:
    """As in BSN's and PaddleVideo's copies of ActivityNet 1.3."""
    video = {
        "duration_second": 82.73,
        "duration_frame": 2067,
        "annotations": [{"segment": [6.2, 77.7], "label": "Ballet"}],
        "feature_frame": 2064,
    }
    (record,) = read_annotations(put(tmp_path, "anet.json", {"v_QOlSCBRmfWY": video})).records
    assert (record.duration_seconds, record.subset, len(record.annotations)) == (82.73, "all", 1)


CHARADES = (
    "id,subject,scene,actions,length\n"
    'YSKX3,CP6Y,"Bed, room",c077 12.10 16.00;c075 5.40 18.10,16.62\n'
    "015XE,GFWE,Bathroom,,32.83\n"
)


def test_charades_csv(tmp_path: Path) -> None:
    path = put(tmp_path, "Charades_v1_test.csv", CHARADES)
    found = read_annotations(path, out_of_video="clip")
    first, second = found.records
    assert (found.format, found.labels.names) == ("charades-csv", ("c075", "c077"))
    assert first.annotations.segments_seconds.tolist() == [[12.1, 16.0], [5.4, 16.62]]
    assert (first.video_id, first.subset, second.duration_seconds) == ("YSKX3", "test", 32.83)
    assert len(second.annotations) == 0
    put(tmp_path, "Charades_v1_test.csv", CHARADES.replace("5.40 18.10", "5.40"))
    with pytest.raises(AnnotationError, match=r"line 2 \(video YSKX3\): expected an action"):
        read_annotations(path)


EPIC = (
    "narration_id,video_id,narration_timestamp,start_timestamp,stop_timestamp,start_frame,"
    "stop_frame,narration,verb,verb_class,noun,noun_class,all_nouns,all_noun_classes\n"
    "P03_02_0,P03_02,00:00:04.310,00:00:03.29,00:00:04.26,197,255,put b,put,1,b,2,['b'],[2]\n"
    "P03_02_1,P03_02,00:03:51.079,01:03:42.71,01:03:54.45,9,9,fill a,fill,0,a,1,"
    "\"['a', 'b']\",\"[1, 2]\"\n"
)


def test_epic_csv(tmp_path: Path) -> None:
    path = put(tmp_path, "EPIC_100_validation.csv", EPIC)
    found = read_annotations(path)
    (record,) = found.records
    assert (found.format, record.video_id, record.subset) == ("epic-csv", "P03_02", "val")
    np_segments = record.annotations.segments_seconds.tolist()
    assert np_segments == [[3.29, 4.26], [3600 + 3 * 60 + 42.71, 3600 + 3 * 60 + 54.45]]
    assert found.assumed_lengths == {"P03_02"}
    assert "the last stop is used; put EPIC_100_video_info.csv beside it" in found.notices[0]
    assert len(read_annotations(path, format="epic-noun-csv").labels) == 3

    put(tmp_path, "EPIC_100_video_info.csv", "video_id,duration,fps\nP03_02,4000.5,59.94\n")
    put(
        tmp_path, "EPIC_100_verb_classes.csv", "id,key,instances\n0,take,\"['a', 'b']\"\n1,put,[]\n"
    )
    found = read_annotations(path)
    assert (found.records[0].duration_seconds, found.records[0].fps) == (4000.5, 59.94)
    assert (found.labels.names, found.notices, found.assumed_lengths) == (
        ("take", "put"),
        (),
        set(),
    )
    assert found.records[0].annotations.labels.tolist() == [1, 0]
    unlabelled = "video_id,start_timestamp,stop_timestamp\nP01_11,00:00:00.00,00:00:01.89\n"
    with pytest.raises(AnnotationError, match="missing columns verb_class; the published test"):
        read_annotations(put(tmp_path, "EPIC_100_test.csv", unlabelled))


def test_ego4d_json(tmp_path: Path) -> None:
    label = {"label": "wash_hands", "primary": True, "video_start_time": 103, "video_end_time": 108}
    others = [
        {**label, "label": "clean", "primary": False},
        {**label, "video_end_time": 581},
    ]
    clip = {
        "clip_uid": "0a1b",
        "video_start_sec": 100.0,
        "video_end_sec": 580.0,
        "annotations": [{"annotator_uid": "x", "labels": [label]}, {"labels": others}],
    }
    path = put(
        tmp_path,
        "moments.json",
        {"version": "1", "videos": [{"video_uid": "v", "split": "val", "clips": [clip]}]},
    )
    found = read_annotations(path, out_of_video="clip")
    (record,) = found.records
    assert (found.format, found.labels.names) == ("ego4d-json", ("wash_hands",))
    assert (record.video_id, record.subset, record.duration_seconds) == ("0a1b", "val", 480.0)
    assert record.annotations.segments_seconds.tolist() == [[3.0, 8.0], [3.0, 480.0]]
    assert "left out 1 label not marked as primary" in found.notices[0]


def test_commands_take_the_options(tmp_path: Path) -> None:
    path = put(tmp_path, "thumos14.json", THUMOS)
    refused = CliRunner().invoke(app, ["check", str(path)], catch_exceptions=False)
    assert (refused.exit_code, "4 errors" in refused.output) == (2, True)
    options = ["--labels", "file", "--out-of-video", "clip"]
    checked = CliRunner().invoke(app, ["check", str(path), *options], catch_exceptions=False)
    assert checked.exit_code == 0
    assert "1 instance was cut to the length of the video, first annotation 1" in checked.output
    counted = CliRunner().invoke(app, ["stats", str(path), *options], catch_exceptions=False)
    assert counted.exit_code == 0, counted.output


def test_the_settings_of_a_run() -> None:
    assert DataSettings(annotations="a.json", videos="v").out_of_video == "error"
