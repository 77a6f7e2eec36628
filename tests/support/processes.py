"""Commands of mmad in processes of their own, forked from one that has imported everything.

A new interpreter needs seconds to import torch; a fork of one that has needs none. It is used
where a command must have a process to be killed, to have ranks, or to be alone with its settings.
"""

import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Ended:
    """How a process has ended, and what it has written."""

    returncode: int
    stdout: str
    stderr: str


class Running:
    """A command in a process, and the folder of the files that receive what it writes."""

    def __init__(
        self,
        arguments: Sequence[object],
        *,
        variables: Mapping[str, str],
        largest_file: int | None,
        cwd: Path | None,
    ) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="mmad-tests-"))
        context = get_context("forkserver")
        context.set_forkserver_preload(["support.preloaded"])
        words = tuple(map(str, arguments))
        self.process = context.Process(
            target=_run,
            args=(words, dict(variables), largest_file, cwd or Path.cwd(), self._folder),
        )
        # The fork server looks for what it imports where this process does.
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS), str(TESTS.parent)]))
            self.process.start()
        assert self.process.pid is not None
        self.pid = self.process.pid

    def said(self) -> tuple[str, str]:
        """What it has written by now to standard output and standard error."""
        files = (self._folder / name for name in ("stdout", "stderr"))
        first, second = (file.read_text("utf-8") if file.exists() else "" for file in files)
        return first, second

    def end(self, *, seconds: float = 300.0) -> Ended:
        """Wait until the process has ended; it is killed after ``seconds``."""
        self.process.join(seconds)
        code = self.process.exitcode
        assert code is not None, f"did not end in {seconds:g} s: {self.said()}"
        return Ended(code, *self.said())

    def close(self) -> None:
        """Kill the process if it runs, and forget what it has written."""
        self.process.kill()
        self.process.join()
        shutil.rmtree(self._folder)


@contextmanager
def started(
    arguments: Sequence[object],
    *,
    largest_file: int | None = None,
    cwd: Path | None = None,
    **variables: str,
) -> Iterator[Running]:
    """A command that runs while the block does, and is killed at its end.

    Args:
        arguments: Words after ``mmad``.
        largest_file: Bytes beyond which its files may not grow, as on a full disk.
        cwd: Its working folder; None is the one of this process.
        variables: Added to its environment.
    """
    one = Running(arguments, variables=variables, largest_file=largest_file, cwd=cwd)
    try:
        yield one
    finally:
        one.close()


def run_process(
    arguments: Sequence[object],
    *,
    largest_file: int | None = None,
    cwd: Path | None = None,
    **variables: str,
) -> Ended:
    """How a command ends; the arguments are those of `started`."""
    with started(arguments, largest_file=largest_file, cwd=cwd, **variables) as one:
        return one.end()


def run_ranks(count: int, arguments: Sequence[object], *, cwd: Path | None = None) -> list[Ended]:
    """How each process of a group ends; they have the environment that torchrun gives them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
    shared |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    with ExitStack() as stack:
        ranks = [
            stack.enter_context(
                started(arguments, cwd=cwd, RANK=str(rank), LOCAL_RANK=str(rank), **shared)
            )
            for rank in range(count)
        ]
        return [rank.end() for rank in ranks]


def _run(
    words: Sequence[str],
    variables: Mapping[str, str],
    largest_file: int | None,
    cwd: Path,
    folder: Path,
) -> None:
    """The command, in the new process."""
    import resource  # not on Windows

    from mmad.cli.main import run

    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.environ.update(variables)
    os.chdir(cwd)
    sys.argv = ["mmad", *words]
    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    run()
