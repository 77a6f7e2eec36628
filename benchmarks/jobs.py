"""The runs of a benchmark, each in a process of its own, a few at a time, and their spread."""

import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.provenance import commit
from mmad.config.run import AnyConfig
from mmad.engine.runs.folder import RunFolder
from mmad.engine.training import train_run

_COMMIT = "commit.txt"


@dataclass(frozen=True)
class Job:
    """A run of a benchmark.

    Attributes:
        title: Its name, for messages.
        steps: What ``python -m`` is called with, one after another: a module, and its arguments.
        finished: A file that is made once all steps have succeeded.
    """

    title: str
    steps: tuple[tuple[str, ...], ...]
    finished: Path | None = None


def train_all(jobs: Sequence[Job], *, at_once: int) -> None:
    """Run all jobs; those that run are ended with this process.

    Raises: SystemExit, once all others are done, if a job failed.
    """
    # Without this, SIGTERM would end this process alone.
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped; the same command resumes"))
    waiting = list(jobs)
    running: list[tuple[Job, subprocess.Popen[bytes]]] = []
    failed: list[str] = []
    try:
        while waiting or running:
            for job, process in [pair for pair in running if pair[1].poll() is not None]:
                running.remove((job, process))
                if process.returncode:
                    failed.append(f"{job.title}: python -m {' '.join(job.steps[0])}")
                elif len(job.steps) > 1:
                    running.append(_started(replace(job, steps=job.steps[1:])))
                elif job.finished is not None:
                    job.finished.touch()
            if waiting and len(running) < at_once:
                running.append(_started(waiting.pop(0)))
                print(f"training {running[-1][0].title}; {len(waiting)} to go", flush=True)
            else:
                time.sleep(0.2)
    finally:
        for _, process in running:
            process.terminate()
        signal.signal(signal.SIGTERM, before)
    if failed:
        raise SystemExit("these failed:\n" + "\n".join(failed))


def _started(job: Job) -> tuple[Job, subprocess.Popen[bytes]]:
    return job, subprocess.Popen([sys.executable, "-m", *job.steps[0]])


def is_done(folder: RunFolder) -> bool:
    """Whether a run that is validated once, at its end, has got there."""
    return folder.predictions("val", ".csv").is_file()


def validation_of(folder: RunFolder) -> dict[str, Any] | None:
    """The row of the last validation of a run, if there was one."""
    rows = [row for row in folder.rows() if row["kind"] == "validation"]
    return rows[-1] if rows else None


def train_or_resume(config: AnyConfig, folder: RunFolder) -> None:
    """Train a run; an interrupted one is resumed."""
    code = commit()
    train_run(config, out=folder.path, resume=folder.last.is_file(), quiet=True)
    (folder.path / _COMMIT).write_text(code, encoding="utf-8")


def commit_of(folder: RunFolder) -> str:
    """The commit that trained a run, which may be older than the one that reads it."""
    path = folder.path / _COMMIT
    return path.read_text(encoding="utf-8") if path.is_file() else "unknown"


def validated_once(config: AnyConfig, folder: RunFolder) -> dict[str, Any]:
    """The row of the validation at the end of a run, which is trained unless it has one."""
    if validation_of(folder) is None:
        train_or_resume(config, folder)
    row = validation_of(folder)
    assert row is not None, f"{folder.path}: no validation"
    return row


def summary(runs: Sequence[dict[str, float]]) -> dict[str, str]:
    """Mean and standard deviation of each figure over the runs, the seeds of a row.

    >>> summary([{"f1": 60.0}, {"f1": 62.0}]), summary([{"f1": 60.0}])
    ({'f1': '61.00 ± 1.41'}, {'f1': '60.00'})
    """
    cells = {}
    for name in runs[0]:
        values = [run[name] for run in runs]
        cells[name] = f"{statistics.mean(values):.2f}"
        if len(values) > 1:
            cells[name] += f" ± {statistics.stdev(values):.2f}"
    return cells


def over_seeds(name: str, values: Sequence[float]) -> dict[str, float | str]:
    """Cells of a row: the mean over the seeds, and the standard deviation, empty for one seed.

    >>> over_seeds("f1", [60.0, 62.0]), over_seeds("f1", [60.0])
    ({'f1': 61.0, 'f1_std': 1.41}, {'f1': 60.0, 'f1_std': ''})
    """
    spread = round(statistics.stdev(values), 2) if len(values) > 1 else ""
    return {name: round(statistics.mean(values), 2), f"{name}_std": spread}


def seeds_text(seeds: Sequence[int]) -> str:
    """What `summary` gives, for the note below a table.

    >>> seeds_text([0, 1]), seeds_text([0])
    ('Mean ± standard deviation over 2 seeds', 'One seed')
    """
    if len(seeds) == 1:
        return "One seed"
    return f"Mean ± standard deviation over {len(seeds)} seeds"
