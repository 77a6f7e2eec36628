"""How faces are searched for and cut, unless a user says otherwise."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class FaceSearch:
    """How faces are found, followed and cut.

    Attributes:
        min_score: Score from which on a model finds a face, 0 to 1.
        every: Distance in frames between the images that the model sees.
        max_gap_seconds: Longest time between two boxes over which a box is interpolated.
        expand: Share of the longer side of the box that is added on each side.
        size: Pixels of the sides of a copy, even.
    """

    min_score: float = 0.7
    every: int = 3
    max_gap_seconds: float = 0.5
    expand: float = 0.2
    size: int = 224
