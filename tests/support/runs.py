"""Runs in processes, and what the tests read from their folders."""

import sys
from pathlib import Path

from mmad.engine.runs.folder import RunFolder


def torchrun(num_processes: int) -> list[str]:
    """The words before ``-m mmad ...``; each call finds a free port of its own."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    return [*launcher, "--nproc-per-node", str(num_processes)]


def losses_of(folder: Path) -> list[float]:
    return [row["loss"] for row in RunFolder(folder).rows() if row["kind"] == "step"]
