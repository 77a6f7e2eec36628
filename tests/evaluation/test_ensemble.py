import contextlib
import io
import json
import pickle
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mmad.cli.ensemble import app
from mmad.errors import MmadError, OutputError, PredictionError
from mmad.evaluation.detection_fusion import fuse_detections
from mmad.evaluation.ensemble import (
    METRICS,
    fuse_scores,
    nested_gain,
    normalised_weights,
    search_weights,
    split_folds,
)
from mmad.evaluation.predictions import read_predictions
from mmad.evaluation.recognition import evaluate_recognition, read_recognitions
from mmad.evaluation.recognition_scores import (
    RecognitionScores,
    read_scores,
    to_recognitions,
    write_scores,
)
from mmad.labels import MA52, LabelMap, flat_labels
from mmad.structures import ClipRecord, Detections
from mmad.suppression import LENGTH_EPS

# Two parents: x has a and b, y has c.
SMALL = LabelMap(names=("a", "b", "c"), parents=(0, 0, 1), parent_names=("x", "y"))


def scores_of(
    rows: list[list[float]], *, ids: tuple[str, ...] = (), labels: LabelMap = SMALL
) -> RecognitionScores:
    """Bodies get the sum of the scores of their actions."""
    action = np.array(rows, dtype=np.float64).reshape(-1, len(labels))
    body = np.zeros((len(action), len(labels.parent_names)))
    np.add.at(body.T, list(labels.parents), action.T)
    return RecognitionScores(ids or tuple(f"{i}.mp4" for i in range(len(action))), action, body)


def one_hot(labels: list[int], *, right: float = 1.0) -> list[list[float]]:
    """``right`` for the label, the rest shared by the other two."""
    return [
        [right if k == label else (1 - right) / 2 for k in range(len(SMALL))] for label in labels
    ]


def ma52_scores(
    truth: np.ndarray, *, strength: float, seed: int, scale: float = 1.0
) -> RecognitionScores:
    """Softmax of noise to which ``strength`` is added at the true label."""
    logits = scale * np.random.default_rng(seed).normal(size=(len(truth), len(MA52)))
    logits[np.arange(len(truth)), truth] += strength
    action = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return scores_of(action.tolist(), labels=MA52)


def truth_of(labels: np.ndarray) -> dict[str, int]:
    return {f"{i}.mp4": int(label) for i, label in enumerate(labels)}


def metric_of(
    scores: RecognitionScores,
    truth: dict[str, int],
    *,
    labels: LabelMap = MA52,
    metric: str = "f1_mean",
) -> float:
    clips = [ClipRecord(name, label, "val") for name, label in truth.items()]
    return METRICS[metric](evaluate_recognition(to_recognitions(scores), clips, labels=labels))


# Files of scores


@pytest.mark.parametrize("name", ["s.npz", "s.csv", "new/folder/s.NPZ"])
def test_files_of_scores_keep_every_digit(tmp_path: Path, name: str) -> None:
    scores = ma52_scores(np.array([3, 40, 9]), strength=1.0, seed=0)
    path = tmp_path / name
    write_scores(path, scores)
    again = read_scores(path, labels=MA52)
    assert again.clip_ids == scores.clip_ids
    assert np.array_equal(again.action_scores, scores.action_scores)
    assert np.array_equal(again.body_scores, scores.body_scores)
    assert again.action_scores.shape == (3, 52)
    assert again.body_scores.shape == (3, 7)
    first = path.read_bytes()
    write_scores(path, again)
    assert path.read_bytes() == first
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_the_columns_of_a_csv(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    write_scores(path, scores_of([[0.5, 0.25, 0.25]], ids=("0001",)))
    assert path.read_text() == (
        "vid,action_0,action_1,action_2,body_0,body_1\n0001.mp4,0.5,0.25,0.25,0.75,0.25\n"
    )
    # Columns in another order, one of another program, an id without a suffix.
    path.write_text("body_1,note,vid,action_0,action_1,action_2,body_0\n.25,n,0001,.5,.25,.25,1\n")
    again = read_scores(path, labels=SMALL)
    assert again.clip_ids == ("0001.mp4",)
    assert again.action_scores.tolist() == [[0.5, 0.25, 0.25]]
    assert again.body_scores.tolist() == [[1.0, 0.25]]


@pytest.mark.parametrize("name", ["s.npz", "s.csv"])
def test_no_clips_and_no_parents(tmp_path: Path, name: str) -> None:
    flat = flat_labels(["a", "b"])
    for rows in (np.zeros((0, 2)), np.array([[0.5, 0.5]])):
        ids = tuple(f"{i}.mp4" for i in range(len(rows)))
        write_scores(tmp_path / name, RecognitionScores(ids, rows, np.zeros((len(rows), 0))))
        again = read_scores(tmp_path / name, labels=flat)
        assert again.clip_ids == ids
        assert again.body_scores.shape == (len(rows), 0)
        assert to_recognitions(again).body_top.shape == (len(rows), 0)


def save(path: Path, **arrays: object) -> Path:
    good = {
        "clip_ids": np.array(["a.mp4", "b.mp4"]),
        "action_scores": np.full((2, 3), 0.25),
        "body_scores": np.full((2, 2), 0.5),
    }
    chosen = {name: value for name, value in {**good, **arrays}.items() if value is not None}
    np.savez(path, **chosen)
    return path


def with_value(value: float) -> np.ndarray:
    table = np.full((2, 3), 0.25)
    table[1, 2] = value
    return table


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"body_scores": None}, "missing body_scores, found clip_ids, action_scores"),
        ({"action_scores": np.zeros((2, 4))}, r"shape \(2, 3\), found float64, \(2, 4\)"),
        ({"action_scores": np.zeros((3, 3))}, r"shape \(2, 3\), found float64, \(3, 3\)"),
        ({"body_scores": np.array([["x"] * 2] * 2)}, "body_scores: expected numbers"),
        ({"clip_ids": np.array([1, 2])}, "clip_ids: expected text"),
        ({"clip_ids": np.array(["a.mp4", "a"])}, "clip 'a.mp4' is there 2 times"),
        ({"clip_ids": np.array(["a.mp4", " "])}, "a clip has no name"),
        ({"clip_ids": np.array(["a.mp4", None])}, "Object arrays cannot be loaded"),
        ({"action_scores": with_value(np.nan)}, r"'b.mp4': action_scores\[2\].* found nan"),
        ({"action_scores": with_value(np.inf)}, r"'b.mp4': action_scores\[2\].* found inf"),
        ({"action_scores": with_value(-0.1)}, r"'b.mp4': action_scores\[2\].* found -0.1"),
        ({"action_scores": with_value(3.5)}, r"must be a probability, from 0 to 1, found 3.5"),
    ],
)
def test_what_is_wrong_with_a_npz(tmp_path: Path, arrays: dict[str, object], message: str) -> None:
    path = save(tmp_path / "s.npz", **arrays)
    with pytest.raises(PredictionError, match=message):
        read_scores(path, labels=SMALL)


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    path = save(
        tmp_path / "s.npz",
        clip_ids=np.array(["a.mp4", "a.mp4"]),
        action_scores=with_value(-1.0),
        body_scores=np.zeros((2, 7)),
    )
    with pytest.raises(PredictionError, match="3 problems") as caught:
        read_scores(path, labels=SMALL)
    for part in ("there 2 times", "found -1.0", "found float64, (2, 7)"):
        assert part in str(caught.value)


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit('a pickle was executed')",))


def single_array() -> bytes:
    out = io.BytesIO()
    np.save(out, np.zeros((2, 3)))
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"vid,action_0\n", "cannot be read"),
        (b"", "cannot be read"),
        (b"PK\x03\x04 no zip", "cannot be read"),
        (pickle.dumps(Bomb()), "cannot be read"),
        (single_array(), "expected a zip of the arrays"),
        (None, "there is no such file of scores"),
    ],
)
def test_files_that_are_no_npz(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "s.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PredictionError, match=message):
        read_scores(path, labels=SMALL)


def test_a_broken_npz_is_told(tmp_path: Path) -> None:
    path = save(tmp_path / "s.npz")
    whole = path.read_bytes()
    for size in range(0, len(whole), 40):
        path.write_bytes(whole[:size])
        with pytest.raises(PredictionError, match=r"s\.npz"):
            read_scores(path, labels=SMALL)
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        with contextlib.suppress(PredictionError):  # in the zip's times nothing is harmed
            assert read_scores(path, labels=SMALL).action_scores.shape == (2, 3)


CSV_HEADER = "vid,action_0,action_1,action_2,body_0,body_1\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "vid,action_0,action_1,body_0,body_1\n",
            "vid, action_0 to action_2, .* missing: action_2",
        ),
        (CSV_HEADER.replace("vid", "vid,vid"), "more than once: vid"),
        (CSV_HEADER.strip() + ",action_3\n", "of no label: action_3"),
        (CSV_HEADER + "a,.1,.1,oh,.5,.5\n", "line 2: action_2 must be a number, found 'oh'"),
        (CSV_HEADER + "a,.1,.1,,.5,.5\n", "line 2: action_2 must be a number, found ''"),
        (CSV_HEADER + "a,.1,.1,nan,.5,.5\n", r"clip 'a': action_scores\[2\] .* found nan"),
        (CSV_HEADER + "a,.1,.1,.5,.5\n", "line 2: expected 6 cells, found 5"),
        (CSV_HEADER + "a,.1,.1,.1,.5,.5\n" * 2, "clip 'a.mp4' is there 2 times"),
        (CSV_HEADER + ",.1,.1,.1,.5,.5\n", "a clip has no name"),
    ],
)
def test_what_is_wrong_with_a_csv(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "s.csv"
    path.write_text(text)
    with pytest.raises(PredictionError, match=message):
        read_scores(path, labels=SMALL)


def test_scores_are_probabilities_and_read_only() -> None:
    good = scores_of(one_hot([0, 1]))
    with pytest.raises(ValueError, match="read-only"):
        good.action_scores[0, 0] = 1.0
    with pytest.raises(ValueError, match=r"action_scores: expected shape \(1, classes\)"):
        RecognitionScores(("a.mp4",), np.zeros((2, 3)), np.zeros((1, 2)))
    with pytest.raises(ValueError, match="is there 2 times"):
        RecognitionScores(("a", "a.mp4"), np.zeros((2, 3)), np.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"body_scores\[0\] must be a probability"):
        RecognitionScores(("a",), np.zeros((1, 3)), np.full((1, 2), np.nan))


def test_files_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(PredictionError, match=r"ends in \.npz or \.csv"):
        write_scores(tmp_path / "s.pt", scores_of(one_hot([0])))
    (tmp_path / "s.npz").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        write_scores(tmp_path / "s.npz", scores_of(one_hot([0])))
    assert [item.name for item in tmp_path.iterdir()] == ["s.npz"]


def test_the_five_best() -> None:
    action = np.zeros((1, 52))
    action[0, [50, 7, 30, 8]] = [0.4, 0.2, 0.2, 0.1]
    body = np.array([[0.0, 0.3, 0.0, 0.3, 0.1, 0.2, 0.1]])
    found = to_recognitions(RecognitionScores(("a.mp4",), action, body))
    # 7 before 30, which is equal; then 0, the first of all with nothing. Bodies by themselves.
    assert found.action_top.tolist() == [[50, 7, 30, 8, 0]]
    assert found.body_top.tolist() == [[1, 3, 5, 4, 6]]


# Fusion of scores


def test_the_weighted_mean_by_hand() -> None:
    first = RecognitionScores(("0",), np.array([[0.6, 0.4, 0.0]]), np.array([[0.9, 0.1]]))
    second = RecognitionScores(("0",), np.array([[0.0, 0.2, 0.8]]), np.array([[0.1, 0.9]]))
    fused = fuse_scores([first, second], [3, 1])  # 3/4 and 1/4
    expected = [3 / 4 * 0.6, 3 / 4 * 0.4 + 1 / 4 * 0.2, 1 / 4 * 0.8]
    assert fused.action_scores[0] == pytest.approx(expected, abs=1e-15)
    assert fused.body_scores[0] == pytest.approx([3 / 4 * 0.9 + 0.1 / 4, 0.3], abs=1e-15)
    equal = fuse_scores([first, second])
    assert equal.action_scores[0] == pytest.approx([0.3, 0.3, 0.4], abs=1e-15)
    # Only their ratio counts, and a weight of 0 leaves a member out.
    assert np.array_equal(fuse_scores([first, second], [0, 7]).action_scores, second.action_scores)
    assert fuse_scores([first, second], [1e308, 1e308]).action_scores[0] == pytest.approx(
        [0.3, 0.3, 0.4], abs=1e-15
    )


def test_the_order_of_clips_and_a_missing_suffix_do_not_matter() -> None:
    truth = np.arange(20) % 52
    first, second = (ma52_scores(truth, strength=1.0, seed=seed) for seed in (0, 1))
    turned = RecognitionScores(
        tuple(name.removesuffix(".mp4") for name in second.clip_ids[::-1]),
        second.action_scores[::-1],
        second.body_scores[::-1],
    )
    expected, found = fuse_scores([first, second]), fuse_scores([first, turned])
    assert found.clip_ids == expected.clip_ids == first.clip_ids
    assert np.array_equal(found.action_scores, expected.action_scores)
    assert np.array_equal(found.body_scores, expected.body_scores)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0], "expected 2 weights, found 1"),
        ([1.0, -0.5], "at least 0 and not all 0, found 1.0, -0.5"),
        ([0.0, 0.0], "not all 0"),
        ([1.0, float("nan")], "found 1.0, nan"),
        ([1.0, float("inf")], "found 1.0, inf"),
    ],
)
def test_impossible_weights(weights: list[float], message: str) -> None:
    member = scores_of(one_hot([0]))
    with pytest.raises(PredictionError, match=message):
        fuse_scores([member, member], weights)
    with pytest.raises(PredictionError, match=message):
        fuse_detections([{}, {}], weights=weights)


def test_members_that_do_not_fit() -> None:
    first = scores_of(one_hot([0, 1]), ids=("a", "b"))
    other = scores_of(one_hot([0, 1]), ids=("a", "c"))
    message = r"two lacks 1 clip \(b\.mp4\) of one(.|\n)*two has 1 clip \(c\.mp4\) that one lacks"
    with pytest.raises(PredictionError, match=message):
        fuse_scores([first, other], names=["one", "two"])
    wide = RecognitionScores(("a", "b"), np.zeros((2, 4)), np.zeros((2, 2)))
    with pytest.raises(
        PredictionError, match="member 2 has 4 actions and 2 bodies, member 1 3 actions and 2"
    ):
        fuse_scores([first, wide])
    for nobody in (fuse_scores, fuse_detections):
        with pytest.raises(PredictionError, match="needs members, found none"):
            nobody([])


# Searched weights


def test_a_search_that_can_be_followed_by_hand() -> None:
    # One is right on three of four clips with little to show for it, the other on all, barely.
    truth = {f"{i}.mp4": label for i, label in enumerate([0, 1, 2, 0])}
    wrong = scores_of(one_hot([0, 1, 2, 1], right=0.9))
    right = scores_of(one_hot([0, 1, 2, 0], right=0.5))
    assert metric_of(fuse_scores([wrong, right]), truth, labels=SMALL, metric="top1") == 3 / 4
    weights = search_weights([wrong, right], truth, labels=SMALL, metric="top1")
    fused = fuse_scores([wrong, right], weights)
    assert weights.sum() == pytest.approx(1.0, abs=1e-15)
    assert weights[1] > 1 / 2
    assert metric_of(fused, truth, labels=SMALL, metric="top1") == 1.0
    # Equal weights are kept where nothing is better.
    assert search_weights([right, right], truth, labels=SMALL).tolist() == [1 / 2, 1 / 2]
    assert search_weights([right], truth, labels=SMALL).tolist() == [1.0]


def test_small_moves_find_what_large_ones_pass_over() -> None:
    # Clip 0 is right if 0.4 w > 0.6 (1 - w), so w > 0.6; clip 1 if 0.35 w < 0.65 (1 - w), w < 0.65.
    first = scores_of([[0.7, 0.3, 0.0], [0.675, 0.325, 0.0]])
    second = scores_of([[0.2, 0.8, 0.0], [0.175, 0.825, 0.0]])
    truth = {"0.mp4": 0, "1.mp4": 1}
    weights = search_weights([first, second], truth, labels=SMALL, metric="top1")
    # Of 60 parts 30 go first, then 15, then 7: the first to help, from equal weights.
    assert weights.tolist() == [37 / 60, 23 / 60]


@pytest.mark.parametrize("metric", list(METRICS))
@pytest.mark.parametrize("num_members", [2, 3, 7])
def test_searched_weights_are_never_worse_than_equal_or_single_ones(
    metric: str, num_members: int
) -> None:
    labels = np.random.default_rng(5).integers(0, 52, 120)
    truth = truth_of(labels)
    members = [
        ma52_scores(labels, strength=0.5 * i, seed=i, scale=1 + i % 2) for i in range(num_members)
    ]
    weights = search_weights(members, truth, labels=MA52, metric=metric)
    again = search_weights(members, truth, labels=MA52, metric=metric)
    assert np.array_equal(weights, again)
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1.0, abs=1e-12)
    best = metric_of(fuse_scores(members, weights), truth, metric=metric)
    for other in [fuse_scores(members), *members]:
        assert best >= metric_of(other, truth, metric=metric)


def test_noise_gains_nothing_where_it_was_not_searched() -> None:
    labels = np.arange(90) % 3
    gains = []
    for seed in range(10):
        random = np.random.default_rng(seed)
        members = [scores_of(random.dirichlet(np.ones(3), 90).tolist()) for _ in range(6)]
        gains.append(nested_gain(members, truth_of(labels), labels=SMALL, metric="top1", seed=seed))
    chance = 1 / 3
    error = np.sqrt(chance * (1 - chance) / (10 * 90))  # of a mean of 10 x 90 guesses: 0.016
    in_sample = np.mean([gain.in_sample for gain in gains])
    assert in_sample > chance + 5 * error
    assert all(gain.in_sample >= max(gain.equal, *gain.members) for gain in gains)
    assert abs(np.mean([gain.searched for gain in gains]) - chance) < 2 * error
    assert abs(np.mean([gain.best_single for gain in gains]) - chance) < 2 * error
    # The best of six looks good too, until others are asked.
    assert np.mean([max(gain.members) for gain in gains]) > chance + 2 * error


def test_members_that_complement_each_other_gain_honestly() -> None:
    labels = np.arange(400) % 52
    members = [ma52_scores(labels, strength=1.7, seed=seed) for seed in range(3)]
    members.append(ma52_scores(labels, strength=0.0, seed=9, scale=3.0))
    truth = truth_of(labels)
    gain = nested_gain(members, truth, labels=MA52, folds=4)
    assert gain.searched > gain.best_single + 0.1
    assert gain.gain == gain.searched - gain.best_single
    assert gain.searched > gain.equal
    assert gain.in_sample == pytest.approx(gain.searched, abs=0.02)
    assert gain.fold_weights.shape == (4, 4)
    assert gain.fold_weights.sum(axis=1) == pytest.approx(np.ones(4), abs=1e-12)
    # Each number is the project's own.
    assert gain.members == tuple(metric_of(member, truth) for member in members)
    assert gain.equal == metric_of(fuse_scores(members), truth)
    assert gain.in_sample == metric_of(fuse_scores(members, gain.weights), truth)
    assert gain.weights[3] < 0.1


@pytest.mark.parametrize("by_subject", [False, True])
def test_the_nested_figure_is_that_of_weights_which_never_saw_the_clip(by_subject: bool) -> None:
    labels = np.random.default_rng(1).integers(0, 5, 60)
    truth = truth_of(labels)
    members = [ma52_scores(labels, strength=1.0 + i / 2, seed=i) for i in range(3)]
    subjects = [f"s{i % 7}" for i in range(60)] if by_subject else None
    groups = dict(zip(truth, subjects, strict=True)) if subjects else None
    gain = nested_gain(members, truth, labels=MA52, folds=3, seed=4, groups=groups)
    fold_of = split_folds(labels, folds=3, seed=4, groups=subjects)
    action, body, singles = np.zeros((60, 5), int), np.zeros((60, 5), int), np.zeros((60, 52))
    for fold in range(3):
        train, test = np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)
        inner = [subset(member, train) for member in members]
        inner_truth = {f"{i}.mp4": int(labels[i]) for i in train}
        weights = search_weights(inner, inner_truth, labels=MA52)
        assert np.array_equal(gain.fold_weights[fold], weights)
        found = to_recognitions(fuse_scores(members, weights))
        action[test], body[test] = found.action_top[test], found.body_top[test]
        best = int(np.argmax([metric_of(member, inner_truth) for member in inner]))
        singles[test] = members[best].action_scores[test]
    clips = [ClipRecord(name, label, "val") for name, label in truth.items()]
    pooled = type(found)(found.clip_ids, action, body)
    assert gain.searched == evaluate_recognition(pooled, clips, labels=MA52).f1_mean
    assert gain.best_single == metric_of(scores_of(singles.tolist(), labels=MA52), truth)


def subset(scores: RecognitionScores, rows: np.ndarray) -> RecognitionScores:
    return RecognitionScores(
        tuple(scores.clip_ids[row] for row in rows),
        scores.action_scores[rows],
        scores.body_scores[rows],
    )


def test_folds_spread_classes_and_keep_subjects_together() -> None:
    labels = np.array([0] * 50 + [1] * 20 + [2] * 3)
    fold_of = split_folds(labels, folds=5)
    counts = np.array([np.bincount(fold_of[labels == k], minlength=5) for k in range(3)])
    assert counts[0].tolist() == [10] * 5
    assert counts[1].tolist() == [4] * 5
    assert sorted(counts[2].tolist()) == [0, 0, 1, 1, 1]
    assert np.array_equal(fold_of, split_folds(labels, folds=5))
    assert not np.array_equal(fold_of, split_folds(labels, folds=5, seed=1))

    random = np.random.default_rng(0)
    labels, subjects = random.integers(0, 10, 900), random.integers(0, 40, 900).astype(str)
    fold_of = split_folds(labels, folds=4, groups=subjects.tolist())
    for subject in np.unique(subjects):
        assert len(np.unique(fold_of[subjects == subject])) == 1
    assert np.bincount(fold_of) == pytest.approx(np.full(4, 225), abs=30)
    assert min(Counter(zip(labels.tolist(), fold_of.tolist(), strict=True)).values()) > 10


def test_what_a_search_refuses() -> None:
    member = scores_of(one_hot([0, 1]))
    truth = {"0.mp4": 0, "1.mp4": 1}
    bad = [
        ({"0": 0, "1": 1, "2": 1}, r"1 clip \(2\.mp4\) of the annotations have no scores"),
        ({"0": 0}, r"1 clip \(1\.mp4\) have no annotation"),
        ({"0": 0, "1": 3}, r"1 clip \(1\.mp4\) have an unknown label"),
        ({}, "there are no annotated clips"),
    ]
    for labels, message in bad:
        with pytest.raises(PredictionError, match=message):
            search_weights([member, member], labels, labels=SMALL)
    with pytest.raises(PredictionError, match="expected one of f1_mean, f1_macro, top1"):
        search_weights([member], truth, labels=SMALL, metric="map")
    with pytest.raises(PredictionError, match="labels have 52 actions and 7 bodies, the scores 3"):
        search_weights([member], truth, labels=MA52)
    with pytest.raises(PredictionError, match="as many as there are clips, 2, found 5"):
        nested_gain([member], truth, labels=SMALL)
    with pytest.raises(PredictionError, match="found 1"):
        nested_gain([member], truth, labels=SMALL, folds=1)
    with pytest.raises(PredictionError, match=r"as there are groups \(subjects\), 1, found 2"):
        nested_gain([member], truth, labels=SMALL, folds=2, groups={"0": "s", "1": "s"})
    with pytest.raises(PredictionError, match=r"1 clip \(1\.mp4\) have no group"):
        nested_gain([member], truth, labels=SMALL, folds=2, groups={"0": "s"})
    with pytest.raises(PredictionError, match="needs members"):
        search_weights([], truth, labels=SMALL)


def test_labels_without_parents() -> None:
    flat = flat_labels(["a", "b", "c"])
    rows = np.array(one_hot([0, 1, 2, 0], right=0.6))
    member = RecognitionScores(tuple("0123"), rows, np.zeros((4, 0)))
    truth = {str(i): label for i, label in enumerate([0, 1, 2, 0])}
    gain = nested_gain([member, member], truth, labels=flat, folds=2)
    assert gain.members == (1.0, 1.0)
    assert gain.searched == gain.equal == 1.0


# Fusion of detections


def detections(*rows: tuple[float, float, int, float]) -> Detections:
    table = np.array(rows, dtype=np.float64).reshape(-1, 4)
    return Detections(table[:, :2], table[:, 2].astype(np.int64), table[:, 3])


def soft_nms(found: Detections, *, sigma: float, min_score: float) -> list[tuple[float, ...]]:
    """Plain Gaussian Soft-NMS of one video, class by class."""
    rows = [
        [start, end, label, score]
        for (start, end), label, score in zip(
            found.segments_seconds.tolist(),
            found.labels.tolist(),
            found.scores.tolist(),
            strict=True,
        )
        if score >= min_score
    ]
    kept = []
    while rows:
        best = rows.pop(max(range(len(rows)), key=lambda i: rows[i][3]))
        kept.append(tuple(best))
        for row in rows:
            if row[2] == best[2]:
                inner = max(0.0, min(row[1], best[1]) - max(row[0], best[0]))
                union = row[1] - row[0] + best[1] - best[0] + 2 * LENGTH_EPS - inner
                row[3] *= np.exp(-((inner / union) ** 2) / sigma)
        rows = [row for row in rows if row[3] >= min_score]
    return kept


def rows_of(found: Detections) -> list[tuple[float, ...]]:
    return [
        (*segment, label, score)
        for segment, label, score in zip(
            found.segments_seconds.tolist(),
            found.labels.tolist(),
            found.scores.tolist(),
            strict=True,
        )
    ]


def random_detections(seed: int, *, size: int = 60) -> Detections:
    random = np.random.default_rng(seed)
    start = random.uniform(0, 20, size)
    ends = start + random.uniform(0.5, 6, size)
    return Detections(
        np.stack([start, ends], axis=1), random.integers(0, 4, size), random.uniform(0, 1, size)
    )


@pytest.mark.parametrize("sigma", [0.5, 0.1])
def test_one_member_is_soft_nms_of_it(sigma: float) -> None:
    found = random_detections(0)
    fused = fuse_detections([{"v": found}], sigma=sigma, min_score=0.05)["v"]
    expected = soft_nms(found, sigma=sigma, min_score=0.05)
    assert 10 < len(fused) < len(found)
    assert np.array(rows_of(fused)) == pytest.approx(np.array(expected), abs=1e-12)


def test_several_members_are_soft_nms_of_all() -> None:
    first, second = random_detections(1), random_detections(2)
    pooled = Detections(
        np.concatenate([first.segments_seconds, second.segments_seconds]),
        np.concatenate([first.labels, second.labels]),
        np.concatenate([first.scores, second.scores]),
    )
    fused = fuse_detections([{"v": first}, {"v": second}])["v"]
    expected = soft_nms(pooled, sigma=0.5, min_score=0.001)
    assert np.array(rows_of(fused)) == pytest.approx(np.array(expected), abs=1e-12)


def test_two_identical_members() -> None:
    found = detections((0, 10, 9, 0.8), (50, 60, 9, 0.4))
    fused = fuse_detections([{"v": found}, {"v": found}])["v"]
    # The copies overlap by (almost) 1: their scores fall by exp(-1 / 0.5).
    fall = np.exp(-1 / 0.5)
    assert fused.scores == pytest.approx([0.8, 0.4, 0.8 * fall, 0.4 * fall], abs=1e-6)
    assert fused.segments_seconds[:, 0].tolist() == [0, 50, 0, 50]


def test_weights_of_detections_are_relative_to_the_largest() -> None:
    first, second = {"v": detections((0, 1, 0, 0.9))}, {"v": detections((5, 6, 0, 0.8))}
    fused = fuse_detections([first, second], weights=[3, 1])["v"]
    assert fused.scores == pytest.approx([0.9, 0.8 / 3], abs=1e-15)
    for weights in (None, [7, 7]):
        assert fuse_detections([first, second], weights=weights)["v"].scores.tolist() == [0.9, 0.8]
    left_out = fuse_detections([first, second], weights=[1, 0], min_score=0.0)["v"]
    assert left_out.scores.tolist() == [0.9]


def test_videos_of_some_members_and_without_detections() -> None:
    first = {"b": detections((0, 1, 0, 0.5)), "empty": Detections()}
    second = {"a": detections((0, 1, 0, 0.7)), "b": detections((0, 1, 1, 0.6))}
    fused = fuse_detections([first, second])
    assert list(fused) == ["b", "empty", "a"]
    assert fused["b"].scores.tolist() == [0.6, 0.5]  # another class is not suppressed
    assert len(fused["empty"]) == 0
    assert fuse_detections([first, second], max_per_video=1)["b"].labels.tolist() == [1]


# mmad ensemble


def call(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def recognisers(tmp_path: Path) -> list[Path]:
    """Three files of scores, and the list of the clips they are of."""
    labels = np.arange(104) % 52
    for seed in range(3):
        suffix = "csv" if seed == 2 else "npz"
        scores = ma52_scores(labels, strength=1.5, seed=seed)
        write_scores(tmp_path / f"{'abc'[seed]}.{suffix}", scores)
    lines = [f"{i}.mp4 {label}" for i, label in enumerate(labels.tolist())]
    (tmp_path / "val_list.txt").write_text("\n".join(lines) + "\n")
    return [tmp_path / name for name in ("a.npz", "b.npz", "c.csv", "val_list.txt")]


def test_recognisers_are_fused(tmp_path: Path, recognisers: list[Path]) -> None:
    a, _, c, _ = recognisers
    out = call(a, c, "--weights", "0.6,0.2", "--out", tmp_path / "new" / "fused.npz")
    assert "104 clips from 2 files" in out
    expected = fuse_scores([read_scores(path, labels=MA52) for path in (a, c)], [3, 1])
    fused = read_scores(tmp_path / "new/fused.npz", labels=MA52)
    assert fused.action_scores == pytest.approx(expected.action_scores, abs=1e-15)
    table = read_recognitions(tmp_path / "new/fused.csv", labels=MA52)
    assert np.array_equal(table.action_top, to_recognitions(fused).action_top)
    assert np.array_equal(table.body_top, to_recognitions(fused).body_top)
    assert table.body_top.shape == (104, 5)
    call(a, c, "--weights", "0.6,0.2", "--out", tmp_path / "again.csv")
    for suffix in ("npz", "csv"):
        first = (tmp_path / f"new/fused.{suffix}").read_bytes()
        assert first == (tmp_path / f"again.{suffix}").read_bytes()


def test_a_search_tells_the_honest_gain(tmp_path: Path, recognisers: list[Path]) -> None:
    a, b, c, truth = recognisers
    subjects = tmp_path / "subjects.csv"
    rows = [f"{i},s{i % 13}" for i in range(104)]
    subjects.write_text("video_id,subject\n" + "\n".join(rows) + "\n")
    search = ("--search", "--annotations", truth, "--folds", "4", "--metric", "top1")
    out = call(a, b, c, *search, "--subjects", subjects, "--out", tmp_path / "f.npz")
    members = [read_scores(path, labels=MA52) for path in (a, b, c)]
    gain = nested_gain(
        members,
        truth_of(np.arange(104) % 52),
        labels=MA52,
        metric="top1",
        folds=4,
        groups={f"{i}": f"s{i % 13}" for i in range(104)},
    )
    assert "104 clips" in out
    assert "the other folds, 4 folds" in out
    assert "optimistic" in out
    for number in (*gain.members, gain.equal, gain.best_single, gain.searched, gain.in_sample):
        assert f"{100 * number:.2f}" in out
    assert f"best single file: {100 * gain.gain:+.2f}" in out.replace("\n", "")
    assert "--weights " + ",".join(f"{one:.4f}" for one in gain.weights) in out
    fused = read_scores(tmp_path / "f.npz", labels=MA52)
    assert np.array_equal(fused.action_scores, fuse_scores(members, gain.weights).action_scores)


HEADER = ",video_id,t_start,t_end,class,score\n"


@pytest.fixture
def detectors(tmp_path: Path) -> list[Path]:
    (tmp_path / "one.csv").write_text(HEADER + "0,v0,0,10,9,0.5\n1,v1,0,5,3,0.25\n")
    content = {"results": {"v0": [{"segment": [20, 30], "label": "nodding", "score": 0.75}]}}
    (tmp_path / "two.json").write_text(json.dumps(content))
    return [tmp_path / "one.csv", tmp_path / "two.json"]


def test_detections_are_fused(tmp_path: Path, detectors: list[Path]) -> None:
    out = call(*detectors, "--out", tmp_path / "fused.csv")
    assert "3 detections of 2 videos from 2 files" in out.replace("\n", "")
    assert "has no detections of 1 of 2 videos, such as v1" in out.replace("\n", "")
    for name in ("fused.csv", "fused.json"):
        fused = read_predictions(tmp_path / name, labels=MA52)
        assert fused["v0"].scores.tolist() == [0.75, 0.5]
        assert fused["v0"].segments_seconds.tolist() == [[20, 30], [0, 10]]
        assert fused["v1"].labels.tolist() == [3]
    call(*detectors, "--weights", "1,2", "--out", tmp_path / "other.json")
    assert read_predictions(tmp_path / "other.csv", labels=MA52)["v0"].scores.tolist() == [
        0.75,
        0.25,
    ]


def test_what_the_command_refuses(
    tmp_path: Path, recognisers: list[Path], detectors: list[Path]
) -> None:
    a, b, c, truth = recognisers
    one, two = detectors
    guesses = tmp_path / "guesses.csv"
    guesses.write_text("vid,action_pred_1\n0.mp4,3\n")
    (tmp_path / "unlabelled.txt").write_text("0.mp4\n1.mp4\n")
    fresh = ("--out", tmp_path / "f.npz")
    table = ("--out", tmp_path / "f.csv")
    searching = ("--search", "--annotations", truth)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for arguments, message in [
        ((a, *fresh), "two files of predictions or more"),
        ((a, a, *fresh), "given twice"),
        ((a, one, *fresh), r"one task, found scores of clips in .*a\.npz and detections in .*one"),
        ((a, guesses, *fresh), "not their scores"),
        ((a, tmp_path / "none.npz", *fresh), "no such file of scores"),
        ((one, tmp_path / "none.csv", *table), "no such file of predictions"),
        ((a, b, "--weights", "1", *fresh), "one for each of the 2 files, found 1"),
        ((a, b, "--weights", "1;2", *fresh), "numbers with commas"),
        ((a, b, "--weights", "1,-2", *fresh), "at least 0 and not all 0"),
        ((a, b, "--weights", "1,2", *searching, *fresh), "leave out --weights"),
        ((a, b, "--search", *fresh), "pass --annotations LIST"),
        ((a, b, "--annotations", truth, *fresh), "pass --search too"),
        ((a, b, "--search", "--annotations", tmp_path / "unlabelled.txt", *fresh), "2 of 2 clips"),
        ((a, b, *searching, "--folds", "200", *fresh), "clips, 104, found 200"),
        ((one, two, *searching, *table), "equal weights are what is proven to gain"),
        ((a, b, "--out", tmp_path / "f.txt"), r"ends in \.npz or \.csv"),
        ((one, two, "--out", tmp_path / "f.npz"), r"ends in \.csv or \.json"),
        ((a, b, "--out", b), r"would overwrite the input .*b\.npz"),
        ((a, c, "--out", tmp_path / "c.npz"), r"would overwrite the input .*c\.csv"),
        ((one, two, "--out", tmp_path / "two.csv"), r"would overwrite the input .*two\.json"),
    ]:
        with pytest.raises(MmadError, match=message):
            call(*arguments)
        assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before, arguments


def test_recognisers_are_fused_without_torch(tmp_path: Path, recognisers: list[Path]) -> None:
    a, b, *_ = map(str, recognisers)
    code = (
        "import sys\nfrom mmad.cli.ensemble import app\n"
        f"app([{a!r}, {b!r}, '--out', {str(tmp_path / 'f.npz')!r}], standalone_mode=False)\n"
        "print([m for m in ('torch', 'pandas', 'scipy', 'matplotlib') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert result.stdout.strip().endswith("[]")


def test_normalised_weights() -> None:
    assert normalised_weights(None, num_members=4).tolist() == [1 / 4] * 4
    assert normalised_weights([2, 6], num_members=2).tolist() == [1 / 4, 3 / 4]
