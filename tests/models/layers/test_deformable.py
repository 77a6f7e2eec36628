"""Deformable attention, and features of segments at one size, against plain NumPy loops."""

import numpy as np
import pytest
import torch

from mmad.models.layers.deformable import SlowLinear, TemporalDeformableAttention, align_segments
from support.detector_batches import ragged


def read_between(values: np.ndarray, position: float) -> np.ndarray:
    """A row of ``values`` at any position, zeros around them."""
    low = int(np.floor(position))
    total = np.zeros(values.shape[1])
    for step, weight in ((low, low + 1 - position), (low + 1, position - low)):
        if 0 <= step < len(values):
            total += weight * values[step]
    return total


@pytest.mark.parametrize("with_width", [False, True])
def test_deformable_attention_equals_plain_loops(with_width: bool) -> None:
    torch.manual_seed(0)
    heads, points, channels, lengths = 2, 3, 8, [9, 5]
    module = TemporalDeformableAttention(
        channels, num_heads=heads, num_points=points, offset_rate=1.0
    )
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    memory, mask = ragged(lengths, steps=9, channels=channels)
    memory = memory.transpose(1, 2)
    queries = torch.randn(2, 4, channels)
    reference = torch.rand(2, 4, 2 if with_width else 1)
    ours = module(queries, memory, mask, reference).detach().numpy()

    weight = {name: value.detach().numpy() for name, value in module.named_parameters()}

    def linear(name: str, x: np.ndarray) -> np.ndarray:
        return x @ weight[f"{name}.weight"].T + weight[f"{name}.bias"]

    for row, length in enumerate(lengths):
        value = linear("value", memory[row, :length].numpy()).reshape(length, heads, -1)
        for query in range(4):
            x = queries[row, query].numpy()
            offset = linear("offsets", x).reshape(heads, points)
            logit = linear("weights", x).reshape(heads, points)
            attention = np.exp(logit) / np.exp(logit).sum(axis=1, keepdims=True)
            place = reference[row, query].numpy()
            read = []
            for head in range(heads):
                total = np.zeros(channels // heads)
                for point in range(points):
                    if with_width:
                        share = place[0] + offset[head, point] / points * place[1] / 2
                    else:
                        share = place[0] + offset[head, point] / length
                    position = share * length - 0.5
                    total += attention[head, point] * read_between(value[:, head], position)
                read.append(total)
            expected = linear("proj", np.concatenate(read))
            np.testing.assert_allclose(ours[row, query], expected, rtol=1e-4, atol=1e-4)


def test_heads_first_look_right_nowhere_left_nowhere() -> None:
    module = TemporalDeformableAttention(16, num_heads=8, num_points=4, offset_rate=0.1)
    first = module.offsets(torch.randn(16)).detach().reshape(8, 4)
    expected = np.outer([1, 0, -1, 0, 1, 0, -1, 0], [1, 2, 3, 4])
    np.testing.assert_allclose(first, expected, atol=1e-5)


def test_slow_linear_moves_at_its_share_of_the_learning_rate() -> None:
    torch.manual_seed(0)
    rate, x = 0.1, torch.randn(7, 3)
    slow, plain = SlowLinear(3, 2, rate=rate), torch.nn.Linear(3, 2)
    slow.start_from(plain.weight, plain.bias)
    for layer, speed in ((slow, 1e-2), (plain, 1e-2 * rate)):
        optimiser = torch.optim.Adam(layer.parameters(), lr=speed, eps=0.0)
        for _ in range(5):
            optimiser.zero_grad()
            layer(x).square().sum().backward()
            optimiser.step()
    torch.testing.assert_close(slow(x), plain(x), rtol=1e-4, atol=1e-5)


def test_aligned_segments_equal_plain_loops() -> None:
    torch.manual_seed(0)
    lengths, bins = [37, 12], 4
    memory, _ = ragged(lengths, steps=37, channels=3)
    memory = memory.transpose(1, 2)
    # Long, short, shorter than a step, beyond either end, empty at the very end.
    segments = torch.tensor([[2.3, 31.9], [4.0, 7.5], [5.1, 5.2], [-3.0, 50.0], [99.0, 99.5]])
    ours = align_segments(
        memory, segments.expand(2, -1, -1), torch.tensor(lengths), num_bins=bins
    ).numpy()
    for row, length in enumerate(lengths):
        video = memory[row, :length].numpy()
        for number, (start, end) in enumerate(np.clip(segments.numpy(), 0, length)):
            size = max(end - start, 1.0) / bins
            for index in range(bins):
                places = int(np.ceil(size))
                total = np.zeros(3)
                for place in range(places):
                    t = start + index * size + (place + 0.5) * size / places
                    if t > length:
                        continue
                    t = min(t, length - 1)
                    total += read_between(video, t) / places
                np.testing.assert_allclose(ours[row, number, index], total, atol=1e-5)
