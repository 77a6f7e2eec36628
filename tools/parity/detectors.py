"""A whole AdaTAD detector: three training steps, and windows merged to detections."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mmad.config.run import DetectionRun
from mmad.engine.inference import merge_windows
from mmad.engine.optimiser import parameter_groups
from mmad.models.build import build_detector
from mmad.models.detectors.dense.points import DenseOutputs
from mmad.models.detectors.families import build_criterion
from mmad.models.detectors.whole import EndToEndDetector
from mmad.structures import FeatureGrid
from mmad.weights.load import fill_detector
from mmad.weights.naming import backbone_names, detector_names
from parity.backbones import fixed_colours, to_clips, upsampling
from parity.common import Check, Checks, as_file, largest
from parity.temporal import detector_settings, padded, same_detections


def whole_detector(
    run: DetectionRun, weights: Mapping[str, Tensor], *, factor: float
) -> EndToEndDetector:
    """Our detector with OpenTAD's weights, and ``factor`` steps for each of the backbone."""
    model = build_detector(run, num_classes=len(weights["rpn_head.cls_head.bias"]))
    # Set here, as settings take only what makes whole steps of every clip.
    model.features.upsampling = factor
    fill_detector(model, as_file(weights))
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
    config = data["config"]["backbone"]
    frames, mask = data["frames_uint8"], data["mask"]
    count, total = len(frames), frames.shape[3]
    factor = upsampling(config, total_frames=total)
    model = whole_detector(run, data["state_dict_before"], factor=factor).train()
    groups = parameter_groups(model, run.training)
    yield from check_groups(groups, data["param_groups"])
    optimizer = torch.optim.AdamW(
        [{k: v for k, v in group.items() if k not in ("names", "name")} for group in groups]
    )
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
        # OpenTAD pads every input to the longest that it takes.
        longest = data["config"]["projection"]["max_seq_len"]
        return model.network(*padded(features, mask, length=longest))

    segments = [x.float() for x in data["gt_segments"]]
    labels = [x.long() for x in data["gt_labels"]]
    for number, stored in enumerate(data["steps"]):
        out = outputs()
        losses = criterion(out, segments, labels)
        positive = max(int(losses.num_positives), 1)
        normalizer = momentum * normalizer + (1 - momentum) * positive
        cost = losses.total / normalizer
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
    before, after = (
        whole_detector(run, data[f"state_dict_{when}"], factor=factor).state_dict()
        for when in ("before", "after_3_steps")
    )
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
        tensors |= {"backbone.model.backbone.blocks.0.mlp.layers.0.0.weight": torch.zeros(1)}
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


def check_windows(run: DetectionRun, data: Mapping[str, Any]) -> Checks:
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
