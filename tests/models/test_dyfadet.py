import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mmad.config.detectors_dyfadet import DyFADetSettings
from mmad.config.inference import InferenceSettings
from mmad.models.build_dyfadet import FAMILY
from mmad.models.dyfadet import DynamicBlock, MaskedGroupNorm, wide_kernel
from mmad.models.dynamic_head import DynamicDetector, GatedConv, NeighbourFusion, ReweightedConv

RANGES = [(0, 4), (4, 8), (8, 10000)]
SMALL = DyFADetSettings(
    channels=32, num_stem=1, num_branch=2, window=3, hidden=24, regression_ranges=RANGES
)
NONE = (torch.zeros(0, 2), torch.zeros(0, dtype=torch.long))


def shake(module: nn.Module) -> None:
    """No path is switched off by its first value."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, mean=0.1, std=0.3)


def network(settings: DyFADetSettings = SMALL, *, in_channels: int = 6) -> DynamicDetector:
    torch.manual_seed(0)
    return FAMILY.network(settings, in_channels, 3).eval()


# ---- NumPy, one step at a time, from the formulas ----


def values(module: nn.Module) -> dict[str, np.ndarray]:
    return {name: tensor.numpy().astype(float) for name, tensor in module.state_dict().items()}


def convolve(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """``x`` is (C, T), the kernel (O, C / groups, k), of one group or of as many as channels."""
    reach = kernel.shape[2] // 2
    depthwise = kernel.shape[1] != len(x)
    out = np.zeros((len(kernel), x.shape[1]))
    for t in range(x.shape[1]):
        for i in range(kernel.shape[2]):
            if 0 <= t + i - reach < x.shape[1]:
                step, tap = x[:, t + i - reach], kernel[:, :, i]
                out[:, t] += tap[:, 0] * step if depthwise else tap @ step
    return out + bias[:, None]


def layer_norm(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    normed = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)
    return normed * weight[:, None] + bias[:, None]


def gelu(x: np.ndarray) -> np.ndarray:
    error = torch.special.erf(torch.from_numpy(x / np.sqrt(2))).numpy()
    return x * (1 + error) / 2


def pool(x: np.ndarray) -> np.ndarray:
    steps = range(0, x.shape[1], 2)
    return np.stack([x[:, max(t - 1, 0) : t + 2].max(1) for t in steps], axis=1)


def block_by_hand(x: np.ndarray, w: dict[str, np.ndarray], *, stride: int) -> np.ndarray:
    def conv(name: str, y: np.ndarray) -> np.ndarray:
        return convolve(y, w[f"{name}.weight"], w[f"{name}.bias"])

    x = pool(x) if stride == 2 else x
    n = layer_norm(x, w["norm1.weight"], w["norm1.bias"])
    instance = np.maximum(w["instance.weight"][:, 0, 0] * n.mean(1) + w["instance.bias"], 0)
    opened = np.maximum(conv("narrow", n) + conv("wide", n), 0)
    mixed = n + conv("gain", n) * instance[:, None] + opened * conv("value", n)
    x = x + w["scale_mix"][0] * mixed
    groups = x.reshape(16, -1)
    groups = (groups - groups.mean(1, keepdims=True)) / np.sqrt(groups.var(1) + 1e-5)[:, None]
    normed = groups.reshape(x.shape) * w["norm2.weight"][:, None] + w["norm2.bias"][:, None]
    hidden = gelu(w["fc1.weight"][:, :, 0] @ normed + w["fc1.bias"][:, None])
    return x + w["scale_mlp"][0] * (w["fc2.weight"][:, :, 0] @ hidden + w["fc2.bias"][:, None])


def gate_by_hand(x: np.ndarray) -> np.ndarray:
    return np.maximum((np.tanh(x - 1.5) + np.tanh(1.5)) / (1 + np.tanh(1.5)), 0)


def shifted_by_hand(x: np.ndarray, size: int) -> np.ndarray:
    """(C, size, T)."""
    out = np.zeros((len(x), size, x.shape[1]))
    for i in range(size):
        for t in range(x.shape[1]):
            if 0 <= t + i - size // 2 < x.shape[1]:
                out[:, i, t] = x[:, t + i - size // 2]
    return out


def gated_by_hand(
    x: np.ndarray, w: dict[str, np.ndarray], name: str, *, square: bool
) -> np.ndarray:
    gate = gate_by_hand(convolve(x, w[f"{name}.gate.weight"], w[f"{name}.gate.bias"]))
    shifted = shifted_by_hand(x, w[f"{name}.gate.weight"].shape[2])
    weighted = shifted ** (2 if square else 1) * gate[:, None]
    out = convolve(
        weighted.reshape(-1, x.shape[1]), w[f"{name}.proj.weight"], w[f"{name}.proj.bias"]
    )
    return layer_norm(out, w[f"{name}.norm.weight"], w[f"{name}.norm.bias"])


def combined_by_hand(x: np.ndarray, w: dict[str, np.ndarray]) -> np.ndarray:
    def conv(name: str, y: np.ndarray) -> np.ndarray:
        return convolve(y, w[f"combine.{name}.weight"], w[f"combine.{name}.bias"])

    shifted = shifted_by_hand(x, w["combine.weight.weight"].shape[2])
    flat = shifted.reshape(-1, x.shape[1])
    weights = layer_norm(
        conv("weight", flat), w["combine.weight_norm.weight"], w["combine.weight_norm.bias"]
    )
    weights = weights * gate_by_hand(conv("gate", flat))
    out = conv("proj", (shifted * weights[:, None]).reshape(-1, x.shape[1]))
    return layer_norm(out, w["combine.norm.weight"], w["combine.norm.bias"])


def fusion_by_hand(
    levels: list[np.ndarray], w: dict[str, np.ndarray], *, square: bool
) -> list[np.ndarray]:
    out = []
    for level, x in enumerate(levels):
        fused = w["own_weight"] * x
        if level > 0:
            finer = gated_by_hand(levels[level - 1], w, "from_finer", square=square)
            fused = fused + w["neighbour_weight"] * finer[:, ::2]
        if level + 1 < len(levels):
            coarser = gated_by_hand(levels[level + 1], w, "from_coarser", square=square)
            fused = fused + w["neighbour_weight"] * np.repeat(coarser, 2, axis=1)
        out.append(np.maximum(combined_by_hand(fused, w), 0))
    return out


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("window", [1, 5])
def test_block_is_the_formula(stride: int, window: int) -> None:
    torch.manual_seed(0)
    wide = wide_kernel(window, ratio=1.5)
    block = DynamicBlock(
        32, stride=stride, window=window, wide_window=wide, hidden=10, residual_scale=1.0
    ).eval()
    shake(block)
    x = torch.randn(2, 32, 14)
    with torch.no_grad():
        out, mask = block(x, torch.ones(2, 14, dtype=torch.bool))
    assert mask.shape == (2, 14 // stride)
    for row in range(2):
        expected = block_by_hand(x[row].numpy().astype(float), values(block), stride=stride)
        np.testing.assert_allclose(out[row].numpy(), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("square", [True, False])
@pytest.mark.parametrize("kernel_size", [3, 5])
def test_fusion_is_the_formula(square: bool, kernel_size: int) -> None:
    torch.manual_seed(1)
    fusion = NeighbourFusion(
        8,
        kernel_size=kernel_size,
        gate_tau=1.5,
        initial_gate=0.1,
        square=square,
        norm_eps=1e-5,
        mask_inside=True,
    )
    shake(fusion)
    levels = [torch.randn(1, 8, steps) for steps in (12, 6, 3)]
    masks = [torch.ones(1, x.shape[2], dtype=torch.bool) for x in levels]
    with torch.no_grad():
        out = fusion(levels, masks)
    expected = fusion_by_hand(
        [x[0].numpy().astype(float) for x in levels], values(fusion), square=square
    )
    for ours, theirs in zip(out, expected, strict=True):
        assert (theirs > 0).any()
        np.testing.assert_allclose(ours[0].numpy(), theirs, rtol=1e-4, atol=1e-4)


def test_group_norm_without_padding_is_torchs() -> None:
    ours, theirs = MaskedGroupNorm(16, 32), nn.GroupNorm(16, 32)
    shake(ours)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 32, 9)
    torch.testing.assert_close(ours(x, torch.ones(2, 9, dtype=torch.bool)), theirs(x))


# ---- padding ----


@pytest.mark.parametrize(
    "change", [{}, {"window": 1, "num_stem": 2}, {"head_window": 5, "absolute_positions": True}]
)
def test_padding_changes_nothing(change: dict[str, object]) -> None:
    model = network(SMALL.model_copy(update=change))
    shake(model)
    lengths = [23, 40, 37]
    features = [torch.randn(6, n) for n in lengths]
    batch, mask = torch.full((3, 6, 40), 9.0), torch.zeros(3, 40, dtype=torch.bool)
    for row, (x, n) in enumerate(zip(features, lengths, strict=True)):
        batch[row, :, :n], mask[row, :n] = x, True
    batch = batch * mask[:, None]
    with torch.no_grad():
        together = model(batch, mask)
        for row, x in enumerate(features):
            alone = model(x[None], torch.ones(1, x.shape[1], dtype=torch.bool))
            assert alone.logits_BPK[alone.mask_BP].std() > 0.1
            for name in ("logits_BPK", "offsets_BP2"):
                ours = getattr(together, name)[row][together.mask_BP[row]]
                theirs = getattr(alone, name)[0][alone.mask_BP[0]]
                torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("stride", [1, 2])
def test_block_leaves_padding_zero(stride: int) -> None:
    block = DynamicBlock(32, stride=stride)
    shake(block)
    out, mask = block(torch.randn(1, 32, 12), torch.arange(12)[None] < 7)
    assert mask.sum() == -(-7 // stride)
    assert out[0, :, ~mask[0]].abs().max() == 0
    assert out[0, :, mask[0]].abs().min() > 0


def test_fusion_ends_with_the_video() -> None:
    torch.manual_seed(2)
    fusion = NeighbourFusion(
        8,
        kernel_size=3,
        gate_tau=1.5,
        initial_gate=0.1,
        square=True,
        norm_eps=1e-5,
        mask_inside=True,
    )
    shake(fusion)
    x, coarse = torch.randn(1, 8, 5), torch.randn(1, 8, 3)  # the sixth step is of the coarse only
    masks = [torch.arange(8)[None] < 5, torch.arange(4)[None] < 3]
    padded = [nn.functional.pad(x, (0, 3)), nn.functional.pad(coarse, (0, 1))]
    with torch.no_grad():
        out = fusion(padded, masks)[0][0]
    w = values(fusion)
    gated = gated_by_hand(coarse[0].numpy().astype(float), w, "from_coarser", square=True)
    fused = w["own_weight"] * x[0].numpy()
    fused = fused + w["neighbour_weight"] * np.repeat(gated, 2, axis=1)[:, :5]
    expected = np.maximum(combined_by_hand(fused, w), 0)
    np.testing.assert_allclose(out[:, :5].numpy(), expected, rtol=1e-4, atol=1e-4)
    assert out[:, 5:].abs().max() == 0


def test_peers_ways_see_padding() -> None:
    x = torch.nn.functional.pad(torch.randn(1, 6, 23), (0, 9))
    mask = torch.arange(32)[None] < 23
    outputs = []
    for change in ({}, {"pool_sees_padding": True}, {"mask_levels": False}):
        model = network(SMALL.model_copy(update=change))
        torch.manual_seed(0)
        shake(model)
        outputs.append(model(x, mask).logits_BPK[mask_of(model, x, mask)])
    assert not torch.allclose(outputs[0], outputs[1])
    assert not torch.allclose(outputs[0], outputs[2])


def mask_of(model: DynamicDetector, x: Tensor, mask: Tensor) -> Tensor:
    return model(x, mask).mask_BP


# ---- structure ----


def test_parameters_of_the_published_structure() -> None:
    settings = DyFADetSettings()
    c, k, inputs, classes = 512, 3, 768, 52
    embedding = inputs * c * 3 + c * c * 3 + 2 * (2 * c)
    # narrow and value of one step, wide of (1 + 1) * 5 made odd = 11, gain and instance of one
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


def test_a_gate_is_shut_below_zero() -> None:
    conv = GatedConv(
        4, kernel_size=3, stride=1, gate_tau=1.5, initial_gate=0.1, square=False, norm_eps=1e-5
    )
    nn.init.zeros_(conv.gate.weight)
    x, mask = torch.randn(1, 4, 5), torch.ones(1, 5, dtype=torch.bool)
    nn.init.constant_(conv.gate.bias, -0.1)
    shut = conv(x, mask)
    torch.testing.assert_close(shut, conv(2 * x, mask))
    nn.init.constant_(conv.gate.bias, 0.1)
    assert not torch.allclose(conv(x, mask), conv(2 * x, mask))


@pytest.mark.parametrize("opening", [0.1, 0.7])
def test_gates_start_open(opening: float) -> None:
    model = network(SMALL.model_copy(update={"initial_gate": opening}))
    gates = [module for name, module in model.named_modules() if name.endswith(".gate")]
    assert len(gates) == 2 * 2 * 3
    for gate in gates:
        np.testing.assert_allclose(gate_by_hand(gate.bias.detach().numpy()), opening, rtol=1e-4)


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
        ({"window": 4}, "window: expected an odd number, found 4"),
        ({"head_window": 2}, "head_window: expected an odd number, found 2"),
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
    model = network().train()
    shake(model)
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
        layers = [block.narrow, block.wide, block.value, block.gain, block.instance]
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


def test_it_learns() -> None:
    generator = torch.Generator().manual_seed(0)
    model = network()
    unseen = [planted(generator) for _ in range(24)]
    assert found_share(unseen, model) < 0.5
    train(model.train(), lambda: [planted(generator) for _ in range(8)], steps=80)
    assert found_share(unseen, model.eval()) > 0.8


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
    for field in dataclasses.fields(exact):
        a, b = getattr(exact, field.name).float(), getattr(rough, field.name).float()
        torch.testing.assert_close(a, b, rtol=0.1, atol=0.1)


def test_reweighting_can_shut_a_step() -> None:
    conv = ReweightedConv(
        4, kernel_size=3, gate_tau=1.5, initial_gate=0.1, norm_eps=1e-5, mask_inside=True
    )
    nn.init.zeros_(conv.gate.weight)
    nn.init.constant_(conv.gate.bias, -1.0)
    x, mask = torch.randn(1, 4, 6), torch.ones(1, 6, dtype=torch.bool)
    out = conv(x, mask)
    torch.testing.assert_close(out, out[:, :, :1].expand_as(out))  # of the bias alone
