"""Hold our computations against what the published codes computed, stored in files.

    python tools/check_parity.py FOLDER...

Every file is checked by its kind (actionformer_*.pt, vitadapter_*.pt, mmaction_vit_*.pt,
videomae_namings_*.pt, detector_*.pt, nms.npz, lr_schedule.npz); sizes and settings are read from
the files. One line a check with its largest difference; files that could not be checked are named.
Exit code 1 if a check fails.
"""

import argparse
import itertools
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mmad.config.backbone import BackboneSettings
from mmad.config.run import RunConfig, parse_config
from mmad.engine.inference import merge_windows
from mmad.engine.schedule import learning_rate
from mmad.models.build import (
    build_backbone,
    build_criterion,
    build_decoder,
    build_detector,
    build_network,
    parameter_groups,
)
from mmad.models.detector import DenseOutputs, EndToEndDetector, VideoFeatures
from mmad.models.nms import Candidates, suppress
from mmad.structures import FeatureGrid
from mmad.weights.naming import backbone_names, detector_names


@dataclass(frozen=True)
class Check:
    """One comparison: passed if the largest difference is at most the limit."""

    name: str
    difference: float
    limit: float
    skipped: str = ""

    @property
    def passed(self) -> bool:
        return self.difference <= self.limit


Checks = Iterator[Check]


def largest(a: Any, b: Any, *, relative: bool = False) -> float:
    """Largest absolute difference; infinite if the shapes differ or something is not a number."""
    a, b = (torch.as_tensor(np.asarray(x.detach() if isinstance(x, Tensor) else x)) for x in (a, b))
    if a.shape != b.shape:
        return float("inf")
    if not a.numel():
        return 0.0
    gap = (a.double() - b.double()).abs()
    if relative:
        gap = gap / b.double().abs().max().clamp(min=1e-8)
    return float(gap.max()) if not gap.isnan().any() else float("inf")


# ---- backbones ----


def read_backbone(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> VideoFeatures:
    """OpenTAD's or mmaction's backbone as ours, with its adapters."""
    inner = config["backbone"]
    has_adapters = any(".adapter." in name for name in weights)
    settings = BackboneSettings(
        size={
            "width": inner["embed_dims"],
            "depth": inner["depth"],
            "num_heads": inner["num_heads"],
            "patch": inner["patch_size"],
            "mlp_ratio": inner["mlp_ratio"],
        },
        position_image_size=inner["img_size"],
        clip_frames=inner["num_frames"],
        drop_path=inner["drop_path_rate"],
        adapter={"name": "tia", "blocks": inner["adapter_index"]}
        if has_adapters
        else {"name": "none"},
    )
    backbone = build_backbone(settings)
    fill(backbone, backbone_names(weights).tensors)  # type: ignore[union-attr]
    return VideoFeatures(backbone, mask_padding=False)


def fill(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Every tensor of the model gets its value; none may be missing."""
    with torch.no_grad():
        for name, value in model.state_dict().items():
            value.copy_(tensors[name])


def fixed_colours(config: Mapping[str, Any], count: int) -> Tensor:
    """The affine map that normalises as the config says, (count, 3, 4)."""
    mean, std = (torch.tensor(config["data_preprocessor"][key]) for key in ("mean", "std"))
    one = torch.cat((torch.diag(1 / std), (-mean / std)[:, None]), dim=1)
    return one.expand(count, 3, 4)


def to_clips(frames_uint8: Tensor, *, clip_frames: int) -> Tensor:
    """(B, 1, 3, T, H, W) as our packed clips (N, F, H, W, 3)."""
    frames = frames_uint8[:, 0].permute(0, 2, 3, 4, 1)
    return frames.reshape(-1, clip_frames, *frames.shape[2:]).contiguous()


def run_features(
    features: VideoFeatures, config: Mapping[str, Any], frames_uint8: Tensor
) -> Tensor:
    clips = to_clips(frames_uint8, clip_frames=config["backbone"]["num_frames"])
    count, total = len(frames_uint8), frames_uint8.shape[3]
    per_window = [len(clips) // count] * count
    out, _ = features(clips, fixed_colours(config, count), per_window, [total] * count)
    return out


def check_vit_adapter(path: Path) -> Checks:
    data = torch.load(path, weights_only=True)
    config = data["config"]
    features = read_backbone(config, data["state_dict"]).eval()
    with torch.no_grad():
        yield Check(
            "features, evaluation",
            largest(run_features(features, config, data["frames_uint8"]), data["output"]),
            1e-4,
        )
    if "grads" in data:
        features.train()
        out = run_features(features, config, data["frames_uint8"])
        if "train_output" in data:
            yield Check("features, training", largest(out, data["train_output"]), 1e-4)
        line = torch.linspace(-1, 1, out.numel()).reshape(out.shape)
        loss = ((out - line) ** 2).mean()
        yield Check("loss", largest(loss, data["loss_mse_to_linspace"]), 1e-4)
        loss.backward()
        theirs = backbone_names(
            {"model.backbone.patch_embed.projection.weight": torch.zeros(1), **data["grads"]}
        )
        assert theirs is not None
        own = dict(features.backbone.named_parameters())
        worst = max(
            largest(own[name].grad, value, relative=True)
            for name, value in theirs.tensors.items()
            if ".adapter." in name
        )
        yield Check("gradients of the adapters, relative", worst, 1e-4)
    if "requires_grad" in data:
        names = backbone_names(
            dict.fromkeys(data["requires_grad"], torch.zeros(1))
            | {"model.backbone.patch_embed.projection.weight": torch.zeros(1)}
        )
        assert names is not None
        trained = {name for name in names.tensors if ".adapter." in name}
        ours = {n for n, p in features.backbone.named_parameters() if p.requires_grad}
        yield Check("trained parameters, by name", float(len(trained ^ ours)), 0)


def check_mmaction(path: Path) -> Checks:
    """mmaction's own backbone on the frames and weights of the vitadapter file beside it."""
    sibling = path.with_name(path.name.replace("mmaction_vit_", "vitadapter_"))
    if not sibling.is_file():
        raise ValueError(f"needs {sibling.name} beside it, which holds weights and frames")
    data, output = torch.load(sibling, weights_only=True), torch.load(path, weights_only=True)
    config = data["config"]
    weights = {name: value for name, value in data["state_dict"].items() if ".adapter." not in name}
    backbone = read_backbone(config, weights).backbone.eval()
    clips = to_clips(data["frames_uint8"], clip_frames=backbone.clip_frames).float()
    colour = fixed_colours(config, 1)[0]
    frames = (clips @ colour[:, :3].t() + colour[:, 3]).permute(0, 4, 1, 2, 3)
    with torch.no_grad():
        patches = backbone.embed(frames)
        tokens = backbone.encode(patches, torch.zeros(len(clips), dtype=torch.long))
    ours = tokens.unflatten(2, tuple(patches.shape[3:])).permute(0, 4, 1, 2, 3)
    yield Check("feature map without adapters", largest(ours, output["output"]), 1e-4)


def check_namings(path: Path) -> Checks:
    data = torch.load(path, weights_only=True)
    heads = data.get("num_heads") or guess_heads(data)
    outputs = []
    for naming in ("official", "mmaction", "hf"):
        tokens, pooled, logits = run_naming(data, naming, num_heads=heads)
        outputs.append(tokens)
        yield Check(f"{naming}: features", largest(pooled, data["official_features"]), 1e-4)
        yield Check(f"{naming}: logits", largest(logits, data["official_logits"]), 1e-4)
    gap = max(largest(outputs[0], other) for other in outputs[1:])
    yield Check("the namings give identical features", gap, 0.0)


def guess_heads(data: Mapping[str, Any]) -> int:
    """The number of heads that fits the stored outputs best: weights do not tell it."""
    width = data["official"]["patch_embed.proj.weight"].shape[0]
    fits = {
        heads: largest(run_naming(data, "official", num_heads=heads)[1], data["official_features"])
        for heads in range(1, width // 4 + 1)
        if width % heads == 0
    }
    return min(fits, key=lambda heads: fits[heads])


def run_naming(
    data: Mapping[str, Any], naming: str, *, num_heads: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens, pooled features and logits with the weights in one of the namings."""
    x, official = data["x"], data["official"]
    found = backbone_names(data[naming])
    assert found is not None
    patches = found.tensors["patch_embed.proj.weight"]
    width = patches.shape[0]
    size = {
        "width": width,
        "depth": len({n.split(".")[1] for n in found.tensors if n.startswith("blocks.")}),
        "num_heads": num_heads,
        "patch": patches.shape[-1],
        "mlp_ratio": found.tensors["blocks.0.mlp.fc1.weight"].shape[0] / width,
    }
    settings = BackboneSettings(
        size=size, position_image_size=x.shape[-1], clip_frames=x.shape[2], drop_path=0.0
    )
    backbone = build_backbone(settings).eval()
    fill(backbone, found.tensors)
    with torch.no_grad():
        tokens = backbone.encode(backbone.embed(x), torch.zeros(len(x), dtype=torch.long))
        scale, shift = official["fc_norm.weight"], official["fc_norm.bias"]
        mean = tokens.flatten(1, 2).mean(dim=1)
        pooled = functional.layer_norm(mean, (width,), scale, shift, 1e-6)
        logits = functional.linear(pooled, official["head.weight"], official["head.bias"])
    return tokens, pooled, logits


# ---- temporal detectors ----


def detector_settings(config: Mapping[str, Any], *, compat: str) -> RunConfig:
    """OpenTAD's model config as ours."""
    projection, head = config["projection"], config["rpn_head"]
    window = projection["attn_cfg"]["n_mha_win_size"]
    ranges = [list(pair) for pair in head["prior_generator"]["regression_range"]]
    embedding, stem, branch = projection["arch"]
    inner = config.get("backbone", {}).get("backbone")
    backbone: dict[str, Any] = {"size": {"width": 16, "depth": 1, "num_heads": 1}}
    data: dict[str, Any] = {"annotations": "-", "videos": "-"}
    if inner is not None:
        backbone = {
            "size": {
                "width": inner["embed_dims"],
                "depth": inner["depth"],
                "num_heads": inner["num_heads"],
                "patch": inner["patch_size"],
                "mlp_ratio": inner["mlp_ratio"],
            },
            "position_image_size": inner["img_size"],
            "clip_frames": inner["num_frames"],
            "drop_path": inner["drop_path_rate"],
            "adapter": {"name": "tia", "blocks": inner["adapter_index"]},
        }
        data |= {"window_frames": inner["total_frames"], "image_size": inner["img_size"]}
    radius = head["center_sample_radius"] if head["center_sample"] == "radius" else None
    return parse_config(
        {
            "compat": compat,
            "data": data,
            "backbone": backbone,
            "detector": {
                "channels": projection["out_channels"],
                "num_embedding": embedding,
                "num_stem": stem,
                "num_branch": branch,
                "num_heads": projection["attn_cfg"]["n_head"],
                "attention_window": window if window > 0 else None,
                "absolute_positions": projection["use_abs_pe"],
                "drop_path": 0.0,
                "regression_ranges": ranges,
                "num_convs": head["num_convs"],
                "prior": head["cls_prior_prob"],
                "centre_radius": radius,
                "shortest_labels_only": head["filter_similar_gt"],
                "label_smoothing": head["label_smoothing"],
                "regression_weight": head["loss_weight"],
                "normalizer": head["loss_normalizer"],
                "normalizer_momentum": head["loss_normalizer_momentum"],
            },
            "training": {"epochs": 1},
        },
        source="the fixture",
    )


def temporal_network(
    run: RunConfig, weights: Mapping[str, Tensor], *, in_channels: int
) -> nn.Module:
    found = detector_names(weights)
    assert found is not None
    num_classes = len(found.tensors["classification.out.conv.bias"])
    network = build_network(run.detector, in_channels=in_channels, num_classes=num_classes)
    fill(network, found.tensors)
    return network


def valid_parts(outputs: DenseOutputs, levels: Sequence[Tensor], which: str) -> float:
    """Largest difference to the (B, C, T) of each level at the points that exist."""
    theirs = torch.cat([level.transpose(1, 2) for level in levels], dim=1)
    ours = outputs.logits_BPK if which == "logits" else outputs.offsets_BP2
    return largest(ours[outputs.mask_BP], theirs[outputs.mask_BP])


def check_losses(
    run: RunConfig, outputs: DenseOutputs, data: Mapping[str, Any], *, names: Mapping[str, str]
) -> tuple[Checks, Tensor]:
    """Targets and losses of the fixture's batch; also the loss to differentiate."""
    num_classes = outputs.logits_BPK.shape[-1]
    criterion = build_criterion(run.detector, num_classes=num_classes)
    targets = criterion.targets(
        [segments.float() for segments in data["gt_segments"]],
        [labels.long() for labels in data["gt_labels"]],
        steps_per_window=data["mask"].sum(dim=1).tolist(),
        padded_steps=data["mask"].shape[1],
    )
    positive = (targets.positive_BP & outputs.mask_BP).sum()
    losses = criterion(outputs, targets)
    settings = run.detector
    normalizer = settings.normalizer_momentum * settings.normalizer
    normalizer += (1 - settings.normalizer_momentum) * max(int(positive), 1)
    weight = settings.regression_weight

    def compared() -> Checks:
        if "target_cls" in data:
            theirs = data["target_cls"] * outputs.mask_BP[..., None]
            ours = targets.classes_BPK * outputs.mask_BP[..., None]
            yield Check("class targets", largest(ours, theirs), 0.0)
            there = theirs.sum(-1) > 0
            yield Check(
                "offset targets",
                largest(targets.offsets_BP2[there], data["target_reg"][there]),
                1e-4,
            )
        for kind, divisor in (("eval", max(int(positive), 1)), ("train", normalizer)):
            if f"{kind}_losses" not in data:
                continue
            stored = data[f"{kind}_losses"]
            for name, value in (
                ("classification", losses.classification / divisor),
                ("regression", weight * losses.regression / divisor),
            ):
                theirs = stored[names[name]]
                # ActionFormer weighs the regression only in the sum.
                yield Check(f"{kind} loss, {name}", largest(value, theirs), 1e-4)
        yield Check("normaliser", largest(normalizer, data["loss_normalizer_after"]), 1e-3)

    total = (losses.classification + weight * losses.regression) / normalizer
    return compared(), total


def check_actionformer(path: Path) -> Checks:
    data = torch.load(path, weights_only=True)
    if "cfg" not in data:
        yield from check_original_actionformer(path, data)
        return
    run = detector_settings(data["cfg"], compat="opentad")
    features = data["features"].clone().requires_grad_()
    network = temporal_network(run, data["state_dict"], in_channels=features.shape[1])
    outputs = network(features, data["mask"])
    for level, ((ours, mask), theirs) in enumerate(
        zip(network.pyramid(data["features"], data["mask"]), data["neck_feats"], strict=True)
    ):
        where = mask[:, None].expand_as(ours)
        yield Check(f"pyramid level {level}", largest(ours[where], theirs[where]), 1e-4)
    yield Check("logits", valid_parts(outputs, data["cls_logits"], "logits"), 1e-4)
    yield Check("offsets", valid_parts(outputs, data["reg_offsets"], "offsets"), 1e-4)
    yield Check("points", largest(outputs.points_P4, torch.cat(list(data["points"]))), 1e-4)
    position, stride = outputs.points_P4[:, 0], outputs.points_P4[:, 3]
    spans = outputs.offsets_BP2 * stride[:, None]
    segments = torch.stack((position - spans[..., 0], position + spans[..., 1]), dim=-1)
    for number, (proposals, scores) in enumerate(
        zip(data["proposals"], data["scores"], strict=True)
    ):
        where = outputs.mask_BP[number]
        yield Check(f"segments, video {number}", largest(segments[number][where], proposals), 1e-4)
        ours = outputs.logits_BPK[number][where].sigmoid()
        yield Check(f"scores, video {number}", largest(ours, scores), 1e-4)
    names = {"classification": "cls_loss", "regression": "reg_loss"}
    checks, total = check_losses(run, outputs, data, names=names)
    yield from checks
    total.backward()
    yield from check_gradients(network, features, data)


def check_gradients(network: nn.Module, features: Tensor, data: Mapping[str, Any]) -> Checks:
    if "grad_features" in data:
        where = data["mask"][:, None].expand_as(features)
        theirs, ours = data["grad_features"], features.grad
        assert ours is not None
        gap = largest(ours[where], theirs[where], relative=True)
        yield Check("gradients of the features, relative", gap, 1e-3)
    found = detector_names(data["grads"])
    if found is None:
        # Gradients alone may lack the tensor by which the naming is known.
        return
    own = dict(network.named_parameters())
    worst = max(
        largest(own[name].grad, value, relative=True)
        for name, value in found.tensors.items()
        if name in own and float(value.abs().max()) > 1e-7
    )
    yield Check("gradients of the weights, relative", worst, 1e-3)


def check_original_actionformer(path: Path, data: Mapping[str, Any]) -> Checks:
    weights = data["state_dict"]
    sibling = path.with_name(path.name.replace("_orig", ""))
    if not sibling.is_file():
        raise ValueError(f"needs {sibling.name} beside it, which holds the settings")
    settings = torch.load(sibling, weights_only=True)["cfg"]
    run = detector_settings(settings, compat="actionformer")
    network = temporal_network(run, weights, in_channels=data["features"].shape[1])
    features = data["features"].clone().requires_grad_()
    outputs = network(features, data["mask"])
    yield Check("logits", valid_parts(outputs, data["cls_logits"], "logits"), 1e-4)
    yield Check("offsets", valid_parts(outputs, data["reg_offsets"], "offsets"), 1e-4)
    names = {"classification": "cls_loss", "regression": "reg_loss"}
    checks, total = check_losses(run, outputs, data, names=names)
    yield from checks
    total.backward()
    yield from check_gradients(network, features, data)
    yield from check_original_detections(run, outputs, data)


def check_original_detections(
    run: RunConfig, outputs: DenseOutputs, data: Mapping[str, Any]
) -> Checks:
    """The original's own inference: candidates of each level, Soft-NMS on the grid, seconds."""
    meta = data["detections_meta"]
    settings = run.inference.model_copy(update={"max_candidates": 5000})
    found = build_decoder(settings)(outputs)
    stride, frames, fps = (meta[k] for k in ("feat_stride", "feat_num_frames", "fps"))
    for number, (candidates, theirs) in enumerate(zip(found, data["detections"], strict=True)):
        kept = suppress(
            Candidates(
                candidates.segments_grid.detach().double().numpy(),
                candidates.scores.detach().double().numpy(),
                candidates.labels.numpy(),
                np.zeros(len(candidates.labels), dtype=np.int64),
            ),
            sigma=0.5,
            min_score=0.01,
            keep_best=settings.keep_best,
            max_per_video=1000,
        )
        seconds = np.maximum((kept.segments * stride + 0.5 * frames) / fps, 0.0)
        # The videos of the file are as long as their features.
        length = int(data["mask"][number].sum()) * stride / fps
        seconds = np.minimum(seconds, theirs.get("duration", length))
        yield from same_detections(
            f"detections, video {number}",
            seconds,
            kept.scores,
            kept.labels,
            theirs["segments"].numpy(),
            theirs["scores"].numpy(),
            theirs["labels"].numpy(),
            1e-4,
        )


def same_detections(
    name: str,
    segments: np.ndarray,
    scores: np.ndarray,
    labels: np.ndarray,
    their_segments: np.ndarray,
    their_scores: np.ndarray,
    their_labels: np.ndarray,
    limit: float,
) -> Checks:
    """Compare as sets, ordered by class, start and end."""
    if len(scores) != len(their_scores):
        yield Check(f"{name}: number ({len(scores)} for {len(their_scores)})", float("inf"), 0)
        return
    mine = np.lexsort((scores.round(4), segments[:, 0].round(2), labels))
    other = np.lexsort((their_scores.round(4), their_segments[:, 0].round(2), their_labels))
    yield Check(f"{name}: labels", largest(labels[mine], their_labels[other]), 0)
    # Rounding may exchange neighbours: match each with the nearest of its class.
    worst_time = worst_score = 0.0
    for label in np.unique(labels):
        a = np.column_stack((segments, scores))[labels == label]
        b = np.column_stack((their_segments, their_scores))[their_labels == label]
        if len(a) != len(b):
            worst_time = float("inf")
            continue
        gap = np.abs(a[:, None] - b[None])
        nearest = gap.max(axis=2).argmin(axis=1)
        worst_time = max(worst_time, float(gap[np.arange(len(a)), nearest, :2].max()))
        worst_score = max(worst_score, float(gap[np.arange(len(a)), nearest, 2].max()))
    yield Check(f"{name}: times", worst_time, limit)
    yield Check(f"{name}: scores", worst_score, limit)


# ---- a whole detector ----


def whole_detector(run: RunConfig, weights: Mapping[str, Tensor]) -> EndToEndDetector:
    head = detector_names(weights)
    body = backbone_names(weights)
    assert head is not None
    assert body is not None
    num_classes = len(head.tensors["classification.out.conv.bias"])
    model = build_detector(run, num_classes=num_classes)
    tensors = {f"network.{name}": value for name, value in head.tensors.items()}
    tensors |= {f"features.backbone.{name}": value for name, value in body.tensors.items()}
    fill(model, tensors)
    return model


def check_detector(path: Path) -> Checks:
    data = torch.load(path, weights_only=True)
    run = detector_settings(data["config"], compat="opentad")
    rates = {group["weight_decay"]: group["lr"] for group in data["param_groups"][1:]}
    training = run.training.model_copy(
        update={
            "adapter_learning_rate": data["param_groups"][0]["lr"],
            "learning_rate": rates[0.0],
            "weight_decay": data["param_groups"][0]["weight_decay"],
        }
    )
    run = run.model_copy(update={"training": training})
    model = whole_detector(run, data["state_dict_before"]).train()
    groups = parameter_groups(model, run)
    yield from check_groups(groups, data["param_groups"])
    optimizer = torch.optim.AdamW(
        [{k: v for k, v in group.items() if k not in ("names", "name")} for group in groups]
    )
    config = data["config"]["backbone"]
    frames, mask = data["frames_uint8"], data["mask"]
    count, total = len(frames), frames.shape[3]
    clips = to_clips(frames, clip_frames=run.backbone.clip_frames)
    colours = fixed_colours(config, count)
    per_window = [len(clips) // count] * count
    criterion = build_criterion(
        run.detector, num_classes=model.network.classification.out.conv.out_channels
    )
    normalizer = run.detector.normalizer
    momentum = run.detector.normalizer_momentum

    def outputs() -> DenseOutputs:
        features, _ = model.features(clips, colours, per_window, [total] * count)
        return model.network(features, mask)

    targets = criterion.targets(
        [x.float() for x in data["gt_segments"]],
        [x.long() for x in data["gt_labels"]],
        steps_per_window=mask.sum(dim=1).tolist(),
        padded_steps=mask.shape[1],
    )
    for number, stored in enumerate(data["steps"]):
        out = outputs()
        losses = criterion(out, targets)
        positive = max(int((targets.positive_BP & out.mask_BP).sum()), 1)
        normalizer = momentum * normalizer + (1 - momentum) * positive
        cost = (losses.classification + losses.regression) / normalizer
        optimizer.zero_grad()
        cost.backward()
        parameters = [p for group in groups for p in group["params"]]
        norm = nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        yield Check(f"step {number}: loss", largest(cost, stored["losses"]["cost"]), 1e-4)
        gap = largest(norm, stored["grad_norm_before_clip"], relative=True)
        yield Check(f"step {number}: gradient norm, relative", gap, 1e-3)
        yield Check(
            f"step {number}: normaliser", largest(normalizer, stored["loss_normalizer"]), 1e-3
        )
    before = whole_detector(run, data["state_dict_before"]).state_dict()
    after = whole_detector(run, data["state_dict_after_3_steps"]).state_dict()
    ours = model.state_dict()
    gaps, allowed = [], []
    for name, value in after.items():
        update = value - before[name]
        gaps.append(((ours[name] - before[name]) - update).abs().flatten())
        allowed.append((1e-6 + 1e-3 * update.abs()).flatten())
    outside = float((torch.cat(gaps) > torch.cat(allowed)).float().mean())
    yield Check("updates of three steps: share that differs", outside, 0.001)
    yield from check_windows(run, data)


def check_groups(
    groups: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]]
) -> Checks:
    """Which parameter is in which group, with its rate and decay."""

    def ours_of(names: Sequence[str]) -> set[str]:
        tensors = dict.fromkeys(names, torch.zeros(1))
        tensors |= {"backbone.model.backbone.patch_embed.projection.weight": torch.zeros(1)}
        body = backbone_names(tensors)
        head = detector_names(tensors | {"rpn_head.scale.0.scale": torch.zeros(1)})
        assert body is not None
        assert head is not None
        found = {f"features.backbone.{name}" for name in body.tensors if ".adapter." in name}
        wanted = [n for n in names if n.startswith(("projection.", "neck.", "rpn_head."))]
        found |= {f"network.{name}" for name, (origin,) in head.origins.items() if origin in wanted}
        return found

    expected = {
        name: (group["lr"], group["weight_decay"])
        for group in theirs
        for name in ours_of(group["names"])
    }
    actual = {
        name: (group["lr"], group["weight_decay"]) for group in groups for name in group["names"]
    }
    wrong = [
        name for name in expected.keys() | actual.keys() if expected.get(name) != actual.get(name)
    ]
    yield Check("parameter groups, by name", float(len(wrong)), 0)


def check_windows(run: RunConfig, data: Mapping[str, Any]) -> Checks:
    """From the raw proposals of each window to the detections of the video."""
    post = data["post_cfg"]
    nms = post["nms"]
    inference = run.inference.model_copy(
        update={
            "score_threshold": post["pre_nms_thresh"],
            "max_candidates": post["pre_nms_topk"],
            "sigma": nms["sigma"],
            "min_score": nms["min_score"],
            "max_detections": nms["max_seg_num"],
        }
    )
    run = run.model_copy(update={"inference": inference})
    parts: dict[str, list] = {}
    for meta, segments, scores in zip(
        data["metas"], data["raw_proposals"], data["raw_scores"], strict=True
    ):
        flat = scores.flatten()
        best, index = flat.topk(min(post["pre_nms_topk"], len(flat)))
        kept = best > post["pre_nms_thresh"]
        best, index = best[kept], index[kept]
        grid = FeatureGrid(
            fps=meta["fps"],
            stride_frames=meta["snippet_stride"],
            num_steps=meta["window_size"],
            offset_frames=meta["window_start_frame"] + meta["offset_frames"],
        )
        seconds = grid.to_seconds(segments[index // scores.shape[1]].double().numpy())
        seconds = seconds.clip(0, meta["duration"])
        row = (seconds, (index % scores.shape[1]).numpy(), best.double().numpy())
        parts.setdefault(meta["video_name"], []).append(row)
    durations = {meta["video_name"]: meta["duration"] for meta in data["metas"]}
    for video, windows in parts.items():
        # The peers keep so many of a video, ours of every window of it.
        few = run.inference.model_copy(
            update={"max_detections": -(-nms["max_seg_num"] // len(windows))}
        )
        found = merge_windows(
            windows,
            run.model_copy(update={"inference": few}),
            duration_seconds=durations[video],
        )
        theirs = data["final_results"][video]
        yield from same_detections(
            f"detections of {video}",
            found.segments_seconds,
            found.scores,
            found.labels,
            np.array([row["segment"] for row in theirs]),
            np.array([row["score"] for row in theirs]),
            np.array([int(row["label"].lstrip("c")) for row in theirs]),
            0.0101,
        )


# ---- suppression and schedule ----

_METHODS = {0: "soft_hard", 1: "soft_linear", 2: "soft_gaussian", 3: "soft_gaussian_by_length"}


def check_nms(path: Path) -> Checks:
    data = np.load(path)
    configs = json.loads(path.with_name("nms_configs.json").read_text(encoding="utf-8"))
    for key, stored in configs.items():
        case, keywords = key.split("/")[0], stored["kw"]
        original = key.split("/")[1].startswith("AF_")
        yield from compare_nms(key, data, case, keywords, original=original)


def compare_nms(
    key: str,
    data: Mapping[str, np.ndarray],
    case: str,
    keywords: Mapping[str, Any],
    *,
    original: bool,
) -> Checks:
    segments, scores, labels = (data[f"{case}/{part}"] for part in ("segs", "scores", "labels"))
    soft = keywords.get("use_soft_nms", True)
    method = _METHODS[keywords.get("method", 2)] if soft else "hard"
    per_class = keywords.get("multiclass", True)
    voting = keywords.get("voting_thresh", 0) or None
    if per_class:
        voting = None  # inert in both codes, see docs/parity.md
    found = suppress(
        Candidates(
            segments.astype(np.float64),
            scores.astype(np.float64),
            labels.astype(np.int64),
            np.zeros(len(labels), dtype=np.int64),
        ),
        method=method,  # type: ignore[arg-type]
        iou_threshold=keywords.get("iou_threshold", 0.1),
        sigma=keywords.get("sigma", 0.5),
        length_threshold=(keywords.get("t1", 0.0), keywords.get("t2", 0.0)),
        min_score=keywords.get("min_score", 0.0),
        keep_best=soft,
        max_per_video=keywords.get("max_seg_num", 100),
        per_class=per_class,
        voting_threshold=voting,
        voting_weight="score_iou" if original else "score",
    )
    ours = np.column_stack((found.segments, found.scores, found.labels))
    theirs = np.column_stack([data[f"{key}/{part}"] for part in ("segs", "scores", "labels")])
    yield from same_survivors(key, ours, theirs, scores)


def same_survivors(key: str, ours: np.ndarray, theirs: np.ndarray, scores_in: np.ndarray) -> Checks:
    """Rows (start, end, score, label) as sets: equal scores may come in any order.

    Which of two candidates with exactly one score is taken first is not defined, and may decide
    what is suppressed after it; where all rows that differ are such, the comparison is skipped.
    """
    if not len(ours) and not len(theirs):
        yield Check(f"{key}: nothing survives", 0.0, 0.0)
        return
    gap = np.abs(ours[:, None] - theirs[None]).max(axis=2)
    # Voting divides zero by zero in the peers where a segment is empty.
    undefined = np.isnan(theirs).any(axis=1)
    gap[:, undefined] = np.inf
    worst = max(gap.min(axis=1).max(initial=0), gap.min(axis=0)[~undefined].max(initial=0))
    if worst > 1e-5 or len(ours) != len(theirs):
        values, counts = np.unique(scores_in, return_counts=True)
        if undefined.any() or (counts[values >= ours[:, 2].min(initial=np.inf)] > 1).any():
            reason = "equal scores or empty segments decide it"
            yield Check(key, float(worst), 1e-5, skipped=reason)
            return
    size = float("inf") if len(ours) != len(theirs) else float(worst)
    yield Check(f"{key}: {len(theirs)} survivors", size, 1e-5)


def check_schedule(path: Path) -> Checks:
    data = np.load(path)
    note = str(data["note"])
    words = note.replace(",", " ").split()
    warmup = int(words[words.index("warmup") + 1])
    most = int(words[words.index("max") + 1])
    per_epoch = int(next(w for w, after in itertools.pairwise(words) if after == "it/epoch"))
    bases = [float(x) for x in note.split("[")[1].split("]")[0].split(",")]
    rates = np.array(
        [
            [
                learning_rate(
                    step,
                    base=base,
                    warmup_steps=warmup * per_epoch,
                    max_steps=most * per_epoch,
                    final=1e-8,
                )
                for base in bases
            ]
            for step in range(len(data["lrs"]))
        ]
    )
    yield Check("learning rates", largest(rates, data["lrs"]), 1e-9)


KINDS: Sequence[tuple[str, Callable[[Path], Checks]]] = (
    ("actionformer_*.pt", check_actionformer),
    ("vitadapter_*.pt", check_vit_adapter),
    ("mmaction_vit_*.pt", check_mmaction),
    ("videomae_namings_*.pt", check_namings),
    ("detector_*.pt", check_detector),
    ("nms.npz", check_nms),
    ("lr_schedule.npz", check_schedule),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--failures", action="store_true", help="print failed checks only")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    passed = failed = skipped = 0
    unchecked: list[str] = []
    for folder in arguments.folders:
        known: set[Path] = set()
        for pattern, checker in KINDS:
            for path in sorted(folder.glob(pattern)):
                known.add(path)
                try:
                    checks = list(checker(path))
                except (KeyError, ValueError, AssertionError, RuntimeError, TypeError) as error:
                    unchecked.append(f"{path.name}: {type(error).__name__}: {error!s:.200}")
                    continue
                for check in checks:
                    if check.skipped:
                        skipped += 1
                        print(f"skip {path.name}: {check.name}: {check.skipped}")
                        continue
                    passed, failed = passed + check.passed, failed + (not check.passed)
                    if arguments.failures and check.passed:
                        continue
                    word = "ok  " if check.passed else "FAIL"
                    print(
                        f"{word} {path.name}: {check.name}: {check.difference:.2e} "
                        f"(at most {check.limit:g})"
                    )
        others = {p for p in folder.iterdir() if p.suffix in (".pt", ".npz")} - known
        unchecked += [f"{path.name}: of no kind that is known" for path in sorted(others)]
    for line in unchecked:
        print(f"could not be checked: {line}")
    print(
        f"{passed} checks passed, {failed} failed, {skipped} skipped, "
        f"{len(unchecked)} files not checked"
    )
    sys.exit(1 if failed or unchecked or not passed else 0)


if __name__ == "__main__":
    main()
