"""Frames per second of reading whole videos at short side 160, from 1080p and from prepared copies.

"pyav apart" decodes in a process of its own, as `mmad detect` does; its memory is that of this one.

    python -m benchmarks.bench_loader [--videos FOLDER] [--repeats 5]

Every measurement runs in a process of its own, so that its peak memory is its own, and the cases
take turns, so that a change in the load of the machine hits them all. The median of the repeats is
written to benchmarks/results/loader.csv; `ratio` is against PyAV on the 1080p source in the same
run.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.provenance import write_rows
from mmad.video.find import find_videos
from mmad.video.guarded.limits import DecoderLimits
from mmad.video.guarded.process import DecoderProcess
from mmad.video.open import open_video
from mmad.video.prepare import prepare_videos
from mmad.video.writer import VideoWriter

SHORT_SIDE = 160


def make_video(path: Path, *, num_frames: int, seed: int) -> None:
    """A 1080p clip of a textured image that pans under a moving foreground, with sensor noise."""
    rng = np.random.default_rng(seed)
    height, width = 1080, 1920
    rough = rng.integers(0, 255, (68, 130, 3)).astype(np.uint8)
    texture = np.repeat(np.repeat(rough, 17, axis=0), 17, axis=1)
    noise = rng.integers(0, 8, (height + 64, width + 64, 3)).astype(np.uint8)
    with VideoWriter(path, fps=30, width=width, height=height, gop_frames=250) as writer:
        for number in range(num_frames):
            shift = round(30 + 30 * np.sin(number / 20))
            dy, dx = rng.integers(0, 64, 2)
            frame = texture[shift : shift + height, shift : shift + width] // 2 + 40
            frame[300:900, 600 + number : 1000 + number] = texture[:600, :400] // 2 + 100
            writer.write(frame + noise[dy : dy + height, dx : dx + width])


def measure(reader: str, videos: list[str]) -> dict[str, float]:
    """Frames per second and peak resident memory of reading ``videos`` whole, frame by frame."""
    num_frames = 0
    name, _, apart = reader.partition(" ")
    with DecoderProcess(DecoderLimits()) as process:
        if apart:
            process.open(Path(videos[0]))  # it starts once for many videos
        start = time.perf_counter()
        for video in videos:
            source = process.open(Path(video)) if apart else video
            with open_video(source, reader=name, short_side=SHORT_SIDE, threads=0) as opened:
                num_frames += sum(1 for _ in opened.stream())
        seconds = time.perf_counter() - start
    # ru_maxrss may hold the peak of the parent before the start of this program; VmHWM does not.
    status = Path("/proc/self/status").read_text().splitlines()
    peak_kb = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    return {"frames_per_second": num_frames / seconds, "peak_memory_mb": peak_kb / 1024}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=Path, help="folder of videos instead of generated ones")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--num-videos", type=int, default=2)
    parser.add_argument("--num-frames", type=int, default=150)
    parser.add_argument("--measure", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure[0], arguments.measure[1:])))
        return
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        if arguments.videos:
            sources = list(find_videos(arguments.videos).values())
            source_name = "source videos"
        else:
            sources = [work / f"clip{seed}.mp4" for seed in range(arguments.num_videos)]
            source_name = "1080p"
            for seed, path in enumerate(sources):
                make_video(path, num_frames=arguments.num_frames, seed=seed)
        copies = prepare_videos(sources, work / "copies", short_side=182).written
        cases = {
            (reader, source): paths
            for source, paths in (
                (source_name, sources),
                ("prepared 182", [copy.path for copy in copies]),
            )
            for reader in ("pyav", "pyav apart", "decord")
        }
        measured: dict[tuple[str, str], list[dict[str, float]]] = {case: [] for case in cases}
        for _ in range(arguments.repeats):
            for case, paths in cases.items():
                command = [
                    sys.executable,
                    "-m",
                    "benchmarks.bench_loader",
                    "--measure",
                    case[0],
                    *map(str, paths),
                ]
                result = subprocess.run(command, capture_output=True, text=True, check=True)
                measured[case].append(json.loads(result.stdout))
    medians = {
        case: {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        for case, runs in measured.items()
    }
    reference = medians["pyav", source_name]["frames_per_second"]
    rows = []
    for (reader, source), values in medians.items():
        speed = values["frames_per_second"]
        rows.append(
            {
                "reader": reader,
                "source": source,
                "frames_per_second": round(speed),
                "peak_memory_mb": round(values["peak_memory_mb"]),
                "ratio": round(speed / reference, 2),
            }
        )
        print(rows[-1])
    print(write_rows("loader", rows))


if __name__ == "__main__":
    main()
