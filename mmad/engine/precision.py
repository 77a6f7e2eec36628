"""Types of numbers that networks compute with."""

import torch

from mmad.errors import ConfigError

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def choose_precision(name: str, device: torch.device) -> torch.dtype | None:
    """Type of autocast, or None for full precision.

    Raises: ConfigError if there is no such precision.
    """
    if name == "auto":
        if device.type != "cuda":
            return None
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if name not in PRECISIONS:
        raise ConfigError(f"precision {name}: expected auto, {', '.join(PRECISIONS)}")
    return PRECISIONS[name]
