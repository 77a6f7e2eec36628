"""Heads and losses of recognition, by hand and against a second computation in NumPy."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from mmad.config.backbones.videomae import VideoMAESettings
from mmad.config.recognisers.auxiliary_heads import AuxiliaryHeadsSettings
from mmad.config.recognition import ClipDataSettings, RecognitionConfig
from mmad.evaluation.level_fusion import combine_levels
from mmad.labels import MA52
from mmad.models.build import build_recogniser
from mmad.models.recognisers.auxiliary_heads.criterion import (
    EPS,
    HeadsCriterion,
    RecognitionTargets,
    body_weights,
    soft_f1,
)
from mmad.models.recognisers.auxiliary_heads.network import (
    ArcFace,
    Gate,
    Heads,
    Linear,
)
from mmad.models.recognisers.families import build_recognition_criterion
from mmad.models.recognisers.whole import Mix, Recogniser


def make_config(**heads: object) -> RecognitionConfig:
    return RecognitionConfig(
        data=ClipDataSettings(train=["x"], clips="y"),
        backbone=VideoMAESettings(
            size={"width": 32, "depth": 2, "num_heads": 2},
            position_image_size=32,
            adapter={"name": "dsta"},
        ),
        heads=AuxiliaryHeadsSettings(squeeze=4, **heads),
        training={"epochs": 1},
    )


def criterion(gather: Callable[[Tensor], Tensor] = lambda rows: rows) -> HeadsCriterion:
    return build_recognition_criterion(make_config(), labels=MA52, counts=[1] * 52, gather=gather)


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_parameter_counts_at_the_width_of_the_paper() -> None:
    """768 x 52; 2 x 768 x 48 + 768 x 52 + 52; 768 x 7; 2 x 768 x 48 + 768 x 7 + 7.

    One gate less where it is shared, and no biases of frame heads with ArcFace.
    """
    gate = 2 * 768 * 48
    parts = [768 * 52, gate + 768 * 52 + 52, 768 * 7, gate + 768 * 7 + 7]
    assert sum(parts) == 238_139
    for compat, expected in (("released", 238_139), (None, 238_139 - gate - 52 - 7)):
        content = make_config().model_dump()
        content["heads"] = {}
        content["backbone"] = {"size": {"width": 768, "depth": 1, "num_heads": 12}}
        content["compat"] = compat
        model = build_recogniser(RecognitionConfig(**content), labels=MA52)
        assert count(model.heads) == expected


def arcface(cosines: list[float], *, on_all: bool = False) -> ArcFace:
    """A classifier in the plane whose classes have these cosines with (1, 0)."""
    head = ArcFace(2, len(cosines), scale=30.0, margin=0.5, on_all=on_all)
    rows = [[cosine, math.sqrt(1 - cosine**2)] for cosine in cosines]
    head.weight.data = torch.tensor(rows)
    return head


X = torch.tensor([[3.0, 0.0]])  # its length does not matter


def test_the_margin_is_on_the_target_and_in_training_only() -> None:
    head = arcface([0.6, 0.8, -0.2])
    torch.testing.assert_close(head(X), 30 * torch.tensor([[0.6, 0.8, -0.2]]))
    angle = math.acos(0.8)
    expected = [30 * 0.6, 30 * math.cos(angle + 0.5), 30 * -0.2]
    torch.testing.assert_close(head(X, torch.tensor([1])), torch.tensor([expected]))


def test_beyond_the_turning_point_the_target_still_falls() -> None:
    cosine = -0.95
    assert cosine < math.cos(math.pi - 0.5)
    found = arcface([cosine, 0.0])(X, torch.tensor([0]))[0, 0].item()
    assert found == pytest.approx(30 * (cosine - 0.5 * math.sin(0.5)), rel=1e-4)
    assert found < 30 * math.cos(math.pi)  # and not back up again


def test_the_released_margin_is_on_all_classes_always() -> None:
    head = arcface([0.6, 0.8], on_all=True)
    expected = torch.tensor([[30 * math.cos(math.acos(c) + 0.5) for c in (0.6, 0.8)]])
    for labels in (None, torch.tensor([1])):
        torch.testing.assert_close(head(X, labels), expected)


def test_a_gate_multiplies_or_replaces() -> None:
    x = torch.tensor([[2.0, -1.0]])
    gate = Gate(2, squeeze=1, multiply=True)
    gate.down.weight.data = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    gate.up.weight.data = torch.tensor([[0.5, 0.0], [0.0, 9.0]])
    weights = torch.tensor([[1 / (1 + math.exp(-0.5 * 2)), 0.5]])  # relu(-1) is 0
    torch.testing.assert_close(gate(x), x * weights)
    gate.multiply = False
    torch.testing.assert_close(gate(x), weights)


class Sum(nn.Module):
    """A classifier that shows its input."""

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return x


def test_rows_of_the_frame_head_are_frames_or_groups_of_channels() -> None:
    tokens = torch.arange(2 * 3 * 1 * 4, dtype=torch.float32).reshape(2, 3, 1, 4)  # N T S D
    heads = Heads(
        Sum(),
        coarse=None,
        norm=None,
        dropout=0.0,
        fine_frame=Sum(),
        coarse_frame=None,
        fine_gate=nn.Identity(),
        coarse_gate=None,
        frame_rows="frames",
    )
    frames, pooled = tokens.mean(dim=2), tokens.mean(dim=(1, 2))
    outputs = heads(frames, pooled)
    torch.testing.assert_close(outputs.fine_frame, tokens.reshape(6, 4))
    torch.testing.assert_close(outputs.fine, tokens.mean(dim=(1, 2)))
    heads.frame_rows = "channel_groups"
    # (N, C, T, H, W) reshaped to (N x T, C, H, W), as released, then the mean over H and W.
    released = tokens.permute(0, 3, 1, 2).reshape(6, 4)
    torch.testing.assert_close(heads(frames, pooled).fine_frame, released)


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("classifier", ["arcface", "linear"])
def test_every_head_gives_logits_of_both_levels(norm: bool, classifier: str) -> None:
    model = build_recogniser(make_config(norm=norm, classifier=classifier), labels=MA52)
    clips = torch.randint(0, 255, (3, 16, 32, 32, 3), dtype=torch.uint8)
    colours = torch.eye(3, 4).expand(3, 3, 4) / 100
    outputs = model(clips, colours, [1, 1, 1], torch.tensor([0, 5, 9]), torch.tensor([0, 1, 1]))
    assert outputs.fine.shape == (3, 52)
    assert outputs.coarse is not None
    assert outputs.coarse.shape == (3, 7)
    assert outputs.fine_frame is not None
    assert outputs.fine_frame.shape == (3 * 8, 52)
    assert outputs.coarse_frame is not None
    assert outputs.coarse_frame.shape == (3 * 8, 7)
    assert isinstance(model.heads.fine, Linear) == (classifier == "linear")
    assert isinstance(model.heads.fine_frame, ArcFace)


def recognizer() -> tuple[Recogniser, Tensor, Tensor]:
    model = build_recogniser(make_config(classifier="linear", dropout=0.0), labels=MA52).eval()
    generator = torch.Generator().manual_seed(1)
    clips = torch.randint(0, 255, (2, 16, 32, 32, 3), dtype=torch.uint8, generator=generator)
    return model, clips, torch.eye(3, 4).expand(2, 3, 4) / 100


def test_a_clip_does_not_depend_on_its_neighbours() -> None:
    model, clips, colours = recognizer()
    for block in model.features.backbone.blocks:  # so that adapters do something
        assert block.adapter is not None
        for parameter in block.adapter.parameters():
            nn.init.normal_(parameter, std=0.2)
    together = model(clips, colours, [1, 1]).fine
    alone = torch.cat([model(c[None], colours[:1], [1]).fine for c in clips])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    # Two samples of one clip are as far apart as samples of two clips.
    torch.testing.assert_close(model(clips, colours[:1], [2]).fine, alone, rtol=1e-4, atol=1e-5)


def test_mixing_is_mixing_images() -> None:
    model, clips, colours = recognizer()
    share = torch.tensor([0.25, 1.0])
    mixed = model.tokens(clips, colours, [1, 1], Mix(torch.tensor([1, 0]), share)).tokens_NTSC
    floats = clips.float()
    blended = 0.25 * floats[0] + 0.75 * floats[1]
    frames = (blended[None] / 100).permute(0, 4, 1, 2, 3)
    backbone = model.features.backbone
    by_images = backbone(frames, torch.zeros(1, dtype=torch.long))
    torch.testing.assert_close(mixed[:1], by_images.tokens_NTSC, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(
        mixed[1:], model.tokens(clips[1:], colours[1:], [1]).tokens_NTSC, rtol=1e-4, atol=1e-5
    )


def numpy_f1(p: np.ndarray, y: np.ndarray, *, present_only: bool) -> tuple[float, float]:
    per_class = []
    for k in range(p.shape[1]):
        true = (p[:, k] * y[:, k]).sum()
        precision = true / (p[:, k].sum() + EPS)
        recall = true / (y[:, k].sum() + EPS)
        if not present_only or y[:, k].any():
            per_class.append(2 * precision * recall / (precision + recall + EPS))
    micro = (p * y).sum() / len(y)  # precision and recall are both the mean of p of the truth
    return float(np.mean(per_class)), float(micro)


@pytest.mark.parametrize("present_only", [False, True])
def test_soft_f1_against_numpy(present_only: bool) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(6, 5))
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    y = np.eye(5)[[0, 0, 1, 3, 3, 3]]
    macro, micro = soft_f1(torch.from_numpy(p), torch.from_numpy(y), present_only=present_only)
    expected = numpy_f1(p, y, present_only=present_only)
    assert (macro.item(), micro.item()) == pytest.approx(expected, abs=1e-6)


def test_the_weighted_sum_against_numpy() -> None:
    rng = np.random.default_rng(1)
    labels = np.array([0, 9, 9])
    parents = np.array(MA52.parents)[labels]
    sizes = {"fine": (3, 52), "coarse": (3, 7), "fine_frame": (24, 52), "coarse_frame": (24, 7)}
    logits = {name: rng.normal(size=shape) for name, shape in sizes.items()}
    weights = {"fine": 1.0, "coarse": 0.5, "fine_frame": 0.5, "coarse_frame": 0.25}
    total = 0.0
    for name, values in logits.items():
        truth = labels if "fine" in name else parents
        rows = np.repeat(truth, len(values) // 3)
        p = np.exp(values) / np.exp(values).sum(1, keepdims=True)
        entropy = -np.log(p[np.arange(len(rows)), rows]).mean()
        true = np.eye(values.shape[1])[rows]
        each = zip(p[:, None], true[:, None], strict=True) if "frame" in name else [(p, true)]
        macro, micro = np.mean([numpy_f1(*row, present_only=False) for row in each], axis=0)
        total += weights[name] * (entropy + 1 - (macro + micro))
    outputs = type("Outputs", (), {name: torch.from_numpy(v) for name, v in logits.items()})()
    targets = RecognitionTargets(
        torch.from_numpy(np.eye(52)[labels]), torch.from_numpy(np.eye(7)[parents])
    )
    judge = criterion()
    losses = judge(outputs, targets)
    assert losses["loss"].item() / 3 == pytest.approx(total, rel=1e-5)
    released = replace(judge, f1_constant=2)(outputs, targets)
    # The other sign of the constant moves the loss, and no gradient.
    assert (released["loss"] - losses["loss"]).item() / 3 == pytest.approx(sum(weights.values()))


def test_f1_over_processes_has_the_gradient_of_the_whole_batch() -> None:
    torch.manual_seed(0)
    logits, targets = torch.randn(6, 52), torch.eye(52)[[0, 1, 1, 2, 9, 9]]

    def gradient(rows: slice, gather) -> Tensor:  # type: ignore[no-untyped-def]
        own = logits[rows].clone().requires_grad_()
        outputs = type("O", (), dict.fromkeys(("coarse", "fine_frame", "coarse_frame")))()
        outputs.fine = own
        parts = torch.zeros(len(own), 7)
        judge = criterion(gather=gather)
        loss = judge(outputs, RecognitionTargets(targets[rows], parts))["loss"] / 6
        loss.backward()
        assert own.grad is not None
        return own.grad

    whole = gradient(slice(0, 6), lambda rows: rows)
    probabilities = torch.softmax(logits, dim=1)

    def gather_for(rows: slice):  # type: ignore[no-untyped-def]
        def gather(mine: Tensor) -> Tensor:
            # Rows of the other process: targets are whole numbers, probabilities are not.
            everyone = targets if (mine == mine.round()).all() else probabilities
            everyone = everyone.clone()
            parts = [everyone[:3], everyone[3:]]
            parts[0 if rows.start == 0 else 1] = mine
            return torch.cat(parts)

        return gather

    halves = [gradient(rows, gather_for(rows)) for rows in (slice(0, 3), slice(3, 6))]
    torch.testing.assert_close(torch.cat(halves), whole, rtol=1e-4, atol=1e-7)


def test_f1_is_that_of_each_process_or_micro_batch() -> None:
    """Two times four clips are eight: the cross-entropy is the same, F1 the mean of two."""
    torch.manual_seed(0)
    logits, targets = torch.randn(8, 52), torch.eye(52)[[0, 1, 1, 2, 9, 9, 9, 3]]

    def refuse(rows: Tensor) -> Tensor:
        raise AssertionError("rows of other processes are asked for")

    def loss(rows: slice, *, f1: bool) -> Tensor:
        content = make_config().model_dump(mode="json")
        content["losses"] |= {"f1": f1, "f1_over": "each"}
        judge = build_recognition_criterion(
            RecognitionConfig.model_validate(content), labels=MA52, counts=[1] * 52, gather=refuse
        )
        outputs = type("O", (), dict.fromkeys(("coarse", "fine_frame", "coarse_frame")))()
        outputs.fine = logits[rows]
        return judge(outputs, RecognitionTargets(targets[rows], torch.zeros(4, 7)))["loss"]

    parts = (slice(0, 4), slice(4, 8))
    entropy = torch.stack([loss(rows, f1=False) for rows in parts])
    assert (entropy.sum() / 8).item() == pytest.approx(loss(slice(0, 8), f1=False).item() / 8)
    each = [soft_f1(logits[r].softmax(1), targets[r], present_only=False) for r in parts]
    for rows, alone, (macro, micro) in zip(parts, entropy, each, strict=True):
        added = (loss(rows, f1=True) - alone) / 4
        assert added.item() == pytest.approx((1 - macro - micro).item(), abs=1e-5)


def test_weights_inside_a_body_part_keep_its_sum() -> None:
    counts, parents = [30, 10, 0, 7, 21], [0, 0, 0, 1, 1]
    weights = body_weights(counts, parents, exponent=0.5).tolist()
    assert weights[2] == 1.0
    assert weights[1] / weights[0] == pytest.approx(math.sqrt(30 / 10))
    for members in ([0, 1], [3, 4]):
        total = sum(counts[k] * weights[k] for k in members)
        assert total == pytest.approx(sum(counts[k] for k in members), rel=1e-5)
    assert body_weights(counts, parents, exponent=0.0).tolist() == [1.0] * 5


def test_body_parts_by_the_best_action_the_sum_and_the_coarse_head() -> None:
    nod, shake, leg = (MA52.index(n) for n in ("nodding", "shaking head", "shaking legs"))
    actions = np.zeros((1, 52))
    actions[0, [nod, shake, leg]] = 0.3, 0.3, 0.4
    head, limb = MA52.parents[nod], MA52.parents[leg]
    _, mapped = combine_levels(actions, None, labels=MA52, how="mapping")
    assert mapped.argmax() == limb
    _, summed = combine_levels(actions, None, labels=MA52, how="summed")
    assert summed[0, head] == pytest.approx(0.6)
    parts = np.zeros((1, 7))
    parts[0, [head, limb]] = 0.9, 0.1
    soft, body = combine_levels(actions, parts, labels=MA52, how="soft")
    assert soft[0, [nod, shake, leg]].tolist() == pytest.approx([0.45, 0.45, 0.1])
    assert body.argmax() == head
    for values in (mapped, summed, soft):
        assert values.sum() == pytest.approx(1.0)


def test_arcface_of_frame_heads_has_a_margin_on_the_label_of_the_clip() -> None:
    model = build_recogniser(make_config(norm=True, dropout=0.0), labels=MA52).eval()
    clips = torch.randint(0, 255, (2, 16, 32, 32, 3), dtype=torch.uint8)
    inputs = (clips, torch.eye(3, 4).expand(2, 3, 4) / 100, [1, 1])
    labels, parents = torch.tensor([3, 9]), torch.tensor([0, 1])
    plain, margin = model(*inputs), model(*inputs, labels, parents)
    moved = (plain.fine_frame - margin.fine_frame).abs() > 1e-3
    assert moved.nonzero()[:, 1].tolist() == [3] * 8 + [9] * 8
    moved = (plain.coarse_frame - margin.coarse_frame).abs() > 1e-3
    assert moved.nonzero()[:, 1].tolist() == [0] * 8 + [1] * 8


def recognition_settings(**changes: object) -> RecognitionConfig:
    content = make_config().model_dump(mode="json")
    for place, value in changes.items():
        group, _, name = place.partition("__")
        if name:
            content[group] = {**content[group], name: value}
        else:
            content[group] = value
    return RecognitionConfig.model_validate(content)


def test_the_ablation_of_the_paper_starts_from_a_timesformer_head_with_every_loss() -> None:
    config = make_config(norm=True)
    assert (config.heads.classifier, config.losses.f1) == ("arcface", True)
    criterion = build_recognition_criterion(
        config, labels=MA52, counts=[1] * 52, gather=lambda rows: rows
    )
    assert criterion.f1
    assert criterion.f1_frames == "each"


def test_the_released_timesformer_head_is_linear_and_has_no_f1() -> None:
    content = make_config().model_dump(mode="json", exclude={"heads", "losses", "compat"})
    for compat, plain in (("released_timesformer", True), ("released", False)):
        config = RecognitionConfig.model_validate(content | {"compat": compat})
        assert config.heads.norm == plain
        assert (config.heads.classifier == "linear", config.losses.f1) == (plain, not plain)
        assert (config.heads.frame_classifier, config.losses.f1_frames) == ("linear", "together")


def test_a_preset_that_would_change_nothing_is_refused() -> None:
    off = {"frame": False, "coarse": False, "frame_coarse": False}
    heads, losses = {"classifier": "linear", **off}, {"f1": False}
    with pytest.raises(ValidationError, match=r"compat released changes .* so leave it out"):
        recognition_settings(compat="released", heads=heads, losses=losses)
    for more in ({"losses": {"f1": True}}, {"heads": heads | {"frame": True}}):
        recognition_settings(**({"compat": "released", "heads": heads, "losses": losses} | more))


def test_the_pooled_vector_is_normed_once() -> None:
    for final_norm, wanted in ((False, True), (True, False), ("pooled", False)):
        content = make_config().model_dump(mode="json", exclude={"heads", "losses", "compat"})
        content["backbone"]["final_norm"] = final_norm
        preset = RecognitionConfig.model_validate(content | {"compat": "released_timesformer"})
        first = RecognitionConfig.model_validate(content | {"heads": {"primary": "timesformer"}})
        assert preset.heads.norm == first.heads.norm == wanted
    with pytest.raises(ValidationError, match="would both normalise the pooled vector"):
        recognition_settings(backbone__final_norm=True, heads__norm=True)
