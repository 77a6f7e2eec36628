"""Things that hold a file open, and give it back at the end of a ``with`` block."""

from types import TracebackType
from typing import Self


class Closing:
    """Closed at the end of a ``with`` block, whatever happens in it."""

    def close(self) -> None:
        """Give the file back."""
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
