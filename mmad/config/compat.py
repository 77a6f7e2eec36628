"""What the published codes do otherwise than we do, as settings: the presets of ``compat``."""

from collections.abc import Mapping
from typing import Any

# Group of settings -> setting -> value. docs/parity.md says why each differs.
PRESETS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "opentad": {
        "data": {"pad_to_window": True, "keep_tail": False},
        "detector": {
            "norm_eps": 1e-6,
            "mask_levels": False,
            "pool_sees_padding": True,
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
        "data": {"pad_to_window": True},
        "detector": {"mask_after_norm": False, "mask_levels": False, "pool_sees_padding": True},
        "inference": {"candidates_per_level": True, "min_length": 0.05, "keep_best": True},
    },
}


def expand_compat(content: Mapping[str, Any]) -> dict[str, Any]:
    """``content`` with the settings of its ``compat`` preset, where it does not say otherwise.

    >>> expand_compat({"compat": "opentad", "detector": {"norm_eps": 1.0}})["detector"]["norm_eps"]
    1.0
    """
    preset = PRESETS.get(str(content.get("compat")), {})
    expanded = dict(content)
    for group, settings in preset.items():
        given = content.get(group) or {}
        if isinstance(given, Mapping):
            expanded[group] = {**settings, **given}
    return expanded
