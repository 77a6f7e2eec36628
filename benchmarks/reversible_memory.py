"""Memory and time of a training step against the depth of reversible networks.

    python -m benchmarks.reversible_memory [--repeats 3] [--frames 16] [--side 64]

Each network is measured three times: with all activations kept, with the inputs of branches kept
(activation checkpointing), and with what Re2TAL does, everything recomputed from the output of a
stage. Kept: bytes that the forward pass leaves for the backward pass, without parameters; the
same in every run. Peak: what is allocated at most in a step, parameters and gradients included.
Writes benchmarks/results/reversible_memory.csv and the table in docs/profile.md.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor

from benchmarks.provenance import commit, hardware, write_rows, write_table
from mmad.config.backbones.slowfast import SlowFastSettings
from mmad.config.backbones.video_swin import VideoSwinSettings
from mmad.engine.profile.measuring import measure
from mmad.models.backbones.families import build_backbone
from mmad.models.layers.reversible import Activations

DOCS = Path(__file__).parents[1] / "docs" / "profile.md"
# Of the first Video Swin and of the second all stages are the published ones.
SWIN = {"width": 96, "num_heads": [3, 6, 12, 24]}
NETWORKS: dict[str, Callable[[], Any]] = {
    **{
        f"Video Swin, {sum((2, 2, depth, 2))} blocks": lambda depth=depth: VideoSwinSettings(
            size={**SWIN, "depths": [2, 2, depth, 2]}, drop_path=0.2
        )
        for depth in (6, 18, 36)
    },
    **{
        f"SlowFast-{depth}": lambda depth=depth: SlowFastSettings(
            depth=depth, slow_stride=4, speed_ratio=4, lateral_kernel=7
        )
        for depth in (50, 101, 152)
    },
}
# In the words of the table, that of all kept first.
KINDS = {"kept": "all", "from_inputs": "checkpointing", "from_output": "reversible"}


def bytes_kept(forward: Callable[[], object], *, parameters: Iterable[Tensor]) -> int:
    """Bytes that ``forward()`` keeps for its backward pass; what several tensors share counts once.

    Args:
        forward: The pass; what it returns is kept until all is counted.
        parameters: Not counted.
    """
    own = {parameter.untyped_storage().data_ptr() for parameter in parameters}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = forward()
    del result
    return sum(kept.values())


def measure_network(
    name: str, activations: Activations, *, frames: int, side: int, repeats: int
) -> dict[str, object]:
    """A row of the results."""
    settings = NETWORKS[name]().model_copy(
        update={"reversible": True, "freeze": False, "clip_frames": frames}
    )
    torch.manual_seed(0)
    backbone = build_backbone(settings).train()
    backbone.activations = activations  # type: ignore[assignment]
    images = torch.randn(1, 3, frames, side, side)
    videos = torch.zeros(1, dtype=torch.long)

    def forward() -> Tensor:
        return backbone.pool_clips(backbone(images, videos)).square().mean()

    def step() -> None:
        backbone.zero_grad()
        forward().backward()

    kept = bytes_kept(forward, parameters=backbone.parameters())
    found = measure(
        step, device=images.device, repeats=1, kept=lambda: [images, *backbone.parameters()]
    )
    # Of the processor: other programs change it less than the clock's.
    seconds = []
    for _ in range(repeats):
        began = time.process_time()
        step()
        seconds.append(time.process_time() - began)
    return {
        "network": name,
        "activations": activations,
        "clip": f"{frames} frames of {side} x {side} pixels",
        "parameters_m": round(sum(p.numel() for p in backbone.parameters()) / 1e6, 2),
        "kept_mib": round(kept / 2**20, 1),
        "peak_mib": round(found.peak_memory_bytes / 2**20, 1),
        "step_cpu_seconds": round(statistics.median(seconds), 3),
        "repeats": repeats,
    }


def table_lines(rows: Sequence[dict[str, Any]], *, note: str) -> list[str]:
    """The table: a line for each network, with the three ways side by side."""
    kinds = list(KINDS)
    heads = [f"kept: {KINDS[kinds[0]]}", *(KINDS[kind] for kind in kinds[1:])]
    heads += [f"peak: {KINDS[kinds[0]]}", *(KINDS[kind] for kind in kinds[1:])]
    heads += [f"time: {KINDS[kinds[1]]}", *(KINDS[kind] for kind in kinds[2:])]
    lines = [f"| | parameters | {' | '.join(heads)} |", "|---" * (2 + len(heads)) + "|"]
    for name in dict.fromkeys(row["network"] for row in rows):
        of = {row["activations"]: row for row in rows if row["network"] == name}
        cells = [f"{float(of[kinds[0]]['parameters_m']):.1f} M"]
        cells += [f"{float(of[kind]['kept_mib']):.0f} MiB" for kind in kinds]
        cells += [f"{float(of[kind]['peak_mib']):.0f} MiB" for kind in kinds]
        seconds = {kind: float(of[kind]["step_cpu_seconds"]) for kind in kinds}
        cells += [f"{seconds[kind] / seconds[kinds[0]]:.2f}" for kind in kinds[1:]]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return [*lines, "", *note.splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--side", type=int, default=64)
    arguments = parser.parse_args()
    assert set(KINDS) == set(get_args(Activations))
    torch.set_num_threads(1)
    rows = []
    for name in NETWORKS:
        for activations in KINDS:
            rows.append(measure_network(name, activations, **vars(arguments)))
            print(rows[-1], flush=True)
    print(write_rows("reversible_memory", rows))
    note = (
        f"One clip of {arguments.frames} frames of {arguments.side} x {arguments.side} pixels,"
        f" median of {arguments.repeats} steps on one thread;\ncommit {commit()}, {hardware()}."
    )
    print(write_table(DOCS, "reversible_memory", table_lines(rows, note=note)))


if __name__ == "__main__":
    main()
