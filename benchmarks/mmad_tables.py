"""Tables 3 and 4 of the MMAD paper, row by row, over seeds.

    python -m benchmarks.mmad_tables WORK [--seeds 0 1 2] [--jobs 2] [--tables 3 4]
    python -m benchmarks.mmad_tables WORK --data data/mma52 --seeds 0 --jobs 1

The first trains a narrow stand-in of each row on drawn people (benchmarks/drawn.py). The second,
for who has MMA-52, trains the shipped config of each row on `annotations/mmad.json` and `videos` of
the folder, with the weights that the config names; features are extracted first where a row needs
them. Finished runs are kept and interrupted ones resumed. Writes the tables in the layout of the
paper to benchmarks/results/mmad_table_3.csv and mmad_table_4.csv, and, of all rows on drawn people,
into docs/reproduce.md.
"""

import argparse
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import compare_detectors
from benchmarks.compare_detectors import score
from benchmarks.drawn import (
    BACKBONES,
    backbone_of,
    detector_of,
    folder_name,
    make_data,
    start_of,
    train_starts,
    videos_of,
)
from benchmarks.jobs import Job, is_done, seeds_text, summary, train_all, train_or_resume
from benchmarks.provenance import commit, hardware, write_rows, write_table
from mmad.config.reading import load_config
from mmad.config.run import DetectionRun
from mmad.engine.runs.folder import RunFolder
from mmad.models.build import build_detector

VIDEOS = 120
FEATURE_PASSES = 4  # for each pass of the end-to-end rows
DOCS = Path(__file__).parents[1] / "docs" / "reproduce.md"
# How VideoMAEv2's authors extract features for detection.
SNIPPETS = ("--window", "16", "--stride", "4", "--norm", "pooled")


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        table: Number of the table.
        method: Its first column.
        backbone: Its second column, or what its backbone learns.
        config: Its shipped config.
        drawn: Its stand-in among `BACKBONES`.
        changes: What differs in the stand-in's settings.
        detector: Name in `compare_detectors` of a detector on stored features, or settings of one
            that is trained end to end; None for ActionFormer.
        features_of: Shipped config whose frozen backbone makes the features.
        options: Options of that extraction.
    """

    table: int
    method: str
    backbone: str
    config: str
    drawn: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    detector: str | Mapping[str, Any] | None = None
    features_of: str | None = None
    options: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Its name in messages and on the command line."""
        return f"{self.table}: {self.method}, {self.backbone}"

    @property
    def name(self) -> str:
        """The name of its folders: that of its config, as rows may share one."""
        return folder_name(Path(self.config).stem)


def _on_features(method: str, backbone: str, config: str, *, of: str, drawn: str) -> Row:
    options = SNIPPETS if backbone == "VideoMAEv2-g" else ()
    return Row(
        *(3, method, backbone, f"features/{config}", drawn),
        detector=method,
        features_of=of,
        options=options,
    )


def _adapter(table: int, method: str, size: str, name: str) -> Row:
    drawn = "narrow VideoMAE" if size == "S" else "VideoMAE"
    config = f"{'tia' if name == 'tia' else name}_videomae_{size.lower()}"
    changes = {"freeze": True, "adapter": {"name": name}}
    return Row(table, method, f"VideoMAE-{size}", config, drawn, changes)


TADTR = {"name": "tadtr", "channels": 64, "num_groups": 8, "hidden_channels": 128}
POINTTAD = {"name": "pointtad", "channels": 64, "hidden_channels": 128, "dynamic_channels": 16}
GIANT = {"of": "frozen_videomaev2_g", "drawn": "VideoMAE"}
ROWS = (
    _on_features("MS-TCT", "I3D", "mstct", of="frozen_i3d_r50", drawn="I3D"),
    Row(3, "PointTAD", "I3D", "pointtad_i3d_r50", "I3D", detector=POINTTAD),
    _on_features("ActionFormer", "VideoMAEv2-g", "actionformer", **GIANT),
    _on_features("TemporalMaxer", "VideoMAEv2-g", "temporalmaxer", **GIANT),
    _on_features("TriDet", "VideoMAEv2-g", "tridet", **GIANT),
    _on_features("DyFADet", "VideoMAEv2-g", "dyfadet", **GIANT),
    _on_features("VideoMamba", "VideoMAEv2-g", "videomamba", **GIANT),
    Row(3, "TadTR", "SlowFast-R50", "tadtr_slowfast_r50", "SlowFast", detector=TADTR),
    Row(3, "Re2TAL", "Swin-Tiny", "re2tal_swin_t", "reversible Video Swin"),
    Row(3, "Re2TAL", "SlowFast-101", "re2tal_slowfast_r101", "reversible SlowFast"),
    _adapter(3, "AdaTAD", "S", "tia"),
    _adapter(3, "AdaTAD", "B", "tia"),
    _adapter(3, "DSTA", "S", "dsta"),
    _adapter(3, "DSTA", "B", "dsta"),
    Row(4, "Snippet feature", "-", "frozen_videomae_s", "narrow VideoMAE", {"freeze": True}),
    Row(4, "+ Full fine-tuning", "all", "full_videomae_s", "narrow VideoMAE"),
    _adapter(4, "+ Standard adapter", "S", "standard"),
    _adapter(4, "+ TIA (AdaTAD)", "S", "tia"),
    _adapter(4, "+ DSTA", "S", "dsta"),
    _adapter(4, "+ DSTA, count of Table 4", "S", "dsta_180"),
)


def features_of(row: Row, arguments: argparse.Namespace) -> Path:
    assert row.features_of is not None
    return Path(arguments.work / "features" / f"{folder_name(row.features_of)}.h5")


def extract(row: Row, arguments: argparse.Namespace) -> None:
    """Extract the features of a row; those that are there are kept."""
    out = features_of(row, arguments)
    if arguments.data is None:
        start = start_of(row.drawn, arguments.work, arguments.start_epochs)
        source, videos, options = str(start.path), videos_of(arguments.work)["videos"], ()
    else:
        source, videos = f"configs/{row.features_of}.yaml", str(arguments.data / "videos")
        options = row.options
    out.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "mmad", "extract-features", source, videos]
    subprocess.run([*command, "--out", str(out), *options], check=True)


def config_of(row: Row, seed: int, arguments: argparse.Namespace) -> DetectionRun:
    """The shipped config on MMA-52, or its stand-in on drawn people."""
    if arguments.data is not None:
        overrides = [f"seed={seed}"]
        overrides.append(f"data.annotations={arguments.data / 'annotations' / 'mmad.json'}")
        place = "videos" if row.features_of is None else "features"
        path = arguments.data / "videos" if place == "videos" else features_of(row, arguments)
        return load_config(
            f"configs/{row.config}.yaml", overrides=[*overrides, f"data.{place}={path}"]
        )
    if isinstance(row.detector, str):
        return compare_detectors.config_of(
            row.detector,
            annotations=Path(videos_of(arguments.work)["annotations"]),
            features=features_of(row, arguments),
            seed=seed,
            epochs=FEATURE_PASSES * arguments.epochs,
        )
    config = detector_of(
        backbone_of(row.drawn, arguments.work, arguments.start_epochs, **row.changes),
        steps=BACKBONES[row.drawn].steps,
        work=arguments.work,
        seed=seed,
        epochs=arguments.epochs,
        detector=row.detector,
    )
    assert isinstance(config, DetectionRun)
    return config


def run_of(row: Row, seed: int, arguments: argparse.Namespace) -> RunFolder:
    passes = "" if arguments.data else f"_{arguments.start_epochs}_{arguments.epochs}"
    return RunFolder(arguments.work / "tables" / f"{row.name}_{seed}{passes}")


def jobs_of(arguments: argparse.Namespace, rows: Sequence[Row]) -> list[Job]:
    """The runs that are to be trained, each once, in a process of its own."""
    module = ["benchmarks.mmad_tables", str(arguments.work), "--epochs", str(arguments.epochs)]
    module += ["--start-epochs", str(arguments.start_epochs)]
    module += ["--data", str(arguments.data)] if arguments.data else []
    different = {
        run_of(row, seed, arguments).path: (row, seed) for seed in arguments.seeds for row in rows
    }
    return [
        Job(f"{row.title}, seed {seed}", ((*module, "--one", row.title, str(seed)),))
        for path, (row, seed) in different.items()
        if not is_done(RunFolder(path))
    ]


def cells_of(row: Row, arguments: argparse.Namespace) -> dict[str, object]:
    """The figures of a row (%) over its seeds, and what it trains in the backbone."""
    runs = []
    for seed in arguments.seeds:
        config = config_of(row, seed, arguments)
        runs.append(score(run_of(row, seed, arguments), config))
    trained = 0
    if config.backbone is not None:
        model = build_detector(config, num_classes=1)
        trained = sum(p.numel() for p in model.features.parameters() if p.requires_grad)
    return {
        **{"method": row.method, "backbone": row.backbone},
        **summary(runs),
        **{"trained_in_backbone": trained, "seeds": len(runs), "config": f"{row.config}.yaml"},
    }


def table_3(cells: Sequence[Mapping[str, Any]]) -> list[str]:
    """The columns of Table 3, in Markdown."""
    levels = [
        f"{level}{at}" for level in ("action", "body") for at in ("@0.2", "@0.5", "@0.7", "_avg")
    ]
    names = ["method", "backbone", *levels, "AVG"]
    titles = [name.replace("_avg", " Avg").replace("@", " @") for name in names]
    lines = [f"| {' | '.join([*titles, 'config'])} |", "|" + "---|" * (len(names) + 1)]
    return lines + [
        f"| {' | '.join([*(str(cell[name]) for name in names), '`' + cell['config'] + '`'])} |"
        for cell in cells
    ]


def table_4(cells: Sequence[Mapping[str, Any]]) -> list[str]:
    """The columns of Table 4, in Markdown."""
    first = float(cells[0]["action_avg"].split(" ± ")[0])
    lines = ["| setting | parameters | mAP | gains | config |", "|---|---|---|---|---|"]
    for cell in cells:
        gain = float(cell["action_avg"].split(" ± ")[0]) - first
        trained = cell["trained_in_backbone"]
        shown = [
            *(cell["method"], f"{trained:,}" if trained else "-", cell["action_avg"]),
            *(f"{gain:+.2f}" if cell is not cells[0] else "", f"`{cell['config']}`"),
        ]
        lines.append(f"| {' | '.join(shown)} |")
    return lines


def main() -> None:
    titles = [row.title for row in ROWS]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--data", type=Path, help="MMA-52: its annotations/mmad.json and videos")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--tables", nargs="+", type=int, default=[3, 4], choices=[3, 4])
    parser.add_argument("--start-epochs", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        title, seed = arguments.one
        row = ROWS[titles.index(title)]
        train_or_resume(config_of(row, int(seed), arguments), run_of(row, int(seed), arguments))
        return
    rows = [row for row in ROWS if row.table in arguments.tables]
    if arguments.data is None:
        make_data(arguments.work, videos=VIDEOS)
        starts = dict.fromkeys(row.drawn for row in rows)
        train_starts(
            list(starts), arguments.work, epochs=arguments.start_epochs, at_once=arguments.jobs
        )
    for row in {row.features_of: row for row in rows if row.features_of}.values():
        extract(row, arguments)
    train_all(jobs_of(arguments, rows), at_once=arguments.jobs)
    lines: list[str] = []
    for table in arguments.tables:
        cells = [cells_of(row, arguments) for row in rows if row.table == table]
        print(write_rows(f"mmad_table_{table}", cells))
        lines += [f"Table {table}:", "", *(table_3 if table == 3 else table_4)(cells), ""]
    print("\n".join(lines))
    if arguments.data is None and arguments.tables == [3, 4]:
        note = (
            f"{seeds_text(arguments.seeds)}, {arguments.epochs} "
            f"passes ({FEATURE_PASSES} times as many on features). Commit {commit()}, {hardware()}."
        )
        print(write_table(DOCS, "mmad_tables", [*lines, note]))


if __name__ == "__main__":
    main()
