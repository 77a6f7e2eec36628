"""Speed of exported detectors beside PyTorch on one thread of the CPU.

    python -m benchmarks.bench_export [--repeats 7] [--networks demo ...]

Each network has random weights and the sizes of a shipped config. PyTorch, the ONNX file and the
file with 8-bit weights take turns in one process; the time is that of the processor, which other
work on the machine changes least, and each ratio is the median over the turns. Writes
benchmarks/results/export.csv and, if all were measured, the table in docs/export.md.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch

from benchmarks.provenance import commit, hardware, write_rows, write_table
from mmad.config.reading import load_any_config
from mmad.config.run import FeatureRun, VideoRun
from mmad.errors import ExportError
from mmad.export.candidates import candidate_stage
from mmad.export.description import Description
from mmad.export.int8 import quantise
from mmad.export.networks import ExportedNetwork, SequenceDetector
from mmad.export.runs import video_form
from mmad.export.sessions import Session
from mmad.export.writing import write_network
from mmad.labels import MA52
from mmad.models.build import build_detector
from mmad.models.detectors.whole import EndToEndDetector, FeatureDetector

DOCS = Path(__file__).parents[1] / "docs" / "export.md"


@dataclass(frozen=True)
class Measured:
    """A network of the benchmark.

    Attributes:
        config: Shipped config, below configs.
        overrides: What it needs to be built without files.
        length: Clips, or steps of features, of the window that is timed.
        title: In the table.
    """

    config: str
    length: int
    title: str
    overrides: tuple[str, ...] = ("backbone.pretrained=null",)


NETWORKS = {
    "demo": Measured("demo", 15, "demo: VideoMAE of width 96 with DSTA, 15 clips of 96 px"),
    "videomae_s": Measured(
        "dsta_videomae_s", 3, "`dsta_videomae_s`: VideoMAE-S with DSTA, 3 clips of 160 px"
    ),
    "features": Measured(
        "features/actionformer", 512, "`features/actionformer`: 512 steps of 384 channels", ()
    ),
}
CHANNELS = 384


def network_of(measured: Measured) -> tuple[ExportedNetwork, Description]:
    config = load_any_config(f"configs/{measured.config}.yaml", overrides=measured.overrides)
    torch.manual_seed(0)
    if isinstance(config, FeatureRun):
        detector = build_detector(config, num_classes=len(MA52), feature_channels=CHANNELS)
        assert isinstance(detector, FeatureDetector)
        stage = candidate_stage(config, unit=1.0)
        network = SequenceDetector(detector.eval(), stage=stage, channels=CHANNELS)
        return network, Description(reads="features", config={}, labels=MA52)
    assert isinstance(config, VideoRun)
    whole = build_detector(config, num_classes=len(MA52)).eval()
    assert isinstance(whole, EndToEndDetector)
    return video_form(whole, config, MA52, fps=30.0)


@torch.inference_mode()
def seconds_of(calls: Mapping[str, Callable[[], object]], *, repeats: int) -> dict[str, list]:
    """Processor seconds of each call in every turn."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(repeats + 1):
        for name, call in calls.items():
            began = time.process_time()
            call()
            if turn:  # not the first, which allocates
                found[name].append(time.process_time() - began)
    return found


def measure(name: str, *, repeats: int) -> dict[str, object]:
    measured = NETWORKS[name]
    network, description = network_of(measured)
    with tempfile.TemporaryDirectory() as folder:
        whole, int8 = Path(folder) / "whole.onnx", Path(folder) / "int8.onnx"
        comparison = write_network(network, description, whole, format="onnx")
        files = {"onnx": whole}
        try:
            quantise(whole, int8, description)
            files["int8"] = int8
        except ExportError:  # nothing to quantise
            pass
        inputs = network.example(1, measured.length)
        sessions = {kind: Session(path) for kind, path in files.items()}
        sizes = {kind: path.stat().st_size for kind, path in files.items()}

        def run(session: Session) -> Callable[[], object]:
            return lambda: session(*inputs)

        calls = {"torch": lambda: network.reference(*inputs)}
        calls |= {kind: run(session) for kind, session in sessions.items()}  # type: ignore[misc]
        found = seconds_of(calls, repeats=repeats)
    row: dict[str, object] = {"network": name, "repeats": repeats}
    row["largest_difference"] = f"{comparison.largest:.1e}"
    row["torch_ms"] = round(1000 * median(found["torch"]))
    for kind in ("onnx", "int8"):
        ratios = [a / b for a, b in zip(found["torch"], found.get(kind, []), strict=False)]
        row[f"{kind}_ms"] = round(1000 * median(found[kind])) if ratios else ""
        row[f"{kind}_times"] = round(median(ratios), 2) if ratios else ""
        row[f"{kind}_mb"] = round(sizes[kind] / 1e6, 1) if ratios else ""
    return row


def table_lines(rows: Sequence[Mapping[str, object]], *, note: str) -> list[str]:
    lines = ["| network, and window | PyTorch | ONNX | times | int8 | times | file, int8 |"]
    lines.append("|---|---|---|---|---|---|---|")
    for row in rows:
        cells = [NETWORKS[str(row["network"])].title, f"{row['torch_ms']} ms"]
        cells += [f"{row['onnx_ms']} ms", f"**{row['onnx_times']}**"]
        if row["int8_ms"] == "":
            cells += ["", "", f"{row['onnx_mb']} MB"]
        else:
            cells += [f"{row['int8_ms']} ms", f"**{row['int8_times']}**"]
            cells.append(f"{row['onnx_mb']}, {row['int8_mb']} MB")
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, "", *note.splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for name in arguments.networks:
        rows.append(measure(name, repeats=arguments.repeats))
        print(rows[-1], flush=True)
    print(write_rows("export", rows))
    if arguments.networks == list(NETWORKS):
        note = (
            f"One window, 52 classes, one thread, processor time, median of {arguments.repeats} "
            f"turns;\ncommit {commit()}, {hardware()}."
        )
        print(write_table(DOCS, "bench_export", table_lines(rows, note=note)))


if __name__ == "__main__":
    main()
