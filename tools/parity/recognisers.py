"""Recognition networks of mmaction2: features, logits, loss, gradients, statistics.

Everything is read from the file: sizes and options from its `config`, weights and inputs from its
tensors. A network that we do not have yet is told by `NotYetKnown`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from mmad.config.backbones.i3d import I3DSettings
from mmad.models.backbones.families import build_backbone
from mmad.models.backbones.i3d.network import I3D, tokens_of_map
from mmad.models.recognisers.auxiliary_heads.network import Linear
from mmad.weights.load import fill_backbone
from mmad.weights.naming import backbone_names
from parity.common import Check, Checks, as_file, largest

# What rounding permits (measured against float64): 6e-6 of the features' maximum, 7e-6 of logits,
# 2e-6 of the loss, 2e-5 of a gradient's norm; other kernels of another machine, a little more.
FEATURES, LOGITS, LOSS, GRADIENTS = 2e-5, 2e-5, 1e-5, 1e-4
# A gradient of less than this share of the largest norm is rounding alone.
SMALLEST_NORM = 1e-5


class NotYetKnown(Exception):  # noqa: N818
    """A file of a network that is not built yet."""


def check_recogniser(path: Path) -> Checks:
    """The checks of a file of any network.

    Raises: NotYetKnown, ValueError if it has options that ours has not.
    """
    data = torch.load(path, weights_only=True)
    if not isinstance(data, Mapping) or not {"kind", "config"} <= data.keys():
        raise ValueError("of no kind that is known")
    backbone, head = (data["config"].get(part, {}) for part in ("backbone", "cls_head"))
    names = backbone.get("type", data["kind"]), head.get("type")
    if names not in NETWORKS:
        raise NotYetKnown(f"{names[0]}{f' with {names[1]}' if names[1] else ''}")
    return NETWORKS[names](data)


# ---- I3D ----

_I3D_OPTIONS = {
    # Of mmaction2 1.1: its name and default, ours.
    "depth": (50, "depth"),
    "base_channels": (64, "base_channels"),
    "conv1_kernel": ((3, 7, 7), "stem_kernel"),
    "conv1_stride_t": (1, "stem_stride"),
    "pool1_stride_t": (1, "pool_stride"),
    "with_pool2": (True, "pools_after_first_stage"),
    "inflate": ((1, 1, 1, 1), "inflate"),
    "inflate_style": ("3x1x1", "inflate_style"),
    "norm_eval": (False, "keep_statistics"),
}
_I3D_FIXED: Mapping[str, Any] = {
    # Options that we have in one form only.
    "in_channels": 3,
    "num_stages": 4,
    "stage_blocks": None,
    "out_indices": [3],
    "spatial_strides": [1, 2, 2, 2],
    "temporal_strides": [1, 1, 1, 1],
    "dilations": [1, 1, 1, 1],
    "conv1_stride_s": 2,
    "pool1_stride_s": 2,
    "with_pool1": True,
    "style": "pytorch",
    "frozen_stages": -1,
    "non_local": [0, 0, 0, 0],
    "conv_cfg": {"type": "Conv3d"},
}
# What decides no number once weights are loaded.
_I3D_IDLE = {"type", "pretrained", "pretrained2d", "zero_init_residual", "with_cp", "init_cfg"}
_I3D_IDLE |= {"norm_cfg", "act_cfg", "non_local_cfg"}
_HEAD_IDLE = {"type", "num_classes", "in_channels", "init_std", "average_clips", "topk"}


def i3d_settings(config: Mapping[str, Any], *, frames: int) -> I3DSettings:
    """mmaction2's ResNet3d as our settings, for clips of so many frames (rounded up to steps).

    Raises: ValueError if it has options that ours has not.
    """
    left = config.keys() - _I3D_OPTIONS.keys() - _I3D_IDLE
    wrong = [
        f"{name}={config[name]}"
        for name in sorted(left)
        if name not in _I3D_FIXED or _plain(config[name]) != _I3D_FIXED[name]
    ]
    if wrong:
        raise ValueError(f"options that our I3D does not have: {', '.join(wrong)}")
    chosen = {ours: config.get(theirs, default) for theirs, (default, ours) in _I3D_OPTIONS.items()}
    chosen["inflate"] = [_flags(stage) for stage in chosen["inflate"]]
    step = chosen["stem_stride"] * chosen["pool_stride"]
    step *= 2 if chosen["pools_after_first_stage"] else 1
    return I3DSettings(freeze=False, clip_frames=-(-frames // step) * step, **chosen)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _flags(stage: Any) -> bool | list[bool]:
    return bool(stage) if isinstance(stage, int) else [flag == 1 for flag in stage]


@dataclass(frozen=True)
class Recogniser:
    """Our network with the weights of a file, and their names for its parameters.

    Attributes:
        backbone: as our settings build it.
        head: the classifier.
        config: of their head.
        ours: their name -> our parameter, or statistic of a batch norm.
    """

    backbone: I3D
    head: Linear
    config: Mapping[str, Any]
    ours: Mapping[str, Tensor]

    def maps(self, images_NCFHW: Tensor) -> list[Tensor]:
        return list(self.backbone.maps(images_NCFHW))

    def logits(self, map_NCThw: Tensor) -> Tensor:
        return self.head(self.backbone.pool_clips(tokens_of_map(map_NCThw)))

    def loss(self, logits_NK: Tensor, labels_N: Tensor) -> Tensor:
        smoothing = self.config.get("label_smooth_eps", 0.0)
        weight = self.config.get("loss_cls", {}).get("loss_weight", 1.0)
        return weight * functional.cross_entropy(logits_NK, labels_N, label_smoothing=smoothing)


def read_i3d(data: Mapping[str, Any]) -> tuple[Recogniser, Checks]:
    """The network of a file, and the checks of how its weights came in."""
    head = data["config"]["cls_head"]
    left = {*head} - _HEAD_IDLE - {"spatial_type", "dropout_ratio", "label_smooth_eps", "loss_cls"}
    if left or head.get("spatial_type", "avg") != "avg":
        raise ValueError(f"options of the head that ours does not have: {sorted(left)}")
    settings = i3d_settings(data["config"]["backbone"], frames=data["frames"].shape[3])
    backbone = build_backbone(settings)
    assert isinstance(backbone, I3D)
    weights = {name: value.float() for name, value in data["state_dict"].items()}
    report = fill_backbone(backbone, as_file(weights))
    linear = Linear(backbone.spec.channels, len(weights["cls_head.fc_cls.bias"]))
    linear.load_state_dict(
        {part: weights[f"cls_head.fc_cls.{part}"] for part in ("weight", "bias")}
    )
    found = backbone_names(weights)
    assert found is not None
    own = {**dict(backbone.named_parameters()), **dict(backbone.named_buffers())}
    ours = {found.origins[name][0]: value for name, value in own.items()}
    ours |= {f"cls_head.fc_cls.{part}": value for part, value in linear.named_parameters()}

    def audit() -> Checks:
        told = (*report.matched, *report.renamed, *report.reshaped, *report.ignored)
        amiss = (*report.missing, *report.unexpected)
        lost = len(weights) - len(told)
        yield Check(f"weights: {len(told)} tensors told of, amiss", float(len(amiss) + lost), 0)
        read = len(report.matched) + len(report.renamed) + len(report.reshaped)
        yield Check("weights: tensors of the backbone not read", float(len(own) - read), 0)

    return Recogniser(backbone, linear, head, ours), audit()


def check_i3d(data: Mapping[str, Any]) -> Checks:
    model, audit = read_i3d(data)
    yield from audit
    model.backbone.eval()
    with torch.no_grad():
        yield from check_evaluation(model, data)
    model.backbone.train()
    yield from check_training(model, data)


def check_evaluation(model: Recogniser, data: Mapping[str, Any]) -> Checks:
    frames = data["frames"]
    images = normalised(data, frames.flatten(0, 1))
    maps = model.maps(images)
    names = ["conv1", "maxpool", "layer1", "layer2", "layer3", "layer4"]
    if model.backbone.pools_after_first_stage:
        names.insert(3, "pool2")
    for name, found in zip(names, maps, strict=True):
        theirs = data.get("intermediates", {}).get(f"backbone.{name}")
        if theirs is not None:
            gap = largest(found[: len(theirs)], theirs, relative=True)
            yield Check(f"{name}, of its maximum", gap, FEATURES)
    gap = largest(maps[-1], data["features"], relative=True)
    yield Check("features, of their maximum", gap, FEATURES)
    spec = model.backbone.spec
    if images.shape[2] == spec.clip_frames and not any(
        side % spec.side_multiple for side in images.shape[3:]
    ):
        out = model.backbone(images, torch.arange(len(images)))
        theirs = tokens_of_map(data["features"])
        gap = largest(out.tokens_NTSC, theirs.tokens_NTSC, relative=True)
        yield Check("tokens, of their maximum", gap, FEATURES)
    logits = model.logits(maps[-1])
    yield Check("logits", largest(logits, data["logits"]), LOGITS)
    by_clip = logits.unflatten(0, frames.shape[:2])
    for name, scores in (
        ("prob", by_clip.softmax(dim=2).mean(dim=1)),
        ("score", by_clip.mean(dim=1)),
        ("none", by_clip),
    ):
        if f"scores_{name}" in data:
            gap = largest(scores, data[f"scores_{name}"])
            yield Check(f"scores, average_clips={name}", gap, LOGITS)


def check_training(model: Recogniser, data: Mapping[str, Any]) -> Checks:
    images = normalised(data, data["train_frames"].flatten(0, 1)).requires_grad_()
    logits = model.logits(model.maps(images)[-1])
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
    gaps = [abs(float(ours[name].grad.norm()) - norm) / norm for name, norm in kept.items()]
    yield Check(f"training: norms of {len(gaps)} gradients, relative", max(gaps), GRADIENTS)
    gaps = [
        float((ours[name].grad - value).norm() / value.norm())
        for name, value in data["grads"].items()
        if name in kept
    ]
    yield Check(
        f"training: {len(gaps)} whole gradients, of their norms", max(gaps, default=0), GRADIENTS
    )
    theirs = float(data["grad_input_norm"])
    gap = abs(float(grad_input.norm()) - theirs) / theirs
    yield Check("training: norm of the input's gradient, relative", gap, GRADIENTS)


def normalised(data: Mapping[str, Any], frames_NCFHW: Tensor) -> Tensor:
    """Uint8 frames as the network takes them."""
    mean, std = (data[key].float()[:, None, None, None] for key in ("mean", "std"))
    return (frames_NCFHW.float() - mean) / std


NETWORKS: Mapping[tuple[str, str], Callable[[Mapping[str, Any]], Checks]] = {
    ("ResNet3d", "I3DHead"): check_i3d,
}
