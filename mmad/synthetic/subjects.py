"""Appearance of a synthetic person, chair, room and camera, a function of the subject's number."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Colour = tuple[int, int, int]

_SKINS = (
    (244, 208, 177),
    (229, 184, 143),
    (198, 134, 66),
    (141, 85, 36),
    (255, 219, 172),
    (110, 66, 38),
)
_HAIRS = ((30, 24, 20), (70, 45, 25), (120, 80, 40), (190, 150, 90), (90, 90, 95), (150, 60, 30))


@dataclass(frozen=True)
class Subject:
    """Appearance of one person and of the room: metres, radians, RGB from 0 to 255."""

    number: int
    scale: float
    torso: float
    shoulder_half: float
    upper_arm: float
    forearm: float
    thigh: float
    shin: float
    head: NDArray[np.float64]
    girth: float
    skin: Colour
    hair: Colour
    hair_length: float
    shirt: Colour
    sleeves_long: bool
    trousers: Colour
    shoes: Colour
    glasses: bool
    chair: Colour
    chair_back: float
    armrests: bool
    wall: Colour
    floor: Colour
    clutter_seed: int
    azimuth: float
    elevation: float
    zoom: float
    shift: tuple[float, float]
    light: float
    light_side: float
    noise: float
    slouch: float
    rest_style: int
    tempo: float


def _colour(rng: np.random.Generator, low: int = 25, high: int = 235) -> Colour:
    red, green, blue = (int(value) for value in rng.integers(low, high, 3))
    return red, green, blue


def _pale(colour: Colour) -> Colour:
    """A mostly grey version of a colour, for walls and floors."""
    grey = sum(colour) / 3
    red, green, blue = (int(0.3 * value + 0.7 * grey) for value in colour)
    return red, green, blue


def make_subject(number: int) -> Subject:
    """The person with this number, always the same.

    >>> make_subject(3).skin == make_subject(3).skin
    True
    """
    rng = np.random.default_rng((20240, number))

    def around(mean: float, share: float) -> float:
        return float(mean * (1 + rng.uniform(-share, share)))

    return Subject(
        number=number,
        scale=around(1.0, 0.06),
        torso=around(0.50, 0.06),
        shoulder_half=around(0.19, 0.1),
        upper_arm=around(0.29, 0.06),
        forearm=around(0.26, 0.06),
        thigh=around(0.42, 0.06),
        shin=around(0.43, 0.05),
        head=np.array([around(0.085, 0.08), around(0.125, 0.06), around(0.1, 0.06)]),
        girth=around(1.0, 0.15),
        skin=_SKINS[rng.integers(len(_SKINS))],
        hair=_HAIRS[rng.integers(len(_HAIRS))],
        hair_length=float(rng.uniform(0.0, 1.0)),
        shirt=_colour(rng),
        sleeves_long=bool(rng.random() < 0.6),
        trousers=_colour(rng, 20, 150),
        shoes=_colour(rng, 10, 220),
        glasses=bool(rng.random() < 0.35),
        chair=_colour(rng, 30, 170),
        chair_back=float(rng.uniform(0.25, 0.62)),
        armrests=bool(rng.random() < 0.3),
        wall=_pale(_colour(rng, 90, 245)),
        floor=_pale(_colour(rng, 60, 190)),
        clutter_seed=int(rng.integers(2**31)),
        azimuth=float(rng.uniform(-0.42, 0.42)),
        elevation=float(rng.uniform(0.02, 0.22)),
        zoom=around(1.0, 0.07),
        shift=(float(rng.uniform(-0.06, 0.06)), float(rng.uniform(-0.02, 0.02))),
        light=float(rng.uniform(0.8, 1.1)),
        light_side=float(rng.choice([-1.0, 1.0])),
        noise=float(rng.uniform(1.0, 4.0)),
        slouch=float(rng.uniform(0.06, 0.16)),
        rest_style=int(rng.integers(3)),
        tempo=around(1.0, 0.15),
    )
