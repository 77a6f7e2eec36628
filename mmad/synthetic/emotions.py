"""Emotions of the synthetic person: what they change in its actions and in its face.

The numbers are made up: there is something to learn from the face and from the body, neither
suffices alone, and some emotions are rare, as in MA-52-Pro.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mmad.labels import EMOTIONS, MA52
from mmad.synthetic.motions import Instance
from mmad.synthetic.skeleton import Expression

# Share of the videos of each emotion, in the order of `EMOTIONS`.
SHARES = (0.42, 0.22, 0.16, 0.1, 0.1)


@dataclass(frozen=True)
class Mood:
    """What an emotion changes.

    Attributes:
        expression: Face at full strength.
        favoured: Actions that are more frequent, by the factor `_FAVOURED`.
        number: Factor of the number of actions of a video.
        amplitude: Factor of the size of movements.
        speed: Factor of their speed.
    """

    expression: Expression
    favoured: tuple[str, ...]
    number: float
    amplitude: float
    speed: float


_FAVOURED = 6.0
_MOODS = {
    "joy": Mood(
        Expression(smile=1.0, mouth_open=0.25, brow_lift=0.2),
        ("nodding", "waving", "illustrative gestures", "tilting head", "playing objects"),
        number=1.25,
        amplitude=1.15,
        speed=1.05,
    ),
    "sadness": Mood(
        Expression(smile=-1.0, brow_lift=0.1, brow_slant=1.0),
        ("bowing head", "rubbing eyes", "scratching or touching forehead", "covering face"),
        number=0.7,
        amplitude=0.75,
        speed=0.65,
    ),
    "surprise": Mood(
        Expression(mouth_open=1.0, brow_lift=1.0),
        ("head up", "spreading hands", "covering mouth", "sitting straightly"),
        number=1.0,
        amplitude=1.3,
        speed=1.25,
    ),
    "fear": Mood(
        Expression(smile=-0.4, mouth_open=0.7, brow_lift=0.8, brow_slant=0.6),
        ("rubbing hands", "closing legs", "scratching or touching neck", "retracting feet"),
        number=1.1,
        amplitude=0.7,
        speed=1.4,
    ),
    "anger": Mood(
        Expression(smile=-0.5, brow_lift=-0.6, brow_slant=-1.0),
        ("clenching fist", "shaking head", "crossing arms", "patting legs", "shaking legs"),
        number=1.2,
        amplitude=1.35,
        speed=1.25,
    ),
}
assert tuple(_MOODS) == EMOTIONS.names


def mood_of(emotion: int) -> Mood:
    """What the emotion of this index changes."""
    return _MOODS[EMOTIONS.names[emotion]]


def emotional_weights(weights: NDArray[np.float64], emotion: int) -> NDArray[np.float64]:
    """Probability of each of the 52 classes in a video with an emotion.

    >>> even = np.full(52, 1 / 52)
    >>> float(emotional_weights(even, 0)[9] / even[9]) > 1  # nodding for joy
    True
    """
    factors = np.ones(len(weights))
    factors[[MA52.index(name) for name in mood_of(emotion).favoured]] = _FAVOURED
    return weights * factors / (weights * factors).sum()


def emotional_instances(instances: Sequence[Instance], emotion: int) -> tuple[Instance, ...]:
    """The instances, as large and fast as the emotion makes them."""
    mood = mood_of(emotion)
    return tuple(
        replace(one, amplitude=one.amplitude * mood.amplitude, speed=one.speed * mood.speed)
        for one in instances
    )


def expression_at(seconds: float, emotion: int, *, strength: float, phase: float) -> Expression:
    """The face at a time; it comes and goes slowly.

    Args:
        seconds: Time in the video.
        emotion: Index of the emotion.
        strength: Strength in this video, 0 to 1.
        phase: Phase of its coming and going, in radians.
    """
    swell = 0.75 + 0.25 * math.sin(2 * math.pi * 0.2 * seconds + phase)
    return mood_of(emotion).expression.scaled(strength * swell)
