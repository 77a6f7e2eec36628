"""Places on the face of the synthetic person, in half axes of the head."""

import numpy as np
from numpy.typing import NDArray

from mmad.synthetic.skeleton import Expression

# Eyes, brows, root and tip of the nose, corners of the mouth, ears; in half axes of the head.
FACE_SPOTS = np.array(
    [
        [-0.4, 0.1, 0.92],
        [0.4, 0.1, 0.92],
        [-0.4, 0.34, 0.88],
        [0.4, 0.34, 0.88],
        [0.0, 0.05, 1.0],
        [0.0, -0.2, 1.16],
        [-0.28, -0.55, 0.9],
        [0.28, -0.55, 0.9],
        [-1.02, 0.0, 0.0],
        [1.02, 0.0, 0.0],
    ]
)
LIPS = (150, 50, 55)
FACE_DIRECTIONS = FACE_SPOTS / np.linalg.norm(FACE_SPOTS, axis=1, keepdims=True)


def brow(expression: Expression, side: float) -> NDArray[np.float64]:
    """Outer end, middle and inner end of a brow, in half axes of the head."""
    height = 0.34 + 0.16 * expression.brow_lift
    slant = 0.16 * expression.brow_slant
    return np.array(
        [
            [side * 0.62, height - 0.04 - slant / 2, 0.8],
            [side * 0.4, height + 0.04, 0.88],
            [side * 0.16, height + slant, 0.95],
        ]
    )


def mouth(expression: Expression) -> NDArray[np.float64]:
    """Points around the mouth in half axes of the head: upper lip from right to left, then lower
    lip back.
    """
    across = np.linspace(-1.0, 1.0, 7)
    # Corners up and the middle down, or the other way round.
    curve = 0.22 * expression.smile * (across**2 - 0.4)
    gap = 0.2 * expression.mouth_open * np.sqrt(1 - across**2)
    half_width = 0.3 + 0.08 * max(expression.smile, 0.0) - 0.1 * expression.mouth_open
    depth = 0.94 - 0.06 * across**2
    upper = np.stack([half_width * across, -0.53 + curve + 0.4 * gap, depth], axis=1)
    lower = np.stack([half_width * across, -0.53 + curve - gap, depth], axis=1)
    return np.concatenate([upper, lower[::-1]])
