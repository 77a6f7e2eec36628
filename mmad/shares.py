"""Shares of a corpus: which videos each of several processes takes, on any number of machines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from mmad.errors import ConfigError


@dataclass(frozen=True)
class Share:
    """One of several shares.

    Attributes:
        index: Number of the share, from 0.
        count: Number of shares.
    """

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "Share":
        """The share ``I/N``, with I from 1.

        Raises: ConfigError if it is not a share.

        >>> Share.parse("2/8")
        Share(index=1, count=8)
        """
        first, _, second = text.partition("/")
        numbers = [int(word) for word in (first, second) if word.isascii() and word.isdigit()]
        if len(numbers) != 2 or not 1 <= numbers[0] <= numbers[1]:
            example = second if len(numbers) == 2 and numbers[1] else "8"
            raise ConfigError(
                f"--share {text}: expected I/N with I from 1 to N, such as 2/8; for an array of "
                f"Slurm, #SBATCH --array=1-{example} and "
                "--share $SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT"
            )
        return cls(numbers[0] - 1, numbers[1])

    def __str__(self) -> str:
        return f"{self.index + 1}-of-{self.count}"


WHOLE = Share(0, 1)


def assign_shares(costs: Mapping[str, float], *, count: int) -> list[list[str]]:
    """The names of each of ``count`` shares, sorted: the largest cost goes to the least loaded.

    Every process finds the same shares, whatever the order of the names.

    >>> assign_shares({"a": 5, "b": 3, "c": 1, "d": 2}, count=2)
    [['a', 'c'], ['b', 'd']]
    """
    shares: list[list[str]] = [[] for _ in range(count)]
    loads = [(0.0, 0, number) for number in range(count)]
    heapify(loads)
    for name in sorted(costs, key=lambda name: (-costs[name], name)):
        load, size, least = heappop(loads)
        shares[least].append(name)
        heappush(loads, (load + costs[name], size + 1, least))
    return [sorted(share) for share in shares]


def names_of(share: Share, costs: Mapping[str, float]) -> Sequence[str]:
    """The names of one share."""
    return assign_shares(costs, count=share.count)[share.index]
