import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmad.annotations.formats import (
    AnnotationSet,
    detect_format,
    read_annotations,
    read_clip_list,
    write_activitynet_json,
    write_clip_list,
    write_mma52_csv,
    write_mma52_json,
)
from mmad.annotations.labels.choice import labels_of_names
from mmad.errors import AnnotationError
from mmad.labels import MA52, flat_labels
from mmad.structures import Annotations, ClipRecord, VideoRecord

HEADER = "id,video_id,start_frame,end_frame,class,total_frames,fps\n"


def put(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def assert_same(a: AnnotationSet, b: AnnotationSet, *, atol: float = 0.0) -> None:
    assert [r.video_id for r in a.records] == [r.video_id for r in b.records]
    for one, two in zip(a.records, b.records, strict=True):
        assert (one.subset, one.fps, one.num_frames) == (two.subset, two.fps, two.num_frames)
        assert one.duration_seconds == pytest.approx(two.duration_seconds, rel=0, abs=atol)
        np.testing.assert_allclose(
            one.annotations.segments_seconds,
            two.annotations.segments_seconds,
            rtol=0,
            atol=atol,
        )
        assert one.annotations.labels.tolist() == two.annotations.labels.tolist()


@pytest.fixture
def records() -> tuple[VideoRecord, ...]:
    frames = np.array([[0, 309], [12, 20]])
    return (
        VideoRecord(
            "val0000",
            duration_seconds=342 / 29,
            subset="val",
            fps=29.0,
            num_frames=342,
            annotations=Annotations(frames / 29, [9, 51]),
        ),
        VideoRecord("val0001", duration_seconds=150 / 30, subset="val", fps=30.0, num_frames=150),
    )


def test_csv_frames_become_seconds_by_the_rate_of_their_own_row(tmp_path: Path) -> None:
    text = HEADER + "0,val0000,0,309,9,342,29\n1,val0001,63,90,C5,150,30\n"
    result = read_annotations(put(tmp_path, "val.csv", text))
    first, second = result.records
    assert result.format == "mma52-csv"
    assert first.annotations.segments_seconds.tolist() == [[0.0, round(309 / 29, 4)]]
    assert round(float(first.annotations.segments_seconds[0, 1]), 4) == 10.6552
    assert first.duration_seconds == round(342 / 29, 4)
    assert second.annotations.segments_seconds.tolist() == [[63 / 30, 90 / 30]]
    assert second.annotations.labels.tolist() == [MA52.index("waving")]
    assert (second.fps, second.num_frames, second.subset) == (30.0, 150, "val")


@pytest.mark.parametrize("header", [HEADER, HEADER.removeprefix("id"), "\ufeff" + HEADER])
def test_csv_first_column_may_be_unnamed_and_a_byte_order_mark_is_no_letter(
    tmp_path: Path, header: str
) -> None:
    result = read_annotations(put(tmp_path, "train.csv", header + "7,a,0,30,1,60,30\n"))
    assert result.records[0].annotations.segments_seconds.tolist() == [[0.0, 1.0]]


def test_csv_without_fps_is_read_at_30_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    header = "id,video_id,start_frame,end_frame,class,total_frames\n"
    path = put(tmp_path, "train.csv", header + "0,a,15,30,1,60\n")
    result = read_annotations(path)
    assert result.records[0].annotations.segments_seconds.tolist() == [[15 / 30, 30 / 30]]
    assert "30 frames per second" in result.notices[0]
    assert "30 frames per second" in caplog.text
    at_25 = read_annotations(path, fps=25)
    assert at_25.records[0].annotations.segments_seconds.tolist() == [[15 / 25, 30 / 25]]
    assert at_25.notices == ()


@pytest.mark.parametrize(
    ("name", "video_id", "subset"),
    [
        ("gt_val.csv", "x", "val"),
        ("all.csv", "train0001", "train"),
        ("all.csv", "test0001", "test"),
        ("interviews.csv", "monday", "all"),
    ],
)
def test_csv_subset_comes_from_the_file_name_then_from_the_video_id(
    tmp_path: Path, name: str, video_id: str, subset: str
) -> None:
    result = read_annotations(put(tmp_path, name, HEADER + f"0,{video_id},0,30,1,60,30\n"))
    assert result.records[0].subset == subset
    assert any("subset" in notice for notice in result.notices) == (subset == "all")


def test_folder_of_csv_files_is_one_set_and_subsets_choose(tmp_path: Path) -> None:
    put(tmp_path, "train.csv", HEADER + "0,a,0,30,1,60,30\n")
    put(tmp_path, "val.csv", HEADER + "0,b,0,30,1,60,30\n")
    assert [r.subset for r in read_annotations(tmp_path).records] == ["train", "val"]
    assert [r.video_id for r in read_annotations(tmp_path, subsets=["val"]).records] == ["b"]
    both = read_annotations([tmp_path / "val.csv", tmp_path / "train.csv"])
    assert [r.video_id for r in both.records] == ["b", "a"]
    with pytest.raises(AnnotationError, match=r"no videos of subset test; found train, val"):
        read_annotations(tmp_path, subsets=["test"])


def test_csv_round_trip_is_exact(tmp_path: Path, records: tuple[VideoRecord, ...]) -> None:
    write_mma52_csv(tmp_path / "val.csv", records)
    first = read_annotations(tmp_path / "val.csv")
    assert (tmp_path / "val.csv").read_text().splitlines()[:2] == [
        "id,video_id,start_frame,end_frame,class,total_frames,fps",
        "0,val0000,0,309,9,342,29",
    ]
    write_mma52_csv(tmp_path / "again" / "val.csv", first.records)
    assert_same(first, AnnotationSet(records, MA52, tmp_path, "mma52-csv"), atol=0.5e-4)
    assert (tmp_path / "again" / "val.csv").read_text() == (tmp_path / "val.csv").read_text()


def test_csv_keeps_subsets_that_names_do_not_tell(
    tmp_path: Path, records: tuple[VideoRecord, ...]
) -> None:
    renamed = [replace(records[0], video_id="a", subset="train"), replace(records[1], subset="val")]
    write_mma52_csv(tmp_path / "mine.csv", renamed)
    result = read_annotations(tmp_path / "mine.csv")
    assert [record.subset for record in result.records] == ["train", "val"]


def test_csv_cannot_be_written_without_frame_rate(
    tmp_path: Path, records: tuple[VideoRecord, ...]
) -> None:
    with pytest.raises(AnnotationError, match=r"video val0001: frame rate and number of frames"):
        write_mma52_csv(tmp_path / "val.csv", [records[0], replace(records[1], fps=None)])
    assert not (tmp_path / "val.csv").exists()


def test_json_round_trip_is_exact_to_four_places(
    tmp_path: Path, records: tuple[VideoRecord, ...]
) -> None:
    write_mma52_json(tmp_path / "mmad.json", records)
    content = json.loads((tmp_path / "mmad.json").read_text())
    assert content["val0000"] == {
        "subset": "val",
        "duration": round(342 / 29, 4),
        "actions": [[9, 0.0, 10.6552], [51, round(12 / 29, 4), round(20 / 29, 4)]],
    }
    result = read_annotations(tmp_path / "mmad.json")
    assert result.format == "mma52-json"
    assert result.records[0].fps is None
    expected = [replace(record, fps=None, num_frames=None) for record in records]
    assert_same(result, AnnotationSet(tuple(expected), MA52, tmp_path, ""), atol=0.5e-4)
    write_mma52_json(tmp_path / "again.json", result.records)
    assert (tmp_path / "again.json").read_text() == (tmp_path / "mmad.json").read_text()


def test_json_with_fps_counts_the_frames_again(
    tmp_path: Path, records: tuple[VideoRecord, ...]
) -> None:
    write_mma52_json(tmp_path / "mmad.json", records[:1])
    result = read_annotations(tmp_path / "mmad.json", fps=29)
    assert (result.records[0].fps, result.records[0].num_frames) == (29, 342)


def test_activitynet_round_trip_is_exact(tmp_path: Path, records: tuple[VideoRecord, ...]) -> None:
    write_activitynet_json(tmp_path / "an.json", records, MA52)
    result = read_annotations(tmp_path / "an.json")
    assert result.format == "activitynet-json"
    assert result.labels is MA52
    assert_same(result, AnnotationSet(records, MA52, tmp_path, ""))


def activitynet(folder: Path, by_subset: dict[str, list[object]], **more: object) -> Path:
    database = {
        f"v{i}": {
            "subset": subset,
            "duration": 10.0,
            "annotations": [{"segment": [1, 2.5], "label": label} for label in labels],
        }
        for i, (subset, labels) in enumerate(by_subset.items())
    }
    return put(folder, "an.json", json.dumps({"database": database, **more}))


def test_activitynet_labels_of_its_own_are_sorted_over_all_subsets(tmp_path: Path) -> None:
    path = activitynet(tmp_path, {"training": ["jump", "run"], "validation": ["crawl", "waving"]})
    result = read_annotations(path, subsets=["val"])
    assert result.labels.names == ("crawl", "jump", "run", "waving")
    assert [record.subset for record in result.records] == ["val"]
    assert result.records[0].annotations.labels.tolist() == [0, 3]


def test_activitynet_classes_fix_the_order(tmp_path: Path) -> None:
    path = activitynet(tmp_path, {"train": ["run"]}, classes=["run", "jump"])
    assert read_annotations(path).labels.names == ("run", "jump")
    subset = activitynet(tmp_path, {"train": ["nodding"]}, classes=["waving", "nodding"])
    assert read_annotations(subset).labels.codes == ("C5", "B1")
    assert read_annotations(subset).records[0].annotations.labels.tolist() == [1]


def test_activitynet_micro_actions_keep_their_indices_and_a_misspelt_one_is_an_error(
    tmp_path: Path,
) -> None:
    path = activitynet(tmp_path, {"train": ["nodding", 3, "G4"]})
    result = read_annotations(path)
    assert result.labels is MA52
    assert result.records[0].annotations.labels.tolist() == [9, 3, 51]
    path = activitynet(tmp_path, {"train": ["nodding", "waving", "noding"]})
    with pytest.raises(AnnotationError, match=r"annotation 2 \(video v0\).*mean 'nodding'"):
        read_annotations(path)


def test_activitynet_numbers_as_names(tmp_path: Path) -> None:
    path = activitynet(tmp_path, {"train": [100, 200, 7]})
    result = read_annotations(path)
    assert result.labels.names == ("100", "200", "7")
    assert result.records[0].annotations.labels.tolist() == [0, 1, 2]


def test_labels_given_come_first(tmp_path: Path) -> None:
    path = activitynet(tmp_path, {"train": ["run"]})
    labels = flat_labels(["walk", "run"])
    assert read_annotations(path, labels=labels).records[0].annotations.labels.tolist() == [1]
    with pytest.raises(AnnotationError, match="unknown label 'run'; did you mean 'rub'"):
        read_annotations(path, labels=flat_labels(["rub"]))


def test_labels_of_names_know_the_micro_actions() -> None:
    assert labels_of_names(MA52.names) is MA52
    assert labels_of_names(["waving"]).to_parents(np.array([0])).tolist() == [2]


def test_clip_list_round_trip(tmp_path: Path) -> None:
    clips = (ClipRecord("a b.mp4", 9, "val"), ClipRecord("c.mp4", 51, "val"))
    path = tmp_path / "val_list_videos.txt"
    write_clip_list(path, clips, labels=MA52)
    assert path.read_text() == "a b.mp4 9\nc.mp4 51\n"
    assert read_clip_list(path, labels=MA52) == clips
    assert detect_format(path) == "ma52-list"
    path.write_text("a b.mp4 nodding\nc.mp4 scratching feet\n")
    assert read_clip_list(path, labels=MA52) == clips
    unlabelled = tuple(replace(clip, label=None) for clip in clips)
    write_clip_list(path, unlabelled, labels=MA52)
    assert read_clip_list(path, labels=MA52) == unlabelled


def test_clip_list_problems_come_together(tmp_path: Path) -> None:
    path = put(tmp_path, "train.txt", "a.mp4 9\na.mp4 9\nb.mp4 52\n")
    with pytest.raises(AnnotationError, match=r"2 problems\n.*line 2: clip a.mp4 is listed tw"):
        read_clip_list(path, labels=MA52)
    path = put(tmp_path, "train.txt", "a.mp4 9\nb.mp4\n")
    with pytest.raises(AnnotationError, match=r"1 of 2 clips have no label, first b\.mp4"):
        read_clip_list(path, labels=MA52)
    with pytest.raises(AnnotationError, match="one label per clip and no start and end"):
        read_annotations(path)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("0,a,x,30,1,60,30", r"line 2 \(video a\): start_frame: expected a whole number.*'x'"),
        ("0,a,0.5,30,1,60,30", r"start_frame: expected a whole number of frames, found '0.5'"),
        ("0,a,0,nan,1,60,30", r"end_frame: expected a whole number of frames, found 'nan'"),
        ("0,a,0,30,1,60,inf", r"fps: expected a number, found 'inf'"),
        ("0,a,0,30,1,60,0", r"fps must be above 0, found 0"),
        ("0,a,0,30,1,-60,30", r"total_frames must be above 0, found -60"),
        ("0,a,30,15,1,60,30", r"line 2, frames 30 to 15 \(video a\): reversed segment"),
        ("0,a,30,30,1,60,30", r"line 2, frames 30 to 30 \(video a\): empty segment"),
        ("0,a,-3,30,1,60,30", r"\(video a\): starts at -0\.1000 s, before the video"),
        ("0,a,0,61,1,60,30", r"segment 0.0000 to 2.0333 s reaches beyond .* 2\.0000 s"),
        ("0,a,0,30,52,60,30", r"\(video a\): unknown label 52; expected 0 to 51"),
        ("0,a,0,30,-1,60,30", r"unknown label -1"),
        ("0,a,0,30,1.5,60,30", r"unknown label '1\.5'"),
        ("0,a,0,30,noding,60,30", r"unknown label 'noding'; did you mean 'nodding'"),
        ("0,,0,30,1,60,30", r"line 2: video_id is empty"),
        ("0,a,0,30,1,60", r"line 2: expected 7 cells, found 6"),
        ('0,"a,0,30,1,60,30', r"not valid CSV at line"),
    ],
)
def test_csv_bad_row_is_named(tmp_path: Path, row: str, message: str) -> None:
    path = put(tmp_path, "val.csv", HEADER + row + "\n")
    with pytest.raises(AnnotationError, match=message):
        read_annotations(path)


def test_csv_all_problems_of_a_file_are_raised_together(tmp_path: Path) -> None:
    rows = "0,a,9,3,1,60,30\n1,a,0,30,99,60,30\n2,a,0,30,1,61,30\n3,b,0,30,1,60,30\n"
    path = put(tmp_path, "val.csv", HEADER + rows)
    with pytest.raises(AnnotationError, match=r"val\.csv: 3 problems") as caught:
        read_annotations(path)
    assert "total_frames is 61 here but 60 in an earlier row" in str(caught.value)
    lenient = read_annotations(path, strict=False)
    assert [len(record.annotations) for record in lenient.records] == [0, 1]
    assert [problem.kind for problem in lenient.problems] == [
        "contradiction within the annotations",
        "reversed segment",
        "unknown label",
    ]


def test_csv_wrong_columns(tmp_path: Path) -> None:
    path = put(tmp_path, "val.csv", "video_id,start,end_frame,class,total_frames\na,0,1,2,3\n")
    with pytest.raises(AnnotationError, match=r"\(without start_frame\)"):
        read_annotations(path)


def test_csv_with_semicolons_tabs_and_utf16(tmp_path: Path) -> None:
    rows = HEADER + "0,a,0,30,1,60,30\n"
    expected = repr(read_annotations(put(tmp_path, "val.csv", rows)).records)
    for separator, encoding in ((";", "utf-8"), ("\t", "utf-8-sig"), (",", "utf-16")):
        path = tmp_path / "val.csv"
        path.write_bytes(rows.replace(",", separator).encode(encoding))
        assert repr(read_annotations(path).records) == expected
    packed = tmp_path / "val.csv.gz"
    packed.write_bytes(gzip.compress(rows.encode()))
    assert repr(read_annotations(packed).records) == expected
    path.write_bytes(rows.replace("a", "\xe4").encode("latin-1"))
    with pytest.raises(AnnotationError, match="save it as UTF-8"):
        read_annotations(path)


def test_video_in_two_files_is_an_error_that_names_the_subsets(tmp_path: Path) -> None:
    put(tmp_path, "train.csv", HEADER + "0,a,0,30,1,60,30\n")
    put(tmp_path, "val.csv", HEADER + "0,a,0,30,1,60,30\n1,b,9,3,1,60,30\n")
    with pytest.raises(AnnotationError, match=r"a is listed twice \(subsets train and val\)") as e:
        read_annotations(tmp_path)
    assert "val.csv line 3, frames 9 to 3 (video b): reversed segment" in str(e.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a": {"subset": "val", "actions": []}}', "video a: duration: expected a number"),
        ('{"a": {"duration": NaN, "actions": []}}', "video a: duration: expected a number, .*nan"),
        ('{"a": {"duration": -2, "actions": []}}', "video a: duration must be above 0, found -2"),
        ('{"a": {"duration": 2, "subset": 3, "actions": []}}', "subset: expected a name"),
        ('{"a": {"duration": 2, "actions": [[1, 0]]}}', r"action 0: expected \[class, start, end"),
        ('{"a": {"duration": 2, "actions": [[1, 0, "x"]]}}', "action 0: expected start and end"),
        ('{"a": {"duration": 2, "actions": [[1, 0, NaN]]}}', "action 0: expected start and end"),
        ('{"a": {"duration": 2, "actions": [[1, 1, 0.5]]}}', r"action 0 \(video a\): reversed"),
        ('{"a": {"duration": 2, "actions": [[null, 0, 1]]}}', "unknown label None"),
        ('{"a": {"duration": 2, "actions": [[true, 0, 1]]}}', "unknown label True"),
        ('{"a": 3, "b": {"actions": 3}}', "2 problems\n.*video a: expected an object with subset"),
        (
            '{"a": {"duration": 2, "actions": []}, "a": {"duration": 3, "actions": []}}',
            "video a is listed twice in the file",
        ),
        ('{"a": {"duration": 2, "actions": [', "not valid JSON at line 1.*cut off"),
        ("[1, 2]", "none of the known annotation formats"),
        ('{"a": 1}', r"none of the known annotation formats[^\n]+\n(  .*\n)*  mma52-json"),
        ("hello world\n", "none of the known annotation formats"),
        ("  \n", "the annotation file is empty"),
        ('{"database": []}', 'expected an object "database"'),
        ('{"database": {"a": {"duration": 2, "annotations": [3]}}}', "expected segment and label"),
        (
            '{"database": {"a": {"duration": 2, "annotations": [{"label": "nodding"}]}}}',
            "annotation 0: expected start and end in seconds, found None",
        ),
        ('{"classes": ["a", "a"], "database": {}}', "every name once, found twice: a"),
        ('{"classes": "a", "database": {}}', "classes: expected a list of label names"),
    ],
)
def test_json_bad_value_is_named(tmp_path: Path, content: str, message: str) -> None:
    path = put(tmp_path, "val.json", content)
    with pytest.raises(AnnotationError, match=message):
        read_annotations(path)


def test_end_less_than_half_a_frame_after_the_video_is_rounding(tmp_path: Path) -> None:
    text = '{"a": {"duration": 2, "fps": 25, "actions": [[1, 0, %s]]}}'
    read_annotations(put(tmp_path, "val.json", text % (2 + 0.4 / 25)))
    with pytest.raises(AnnotationError, match="reaches beyond the end"):
        read_annotations(put(tmp_path, "val.json", text % (2 + 0.6 / 25)))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="annotation file not found"):
        read_annotations(tmp_path / "no.csv")
    with pytest.raises(AnnotationError, match="found none of them; name the file"):
        read_annotations(tmp_path)
    (tmp_path / "x.csv").write_bytes(b"\xff\x00\x01\x02")
    with pytest.raises(AnnotationError, match="expected a text file in UTF-8"):
        read_annotations(tmp_path / "x.csv")
    with pytest.raises(AnnotationError, match="unknown annotation format 'xml'; known: auto, "):
        read_annotations(tmp_path / "x.csv", format="xml")
    with pytest.raises(AnnotationError, match="fps must be a number above 0, found 0"):
        read_annotations(tmp_path / "x.csv", fps=0)


def test_csv_instances_have_a_frame_at_least(tmp_path: Path) -> None:
    annotations = Annotations([[0.52, 0.53], [9.995, 10.0]], [9, 9])
    record = VideoRecord("a", 10.0, "val", fps=25.0, num_frames=250, annotations=annotations)
    write_mma52_csv(tmp_path / "val.csv", [record])
    (again,) = read_annotations(tmp_path / "val.csv").records
    frames = np.rint(25 * again.annotations.segments_seconds).tolist()
    assert frames == [[13, 14], [249, 250]]
