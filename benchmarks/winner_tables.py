"""Tables 2 to 6 of Li et al. (ACM MM 2024): every row is trained, and each table written.

    python -m benchmarks.winner_tables WORK [--epochs 1] [--jobs 2]          # synthetic clips
    python -m benchmarks.winner_tables WORK --data data/ma52 [--processes 8]  # MA-52

Without --data, clips of 20 actions of drawn people are made below WORK, and a small stand-in of
each config of `winner_rows.TABLES` is trained on them. With it, the configs themselves are trained
on MA-52, in a folder arranged as docs/winner.md says. Finished rows are kept, interrupted ones
resumed, so the same command goes on where it was stopped. Writes benchmarks/results/winner_*.csv
and winner_tables.md, and of synthetic clips the tables in docs/winner.md, between its markers.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from benchmarks.jobs import Job, train_all
from benchmarks.provenance import RESULTS, commit, hardware, write_rows, write_table
from benchmarks.winner_rows import ENSEMBLE, ENSEMBLE_PRINTED, TABLES, Row, Table
from benchmarks.winner_stand_ins import make_data, stand_in
from mmad.annotations.clips.lists import read_clip_list
from mmad.config.ensemble import read_ensemble
from mmad.config.reading import dump_config, load_any_config
from mmad.config.recognition import RecognitionConfig
from mmad.engine.runs.folder import RunFolder
from mmad.errors import PredictionError
from mmad.evaluation.clips.recognition import (
    RecognitionReport,
    evaluate_recognition,
    read_recognitions,
)
from mmad.labels import MA52

DOCS = Path(__file__).parents[1] / "docs" / "winner.md"
# Where the configs look for the data.
DATA = "data/ma52"
NONE = "-"


def configs_of(arguments: argparse.Namespace) -> dict[str, RecognitionConfig]:
    """The settings of every run, by the name of its config.

    What the rows of a paper differ in may not differ in their stand-ins: those are the same run.
    """
    names = dict.fromkeys(name for table in TABLES for name, _ in table.runs())
    return {name: config_of(name, arguments) for name in names}


def config_of(name: str, arguments: argparse.Namespace) -> RecognitionConfig:
    path = f"configs/winner/{name}.yaml"
    if arguments.data is None:
        return stand_in(path, data=arguments.work / "data", epochs=arguments.epochs)
    config = load_any_config(path)
    assert isinstance(config, RecognitionConfig)
    content = yaml.safe_load(dump_config(config).replace(f"{DATA}/", f"{arguments.data}/"))
    accumulate = max(1, config.training.accumulate // arguments.processes)
    content["training"]["accumulate"] = accumulate
    return RecognitionConfig.model_validate(content)


class Runs:
    """The run folders of all rows; rows with the same settings share one."""

    def __init__(self, configs: Mapping[str, RecognitionConfig], work: Path) -> None:
        self.configs = configs
        self._work = work
        firsts: list[str] = []
        self._first: dict[str, str] = {}
        for name, config in configs.items():
            same = next((one for one in firsts if configs[one] == config), None)
            firsts += [] if same else [name]
            self._first[name] = same or name

    def folder(self, name: str) -> RunFolder:
        return RunFolder(self._work / "runs" / self._first[name])

    def jobs(self, *, processes: int) -> list[Job]:
        """What is left to be done: training, and predictions of the subsets that are scored."""
        needed: dict[str, set[str]] = {}
        for table in TABLES:
            for name, column in table.runs():
                subset = "val" if column == "Val" else "test"
                needed.setdefault(self._first[name], set()).add(subset)
        return [
            self._job(name, subsets, processes=processes)
            for name, subsets in needed.items()
            if not self._finished(name).is_file()
        ]

    def _finished(self, name: str) -> Path:
        # The predictions of a validation are there long before the end of the training.
        return self._work / "configs" / f"{name}.finished"

    def _job(self, name: str, subsets: set[str], *, processes: int) -> Job:
        folder, path = self.folder(name), self._work / "configs" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dump_config(self.configs[name]), encoding="utf-8")
        spread = ("torch.distributed.run", f"--nproc-per-node={processes}", "-m")
        train = ("mmad", "train", str(path), "--out", str(folder.path))
        resume = ("--resume",) if folder.last.is_file() else ()
        steps = [(*(spread if processes > 1 else ()), *train, *resume)]
        if "test" in subsets:
            steps.append(("mmad", "predict", str(folder.path), "--subset", "test"))
        return Job(name, tuple(steps), self._finished(name))


def report_of(predictions: Path, lists: Sequence[str]) -> RecognitionReport | None:
    """The scores of a file of predictions; None if the lists have no labels."""
    truth = [clip for path in lists for clip in read_clip_list(path, labels=MA52)]
    if any(clip.label is None for clip in truth):
        return None
    found = read_recognitions(predictions, labels=MA52)
    return evaluate_recognition(found, truth, labels=MA52)


def figure_of(row: Row, column: str, runs: Runs) -> str:
    """F1_mean (%) of a row in a column of the paper."""
    if column not in row.printed:
        return NONE
    name = row.config_of(column)
    config, subset = runs.configs[name], "val" if column == "Val" else "test"
    lists = config.data.val if subset == "val" else config.data.test
    report = report_of(runs.folder(name).predictions(subset, ".csv"), lists)
    return "no labels" if report is None else f"{100 * report.f1_mean:.2f}"


def cells_of(table: Table, runs: Runs) -> list[dict[str, str]]:
    """The rows of a table, with what the paper prints, and the config of each."""
    cells = []
    for row in table.rows:
        cell = dict(zip(table.labels, row.labels, strict=True))
        behind = {name: cell.pop(name) for name in table.labels if name == "Components"}
        cell |= {column: figure_of(row, column, runs) for column in table.columns} | behind
        cell |= {f"paper: {one}": f"{row.printed.get(one, NONE)}" for one in table.columns}
        cells.append({**cell, "config": row.config})
    return cells


def fused(runs: Runs, work: Path) -> dict[str, str]:
    """The figures of the ensemble that the paper states, with its members and weights."""
    shipped = read_ensemble(f"configs/winner/{ENSEMBLE}.yaml")
    names = [Path(member.predictions).name for member in shipped.members]
    members = [
        {"predictions": str(runs.folder(name.removeprefix("winner_")).path), "weight": weight}
        for name, weight in zip(names, shipped.weights, strict=True)
    ]
    content = {**shipped.model_dump(), "members": members}
    path, out = work / "configs" / f"{ENSEMBLE}.yaml", work / f"{ENSEMBLE}.npz"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    command = [sys.executable, "-m", "mmad", "ensemble", "--config", str(path), "--out", str(out)]
    subprocess.run(command, check=True)
    report = report_of(out.with_suffix(".csv"), next(iter(runs.configs.values())).data.test)
    if report is None:
        return {"F1 mean": "no labels", "members": str(len(members))}
    body, action = report.levels["body"], report.levels["action"]
    figures = {
        "F1 mean": report.f1_mean,
        "Acc body": body.top1,
        "Acc action": action.top1,
        "F1 macro body": body.f1_macro,
        "F1 micro body": body.f1_micro,
        "F1 macro action": action.f1_macro,
        "F1 micro action": action.f1_micro,
    }
    shown = {name: f"{100 * value:.2f}" for name, value in figures.items()}
    return {**shown, "members": str(len(members)), "paper: F1 mean": f"{ENSEMBLE_PRINTED}"}


def lines_of(cells: Sequence[Mapping[str, str]]) -> list[str]:
    """A table in Markdown, in the paper's columns."""
    names = [name for name in cells[0] if not name.startswith(("paper:", "config"))]
    lines = [f"| {' | '.join(names)} |", "|" + "---|" * len(names)]
    return [*lines, *(f"| {' | '.join(cell[name] for name in names)} |" for cell in cells)]


def write_all(runs: Runs, arguments: argparse.Namespace) -> None:
    """Write all tables, as CSV and as one page of Markdown."""
    lines: list[str] = []
    for table in TABLES:
        cells = cells_of(table, runs)
        print(write_rows(f"winner_{table.name}", cells))
        lines += [f"**{table.title}**", "", *lines_of(cells), ""]
        if table.name == "table2":
            together = fused(runs, arguments.work)
            print(write_rows(f"winner_{ENSEMBLE}", [together]))
            lines += ["**Ensemble of the rows of Table 2, weights of 4.1**", ""]
            lines += [*lines_of([together]), ""]
    clips = "synthetic clips" if arguments.data is None else str(arguments.data)
    lines.append(f"F1_mean (%) on {clips}. Commit {commit()}, {hardware()}.")
    (RESULTS / "winner_tables.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))
    if arguments.data is None:
        print(write_table(DOCS, "winner_tables", lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--data", type=Path, help="MA-52; default: synthetic clips, small networks")
    parser.add_argument("--epochs", type=int, default=1, help="of small networks")
    parser.add_argument("--jobs", type=int, default=None, help="runs at once; default 2, or 1")
    parser.add_argument("--processes", type=int, default=1, help="GPUs of a run, with --data")
    arguments = parser.parse_args()
    if arguments.data is None:
        os.environ["OMP_NUM_THREADS"] = "1"  # of a run; several wait for each other
        make_data(arguments.work / "data")
    runs = Runs(configs_of(arguments), arguments.work)
    at_once = arguments.jobs or (2 if arguments.data is None else 1)
    train_all(runs.jobs(processes=arguments.processes), at_once=at_once)
    try:
        write_all(runs, arguments)
    except PredictionError as error:
        raise SystemExit(f"{error}") from None


if __name__ == "__main__":
    main()
