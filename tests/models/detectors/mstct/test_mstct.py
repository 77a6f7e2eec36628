import math

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor

from mmad.config.detectors.mstct import MSTCTSettings
from mmad.config.inference import InferenceSettings
from mmad.config.reading import SHIPPED_CONFIGS
from mmad.models.detectors.mstct.build import FAMILY
from mmad.models.detectors.mstct.criterion import centre_focal_loss, centre_heatmap, label_steps
from mmad.models.detectors.mstct.decoder import logit_levels
from mmad.models.detectors.mstct.network import MSTCT, FrameOutputs
from support.built_detectors import criterion_of
from support.detector_batches import padded, shaken

CONFIG = SHIPPED_CONFIGS / "features/mstct.yaml"


def network(*, seed: int = 0) -> MSTCT:
    torch.manual_seed(seed)
    settings = MSTCTSettings(
        stage_channels=(8, 12, 16), num_blocks=2, num_heads=2, mlp_ratio=2, mixer_channels=10
    )
    return shaken(FAMILY.network(settings, 6, 3).eval())


def alone(model: MSTCT, x_CT: Tensor) -> FrameOutputs:
    return model(x_CT[None], torch.ones(1, x_CT.shape[1], dtype=torch.bool))


# ---- network ----


def test_padding_changes_nothing() -> None:
    model = network()
    lengths = [23, 40, 1, 16]
    features = [torch.randn(6, n) for n in lengths]
    batch, mask = padded(features, 45)
    with torch.no_grad():
        together = model(batch, mask)
        for row, (x, n) in enumerate(zip(features, lengths, strict=True)):
            single = alone(model, x)
            for name in ("logits_BTK", "heatmap_BTK"):
                ours, theirs = getattr(together, name)[row, :n], getattr(single, name)[0]
                torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    assert together.logits_BTK.shape == together.heatmap_BTK.shape == (4, 45, 3)
    assert torch.equal(together.mask_BT, mask)


def plain_network(weights: dict[str, np.ndarray], x_CT: np.ndarray) -> tuple[np.ndarray, ...]:
    """The published formulas for one video, step by step; 3 stages, 2 blocks, 2 heads."""

    def conv(x_CT, name, stride=1, groups=1):
        w, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
        reach = w.shape[2] // 2
        padded = np.pad(x_CT, ((0, 0), (reach, reach)))
        columns = []
        for t in range(0, x_CT.shape[1], stride):
            patch = padded[:, t : t + w.shape[2]]
            if groups == 1:
                columns.append((w * patch[None]).sum((1, 2)) + bias)
            else:
                columns.append((w[:, 0] * patch).sum(1) + bias)
        return np.stack(columns, axis=1)

    def linear(x_TC, name):
        return x_TC @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(x_TC, name):
        centred = x_TC - x_TC.mean(1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-5)
        return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def attention(x_TC, name):
        width = x_TC.shape[1]
        q, k, v = np.split(linear(x_TC, f"{name}.qkv"), 3, axis=1)
        heads = []
        for head in range(2):
            part = slice(head * width // 2, (head + 1) * width // 2)
            similarity = np.exp(q[:, part] @ k[:, part].T / math.sqrt(width / 2))
            heads.append(similarity / similarity.sum(1, keepdims=True) @ v[:, part])
        return linear(np.concatenate(heads, axis=1), f"{name}.proj")

    def local(x_TC, name):
        hidden = linear(x_TC, f"{name}.linear1")
        hidden = conv(hidden.T, f"{name}.temporal.conv", groups=2).T
        gelu = 0.5 * hidden * (1 + np.vectorize(math.erf)(hidden / math.sqrt(2)))
        return linear(gelu, f"{name}.linear2")

    def stretch(x_CT, factor, steps):
        columns = []
        for t in range(steps):  # middles of steps lie on each other, ends are constant
            position = min(max((t + 0.5) / factor - 0.5, 0), x_CT.shape[1] - 1)
            low = math.floor(position)
            high = min(low + 1, x_CT.shape[1] - 1)
            columns.append(x_CT[:, low] * (1 - position + low) + x_CT[:, high] * (position - low))
        return np.stack(columns, axis=1)

    steps, levels = x_CT.shape[1], []
    for stage in range(3):
        name = f"stages.{stage}"
        x = norm(conv(x_CT, f"{name}.merge.conv", 1 if stage == 0 else 2).T, f"{name}.merge_norm")
        for block in range(2):
            part = f"{name}.blocks.{block}"
            x = x + attention(norm(x, f"{part}.norm1"), f"{part}.global_relations")
            x = x + local(norm(x, f"{part}.norm2"), f"{part}.local_relations")
        x_CT = norm(x, f"{name}.norm").T
        levels.append(stretch(conv(x_CT, f"mixer.project.{stage}"), 2**stage, steps))
    fine, middle, coarse = levels
    mixed = [coarse, conv(coarse, "mixer.mix.0") + middle, conv(coarse, "mixer.mix.1") + fine]
    logits = conv(conv(np.concatenate(mixed), "fuse"), "classification")
    hidden = conv(np.concatenate([coarse, middle, fine]), "heatmap_conv.conv")
    return logits.T, conv(np.maximum(hidden, 0), "heatmap").T


@pytest.mark.parametrize("steps", [16, 13])
def test_network_equals_plain_loops(steps: int) -> None:
    model = network().double()
    x = torch.randn(6, steps, dtype=torch.float64)
    weights = {name: value.numpy() for name, value in model.state_dict().items()}
    with torch.no_grad():
        outputs = alone(model, x)
    logits, heatmap = plain_network(weights, x.numpy())
    np.testing.assert_allclose(outputs.logits_BTK[0], logits, atol=1e-9)
    np.testing.assert_allclose(outputs.heatmap_BTK[0], heatmap, atol=1e-9)


def test_number_of_parameters_is_that_of_the_published_structure() -> None:
    with torch.device("meta"):
        model = FAMILY.network(MSTCTSettings(), 768, 52)
    total = 0
    for before, c in [(768, 256), (256, 384), (384, 576), (576, 864)]:
        merging = 3 * before * c + c + 2 * c  # convolution, norm
        attention = 2 * c + (c * c + c) + (2 * c * c + 2 * c) + (c * c + c)  # norm, q, kv, out
        hidden = 8 * c
        local = 2 * c + (c * hidden + hidden) + (3 * hidden + hidden) + (hidden * c + c)
        total += merging + 3 * (attention + local) + 2 * c
    total += (256 + 384 + 576 + 864) * 512 + 4 * 512  # projections of the mixer
    total += 3 * (512 * 512 + 512)  # mixing; the released code has a fourth that it never uses
    total += (4 * 512 * 512 + 512) + (512 * 52 + 52)  # class logits
    total += (3 * 4 * 512 * 512 + 512) + (512 * 52 + 52)  # heat-map
    assert sum(p.numel() for p in model.parameters()) == total == 86_936_936


def test_first_weights() -> None:
    torch.manual_seed(0)
    settings = MSTCTSettings(stage_channels=(64, 64), num_blocks=1, mixer_channels=16)
    model = FAMILY.network(settings, 64, 3)
    block = model.stages[1].blocks[0]
    assert block.local_relations.linear1.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert block.local_relations.linear1.bias.abs().max() == 0
    # Normal with variance 2 / (kernel x outputs / groups).
    merge, depthwise = model.stages[1].merge.conv, block.local_relations.temporal.conv
    assert merge.weight.std().item() == pytest.approx(math.sqrt(2 / (3 * 64)), rel=0.05)
    assert depthwise.weight.std().item() == pytest.approx(math.sqrt(2 / 3), rel=0.1)


def test_dropout_is_where_it_is_said_to_be() -> None:
    settings = MSTCTSettings().tiny()
    rates = {
        name: module.p
        for name, module in FAMILY.network(settings, 6, 3).named_modules()
        if isinstance(module, torch.nn.Dropout) and module.p > 0
    }
    assert rates == {"input_dropout": 0.5, "head_dropout": 0.5}


# ---- targets and losses ----

SEGMENTS = torch.tensor([[2.0, 9.7], [4.4, 12.1], [7.2, 7.9], [15.0, 30.0]])
LABELS = torch.tensor([0, 0, 2, 1])


def plain_targets(segments, labels, *, num_steps: int, num_classes: int):
    classes, heat = np.zeros((num_steps, num_classes)), np.zeros((num_steps, num_classes))
    for (start, end), label in zip(segments, labels, strict=True):
        inside = [t for t in range(num_steps) if start <= t < end]
        centre = min(math.floor((start + end) / 2 + 0.5), num_steps - 1)
        classes[inside or [centre], label] = 1
        radius = 2 * math.floor(end - start)
        sigma = (2 * radius + 1) / 4
        for t in range(max(0, centre - radius), min(num_steps, centre + radius + 1)):
            heat[t, label] = max(heat[t, label], math.exp(-(((t - centre) / sigma) ** 2)))
    return classes, heat


def test_targets_equal_plain_loops() -> None:
    sizes = {"num_steps": 20, "num_classes": 4}
    classes, heat = plain_targets(SEGMENTS.tolist(), LABELS.tolist(), **sizes)
    np.testing.assert_array_equal(label_steps(SEGMENTS, LABELS, **sizes), classes)
    found = centre_heatmap(SEGMENTS, LABELS, **sizes, reach=2.0, sharpness=4.0)
    np.testing.assert_allclose(found, heat, atol=1e-6)
    # By hand: 7.2 to 7.9 contains no step and is short: its centre 7.55 gives step 8, alone.
    assert np.flatnonzero(classes[:, 2]).tolist() == np.flatnonzero(heat[:, 2]).tolist() == [8]
    assert heat[:, 0].argmax() == 6  # (2 + 9.7) / 2 = 5.85
    assert heat[19, 1] == 1.0  # the centre 22.5 lies beyond the end


def test_heatmap_loss_by_hand() -> None:
    logits, targets = torch.tensor([0.0, 0.0, 1.0]), torch.tensor([1.0, 0.5, 0.0])
    p = 1 / (1 + math.exp(-1.0))
    expected = [0.5**2 * math.log(2), 0.5**4 * 0.5**2 * math.log(2), -(p**2) * math.log(1 - p)]
    found = centre_focal_loss(logits, targets, focus=2.0, tolerance=4.0)
    torch.testing.assert_close(found, torch.tensor(expected))


def outputs_of(lengths: list[int], *, num_classes: int = 4, seed: int = 0) -> FrameOutputs:
    shape = (len(lengths), max(lengths) + 3, num_classes)
    generator = torch.Generator().manual_seed(seed)
    logits, heatmap = (torch.randn(shape, generator=generator) * 2 for _ in range(2))
    mask = torch.arange(shape[1])[None] < torch.tensor(lengths)[:, None]
    return FrameOutputs(logits, heatmap, mask)


def test_losses_equal_plain_loops() -> None:
    outputs = outputs_of([20, 30, 9])
    nothing = torch.zeros(0, 2), torch.zeros(0, dtype=torch.long)
    segments, labels = [SEGMENTS, SEGMENTS[:1], nothing[0]], [LABELS, LABELS[:1], nothing[1]]
    losses = criterion_of("mstct", num_classes=4)(outputs, segments, labels)
    entropy, per_centre = 0.0, []
    for row, steps in enumerate([20, 30, 9]):
        classes, heat = plain_targets(
            segments[row].tolist(), labels[row].tolist(), num_steps=steps, num_classes=4
        )
        p, q = (
            1 / (1 + np.exp(-x[row, :steps].numpy().astype(float)))
            for x in (outputs.logits_BTK, outputs.heatmap_BTK)
        )
        entropy -= (classes * np.log(p) + (1 - classes) * np.log(1 - p)).sum()
        positive = heat == 1
        loss = -((1 - q[positive]) ** 2 * np.log(q[positive])).sum()
        loss -= ((1 - heat) ** 4 * q**2 * np.log(1 - q))[~positive].sum()
        per_centre.append(loss / max(positive.sum(), 1))
    assert losses.num_positives.item() == 20 + 30 + 9
    assert losses.parts["classification"].item() == pytest.approx(entropy, rel=1e-5)
    # Divided by the steps: the mean loss per centre, windows weighted by their steps.
    mean = np.average(per_centre, weights=[20, 30, 9])
    heatmap = losses.parts["heatmap"] / losses.num_positives
    assert heatmap.item() == pytest.approx(0.05 * mean, rel=1e-5)
    parts = []
    for row in range(3):
        one = FrameOutputs(
            outputs.logits_BTK[row : row + 1],
            outputs.heatmap_BTK[row : row + 1],
            outputs.mask_BT[row : row + 1],
        )
        parts.append(
            criterion_of("mstct", num_classes=4)(one, [segments[row]], [labels[row]]).total
        )
    assert losses.total.item() == pytest.approx(sum(parts).item(), rel=1e-5)


@pytest.mark.parametrize("empty", [True, False])
@pytest.mark.parametrize("autocast", [True, False])
def test_every_parameter_gets_a_gradient(empty: bool, autocast: bool) -> None:
    settings = MSTCTSettings(input_dropout=0, head_dropout=0).tiny()
    torch.manual_seed(0)
    model = FAMILY.network(settings, 6, 3)
    mask = torch.arange(21)[None] < torch.tensor([[21], [13]])
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        outputs = model(torch.randn(2, 6, 21) * mask[:, None], mask)
        segments = [torch.zeros(0, 2)] * 2 if empty else [torch.tensor([[2.0, 8.0]])] * 2
        labels = [torch.zeros(len(part), dtype=torch.long) for part in segments]
        losses = FAMILY.criterion(settings, 3)(outputs, segments, labels)
    (losses.total / losses.num_positives).backward()
    assert losses.total.isfinite()
    assert all(part.dtype == torch.float32 for part in losses.parts.values())
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


# ---- the family ----


def toy_video(generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Three instances of three classes; an instance raises the channel of its class."""
    features = 0.3 * torch.randn(6, 48, generator=generator)
    start = torch.tensor([1.0, 17.0, 33.0]) + 4 * torch.rand(3, generator=generator)
    length = 4 + 7 * torch.rand(3, generator=generator)
    labels = torch.randint(3, (3,), generator=generator)
    step = torch.arange(48)
    for a, n, label in zip(start, length, labels, strict=True):
        features[label, (step >= a) & (step < a + n)] += 1.5
    return features, torch.stack((start, start + length), dim=1), labels


@pytest.mark.slow
def test_it_learns() -> None:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    settings = MSTCTSettings(
        stage_channels=[16, 16, 16, 16], num_blocks=1, num_heads=2, mlp_ratio=2, mixer_channels=16,
        input_dropout=0.1, head_dropout=0.1,
    )  # fmt: skip
    model, criterion = FAMILY.network(settings, 6, 3), FAMILY.criterion(settings, 3)
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    mask = torch.ones(8, 48, dtype=torch.bool)
    for _ in range(100):
        videos = [toy_video(generator) for _ in range(8)]
        outputs = model(torch.stack([video[0] for video in videos]), mask)
        losses = criterion(outputs, [v[1] for v in videos], [v[2] for v in videos])
        optimizer.zero_grad()
        (losses.total / losses.num_positives).backward()
        optimizer.step()
    videos = [toy_video(generator) for _ in range(8)]
    with torch.no_grad():
        outputs = model.eval()(torch.stack([video[0] for video in videos]), mask)
    decoder = FAMILY.decoder(settings, InferenceSettings())
    hits = centres = 0
    for row, (found, (_, segments, labels)) in enumerate(
        zip(decoder(outputs), videos, strict=True)
    ):
        for segment, label in zip(segments, labels, strict=True):
            # The best candidate among those that touch the instance with its class.
            touching = (found.segments_grid[:, 0] < segment[1]) & (
                found.segments_grid[:, 1] > segment[0]
            )
            best = found.segments_grid[touching & (found.labels == label)][:1]
            if len(best) == 0:
                continue
            start, end = best[0]
            inner = torch.minimum(end, segment[1]) - torch.maximum(start, segment[0])
            union = torch.maximum(end, segment[1]) - torch.minimum(start, segment[0])
            top = found.scores[touching][0] == found.scores[touching & (found.labels == label)][0]
            hits += int(inner / union > 0.5 and bool(top))
            near = slice(int(segment[0]), int(segment[1]) + 1)
            centre = int(segment[0]) + int(outputs.heatmap_BTK[row, near, label].argmax())
            centres += int(abs(centre - segment.mean().item()) <= 2.5)
    assert hits >= 21  # of 24
    assert centres >= 18


def test_settings_and_the_file_agree() -> None:
    settings = MSTCTSettings.model_validate(yaml.safe_load(CONFIG.read_text())["detector"])
    assert settings == MSTCTSettings()
    tiny = settings.tiny()
    MSTCTSettings.model_validate(tiny.model_dump())
    outputs = FAMILY.network(tiny, 6, 3)(torch.randn(1, 6, 9), torch.ones(1, 9) > 0)
    decoder = FAMILY.decoder(tiny, InferenceSettings(score_threshold=0.3, max_candidates=7))
    assert (decoder.score_threshold, decoder.max_candidates) == (0.3, 7)
    assert decoder.levels == pytest.approx(logit_levels(lowest=0.01, highest=0.95, count=16))
    assert len(decoder(outputs)) == 1
    with pytest.raises(ValueError, match="100 is not a multiple of num_heads 8"):
        MSTCTSettings(stage_channels=[100, 64])
    with pytest.raises(ValueError, match="lowest_level < highest_level"):
        MSTCTSettings(lowest_level=0.5, highest_level=0.4)
