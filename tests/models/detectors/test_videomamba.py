import types

import numpy as np
import pytest
import torch
from torch.nn import functional

from mmad.config.detectors.videomamba import VideoMambaSettings
from mmad.config.inference import InferenceSettings
from mmad.errors import MmadError
from mmad.models.detectors.dense.head import DenseDetector
from mmad.models.detectors.videomamba import network as mamba
from mmad.models.detectors.videomamba.build import FAMILY
from mmad.models.detectors.videomamba.network import (
    MambaBlock,
    ScanInputs,
    StateSpace,
    scan_in_torch,
)
from mmad.models.from_settings import from_settings
from support.detector_batches import assert_points_do_not_see_padding

RANGES = [(0.0, 4.0), (4.0, 8.0), (8.0, 10000.0)]
SMALL = {
    "channels": 24,
    "num_embedding": 2,
    "num_stem": 1,
    "num_branch": 2,
    "num_states": 3,
    "regression_ranges": RANGES,
    "drop_path": 0.0,
}


def network(**settings: object) -> DenseDetector:
    torch.manual_seed(0)
    model = FAMILY.network(VideoMambaSettings(**{**SMALL, **settings}), 6, 3).eval()
    for name, parameter in model.named_parameters():
        if "log_decay" not in name:  # so that no path is switched off by its first value
            torch.nn.init.normal_(parameter, std=0.3)
    return model


def block_of(*, stride: int = 1, **changes: object) -> MambaBlock:
    torch.manual_seed(0)
    return from_settings(
        MambaBlock, VideoMambaSettings(**changes), stride=stride, drop_path_rate=0.0
    )


def scan_inputs(num_steps: int, *, spread: float = 1.0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(num_steps)
    batch, channels, states = 2, 5, 4

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    return [
        noise(batch, channels, num_steps),
        spread * noise(batch, channels, num_steps),
        noise(channels),
        -torch.rand(channels, states, generator=generator) * 4,
        noise(batch, states, num_steps),
        noise(batch, states, num_steps),
        noise(channels),
        noise(batch, channels, num_steps),
    ]


def plain_scan(inputs: ScanInputs) -> torch.Tensor:
    """One step after another, as in the paper."""
    sizes = functional.softplus(inputs.steps_BET + inputs.step_bias_E[:, None])
    state = torch.zeros(len(sizes), *inputs.decay_EN.shape)
    out = []
    for t in range(sizes.shape[2]):
        size, x = sizes[:, :, t, None], inputs.x_BET[:, :, t, None]
        state = torch.exp(size * inputs.decay_EN) * state
        state = state + size * inputs.write_BNT[:, None, :, t] * x
        y = (state * inputs.read_BNT[:, None, :, t]).sum(-1) + inputs.skip_E * x[..., 0]
        out.append(y * functional.silu(inputs.gate_BET[:, :, t]))
    return torch.stack(out, dim=2)


@pytest.mark.parametrize("num_steps", [1, 2, 31, 32, 33, 64, 150])
def test_scan_and_its_gradients_equal_a_plain_loop(num_steps: int) -> None:
    weight = torch.randn(2, 5, num_steps)
    results = []
    for scan in (scan_in_torch, plain_scan):
        leaves = [x.requires_grad_() for x in scan_inputs(num_steps)]
        y = scan(ScanInputs(*leaves))
        (y * weight).sum().backward()
        results.append([y.detach(), *(x.grad for x in leaves)])
    for ours, plain in zip(*results, strict=True):
        scale = max(plain.abs().max().item(), 1.0)
        torch.testing.assert_close(ours / scale, plain / scale, rtol=0, atol=1e-5)


def test_scan_of_extreme_steps_is_finite() -> None:
    # Step sizes from exp(-200) to 200: decays from exactly 1 to exactly 0.
    results = []
    for scan in (scan_in_torch, plain_scan):
        leaves = [x.requires_grad_() for x in scan_inputs(150, spread=80.0)]
        y = scan(ScanInputs(*leaves))
        y.sum().backward()
        assert all(torch.isfinite(x.grad).all() for x in leaves)
        results.append(y.detach())
    scale = results[1].abs().max()
    torch.testing.assert_close(results[0] / scale, results[1] / scale, rtol=0, atol=1e-5)


# ---- the block against NumPy, one step at a time ----


def numpy_direction(space: StateSpace, x_ET: np.ndarray, gate_ET: np.ndarray) -> np.ndarray:
    weights = {name: value.detach().double().numpy() for name, value in space.named_parameters()}
    kernel = weights["conv.weight"][:, 0]
    rank, states, _ = space.sizes
    decay = -np.exp(weights["log_decay"])
    state = np.zeros_like(decay)
    out = np.zeros_like(x_ET)
    for t in range(x_ET.shape[1]):
        u = weights["conv.bias"].copy()
        for back in range(kernel.shape[1]):  # the last weight is that of the step itself
            if t - back >= 0:
                u += kernel[:, -1 - back] * x_ET[:, t - back]
        u = u / (1 + np.exp(-u))
        selected = weights["select.weight"] @ u
        write, read = selected[rank : rank + states], selected[rank + states :]
        size = np.log1p(np.exp(weights["steps.weight"] @ selected[:rank] + weights["steps.bias"]))
        for e in range(len(u)):
            state[e] = np.exp(size[e] * decay[e]) * state[e] + size[e] * write * u[e]
            gate = gate_ET[e, t] / (1 + np.exp(-gate_ET[e, t]))
            out[e, t] = (state[e] @ read + weights["skip"][e] * u[e]) * gate
    return out


def numpy_block(block: MambaBlock, x_CT: np.ndarray) -> np.ndarray:
    weights = {name: value.detach().double().numpy() for name, value in block.named_parameters()}
    centred = x_CT - x_CT.mean(axis=0)
    normed = centred / np.sqrt((centred**2).mean(axis=0) + 1e-5)
    normed = normed * weights["norm.weight"][:, None] + weights["norm.bias"][:, None]
    inner = weights["mamba.proj_in.weight"] @ normed
    if isinstance(block.mamba, mamba.DecomposedMamba):
        x, gate, x_back, gate_back = np.split(inner, 4)
        ahead = numpy_direction(block.mamba.both, x, gate)
        back = numpy_direction(block.mamba.both, x_back[:, ::-1], gate_back[:, ::-1])[:, ::-1]
        y = np.concatenate((ahead, back))
    else:
        x, gate = np.split(inner, 2)
        y = numpy_direction(block.mamba.ahead, x, gate)
        y = y + numpy_direction(block.mamba.back, x[:, ::-1], gate[:, ::-1])[:, ::-1]
    return x_CT + weights["scale"][0] * (weights["mamba.proj_out.weight"] @ y)


@pytest.mark.parametrize(("mixer", "expand"), [("dbm", 1), ("dbm", 2), ("vim", 2)])
@pytest.mark.parametrize("stride", [1, 2])
def test_block_equals_numpy(mixer: str, expand: int, stride: int) -> None:
    block = block_of(channels=20, mixer=mixer, stride=stride, expand=expand, num_states=3)
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    lengths = [13, 8]
    mask = torch.arange(13)[None] < torch.tensor(lengths)[:, None]
    x = torch.randn(2, 20, 13) * mask[:, None]
    out, out_mask = block(x, mask)
    for row, length in enumerate(lengths):
        expected = numpy_block(block, x[row, :, :length].double().numpy())
        if stride == 2:
            expected = np.stack(
                [
                    expected[:, max(2 * i - 1, 0) : 2 * i + 2].max(axis=1)
                    for i in range((length + 1) // 2)
                ],
                axis=1,
            )
        assert out_mask[row].sum() == expected.shape[1]
        found = out[row].detach().numpy()
        np.testing.assert_allclose(found[:, : expected.shape[1]], expected, atol=1e-4)
        assert not found[:, expected.shape[1] :].any()


@pytest.mark.parametrize("mixer", ["dbm", "vim"])
def test_padding_changes_nothing(mixer: str) -> None:
    assert_points_do_not_see_padding(network(mixer=mixer), [23, 40, 3])


def test_peers_scan_sees_padding() -> None:
    x = torch.randn(1, 6, 24)
    mask = torch.arange(32)[None] < 24
    ours, peers = network(), network(scan_sees_padding=True)
    padded = functional.pad(x, (0, 8))
    keep = ours(padded, mask).mask_BP[0]
    leaking = peers(padded, mask).logits_BPK[0][keep]
    assert (leaking - ours(padded, mask).logits_BPK[0][keep]).abs().max() > 1e-3
    full = torch.ones(1, 24, dtype=torch.bool)
    torch.testing.assert_close(peers(x, full).logits_BPK, ours(x, full).logits_BPK)


@pytest.mark.parametrize("mixer", ["dbm", "vim"])
def test_both_directions_reach_all_steps(mixer: str) -> None:
    block = block_of(channels=16, mixer=mixer)
    x = torch.randn(1, 16, 60, requires_grad=True)
    mask = torch.ones(1, 60, dtype=torch.bool)
    for step in (0, 30, 59):
        (gradient,) = torch.autograd.grad(block(x, mask)[0][0, :, step].sum(), x)
        assert (gradient[0].abs().sum(0) > 0).all()


def test_first_values() -> None:
    torch.manual_seed(0)
    space = StateSpace(400, num_states=5, step_rank=9, kernel_size=4, scan="auto")
    sizes = functional.softplus(space.steps.bias.detach()).log()
    assert sizes.min() >= np.log(0.001) - 1e-3
    assert sizes.max() <= np.log(0.1) + 1e-3
    assert sizes.mean().item() == pytest.approx((np.log(0.001) + np.log(0.1)) / 2, abs=0.2)
    assert space.steps.weight.abs().max() <= 9**-0.5
    torch.testing.assert_close(
        -space.log_decay.detach().exp(), -torch.arange(1.0, 6.0).repeat(400, 1)
    )
    assert (space.skip == 1).all()
    assert (space.conv.bias == 0).all()


def test_number_of_parameters() -> None:
    channels, classes, inputs, states, rank = 512, 52, 768, 16, 512 // 16
    norm = 2 * channels
    embedding = 3 * inputs * channels + norm + 3 * channels * channels + norm
    space = (
        (4 * channels + channels)  # convolution and its bias
        + channels * (rank + 2 * states)  # step sizes, B and C
        + (rank * channels + channels)  # step sizes of the channels
        + channels * states  # A
        + channels  # D
    )
    block = norm + channels * 4 * channels + space + 2 * channels * channels + channels
    tower = 2 * (3 * channels * channels + norm)
    head = 2 * tower + 3 * channels * (classes + 2) + classes + 2 + 6  # and level scales
    total = embedding + 7 * block + 6 * norm + head
    model = FAMILY.network(VideoMambaSettings(), inputs, classes)
    assert sum(parameter.numel() for parameter in model.parameters()) == total == 16_654_396


@pytest.mark.parametrize("mixer", ["dbm", "vim"])
@pytest.mark.parametrize("num_annotations", [0, 2])
def test_every_parameter_gets_a_gradient(mixer: str, num_annotations: int) -> None:
    settings = VideoMambaSettings(**{**SMALL, "mixer": mixer, "drop_path": 0.3})
    model = network(mixer=mixer, drop_path=0.3).train()
    criterion = FAMILY.criterion(settings, 3)
    torch.manual_seed(1)
    outputs = model(torch.randn(2, 6, 32), torch.arange(32)[None] < torch.tensor([[32], [20]]))
    segments = [torch.tensor([[2.0, 6.0], [7.0, 17.0]])[:num_annotations], torch.zeros(0, 2)]
    labels = [torch.tensor([0, 2])[:num_annotations], torch.zeros(0, dtype=torch.long)]
    losses = criterion(outputs, segments, labels)
    assert torch.isfinite(losses.total)
    assert (losses.num_positives > 0) == (num_annotations > 0)
    losses.total.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        if num_annotations and not name.startswith("level_scales"):
            assert parameter.grad.abs().sum() > 0, name


def test_runs_under_autocast() -> None:
    model = network()
    features, mask = torch.randn(2, 6, 40), torch.ones(2, 40, dtype=torch.bool)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = model(features, mask).logits_BPK
    exact = model(features, mask).logits_BPK
    rounded.sum().backward()
    assert (rounded.float() - exact).abs().mean() < 0.05 * exact.abs().mean()


# ---- the compiled scan, by a stand-in with its signature ----


def test_compiled_scan_and_convolution_get_what_they_expect(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    used = []

    def kernel(u, delta, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False):  # type: ignore[no-untyped-def]
        assert delta_softplus
        assert all(x.is_contiguous() for x in (u, delta, B, C, z))
        used.append("scan")
        return plain_scan(ScanInputs(u, delta, delta_bias, A, B, C, D, z))

    def conv(x, weight, bias=None, seq_idx=None, activation=None):  # type: ignore[no-untyped-def]
        assert activation == "silu"
        used.append("conv")
        padded = functional.pad(x, (weight.shape[1] - 1, 0))
        return functional.silu(functional.conv1d(padded, weight[:, None], bias, groups=len(weight)))

    model = network()
    features, mask = torch.randn(2, 6, 21), torch.ones(2, 21, dtype=torch.bool)
    mask[1, 15:] = False
    expected = model(features, mask)
    monkeypatch.setattr(mamba, "compiled_scan", lambda: kernel)
    monkeypatch.setattr(mamba, "compiled_conv", lambda: conv)
    monkeypatch.setattr(mamba, "choose_compiled", lambda scan, device: True)
    found = model(features, mask)
    assert used == ["conv", "scan"] * 3
    torch.testing.assert_close(found.logits_BPK, expected.logits_BPK, rtol=1e-4, atol=1e-5)


def test_choice_of_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu, gpu = torch.device("cpu"), types.SimpleNamespace(type="cuda")
    monkeypatch.setattr(mamba, "compiled_scan", lambda: None)
    assert not mamba.choose_compiled("auto", gpu)
    with pytest.raises(MmadError, match="tensors on cuda and mamba_ssm not importable"):
        mamba.choose_compiled("cuda", gpu)
    monkeypatch.setattr(mamba, "compiled_scan", lambda: plain_scan)
    assert mamba.choose_compiled("auto", gpu)
    assert mamba.choose_compiled("cuda", gpu)
    assert not mamba.choose_compiled("torch", gpu)
    assert not mamba.choose_compiled("auto", cpu)
    with pytest.raises(MmadError, match="tensors on cpu and mamba_ssm importable"):
        network(scan="cuda")(torch.randn(1, 6, 8), torch.ones(1, 8, dtype=torch.bool))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_compiled_scan_equals_ours() -> None:
    pytest.importorskip("mamba_ssm")
    features = torch.randn(2, 6, 200, device="cuda")
    mask = torch.arange(200, device="cuda")[None] < torch.tensor([[200], [77]], device="cuda")
    outputs = [network(scan=scan).cuda()(features, mask).logits_BPK for scan in ("torch", "cuda")]
    torch.testing.assert_close(*outputs, rtol=1e-3, atol=1e-4)


def toy_batch(generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor, list, list]:
    """Noise, and bumps of three classes in a channel each."""
    features = 0.3 * torch.randn(4, 6, 64, generator=generator)
    mask = torch.ones(4, 64, dtype=torch.bool)
    segments, labels = [], []
    for row in range(4):
        starts = torch.tensor([4.0, 36.0]) + torch.randint(0, 8, (2,), generator=generator)
        ends = starts + torch.randint(6, 18, (2,), generator=generator)
        kinds = torch.randint(0, 3, (2,), generator=generator)
        for start, end, kind in zip(starts, ends, kinds, strict=True):
            features[row, kind, int(start) : int(end) + 1] += 2.0
        segments.append(torch.stack((starts, ends), dim=1))
        labels.append(kinds)
    return features, mask, segments, labels


@pytest.mark.slow
def test_learns_planted_bumps() -> None:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    settings = VideoMambaSettings(**{**SMALL, "channels": 32, "drop_path": 0.1})
    model = FAMILY.network(settings, 6, 3)
    criterion = FAMILY.criterion(settings, 3)
    decoder = FAMILY.decoder(settings, InferenceSettings())
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)

    def found(batch: tuple[torch.Tensor, torch.Tensor, list, list]) -> float:
        features, mask, segments, labels = batch
        hits = []
        with torch.no_grad():
            candidates = decoder(model.eval()(features, mask))
        for best, truth_N2, kinds in zip(candidates, segments, labels, strict=True):
            for (start, end), kind in zip(truth_N2.tolist(), kinds.tolist(), strict=True):
                of_kind = best.segments_grid[best.labels == kind]
                # The best of its class that lies around the centre of the truth.
                around = (of_kind[:, 0] < (start + end) / 2) & (of_kind[:, 1] > (start + end) / 2)
                if not around.any():
                    hits.append(False)
                    continue
                first, last = of_kind[around][0].tolist()
                inner = max(0.0, min(last, end) - max(first, start))
                hits.append(inner / (last - first + end - start - inner) > 0.5)
        return sum(hits) / len(hits)

    held_out = [toy_batch(torch.Generator().manual_seed(100 + i)) for i in range(4)]
    before = np.mean([found(batch) for batch in held_out])
    for _ in range(70):
        features, mask, segments, labels = toy_batch(generator)
        losses = criterion(model.train()(features, mask), segments, labels)
        optimiser.zero_grad()
        (losses.total / losses.num_positives.clamp(min=1)).backward()
        optimiser.step()
    assert before < 0.5
    assert np.mean([found(batch) for batch in held_out]) > 0.9
