"""What the comparisons of all recognition networks of mmaction2 share.

A network gives its settings, its maps and its tokens (`Network`); weights, logits, scores, loss,
gradients and statistics of a file are checked here, in the same way for all.
"""

from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmad.config.backbones.union import BackboneSettings
from mmad.models.backbones.contract import Backbone, ClipTokens
from mmad.models.backbones.families import build_backbone
from mmad.models.recognisers.auxiliary_heads.network import Linear
from mmad.weights.load import LoadReport, fill_backbone
from mmad.weights.naming import backbone_names
from parity.common import Check, Checks, as_file, largest

# What rounding permits (measured against float64): 6e-6 of the features' maximum, 7e-6 of logits,
# 2e-6 of the loss, 2e-5 of a gradient's norm; other kernels of another machine, a little more.
FEATURES, LOGITS, LOSS, GRADIENTS = 2e-5, 2e-5, 1e-5, 1e-4
# A gradient of less than this share of the largest norm is rounding alone.
SMALLEST_NORM = 1e-5
HEAD_IDLE = {"type", "num_classes", "in_channels", "init_std", "average_clips", "topk"}
HEAD_KNOWN = {"dropout_ratio", "label_smooth_eps", "loss_cls"}


@dataclass(frozen=True)
class Network:
    """How a network of mmaction2 is computed by ours.

    Attributes:
        settings: Our settings for the content of a file; raises ValueError if its config has
            options that ours has not.
        maps: Outputs by the names of their modules, with "features" (a tensor, or a list of them),
            for normalised clips.
        tokens: Features as the tokens of our backbone.
        head_fixed: Options of its head that ours has in one form only, with it.
        clips: Clips (N, 3, F, H, W) of stored frames, those of an item consecutive.
        stored: Features in the form that files have.
    """

    settings: Callable[[Mapping[str, Any]], BackboneSettings]
    maps: Callable[[Any, Tensor], Mapping[str, Any]]
    tokens: Callable[[Any], ClipTokens]
    head_fixed: Mapping[str, Any]
    clips: Callable[[Tensor], Tensor] = lambda frames: frames.flatten(0, 1)
    stored: Callable[[Any], Any] = lambda features: features

    def check(self, data: Mapping[str, Any]) -> Checks:
        """The checks of a file's content."""
        check_options("head", data["config"]["cls_head"], HEAD_KNOWN, self.head_fixed, HEAD_IDLE)
        model = Recogniser.read(self, data)
        yield from model.audit()
        model.backbone.eval()
        with torch.no_grad():
            yield from check_evaluation(model, data)
        model.backbone.train()
        yield from check_training(model, data)


def check_options(
    what: str,
    config: Mapping[str, Any],
    known: Set[str],
    fixed: Mapping[str, Any],
    idle: Set[str],
) -> None:
    """Nothing, if ours has all options of a config.

    Args:
        what: Name for messages.
        config: Of theirs.
        known: Options that the settings take over.
        fixed: Options that we have in one form only, with it.
        idle: Options that decide no number once weights are loaded.

    Raises: ValueError with the options that are neither.
    """
    wrong = [
        f"{name}={config[name]}"
        for name in sorted(config.keys() - known - idle)
        if name not in fixed or plain(config[name]) != fixed[name]
    ]
    if wrong:
        raise ValueError(f"options that our {what} does not have: {', '.join(wrong)}")


def plain(value: Any) -> Any:
    """Tuples as lists."""
    return list(value) if isinstance(value, tuple) else value


@contextmanager
def outputs_of(modules: Mapping[str, nn.Module]) -> Iterator[dict[str, Tensor]]:
    """A dict that fills, while the modules run, with the last output of each by its name."""
    found: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
            found[name] = output

        return hook

    hooks = [module.register_forward_hook(keep(name)) for name, module in modules.items()]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


@dataclass(frozen=True)
class Recogniser:
    """Our network with the weights of a file, and their names for its parameters.

    Attributes:
        network: How theirs is computed.
        backbone: As our settings build it.
        head: The classifier.
        config: Of their head.
        ours: Their name -> our parameter, or statistic of a batch norm.
        report: What became of the tensors of the file.
        num_tensors: Tensors of the file.
    """

    network: Network
    backbone: Backbone
    head: Linear
    config: Mapping[str, Any]
    ours: Mapping[str, Tensor]
    report: LoadReport
    num_tensors: int

    @classmethod
    def read(cls, network: Network, data: Mapping[str, Any]) -> "Recogniser":
        """The network of a file."""
        backbone = build_backbone(network.settings(data))
        weights = {name: value.float() for name, value in data["state_dict"].items()}
        report = fill_backbone(backbone, as_file(weights))
        linear = Linear(backbone.spec.channels, len(weights["cls_head.fc_cls.bias"]))
        linear.load_state_dict(
            {part: weights[f"cls_head.fc_cls.{part}"] for part in ("weight", "bias")}
        )
        ours = by_their_names(backbone, weights)
        ours |= {f"cls_head.fc_cls.{part}": value for part, value in linear.named_parameters()}
        head = data["config"]["cls_head"]
        return cls(network, backbone, linear, head, ours, report, len(weights))

    def audit(self) -> Checks:
        """How the weights came in."""
        return check_weights(self.backbone, self.report, self.num_tensors)

    def logits(self, features: Any) -> Tensor:
        return self.head(self.backbone.pool_clips(self.network.tokens(features)))

    def loss(self, logits_NK: Tensor, labels_N: Tensor) -> Tensor:
        smoothing = self.config.get("label_smooth_eps", 0.0)
        weight = self.config.get("loss_cls", {}).get("loss_weight", 1.0)
        return weight * functional.cross_entropy(logits_NK, labels_N, label_smoothing=smoothing)


def by_their_names(backbone: Backbone, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our parameters, and statistics of batch norms, by the names that the weights of a file have
    for them.
    """
    found = backbone_names(weights, {"": backbone.family})
    assert found is not None
    own = {**dict(backbone.named_parameters()), **dict(backbone.named_buffers())}
    return {found.origins[name][0]: own[name] for name in backbone.state_dict()}


def check_weights(backbone: Backbone, report: LoadReport, num_tensors: int) -> Checks:
    """How the ``num_tensors`` tensors of a file came into the network."""
    told = (*report.matched, *report.renamed, *report.reshaped, *report.ignored)
    amiss = (*report.missing, *report.unexpected)
    lost = num_tensors - len(told)
    yield Check(f"weights: {len(told)} tensors told of, amiss", float(len(amiss) + lost), 0)
    read = len(report.matched) + len(report.renamed) + len(report.reshaped)
    left = len(backbone.state_dict()) - read
    yield Check("weights: tensors of the backbone not read", float(left), 0)


def check_evaluation(model: Recogniser, data: Mapping[str, Any]) -> Checks:
    frames = data["frames"]
    images = normalised(data, model.network.clips(frames))
    maps = model.network.maps(model.backbone, images)
    yield from check_maps(maps, data, stored=model.network.stored)
    spec = model.backbone.spec
    if images.shape[2] == spec.clip_frames and not any(
        side % spec.side_multiple for side in images.shape[3:]
    ):
        out = model.backbone(images, torch.arange(len(images)))
        theirs = model.network.tokens(maps["features"])
        # What pools to one vector of a clip keeps no tokens in a file.
        name = "tokens_NTSC" if theirs.clip_NC is None else "clip_NC"
        gap = largest(getattr(out, name), getattr(theirs, name), relative=True)
        what = "tokens" if theirs.clip_NC is None else "vectors of clips"
        yield Check(f"{what}, of their maximum", gap, FEATURES)
    logits = model.logits(maps["features"])
    yield Check("logits", largest(logits, data["logits"]), LOGITS)
    by_clip = logits.unflatten(0, (len(frames), -1))
    for name, scores in (
        ("prob", by_clip.softmax(dim=2).mean(dim=1)),
        ("score", by_clip.mean(dim=1)),
        ("none", by_clip),
    ):
        if f"scores_{name}" in data:
            gap = largest(scores, data[f"scores_{name}"])
            yield Check(f"scores, average_clips={name}", gap, LOGITS)


def check_maps(
    maps: Mapping[str, Any], data: Mapping[str, Any], *, stored: Callable[[Any], Any] = lambda f: f
) -> Checks:
    """The outputs of modules, and the features."""
    for name, theirs in data.get("intermediates", {}).items():
        short = name.removeprefix("backbone.")
        if short not in maps:
            yield Check(short, 0, 0, skipped="ours has no module with that output")
            continue
        gap = largest(maps[short][: len(theirs)], theirs, relative=True)
        yield Check(f"{short}, of its maximum", gap, FEATURES)
    features = zip(_several(stored(maps["features"])), _several(data["features"]), strict=True)
    gap = max(largest(ours, theirs, relative=True) for ours, theirs in features)
    yield Check("features, of their maximum", gap, FEATURES)


def _several(features: Any) -> list[Tensor]:
    return [features] if isinstance(features, Tensor) else list(features)


def check_training(model: Recogniser, data: Mapping[str, Any]) -> Checks:
    images = normalised(data, model.network.clips(data["train_frames"])).requires_grad_()
    logits = model.logits(model.network.maps(model.backbone, images)["features"])
    yield Check("training: logits", largest(logits, data["train_logits"]), LOGITS)
    loss = model.loss(logits, data["train_labels"])
    gap = largest(loss, data["train_loss"]["loss_cls"], relative=True)
    yield Check("training: loss, relative", gap, LOSS)
    loss.backward()
    assert images.grad is not None
    yield from check_gradients(model.ours, images.grad, data)
    gaps = [
        largest(model.ours[name], value, relative=True) for name, value in data["bn_after"].items()
    ]
    if gaps:
        name = f"training: statistics after it, {len(gaps)} tensors, of their maximum"
        yield Check(name, max(gaps), FEATURES)


def check_gradients(
    ours: Mapping[str, Tensor], grad_input: Tensor, data: Mapping[str, Any]
) -> Checks:
    norms = data["grad_norms"]
    own = {name for name, value in ours.items() if value.grad is not None}
    wrong = own ^ (norms.keys() - set(data.get("no_grad_params", ())))
    yield Check("training: parameters with a gradient, by name", float(len(wrong)), 0)
    kept = {name: float(norm) for name, norm in norms.items() if name in own}
    kept = {name: n for name, n in kept.items() if n > SMALLEST_NORM * max(kept.values())}
    # What the file's own code has moved between kernels, where a ReLU flips.
    limit = max(GRADIENTS, float(data.get("gradient_rounding_noise", 0)))
    gaps = [abs(float(ours[name].grad.norm()) - norm) / norm for name, norm in kept.items()]
    yield Check(f"training: norms of {len(gaps)} gradients, relative", max(gaps), limit)
    gaps = [
        float((ours[name].grad - value).norm() / value.norm())
        for name, value in data["grads"].items()
        if name in kept
    ]
    yield Check(
        f"training: {len(gaps)} whole gradients, of their norms", max(gaps, default=0), limit
    )
    theirs = float(data["grad_input_norm"])
    gap = abs(float(grad_input.norm()) - theirs) / theirs
    yield Check("training: norm of the input's gradient, relative", gap, limit)


def normalised(data: Mapping[str, Any], frames_NCFHW: Tensor) -> Tensor:
    """Uint8 frames as the network takes them."""
    mean, std = (data[key].float()[:, None, None, None] for key in ("mean", "std"))
    return (frames_NCFHW.float() - mean) / std
