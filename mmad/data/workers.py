"""How the workers of a loader share a list."""

from collections.abc import Sequence
from typing import TypeVar

from torch.utils.data import get_worker_info

Item = TypeVar("Item")


def share_of_worker(items: Sequence[Item]) -> Sequence[Item]:
    """Every n-th item in a worker of n, each item in one of them; all outside of a worker."""
    worker = get_worker_info()
    return items if worker is None else items[worker.id :: worker.num_workers]
