import numpy as np
import pytest
import torch
from scipy.special import softmax

from mmad.config.detectors.pointtad import PointTADSettings
from mmad.config.inference import InferenceSettings
from mmad.models.detectors.pointtad.build import FAMILY
from mmad.models.detectors.pointtad.network import (
    DecoderLayer,
    LocalDeformation,
    PointTAD,
    bounds_of_points,
    move_points,
    sample_steps,
)
from mmad.models.detectors.set_matching import pairwise_iou
from support.built_detectors import criterion_of, decoder_of
from support.detector_batches import shaken

SMALL = {
    "channels": 16,
    "num_points": 6,
    "num_boundary_points": 2,
    "num_heads": 2,
    "hidden_channels": 24,
    "dynamic_channels": 8,
}


def untrained(*, in_channels: int = 5, **changes: object) -> PointTAD:
    torch.manual_seed(0)
    return FAMILY.network(PointTADSettings(**(SMALL | changes)), in_channels, 3)


def network(**changes: object) -> PointTAD:
    model = untrained(**({"num_queries": 4} | changes)).eval()
    shaken(model)
    torch.nn.init.uniform_(model.points_QP)
    return model


def annotations() -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    segments = [torch.tensor([[2.0, 9.5], [12.2, 17.0]]), torch.zeros(0, 2)]
    return segments, [torch.tensor([2, 0]), torch.zeros(0, dtype=torch.long)]


# ---- the network against plain NumPy ----


def plain_linear(layer: torch.nn.Linear, x: np.ndarray) -> np.ndarray:
    bias = 0 if layer.bias is None else layer.bias.detach().numpy()
    return x @ layer.weight.detach().numpy().T + bias


def plain_norm(layer: torch.nn.LayerNorm, x: np.ndarray) -> np.ndarray:
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + layer.eps)
    return x * layer.weight.detach().numpy() + layer.bias.detach().numpy()


def plain_point(layer: LocalDeformation, query, point, group, features_TC) -> np.ndarray:
    """Feature of one point of one query."""
    steps, count = len(features_TC), layer.num_subpoints
    columns = slice(group * count, (group + 1) * count)
    offsets = plain_linear(layer.offsets, query)[columns]
    weights = softmax(plain_linear(layer.weights, query)[columns])
    total = np.zeros(features_TC.shape[1])
    for offset, weight in zip(offsets, weights, strict=True):
        step = min(max(point + offset / steps, 0.0), 1.0) * (steps - 1)
        for channel in range(features_TC.shape[1]):
            total[channel] += weight * np.interp(step, np.arange(steps), features_TC[:, channel])
    return total


def plain_mixing(layer: DecoderLayer, query: np.ndarray, seen_PC: np.ndarray) -> np.ndarray:
    mixing = layer.mixing
    points, channels = seen_PC.shape
    over_points = plain_linear(mixing.point_weights, query).reshape(points, points)
    weights = plain_linear(mixing.channel_weights, query)
    narrow, wide = weights[: len(weights) // 2], weights[len(weights) // 2 :]
    first = np.maximum(plain_norm(mixing.point_norm, seen_PC.T @ over_points), 0).T
    second = np.maximum(plain_norm(mixing.narrow_norm, seen_PC @ narrow.reshape(channels, -1)), 0)
    second = np.maximum(plain_norm(mixing.wide_norm, second @ wide.reshape(-1, channels)), 0)
    joined = np.concatenate([np.r_[second[p], first[p]] for p in range(points)])
    return np.maximum(plain_norm(mixing.out_norm, plain_linear(mixing.out, joined)), 0)


def plain_attention(layer: torch.nn.MultiheadAttention, x_QC: np.ndarray) -> np.ndarray:
    weight, bias = layer.in_proj_weight.detach().numpy(), layer.in_proj_bias.detach().numpy()
    q, k, v = np.split(x_QC @ weight.T + bias, 3, axis=1)
    width = x_QC.shape[1] // layer.num_heads
    heads = []
    for head in range(layer.num_heads):
        part = slice(head * width, (head + 1) * width)
        heads.append(softmax(q[:, part] @ k[:, part].T / np.sqrt(width), axis=1) @ v[:, part])
    return plain_linear(layer.out_proj, np.concatenate(heads, axis=1))


def plain_tower(tower: torch.nn.Sequential, x: np.ndarray) -> np.ndarray:
    for layer in tower:
        if isinstance(layer, torch.nn.Linear):
            x = plain_linear(layer, x)
        elif isinstance(layer, torch.nn.LayerNorm):
            x = plain_norm(layer, x)
        else:
            x = np.maximum(x, 0)
    return x


def plain_layer(layer: DecoderLayer, queries, points, features_TC):
    """One video through one layer, a query and a point at a time."""
    groups = layer.deformation.group_of_point_P.tolist()
    before = queries
    queries = plain_norm(layer.attention_norm, queries + plain_attention(layer.attention, queries))
    logits, moved, new = [], [], []
    for query, old, own in zip(queries, before, points, strict=True):
        seen = np.stack(
            [
                plain_point(layer.deformation, old, point, group, features_TC)
                for point, group in zip(own, groups, strict=True)
            ]
        )
        query = plain_norm(layer.mixing_norm, query + plain_mixing(layer, query, seen))
        hidden = plain_linear(layer.fc2, np.maximum(plain_linear(layer.fc1, query), 0))
        query = plain_norm(layer.feedforward_norm, query + hidden)
        spanning = own[: len(own) * 2 // 3]
        length = max(spanning) - min(spanning)
        logits.append(plain_tower(layer.classification, query))
        moved.append(own + plain_tower(layer.regression, query) * length * 0.5)
        new.append(query)
    return np.stack(logits), np.stack(moved), np.stack(new)


@torch.no_grad()
def test_network_equals_plain_loops() -> None:
    model = network(num_layers=2)
    features = torch.randn(2, 5, 13)
    lengths = [13, 9]
    mask = torch.arange(13)[None] < torch.tensor(lengths)[:, None]
    outputs = model(features, mask)
    for video, length in enumerate(lengths):
        weight, bias = model.project.weight[..., 0].numpy(), model.project.bias.numpy()
        sequence = features[video, :, :length].numpy().T.astype(float) @ weight.T + bias
        queries, points = model.queries_QC.numpy(), model.points_QP.numpy()
        for depth, layer in enumerate(model.layers):
            logits, points, queries = plain_layer(layer, queries, points, sequence)
            segments = np.stack([points[:, :4].min(1), points[:, :4].max(1)], axis=1)
            np.testing.assert_allclose(
                outputs.logits_DBQK[depth, video], logits, rtol=1e-3, atol=1e-4
            )
            np.testing.assert_allclose(
                outputs.segments_DBQ2[depth, video], segments, rtol=1e-3, atol=1e-4
            )
        kernel, narrow_bias = (x.numpy() for x in model.dense[0].parameters())
        padded = np.pad(sequence, ((1, 1), (0, 0)))
        narrow = sum(padded[k : k + length] @ kernel[..., k].T for k in range(3)) + narrow_bias
        kernel, bias = (x.numpy() for x in model.dense[2].parameters())
        np.testing.assert_allclose(
            outputs.dense_logits_BTK[video, :length],
            narrow @ kernel[..., 0].T + bias,
            rtol=1e-3,
            atol=1e-4,
        )


def test_sampling_is_linear_and_stops_at_the_ends() -> None:
    features = torch.arange(5.0)[None, :, None] ** 2  # 0 1 4 9 16; the video has four steps
    places = torch.tensor([0.0, 0.5, 1.0, 1.7, -2.0]).view(1, 1, 5, 1)
    found = sample_steps(features, places, torch.ones(1, 1, 5, 1), lengths_B=torch.tensor([4]))
    assert found[0, 0, :, 0].tolist() == [0.0, (1 + 4) / 2, 9.0, 9.0, 0.0]


def test_only_two_thirds_of_the_points_span_the_segment() -> None:
    points = torch.tensor([0.5, 0.25, 0.75, 0.5, 0.0, 1.0])
    assert bounds_of_points(points).tolist() == [0.25, 0.75]
    moved = move_points(points, torch.tensor([0.0, -1.0, 1.0, 0.0, 4.0, 0.0]))
    assert moved.tolist() == [0.5, 0.25 - 0.5 / 2, 0.75 + 0.5 / 2, 0.5, 4 * 0.5 / 2, 1.0]


@pytest.mark.parametrize("steps", [1, 2, 40])
def test_padding_changes_nothing(steps: int) -> None:
    model = network()
    lengths = [23, steps]
    features = [torch.randn(5, n) for n in lengths]
    batch, mask = torch.randn(2, 5, 44), torch.zeros(2, 44, dtype=torch.bool)
    for row, (x, n) in enumerate(zip(features, lengths, strict=True)):
        batch[row, :, :n], mask[row, :n] = x, True
    together = model(batch, mask)
    for row, (x, n) in enumerate(zip(features, lengths, strict=True)):
        alone = model(x[None], torch.ones(1, n, dtype=torch.bool))
        for ours, theirs in [
            (together.logits_DBQK[:, row], alone.logits_DBQK[:, 0]),
            (together.segments_DBQ2[:, row], alone.segments_DBQ2[:, 0]),
            (together.dense_logits_BTK[row, :n], alone.dense_logits_BTK[0]),
        ]:
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


# ---- first values, gradients, size ----


def test_before_training_every_point_is_in_the_middle_and_looks_ahead() -> None:
    model = untrained()
    assert (model.points_QP == 0.5).all()
    for layer in model.layers:
        assert layer.deformation.offsets.bias.tolist() == [1, 2, 3, 4, 1, 2, 3, 4]
        assert (layer.deformation.weights.bias == 0).all()
        largest = layer.deformation.weights.weight.abs().max()
        assert 0.8 < largest / np.sqrt(6 / (16 + 8)) <= 1  # Xavier
    outputs = model(torch.randn(1, 5, 20), torch.ones(1, 20, dtype=torch.bool))
    torch.testing.assert_close(
        outputs.segments_DBQ2, torch.full_like(outputs.segments_DBQ2, 0.5), rtol=0, atol=0
    )


def test_equal_points_are_told_apart() -> None:
    """A segment of no length keeps it for ever if all of its points get the same gradient."""
    model = untrained(num_queries=1)
    optimizer = torch.optim.SGD([model.points_QP], lr=0.05)
    for _ in range(2):
        outputs = model(torch.randn(1, 5, 20), torch.ones(1, 20, dtype=torch.bool))
        losses = criterion_of("pointtad")(
            outputs, [torch.tensor([[0.0, 8.0]])], [torch.tensor([1])]
        )
        optimizer.zero_grad()
        (losses.parts["distance"] + losses.parts["iou"]).backward()
        optimizer.step()
    start, end = bounds_of_points(model.points_QP.detach())[0]
    assert end - start > 0.01


@pytest.mark.parametrize("auxiliary_losses", [True, False])
def test_every_parameter_gets_a_gradient(auxiliary_losses: bool) -> None:
    model = network().train()
    mask = torch.arange(20)[None] < torch.tensor([[20], [13]])
    outputs = model(torch.randn(2, 5, 20), mask)
    criterion = criterion_of("pointtad", auxiliary_losses=auxiliary_losses)
    losses = criterion(outputs, *annotations())
    assert ("auxiliary" in losses.parts) == auxiliary_losses
    losses.total.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        # The first layer's classes are judged by the auxiliary losses alone.
        judged = auxiliary_losses or not name.startswith("layers.0.classification")
        assert (parameter.grad.abs().sum() > 0) == judged, name


def test_no_instances_at_all() -> None:
    model = network().train()
    outputs = model(torch.randn(2, 5, 20), torch.ones(2, 20, dtype=torch.bool))
    none = [torch.zeros(0, 2)] * 2, [torch.zeros(0, dtype=torch.long)] * 2
    losses = criterion_of("pointtad")(outputs, *none)
    assert losses.num_positives == 0
    assert losses.parts["distance"] == losses.parts["iou"] == 0
    nothing = -outputs.logits_DBQK.log_softmax(dim=-1)[..., -1].mean(dim=(1, 2))
    torch.testing.assert_close(losses.parts["classification"], nothing[-1])
    torch.testing.assert_close(losses.parts["auxiliary"], nothing[0])
    losses.total.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_number_of_parameters() -> None:
    c, k, p, q, s, e, h = 512, 52, 30, 24, 4, 64, 2048
    norm = 2 * c
    deformation = 2 * (c + 1) * 2 * s  # offsets and weights, of boundary and other points
    attention = 4 * (c + 1) * c
    over_points = (c + 1) * p * p + 2 * p
    over_channels = (c + 1) * 2 * c * e + 2 * e + norm
    mixing = over_points + over_channels + (2 * c * p + 1) * c + norm
    feedforward = (c + 1) * h + (h + 1) * c
    classification = c * c + norm + (c + 1) * (k + 1)
    regression = 3 * (c * c + norm) + (c + 1) * p
    layer = deformation + attention + mixing + feedforward + classification + regression + 3 * norm
    dense = (3 * c + 1) * (c // 2) + (c // 2 + 1) * k
    total = (768 + 1) * c + dense + q * (c + p) + 2 * layer
    assert total == 108_953_418
    with torch.device("meta"):
        model = FAMILY.network(PointTADSettings(), 768, 52)
    assert sum(x.numel() for x in model.parameters()) == total


def test_autocast_keeps_points_in_full_precision() -> None:
    model = network()
    features, mask = torch.randn(2, 5, 20), torch.ones(2, 20, dtype=torch.bool)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = model(features, mask)
        losses = criterion_of("pointtad")(outputs, *annotations())
    assert outputs.logits_DBQK.dtype == torch.bfloat16
    assert outputs.segments_DBQ2.dtype == torch.float32
    assert losses.total.dtype == torch.float32
    full = model(features, mask).segments_DBQ2
    torch.testing.assert_close(outputs.segments_DBQ2, full, rtol=0.1, atol=0.1)


# ---- settings ----


def test_family_from_settings() -> None:
    settings = PointTADSettings().tiny()
    model = FAMILY.network(settings, 5, 3).eval()
    outputs = model(torch.randn(2, 5, 20), torch.ones(2, 20, dtype=torch.bool))
    assert outputs.logits_DBQK.shape == (2, 2, 24, 3 + 1)
    assert FAMILY.criterion(settings, 3)(outputs, *annotations()).total.isfinite()
    candidates = FAMILY.decoder(settings, InferenceSettings())(outputs)
    assert [len(found.scores) for found in candidates] == [24, 24]


def test_impossible_settings() -> None:
    with pytest.raises(ValueError, match="channels 20 is not a multiple of num_heads 8"):
        PointTADSettings(channels=20)
    with pytest.raises(ValueError, match="num_boundary_points 4 is more than num_points 3"):
        PointTADSettings(num_points=3)


# ---- learning ----


def planted(count: int, generator: torch.Generator):
    """Noise with a bump in the channel of its class, in videos of different length."""
    steps = 40
    features = 0.3 * torch.randn(count, 6, steps, generator=generator)
    mask = torch.ones(count, steps, dtype=torch.bool)
    segments, labels = [], []

    def draw(low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=generator))

    for row in range(count):
        length, width, label = draw(30, steps + 1), draw(6, 13), draw(0, 3)
        start = draw(0, length - width)
        features[row, label, start : start + width] += 2
        features[row, :, length:] = 0
        mask[row, length:] = False
        segments.append(torch.tensor([[float(start), float(start + width)]]))
        labels.append(torch.tensor([label]))
    return features, mask, segments, labels


@pytest.mark.slow
def test_it_learns_planted_bumps() -> None:
    sizes = {"channels": 32, "num_points": 9, "num_heads": 4, "hidden_channels": 64}
    model = untrained(in_channels=6, **sizes, num_queries=6, dropout=0.0)
    criterion = criterion_of("pointtad")
    decoder = decoder_of("pointtad", score_threshold=0.0, max_candidates=99)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-2)
    num_steps = 120
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, 2 * (1 - step / num_steps))
    )
    generator = torch.Generator().manual_seed(0)
    for _ in range(num_steps):
        features, mask, segments, labels = planted(8, generator)
        losses = criterion(model(features, mask), segments, labels)
        optimizer.zero_grad()
        (losses.total / losses.num_positives).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()

    features, mask, segments, labels = planted(32, generator)  # new ones
    with torch.no_grad():
        candidates = decoder(model.eval()(features, mask))
    right = 0
    for found, true, label in zip(candidates, segments, labels, strict=True):
        iou, _ = pairwise_iou(found.segments_grid[:1], true)
        right += bool(found.labels[0] == label[0] and iou.item() > 0.5)
    assert right >= 20  # untrained: about 0
