import json
from pathlib import Path

import pytest

from mmad.annotations.emotions.lists import read_emotions
from mmad.annotations.emotions.statistics import describe_emotions
from mmad.labels import EMOTIONS, LOWER_LIMBS, MA52, flat_labels
from mmad.structures import EmotionRecord
from support.commands import run_mmad
from support.emotions import PRO, put

HEADER = "video_id,emotion,actions\n"


def test_counts_of_table_7_and_shares_of_figure_11(tmp_path: Path) -> None:
    videos = read_emotions(put(tmp_path, "pro.csv", PRO), labels=MA52)
    train, val, both = describe_emotions(videos, labels=MA52)
    assert [one.name for one in (train, val, both)] == ["train", "val", "all"]
    assert (both.num_videos, both.num_action_labels, both.num_subjects) == (4, 5, 3)
    assert both.total_seconds == 12.5 + 7 + 60 + 5
    assert both.videos_by_emotion == (3, 1, 0, 0, 0)
    assert both.videos_by_num_actions == {0: 1, 1: 1, 2: 2}
    # Body, head, upper limb, lower limb, body-hand, head-hand, leg-hand: A1, two of B1, D3, 48.
    assert both.parent_counts == (1, 2, 0, 1, 0, 0, 1)
    shares = both.parent_shares_by_emotion(MA52)
    assert shares["joy"]["head"] == 2 / 3
    assert shares["joy"]["lower limb"] == 1 / 3
    assert shares["sadness"]["leg-hand"] == 1 / 2
    assert set(shares["anger"].values()) == {None}
    without = both.parent_shares_by_emotion(MA52, without=LOWER_LIMBS)
    assert without["joy"] == {**dict.fromkeys(without["joy"], 0.0), "head": 2 / 2}
    assert "leg-hand" not in without["sadness"]


def test_unlabelled_videos_and_labels_without_body_parts() -> None:
    videos = [EmotionRecord("a", None, (), "test"), EmotionRecord("b", 4, (1,), "test")]
    (found,) = describe_emotions(videos, labels=flat_labels(["x", "y"]))
    assert (found.num_unlabelled, found.num_action_labels) == (1, 1)
    assert found.class_counts == (0, 1)
    assert found.parent_counts == ()
    assert found.videos_by_emotion == (0, 0, 0, 0, 1)
    assert (found.total_seconds, found.num_subjects) == (None, None)


@pytest.mark.slow
def test_the_command(tmp_path: Path, videos: Path) -> None:
    path = put(tmp_path, "pro.csv", PRO)
    said = run_mmad(["data", "stats", path, "--json", tmp_path / "found.json"]).stdout
    for title in ("Table VII", "Fig. 11 (a)", "Fig. 11 (b), without lower limbs", "Lower limb (D)"):
        assert title in said
    content = json.loads((tmp_path / "found.json").read_text())
    assert content["emotions"] == list(EMOTIONS.names)
    joy = content["subsets"][2]["parent_shares_by_emotion"]["joy"]
    assert joy["head"] == 2 / 3
    name = next((videos / "videos").glob("*.mp4")).stem
    path = put(tmp_path, "one.csv", f"{HEADER}{name},joy,\n")
    found = tmp_path / "one.json"
    run_mmad(["data", "stats", path, "--videos", videos / "videos", "--json", found])
    (one,) = json.loads(found.read_text())["subsets"]
    assert 2.0 <= one["total_seconds"] <= 4.0  # measured on the file
    said = run_mmad(["data", "stats", path, path], code=2)
    assert "is in more than one of the lists, first " in said.stderr
