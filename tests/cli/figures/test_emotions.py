"""``mmad figures`` of emotions: the numbers of ``mmad eval`` and ``mmad data stats``, and their
pictures.
"""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from mmad.annotations.emotions.lists import read_emotions
from mmad.annotations.emotions.statistics import describe_emotions
from mmad.cli.figures import app
from mmad.errors import AnnotationError, PredictionError, VideoError
from mmad.evaluation.emotions.metrics import PredictedVideo
from mmad.labels import EMOTIONS, MA52, flat_labels
from mmad.report.emotion_figures.histograms import draw_emotions
from mmad.report.emotion_figures.shares import draw_part_shares
from mmad.structures import EmotionRecord
from support.commands import invoke, run_mmad
from support.emotions import PRO, put
from support.figures import is_whole, texts_of

pytestmark = pytest.mark.slow

FACE = (
    "video_id,emotion_0,emotion_1,emotion_2,emotion_3,emotion_4\nc,.7,.1,.1,.1,0\nd,0,.9,.1,0,0\n"
)


def figures(*words: object) -> str:
    return invoke(app, *words)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def files(tmp_path: Path) -> tuple[object, ...]:
    """Two models, one of emotions alone, and the option for their annotations."""
    nodding = [0.6 if label == 9 else 0.1 for label in range(52)]
    two = [0.5 if label < 2 else 0.0 for label in range(52)]
    full = {
        "c": {"emotion": {"joy": 0.2, "fear": 0.8}, "actions": nodding},
        "d": {"emotion": {"joy": 1.0}, "actions": two},
    }
    return (
        put(tmp_path, "face.csv", FACE),
        put(tmp_path, "full.json", json.dumps(full)),
        "--annotations",
        put(tmp_path, "pro.csv", PRO),
    )


def test_emotions_are_those_of_eval(files: tuple[object, ...], tmp_path: Path) -> None:
    out, numbers, details = (tmp_path / name for name in ("f.svg", "f.csv", "eval.json"))
    assert "(3.5 x" in figures(
        "emotions", *files, "--out", out, "--csv", numbers, "--width", "column"
    )
    run_mmad(["eval", *files, "--details", "--json", details])
    rows = rows_of(numbers)
    assert {(row["video"], row["model"]) for row in rows} == {
        (video, model) for video in "cd" for model in ("face", "full")
    }
    for model, videos in json.loads(details.read_text())["videos"].items():
        for video, expected in videos.items():
            mine = [row for row in rows if (row["video"], row["model"]) == (video, model)]
            emotions = [row for row in mine if row["level"] == "emotion"]
            scores = {row["label"]: float(row["score"]) for row in emotions}
            assert scores == expected["emotion_scores"]
            for column, key in (("annotated", "emotion"), ("predicted", "predicted_emotion")):
                assert [row["label"] for row in emotions if row[column] == "yes"] == [expected[key]]
            for column, key in (("annotated", "actions"), ("predicted", "predicted_actions")):
                shown = [
                    row["label"]
                    for row in mine
                    if row["level"] == "action" and row[column] == "yes"
                ]
                assert shown == [MA52.title(MA52.index(name)) for name in expected[key]]


def test_shares_are_those_of_the_statistics(tmp_path: Path) -> None:
    pro, numbers, stats = put(tmp_path, "pro.csv", PRO), tmp_path / "f.csv", tmp_path / "s.json"
    figures("emotion-shares", pro, "--out", tmp_path / "f.svg", "--csv", numbers)
    run_mmad(["data", "stats", pro, "--json", stats])
    expected = json.loads(stats.read_text())["subsets"][-1]
    panels = {
        "all body parts": "parent_shares_by_emotion",
        "without D lower limb and G leg-hand": "parent_shares_by_emotion_without_lower_limbs",
    }
    rows = rows_of(numbers)
    for panel, key in panels.items():
        shown: dict[str, dict[str, float | None]] = {name: {} for name in EMOTIONS.names}
        for row in rows:
            if row["body_parts"] == panel:
                percent = float(row["percent"]) if row["percent"] else None
                shown[row["emotion"]][row["body_part"]] = percent
        assert shown == {
            emotion: {
                part: None if share is None else 100 * share for part, share in shares.items()
            }
            for emotion, shares in expected[key].items()
        }
    # Of the two videos of val one has an action, of the head.
    figures("emotion-shares", pro, "--subset", "val", "--out", tmp_path / "f.svg", "--csv", numbers)
    assert {
        (row["emotion"], row["body_part"]): row["percent"]
        for row in rows_of(numbers)
        if row["body_parts"] == "all body parts" and row["percent"] not in ("", "0.0")
    } == {("joy", "head"): "100.0"}


def test_confusion_of_what_happens_in_the_same_videos(
    files: tuple[object, ...], tmp_path: Path
) -> None:
    _, full, *annotations = files
    numbers = tmp_path / "f.csv"
    words = ("emotion-confusion", full, *annotations, "--out", tmp_path / "f.svg", "--csv", numbers)
    figures(*words, "--level", "body")
    cells = {(row["annotated"], row["recognised_as"]): row for row in rows_of(numbers)}
    # Video c nods, and is seen to; d has no actions, and is given two of the body.
    assert (cells["B head", "B head"]["videos"], cells["B head", "B head"]["share"]) == ("1", "1.0")
    assert sum(int(row["videos"]) for row in cells.values()) == 1
    assert cells["A body", "A body"]["share"] == ""
    told = figures(*words, "--level", "emotion", "--width", "column")
    assert "(3.5 x" in told
    cells = {(row["annotated"], row["recognised_as"]): row for row in rows_of(numbers)}
    assert cells["joy", "fear"]["share"] == cells["joy", "joy"]["share"] == "0.5"
    face = files[0]
    with pytest.raises(PredictionError, match=r"face\.csv: has no scores of actions"):
        figures("emotion-confusion", face, *annotations, "--out", tmp_path / "f.svg")


@pytest.mark.parametrize("width", [3.5, 7.0])
def test_all_text_is_inside(width: float, tmp_path: Path) -> None:
    video = EmotionRecord("a_video_with_a_very_long_name" * 3, 3, tuple(range(0, 45, 3)), "val")
    scores = dict.fromkeys(range(52), 0.7)
    found = PredictedVideo(video, 3, np.full(5, 0.2), tuple(range(30, 45)), scores)
    models = {f"model_{n}_with_a_long_name": [found] for n in range(4)}
    figure = draw_emotions(models, [[(0.0, np.zeros((40, 60, 3), np.uint8))]] * 1,
                           labels=MA52, width_inches=width).figure  # fmt: skip
    assert is_whole(figure)
    words = [text for text in figure.texts if text.get_text().startswith(MA52.title(39))]
    assert {word.get_color() for word in words} == {"black"}
    words = [text for text in figure.texts if text.get_text().startswith(MA52.title(40))]
    assert {word.get_style() for word in words} == {"italic"}  # 40 is not annotated
    described = describe_emotions(
        read_emotions(put(tmp_path, "pro.csv", PRO), labels=MA52), labels=MA52
    )
    shares = draw_part_shares(described[-1], labels=MA52, width_inches=width).figure
    assert is_whole(shares)
    assert texts_of(shares).count("no action labels") == 2 * 3


def test_what_cannot_be_drawn_is_told(files: tuple[object, ...], tmp_path: Path) -> None:
    out = ("--out", tmp_path / "f.svg")
    face, full, *annotations = files
    with pytest.raises(PredictionError, match="emotions shows predictions; pass a run folder"):
        figures("emotions", *out)
    with pytest.raises(PredictionError, match="there is no such run or file of pred"):
        figures("emotions", tmp_path / "none.csv", *annotations, *out)
    clips = put(tmp_path, "clips.csv", "vid,action_top_1\na.mp4,3\n")
    with pytest.raises(PredictionError, match=r"clips\.csv: holds predictions of a recogniser"):
        figures("emotions", clips, *annotations, *out)
    with pytest.raises(PredictionError, match="expected at most 4 models, found 5"):
        figures("emotions", *[face] * 5, *annotations, *out)
    with pytest.raises(PredictionError, match="passed twice"):
        figures("emotions", face, face, *annotations, *out)
    with pytest.raises(PredictionError, match="--video a: is none of 2 annotated and predicted"):
        figures("emotions", face, *annotations, "--video", "a", *out)
    with pytest.raises(VideoError, match="there is no video d in it"):
        figures("emotions", full, *annotations, "--video", "d", "--videos", tmp_path, *out)
    listed = put(tmp_path, "val.txt", "a.mp4 9\n")
    with pytest.raises(AnnotationError, match=r"val\.txt: holds no emotions; expected a list"):
        figures("emotion-shares", listed, *out)
    pro = annotations[1]
    with pytest.raises(AnnotationError, match=r"--subset dev: .* found train, val, all"):
        figures("emotion-shares", pro, "--subset", "dev", *out)
    plain = put(tmp_path, "names.txt", "\n".join(flat_labels(list(MA52.names)).names))
    with pytest.raises(AnnotationError, match="the labels have no body parts"):
        figures("emotion-shares", pro, "--labels", plain, *out)
    assert not (tmp_path / "f.svg").exists()
