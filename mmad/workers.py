"""Parallel work on many items: where it is done, and processes that end when this one does."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Protocol, TypeVar

from mmad.errors import MmadError

# Windows waits for no more than that many at once.
_MOST_PROCESSES = 61 if sys.platform == "win32" else 4096

Job = TypeVar("Job")
Result = TypeVar("Result")


class Workers(Protocol):
    """Where jobs are done: in this process, in others of this machine, or on a cluster."""

    def run(
        self,
        work: Callable[[Job], Result],
        jobs: Sequence[Job],
        on_done: Callable[[Job, Result], object],
    ) -> None:
        """Do ``work`` on every job, and call ``on_done`` in this process as each is done.

        An exception of a job stops the others, as does an interruption of this process; jobs done
        by then have been reported.

        Args:
            work: A module-level function, so that it can be pickled for other processes. A job may
                be done again after its worker was lost, so that doing it twice must do no harm.
            jobs: Arguments of ``work``, one per call.
            on_done: Called with each job and its result, in order of completion.

        Raises: MmadError if workers were lost for good, or what ``work`` raises.
        """


@dataclass(frozen=True)
class LocalWorkers:
    """Processes of this machine.

    Attributes:
        count: Number of processes; with 1 the work is done in this one.
    """

    count: int = 1

    def run(
        self,
        work: Callable[[Job], Result],
        jobs: Sequence[Job],
        on_done: Callable[[Job, Result], object],
    ) -> None:
        """As in `Workers`."""
        if self.count <= 1 or len(jobs) <= 1:
            for job in jobs:
                on_done(job, work(job))
            return
        # Spawned, because FFmpeg's threads do not survive a fork.
        context = get_context("spawn")
        ends_with_us, ours = context.Pipe(duplex=False)
        pool = ProcessPoolExecutor(
            min(self.count, len(jobs), _MOST_PROCESSES),
            mp_context=context,
            initializer=end_with_parent,
            initargs=(ends_with_us,),
        )
        unreported: dict[Future[Result], Job] = {}
        try:
            with interrupts_held_back():
                unreported |= {pool.submit(work, job): job for job in jobs}
            for future in as_completed(list(unreported)):
                on_done(unreported[future], future.result())
                del unreported[future]
        except BrokenProcessPool:
            raise MmadError(
                "a worker process was killed, perhaps because memory ran out; what is finished is "
                "kept: run the same command again with fewer --workers"
            ) from None
        finally:
            ours.close()
            pool.shutdown(cancel_futures=True)
            for future, job in unreported.items():
                if future.done() and not future.cancelled() and future.exception() is None:
                    on_done(job, future.result())


def end_with_parent(pipe: Connection) -> None:
    """End this worker once the other end of the pipe is closed, or its process ends."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows; see `interrupts_held_back`
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def wait() -> None:
        try:
            pipe.recv_bytes()
        except (EOFError, OSError):
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


@contextmanager
def interrupts_held_back() -> Iterator[None]:
    """Shield processes started in this block from Ctrl-C, which a terminal sends to all of them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
