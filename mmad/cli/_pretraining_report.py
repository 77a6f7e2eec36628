"""The report of a run of ``mmad pretrain``, which has no predictions."""

from pathlib import Path

import typer

from mmad.config.pretraining import PretrainingConfig
from mmad.config.reading import load_any_config
from mmad.errors import ConfigError
from mmad.report.pretraining.page import write_pretraining_page
from mmad.wording import count


def pretraining_of(run: Path) -> PretrainingConfig | None:
    """The settings of a run of pre-training; None of another run, or of another folder."""
    try:
        config = load_any_config(run / "config.yaml")
    except ConfigError:
        return None
    return config if isinstance(config, PretrainingConfig) else None


def report_pretraining(run: Path, config: PretrainingConfig, *, out: Path | None) -> None:
    """Write the page of a run, into it or to `out`."""
    from mmad.engine.runs.folder import RunFolder  # which imports torch

    folder, masks = RunFolder(run), config.masks
    rows = folder.rows()
    facts = {
        "network": ", ".join(config.backbone.summary()),
        "masks": f"{masks.kind}, {100 * masks.ratio:g} % hidden",
        "training": f"{count(config.training.epochs, 'epoch')}, seed {config.seed}",
    }
    for row in rows:
        if row.get("kind") == "data":
            facts["videos"] = f"{row['num_videos']:g}"
            if row.get("num_broken"):
                facts["skipped"] = count(int(row["num_broken"]), "broken video")
    path = out or run / "report.html"
    write_pretraining_page(
        path,
        title=f"Pre-training: {run.resolve().name}",
        rows=rows,
        facts=facts,
        normalised=config.decoder.normalised_targets,
        image=folder.reconstructions if folder.reconstructions.is_file() else None,
    )
    typer.echo(f"report: {path}")
