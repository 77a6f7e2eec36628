"""Gain of an ensemble of recognisers, for the terminal."""

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from mmad.evaluation.clips.ensemble import EnsembleGain
from mmad.report.tables import percent


def gain_table(gain: EnsembleGain, files: Sequence[Path]) -> Table:
    """The metric (%) of each member and of the ways to weight them."""
    folds = len(gain.fold_weights)
    table = Table(title=f"{gain.metric} (%), {gain.num_clips} clips", title_justify="left")
    table.add_column("")
    table.add_column(gain.metric, justify="right")
    table.add_column("weights are chosen on")
    for path, value in zip(files, gain.members, strict=True):
        table.add_row(str(path), percent(value), "")
    table.add_section()
    others = f"the other folds, {folds} folds"
    table.add_row("equal weights", percent(gain.equal), "")
    table.add_row("best single file", percent(gain.best_single), others)
    table.add_row("searched, nested", percent(gain.searched), others, style="bold")
    table.add_row("searched, in-sample", percent(gain.in_sample), "the same clips: optimistic")
    return table


def gain_text(gain: EnsembleGain) -> str:
    """Text on the gain of searched weights."""
    text = (
        f"searched weights against the best single file: {100 * gain.gain:+.2f}, "
        f"against equal weights: {100 * (gain.searched - gain.equal):+.2f}"
    )
    if gain.searched <= gain.equal:
        text += "\nsearched weights are no better than equal ones; without --search they are equal"
    return text
