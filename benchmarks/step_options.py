"""What a training step gains from torch.compile, bf16, the fused optimiser and a frozen prefix, and
where it goes.

    python -m benchmarks.step_options [--size small] [--frames 48] [--image-size 160] [--repeats 3]
        [--threads 1] [--tokens all]

One network with DSTA takes steps of each way in turn, after two that warm up (compilation is timed
apart); the median counts. The optimiser is fused as in `mmad train`, or a loop over parameters.
Blocks are compiled one by one, without drop path, whose rates would make each a network of its own.
bf16 helps where the processor computes with it (avx512_bf16, amx_bf16); elsewhere it is emulated.
With adapters in the last third of the blocks alone, those before need no gradient; a cache of what
enters that third would leave its own time, that of a network without the blocks before.
Writes benchmarks/results/step_options.csv, and step_profile.csv with the most expensive operations
of an unchanged step.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.bench_models import config_of, make_batch
from benchmarks.provenance import write_rows
from mmad.data.samples import Batch
from mmad.engine.detection import DetectionTask
from mmad.engine.distributed import Processes
from mmad.engine.optimiser import build_optimizer, parameter_groups
from mmad.engine.runs.folder import RunFolder
from mmad.labels import MA52
from mmad.models.build import build_detector
from mmad.models.detectors.whole import EndToEndDetector

_LATE = "adapters in the last third"
_CACHED = "adapters in the last third, the rest cached"
WAYS = ("plain", "optimiser not fused", "bf16", "torch.compile", _LATE, _CACHED)
SHOWN = 12


class Trained:
    """A network with its optimiser, that takes steps in one way.

    Args:
        way: One of `WAYS`.
        arguments: Those of the command.
        batch: What it is trained on.
    """

    def __init__(self, way: str, arguments: argparse.Namespace, batch: Batch) -> None:
        config = config_of(
            arguments.size, "dsta", arguments.tokens, image_size=arguments.image_size, window=768
        )
        backbone = config.backbone.model_copy(update={"drop_path": 0.0})
        if way in (_LATE, _CACHED):
            depth = backbone.dimensions.depth
            late = list(range(depth - depth // 3, depth))
            adapter = backbone.adapter.model_copy(update={"blocks": late})
            backbone = backbone.model_copy(update={"adapter": adapter})
        config = config.model_copy(update={"backbone": backbone})
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = build_detector(config, num_classes=len(MA52)).to(device).train()
        assert isinstance(self.model, EndToEndDetector)
        if way == _CACHED:
            network = self.model.features.backbone
            network.blocks = network.blocks[-len(late) :]
        groups = parameter_groups(self.model, config.training)
        self.optimizer = build_optimizer(groups, config.training)
        if way == "optimiser not fused":
            for group in self.optimizer.param_groups:
                group |= {"fused": False}
        self.precision = torch.bfloat16 if way == "bf16" else None
        self.task = DetectionTask(
            config,
            labels=MA52,
            validation=[],
            processes=Processes(0, 1, device),
            folder=RunFolder(Path()),
        )
        self.prepared = self.task.prepare(batch, device)
        self.seconds: list[float] = []
        if way == "torch.compile":
            for block in self.model.features.backbone.blocks:
                block.compile(dynamic=False)
        started = time.perf_counter()
        for _ in range(2):
            self.step()
        self.first_seconds = time.perf_counter() - started

    def step(self) -> None:
        """One step of training."""
        device = self.prepared.batch.clips.device.type
        with torch.autocast(device, dtype=self.precision, enabled=self.precision is not None):
            loss = self.task.losses(self.model, self.prepared)[0]["loss"]
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if device == "cuda":
            torch.cuda.synchronize()

    def timed(self, clock: Callable[[], float]) -> None:
        """Take a step, and note its time."""
        started = clock()
        self.step()
        self.seconds.append(clock() - started)


def main() -> None:
    """Measure all ways."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="small")
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--image-size", type=int, default=160)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tokens", default="all", help="all, or as 'moving 3'")
    parser.add_argument("--ways", nargs="+", default=WAYS, choices=WAYS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    batch = make_batch(
        [arguments.frames], [], image_size=arguments.image_size, window=768, padded=False
    )
    trained = {way: Trained(way, arguments, batch) for way in arguments.ways}
    # On one thread the time of the processor is that of a quiet machine.
    clock = time.perf_counter if torch.cuda.is_available() else time.process_time
    for _ in range(arguments.repeats):
        for one in trained.values():
            one.timed(clock)
    plain = statistics.median(trained[arguments.ways[0]].seconds)
    rows = []
    for way, one in trained.items():
        seconds = statistics.median(one.seconds)
        rows.append(
            {
                "size": arguments.size,
                "tokens": arguments.tokens,
                "frames": arguments.frames,
                "way": way,
                "seconds": round(seconds, 3),
                "ratio": round(seconds / plain, 3),
                "first_seconds": round(one.first_seconds, 1),
            }
        )
        print(rows[-1], flush=True)
    print(write_rows("step_options", rows))
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        trained[arguments.ways[0]].step()
    events = sorted(profiled.key_averages(), key=lambda event: -event.self_cpu_time_total)
    total = sum(event.self_cpu_time_total for event in events)
    operations = [
        {
            "operation": event.key,
            "calls": event.count,
            "share": round(event.self_cpu_time_total / total, 3),
        }
        for event in events[:SHOWN]
    ]
    for operation in operations:
        print(operation)
    print(write_rows("step_profile", operations))


if __name__ == "__main__":
    main()
