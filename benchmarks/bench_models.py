"""A training step and an inference pass of a detector: packed, padded as in OpenTAD, and of the
tokens that move.

    python -m benchmarks.bench_models [--sizes small base] [--adapters none standard tia dsta]
        [--repeats 3] [--frames 309 240] [--window 768]
    python -m benchmarks.bench_models --ways packed pad_to_window "moving 3" --videos FILE FILE
        --adapters dsta --name moving
    python -m benchmarks.bench_models --ways packed pad_to_window "moving 3" --videos FILE
        --sizes base --adapters dsta --frames 309 --copies 8 --name gpu --peak-tflops 989

OpenTAD's scheme (`pad_to_window`) repeats the last frame of each video up to the window and
recomputes all activations; ours computes only frames that exist, and with `moving THRESHOLD` only
their moving tokens. Without --videos frames are noise, of which everything moves. On a CPU the
whole benchmark takes hours; there, shorten frames and window alike: --frames 48 --window 128
--repeats 1 takes ten minutes.

Every case runs in a process of its own, so that its peak memory is its own; cases take turns, and
the median of the repeats is kept, each after a step that warms up. FLOPs (multiply-adds x 2) are
counted by torch, attention included; the cheap element-wise temporal convolutions are not counted.
The time of the processor is beside the clock's, for machines that do other work, too. Writes
benchmarks/results/NAME.csv.
"""

import argparse
import itertools
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.flop_counter import (
    FlopCounterMode,
    sdpa_backward_flop_count,
    sdpa_flop_count,
)

from benchmarks.provenance import write_rows
from mmad.config.backbones.family import STATISTICS
from mmad.config.data import ImageSettings
from mmad.config.reading import parse_config
from mmad.config.run import DetectionRun
from mmad.data.frames import FrameCache, FrameSource
from mmad.data.samples import Batch, Sample, pack, pad_frames
from mmad.data.transforms import colour_map
from mmad.data.videos import make_grid, unvaried
from mmad.data.windows import Window
from mmad.engine.detection import DetectionTask
from mmad.engine.distributed import Processes
from mmad.engine.precision import choose_precision
from mmad.engine.runs.folder import RunFolder
from mmad.labels import MA52
from mmad.models.build import build_detector
from mmad.structures import Annotations
from mmad.video.index import index_video

PADDED = "pad_to_window"


def tokens_of(way: str) -> dict[str, object]:
    keep, _, threshold = way.partition(" ")
    return {"keep": keep, "threshold": float(threshold)} if threshold else {}


def config_of(size: str, adapter: str, way: str, *, image_size: int, window: int) -> DetectionRun:
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
                "activation_checkpointing": way == PADDED,
                "tokens": tokens_of(way),
            },
            "training": {"epochs": 1},
        },
        source="benchmark",
    )


def read_frames(path: str, count: int, image_size: int) -> NDArray[np.uint8]:
    """So many images of a video, which starts again where it ends."""
    settings = ImageSettings(image_size=image_size)
    source = FrameSource(settings, training=False, cache=FrameCache(budget_gb=0))
    numbers = np.arange(min(count, index_video(Path(path)).num_frames))
    frames = source.read(Path(path), numbers, slice(None))
    images = unvaried(frames, settings)(torch.from_numpy(frames)).numpy()
    return np.resize(images, (count, *images.shape[1:]))


def make_batch(
    frames: Sequence[int], videos: Sequence[str], *, image_size: int, window: int, padded: bool
) -> Batch:
    rng = np.random.default_rng(0)
    samples = []
    for number, (count, path) in enumerate(zip(frames, videos or [""] * len(frames), strict=True)):
        shape = (count, image_size, image_size, 3)
        images = read_frames(path, count, image_size) if path else rng.integers(0, 255, shape)
        images = images.astype(np.uint8)
        samples.append(
            Sample(
                f"v{number}",
                pad_frames(images, num_frames=window) if padded else images,
                count,
                colour_map(images, STATISTICS["imagenet"]),
                make_grid(
                    fps=30, frame_stride=1, window=Window(0, count), frames_per_step=2, upsampling=2
                ),
                Annotations([[0.1, 0.5], [0.2, 0.8]], [9, 24]),
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
    with counter:  # also warms up
        step()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    start, busy = time.perf_counter(), time.process_time()
    step()
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - busy
    if device.type == "cuda":
        memory = torch.cuda.max_memory_allocated() / 2**20
    else:
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    kept_NTS = model.features.backbone.choose(prepared.batch.clips)
    return {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "flops": counter.get_total_flops(),
        "memory_mb": memory,
        "kept": 1.0 if kept_NTS is None else kept_NTS.float().mean().item(),
    }


def measure_in_process(case: dict[str, object]) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.bench_models", "--measure", json.dumps(case)]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(result.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description="A training step and an inference pass.")
    parser.add_argument("--sizes", nargs="+", default=["small", "base"])
    parser.add_argument(
        "--adapters", nargs="+", default=["none", "standard", "tia", "dsta", "dsta_180"]
    )
    parser.add_argument("--ways", nargs="+", default=["packed", PADDED])
    parser.add_argument(
        "--frames", nargs="+", type=int, default=[309, 240], help="frames of each video"
    )
    parser.add_argument("--videos", nargs="+", default=[], help="files, one for each of --frames")
    parser.add_argument("--copies", type=int, default=1, help="how often all of them are used")
    parser.add_argument("--window", type=int, default=768, help="frames that OpenTAD pads to")
    parser.add_argument("--image-size", type=int, default=160)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--peak-tflops", type=float, help="of the device, for the share of it")
    parser.add_argument("--name", default="models")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        case = json.loads(arguments.measure)
        if threads := case.pop("threads"):
            torch.set_num_threads(threads)
        training, frames, videos = (case.pop(name) for name in ("training", "frames", "videos"))
        shape = {name: case[name] for name in ("image_size", "window")}
        batch = make_batch(frames, videos, **shape, padded=case["way"] == PADDED)
        print(json.dumps(measure(config_of(**case), batch, training=training)))
        return
    frames, videos = (arguments.copies * given for given in (arguments.frames, arguments.videos))
    shape = {"image_size": arguments.image_size, "window": arguments.window}
    shared = {"frames": frames, "videos": videos, "threads": arguments.threads, **shape}
    clips = sum(-(-n // 16) for n in frames)
    rows = []
    for size, adapter, training in itertools.product(
        arguments.sizes, arguments.adapters, (True, False)
    ):
        cases: dict[str, list[dict[str, float]]] = {way: [] for way in arguments.ways}
        for _ in range(arguments.repeats):
            for way, measured in cases.items():
                case = {"size": size, "adapter": adapter, "way": way, "training": training}
                measured.append(measure_in_process(case | shared))
        first = cases[arguments.ways[0]]
        for way, measured in cases.items():
            seconds, cpu_seconds = _medians(measured)
            computed = arguments.window * len(frames) if way == PADDED else 16 * clips
            row = {
                "size": size,
                "adapter": adapter,
                "pass": "training" if training else "inference",
                "way": way,
                "seconds": round(seconds, 4),
                "ratio_to_packed": round(seconds / _medians(first)[0], 3),
                "cpu_seconds": round(cpu_seconds, 4),
                "cpu_ratio": round(cpu_seconds / _medians(first)[1], 3),
                "kept": round(measured[0]["kept"], 3),
                "gflops": round(measured[0]["flops"] / 1e9, 1),
                "peak_memory_mb": round(max(m["memory_mb"] for m in measured)),
                "padding_share": round(1 - sum(frames) / computed, 3),
                "videos_per_second": round(len(frames) / seconds, 3),
            }
            if arguments.peak_tflops:
                tflops = measured[0]["flops"] / seconds / 1e12
                row["share_of_peak"] = round(tflops / arguments.peak_tflops, 3)
            rows.append(row)
            print(row, flush=True)
    print(write_rows(arguments.name, rows))


def _medians(measured: Sequence[dict[str, float]]) -> tuple[float, float]:
    """Medians of the time of the clock and of the processor."""
    return (
        statistics.median(one["seconds"] for one in measured),
        statistics.median(one["cpu_seconds"] for one in measured),
    )


if __name__ == "__main__":
    main()
