"""What the tests read from a run folder."""

from pathlib import Path

from mmad.engine.runs.folder import RunFolder


def losses_of(folder: Path) -> list[float]:
    return [row["loss"] for row in RunFolder(folder).rows() if row["kind"] == "step"]
