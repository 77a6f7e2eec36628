"""Images to change, and how far two of them are apart."""

import numpy as np


def images(num: int = 3, height: int = 40, width: int = 48) -> np.ndarray:
    """Smooth colour ramps with some noise: no image uses every grey level."""
    rng = np.random.default_rng(5)
    ramp = np.linspace(20, 210, height * width).reshape(height, width, 1)
    frames = ramp[None] * rng.uniform(0.4, 1.0, (num, 1, 1, 3)) + rng.uniform(0, 25, (num, 1, 1, 3))
    return (frames + rng.uniform(-8, 8, (num, height, width, 3))).clip(0, 255).astype(np.uint8)


def difference(ours: np.ndarray, theirs: list) -> int:
    return int(np.abs(ours.astype(int) - np.stack([np.asarray(one) for one in theirs])).max())
