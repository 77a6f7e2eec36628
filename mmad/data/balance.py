"""How often the clips or videos of rare classes are drawn in training."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mmad.config.data import BalanceSettings
from mmad.structures import Annotations


def repeats(count: int, *, below: int | None) -> int:
    """How often to list each item of a class with ``count`` instances.

    >>> repeats(30, below=100), repeats(100, below=100), repeats(3, below=None)
    (2, 1, 1)
    """
    if below is None or count >= below:
        return 1
    return int(math.log2(below // count)) + 1


def rarest_classes(annotations: Sequence[Annotations]) -> tuple[NDArray[np.int64], NDArray]:
    """The class of each video with the fewest instances in all of them, and the instances of each
    class. A video without any counts as one of the most frequent class.

    >>> videos = [Annotations([[0, 1], [1, 2]], [0, 1]), Annotations([[0, 1]], [0]), Annotations()]
    >>> [found.tolist() for found in rarest_classes(videos)]
    [[1, 0, 0], [2, 1]]
    """
    counts = np.bincount(np.concatenate([one.labels for one in annotations]), minlength=1)
    classes = [
        one.labels[counts[one.labels].argmin()] if len(one) else counts.argmax()
        for one in annotations
    ]
    return np.array(classes, dtype=np.int64), counts


class BalancedOrder:
    """The items of an epoch, with those of rare classes repeated or drawn more often.

    Args:
        classes: Class of each item.
        counts: Number of instances of each class.
        settings: How rare classes are balanced.
    """

    def __init__(self, classes: ArrayLike, counts: ArrayLike, settings: BalanceSettings) -> None:
        found = np.asarray(counts)[np.asarray(classes, dtype=np.int64)]
        listed = [repeats(int(count), below=settings.repeat_below) for count in found]
        self._items = np.repeat(np.arange(len(found)), listed)
        self._chances = None
        if settings.balance_exponent != 1:
            # If classes are drawn at random, repeats change nothing.
            weights = found.astype(float) ** (settings.balance_exponent - 1) / listed
            self._chances = weights[self._items] / weights[self._items].sum()

    def __len__(self) -> int:
        return len(self._items)

    def item(self, place: int, *, rng: np.random.Generator) -> int:
        """The item at a place of the order; a random one if classes are balanced."""
        if self._chances is not None:
            place = int(rng.choice(len(self._items), p=self._chances))
        return int(self._items[place])
