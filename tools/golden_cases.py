"""The cases of golden values: tiny settings of every network, head and preset."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

CHANNELS = 16
FPS = 15
# High rates at once, so that three steps move scores apart.
_TRAINING = {
    "epochs": 1,
    "batch_videos": 2,
    "warmup_epochs": 0,
    "learning_rate": 0.01,
    "adapter_learning_rate": 0.01,
    "backbone_learning_rate": 0.001,
    "ema_decay": 0.5,
    "precision": "fp32",
    "threads": 1,
}
_BACKBONE = {
    "size": {"width": CHANNELS, "depth": 2, "num_heads": 2},
    "position_image_size": 32,
    "adapter": {"name": "dsta"},
    "drop_path": 0.1,
}
_RANGES = [[0, 4], [4, 8], [8, 10000]]
_PYRAMID = {
    "channels": CHANNELS,
    "num_embedding": 1,
    "num_branch": 2,
    "regression_ranges": _RANGES,
}
_ACTIONFORMER = {"name": "actionformer", **_PYRAMID, "num_heads": 2}
_FULL = {"adapter": {"name": "none"}, "freeze": False}


@dataclass(frozen=True)
class Case:
    """A run, by what it learns from, its settings and those that differ from the usual ones.

    Attributes:
        kind: videos or features (detection), clips (recognition), or no training at all.
        changes: groups of settings, merged into those of the kind; others than groups stand alone.
        options: of the extraction.
        needs_flow: the clips have a second stream.
    """

    kind: Literal["videos", "features", "recognition", "extraction"]
    changes: Mapping[str, Any] = field(default_factory=dict)
    options: Sequence[str] = ()
    needs_flow: bool = False

    def content(self, data: Path, folder: Path) -> dict[str, Any]:
        """The settings of the run.

        Args:
            data: drawn videos and clips.
            folder: that has the drawn features and the optical flow.
        """
        usual = {
            "videos": lambda: _of_videos(data),
            "extraction": lambda: _of_videos(data),
            "features": lambda: _of_features(data, folder / "features"),
            "recognition": lambda: _of_clips(data, folder / "flow" if self.needs_flow else None),
        }[self.kind]()
        return merged(usual, self.changes)


def merged(content: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with changes to their groups; a group that has a name is another one."""
    result = copy.deepcopy(dict(content))
    for name, value in changes.items():
        is_group = isinstance(value, Mapping) and "name" not in value and name in result
        result[name] = {**result[name], **value} if is_group else value
    return result


def _of_videos(data: Path) -> dict[str, Any]:
    return {
        "task": "detection",
        "data": {
            "annotations": str(data / "annotations/mma52.json"),
            "videos": str(data / "videos"),
            "window_frames": 64,
            "image_size": 32,
            "resize": "squash",
            "num_workers": 0,
        },
        "backbone": _BACKBONE,
        "steps_per_tubelet": 1,
        "detector": _ACTIONFORMER,
        "training": _TRAINING,
    }


def _of_features(data: Path, features: Path) -> dict[str, Any]:
    return {
        "task": "detection",
        "data": {
            "annotations": str(data / "annotations/mma52.json"),
            "features": str(features),
            "grid": {"stride_frames": 2, "offset_frames": 0.5, "fps": FPS},
            "window_steps": 32,
            "num_workers": 0,
        },
        "training": _TRAINING,
    }


def _of_clips(data: Path, flow: Path | None) -> dict[str, Any]:
    lists = data / "annotations"
    return {
        "task": "recognition",
        "data": {
            "clips": str(data / "clips"),
            "train": [str(lists / "ma52_train.txt")],
            "val": [str(lists / "ma52_val.txt")],
            "image_size": 32,
            "resize": "squash",
            "num_workers": 0,
            **({"flow": str(flow)} if flow is not None else {}),
        },
        "backbone": _BACKBONE,
        # Cosines times 30, as usual, would make much of last digits.
        "heads": {"squeeze": 4, "scale": 8},
        "training": {**_TRAINING, "batch_videos": 4},
    }


def _videos(**changes: Any) -> Case:
    return Case("videos", changes)


def _adapter(name: str) -> Case:
    return _videos(backbone={"adapter": {"name": name}})


def _features(name: str, *, pyramid: bool = True, detector: Any = None, **groups: Any) -> Case:
    settings = {"name": name, **(_PYRAMID if pyramid else {}), **(detector or {})}
    return Case("features", {"detector": settings, **groups})


def _clips(**changes: Any) -> Case:
    return Case("recognition", changes)


def _heads(**changes: Any) -> Case:
    return _clips(heads=changes)


def _flow(**heads: Any) -> Case:
    return Case("recognition", {"heads": heads}, needs_flow=True)


def _extraction(*options: str, **changes: Any) -> Case:
    return Case("extraction", changes, options)


_SLIDING = {"window_steps": 16}
_SGP = {"hidden_channels": CHANNELS, "num_stem": 1}
_TRANSFORMER = {"num_heads": 2, "num_stem": 1, "attention_window": 5}
_NO_EXTRA_HEADS = {"frame": False, "coarse": False, "frame_coarse": False}

CASES: Mapping[str, Case] = {
    # Detection in videos.
    "videos_dsta": _adapter("dsta"),
    "videos_dsta_180": _adapter("dsta_180"),
    "videos_tia": _adapter("tia"),
    "videos_standard": _adapter("standard"),
    "videos_frozen": _adapter("none"),
    "videos_full": _videos(backbone=_FULL),
    "videos_full_adapters": _videos(backbone={"freeze": False, "final_norm": True}),
    "videos_sliding": _videos(
        data={"window_frames": 32, "subtract_background": True, "augment_on": "device"},
        backbone={"learned_positions": True, "activation_checkpointing": True},
        steps_per_tubelet=2,
    ),
    "videos_whole": _videos(
        data={"sampling": "whole", "resize": "crop", "augmentation": {"operations": 2}},
        steps_per_tubelet=0.5,
    ),
    "videos_tridet": _videos(detector={"name": "tridet", **_PYRAMID, **_SGP}),
    "videos_opentad": _videos(compat="opentad"),
    "videos_actionformer": _videos(compat="actionformer"),
    # Detection on features.
    "actionformer": _features("actionformer", detector=_TRANSFORMER),
    "actionformer_sliding": _features(
        "actionformer",
        detector={"num_heads": 2, "absolute_positions": True, "label_smoothing": 0.1},
        data=_SLIDING,
        inference={"nms": "soft_linear", "voting_threshold": 0.7},
    ),
    "actionformer_opentad": _features(
        "actionformer", detector=_TRANSFORMER, data=_SLIDING, compat="opentad"
    ),
    "actionformer_compat": _features(
        "actionformer", detector=_TRANSFORMER, data=_SLIDING, compat="actionformer"
    ),
    "temporalmaxer": _features("temporalmaxer"),
    "temporalmaxer_centre": _features("temporalmaxer", detector={"assigner": None}),
    "tridet": _features("tridet", detector={**_SGP, "input_noise": 5e-4}),
    "dyfadet": _features("dyfadet", detector={**_SGP, "input_noise": 1e-5}),
    "videomamba": _features("videomamba", detector={"num_stem": 1, "num_states": 4}),
    "videomamba_vim_opentad": _features(
        "videomamba",
        detector={"num_stem": 1, "num_states": 4, "mixer": "vim", "expand": 2},
        data=_SLIDING,
        compat="opentad",
    ),
    "pointtad": _features(
        "pointtad",
        pyramid=False,
        detector={
            **{"channels": CHANNELS, "num_heads": 2, "hidden_channels": 16, "dynamic_channels": 8},
            **{"num_queries": 6, "num_points": 6, "num_boundary_points": 2},
        },
        inference={"score_threshold": 0, "min_score": 0, "nms": "hard", "iou_threshold": 1.0},
    ),
    "tadtr": _features(
        "tadtr",
        pyramid=False,
        detector={
            **{"channels": CHANNELS, "num_groups": 1, "num_heads": 2, "hidden_channels": 16},
            **{"num_encoder_layers": 1, "num_decoder_layers": 2, "num_queries": 8},
        },
        inference={"sigma": 0.4, "max_candidates": 200},
    ),
    "mstct": _features(
        "mstct",
        pyramid=False,
        detector={
            **{"stage_channels": [16, 24], "num_blocks": 1, "num_heads": 2, "mlp_ratio": 2.0},
            **{"mixer_channels": 16, "centre_weight": 0.5},
        },
    ),
    # Recognition.
    "clips_tsn": _heads(primary="tsn"),
    "clips_i3d": _heads(primary="i3d", scale=30),
    "clips_timesformer": _heads(primary="timesformer"),
    "clips_linear": _heads(classifier="linear", frame_classifier="linear"),
    "clips_separate_gate": _heads(shared_gate=False, margin_on="all"),
    "clips_gate_replaces": _heads(gate="replace", frame_rows="channel_groups"),
    "clips_primary_only": _heads(**_NO_EXTRA_HEADS, norm=True),
    "clips_released": _clips(compat="released"),
    "clips_released_timesformer": _clips(compat="released", heads={"primary": "timesformer"}),
    "clips_full": _clips(backbone={**_FULL, "final_norm": "pooled"}),
    "clips_mixup": _clips(losses={"mixup": 0.4, "label_smoothing": 0.1}),
    "clips_soft": _clips(
        inference={"hierarchy": "soft"},
        data={"augment_on": "device", "balance_exponent": 0.5},
        losses={"within_body_exponent": 0.5, "f1_present_only": True},
    ),
    "clips_summed": _clips(inference={"hierarchy": "summed"}, losses={"f1": False}),
    "clips_flow_add": _flow(flow_fusion="add", flow_weights="shared"),
    "clips_flow_concat": _flow(flow_fusion="concat", flow_weights="separate"),
    # Features of a backbone at random weights.
    "extraction_dense": _extraction(),
    "extraction_windows": _extraction("--window", "16", "--stride", "4", "--spatial", "tokens"),
    "extraction_grid": _extraction("--spatial", "2", "--before-block", "1", "--fps", "10"),
}
