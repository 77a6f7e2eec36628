import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mmad.annotations.attach import attach_subjects, read_subjects
from mmad.annotations.check import check_data, find_placeholders
from mmad.annotations.check_videos import VideoFacts, compare
from mmad.annotations.formats import read_annotations
from mmad.cli.data import app
from mmad.errors import AnnotationError
from mmad.structures import Annotations, VideoRecord

HEADER = "id,video_id,start_frame,end_frame,class,total_frames,fps\n"


def put(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def kinds(path: Path, **more: Path) -> list[str]:
    report = check_data(read_annotations(path, strict=False), **more)
    return [finding.kind for finding in report.findings]


def test_all_problems_of_a_file_are_reported_at_once(tmp_path: Path) -> None:
    rows = "0,a,0,30,1,60,30\n1,a,0,30,1,60,30\n2,a,40,30,1,60,30\n3,b,0,99,1,60,30\n4,c,,,,60,30\n"
    report = check_data(read_annotations(put(tmp_path, "val.csv", HEADER + rows), strict=False))
    assert [finding.kind for finding in report.findings] == [
        "reversed segment",
        "instance outside its video",
        "exact duplicate instance",
        "video without instances",
    ]
    assert (report.num_errors, report.num_videos, report.num_instances) == (3, 3, 2)
    assert "A3 sitting straightly from 0.0000 to 1.0000 s is listed 2 times" in (
        report.by_kind()["exact duplicate instance"][0].message
    )


def placeholder_rows(*, fps: int = 30, num_videos: int = 60) -> str:
    return "".join(
        f"{i},test{i:04d},0,20,{(i + 1) % 52},{150 + i},{fps}\n" for i in range(num_videos)
    )


@pytest.mark.parametrize("fps", [29, 30])
def test_placeholders_of_the_published_test_file(tmp_path: Path, fps: int) -> None:
    path = put(tmp_path, "test.csv", HEADER + placeholder_rows(fps=fps))
    assert kinds(path) == ["placeholder labels"]
    # The JSON has no frame rate, and its seconds are rounded.
    content = {
        record.video_id: {
            "subset": "test",
            "duration": round(record.duration_seconds, 4),
            "actions": [[int(record.annotations.labels[0]), 0.0, round(20 / fps, 4)]],
        }
        for record in read_annotations(path).records
    }
    assert kinds(put(tmp_path, "mmad.json", json.dumps(content))) == ["placeholder labels"]


def test_true_annotations_are_no_placeholders() -> None:
    records = [
        VideoRecord(
            f"test{i}",
            duration_seconds=5.0,
            subset="test",
            fps=30.0,
            annotations=Annotations([[0.0, 20 / 30]], [label]),
        )
        for i, label in enumerate([9, 8, 21, 9, 8, 24, 9, 30, 7])
    ]
    assert find_placeholders(records) == []


def test_subjects_in_two_subsets(tmp_path: Path) -> None:
    put(tmp_path, "train.csv", HEADER + "0,a,0,30,1,60,30\n1,b,0,30,1,60,30\n")
    put(tmp_path, "val.csv", HEADER + "0,c,0,30,1,60,30\n1,d,0,30,1,60,30\n")
    subjects = put(tmp_path, "subjects.csv", "video_id,subject\na,s1\nb,s2\nc,s1\n")
    report = check_data(read_annotations(tmp_path, strict=False), subjects=subjects)
    assert [(one.kind, one.is_error) for one in report.findings] == [
        ("subject in two subsets", True),
        ("video without a subject", False),
    ]
    assert "subject s1 is seen in train (1 videos, first a), val (1" in report.findings[0].message
    records = attach_subjects(read_annotations(tmp_path).records, subjects)
    assert [record.subject for record in records] == ["s1", "s2", "s1", None]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("video,subject\na,s1\n", "expected the columns video_id, subject; found video, subject"),
        ("video_id,subject\na,s1\na,s2\n", "line 3: video a has the subject s2 here but s1 before"),
        ("video_id,subject\na,\n", "line 2: expected a video_id and a subject, found 'a,'"),
    ],
)
def test_wrong_subject_files(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(AnnotationError, match=message):
        read_subjects(put(tmp_path, "subjects.csv", text))


def test_subjects_of_other_videos(tmp_path: Path) -> None:
    subjects = put(tmp_path, "subjects.csv", "video_id,subject\na.mp4,s1\n")
    records = [VideoRecord("a", duration_seconds=1.0, subset="train")]
    with pytest.raises(AnnotationError, match="contains none of the 1 annotated videos, such as a"):
        attach_subjects(records, subjects)


def facts(**more: object) -> VideoFacts:
    values: dict[str, object] = {
        "num_frames": 300,
        "fps": 30.0,
        "duration_seconds": 10.0,
        "is_variable_rate": False,
        "rotation_degrees": 0,
        "is_end_decodable": True,
    }
    return VideoFacts(**(values | more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (facts(), []),
        # 300 frames at 29.97 fps end 0.3 frames late.
        (facts(fps=30000 / 1001, duration_seconds=10.01), []),
        (facts(fps=29.0, duration_seconds=300 / 29), [("frame rate disagrees", True)]),
        (
            facts(num_frames=200, duration_seconds=200 / 30),
            [("truncated video", True), ("instance outside its video", True)],
        ),
        (facts(num_frames=299, duration_seconds=299 / 30), [("frame count differs by one", False)]),
        (facts(num_frames=310, duration_seconds=310 / 30), [("frame count disagrees", True)]),
        (facts(is_end_decodable=False), [("truncated video", True)]),
        (facts(is_variable_rate=True), [("variable frame rate", True)]),
        (facts(rotation_degrees=90), [("rotated video", False)]),
    ],
)
def test_a_video_against_its_annotations(
    found: VideoFacts, expected: list[tuple[str, bool]]
) -> None:
    record = VideoRecord(
        "a",
        duration_seconds=300 / 30,
        subset="val",
        fps=30.0,
        num_frames=300,
        annotations=Annotations([[0.0, 1.0], [9.0, 10.0]], [0, 1]),
    )
    findings = compare(record, found, path=Path("a.mp4"))
    assert [(one.kind, one.is_error) for one in findings] == expected


def test_a_video_against_a_duration_alone() -> None:
    record = VideoRecord("a", duration_seconds=10.0, subset="val")
    assert compare(record, facts(duration_seconds=9.97), path=Path("a.mp4")) == []
    (short,) = compare(record, facts(duration_seconds=8.0), path=Path("a.mp4"))
    (long,) = compare(record, facts(duration_seconds=12.0), path=Path("a.mp4"))
    assert (short.kind, long.kind) == ("truncated video", "duration disagrees")


def test_command_stats_prints_the_table_of_the_paper(tmp_path: Path) -> None:
    put(tmp_path, "train.csv", HEADER + "0,a,0,29,9,290,29\n1,b,0,30,9,150,30\n")
    put(tmp_path, "val.csv", HEADER + "0,c,0,30,1,300,30\n")
    result = CliRunner().invoke(app, ["stats", str(tmp_path), "--json", str(tmp_path / "s.json")])
    assert result.exit_code == 0, result.output
    rows = [
        [cell.strip() for cell in line.strip("│").split("│")]
        for line in result.output.splitlines()
        if "│" in line
    ]
    assert rows[0] == ["train", "2", "2", "0.00 h", "7.50 s", "1.00 s", "n/a"]
    at_30 = (290 / 30 + 150 / 30) / 2
    assert rows[1] == ["at 30 fps", "", "", "0.00 h", f"{at_30:.2f} s", "0.98 s", ""]
    assert ["9", "B1 nodding", "2", "0", "2"] in rows
    content = json.loads((tmp_path / "s.json").read_text())
    assert [one["num_videos"] for one in content["subsets"]] == [2, 1, 3]


def test_command_stats_counts_clips(tmp_path: Path) -> None:
    path = put(tmp_path, "val_list.txt", "a.mp4 9\nb.mp4 9\n")
    result = CliRunner().invoke(app, ["stats", str(path)])
    assert result.exit_code == 0, result.output
    assert "B1 nodding" in result.output


def test_command_check_exits_with_2_only_for_errors(tmp_path: Path) -> None:
    good = put(tmp_path, "val.csv", HEADER + "0,a,0,30,1,60,30\n1,b,,,,60,30\n")
    result = CliRunner().invoke(app, ["check", str(good)])
    assert result.exit_code == 0, result.output
    assert "notice: video without instances (1)" in result.output
    rows = "".join(f"{i},a,{30 + i},30,1,60,30\n" for i in range(1, 6))
    bad = put(tmp_path, "train.csv", HEADER + rows)
    result = CliRunner().invoke(app, ["check", str(bad), "--json", str(tmp_path / "c.json")])
    assert result.exit_code == 2
    assert "error: reversed segment (5)" in result.output
    assert "... and 2 more" in result.output
    assert "1 video, 0 instances: 5 errors, 0 notices" in result.output
    assert len(json.loads((tmp_path / "c.json").read_text())["findings"]) == 5
