"""Files that tell other processes, on this machine or others, that one is at work."""

import os
import socket
import time
from pathlib import Path

# A lock that has not been refreshed for so long belongs to a process that was killed.
ABANDONED_SECONDS = 120.0
_REFRESH_SECONDS = 10.0


class ProcessLock:
    """A file that is there while a process holds it, and refreshed by it.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._refreshed = 0.0

    def acquire(self) -> bool:
        """Whether this process holds the lock now; one of a process that was killed is taken over.

        Raises: OSError if the file cannot be written.
        """
        for _ in range(2):
            try:
                with self.path.open("x", encoding="utf-8") as file:
                    file.write(f"{socket.gethostname()} {os.getpid()}")
            except FileExistsError:
                if not self._is_abandoned():
                    return False
                self.path.unlink(missing_ok=True)
            else:
                self._refreshed = time.monotonic()
                return True
        return False

    def refresh(self) -> None:
        """Show that the process still runs; cheap if called often."""
        if time.monotonic() - self._refreshed > _REFRESH_SECONDS:
            self._refreshed = time.monotonic()
            self.path.touch()

    def release(self) -> None:
        """Let others have it."""
        self.path.unlink(missing_ok=True)

    def holder(self) -> str:
        """Machine and number of the process that holds it, in words."""
        try:
            host, _, pid = self.path.read_text(encoding="utf-8").partition(" ")
        except OSError:
            return "another process"
        return f"process {pid} on {host}"

    def _is_abandoned(self) -> bool:
        try:
            host, _, pid = self.path.read_text(encoding="utf-8").partition(" ")
            age = time.time() - self.path.stat().st_mtime
        except OSError:
            return False  # just released
        if age > ABANDONED_SECONDS:
            return True
        # Elsewhere than on POSIX systems, signal 0 is not a question.
        if host != socket.gethostname() or os.name != "posix" or not pid.isdigit():
            return False
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return True
        except OSError:
            return False
        return False
