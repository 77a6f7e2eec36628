"""Picture of a training: losses, learning rate, validation."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure


def draw_training_curves(path: str | Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Draw the log of a run.

    Args:
        path: of the picture; the suffix decides the kind.
        rows: of the log; steps have "loss", "loss_classification", "loss_regression" and
            "learning_rate", validations "action_map" and "body_map".
    """
    steps = [row for row in rows if row.get("kind") == "step"]
    validations = [row for row in rows if row.get("kind") == "validation" and "action_map" in row]
    figure = Figure(figsize=(10, 3.4), layout="constrained")
    losses, rate, maps = figure.subplots(1, 3)
    for name in ("loss", "loss_classification", "loss_regression"):
        values = [row[name] for row in steps]
        losses.plot([row["step"] for row in steps], values, label=name.removeprefix("loss_"), lw=1)
    losses.set(title="loss", xlabel="step", ylim=(0, None))
    losses.legend(frameon=False)
    rate.plot([row["step"] for row in steps], [row["learning_rate"] for row in steps], lw=1)
    rate.set(title="largest learning rate", xlabel="step")
    for name, label in (("action_map", "action"), ("body_map", "body")):
        points = [(row["step"], 100 * row[name]) for row in validations if name in row]
        if points:
            maps.plot(*zip(*points, strict=True), marker="o", label=label)
    maps.set(title="validation mAP 0.1:0.9 (%)", xlabel="step", ylim=(0, None))
    if validations:
        maps.legend(frameon=False)
    figure.savefig(path, dpi=120)
