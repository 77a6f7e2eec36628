"""SGP blocks against plain NumPy loops."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from mmad.models.sgp import MaskedGroupNorm, SGPBlock, wide_kernel_size


def shaken(module: torch.nn.Module, *, std: float = 0.3) -> torch.nn.Module:
    """So that no path is switched off by its first value."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=std)
    return module


def padded(videos: list[Tensor], length: int) -> tuple[Tensor, Tensor]:
    features = torch.zeros(len(videos), videos[0].shape[0], length)
    mask = torch.zeros(len(videos), length, dtype=torch.bool)
    for row, video in enumerate(videos):
        features[row, :, : video.shape[1]], mask[row, : video.shape[1]] = video, True
    return features, mask


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
@pytest.mark.parametrize("options", [{}, {"residual_scale": None}, {"rectify_context": True}])
def test_block_equals_plain_loops(stride: int, options: dict) -> None:
    block = shaken(
        SGPBlock(32, hidden_channels=8, window=3, window_ratio=1.5, stride=stride, **options)
    )
    assert (block.scale_sgp is None) == ("residual_scale" in options)
    videos = [torch.randn(32, 13), torch.randn(32, 20)]
    found, mask = block(*padded(videos, 20))
    for row, video in enumerate(videos):
        expected = plain_sgp(video.double().numpy(), block)
        steps = expected.shape[1]
        assert mask[row].sum() == steps == -(-video.shape[1] // stride)
        np.testing.assert_allclose(found[row, :, :steps].detach(), expected, atol=2e-5)
        assert found[row, :, steps:].abs().sum() == 0


def test_group_norm_sees_no_padding() -> None:
    norm = shaken(MaskedGroupNorm(32))
    videos = [torch.randn(32, 7) * 3 + 5, torch.randn(32, 12)]
    found = norm(*padded(videos, 12))
    for row, video in enumerate(videos):
        alone = torch.nn.functional.group_norm(video[None], 16, norm.weight, norm.bias, 1e-5)
        torch.testing.assert_close(found[row, :, : video.shape[1]], alone[0], rtol=0, atol=1e-5)


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
    block = SGPBlock(16, hidden_channels=8, window=window, window_ratio=window_ratio)
    assert block.wide.kernel_size == (size,)
    assert block(torch.randn(1, 16, 9), torch.ones(1, 9) > 0)[0].shape == (1, 16, 9)


@pytest.mark.parametrize("std", [0.0, 0.1])
def test_convolutions_that_start_at_zero_never_learn(std: float) -> None:
    torch.manual_seed(0)
    block = SGPBlock(16, hidden_channels=8, residual_scale=None, kernel_std=std)
    x, mask = torch.randn(2, 16, 9), torch.ones(2, 9) > 0
    (block(x, mask)[0] * torch.randn(2, 16, 9)).sum().backward()
    layers = (block.instant, block.video_gate, block.narrow, block.wide, block.context_gate)
    for layer in layers:
        for parameter in layer.parameters():
            assert (parameter.grad.abs().sum() > 0) == (std > 0)


def test_drop_path_falls_on_whole_samples() -> None:
    block = shaken(SGPBlock(16, hidden_channels=8, drop_path_rate=0.5)).train()
    x = torch.randn(64, 16, 5)
    change = (block(x, torch.ones(64, 5) > 0)[0] - x).abs().flatten(1).sum(1)
    assert 0 < (change == 0).sum() < 40  # both residuals dropped: 1 in 4
