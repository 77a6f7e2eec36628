"""Ending with the program that started this one.

ELAN stops a recogniser by ending the process that it has started. On Windows that is the command
interpreter, whose end does not end this process; and if ELAN itself ends, nobody is stopped.
"""

import os
import sys
import threading
import time
from collections.abc import Callable

_SECONDS = 1.0


def end_with_parent(end: Callable[[], object] = lambda: os._exit(143)) -> None:
    """Call ``end`` from another thread once the process that started this one has ended."""
    parent = os.getppid()
    wait = _waits_on_windows(parent) if sys.platform == "win32" else _waits(parent)
    threading.Thread(target=lambda: (wait(), end()), daemon=True).start()


def _waits(parent: int) -> Callable[[], object]:
    def wait() -> None:
        while os.getppid() == parent:
            time.sleep(_SECONDS)

    return wait


def _waits_on_windows(parent: int) -> Callable[[], object]:  # pragma: no cover
    import ctypes

    kernel: ctypes.CDLL = ctypes.windll.kernel32  # type: ignore[attr-defined,unused-ignore]
    synchronize, forever = 0x00100000, 0xFFFFFFFF
    handle = kernel.OpenProcess(synchronize, False, parent)
    if not handle:  # not ours to watch
        return threading.Event().wait
    return lambda: kernel.WaitForSingleObject(handle, forever)
