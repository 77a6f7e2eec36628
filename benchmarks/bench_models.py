"""A training step and an inference pass of a detector, packed against padded as in OpenTAD.

    python -m benchmarks.bench_models [--sizes small base] [--adapters none standard tia dsta]
        [--repeats 3] [--frames 309 240] [--window 768]

OpenTAD's scheme (`pad_to_window`) repeats the last frame of each video up to the window and
recomputes all activations; ours computes only frames that exist. On a CPU the whole benchmark takes
hours; there, shorten frames and window alike: --frames 48 --window 128 --repeats 1 takes ten
minutes.

Every case runs in a process of its own, so that its peak memory is its own; cases take turns, and
the median of the repeats is kept. FLOPs (multiply-adds x 2) are counted by torch, attention
included; the cheap element-wise temporal convolutions are not counted. Writes
benchmarks/results/models.csv.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import (
    FlopCounterMode,
    sdpa_backward_flop_count,
    sdpa_flop_count,
)

from benchmarks.provenance import write_rows
from mmad.config.backbones.family import STATISTICS
from mmad.config.reading import parse_config
from mmad.config.run import DetectionRun
from mmad.data.samples import Batch, Sample, pack, pad_frames
from mmad.data.transforms import colour_map
from mmad.data.videos import make_grid
from mmad.data.windows import Window
from mmad.engine.detection import DetectionTask
from mmad.engine.distributed import Processes
from mmad.engine.precision import choose_precision
from mmad.engine.runs.folder import RunFolder
from mmad.labels import MA52
from mmad.models.build import build_detector
from mmad.structures import Annotations


def config_of(
    size: str, adapter: str, *, image_size: int, window: int, padded: bool
) -> DetectionRun:
    return parse_config(
        {
            "data": {
                "annotations": "-",
                "videos": "-",
                "window_frames": window,
                "image_size": image_size,
            },
            "backbone": {
                "size": size,
                "adapter": {"name": adapter},
                "activation_checkpointing": padded,
            },
            "training": {"epochs": 1},
        },
        source="benchmark",
    )


def make_batch(frames: Sequence[int], *, image_size: int, window: int, padded: bool) -> Batch:
    rng = np.random.default_rng(0)
    samples = []
    for number, count in enumerate(frames):
        images = rng.integers(0, 255, (count, image_size, image_size, 3), dtype=np.uint8)
        samples.append(
            Sample(
                f"v{number}",
                pad_frames(images, num_frames=window) if padded else images,
                count,
                colour_map(images, STATISTICS["imagenet"]),
                make_grid(
                    fps=30, frame_stride=1, window=Window(0, count), frames_per_step=2, upsampling=2
                ),
                Annotations([[1.0, 3.0], [2.0, 2.8]], [9, 24]),
            )
        )
    return pack(samples, clip_frames=16)


def count_attention(q: tuple, k: tuple, v: tuple, *_: object, **__: object) -> int:
    return sdpa_flop_count(q, k, v)


def count_attention_backward(
    grad: tuple, q: tuple, k: tuple, v: tuple, *_: object, **__: object
) -> int:
    return sdpa_backward_flop_count(grad, q, k, v)


# Attention on a CPU, which torch does not count on its own.
CPU_ATTENTION = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: count_attention,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: count_attention_backward,
}


def measure(config: DetectionRun, batch: Batch, *, training: bool) -> dict[str, float]:
    """Seconds, FLOPs and peak memory of one step."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = build_detector(config, num_classes=len(MA52)).to(device).train(training)
    processes = Processes(0, 1, device)
    task = DetectionTask(
        config, labels=MA52, validation=[], processes=processes, folder=RunFolder(Path())
    )
    precision = choose_precision("auto", device)

    prepared = task.prepare(batch, device)

    def step() -> None:
        with (
            torch.set_grad_enabled(training),
            torch.autocast(device.type, dtype=precision, enabled=precision is not None),
        ):
            loss = task.losses(model, prepared)[0]["loss"]
        if training:
            loss.backward()
            model.zero_grad(set_to_none=True)
        if device.type == "cuda":
            torch.cuda.synchronize()

    counter = FlopCounterMode(display=False, custom_mapping=CPU_ATTENTION)
    timed: AbstractContextManager = counter
    if device.type == "cuda":
        with counter:  # also warms up the device
            step()
        torch.cuda.reset_peak_memory_stats()
        timed = nullcontext()
    start = time.perf_counter()
    with timed:  # on a CPU, counting costs nothing beside the step itself
        step()
    seconds = time.perf_counter() - start
    if device.type == "cuda":
        memory = torch.cuda.max_memory_allocated() / 2**20
    else:
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "flops": counter.get_total_flops(), "memory_mb": memory}


def measure_in_process(case: dict[str, object]) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.bench_models", "--measure", json.dumps(case)]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(result.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=["small", "base"])
    parser.add_argument(
        "--adapters", nargs="+", default=["none", "standard", "tia", "dsta", "dsta_180"]
    )
    parser.add_argument(
        "--frames", nargs="+", type=int, default=[309, 240], help="frames of each video"
    )
    parser.add_argument("--window", type=int, default=768, help="frames that OpenTAD pads to")
    parser.add_argument("--image-size", type=int, default=160)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    shape = {"image_size": arguments.image_size, "window": arguments.window}
    if arguments.measure:
        case = json.loads(arguments.measure)
        training = case.pop("training")
        frames = case.pop("frames")
        config = config_of(**case)
        batch = make_batch(
            frames, image_size=case["image_size"], window=case["window"], padded=case["padded"]
        )
        print(json.dumps(measure(config, batch, training=training)))
        return
    rows = []
    clips = sum(-(-n // 16) for n in arguments.frames)
    computed = {False: 16 * clips, True: arguments.window * len(arguments.frames)}
    for size in arguments.sizes:
        for adapter in arguments.adapters:
            for training in (True, False):
                cases: dict[bool, list[dict[str, float]]] = {False: [], True: []}
                for _ in range(arguments.repeats):
                    for padded, measured in cases.items():
                        case = {"size": size, "adapter": adapter, "padded": padded, **shape}
                        case |= {"training": training, "frames": arguments.frames}
                        measured.append(measure_in_process(case))
                seconds = {k: statistics.median(m["seconds"] for m in v) for k, v in cases.items()}
                for padded, measured in cases.items():
                    row = {
                        "size": size,
                        "adapter": adapter,
                        "pass": "training" if training else "inference",
                        "way": "pad_to_window" if padded else "packed",
                        "seconds": round(seconds[padded], 4),
                        "ratio_to_packed": round(seconds[padded] / seconds[False], 3),
                        "gflops": round(measured[0]["flops"] / 1e9, 1),
                        "peak_memory_mb": round(max(m["memory_mb"] for m in measured)),
                        "padding_share": round(1 - sum(arguments.frames) / computed[padded], 3),
                    }
                    rows.append(row)
                    print(row, flush=True)
    print(write_rows("models", rows))


if __name__ == "__main__":
    main()
