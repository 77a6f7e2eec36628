"""Work on a cluster of Ray: https://docs.ray.io."""

import os
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from mmad.errors import ConfigError, MmadError
from mmad.wording import count

Job = TypeVar("Job")
Result = TypeVar("Result")

# A job is done again this often after its worker was lost.
RETRIES = 3
# Jobs that wait on the cluster for a free worker, for each one at work.
_QUEUE = 4
_ANSWER_SECONDS = 10.0


class RayWorkers:
    """The workers of a cluster; files must have the same paths on each machine.

    A job of a lost worker is done again on another one, up to three times.

    Args:
        gpus: Whether a job needs a GPU of its own, if the cluster has any.

    Raises: ConfigError if Ray is not installed.
    """

    def __init__(self, *, gpus: bool = False) -> None:
        self._gpus = gpus
        try:
            import ray
        except ImportError:
            raise ConfigError(
                "--on ray: Ray is not installed; pip install 'mmad[ray]' here and on each machine "
                "of the cluster, or leave --on out"
            ) from None
        self._ray = ray

    def run(
        self,
        work: Callable[[Job], Result],
        jobs: Sequence[Job],
        on_done: Callable[[Job, Result], object],
    ) -> None:
        """As in `mmad.workers.Workers`.

        Raises: ConfigError if no cluster can be reached; MmadError with the jobs whose workers were
            lost each time, once the others are done.
        """
        if not jobs:
            return
        ray = self._ray
        with self._connected():
            resources = ray.cluster_resources()
            gpus = 1 if self._gpus and resources.get("GPU") else 0
            places = resources["GPU"] if gpus else resources.get("CPU", 1)
            task = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=RETRIES)(_in_folder)
            folder = os.getcwd()
            left = list(reversed(jobs))
            running: dict[Any, Job] = {}
            lost: list[Job] = []
            while left or running:
                while left and len(running) < max(_QUEUE * places, 2):
                    job = left.pop()
                    running[task.remote(folder, work, job)] = job
                for reference in ray.wait(list(running))[0]:
                    job = running.pop(reference)
                    try:
                        result = ray.get(reference)
                    except ray.exceptions.RayTaskError as error:
                        raise _cause(error) from error
                    except ray.exceptions.RayError:
                        lost.append(job)
                    else:
                        on_done(job, result)
        if lost:
            raise MmadError(
                f"--on ray: {count(len(lost), 'job')} lost the worker {RETRIES + 1} times, perhaps "
                f"because memory ran out: {', '.join(map(str, lost[:3]))}; what is finished is "
                "kept: run the same command again"
            )

    @contextmanager
    def _connected(self) -> Iterator[None]:
        """The connection to the cluster, for the time of the block unless it is open already."""
        ray = self._ray
        if ray.is_initialized():
            yield
            return
        address = os.environ.get("RAY_ADDRESS") or "auto"
        try:
            _require_answer(address)
            ray.init(address, log_to_driver=False, logging_level="ERROR")
        except (OSError, ValueError, RuntimeError) as error:
            place = "on this machine" if address == "auto" else f"at RAY_ADDRESS={address}"
            reason = (str(error).strip().splitlines() or ["no answer"])[0]
            raise ConfigError(
                f"--on ray: no cluster of Ray can be reached {place} ({reason}); start one with "
                "`ray start --head`, or set RAY_ADDRESS to the address of one"
            ) from None
        try:
            yield
        finally:
            ray.shutdown()


def _require_answer(address: str) -> None:
    """Raise OSError unless something listens at ``[ray://]HOST:PORT``.

    Ray itself would try for minutes.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=_ANSWER_SECONDS).close()


def _in_folder(folder: str, work: Callable[[Job], Result], job: Job) -> Result:
    """Do a job in the folder in which the command was called, so that its paths are the same."""
    try:
        os.chdir(folder)
    except OSError:
        raise MmadError(
            f"--on ray: {folder}: does not exist on {socket.gethostname()}; the machines of a "
            "cluster must share the folders of videos and results"
        ) from None
    return work(job)


def _cause(error: Any) -> Exception:
    """What a job has raised."""
    cause = error.cause
    if missing := re.search("No module named '(.+?)'", str(cause)):
        return ConfigError(
            f"--on ray: a machine of the cluster lacks the package '{missing[1]}'; install the "
            "same version of mmad and its packages there"
        )
    return cause if isinstance(cause, Exception) else error
