"""MLFE: activation maps, windows around their peaks, scores and losses, against plain loops."""

import functools
import math
import zlib
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import Tensor

from mmad.config.backbones.resnet2d import ResNet2dSettings
from mmad.config.recognition import RecognitionConfig
from mmad.labels import LabelMap
from mmad.models.backbones.contract import ClipTokens
from mmad.models.build import build_recogniser
from mmad.models.recognisers.class_maps import class_maps
from mmad.models.recognisers.contract import RecognitionTargets
from mmad.models.recognisers.families import build_recognition_criterion
from mmad.models.recognisers.mlfe import network
from mmad.models.recognisers.mlfe.network import LocalLayer, MLFEHeads
from mmad.models.recognisers.mlfe.windows import Peaks, find_peaks

N, T, K, D = 2, 3, 5, 6
GRID = (2, 3)
CHANNELS = {"conv2": 8, "conv3": 12, "conv4": 4}
SIDES = {"conv2": 8, "conv3": 4, "conv4": 2}
TEN = LabelMap(tuple(f"action {number}" for number in range(10)))

Array = NDArray[np.float64]


def made_heads(*, layers: Sequence[str] = tuple(SIDES), **changes: object) -> MLFEHeads:
    """Heads whose weights, norms and statistics are random, the same for the same name."""
    settings: dict[str, object] = {
        "dropout": 0.0,
        "concatenates": False,
        "averages": True,
        "softmax": "none",
        "coefficient": 0.1,
        "through_peaks": False,
    }
    heads = MLFEHeads(
        D,
        K,
        layers={
            name: LocalLayer(
                CHANNELS[name],
                side=SIDES[name],
                width=None if name == "conv4" else CHANNELS[name] // 4,
            )
            for name in layers
        },
        **{**settings, **changes},  # type: ignore[arg-type]
    )
    with torch.no_grad():
        for name, value in heads.state_dict().items():
            generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
            if name.endswith(("norm.weight", "running_var")):
                value.uniform_(0.5, 1.5, generator=generator)
            else:
                value.normal_(generator=generator)
    return heads


def made_tokens() -> ClipTokens:
    """Tokens and maps of the three layers, as of images whose sides are multiples of 32."""
    generator = torch.Generator().manual_seed(1)
    rows, columns = GRID
    maps = {
        name: torch.randn(
            N, T, channels, SIDES[name] * rows, SIDES[name] * columns, generator=generator
        )
        for name, channels in CHANNELS.items()
    }
    tokens = torch.randn(N, T, rows * columns, D, generator=generator)
    return ClipTokens(tokens, GRID, None, maps)


def run(heads: MLFEHeads, tokens: ClipTokens) -> object:
    steps = tokens.tokens_NTSC.mean(dim=2)
    return heads(steps, steps.mean(dim=1), tokens=tokens)


# ---- the equations, in loops ----


def convolved(x_Cyx: Array, weight: Array) -> Array:
    channels, _, side, _ = weight.shape
    border = side // 2
    padded = np.pad(x_Cyx, ((0, 0), (border, border), (border, border)))
    out = np.zeros((channels, *x_Cyx.shape[1:]))
    for channel in range(channels):
        for y in range(x_Cyx.shape[1]):
            for x in range(x_Cyx.shape[2]):
                patch = padded[:, y : y + side, x : x + side]
                out[channel, y, x] = (patch * weight[channel]).sum()
    return out


def block_in_loops(window_Cyx: Array, tensors: dict[str, Array], prefix: str) -> Array:
    x = window_Cyx
    for number in range(3):
        place = f"{prefix}branch.{number}."
        x = convolved(x, tensors[f"{place}conv.weight"])
        for channel in range(len(x)):
            mean = tensors[f"{place}norm.running_mean"][channel]
            variance = tensors[f"{place}norm.running_var"][channel]
            scale = tensors[f"{place}norm.weight"][channel]
            shift = tensors[f"{place}norm.bias"][channel]
            x[channel] = scale * (x[channel] - mean) / math.sqrt(variance + 1e-5) + shift
        if number < 2:
            x = np.maximum(x, 0)
    return np.maximum(x + window_Cyx, 0)


@functools.cache
def window_means() -> dict[tuple[int, int, int, str], Array]:
    """The mean of the learned window by clip, frame, class and layer (Eqs. 1, 5, 6 and 7)."""
    heads, tokens = made_heads(), made_tokens()
    tensors = {name: value.double().numpy() for name, value in heads.state_dict().items()}
    features = tokens.tokens_NTSC.double().numpy()
    rows, columns = GRID
    found = {}
    for clip in range(N):
        for frame in range(T):
            for label in range(K):
                activation = np.zeros((rows, columns))
                for y in range(rows):
                    for x in range(columns):
                        for k in range(D):
                            value = features[clip, frame, y * columns + x, k]
                            activation[y, x] += tensors["fine.weight"][label, k] * value
                peak_y, peak_x = np.unravel_index(activation.argmax(), activation.shape)
                for name, map_NTChw in tokens.stage_maps_NTChw.items():
                    layer = map_NTChw[clip, frame].double().numpy()
                    scale = layer.shape[1] // rows
                    assert scale == layer.shape[2] // columns == SIDES[name]
                    top, left = peak_y * scale, peak_x * scale
                    window = layer[:, top : (peak_y + 1) * scale, left : (peak_x + 1) * scale]
                    if name != "conv4":
                        window = block_in_loops(window, tensors, f"layers.{name}.block.")
                    found[clip, frame, label, name] = window.mean(axis=(1, 2))
    return found


def softmax(scores_K: Array) -> Array:
    powers = np.exp(scores_K - scores_K.max())
    return powers / powers.sum()


def local_in_loops(heads: MLFEHeads, *, fusion: str, soft: bool) -> Array:
    """The score of the local features (Eqs. 2, 3 and 8)."""
    tensors = {name: value.double().numpy() for name, value in heads.state_dict().items()}
    means = window_means()
    total = np.zeros((N, K))
    for clip in range(N):
        for frame in range(T):
            layers = []
            groups = (
                [list(heads.stages)]
                if fusion == "concatenation"
                else [[name] for name in heads.stages]
            )
            for number, names in enumerate(groups):
                weight = tensors[f"scorers.{number}.weight"][0]
                bias = tensors[f"scorers.{number}.bias"][0]
                scores = np.array(
                    [
                        np.concatenate([means[clip, frame, k, n] for n in names]) @ weight + bias
                        for k in range(K)
                    ]
                )
                layers.append(softmax(scores) if soft else scores)
            fused = sum(layers)
            total[clip] += fused / (len(layers) if fusion == "average" else 1)
    return total / T


@pytest.mark.parametrize("fusion", ["average", "sum", "concatenation"])
@pytest.mark.parametrize("choice", ["none", "scores", "always"])
def test_scores_are_those_of_the_equations(fusion: str, choice: str) -> None:
    heads = made_heads(
        softmax=choice, concatenates=fusion == "concatenation", averages=fusion == "average"
    ).eval()
    tokens = made_tokens()
    with torch.no_grad():
        found = run(heads, tokens)
        pooled = tokens.tokens_NTSC.mean(dim=(1, 2))
        whole = pooled @ heads.fine.weight.t() + heads.fine.bias
    logits = local_in_loops(heads, fusion=fusion, soft=False)
    probabilities = local_in_loops(heads, fusion=fusion, soft=True)
    scores = logits if choice == "none" else probabilities
    lost = probabilities if choice == "always" else logits
    np.testing.assert_allclose(found.local_NK, scores, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.local_logits_NK, lost, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.whole_NK, whole)
    expected = whole + 0.1 * torch.from_numpy(scores).float()  # Eq. 4
    torch.testing.assert_close(found.fine, expected, rtol=1e-4, atol=1e-5)
    assert found.summands == (found.whole_NK, found.local_NK, 0.1)


@pytest.mark.parametrize("layers", [["conv3"], ["conv4", "conv2"]])
def test_any_layers_are_read(layers: list[str]) -> None:
    heads, tokens = made_heads(layers=layers).eval(), made_tokens()
    with torch.no_grad():
        found = run(heads, tokens).local_NK
    expected = local_in_loops(heads, fusion="average", soft=False)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


# ---- shared windows ----


def every_peak(maps_MKS: Tensor) -> Peaks:
    """A window for each class of each frame, whether they are the same or not."""
    frames = torch.arange(len(maps_MKS)).repeat_interleave(maps_MKS.shape[1])
    numbers = torch.arange(len(frames)).view(maps_MKS.shape[:2])
    return Peaks(frames, maps_MKS.argmax(dim=2).flatten(), torch.ones_like(frames), numbers)


def test_windows_that_classes_share_are_computed_once_with_the_same_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In training too, where all windows have one mean and variance, each counting as often."""
    results, counts = [], []
    for find in (find_peaks, every_peak):
        monkeypatch.setattr(network, "find_peaks", find)
        heads, tokens = made_heads().train(), made_tokens()
        maps = {name: value.requires_grad_() for name, value in tokens.stage_maps_NTChw.items()}
        scores = run(heads, tokens).local_NK
        (scores * torch.arange(N * K).view(N, K)).sum().backward()
        results.append(
            [scores, *(value.grad for value in maps.values())]
            + [parameter.grad for parameter in heads.layers.parameters()]
            + [value for name, value in heads.state_dict().items() if "running" in name]
        )
        peaks = find(class_maps(tokens.tokens_NTSC, heads.fine.weight).flatten(0, 1))
        counts.append((len(peaks.cells_U), int(peaks.repeats_U.sum())))
    assert counts[0][0] < counts[1][0]
    assert counts[0][1] == counts[1][1] == N * T * K
    for once, every in zip(*results, strict=True):
        torch.testing.assert_close(once, every, rtol=1e-4, atol=1e-5)


# ---- sharing, gradients, losses ----


def test_classes_share_their_weights() -> None:
    heads, tokens = made_heads().eval(), made_tokens()
    order = torch.tensor([3, 0, 4, 1, 2])
    with torch.no_grad():
        before = run(heads, tokens).local_NK
        heads.fine.weight.copy_(heads.fine.weight[order].clone())
        after = run(heads, tokens).local_NK
    torch.testing.assert_close(after, before[:, order])


def made_config(**changes: object) -> RecognitionConfig:
    backbone = ResNet2dSettings(
        depth=18, base_channels=8, temporal="shift", clip_frames=2, freeze=False
    )
    content: dict[str, object] = {
        "data": {"train": ["x"], "clips": "y", "image_size": 64},
        "backbone": backbone,
        "heads": {"name": "mlfe", "dropout": 0.0},
        "losses": {"f1": False},
        "training": {"epochs": 1},
    }
    return RecognitionConfig(**{**content, **changes})


def criterion(config: RecognitionConfig, labels: LabelMap) -> object:
    return build_recognition_criterion(
        config, labels=labels, counts=[1] * len(labels), gather=lambda rows: rows
    )


def test_the_loss_of_local_features_reaches_the_backbone_and_not_the_classifier() -> None:
    config = made_config(losses={"f1": False, "fine": 0.0})
    model = build_recogniser(config, labels=TEN)
    targets = torch.eye(10)[:2]
    clips = torch.randint(0, 255, (2, 2, 64, 64, 3), dtype=torch.uint8)
    colours = torch.cat((torch.eye(3) / 255, torch.zeros(3, 1)), dim=1).expand(2, 3, 4)
    outputs = model(clips, colours, [1, 1])
    loss = criterion(config, TEN)(outputs, RecognitionTargets(targets, targets))["loss"]
    loss.backward()
    size = {n: 0.0 if p.grad is None else float(p.grad.norm()) for n, p in model.named_parameters()}
    assert size["features.backbone.stem.conv.weight"] > 0
    assert size["features.backbone.stages.2.1.branch.1.conv.weight"] > 0  # conv4
    assert size["features.backbone.stages.3.0.branch.0.conv.weight"] == 0  # conv5: the peaks
    assert size["heads.fine.weight"] == 0
    local = {n: s for n, s in size.items() if n.startswith(("heads.layers", "heads.scorers"))}
    # A score's bias is the same for all classes, which a softmax over them does not see.
    assert all((s > 1e-6) != n.endswith("bias") or ".norm." in n for n, s in local.items())


@pytest.mark.parametrize("weight", [1.0, 0.0])
def test_the_loss_by_hand(weight: float) -> None:
    config = made_config(
        heads={"name": "mlfe", "coefficient": 0.3}, losses={"f1": False, "fine": weight}
    )
    outputs = run(made_heads().eval(), made_tokens())
    labels = [3, 1]
    actions = torch.eye(K)[labels]
    names = LabelMap(TEN.names[:K])
    found = criterion(config, names)(outputs, RecognitionTargets(actions, actions))
    parts = []
    for scores in (outputs.whole_NK, outputs.local_NK):
        rows = scores.detach().double().numpy()
        parts.append(
            -sum(row[b] - math.log(np.exp(row).sum()) for row, b in zip(rows, labels, strict=True))
        )
    found = {name: value.detach() for name, value in found.items()}
    assert float(found["loss_fine"]) == pytest.approx(parts[0], rel=1e-5)
    assert float(found["loss_local"]) == pytest.approx(parts[1], rel=1e-5)
    assert float(found["loss"]) == pytest.approx(weight * parts[0] + 0.3 * parts[1], rel=1e-5)


def stripes(count: int) -> tuple[Tensor, Tensor]:
    """Grey clips with stripes of a few pixels somewhere, across or along; and which of the two."""
    rng = np.random.default_rng(0)
    clips = torch.full((count, 2, 64, 64, 3), 128, dtype=torch.uint8)
    labels = torch.arange(count) % 2
    pattern = (127 * (torch.arange(12) // 2 % 2) + 64).to(torch.uint8)
    for clip, label in zip(clips, labels.tolist(), strict=True):
        y, x = rng.integers(0, 52, 2).tolist()
        patch = pattern[:, None] if label else pattern[None]
        clip[:, y : y + 12, x : x + 12] = patch.expand(12, 12)[None, ..., None]
    return clips, labels


def losses_of_training(steps: int, *, weight: float, **heads: object) -> dict[str, list[float]]:
    """The losses per clip of each step."""
    clips, labels = stripes(8)
    names = LabelMap(("across", "along"))
    config = made_config(
        heads={"name": "mlfe", "dropout": 0.0, **heads}, losses={"f1": False, "fine": weight}
    )
    model, loss_of = build_recogniser(config, labels=names), criterion(config, names)
    colours = torch.cat((torch.eye(3) / 64, torch.full((3, 1), -2.0)), dim=1).expand(8, 3, 4)
    targets = RecognitionTargets(torch.eye(2)[labels], torch.eye(2)[labels])
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    rows: dict[str, list[float]] = {}
    for _ in range(steps):
        found = loss_of(model(clips, colours, [1] * 8), targets)
        optimizer.zero_grad()
        found["loss"].backward()
        optimizer.step()
        for name, value in found.items():
            rows.setdefault(name, []).append(float(value.detach()) / 8)
    return rows


@pytest.mark.slow
@pytest.mark.parametrize(
    ("weight", "peak_gradient"), [(1.0, "none"), (0.0, "straight_through"), (0.0, "none")]
)
def test_what_each_loss_learns(weight: float, peak_gradient: str) -> None:
    """Without its own loss the classifier learns only through the activations at the peaks."""
    rows = losses_of_training(12, weight=weight, peak_gradient=peak_gradient)
    first, last = ({name: values[at] for name, values in rows.items()} for at in (0, -1))
    assert first["loss_fine"] == pytest.approx(math.log(2), abs=0.01)
    assert first["loss_local"] == pytest.approx(math.log(2), abs=0.01)
    assert last["loss_local"] < 0.66
    if weight or peak_gradient == "straight_through":
        assert last["loss_fine"] < 0.3
    else:
        assert last["loss_fine"] > 0.6


# ---- settings ----


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"backbone": {"name": "videomae", "size": "small"}},
            "backbone videomae gives none; choose one that does, such as backbone.name=resnet2d",
        ),
        (
            {
                "backbone": {
                    "name": "resnet2d",
                    "pools_after_first_stage": True,
                }
            },
            "backbone resnet2d as it is set has maps of conv3, conv4, conv5, found conv2",
        ),
        ({"heads": {"name": "mlfe", "layers": ["conv5"]}}, "should be 'conv2', 'conv3' or 'conv4'"),
        ({"heads": {"name": "mlfe", "layers": []}}, "at least 1 item"),
        ({"heads": {"name": "mlfe", "layers": ["conv2"] * 2}}, "each once, found conv2, conv2"),
        ({"heads": {"name": "mlfe", "coefficient": -0.1}}, "greater than or equal to 0"),
        (
            {"data": {"train": ["x"], "clips": "y", "image_size": 32}},
            "at this data.image_size has 1 x 1 cells",
        ),
        (
            {"data": {"train": ["x"], "clips": "y", "image_size": 64, "flow": "z"}},
            "heads mlfe reads one stream; leave out data.flow",
        ),
        (
            {"heads": {"name": "mlfe", "coefficient": 0}, "losses": {"f1": False, "fine": 0}},
            "losses.fine 0 and heads.coefficient 0 leave no loss",
        ),
        ({"compat": "released"}, "compat released: heads mlfe has no such preset; leave it out"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        made_config(**changes)
