"""Options that say which videos of a corpus a process takes, and where the work is done."""

from typing import Annotated, Literal

import typer

from mmad.errors import ConfigError
from mmad.shares import WHOLE, Share
from mmad.workers import LocalWorkers, Workers

ShareOption = Annotated[
    str | None,
    typer.Option(
        metavar="I/N",
        help="Take the I-th of N shares of the videos, from 1; the last to end merges them all.",
    ),
]
OnOption = Annotated[
    Literal["ray"] | None,
    typer.Option("--on", help="Work on a cluster of Ray (RAY_ADDRESS) instead of here."),
]


def chosen_share(text: str | None, on: str | None) -> Share:
    """The share of ``--share``; the whole without it.

    Raises: ConfigError if it is not a share, or a cluster divides the videos already.
    """
    if text is None:
        return WHOLE
    if on is not None:
        raise ConfigError(
            f"--share and --on {on}: a cluster divides the videos among its workers itself; pass "
            "one of the two"
        )
    return Share.parse(text)


def chosen_workers(on: str | None, *, count: int = 1, gpus: bool = False) -> Workers:
    """The workers of ``--on``, else processes of this machine.

    Args:
        on: Value of the option.
        count: Number of processes here.
        gpus: Whether a job on a cluster needs a GPU of its own, where there are any.

    Raises: ConfigError if they are not available.
    """
    if on == "ray":
        from mmad.ray_workers import RayWorkers

        return RayWorkers(gpus=gpus)
    return LocalWorkers(count)
