import numpy as np
import pytest

from mmad.annotations.clips.split import split_folds
from mmad.errors import AnnotationError, PredictionError
from mmad.evaluation.clips.ensemble import (
    METRICS,
    Average,
    _judge,
    common_rule,
    fuse_scores,
    nested_gain,
    normalised_weights,
    search_weights,
)
from mmad.evaluation.clips.recognition import evaluate_recognition
from mmad.evaluation.clips.scores import RecognitionScores, to_recognitions
from mmad.evaluation.detection_fusion import fuse_detections
from mmad.evaluation.level_fusion import combine_levels
from mmad.labels import MA52, LabelMap, flat_labels
from mmad.structures import ClipRecord
from support.scores import SMALL, ma52_scores, one_hot, scores_of, truth_of


def metric_of(
    scores: RecognitionScores,
    truth: dict[str, int],
    *,
    labels: LabelMap = MA52,
    metric: str = "f1_mean",
) -> float:
    clips = [ClipRecord(name, label, "val") for name, label in truth.items()]
    return METRICS[metric](evaluate_recognition(to_recognitions(scores), clips, labels=labels))


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


def test_the_mean_of_scores_is_that_of_logits() -> None:
    logits = np.array([[[2.0, 0.0, -1.0]], [[-1.0, 1.5, 0.0]]])
    rgb, flow = (scores_of((np.exp(z) / np.exp(z).sum()).tolist()) for z in logits)
    fused = fuse_scores([rgb, flow], [1, 1.5], average="score")
    # TSN adds 1 and 1.5 times the scores; their mean has the same order.
    mean = (1 * logits[0] + 1.5 * logits[1]) / 2.5
    np.testing.assert_allclose(fused.action_scores, np.exp(mean) / np.exp(mean).sum())
    np.testing.assert_allclose(fused.body_scores.sum(axis=1), 1)
    sure = scores_of([[1.0, 0.0, 0.0]])
    np.testing.assert_allclose(
        fuse_scores([sure, sure], average="score").action_scores, [[1.0, 0.0, 0.0]], atol=1e-300
    )


PAIRS = LabelMap(("a", "b", "c"), parents=(0, 0, 1), parent_names=("p", "q"))
# The best action of both is c, of q; together a and b of p have more.
ACTIONS = (np.array([[0.3, 0.25, 0.45]]), np.array([[0.25, 0.33, 0.42]]))


def levels(action: np.ndarray, rule: str) -> RecognitionScores:
    return RecognitionScores(("0",), *combine_levels(action, None, labels=PAIRS, how=rule))


@pytest.mark.parametrize("average", ["probability", "score"])
def test_body_parts_follow_from_fused_actions_as_in_all_members(average: Average) -> None:
    for rule, best in (("mapping", 1), ("summed", 0)):
        members = [levels(action, rule) for action in ACTIONS]
        assert common_rule(members, labels=PAIRS) == rule
        fused = fuse_scores(members, [2, 1], labels=PAIRS, average=average)
        alone = fuse_scores(members, [2, 1], average=average)
        np.testing.assert_allclose(fused.action_scores, alone.action_scores)
        a, b, c = fused.action_scores[0]
        most = max(a, b) if rule == "mapping" else a + b
        np.testing.assert_allclose(fused.body_scores, [[most / (most + c), c / (most + c)]])
        assert fused.body_scores[0].argmax() == best
    mixed = [levels(ACTIONS[0], "mapping"), levels(ACTIONS[1], "summed")]
    assert common_rule(mixed, labels=PAIRS) == "own"
    found = fuse_scores(mixed, [2, 1], labels=PAIRS, average=average)
    np.testing.assert_array_equal(
        found.body_scores, fuse_scores(mixed, [2, 1], average=average).body_scores
    )


def test_searched_weights_are_judged_with_the_body_parts_that_are_written() -> None:
    """By their own scores the body part would be p, since two actions of p share its weight."""
    first, second = np.array([[0.60, 0.0, 0.40]]), np.array([[0.0, 0.52, 0.48]])
    members = [levels(first, "mapping"), levels(second, "mapping")]
    assert fuse_scores(members).body_scores[0].argmax() == 0
    fused = fuse_scores(members, labels=PAIRS)
    assert fused.action_scores[0].argmax() == 2
    judge = _judge(members, {"0": 2}, labels=PAIRS, metric="top1", names=None)
    action, body = judge.guesses((1, 1))
    assert (action[0, 0], body[0, 0]) == (2, 1)
    assert to_recognitions(fused, mapped_by=PAIRS).body_top.tolist() == [[1, 0, 0]]


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


@pytest.mark.slow
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
    with pytest.raises(AnnotationError, match="as many as there are clips, 2, found 5"):
        nested_gain([member], truth, labels=SMALL)
    with pytest.raises(AnnotationError, match="found 1"):
        nested_gain([member], truth, labels=SMALL, folds=1)
    with pytest.raises(AnnotationError, match=r"as there are groups \(subjects\), 1, found 2"):
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


def test_normalised_weights() -> None:
    assert normalised_weights(None, num_members=4).tolist() == [1 / 4] * 4
    assert normalised_weights([2, 6], num_members=2).tolist() == [1 / 4, 3 / 4]
