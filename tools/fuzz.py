"""Feed damaged and hostile files to every reader, and count what becomes of them.

    python tools/fuzz.py --minutes 20 --keep offenders

A reader may accept a file or refuse it with one clear message. Tracebacks, crashes, more than 10 s
of work and more than 500 MB of memory are offences: their files are kept, and the exit code is 1.
The same seed gives the same files.
"""

import argparse
import itertools
import multiprocessing
import os
import random
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from fuzz_mutations import mutated
from fuzz_readers import READERS, Reader

from mmad.errors import MmadError

CLEAN, ACCEPTED = "clean error", "accepted"
OFFENCES = ("traceback", "crash", "hang", "over memory")
LIMIT_SECONDS = 10.0
LIMIT_MB = 500.0
# A busy machine may be slow; only work counts, but not for ever.
_LONGEST_WAIT_SECONDS = 120.0


class Inputs:
    """The files of one reader: the n-th is the same for the same seed."""

    def __init__(self, reader: Reader, folder: Path, *, seed: int) -> None:
        self._reader = reader
        self._seed = seed
        folder.mkdir(parents=True, exist_ok=True)
        reader.make(folder)
        self.path = folder / reader.file
        self._valid = self.path.read_bytes()
        others = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        self._others = [path.read_bytes() for path in others]

    def content(self, number: int) -> bytes:
        """The n-th file."""
        rng = random.Random(f"{self._seed} {self._reader.name} {number}")
        name = self.path.name
        return mutated(rng, name, self._valid, other=rng.choice(self._others))

    def read(self, content: bytes) -> tuple[str, str]:
        """What becomes of a file, and the last line of its message or traceback."""
        self.path.write_bytes(content)
        try:
            try:
                self._reader.read(self.path)
            except MmadError as error:
                # A message that cannot be printed is no message.
                told = str(error).encode("utf-8", "surrogatepass")
                return CLEAN, told.decode("utf-8", "surrogatepass")
        except Exception:
            return "traceback", traceback.format_exc()
        return ACCEPTED, ""


def _status_mb(field: str) -> float:
    """A figure of this process in /proc/self/status; 0 where there is none."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(field)), 0.0)


def _work(connection: Connection, seed: int, folder: str, log: str) -> None:
    """Read the files that are asked for; each in a process that may be lost."""
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    inputs = {
        reader.name: Inputs(reader, Path(folder) / reader.name, seed=seed) for reader in READERS
    }
    _limit_memory()
    connection.send("ready")
    while True:
        name, number = connection.recv()
        content = inputs[name].content(number)
        _forget_peak()
        before = _status_mb("VmRSS")
        found, message = inputs[name].read(content)
        growth = _status_mb("VmHWM") - before
        if growth > LIMIT_MB:
            found, message = "over memory", f"{growth:.0f} MB"
        connection.send((found, ascii(message)[1:-1].replace("\\n", "\n")))


def _limit_memory() -> None:
    """Let no file take the memory of the whole machine."""
    try:
        import resource
    except ImportError:
        return
    limit = int((_status_mb("VmSize") + 6000) * 2**20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _forget_peak() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


def _cpu_seconds(pid: int) -> float:
    """Seconds that a process has worked; those since now began where that is not known."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return time.monotonic()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Worker:
    """A process that reads files, started again when it is lost."""

    def __init__(self, seed: int, folder: Path, number: int) -> None:
        self._seed = seed
        self._folder = folder
        self._names = itertools.count(1000 * number)
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        folder = self._folder / str(next(self._names))
        arguments = (theirs, self._seed, str(folder), f"{folder}.log")
        self._process = context.Process(target=_work, args=arguments, daemon=True)
        self._process.start()
        theirs.close()
        assert self._connection.recv() == "ready"

    def read(self, name: str, number: int) -> tuple[str, str]:
        """As `Inputs.read`, and "crash" or "hang"."""
        began, worked = time.monotonic(), _cpu_seconds(self._process.pid or 0)
        try:
            self._connection.send((name, number))
            while not self._connection.poll(0.5):
                work = _cpu_seconds(self._process.pid or 0) - worked
                wait = time.monotonic() - began
                if work > LIMIT_SECONDS or wait > _LONGEST_WAIT_SECONDS:
                    self.stop()
                    self._start()
                    return "hang", f"{work:.0f} s of work in {wait:.0f} s"
            found: tuple[str, str] = self._connection.recv()
            return found
        except (EOFError, OSError):
            self._process.join()
            code = self._process.exitcode
            self._start()
            return "crash", f"exit code {code}"

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()


class Campaign:
    """Which file is next, and what became of those before; shared by threads."""

    def __init__(self, readers: list[Reader], *, first: int, count: int | None, minutes: float):
        self._readers = readers
        self._next = first * len(readers)
        self._stop = None if count is None else (first + count) * len(readers)
        self._end = time.monotonic() + 60 * minutes
        self._lock = threading.Lock()
        self.counts: dict[str, Counter[str]] = {reader.name: Counter() for reader in readers}
        self.offenders: list[tuple[Reader, int, str, str]] = []

    def take(self) -> tuple[Reader, int] | None:
        """A reader and the number of its next file, or None at the end."""
        with self._lock:
            if time.monotonic() > self._end or self._next == self._stop:
                return None
            number, place = divmod(self._next, len(self._readers))
            self._next += 1
            return self._readers[place], number

    def note(self, reader: Reader, number: int, found: str, message: str) -> None:
        """Count what became of a file."""
        with self._lock:
            self.counts[reader.name][found] += 1
            if found in OFFENCES:
                self.offenders.append((reader, number, found, message))
                last = message.strip().splitlines()[-1] if message.strip() else ""
                print(f"{reader.name} {number}: {found}: {last[:150]}", flush=True)

    def table(self) -> str:
        """The counts of each reader, and of all."""
        columns = (CLEAN, ACCEPTED, *OFFENCES)
        lines = [f"{'reader':20}" + "".join(f"{name:>13}" for name in ("inputs", *columns))]
        total = sum(self.counts.values(), Counter())
        for name, counts in [*self.counts.items(), ("all", total)]:
            figures = (counts.total(), *(counts[column] for column in columns))
            lines.append(f"{name:20}" + "".join(f"{figure:13}" for figure in figures))
        return "\n".join(lines)


def _drive(campaign: Campaign, seed: int, folder: Path, number: int) -> None:
    worker = Worker(seed, folder, number)
    while (item := campaign.take()) is not None:
        reader, place = item
        campaign.note(reader, place, *worker.read(reader.name, place))
    worker.stop()


def run(arguments: Any) -> int:
    """Run until the time is over; the exit code."""
    chosen = [r for r in READERS if not arguments.only or r.name.startswith(tuple(arguments.only))]
    if not chosen:
        sys.exit(f"--only: expected {', '.join(reader.name for reader in READERS)}")
    campaign = Campaign(
        chosen, first=arguments.first, count=arguments.count, minutes=arguments.minutes
    )
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        with ThreadPoolExecutor(arguments.workers) as pool:
            drives = [
                pool.submit(_drive, campaign, arguments.seed, Path(name), number)
                for number in range(arguments.workers)
            ]
        for drive in drives:
            drive.result()
        for reader, number, found, message in campaign.offenders if arguments.keep else []:
            target = arguments.keep / f"{reader.name}-{arguments.seed}-{number}"
            target.mkdir(parents=True, exist_ok=True)
            inputs = Inputs(reader, Path(name) / target.name, seed=arguments.seed)
            (target / inputs.path.name).write_bytes(inputs.content(number))
            (target / "found.txt").write_text(f"{found}\n{message}\n", encoding="utf-8")
    print(campaign.table())
    number = sum(counts.total() for counts in campaign.counts.values())
    print(
        f"{number} inputs in {(time.monotonic() - began) / 60:.1f} minutes, seed {arguments.seed}"
    )
    return 1 if campaign.offenders else 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=20.0, help="stop after this time")
    parser.add_argument("--count", type=int, help="stop after this many files of each reader")
    parser.add_argument("--first", type=int, default=0, help="number of the first file")
    parser.add_argument("--seed", type=int, default=52, help="another seed, other files")
    parser.add_argument("--workers", type=int, default=2, help="processes that read")
    parser.add_argument("--keep", type=Path, help="folder for the files of offences")
    parser.add_argument("--only", nargs="*", help="readers whose names begin so")
    return run(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
