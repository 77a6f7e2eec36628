"""The dynamic head against NumPy, one step at a time, from the formulas."""

import numpy as np
import pytest
import torch
from torch import nn

from mmad.models.detectors.dyfadet.head import (
    DynamicTower,
    GatedConv,
    NeighbourFusion,
    ReweightedConv,
)
from support.detector_batches import shaken


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
    shaken(fusion, mean=0.1)
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
    shaken(fusion, mean=0.1)
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


def test_reweighting_can_shut_a_step() -> None:
    conv = ReweightedConv(
        4, kernel_size=3, gate_tau=1.5, initial_gate=0.1, norm_eps=1e-5, mask_inside=True
    )
    nn.init.zeros_(conv.gate.weight)
    nn.init.constant_(conv.gate.bias, -1.0)
    x, mask = torch.randn(1, 4, 6), torch.ones(1, 6, dtype=torch.bool)
    out = conv(x, mask)
    torch.testing.assert_close(out, out[:, :, :1].expand_as(out))  # of the bias alone


def test_a_single_level_has_no_neighbours() -> None:
    tower = DynamicTower(
        4,
        2,
        num_layers=1,
        prior=None,
        kernel_size=3,
        gate_tau=1.5,
        initial_gate=0.1,
        square=True,
        norm_eps=1e-5,
        mask_inside=True,
    )
    with pytest.raises(AssertionError, match="a single level has no neighbours"):
        tower([torch.randn(1, 4, 5)], [torch.ones(1, 5) > 0])
