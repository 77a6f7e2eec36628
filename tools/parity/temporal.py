"""ActionFormer as OpenTAD and as its authors have it."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mmad.checkpoint import load_exactly
from mmad.config.reading import parse_config
from mmad.config.run import DetectionRun
from mmad.models.detectors.dense.criterion import DenseCriterion
from mmad.models.detectors.dense.points import DenseOutputs
from mmad.models.detectors.families import build_criterion, build_decoder, build_network
from mmad.suppression import Candidates, suppress
from mmad.weights.naming import detector_names
from parity.backbones import backbone_settings
from parity.common import Check, Checks, largest

# Windows of attention that are tried where a file does not tell.
_WIDEST_WINDOW = 39


def detector_settings(config: Mapping[str, Any], *, compat: str) -> DetectionRun:
    """OpenTAD's model config as ours."""
    projection, head = config["projection"], config["rpn_head"]
    window = projection["attn_cfg"]["n_mha_win_size"]
    ranges = [list(pair) for pair in head["prior_generator"]["regression_range"]]
    embedding, stem, branch = projection["arch"]
    inner = config.get("backbone", {}).get("backbone")
    backbone: dict[str, Any] = {"size": {"width": 16, "depth": 1, "num_heads": 1}}
    data: dict[str, Any] = {"annotations": "-", "videos": "-"}
    if inner is not None:
        backbone = backbone_settings(inner)
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
    run: DetectionRun, weights: Mapping[str, Tensor], *, in_channels: int
) -> nn.Module:
    found = detector_names(weights)
    assert found is not None
    num_classes = len(found.tensors["classification.out.conv.bias"])
    network = build_network(run.detector, in_channels=in_channels, num_classes=num_classes)
    weights_by_name = {name: found.tensors[name] for name in network.state_dict()}
    load_exactly(network, weights_by_name, source="the stored weights")
    return network


def valid_parts(outputs: DenseOutputs, levels: Sequence[Tensor], which: str) -> float:
    """Largest difference to the (B, C, T) of each level at the points that exist."""
    theirs = torch.cat([level.transpose(1, 2) for level in levels], dim=1)
    ours = outputs.logits_BPK if which == "logits" else outputs.offsets_BP2
    return largest(ours[outputs.mask_BP], theirs[outputs.mask_BP])


def check_losses(
    run: DetectionRun, outputs: DenseOutputs, data: Mapping[str, Any], *, names: Mapping[str, str]
) -> tuple[Checks, Tensor]:
    """Targets and losses of the fixture's batch; also the loss to differentiate."""
    num_classes = outputs.logits_BPK.shape[-1]
    criterion = build_criterion(run.detector, num_classes=num_classes)
    assert isinstance(criterion, DenseCriterion)
    targets = criterion.assign(
        outputs,
        [segments.float() for segments in data["gt_segments"]],
        [labels.long() for labels in data["gt_labels"]],
    )
    losses = criterion.losses(outputs, targets)
    positive = losses.num_positives
    settings = run.detector
    normalizer = settings.normalizer_momentum * settings.normalizer
    normalizer += (1 - settings.normalizer_momentum) * max(int(positive), 1)

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
                ("classification", losses.parts["classification"] / divisor),
                ("regression", losses.parts["regression"] / divisor),
            ):
                theirs = stored[names[name]]
                # ActionFormer weighs the regression only in the sum.
                yield Check(f"{kind} loss, {name}", largest(value, theirs), 1e-4)
        yield Check("normaliser", largest(normalizer, data["loss_normalizer_after"]), 1e-3)

    return compared(), losses.total / normalizer


def padded(features_BCT: Tensor, mask_BT: Tensor, *, length: int) -> tuple[Tensor, Tensor]:
    """Features and mask with zeros up to ``length`` steps, as the peers pad short inputs."""
    more = max(length - features_BCT.shape[2], 0)
    return functional.pad(features_BCT, (0, more)), functional.pad(mask_BT, (0, more))


def check_actionformer(path: Path) -> Checks:
    data = torch.load(path, weights_only=True)
    if "cfg" not in data:
        yield from check_original_actionformer(path, data)
        return
    run = detector_settings(data["cfg"], compat="opentad")
    features = data["features"].clone().requires_grad_()
    network = temporal_network(run, data["state_dict"], in_channels=features.shape[1])
    whole, mask = padded(features, data["mask"], length=data["cls_logits"][0].shape[2])
    outputs = network(whole, mask)
    levels = network.pyramid(whole.detach(), mask)
    for level, ((ours, valid), theirs) in enumerate(zip(levels, data["neck_feats"], strict=True)):
        where = valid[:, None].expand_as(ours)
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
        # Theirs may be of the padded input.
        theirs, ours = data["grad_features"][..., : features.shape[2]], features.grad
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
    sibling = path.with_name(path.name.replace("_orig", ""))
    if sibling != path and sibling.is_file():
        settings = torch.load(sibling, weights_only=True)["cfg"]
    else:
        settings = fitting_settings(data)
    run = detector_settings(settings, compat="actionformer")
    network = temporal_network(run, data["state_dict"], in_channels=data["features"].shape[1])
    features = data["features"].clone().requires_grad_()
    length = data["cls_logits"][0].shape[2]
    outputs = network(*padded(features, data["mask"], length=length))
    yield Check("logits", valid_parts(outputs, data["cls_logits"], "logits"), 1e-4)
    yield Check("offsets", valid_parts(outputs, data["reg_offsets"], "offsets"), 1e-4)
    names = {"classification": "cls_loss", "regression": "reg_loss"}
    checks, total = check_losses(run, outputs, data, names=names)
    yield from checks
    total.backward()
    yield from check_gradients(network, features, data)
    yield from check_original_detections(run, outputs, data)


def fitting_settings(data: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of an original ActionFormer in OpenTAD's form, from its weights, points and outputs.

    Weights do not tell heads, window and position table of the attention: those are taken with
    which our logits come nearest. The losses are as its configs have them.
    """
    weights = data["state_dict"]
    channels = weights["backbone.embd.0.conv.weight"].shape[0]

    def count(part: str) -> int:
        return len({name.split(".")[2] for name in weights if name.startswith(f"{part}.")})

    head = {
        "prior_generator": {
            "regression_range": [level[0, 1:3].tolist() for level in data["points"]]
        },
        **{"num_convs": count("cls_head.head"), "cls_prior_prob": 0.01},
        **{"center_sample": "radius", "center_sample_radius": 1.5, "filter_similar_gt": True},
        **{"label_smoothing": 0.0, "loss_weight": 1.0},
        **{"loss_normalizer": 100, "loss_normalizer_momentum": 0.9},
    }

    def settings(heads: int, window: int, positions: bool) -> dict[str, Any]:
        projection = {
            "out_channels": channels,
            "arch": [count("backbone.embd"), count("backbone.stem"), count("backbone.branch")],
            "attn_cfg": {"n_head": heads, "n_mha_win_size": window},
            "use_abs_pe": positions,
        }
        return {"projection": projection, "rpn_head": head}

    length = data["cls_logits"][0].shape[2]
    features, mask = padded(data["features"], data["mask"], length=length)

    @torch.no_grad()
    def misfit(chosen: dict[str, Any]) -> float:
        run = detector_settings(chosen, compat="actionformer")
        network = temporal_network(run, weights, in_channels=features.shape[1])
        return valid_parts(network(features, mask), data["cls_logits"], "logits")

    best, least = settings(4, -1, False), float("inf")
    for positions, window, heads in itertools.product(
        (False, True),
        (-1, *range(3, min(length, _WIDEST_WINDOW) + 1, 2)),
        (n for n in range(1, channels // 2 + 1) if channels % n == 0),
    ):
        chosen = settings(heads, window, positions)
        gap = misfit(chosen)
        if gap < least:
            best, least = chosen, gap
        if least < 1e-5:
            break
    return best


def check_original_detections(
    run: DetectionRun, outputs: DenseOutputs, data: Mapping[str, Any]
) -> Checks:
    """The original's own inference: candidates of each level, Soft-NMS on the grid, seconds."""
    meta = data["detections_meta"]
    settings = run.inference.model_copy(update={"max_candidates": 5000})
    found = build_decoder(run.detector, settings)(outputs)
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
