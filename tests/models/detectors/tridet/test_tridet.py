"""The Trident head, its losses and its decoder, against plain NumPy loops."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from mmad.config.detectors.tridet import TriDetSettings
from mmad.config.inference import InferenceSettings
from mmad.models.detectors.dense.points import make_points
from mmad.models.detectors.dense.targets import PointTargets
from mmad.models.detectors.tridet.build import FAMILY
from mmad.models.detectors.tridet.head import TridentCriterion, TridentDetector, TridentOutputs
from support.built_detectors import criterion_of, decoder_of
from support.detector_batches import assert_points_do_not_see_padding, padded, shaken

RANGES = [(0, 4), (4, 8), (8, 10000)]
SMALL = {
    "channels": 16,
    "hidden_channels": 24,
    "num_branch": 2,
    "regression_ranges": RANGES,
    "num_bins": 5,
    "window": 3,
    "window_ratio": 1.5,
}


def settings(**changes: object) -> TriDetSettings:
    return TriDetSettings(**(SMALL | changes))


def network(**changes: object) -> TridentDetector:
    model = FAMILY.network(settings(**changes), 6, 3)
    assert isinstance(model, TridentDetector)
    return shaken(model).eval()


# ---- the head ----


def test_stem_has_neither_drop_path_nor_factors() -> None:
    model = FAMILY.network(settings(drop_path=0.5), 6, 3)
    stem, branch = model.pyramid.stem, model.pyramid.branch
    assert [block.drop_path_rate for block in [*stem, *branch]] == [0, 0, 0.5, 0.5]
    assert [block.scale_mlp is None for block in [*stem, *branch]] == [True, True, False, False]
    assert [block.narrow.kernel_size for block in [*stem, *branch]] == [(1,), (1,), (3,), (3,)]


def random_outputs(*, lengths: tuple[int, ...] = (12, 6, 3), num_bins: int = 5) -> TridentOutputs:
    torch.manual_seed(1)
    points = make_points(lengths, regression_ranges=torch.tensor(RANGES, dtype=torch.float32))
    count = len(points)
    mask = torch.ones(2, count, dtype=torch.bool)
    mask[1] = points[:, 0] < 9
    return TridentOutputs(
        logits_BPK=torch.randn(2, count, 3, requires_grad=True),
        start_logits_BPK=torch.randn(2, count, 3, requires_grad=True),
        end_logits_BPK=torch.randn(2, count, 3, requires_grad=True),
        distance_logits_BP2N=torch.rand(2, count, 2, num_bins + 1, requires_grad=True),
        mask_BP=mask,
        points_P4=points,
    )


def plain_offsets(outputs: TridentOutputs, window: int, point: int, label: int) -> list[float]:
    """Mean distance of the softmax, step by step, inside of the point's level."""
    stride = outputs.points_P4[:, 3].tolist()
    level = [p for p in range(len(stride)) if stride[p] == stride[point]]
    found = []
    for side, (sign, boundary) in enumerate(
        ((-1, outputs.start_logits_BPK), (1, outputs.end_logits_BPK))
    ):
        own = outputs.distance_logits_BP2N[window, point, side].tolist()
        powers = []
        for distance, logit in enumerate(own):
            step = point + sign * distance
            neighbour = boundary[window, step, label].item() if step in level else 0.0
            powers.append(np.exp(logit + neighbour))
        found.append(sum(d * p for d, p in enumerate(powers)) / sum(powers))
    return found


def test_expected_offsets_equal_plain_loops() -> None:
    outputs = random_outputs()
    window, point, label = torch.ones_like(outputs.logits_BPK).nonzero(as_tuple=True)
    found = outputs.offsets_at(window_M=window, point_M=point, label_M=label)
    expected = [
        plain_offsets(outputs, *row)
        for row in zip(window.tolist(), point.tolist(), label.tolist(), strict=True)
    ]
    np.testing.assert_allclose(found.detach(), expected, atol=1e-5)


def test_distances_of_the_start_come_farthest_first() -> None:
    model = network(num_bins=2)
    torch.nn.init.zeros_(model.distances.out.conv.weight)
    model.distances.out.conv.bias.data = torch.tensor([1.0, 2, 3, 4, 5, -6])
    model.level_scales[1].data.fill_(10.0)
    for scale in (model.level_scales[0], model.level_scales[2]):
        scale.data.fill_(1.0)
    outputs = model(torch.randn(1, 6, 8), torch.ones(1, 8) > 0)
    assert outputs.distance_logits_BP2N[0, 3].tolist() == [[3, 2, 1], [4, 5, 0]]
    assert outputs.distance_logits_BP2N[0, 8].tolist() == [[30, 20, 10], [40, 50, 0]]  # level 1


def test_boundary_towers_do_not_teach_the_pyramid() -> None:
    model = network()
    outputs = model(torch.randn(1, 6, 16), torch.ones(1, 16) > 0)
    (outputs.start_logits_BPK.sum() + outputs.end_logits_BPK.sum()).backward()
    assert all(parameter.grad is None for parameter in model.pyramid.parameters())
    assert all(parameter.grad is not None for parameter in model.start.parameters())


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_noise_falls_on_the_video_in_training_only(noise: float) -> None:
    model = network(input_noise=noise)
    seen = []
    model.pyramid.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    features, mask = padded([torch.randn(6, 9), torch.randn(6, 16)], 16)
    for training in (False, True):
        model.train(training)(features, mask)
    assert torch.equal(seen[0], features)
    assert torch.equal(seen[1], features) == (noise == 0)
    assert torch.equal(seen[1][0, :, 9:], features[0, :, 9:])


NAMES = ("logits_BPK", "start_logits_BPK", "end_logits_BPK", "distance_logits_BP2N")


def test_padding_changes_nothing() -> None:
    model = network()
    videos, together = assert_points_do_not_see_padding(model, [23, 41], names=NAMES)
    decoder = decoder_of("tridet", score_threshold=0.0, max_candidates=20)
    for found, video in zip(decoder(together), videos, strict=True):
        (alone,) = decoder(model(*padded([video], video.shape[1])))
        torch.testing.assert_close(found.segments_grid, alone.segments_grid, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("theirs", [{"mask_after_norm": False}, {"pool_sees_padding": True}])
def test_peers_ways_see_padding(theirs: dict) -> None:
    video = torch.randn(6, 24)
    for changes, same in (({}, True), (theirs, False)):
        model = network(**changes)
        alone, longer = model(*padded([video], 24)), model(*padded([video], 64))
        found = longer.logits_BPK[0][longer.mask_BP[0]]
        assert torch.allclose(found, alone.logits_BPK[0], rtol=1e-4, atol=1e-5) == same


def test_number_of_parameters() -> None:
    model = FAMILY.network(TriDetSettings(), 768, 52)
    c = 512
    embedding = 768 * c * 3 + c * c * 3 + 2 * 2 * c  # two convolutions of 3, two norms
    depthwise = [1 + 1, 1 + 1, 1 + 1, 1 + 1, 11 + 1]  # weights and bias of a channel
    norms = 2 * c + 2 * c
    pointwise = c * 768 + 768 + 768 * c + c
    stem = 2 * (sum(depthwise) * c + norms + pointwise)
    branch = 5 * (sum(depthwise) * c + norms + pointwise + 2 * c)
    level_norms = 6 * 2 * c
    tower = 2 * (c * c * 3 + 2 * c)
    outputs = [52, 52, 52, 2 * 17]
    head = 4 * tower + sum(c * 3 * out + out for out in outputs) + 6
    expected = embedding + stem + branch + level_norms + head
    assert sum(p.numel() for p in model.parameters()) == expected == 14_171_076


# ---- losses ----


def criterion(targets: PointTargets, **changes: object) -> TridentCriterion:
    return replace(criterion_of("tridet", **changes), assign=lambda *_: targets)


def toy_targets(outputs: TridentOutputs) -> PointTargets:
    classes = torch.zeros_like(outputs.logits_BPK)
    classes[0, 2, 1] = classes[0, 14, 0] = classes[0, 14, 2] = classes[1, 4, 2] = 1
    classes[1, 11, 0] = 1  # beyond the video's end
    torch.manual_seed(2)
    return PointTargets(classes, torch.rand(*classes.shape[:2], 1, 2) * 4)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_losses_by_hand(smoothing: float) -> None:
    outputs = random_outputs()
    targets = toy_targets(outputs)
    judge = criterion(
        targets, label_smoothing=smoothing, regression_weight=0.5, iou_weight_power=0.2
    )
    losses = judge(outputs, [], [])
    classification = regression = 0.0
    for b, p, k in np.ndindex(*outputs.logits_BPK.shape):
        if not outputs.mask_BP[b, p]:
            continue
        wanted = targets.classes_BPK[b, p, k].item()
        target = wanted * (1 - smoothing) + smoothing / 4
        score = 1 / (1 + np.exp(-outputs.logits_BPK[b, p, k].item()))
        entropy = -target * np.log(score) - (1 - target) * np.log(1 - score)
        miss = score * (1 - target) + (1 - score) * target
        focal = (0.25 * target + 0.75 * (1 - target)) * miss**2 * entropy
        if wanted:
            left, right = plain_offsets(outputs, b, p, k)
            true_left, true_right = targets.offsets_BP2[b, p].tolist()
            inner = min(left, true_left) + min(right, true_right)
            iou = inner / (left + right + true_left + true_right - inner)
            hull = max(left, true_left) + max(right, true_right)
            apart = (right - left) / 2 - (true_right - true_left) / 2
            regression += 1 - iou + (apart / hull) ** 2
            focal *= iou**0.2
        classification += focal
    assert losses.parts["classification"].item() == pytest.approx(classification, rel=1e-5)
    assert losses.parts["regression"].item() == pytest.approx(0.5 * regression, rel=1e-5)
    assert losses.num_positives == 3  # one of them with two classes


@pytest.mark.parametrize("gradient", [True, False])
def test_whether_the_weight_teaches_the_boundaries(gradient: bool) -> None:
    outputs = random_outputs()
    targets = toy_targets(outputs)
    losses = criterion(targets, iou_weight_gradient=gradient)(outputs, [], [])
    plain = criterion(targets)(outputs, [], []).parts["classification"].item()
    assert losses.parts["classification"].item() == pytest.approx(plain)
    losses.parts["classification"].backward()
    learnt = outputs.start_logits_BPK.grad
    assert (learnt is not None and bool(learnt.abs().sum() > 0)) == gradient


def test_segments_without_overlap_give_finite_gradients() -> None:
    outputs = random_outputs()
    with torch.no_grad():
        outputs.distance_logits_BP2N[..., 0] += 500.0  # so sure of distance 0 that it is 0
    losses = criterion(toy_targets(outputs))(outputs, [], [])
    losses.total.backward()
    assert torch.isfinite(losses.total)
    assert torch.isfinite(outputs.distance_logits_BP2N.grad).all()
    assert torch.isfinite(outputs.start_logits_BPK.grad).all()


NOTHING = (torch.zeros(0, 2), torch.zeros(0, dtype=torch.long))
SOMETHING = (torch.tensor([[3.0, 9.0], [10.0, 30.0]]), torch.tensor([0, 2]))


@pytest.mark.parametrize("windows", [[NOTHING, NOTHING], [SOMETHING, NOTHING]])
def test_every_parameter_has_a_gradient(windows: list) -> None:
    model = network().train()
    outputs = model(*padded([torch.randn(6, 32), torch.randn(6, 20)], 32))
    losses = FAMILY.criterion(settings(), 3)(outputs, *map(list, zip(*windows, strict=True)))
    losses.total.backward()
    assert torch.isfinite(losses.total)
    assert losses.parts["classification"] > 0
    assert (losses.num_positives > 0) == (len(windows[0][1]) > 0)
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        if losses.num_positives > 0:
            assert parameter.grad.abs().sum() > 0, name


# ---- decoder ----


@pytest.mark.parametrize("per_level", [False, True])
@pytest.mark.parametrize("min_length", [0.0, 6.0])
def test_decoder_equals_plain_loops(per_level: bool, min_length: float) -> None:
    outputs = random_outputs()
    decoder = decoder_of(
        "tridet",
        score_threshold=0.4,
        max_candidates=7,
        candidates_per_level=per_level,
        min_length=min_length,
    )
    for window, found in enumerate(decoder(outputs)):
        rows = []
        for point, (position, _, _, stride) in enumerate(outputs.points_P4.tolist()):
            for label in range(3):
                score = 1 / (1 + np.exp(-outputs.logits_BPK[window, point, label].item()))
                left, right = plain_offsets(outputs, window, point, label)
                segment = (position - left * stride, position + right * stride)
                if outputs.mask_BP[window, point]:
                    rows.append((score, stride if per_level else 0, segment, label))
        rows.sort(reverse=True)
        groups = {row[1] for row in rows}
        best = [row for group in groups for row in [r for r in rows if r[1] == group][:7]]
        best = [r for r in best if r[0] > 0.4 and r[2][1] - r[2][0] > min_length]
        best.sort(reverse=True)
        assert 0 < len(best) == len(found.scores)
        np.testing.assert_allclose(found.scores.detach(), [row[0] for row in best], atol=1e-6)
        np.testing.assert_allclose(found.segments_grid.detach(), [r[2] for r in best], atol=1e-4)
        assert found.labels.tolist() == [row[3] for row in best]


def test_decoder_without_candidates() -> None:
    found = decoder_of("tridet", score_threshold=1.0, max_candidates=7)(random_outputs())[0]
    assert found.segments_grid.shape == (0, 2)
    assert len(found.scores) == len(found.labels) == 0


# ---- the whole family ----


def toy_batch(generator: torch.Generator) -> tuple[Tensor, Tensor, list[Tensor], list[Tensor]]:
    """Noise, and in each third of a window a bump on the channel of one of 3 classes."""
    features = torch.randn(8, 6, 64, generator=generator) * 0.3
    segments, labels = [], []
    for row in range(8):
        first = torch.randint(0, 5, (3,), generator=generator) + torch.tensor([0, 21, 42])
        length = torch.randint(4, 16, (3,), generator=generator)
        label = torch.randint(0, 3, (3,), generator=generator)
        for start, steps, k in zip(first.tolist(), length.tolist(), label.tolist(), strict=True):
            features[row, k, start : start + steps] += 2.0
        segments.append(torch.stack((first, first + length), dim=1).float())
        labels.append(label)
    return features, torch.ones(8, 64) > 0, segments, labels


@pytest.mark.slow
def test_it_learns() -> None:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    small = settings(channels=32, hidden_channels=32, num_bins=8)
    model = FAMILY.network(small, 6, 3)
    criterion = FAMILY.criterion(small, 3)
    decoder = FAMILY.decoder(small, InferenceSettings(max_candidates=50))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(35):
        features, mask, segments, labels = toy_batch(generator)
        losses = criterion(model(features, mask), segments, labels)
        optimizer.zero_grad()
        (losses.total / losses.num_positives.clamp(min=1)).backward()
        optimizer.step()
    features, mask, segments, labels = toy_batch(generator)  # never seen before
    right = 0
    with torch.no_grad():
        windows = decoder(model.eval()(features, mask))
    for found, true_N2, label_N in zip(windows, segments, labels, strict=True):
        for (start, end), label in zip(true_N2.tolist(), label_N.tolist(), strict=True):
            near = (found.segments_grid.mean(1) - (start + end) / 2).abs() < 8
            best = found.segments_grid[near][0].tolist()  # candidates come by falling score
            inner = min(end, best[1]) - max(start, best[0])
            union = max(end, best[1]) - min(start, best[0])
            right += found.labels[near][0] == label and inner / union > 0.5
    assert right >= 22  # of 8 windows with 3 each


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": 24}, "channels 24 is not a multiple of 16"),
        ({"window": 4}, "expected an odd number of steps, found 4"),
    ],
)
def test_settings_that_cannot_be(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        settings(**changes)


def test_tiny_has_all_modules() -> None:
    small = FAMILY.network(TriDetSettings().tiny(), 6, 3)
    names = {name for name, _ in FAMILY.network(TriDetSettings(), 6, 3).named_parameters()}
    assert {name for name, _ in small.named_parameters()} == names
    assert small(torch.randn(2, 6, 45), torch.ones(2, 45) > 0).logits_BPK.shape[2] == 3
