import json
from pathlib import Path

import numpy as np
import pytest

from mmad.errors import PredictionError
from mmad.evaluation.clips.scores import labels_in
from mmad.evaluation.emotions.predictions import (
    EMOTION_COLUMNS,
    EmotionPredictions,
    is_emotion_file,
    read_emotion_predictions,
    write_emotion_predictions,
)
from mmad.labels import LOWER_LIMBS, MA52, flat_labels
from support.commands import run_mmad
from support.emotions import PRO, put

UPPER = [i for i, p in enumerate(MA52.parents) if MA52.parent_names[p] not in LOWER_LIMBS]
HEADER = ",".join(["video_id", *EMOTION_COLUMNS])


def made(actions: list[int], ids: tuple[str, ...] = ("c", "d")) -> EmotionPredictions:
    rng = np.random.default_rng(3)
    emotions = rng.dirichlet(np.ones(5), size=len(ids))
    return EmotionPredictions(ids, emotions, rng.random((len(ids), len(actions))), actions)


@pytest.mark.parametrize("actions", [list(range(52)), UPPER, []], ids=["all", "upper", "none"])
@pytest.mark.parametrize("suffix", [".csv", ".json", ".npz"])
def test_written_and_read(tmp_path: Path, suffix: str, actions: list[int]) -> None:
    path = tmp_path / f"val{suffix}"
    before = made(actions)
    write_emotion_predictions(path, before, labels=MA52)
    assert is_emotion_file(path)
    found = read_emotion_predictions(path, labels=MA52)
    assert found.video_ids == before.video_ids
    np.testing.assert_array_equal(found.emotion_scores, before.emotion_scores)
    np.testing.assert_array_equal(found.action_scores, before.action_scores)
    np.testing.assert_array_equal(found.action_labels, before.action_labels)


def test_own_labels_travel_with_an_npz(tmp_path: Path) -> None:
    labels = flat_labels(["x", "y"])
    write_emotion_predictions(tmp_path / "a.npz", made([0, 1]), labels=labels)
    assert labels_in(tmp_path / "a.npz") == labels


def test_names_instead_of_scores(tmp_path: Path) -> None:
    path = put(tmp_path, "a.csv", "vid,emotion\nc.mp4,Anger\nd,0\n")
    found = read_emotion_predictions(path, labels=MA52)
    assert found.video_ids == ("c", "d")
    assert found.emotions.tolist() == [4, 0]
    path = put(tmp_path, "a.json", '{"c": {"emotion": "fear", "actions": {}}}')
    assert read_emotion_predictions(path, labels=MA52).emotions.tolist() == [3]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("video_id,emotion_0,emotion_1\na,1,0\n", "all of emotion_0, .* found video_id"),
        (f"{HEADER},emotion\na,1,0,0,0,0,joy\n", "either emotion, a name, or all of"),
        ("emotion\njoy\n", "expected the columns video_id"),
        ("video_id,emotion,actions\na,joy,nodding\n", "column actions, as a list of annotated"),
        (f"{HEADER}\na,1,0,0,0,0\na.mp4,1,0,0,0,0\n", "video 'a' is there 2 times"),
        (f"{HEADER}\na,1,0,0,nan,0\n", "video 'a': emotion 3: expected a score from 0 to 1"),
        (f"{HEADER}\na,1,0,0,x,0\n", "line 2: video 'a': scores must be numbers"),
        (f"{HEADER},action_9\na,1,0,0,0,0,0.5\n", "no scores of 5 of 52 actions .B5 bowing head"),
        (f"{HEADER},action_52\na,1,0,0,0,0,0.5\n", "action 52: expected actions 0 to 51"),
        ("video_id,emotion\na,happy\n", "unknown emotion 'happy'.* write joy"),
        ('{"a": {"emotion": "happy"}}', "video 'a': unknown emotion 'happy'"),
        ('{"a": {"emotion": [0.5, 0.5]}}', "expected an object of labels and scores, or a list"),
        ('{"a": {"emotion": {}}}', "emotion: expected an object of labels and scores"),
        ('{"a": {"emotion": "joy", "actions": {"noding": 1}}}', "did you mean 'nodding'"),
        ('{"a": {"emotion": "joy"}, "a": {"emotion": "joy"}}', "video 'a' is there twice"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, message: str) -> None:
    path = put(tmp_path, "a.json" if text.startswith("{") else "a.csv", text)
    with pytest.raises(PredictionError, match=message):
        read_emotion_predictions(path, labels=MA52)


def test_bad_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", video_ids=np.array(["a"]), emotion_scores=np.zeros((1, 4)))
    with pytest.raises(PredictionError, match=r"emotion_scores: expected shape \(1, 5\)"):
        read_emotion_predictions(tmp_path / "a.npz", labels=MA52)
    np.savez(tmp_path / "a.npz", emotion_scores=np.zeros((1, 5)))
    with pytest.raises(PredictionError, match="missing video_ids, found emotion_scores"):
        read_emotion_predictions(tmp_path / "a.npz", labels=MA52)


def test_the_command_prints_a_row_for_each_file(tmp_path: Path) -> None:
    pro = put(tmp_path, "pro.csv", PRO)
    files = [tmp_path / f"{name}.csv" for name in ("face", "without_lower", "full")]
    for path, actions in zip(files, ([], UPPER, range(52)), strict=True):
        write_emotion_predictions(path, made(list(actions)), labels=MA52)
    out = tmp_path / "found.json"
    said = run_mmad(["eval", *files, "--annotations", pro, "--details", "--json", out]).stdout
    for text in (
        "F1_weight",
        "Surprise",
        "face: 2 videos, no scores of actions",
        "mAP of 1 of 52 actions (39 without videos, no scores of lower limb, leg-hand)",
        "full: 2 videos, mAP of 1 of 52 actions (51 without videos)",
    ):
        assert text in said
    content = json.loads(out.read_text())
    assert content["files"]["face"]["map_classes"] is None
    assert content["files"]["full"]["accuracy_per_emotion"]["fear"] is None  # no such video
    assert content["videos"]["full"]["c"]["actions"] == ["nodding"]


def test_the_command_and_what_does_not_fit(tmp_path: Path) -> None:
    pro = put(tmp_path, "pro.csv", PRO)
    path = put(tmp_path, "a.csv", "video_id,emotion\nc,joy\n")
    said = run_mmad(["eval", path, "--annotations", pro], code=2).stderr
    assert "a.csv: predictions: 1 of 2 annotated videos have no prediction: d" in said
    said = run_mmad(["eval", path, "--annotations", pro, "--only-predicted"]).stdout
    assert "1 of 2 annotated videos have no prediction and are left out" in said
    said = run_mmad(["eval", path, "--annotations", pro, "--subset", "test"], code=2).stderr
    assert "no videos of subset test; found train, val; pass --subset" in said
    said = run_mmad(["eval", path, path, "--annotations", pro], code=2).stderr
    assert "passed twice; expected a file a method" in said
    said = run_mmad(["eval", path, "--annotations", pro, "--bootstrap", "9"], code=2).stderr
    assert "predictions of emotions; --compare and --bootstrap are for detections" in said
    said = run_mmad(["eval", path], code=2).stderr
    assert "pass --annotations FILE" in said
    said = run_mmad(["submit", path, "--out", tmp_path / "a.zip"], code=2).stderr
    assert "a.csv: predictions of emotions; mmad eval scores them" in said
