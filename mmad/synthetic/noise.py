"""What a camera adds to the images of a room: noise of its sensor, and flicker of the lamps.

The noise of a sensor has a part that grows with the square root of the light, and one that does
not. Lamps flicker with twice the frequency of the mains; at a frame rate that does not divide it,
brightness beats at the difference to the nearest multiple. Compression (``crf``) comes on top.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

NoiseName = Literal["none", "low", "medium", "high"]
# Twice 50 Hz.
_LAMPS_HZ = 100.0
# The level of grey at which the deviation of a sensor is stated, and its part without light.
_GREY, _DARK = 128.0, 16.0


@dataclass(frozen=True)
class CameraNoise:
    """The strength of noise.

    Attributes:
        sensor: Standard deviation of a pixel of middle grey, in levels of 255.
        flicker: Largest relative change of brightness.
    """

    sensor: float
    flicker: float


# Of images that are smaller than those of the sensor: averaging has taken most noise away.
NOISE: Mapping[NoiseName, CameraNoise | None] = {
    "none": None,
    "low": CameraNoise(sensor=1.5, flicker=0.003),
    "medium": CameraNoise(sensor=3.0, flicker=0.01),
    "high": CameraNoise(sensor=6.0, flicker=0.02),
}


class NoisyCamera:
    """Adds noise to the frames of one video, in order.

    Args:
        noise: Strength; None leaves frames as they are.
        fps: Frames per second.
        rng: Generator of the noise and of the phase of the lamps.
    """

    def __init__(self, noise: CameraNoise | None, *, fps: float, rng: np.random.Generator) -> None:
        self._noise = noise
        self._rng = rng
        self._phase = float(rng.uniform(0, 2 * np.pi))
        beats_hz = _LAMPS_HZ - round(_LAMPS_HZ / fps) * fps
        self._turn = 2 * np.pi * beats_hz / fps
        self._frame = 0

    def __call__(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The frame as the camera records it, uint8 of the same shape."""
        if self._noise is None:
            return frame
        light = np.float32(1 + self._noise.flicker * np.sin(self._phase + self._turn * self._frame))
        self._frame += 1
        image = frame.astype(np.float32) * light
        deviation = self._noise.sensor * np.sqrt((image + _DARK) / (_GREY + _DARK))
        image += deviation * self._rng.standard_normal(image.shape, dtype=np.float32)
        return image.round().clip(0, 255).astype(np.uint8)
