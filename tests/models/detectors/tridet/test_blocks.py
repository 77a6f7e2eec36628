"""SGP blocks against plain NumPy loops."""

import math

import numpy as np
import pytest
import torch

from mmad.models.detectors.tridet.blocks import SGPBlock, wide_kernel_size
from support.detector_batches import padded, shaken


def block_of(channels: int, **changes: object) -> SGPBlock:
    plain = {
        "hidden_channels": 8,
        "window": 1,
        "window_ratio": 5.0,
        "drop_path_rate": 0.0,
        "kernel_std": 0.1,
        "norm_eps": 1e-5,
        "sees_padding": False,
    }
    return SGPBlock(channels, **(plain | changes))


def plain_norm(x: np.ndarray, *, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Over the channels of each step."""
    y = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)
    return y * weight[:, None] + bias[:, None]


def plain_depthwise(x: np.ndarray, layer: torch.nn.Conv1d) -> np.ndarray:
    weight, bias = layer.weight.detach().numpy()[:, 0], layer.bias.detach().numpy()
    channels, steps = x.shape
    reach = weight.shape[1] // 2
    y = np.zeros_like(x)
    for c in range(channels):
        for t in range(steps):
            y[c, t] = bias[c]
            for d in range(-reach, reach + 1):
                if 0 <= t + d < steps:
                    y[c, t] += weight[c, reach + d] * x[c, t + d]
    return y


def plain_sgp(x: np.ndarray, block: SGPBlock) -> np.ndarray:
    """One video without padding."""
    numbers = {name: p.detach().numpy() for name, p in block.named_parameters()}
    if block.stride == 2:
        x = np.stack([x[:, max(0, t - 1) : t + 2].max(1) for t in range(0, x.shape[1], 2)], 1)
    y = plain_norm(x, weight=numbers["norm.weight"], bias=numbers["norm.bias"])
    gate = np.maximum(0, plain_depthwise(y.mean(1, keepdims=True), block.video_gate))
    context = plain_depthwise(y, block.narrow) + plain_depthwise(y, block.wide)
    if block.rectify_context:
        context = np.maximum(0, context)
    z = plain_depthwise(y, block.instant) * gate
    z = z + context * plain_depthwise(y, block.context_gate) + y
    x = x + z * numbers.get("scale_sgp", np.ones((1, 1, 1)))[0]
    groups = x.reshape(16, -1)
    hidden = (groups - groups.mean(1, keepdims=True)) / np.sqrt(groups.var(1) + 1e-5)[:, None]
    hidden = hidden.reshape(x.shape) * numbers["group_norm.weight"][:, None]
    hidden = hidden + numbers["group_norm.bias"][:, None]
    hidden = numbers["fc1.weight"][:, :, 0] @ hidden + numbers["fc1.bias"][:, None]
    erf = np.vectorize(math.erf)
    hidden = hidden * 0.5 * (1 + erf(hidden / np.sqrt(2)))
    hidden = numbers["fc2.weight"][:, :, 0] @ hidden + numbers["fc2.bias"][:, None]
    return x + hidden * numbers.get("scale_mlp", np.ones((1, 1, 1)))[0]


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"residual_scale": None},
        {"rectify_context": True},
        {"rectify_context": True, "window": 1},
        {"rectify_context": True, "window": 5},
    ],
)
def test_block_equals_plain_loops(stride: int, options: dict) -> None:
    options = {"window": 3, "window_ratio": 1.5} | options
    block = shaken(block_of(32, stride=stride, **options))
    assert (block.scale_sgp is None) == ("residual_scale" in options)
    videos = [torch.randn(32, 13), torch.randn(32, 20)]
    found, mask = block(*padded(videos, 20))
    for row, video in enumerate(videos):
        expected = plain_sgp(video.double().numpy(), block)
        steps = expected.shape[1]
        assert mask[row].sum() == steps == -(-video.shape[1] // stride)
        np.testing.assert_allclose(found[row, :, :steps].detach(), expected, atol=2e-5)
        assert found[row, :, steps:].abs().sum() == 0


@pytest.mark.parametrize(
    ("window", "window_ratio", "size"),
    [
        (1, 5, 2 * 5 + 1),
        (3, 1.5, 4 * 1.5 + 1),
        (5, 2, 6 * 2 + 1),
        (3, 1.2, 5),  # 4.8
        (15, 1.3, 21),  # 20.8
        (1, 1, 3),
    ],
)
def test_wide_kernel(window: int, window_ratio: float, size: int) -> None:
    assert wide_kernel_size(window, ratio=window_ratio) == size
    block = block_of(16, window=window, window_ratio=window_ratio)
    assert block.wide.kernel_size == (size,)
    assert block(torch.randn(1, 16, 9), torch.ones(1, 9) > 0)[0].shape == (1, 16, 9)


@pytest.mark.parametrize("std", [0.0, 0.1])
@pytest.mark.parametrize("rectify_context", [False, True])
def test_convolutions_that_start_at_zero_never_learn(std: float, rectify_context: bool) -> None:
    torch.manual_seed(0)
    block = block_of(16, residual_scale=None, kernel_std=std, rectify_context=rectify_context)
    x, mask = torch.randn(2, 16, 9), torch.ones(2, 9) > 0
    (block(x, mask)[0] * torch.randn(2, 16, 9)).sum().backward()
    layers = (block.instant, block.video_gate, block.narrow, block.wide, block.context_gate)
    for layer in layers:
        for parameter in layer.parameters():
            assert (parameter.grad.abs().sum() > 0) == (std > 0)


def test_drop_path_falls_on_whole_samples() -> None:
    block = shaken(block_of(16, drop_path_rate=0.5)).train()
    x = torch.randn(64, 16, 5)
    change = (block(x, torch.ones(64, 5) > 0)[0] - x).abs().flatten(1).sum(1)
    assert 0 < (change == 0).sum() < 40  # both residuals dropped: 1 in 4
