import itertools

import numpy as np
import pytest
import torch

from mmad.config.detectors.tadtr import TadTRSettings
from mmad.config.inference import InferenceSettings
from mmad.models.detectors.set_matching import to_bounds, to_centre_width
from mmad.models.detectors.tadtr.build import FAMILY
from mmad.models.detectors.tadtr.network import QueryOutputs, TadTR, relative_positions
from mmad.models.layers.deformable import align_segments
from support.built_detectors import criterion_of, decoder_of
from support.detector_batches import ragged, shaken

SMALL = TadTRSettings(
    channels=16,
    num_groups=4,
    num_heads=4,
    num_points=2,
    num_encoder_layers=2,
    num_decoder_layers=3,
    hidden_channels=24,
    num_queries=5,
    num_bins=4,
)


def network(settings: TadTRSettings = SMALL, *, shuffled: bool = True) -> TadTR:
    torch.manual_seed(0)
    model = FAMILY.network(settings, 6, 3).eval()
    assert isinstance(model, TadTR)
    return shaken(model) if shuffled else model


def test_positions_are_those_of_the_paper() -> None:
    mask = torch.arange(9)[None] < torch.tensor([[9], [5]])
    table = relative_positions(mask, 6)
    for row, length in enumerate([9, 5]):
        for t, channel in itertools.product(range(length), range(6)):
            angle = 2 * np.pi * (t + 0.5) / length / 10000 ** (2 * (channel // 2) / 6)
            wave = np.sin if channel % 2 == 0 else np.cos
            assert table[row, t, channel].item() == pytest.approx(wave(angle), abs=1e-6)


# ---- the network ----


def test_padding_changes_nothing_in_tadtr() -> None:
    model, lengths = network(), [23, 40, 7]
    batch, mask = ragged(lengths, steps=45)
    together = model(batch, mask)
    for row, length in enumerate(lengths):
        alone = model(batch[row : row + 1, :, :length], torch.ones(1, length) > 0)
        assert alone.lengths_B.item() == together.lengths_B[row].item() == length
        for name in ("logits_LBQK", "segments_LBQ2"):
            a, b = getattr(together, name)[:, row], getattr(alone, name)[:, 0]
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
        a, b = together.actionness_BQ[row], alone.actionness_BQ[0]
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_a_video_matters_and_so_does_its_order() -> None:
    model = network()
    x, mask = torch.randn(1, 6, 20), torch.ones(1, 20) > 0
    forwards, backwards = model(x, mask), model(x.flip(2), mask)
    for name in ("logits_LBQK", "segments_LBQ2", "actionness_BQ"):
        assert (getattr(forwards, name) - getattr(backwards, name)).abs().max() > 1e-3


def test_untrained_queries() -> None:
    model = network(shuffled=False)
    x, mask = torch.randn(2, 6, 20), torch.ones(2, 20) > 0
    out = model(x, mask)
    assert out.logits_LBQK.shape == (3, 2, 5, 3)
    assert out.segments_LBQ2.shape == (3, 2, 5, 2)
    assert out.actionness_BQ.shape == (2, 5)
    # Every layer repeats the first segments: centres of the queries, width sigmoid(-2).
    centres = model.centre(model.query_positions)[:, 0].sigmoid()
    for segments in out.segments_LBQ2.flatten(0, 1):
        torch.testing.assert_close(segments[:, 0], centres)
        torch.testing.assert_close(segments[:, 1], torch.full((5,), 1 / (1 + np.e**2)))
    for classes in model.classification:
        torch.testing.assert_close(classes.bias.sigmoid(), torch.full((3,), 0.01))


def test_actionness_looks_a_quarter_of_the_width_further() -> None:
    model = network()
    x, mask = torch.randn(1, 6, 20), torch.ones(1, 20) > 0
    out = model(x, mask)
    centre, width = out.segments_LBQ2[-1].unbind(-1)
    bounds = torch.stack((centre - width * 0.75, centre + width * 0.75), dim=-1) * 20
    pooled = align_segments(model.encode(x, mask), bounds, torch.tensor([20]), num_bins=4)
    hidden = np.stack([pooled[0, query].detach().numpy().T.ravel() for query in range(5)])
    for layer in (0, 2, 4):  # channels are the slower index
        linear = model.actionness[layer]
        hidden = hidden @ linear.weight.detach().numpy().T + linear.bias.detach().numpy()
        hidden = np.maximum(hidden, 0) if layer < 4 else 1 / (1 + np.exp(-hidden))
    np.testing.assert_allclose(out.actionness_BQ[0].detach(), hidden[:, 0], rtol=1e-4)


def test_no_steps_at_all() -> None:
    out = network()(torch.randn(1, 6, 4), torch.zeros(1, 4) > 0)
    assert out.segments_LBQ2.isfinite().all()
    assert out.actionness_BQ.isfinite().all()


def test_parameters_of_the_published_structure() -> None:
    model = FAMILY.network(TadTRSettings(), 768, 52)
    width, hidden, heads, points, classes, queries, bins = 256, 1024, 8, 4, 52, 40, 16

    def linear(inputs: int, outputs: int) -> int:
        return inputs * outputs + outputs

    norm = 2 * width
    deformable = 2 * linear(width, heads * points) + 2 * linear(width, width)
    feed_forward = linear(width, hidden) + linear(hidden, width)
    self_attention = 4 * linear(width, width)
    encoder = 4 * (deformable + feed_forward + 2 * norm)
    decoder = 4 * (self_attention + deformable + feed_forward + 3 * norm)
    projection = linear(768, width) + norm  # convolution of one step, group norm
    embeddings = width + 2 * queries * width + linear(width, 1)  # level, queries, first centres
    heads_of_layers = 4 * (linear(width, classes) + 2 * linear(width, width) + linear(width, 2))
    actionness = linear(bins * width, width) + linear(width, width) + linear(width, 1)
    expected = projection + embeddings + encoder + decoder + heads_of_layers + actionness
    assert sum(p.numel() for p in model.parameters()) == expected == 8_366_810


def test_settings_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="channels 100 is not a multiple of num_heads 8"):
        TadTRSettings(channels=100)
    tiny = TadTRSettings().tiny()
    out = FAMILY.network(tiny, 6, 3)(torch.randn(1, 6, 9), torch.ones(1, 9) > 0)
    assert out.logits_LBQK.shape == (1, 1, 40, 3)


def test_autocast_keeps_segments_exact() -> None:
    model = network(shuffled=False)
    torch.manual_seed(1)
    x, mask = torch.randn(1, 6, 50), torch.ones(1, 50) > 0
    for layer in model.regression:
        torch.nn.init.normal_(layer[-1].weight, std=0.05)
    exact = model(x, mask)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        fast = model(x, mask)
    for name in ("logits_LBQK", "segments_LBQ2", "actionness_BQ"):
        assert getattr(fast, name).dtype == torch.float32
    torch.testing.assert_close(fast.segments_LBQ2, exact.segments_LBQ2, rtol=0, atol=5e-3)
    torch.testing.assert_close(fast.logits_LBQK, exact.logits_LBQK, rtol=0, atol=0.1)


# ---- the losses ----


def plain_iou(a: np.ndarray, b: np.ndarray) -> float:
    """Of two (centre, width)."""
    start, end = max(a[0] - a[1] / 2, b[0] - b[1] / 2), min(a[0] + a[1] / 2, b[0] + b[1] / 2)
    inner = max(0.0, end - start)
    return inner / (a[1] + b[1] - inner)


def plain_focal(logit: float, *, positive: bool) -> float:
    p = 1 / (1 + np.exp(-logit))
    return -0.25 * (1 - p) ** 2 * np.log(p) if positive else -0.75 * p**2 * np.log(1 - p)


def plain_losses(outputs: QueryOutputs, segments: list, labels: list) -> dict[str, float]:
    """The losses from their formulas; the best matching is looked for among all."""
    parts = dict.fromkeys(("classification", "regression", "overlap", "actionness"), 0.0)
    truths = [
        [((s + e) / 2 / length, (e - s) / length) for s, e in np.asarray(rows).reshape(-1, 2)]
        for rows, length in zip(segments, outputs.lengths_B.tolist(), strict=True)
    ]
    for logits_BQK, segments_BQ2 in zip(
        outputs.logits_LBQK.detach().double().numpy(),
        outputs.segments_LBQ2.detach().double().numpy(),
        strict=True,
    ):
        for logits, found, truth, label in zip(
            logits_BQK, segments_BQ2, truths, labels, strict=True
        ):

            def cost(query: int, number: int) -> float:
                logit = logits[query, label[number]]  # noqa: B023
                change = plain_focal(logit, positive=True) - plain_focal(logit, positive=False)
                distance = np.abs(found[query] - truth[number]).sum()  # noqa: B023
                return 6 * change + 5 * distance - 2 * plain_iou(found[query], truth[number])  # noqa: B023

            choices = itertools.permutations(range(len(found)), len(truth))
            best = min(choices, key=lambda c: sum(cost(q, n) for n, q in enumerate(c)))
            positives = {(query, label[number]) for number, query in enumerate(best)}
            for query, k in np.ndindex(*logits.shape):
                loss = plain_focal(logits[query, k], positive=(query, k) in positives)
                parts["classification"] += 2 * loss
            for number, query in enumerate(best):
                parts["regression"] += 5 * np.abs(found[query] - truth[number]).sum()
                parts["overlap"] += 2 * (1 - plain_iou(found[query], truth[number]))
    errors = []
    for found, actionness, truth in zip(
        outputs.segments_LBQ2[-1].tolist(), outputs.actionness_BQ.tolist(), truths, strict=True
    ):
        for segment, score in zip(found, actionness, strict=True):
            errors.append(abs(score - max([plain_iou(segment, t) for t in truth], default=0.0)))
    parts["actionness"] = 4 * float(np.mean(errors)) * max(1, sum(map(len, truths)))
    return parts


@pytest.mark.parametrize("counts", [(3, 1), (2, 0), (0, 0)])
def test_losses_equal_plain_loops(counts: tuple[int, int]) -> None:
    torch.manual_seed(0)
    lengths = torch.tensor([30, 12])
    outputs = QueryOutputs(
        torch.randn(2, 2, 4, 3), torch.rand(2, 2, 4, 2), torch.rand(2, 4), lengths
    )
    segments = []
    for count, length in zip(counts, lengths.tolist(), strict=True):
        segments.append((torch.rand(count, 2) * length).sort(dim=1).values)
    labels = [torch.randint(0, 3, (count,)) for count in counts]
    losses = criterion_of("tadtr")(outputs, segments, labels)
    expected = plain_losses(outputs, [s.tolist() for s in segments], [x.tolist() for x in labels])
    assert set(losses.parts) == set(expected)
    for name, value in expected.items():
        assert losses.parts[name].item() == pytest.approx(value, rel=1e-4), name
    assert losses.num_positives.item() == sum(counts)
    assert losses.total.item() == pytest.approx(sum(expected.values()), rel=1e-4)


def test_more_annotations_than_queries() -> None:
    outputs = QueryOutputs(
        torch.randn(1, 1, 2, 3), torch.rand(1, 1, 2, 2), torch.rand(1, 2), torch.tensor([10])
    )
    segments = torch.tensor([[0.0, 2.0], [3.0, 5.0], [6.0, 9.0]])
    losses = criterion_of("tadtr")(outputs, [segments], [torch.tensor([0, 1, 2])])
    assert losses.total.isfinite()
    assert losses.num_positives.item() == 3


@pytest.mark.parametrize("counts", [(2, 1), (1, 0), (0, 0)])
def test_every_parameter_gets_a_gradient(counts: tuple[int, int]) -> None:
    model = network().train()
    batch, mask = ragged([23, 40], steps=40)
    segments = [torch.tensor([[2.0, 9.0], [4.0, 6.5]])[:count] for count in counts]
    labels = [torch.tensor([1, 2])[:count] for count in counts]
    losses = criterion_of("tadtr")(model(batch, mask), segments, labels)
    assert losses.total.isfinite()
    losses.total.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        if sum(counts):
            assert parameter.grad.abs().max() > 0, name


# ---- candidates ----


def test_candidates_by_hand() -> None:
    logits = torch.tensor([[2.0, -1.0], [0.5, 1.0]])
    segments = torch.tensor([[0.5, 0.2], [0.25, 0.5]])
    actionness = torch.tensor([0.5, 0.9])
    outputs = QueryOutputs(
        torch.stack((torch.zeros(1, 2, 2), logits[None])),
        torch.stack((torch.ones(1, 2, 2), segments[None])),
        actionness[None],
        torch.tensor([40]),
    )
    (found,) = decoder_of("tadtr", score_threshold=0.2, max_candidates=9)(outputs)
    sigmoid = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
    expected = [0.9 * sigmoid(1.0), 0.9 * sigmoid(0.5), 0.5 * sigmoid(2.0)]  # 0.134 is too little
    np.testing.assert_allclose(found.scores, expected, rtol=1e-5)
    assert found.labels.tolist() == [1, 0, 0]
    np.testing.assert_allclose(found.segments_grid, [[0, 20], [0, 20], [16, 24]], atol=1e-4)
    (found,) = decoder_of("tadtr", score_threshold=0.2, max_candidates=2)(outputs)
    assert len(found.scores) == 2
    (found,) = decoder_of("tadtr", score_threshold=0.2, max_candidates=9, min_length=10)(outputs)
    assert found.labels.tolist() == [1, 0]


# ---- learning ----


def toy_videos(*, count: int, steps: int) -> tuple[torch.Tensor, list, list]:
    """Noise with two or three bumps each, one channel for each of three classes."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(count, 6, steps, generator=generator) * 0.3
    segments, labels = [], []
    for row in range(count):
        slots = torch.randperm(3, generator=generator)[: 2 + row % 2]
        starts = slots * (steps / 3) + torch.rand(len(slots), generator=generator) * 4
        widths = 5 + torch.rand(len(slots), generator=generator) * (steps / 3 - 10)
        classes = torch.randint(0, 3, (len(slots),), generator=generator)
        ends = starts + widths
        for start, end, k in zip(starts.round().int(), ends.round().int(), classes, strict=True):
            features[row, k, start:end] += 3.0
        segments.append(torch.stack((starts.round(), ends.round()), dim=1))
        labels.append(classes)
    return features, segments, labels


@pytest.mark.slow
def test_tadtr_learns_planted_segments() -> None:
    features, segments, labels = toy_videos(count=8, steps=48)
    mask = torch.ones(8, 48) > 0
    settings = TadTRSettings(
        channels=32,
        num_groups=4,
        num_heads=4,
        num_encoder_layers=1,
        num_decoder_layers=2,
        hidden_channels=64,
        num_queries=10,
        dropout=0.0,
    )
    model = network(settings, shuffled=False).train()
    criterion = FAMILY.criterion(settings, 3)
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-4)

    def recall() -> float:
        """Share of the truths that are among as many best candidates of their video."""
        with torch.no_grad():
            found = FAMILY.decoder(settings, InferenceSettings())(model.eval()(features, mask))
        hits = []
        for candidates, truths, label in zip(found, segments, labels, strict=True):
            best = to_centre_width(candidates.segments_grid[: len(truths)]).numpy()
            classes = candidates.labels[: len(truths)]
            for truth, k in zip(to_centre_width(truths).numpy(), label, strict=True):
                same = best[(classes == k).numpy()]
                hits.append(any(plain_iou(segment, truth) > 0.5 for segment in same))
        return float(np.mean(hits))

    assert recall() < 0.5
    model.train()
    for _ in range(70):
        losses = criterion(model(features, mask), segments, labels)
        optimiser.zero_grad()
        (losses.total / losses.num_positives).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    assert recall() > 0.8


def test_bounds_of_outputs_are_shares_of_the_video() -> None:
    out = network()(torch.randn(1, 6, 20), torch.ones(1, 20) > 0)
    (found,) = decoder_of("tadtr", score_threshold=0.0, max_candidates=15)(out)
    expected = to_bounds(out.segments_LBQ2[-1, 0]) * 20
    assert {tuple(row) for row in found.segments_grid.tolist()} == {
        tuple(row) for row in expected.tolist()
    }
