"""Presets of ``compat``: the settings in which reference implementations differ from ours."""

from collections.abc import Collection, Mapping
from typing import Any

from mmad.config.extending import merged

# Group of settings -> setting -> value. docs/parity.md explains each difference.
Presets = Mapping[str, Mapping[str, Mapping[str, Any]]]

PRESETS_OF_DETECTION: Presets = {
    "opentad": {
        "data": {
            "pad_to_window": True,
            "keep_tail": False,
            "resizing": "opencv",
            "truncate_annotations": True,
            "fps": "own",
            "augmentation": {"operations": 2, "fixed_signs": True},
        },
        "detector": {
            "norm_eps": 1e-6,
            "regression_bias": 0.0,
            "mask_levels": False,
            "pool_sees_padding": True,
            "scan_sees_padding": True,
            "mask_features": False,
        },
        "inference": {
            "round_seconds": 0.01,
            "round_scores": 0.0001,
            "voting_weight": "score",
            "keep_best": True,
        },
    },
    "actionformer": {
        "data": {"pad_to_window": True, "fps": "own"},
        "detector": {
            "regression_bias": 0.0,
            "mask_after_norm": False,
            "mask_levels": False,
            "pool_sees_padding": True,
        },
        "inference": {"candidates_per_level": True, "min_length": 0.05, "keep_best": True},
    },
}

# With stored features no images are read, and the mask marks padding.
PRESETS_OF_FEATURES: Presets = {
    name: {
        "detector": {k: v for k, v in preset["detector"].items() if k != "mask_features"},
        "inference": preset["inference"],
        "data": {"fps": "own", **({"keep_tail": False} if name == "opentad" else {})},
    }
    for name, preset in PRESETS_OF_DETECTION.items()
}


# MANet's code: its loss is 50 times the mean square, it maps every frame, and of TSM's rules the
# higher learning rate falls on the last layer of the mapping.
_PRESETS_OF_MANET: Presets = {
    "released": {
        "backbone": {"convolves_exchanged": False},
        "heads": {"alpha": 50.0, "distance": "mean", "maps": "frames"},
        "losses": {"f1": False},
        "training": {"bias_rate": 2.0, "last_layer_rate": 5.0, "last_layer": "last"},
    }
}


def presets_of_recognition(heads: str, *, norm: bool) -> Presets:
    """The presets of a recogniser with these heads; that with TimeSformer's head has ``norm`` and
    another loss.
    """
    if heads == "manet":
        return _PRESETS_OF_MANET
    if heads == "mlfe":  # nothing was released
        return {}
    released = {
        "heads": {
            "shared_gate": False,
            "gate": "replace",
            "frame_rows": "channel_groups",
            "margin_on": "all",
            "frame_classifier": "linear",
        },
        "losses": {"f1_constant": 2, "f1_frames": "together", "f1_over": "each"},
    }
    timesformer = {"heads": {"classifier": "linear", "norm": norm}, "losses": {"f1": False}}
    return {"released": released, "released_timesformer": merged(released, timesformer)}


def of_named_poolings(content: Mapping[str, Any], *, norms_vectors: bool) -> dict[str, Any]:
    """The settings of a recogniser whose heads had a ``primary``: tsn, i3d or timesformer.

    All were the mean of all tokens; that of TimeSformer had a norm if the backbone has none.

    >>> of_named_poolings({"heads": {"primary": "timesformer"}}, norms_vectors=False)["heads"]
    {'norm': True}
    """
    heads = content.get("heads")
    if not isinstance(heads, Mapping) or "primary" not in heads:
        return dict(content)
    rest = {key: value for key, value in heads.items() if key != "primary"}
    changed = {**content, "heads": rest}
    is_timesformer = heads["primary"] == "timesformer"
    if rest.get("norm") is None:
        rest["norm"] = is_timesformer and not norms_vectors
    if is_timesformer and content.get("compat") == "released":
        changed["compat"] = "released_timesformer"
    return changed


def of_first_runs(content: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a recogniser trained before frame heads could have ArcFace, when
    TimeSformer's head was always linear, with a norm of its own and without F1.

    >>> of_first_runs({"task": "recognition"})["heads"]
    {'frame_classifier': 'linear'}
    """
    if content.get("task") != "recognition":
        return dict(content)
    added: dict[str, Any] = {
        "heads": {"frame_classifier": "linear"},
        "losses": {"f1_frames": "together"},
    }
    heads = content.get("heads")
    if isinstance(heads, Mapping) and heads.get("primary") == "timesformer":
        added["heads"] |= {"classifier": "linear", "norm": True}
        added["losses"]["f1"] = False
    return merged(content, added)


def only_known(presets: Presets, group: str, known: Collection[str]) -> Presets:
    """The presets without those settings of a group that are not ``known``: detectors differ.

    >>> only_known({"a": {"detector": {"x": 1, "y": 2}}}, "detector", ["y"])
    {'a': {'detector': {'y': 2}}}
    """
    return {
        name: {
            key: {k: v for k, v in values.items() if key != group or k in known}
            for key, values in preset.items()
        }
        for name, preset in presets.items()
    }


def expand_compat(content: Mapping[str, Any], presets: Presets) -> dict[str, Any]:
    """``content`` with the settings of its ``compat`` preset, unless it sets them itself.

    >>> content = {"compat": "opentad", "detector": {"norm_eps": 1.0}}
    >>> expand_compat(content, PRESETS_OF_DETECTION)["detector"]["norm_eps"]
    1.0
    """
    return merged(presets.get(str(content.get("compat")), {}), content)
