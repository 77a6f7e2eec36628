"""Progress of long work: a bar on a terminal, one line per minute in a log file."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import TypeVar

from tqdm import tqdm

from mmad.errors import ConfigError

# Work that ends within the first interval leaves no line in a log file.
_INTERVAL_SECONDS = 60.0

Item = TypeVar("Item")
Listener = Callable[[float], object]


class Progress:
    """A context manager that shows the progress of some work on standard error.

    Args:
        task: Name of the work, at the start of each line.
        total: Number of units to do.
        unit: Name of the units, in the plural.
        done: Number of units done before.
        quiet: Whether to show nothing.
        listener: Called with the fraction done after each update, and with 1 at the end; what it
            raises stops the work.
    """

    def __init__(
        self,
        task: str,
        *,
        total: int,
        unit: str,
        done: int = 0,
        quiet: bool = False,
        listener: Listener | None = None,
    ) -> None:
        self._task = task
        self._total = total
        self._unit = unit
        self._before = done
        self._done: float = done
        self._quiet = quiet
        self._listener = listener
        self._started = self._last_line = time.monotonic()
        is_terminal = not quiet and sys.stderr.isatty()
        self._bar = tqdm(
            total=total,
            initial=done,
            desc=task,
            unit=f" {unit}",
            disable=not is_terminal,
            leave=None,
        )

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.close()
        if exc_type is None and self._listener is not None and self._done < self._total:
            self._listener(1.0)

    def update(self, count: float = 1, detail: str = "") -> None:
        """Add ``count`` units; ``detail`` describes the latest of them, such as its loss."""
        self._done += count
        if not self._bar.disable:
            self._bar.set_postfix_str(detail, refresh=False)
            self._bar.update(round(self._done, 2) - self._bar.n)
        elif not self._quiet and time.monotonic() - self._last_line >= _INTERVAL_SECONDS:
            self._last_line = time.monotonic()
            self.say(", ".join(filter(None, (self._place(), detail, self._time_left()))))
        if self._listener is not None:
            self._listener(min(self._done / self._total, 1.0) if self._total else 1.0)

    def reach(self, done: float) -> None:
        """Have so many units done, of which the last may be done in part."""
        self.update(round(done, 2) - self._done)

    def say(self, text: str) -> None:
        """Write a line of its own, above the bar if there is one."""
        if not self._quiet:
            # A full disk or a closed pipe of the log must not stop the work.
            with contextlib.suppress(OSError):
                tqdm.write(f"{self._task}: {text}", file=sys.stderr)
                sys.stderr.flush()

    def _place(self) -> str:
        share = f" ({self._done / self._total:.0%})" if self._total else ""
        done = f"{self._done:.2f}".rstrip("0").rstrip(".")
        return f"{done} of {self._total} {self._unit}{share}"

    def _time_left(self) -> str:
        done = self._done - self._before
        if done <= 0 or self._done >= self._total:
            return ""
        seconds = (time.monotonic() - self._started) / done * (self._total - self._done)
        return f"about {duration_text(seconds)} left"


def watched(
    task: str, progress: bool | Listener, *, total: int, unit: str, done: int = 0
) -> Progress:
    """Progress that is shown (True), hidden (False), or told to a function as the fraction done.

    Raises: ConfigError if it is none of these.
    """
    if not (isinstance(progress, bool) or callable(progress)):
        raise ConfigError(
            f"progress: expected True, False or a function of the fraction done, found {progress!r}"
        )
    listener = None if isinstance(progress, bool) else progress
    return Progress(
        task, total=total, unit=unit, done=done, quiet=progress is not True, listener=listener
    )


def tracked(items: Iterable[Item], task: str, *, total: int, unit: str) -> Iterator[Item]:
    """Yield the items and show their progress."""
    with Progress(task, total=total, unit=unit) as progress:
        for item in items:
            yield item
            progress.update()


def duration_text(seconds: float) -> str:
    """A duration in the two units that matter.

    >>> duration_text(42.4), duration_text(754), duration_text(7500)
    ('42 s', '13 min', '2 h 5 min')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
