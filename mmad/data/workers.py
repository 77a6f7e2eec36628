"""Sharing a list among the workers of a loader."""

from collections.abc import Sequence
from typing import TypeVar

from torch.utils.data import get_worker_info

Item = TypeVar("Item")


def share_of_worker(items: Sequence[Item]) -> Sequence[Item]:
    """Every n-th item in one of n workers, so that each item is in one; all outside a worker."""
    worker = get_worker_info()
    return items if worker is None else items[worker.id :: worker.num_workers]
