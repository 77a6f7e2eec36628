"""The runs of a benchmark, each in a process of its own, a few at a time, and their spread."""

import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Job:
    """A run of a benchmark.

    Attributes:
        title: Its name, for messages.
        arguments: What ``python -m`` is called with: the module, and its arguments.
    """

    title: str
    arguments: tuple[str, ...]


def train_all(jobs: Sequence[Job], *, at_once: int) -> None:
    """Run all jobs; those that run are ended with this process.

    Raises: SystemExit, once all others are done, if a job failed.
    """
    waiting = list(jobs)
    running: list[tuple[Job, subprocess.Popen[bytes]]] = []
    failed: list[str] = []
    try:
        while waiting or running:
            for job, process in [pair for pair in running if pair[1].poll() is not None]:
                running.remove((job, process))
                if process.returncode:
                    failed.append(f"{job.title}: python -m {' '.join(job.arguments)}")
            if waiting and len(running) < at_once:
                job = waiting.pop(0)
                running.append((job, subprocess.Popen([sys.executable, "-m", *job.arguments])))
                print(f"training {job.title}; {len(waiting)} to go", flush=True)
            else:
                time.sleep(0.2)
    finally:
        for _, process in running:
            process.terminate()
    if failed:
        raise SystemExit("these failed:\n" + "\n".join(failed))


def summary(runs: Sequence[dict[str, float]]) -> dict[str, str]:
    """Mean and standard deviation of each figure over the runs, the seeds of a row.

    >>> summary([{"f1": 60.0}, {"f1": 62.0}])
    {'f1': '61.00 ± 1.41'}
    """
    cells = {}
    for name in runs[0]:
        values = [run[name] for run in runs]
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        cells[name] = f"{statistics.mean(values):.2f} ± {spread:.2f}"
    return cells
