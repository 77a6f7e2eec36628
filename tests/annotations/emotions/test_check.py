import json
from pathlib import Path

from mmad.annotations.emotions.check import check_emotions
from mmad.labels import MA52
from support.commands import run_mmad
from support.emotions import PRO, put


def test_what_a_list_lacks_is_a_notice(tmp_path: Path) -> None:
    report = check_emotions([put(tmp_path, "pro.csv", PRO)], labels=MA52)
    assert (report.num_errors, report.num_videos, report.num_instances) == (0, 4, 2 + 2 + 1)
    found = {kind: [one.message for one in group] for kind, group in report.by_kind().items()}
    assert found.pop("action without videos")[0].startswith("48 of 52: ")
    assert found == {
        "video without actions": ["video d has no actions"],
        "emotion without videos": ["3 of 5: surprise, fear, anger"],
    }


def test_a_subject_or_a_video_in_two_lists(tmp_path: Path) -> None:
    train = put(
        tmp_path, "train.csv", "video_id,emotion,actions,subject\na,joy,B1,s1\nb,fear,,s2\n"
    )
    val = put(tmp_path, "val.csv", "video_id,emotion,actions,subject\nb,fear,,s2\nc,joy,,\n")
    report = check_emotions([train, val], labels=MA52)
    messages = [finding.message for finding in report.findings if finding.is_error]
    assert messages[0] == "video b is in train.csv and val.csv; keep one"
    assert messages[1].startswith("subject s2 is seen in train (1 videos, first b), val")


def test_missing_videos(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    path = put(tmp_path, "pro.csv", PRO)
    report = check_emotions([path], labels=MA52, folder=tmp_path / "videos")
    assert len(report.by_kind()["missing video"]) == 4


def test_the_command(tmp_path: Path) -> None:
    path = put(tmp_path, "pro.csv", PRO.replace("joy,B1", "angr,B1"))
    said = run_mmad(["data", "check", path, "--json", tmp_path / "found.json"], code=2)
    assert "error: unknown emotion (1)" in said.stdout
    assert "pro.csv: line 4 (video c): unknown emotion 'angr';" in said.stdout
    assert "4 videos, 5 action labels: 1 error, 0 notices" in said.stdout
    assert json.loads((tmp_path / "found.json").read_text())["num_videos"] == 4
