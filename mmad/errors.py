"""Errors caused by input of the user: files, videos, settings, weights.

Each carries one message that says what was expected, what was found (file, video, value) and what
to do. The command line prints the message and exits with code 2; a programmer's mistake is an
``assert`` instead.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

RESUME_HINT = "what is finished is kept; run the same command again to resume"


class MmadError(ValueError):
    """Base of every error caused by the input of a user."""


class ConfigError(MmadError):
    """A setting is unknown, of the wrong type or impossible."""


class AnnotationError(MmadError):
    """An annotation file cannot be read or contradicts itself."""


class VideoError(MmadError):
    """A video cannot be opened, decoded or written."""


class PredictionError(MmadError):
    """A file of predictions cannot be read or does not fit the annotations."""


class OutputError(MmadError):
    """A file cannot be written."""


class CheckpointError(MmadError):
    """Weights or a run folder cannot be read or do not fit the model."""


class ExportError(MmadError):
    """A network cannot be exported, or an exported file cannot be used."""


class FeatureError(MmadError):
    """Stored features cannot be read, or are not the ones needed."""


class ProjectError(MmadError):
    """A project cannot be opened or written, or does not hold what is asked of it."""


class Cancelled(Exception):  # noqa: N818
    """Raised by a progress callback to stop the work; nothing half-written is left."""


class MmadWarning(UserWarning):
    """A notice about the input, from a function of the Python interface."""


@contextmanager
def told_if_interrupted(hint: str) -> Iterator[None]:
    """Add a hint on how to resume if the block is interrupted."""
    try:
        yield
    except KeyboardInterrupt as stop:
        stop.add_note(hint)
        raise


def raise_problems(
    error: type[MmadError], *, source: str, problems: Sequence[str], limit: int = 20
) -> None:
    """Raise ``error`` with all ``problems`` of ``source`` in one message, if there are any.

    >>> raise_problems(MmadError, source="a.csv", problems=[])
    >>> raise_problems(MmadError, source="a.csv", problems=["row 1: end before start"])
    Traceback (most recent call last):
        ...
    mmad.errors.MmadError: a.csv: row 1: end before start
    """
    if not problems:
        return
    if len(problems) == 1:
        raise error(f"{source}: {problems[0]}")
    lines = [f"  - {problem}" for problem in problems[:limit]]
    if len(problems) > limit:
        lines.append(f"  ... and {len(problems) - limit} more")
    raise error(f"{source}: {len(problems)} problems\n" + "\n".join(lines))
