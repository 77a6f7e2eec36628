"""Milliseconds and memory of every recogniser at 8 frames of 224 pixels, as `mmad profile`.

    python -m benchmarks.bench_networks [--repeats 5] [--networks tsm_r50 ...]

Each network has its published size and the input of its row: C3D, whose fully connected layer fits
one size only, takes 16 frames of 112 pixels. Each has a process of its own. Writes
benchmarks/results/networks.csv and, if all were measured, the table in docs/profile.md.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.provenance import commit, hardware, write_rows, write_table
from mmad.config.reading import load_any_config
from mmad.engine.profile.inputs import InputSize
from mmad.engine.profile.measuring import profile_run

DOCS = Path(__file__).parents[1] / "docs" / "profile.md"
EIGHT = ("backbone.clip_frames=8", "data.image_size=224")
# Shipped config, below configs/recognition -> what gives it its input.
NETWORKS: dict[str, tuple[str, ...]] = {
    "tsn_r50": EIGHT,
    "tsm_r50": EIGHT,
    "tin_r50": EIGHT,
    "manet_r50": (*EIGHT, "heads.embedding=letters", "heads.word_vectors=null"),
    "mlfe_r50": EIGHT,
    "c3d": (),
    "i3d_r50": EIGHT,
    "slowfast_r50": EIGHT,
    "video_swin_t": EIGHT,
    "timesformer_divided": EIGHT,
    "uniformer_s": EIGHT,
    "full_videomae_b": EIGHT,
}


def measure(name: str, *, repeats: int) -> dict[str, object]:
    config = load_any_config(f"configs/recognition/{name}.yaml", overrides=NETWORKS[name])
    found = profile_run(config, size=InputSize(classes=52), repeats=repeats)
    assert not found.unknown, found.unknown
    return {
        "network": name,
        "input": found.input,
        "numbers": found.hardware,
        "parameters_m": round(found.whole.parameters / 1e6, 2),
        "multiply_adds_g": round(found.forward.total / 1e9, 2),
        "forward_ms": round(found.forward.milliseconds),
        "training_ms": round(found.training.milliseconds),
        "forward_mib": round(found.forward.peak_memory_bytes / 2**20),
        "training_mib": round(found.training.peak_memory_bytes / 2**20),
        "repeats": repeats,
    }


def measure_in_process(name: str, *, repeats: int) -> dict[str, object]:
    command = [sys.executable, "-m", "benchmarks.bench_networks", "--measure", name]
    command += ["--repeats", str(repeats)]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(result.stdout.splitlines()[-1])


def table_lines(rows: Sequence[Mapping[str, object]], *, note: str) -> list[str]:
    lines = ["| | input | parameters | multiply-adds | forward | training step | memory |"]
    lines.append("|---|---|---|---|---|---|---|")
    for row in rows:
        cells = [f"`{row['network']}`", str(row["input"]).removeprefix("1 clip of ")]
        cells += [f"{row['parameters_m']} M", f"{row['multiply_adds_g']} G"]
        cells += [f"{row['forward_ms']} ms", f"{row['training_ms']} ms"]
        cells.append(f"{row['forward_mib']}, {row['training_mib']} MiB")
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, "", *note.splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure, repeats=arguments.repeats)))
        return
    rows = []
    for name in arguments.networks:
        rows.append(measure_in_process(name, repeats=arguments.repeats))
        print(rows[-1], flush=True)
    print(write_rows("networks", rows))
    if arguments.networks == list(NETWORKS):
        note = (
            f"One clip, 52 classes, median of {arguments.repeats}; commit {commit()}, {hardware()}."
        )
        print(write_table(DOCS, "bench_networks", table_lines(rows, note=note)))


if __name__ == "__main__":
    main()
