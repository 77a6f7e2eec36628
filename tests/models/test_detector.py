from functools import partial

import numpy as np
import pytest
import torch
from built_detectors import criterion_of
from detector_batches import assert_points_do_not_see_padding, shaken

from mmad.config.detectors.actionformer import ActionFormerSettings
from mmad.models.detectors.actionformer.build import FAMILY
from mmad.models.detectors.dense.head import DenseDetector
from mmad.models.detectors.dense.points import DenseOutputs, make_points
from mmad.models.detectors.dense.targets import PointTargets, label_points
from mmad.models.detectors.losses import distance_iou_loss, sigmoid_focal_loss
from mmad.models.layers.loss_normalizer import LossNormalizer
from mmad.suppression import Candidates, suppress

RANGES = [(0.0, 4.0), (4.0, 8.0), (8.0, 10000.0)]


SMALL = {
    "channels": 16,
    "num_heads": 2,
    "num_embedding": 2,
    "num_stem": 1,
    "num_branch": 2,
    "regression_ranges": RANGES,
    "drop_path": 0.0,
}
label_by_centre = partial(label_points, centre_radius=1.5, shortest_labels_only=True)


def network(**changes: object) -> DenseDetector:
    return shaken(FAMILY.network(ActionFormerSettings(**(SMALL | changes)), 6, 3)).eval()


@pytest.mark.parametrize("window", [None, 5])
@pytest.mark.parametrize("positions", [False, True])
def test_padding_changes_nothing(window: int | None, positions: bool) -> None:
    model = network(attention_window=window, absolute_positions=positions)
    assert_points_do_not_see_padding(model, [23, 40])


def test_peers_pooling_sees_padding() -> None:
    x = torch.randn(1, 6, 23) - 3.0
    padded = torch.nn.functional.pad(x, (0, 9))
    mask = torch.arange(32)[None] < 23
    correct, peers = network(), network(pool_sees_padding=True)
    alone = correct(x, torch.ones(1, 23, dtype=torch.bool))
    keep = correct(padded, mask).mask_BP[0]
    torch.testing.assert_close(
        correct(padded, mask).logits_BPK[0][keep], alone.logits_BPK[0][alone.mask_BP[0]]
    )
    assert not torch.allclose(peers(padded, mask).logits_BPK, correct(padded, mask).logits_BPK)


def test_local_attention_with_a_wide_window_is_global() -> None:
    x, mask = torch.randn(1, 6, 20), torch.ones(1, 20, dtype=torch.bool)
    wide, everywhere = network(attention_window=99), network()
    torch.testing.assert_close(
        wide(x, mask).logits_BPK, everywhere(x, mask).logits_BPK, rtol=1e-4, atol=1e-5
    )


def test_points_of_a_pyramid() -> None:
    points = make_points([6, 3], regression_ranges=torch.tensor(RANGES[:2]))
    assert points[:, 0].tolist() == [0, 1, 2, 3, 4, 5, 0, 2, 4]
    assert points[:, 3].tolist() == [1] * 6 + [2] * 3


def test_targets_by_hand() -> None:
    points = make_points([8], regression_ranges=torch.tensor([[0.0, 10000.0]]))
    segments = torch.tensor([[0.0, 6.0], [2.0, 4.0]])
    classes, offsets = label_by_centre(points, segments, torch.tensor([0, 2]), num_classes=3)
    # Centres are both 3, radius 1.5: points 2, 3, 4, but the ends of the shorter one are excluded.
    assert classes.argmax(1)[[2, 3, 4]].tolist() == [0, 2, 0]
    assert classes.sum(1).tolist() == [0, 0, 1, 1, 1, 0, 0, 0]
    assert offsets[3].tolist() == [3 - 2, 4 - 3]
    assert offsets[2].tolist() == [2 - 0, 6 - 2]


def test_targets_use_the_range_of_the_level() -> None:
    points = make_points([8, 4], regression_ranges=torch.tensor([[0.0, 2.0], [2.0, 99.0]]))
    classes, _ = label_by_centre(
        points, torch.tensor([[1.0, 6.0]]), torch.tensor([1]), num_classes=2
    )
    assert classes[:8].sum() == 0  # from any of its points, an end is at least 2.5 away
    assert classes[8:, 1].tolist() == [0, 1, 1, 0]


def test_no_annotations_no_targets() -> None:
    points = make_points([4], regression_ranges=torch.tensor([[0.0, 9.0]]))
    classes, offsets = label_by_centre(
        points, torch.zeros(0, 2), torch.zeros(0, dtype=torch.long), num_classes=2
    )
    assert classes.shape == (4, 2)
    assert offsets.abs().sum() == 0


def test_similar_lengths_share_a_point() -> None:
    points = make_points([8], regression_ranges=torch.tensor([[0.0, 99.0]]))
    segments = torch.tensor([[2.0, 5.0], [2.0, 5.0005], [1.0, 6.0]])
    labels = torch.tensor([0, 1, 2])
    classes, _ = label_by_centre(points, segments, labels, num_classes=3)
    assert classes[3].tolist() == [1, 1, 0]
    classes, _ = label_by_centre(
        points, segments, labels, num_classes=3, shortest_labels_only=False
    )
    assert classes[3].tolist() == [1, 1, 1]


def test_absolute_positions_are_sinusoids_over_the_root_of_the_width() -> None:
    with_positions, without = network(absolute_positions=True), network()
    with_positions.load_state_dict(without.state_dict())
    steps, channels = 12, 16
    rate = 10000.0 ** (-2 * (np.arange(channels) // 2) / channels)
    angle = np.arange(steps)[:, None] * rate
    table = np.where(np.arange(channels) % 2 == 0, np.sin(angle), np.cos(angle)) / 4.0
    seen = []
    for model in (with_positions, without):
        hook = model.pyramid.stem[0].register_forward_pre_hook(
            lambda _, inputs: seen.append(inputs[0].detach())
        )
        model(torch.randn(1, 6, steps, generator=torch.manual_seed(3)), torch.ones(1, steps) > 0)
        hook.remove()
    np.testing.assert_allclose((seen[0] - seen[1])[0].T, table, atol=1e-5)


def test_smoothed_loss_by_hand() -> None:
    targets = torch.tensor([[[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]])  # two labels at one point
    logits = torch.tensor([[[0.3, -1.0, 2.0], [0.1, 0.2, -0.4]]])
    criterion = criterion_of("actionformer", label_smoothing=0.1)
    outputs = DenseOutputs(
        logits,
        torch.ones(1, 2, 2),
        torch.tensor([[True, True]]),
        torch.tensor([[0.0, 0, 4, 1], [1.0, 0, 4, 1]]),
    )
    losses = criterion.losses(outputs, PointTargets(targets, torch.ones(1, 2, 2)))
    smooth = targets.numpy()[0] * 0.9 + 0.1 / 4
    p = 1 / (1 + np.exp(-logits.numpy()[0].astype(float)))
    entropy = -(smooth * np.log(p) + (1 - smooth) * np.log(1 - p))
    right = p * smooth + (1 - p) * (1 - smooth)
    alpha = 0.25 * smooth + 0.75 * (1 - smooth)
    assert losses.parts["classification"].item() == pytest.approx(
        (alpha * (1 - right) ** 2 * entropy).sum()
    )
    assert losses.parts["regression"].item() == pytest.approx(0.0)


def test_focal_loss_by_hand() -> None:
    loss = sigmoid_focal_loss(torch.zeros(2), torch.tensor([1.0, 0.0]), alpha=0.25, gamma=2.0)
    log2 = torch.tensor(2.0).log()
    torch.testing.assert_close(loss, torch.stack([0.25 * 0.5**2 * log2, 0.75 * 0.5**2 * log2]))


def test_distance_iou_by_hand() -> None:
    # From a common point: [-1, 1] against [-1, 3]: tIoU 2/4, centres 1 apart, hull 4.
    loss = distance_iou_loss(torch.tensor([[1.0, 1.0]]), torch.tensor([[1.0, 3.0]]))
    assert loss.item() == pytest.approx(1 - 2 / 4 + (1 / 4) ** 2)
    same = torch.tensor([[1.0, 2.0]])
    assert distance_iou_loss(same, same).item() == pytest.approx(0.0)


def test_normalizer_is_a_running_mean() -> None:
    normalizer = LossNormalizer(initial=100.0, momentum=0.9)
    assert normalizer.update(torch.tensor(20)).item() == pytest.approx(0.9 * 100 + 0.1 * 20)
    assert normalizer.update(torch.tensor(0)).item() == pytest.approx(0.9 * 92 + 0.1 * 1)


# ---- non-maximum suppression against a plain loop ----


def plain_nms(segments, scores, *, method, iou_threshold, sigma, min_score):
    """One group at a time, one segment at a time."""
    scores = scores.copy()
    left = [k for k in range(len(scores)) if scores[k] >= min_score]
    kept = []
    while left:
        best = max(left, key=lambda k: scores[k])
        left.remove(best)
        kept.append((best, scores[best]))
        for k in list(left):
            inner = max(
                0.0, min(segments[k, 1], segments[best, 1]) - max(segments[k, 0], segments[best, 0])
            )
            union = np.ptp(segments[k]) + np.ptp(segments[best]) + 2e-6 - inner
            overlap = inner / union
            if method == "soft_gaussian":
                scores[k] *= np.exp(-(overlap**2) / sigma)
            elif overlap >= iou_threshold:
                scores[k] *= 1 - overlap if method == "soft_linear" else 0.0
            if scores[k] < max(min_score, 1e-300):
                left.remove(k)
    return kept


@pytest.mark.parametrize("method", ["hard", "soft_gaussian", "soft_linear", "soft_hard"])
@pytest.mark.parametrize("per_class", [True, False])
def test_nms_equals_a_plain_loop(method: str, per_class: bool) -> None:
    rng = np.random.default_rng(0)
    count = 240
    start = rng.uniform(0, 60, count)
    segments = np.stack([start, start + rng.exponential(3, count)], 1)
    scores, labels, videos = rng.random(count), rng.integers(0, 4, count), rng.integers(0, 3, count)
    settings = {"method": method, "iou_threshold": 0.4, "sigma": 0.5, "min_score": 0.02}
    found = suppress(
        Candidates(segments, scores, labels, videos),
        per_class=per_class,
        max_per_video=1000,
        **settings,
    )
    expected = []
    for video in range(3):
        for label in range(4) if per_class else [None]:
            rows = np.flatnonzero((videos == video) & ((labels == label) | (label is None)))
            expected += [
                (video, value, rows[k])
                for k, value in plain_nms(segments[rows], scores[rows], **settings)
            ]
    expected.sort(key=lambda item: (item[0], -item[1]))
    np.testing.assert_allclose(found.scores, [value for _, value, _ in expected], rtol=1e-12)
    np.testing.assert_allclose(found.segments, segments[[row for *_, row in expected]])


def test_nms_limits_and_empty() -> None:
    empty = Candidates(np.zeros((0, 2)), np.zeros(0), np.zeros(0, int), np.zeros(0, int))
    assert len(suppress(empty)) == 0
    many = Candidates(
        np.array([[0, 1], [10, 11], [20, 21.0]]),
        np.array([0.3, 0.9, 0.5]),
        np.zeros(3, int),
        np.zeros(3, int),
    )
    assert suppress(many, max_per_video=2).scores.tolist() == [0.9, 0.5]


def test_voting_averages_the_boundaries() -> None:
    candidates = Candidates(
        np.array([[0.0, 10.0], [1.0, 10.0], [50.0, 50.0]]),
        np.array([0.6, 0.3, 0.1]),
        np.zeros(3, int),
        np.zeros(3, int),
    )
    found = suppress(candidates, method="hard", voting_threshold=0.5, voting_weight="score")
    assert found.segments[0].tolist() == pytest.approx([(0.6 * 0 + 0.3 * 1) / 0.9, 10.0])
    assert found.segments[1].tolist() == [50.0, 50.0]  # zero length: nothing to average
