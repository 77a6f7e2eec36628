"""Lock files across processes and machines."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from mmad.errors import OutputError
from mmad.files import cannot_write, make_folder, patiently
from mmad.shares import WHOLE, Share

LOCK_FILE = ".mmad.lock"
# A lock of another machine that was not refreshed for this long belongs to a killed process.
ABANDONED_SECONDS = 120.0
_REFRESH_SECONDS = 10.0


@dataclass(frozen=True)
class _Holder:
    """The process that holds a lock; the fields are the words of the file.

    Attributes:
        host: Name of the machine.
        pid: Process id.
        place: Scope of the process id: a boot of a machine, and a container on it.
        started: Start time of the process, since process ids are reused; "-" if not known.
        since: Time at which it took the lock.
    """

    host: str
    pid: str
    place: str = "-"
    started: str = "-"
    since: str = ""

    @classmethod
    def myself(cls) -> "_Holder":
        pid = str(os.getpid())
        now = time.strftime("%Y-%m-%dT%H:%M")
        return cls(socket.gethostname(), pid, _place(), _started(pid), now)

    def is_dead(self) -> bool | None:
        """Whether the process has ended, or None if that cannot be determined from here."""
        # Only on POSIX systems is signal 0 harmless.
        if os.name != "posix" or self.host != socket.gethostname() or not self.pid.isdigit():
            return None
        if self.place not in ("-", _place()):
            return None
        try:
            os.kill(int(self.pid), 0)
        except (ProcessLookupError, OverflowError):
            return True
        except OSError:
            return False
        return self.started != "-" and self.started != _started(self.pid)


def _place() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")[:13]
        return f"{boot}.{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return "-"


def _started(pid: str) -> str:
    try:
        # The name of the program, in brackets, may contain anything.
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[19]
    except OSError:
        return "-"


class ProcessLock:
    """A lock file, which exists while a process holds it and is refreshed while it runs.

    Args:
        path: Lock file; its folder must exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._released = threading.Event()

    def acquire(self) -> bool:
        """Try to take the lock, also from a killed process, and return whether that succeeded.

        Raises: OSError if the file cannot be written.
        """
        words = " ".join(asdict(_Holder.myself()).values())
        for _ in range(2):
            try:
                with self.path.open("x", encoding="utf-8") as file:
                    file.write(words)
            except FileExistsError:
                if not self._remove_abandoned():
                    return False
            except OSError:
                self.path.unlink(missing_ok=True)
                raise
            else:
                self._released.clear()
                threading.Thread(target=self._refresh, daemon=True).start()
                return True
        return False

    def release(self) -> None:
        """Release the lock."""
        self._released.set()
        patiently(lambda: self.path.unlink(missing_ok=True))

    def holder(self) -> str:
        """Id, machine and start of the process that holds it, as a human-readable string."""
        holder = self._read()
        if holder is None:
            return "another process"
        since = f" since {holder.since.replace('T', ' ')}" if holder.since else ""
        return f"process {holder.pid} on {holder.host}{since}"

    def _refresh(self) -> None:
        while not self._released.wait(_REFRESH_SECONDS):
            with suppress(OSError):
                os.utime(self.path)

    def _read(self) -> _Holder | None:
        try:
            return _Holder(*self.path.read_text(encoding="utf-8", errors="replace").split())
        except (OSError, TypeError):
            return None

    def _remove_abandoned(self) -> bool:
        """Remove the lock if its process has ended, and return whether it is gone."""
        holder = self._read()
        is_dead = None if holder is None else holder.is_dead()
        if is_dead is None:
            try:
                is_dead = time.time() - self.path.stat().st_mtime > ABANDONED_SECONDS
            except OSError:
                return True  # just released
        if not is_dead:
            return False
        # Of several processes that find it abandoned, one succeeds in renaming it. If it is no
        # longer the one that was read, another process has taken it over in between; give it back.
        aside = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        try:
            self.path.rename(aside)
            if ProcessLock(aside)._read() == holder:
                return True
            os.link(aside, self.path)
            return False
        except OSError:
            return False
        finally:
            aside.unlink(missing_ok=True)


@contextmanager
def held(folder: Path, *, share: Share = WHOLE) -> Iterator[None]:
    """Hold the lock of ``folder``, which is created if missing, so that one process writes to it.

    Args:
        folder: The folder.
        share: With one of several shares, processes with the other ones may write to it, too.

    Raises: OutputError that names the process that is writing to it, if there is one.
    """
    is_new = not folder.exists()
    make_folder(folder)
    lock = ProcessLock(folder / (LOCK_FILE if share == WHOLE else f"{LOCK_FILE}.{share}"))
    try:
        is_mine = lock.acquire()
        other = _other_holder(folder, share) if is_mine else lock
    except OSError as error:
        raise cannot_write(folder, error) from None
    if other is not None:
        if is_mine:
            lock.release()
        raise OutputError(
            f"{folder}: {other.holder()} is writing to this folder; wait until it has ended, or "
            f"choose another folder (if no such process runs, delete {other.path})"
        )
    try:
        yield
    finally:
        lock.release()
        if is_new:
            with suppress(OSError):
                folder.rmdir()  # Only if nothing was written to it.


def _other_holder(folder: Path, share: Share) -> ProcessLock | None:
    """A lock that excludes the one of a share: that of all shares, or of one if it is of all."""
    paths = folder.glob(f"{LOCK_FILE}.*-of-*") if share == WHOLE else [folder / LOCK_FILE]
    for path in paths:
        lock = ProcessLock(path)
        if lock.path.exists() and not lock._remove_abandoned():
            return lock
    return None
