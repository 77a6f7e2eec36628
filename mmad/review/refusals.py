"""Answers of the page other than the one asked for."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from mmad.errors import ProjectError
from mmad.projects.actions import StaleError


class Refused(Exception):  # noqa: N818
    """An answer other than the one asked for.

    Attributes:
        status: Status of HTTP.
        text: One sentence for the person, without paths.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what the project refuses into answers without paths."""
    try:
        yield
    except StaleError as error:
        raise Refused(409, str(error)) from None
    except sqlite3.Error:
        text = "nothing was saved: the project cannot be written to (disk full, or read-only?)"
        raise Refused(503, text) from None
    except ProjectError as error:
        raise Refused(422, str(error)) from None
