from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mmad.config.detectors.dyfadet import DyFADetSettings
from mmad.config.inference import InferenceSettings
from mmad.models.detectors.dense.head import DenseDetector
from mmad.models.detectors.dyfadet.build import FAMILY
from support.detector_batches import assert_points_do_not_see_padding, shaken

RANGES = [(0, 4), (4, 8), (8, 10000)]


SMALL = DyFADetSettings(
    channels=32, num_stem=1, num_branch=2, window=3, hidden_channels=24, regression_ranges=RANGES
)


NONE = (torch.zeros(0, 2), torch.zeros(0, dtype=torch.long))


def network(settings: DyFADetSettings = SMALL, *, in_channels: int = 6) -> DenseDetector:
    torch.manual_seed(0)
    return FAMILY.network(settings, in_channels, 3).eval()


# ---- padding ----


@pytest.mark.parametrize(
    "change", [{}, {"window": 1, "num_stem": 2}, {"head_window": 5, "absolute_positions": True}]
)
def test_padding_changes_nothing(change: dict[str, object]) -> None:
    model = shaken(network(SMALL.model_copy(update=change)), mean=0.1)
    assert_points_do_not_see_padding(model, [23, 40, 37], rtol=1e-5)


def test_peers_ways_see_padding() -> None:
    x = torch.nn.functional.pad(torch.randn(1, 6, 23), (0, 9))
    mask = torch.arange(32)[None] < 23
    outputs = []
    for change in ({}, {"pool_sees_padding": True}, {"mask_levels": False}):
        model = shaken(network(SMALL.model_copy(update=change)), mean=0.1)
        outputs.append(model(x, mask).logits_BPK[mask_of(model, x, mask)])
    assert not torch.allclose(outputs[0], outputs[1])
    assert not torch.allclose(outputs[0], outputs[2])


def mask_of(model: DenseDetector, x: Tensor, mask: Tensor) -> Tensor:
    return model(x, mask).mask_BP


# ---- structure ----


def test_parameters_of_the_published_structure() -> None:
    settings = DyFADetSettings()
    c, k, inputs, classes = 512, 3, 768, 52
    embedding = inputs * c * 3 + c * c * 3 + 2 * (2 * c)
    # narrow and instant of one step and their gates, wide of (1 + 1) * 5 made odd = 11
    mixing = 2 * (c + c) + (11 * c + c) + 2 * (c + c)
    block = 2 * c + mixing + 2 * c + (c * 768 + 768) + (768 * c + c)
    blocks = 7 * block + 5 * (2 * c)  # the five that halve have two scales
    level_norms = 6 * 2 * c
    gated = (k * c + c) + (k * c * c + c) + 2 * c
    reweighted = (k * c * k * c + c) + 2 * c + (k * c * k + 1) + (k * c * c + c) + 2 * c
    towers = 2 * 2 * (2 * gated + reweighted + 2)
    outs = (c * 3 * classes + classes) + (c * 3 * 2 + 2) + 6
    expected = embedding + blocks + level_norms + towers + outs
    model = FAMILY.network(settings, inputs, classes)
    assert sum(p.numel() for p in model.parameters()) == expected == 26_596_168


def test_points_logits_and_offsets() -> None:
    outputs = network()(torch.randn(2, 6, 21), torch.ones(2, 21, dtype=torch.bool))
    assert outputs.logits_BPK.shape == (2, 24 + 12 + 6, 3)
    assert outputs.offsets_BP2.shape == (2, 42, 2)
    assert (outputs.offsets_BP2 >= 0).all()
    assert (
        outputs.mask_BP[0].tolist()
        == [True] * 21 + [False] * 3 + [True] * 11 + [False] + [True] * 6
    )
    assert outputs.points_P4[:, 3].tolist() == [1.0] * 24 + [2.0] * 12 + [4.0] * 6


@pytest.mark.parametrize("opening", [0.1, 0.7])
def test_gates_start_open(opening: float) -> None:
    model = network(SMALL.model_copy(update={"initial_gate": opening}))
    gates = [module for name, module in model.named_modules() if name.endswith(".gate")]
    assert len(gates) == 2 * 2 * 3
    for gate in gates:
        bias, shut = gate.bias.detach().numpy(), np.tanh(1.5)
        np.testing.assert_allclose((np.tanh(bias - 1.5) + shut) / (1 + shut), opening, rtol=1e-4)


def test_input_noise_is_for_training_and_not_for_padding() -> None:
    model = network(SMALL.model_copy(update={"input_noise": 0.5, "drop_path": 0.0}))
    x, mask = torch.randn(1, 6, 16), torch.arange(16)[None] < 11
    seen = []
    model.pyramid.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model(x, mask)
    model.train()(x, mask)
    assert torch.equal(seen[0], x)
    noise = seen[1] - x
    assert noise[0, :, 11:].abs().max() == 0
    assert 0.3 < noise[0, :, :11].std() < 0.7


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channels": 40}, "multiple of 16"),
        ({"window": 4}, "window: expected an odd number of steps, found 4"),
        ({"head_window": 2}, "head_window: expected an odd number of steps, found 2"),
        ({"num_branch": 3}, "one for each of 4 levels"),
    ],
)
def test_settings_that_cannot_be(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DyFADetSettings(**{**SMALL.model_dump(), **change})


# ---- gradients ----


def losses_of(
    model: nn.Module, segments: list[Tensor], labels: list[Tensor], *, features: Tensor
) -> Tensor:
    criterion = FAMILY.criterion(SMALL, 3)
    mask = torch.ones(features.shape[0], features.shape[2], dtype=torch.bool)
    return criterion(model(features, mask), segments, labels).total


def test_every_parameter_gets_a_gradient() -> None:
    model = shaken(network().train(), mean=0.1)
    for name, module in model.named_modules():
        if name.endswith(".gate"):  # by chance one may be shut at all steps
            nn.init.constant_(module.bias, 3.0)
    for scale in model.level_scales:  # of a level with a negative one, all offsets are 0
        nn.init.constant_(scale, 0.5)
    segments = [torch.tensor([[2.0, 9.0], [11.0, 13.0]]), torch.tensor([[3.0, 30.0]])]
    labels = [torch.tensor([0, 2]), torch.tensor([1])]
    losses_of(model, segments, labels, features=torch.randn(2, 6, 32)).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_kernels_that_start_at_zero_are_never_trained() -> None:
    def moved(kernel_std: float) -> list[bool]:
        model = network(SMALL.model_copy(update={"kernel_std": kernel_std})).train()
        block = model.pyramid.stem[0]
        losses_of(
            model, [torch.tensor([[2.0, 9.0]])], [torch.tensor([1])], features=torch.randn(1, 6, 32)
        ).backward()
        layers = [block.narrow, block.wide, block.context_gate, block.instant]
        layers.append(block.video_gate)
        return [bool(layer.weight.grad.abs().sum() > 0) for layer in layers]

    assert moved(0.1) == [True] * 5
    assert moved(0.0) == [False] * 5


def test_no_instances() -> None:
    model = network().train()
    mask = torch.ones(2, 20, dtype=torch.bool)
    outputs = model(torch.randn(2, 6, 20), mask)
    losses = FAMILY.criterion(SMALL, 3)(outputs, [NONE[0]] * 2, [NONE[1]] * 2)
    assert losses.num_positives == 0
    assert losses.parts["regression"] == 0
    assert torch.isfinite(losses.total)
    losses.total.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_outputs_under_autocast_are_close() -> None:
    model = network()
    x, mask = torch.randn(2, 6, 32), torch.ones(2, 32, dtype=torch.bool)
    exact = model(x, mask)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = model(x, mask)
        losses = FAMILY.criterion(SMALL, 3)(
            rough, [torch.tensor([[2.0, 9.0]]), NONE[0]], [torch.tensor([1]), NONE[1]]
        )
    assert torch.isfinite(losses.total)
    for name in ("logits_BPK", "offsets_BPG2", "mask_BP", "points_P4"):
        a, b = getattr(exact, name).float(), getattr(rough, name).float()
        torch.testing.assert_close(a, b, rtol=0.1, atol=0.1)


# ---- it learns ----


def planted(generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Noise of 6 channels and 48 steps with two bumps of 3 classes, their segments and labels."""
    features = 0.3 * torch.randn(6, 48, generator=generator)
    segments, labels = [], []
    for first in (0, 24):
        length = int(torch.randint(4, 17, (), generator=generator))
        start = first + int(torch.randint(0, 24 - length, (), generator=generator))
        label = int(torch.randint(3, (), generator=generator))
        features[label, start : start + length] += 2.0
        segments.append([start - 0.5, start + length - 0.5])
        labels.append(label)
    return features, torch.tensor(segments), torch.tensor(labels)


def overlap(a: Tensor, b: Tensor) -> float:
    inner = max(0.0, float(min(a[1], b[1]) - max(a[0], b[0])))
    return inner / float(a[1] - a[0] + b[1] - b[0] - inner)


def found_share(batch: list[tuple[Tensor, Tensor, Tensor]], model: nn.Module) -> float:
    """Share of instances that the best candidates around them match in label and extent."""
    decoder = FAMILY.decoder(SMALL, InferenceSettings())
    features = torch.stack([row[0] for row in batch])
    with torch.no_grad():
        windows = decoder(model(features, torch.ones(len(batch), 48, dtype=torch.bool)))
    hits = []
    for candidates, (_, segments, labels) in zip(windows, batch, strict=True):
        assert (candidates.scores.diff() <= 0).all()
        centres = candidates.segments_grid.mean(dim=1)
        for segment, label in zip(segments, labels, strict=True):
            near = (centres > segment[0]) & (centres < segment[1])
            best = int(near.float().argmax())  # candidates come by falling score
            hits.append(
                bool(near.any())
                and candidates.labels[best] == label
                and overlap(candidates.segments_grid[best], segment) > 0.5
            )
    return float(np.mean(hits))


def train(model: nn.Module, next_batch: Callable[[], list], *, steps: int) -> None:
    criterion = FAMILY.criterion(SMALL, 3)
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
    mask = torch.ones(8, 48, dtype=torch.bool)
    for _ in range(steps):
        features, segments, labels = zip(*next_batch(), strict=True)
        losses = criterion(model(torch.stack(features), mask), segments, labels)
        optimiser.zero_grad()
        (losses.total / losses.num_positives.clamp(min=1)).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()


@pytest.mark.slow
def test_it_learns() -> None:
    generator = torch.Generator().manual_seed(0)
    model = network()
    unseen = [planted(generator) for _ in range(24)]
    assert found_share(unseen, model) < 0.5
    train(model.train(), lambda: [planted(generator) for _ in range(8)], steps=40)
    assert found_share(unseen, model.eval()) > 0.8
