"""Base class of readers and writers: closes the file at the end of a ``with`` block."""

from types import TracebackType
from typing import Self


class Closing:
    """A context manager that closes itself, also after an exception."""

    def close(self) -> None:
        """Close the file."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
