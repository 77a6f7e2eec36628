"""Memory of `detect` over videos of growing length.

    python -m benchmarks.bench_long_video RUN [--minutes 1 10 60]

Each length runs in a process of its own, on a video that repeats synthetic frames. Memory must not
grow with the length. Writes benchmarks/results/long_video.csv.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.provenance import write_rows
from mmad.engine.inference import detect_videos
from mmad.engine.runs.load import load_run
from mmad.structures import VideoRecord
from mmad.synthetic.motions import Instance, pose_at
from mmad.synthetic.render import Renderer
from mmad.synthetic.subjects import make_subject
from mmad.video.index import index_video
from mmad.video.writer import VideoWriter


def make_video(path: Path, *, minutes: float, fps: int, side: int) -> None:
    import numpy as np

    subject = make_subject(77)
    renderer = Renderer(subject, width=side, height=side, rng=np.random.default_rng(0))
    actions = [Instance(9, 2.0, 5.0), Instance(19, 6.0, 9.0), Instance(24, 8.0, 14.0)]
    period = [
        renderer.frame(pose_at(k / fps, actions, slouch=subject.slouch, idle=0.0))
        for k in range(15 * fps)
    ]
    with VideoWriter(path, fps=fps, width=side, height=side) as writer:
        for number in range(round(minutes * 60 * fps)):
            writer.write(period[number % len(period)])


def measure(run: str, video: str) -> dict[str, float]:
    model, config, _ = load_run(run)
    index = index_video(video)
    record = VideoRecord("long", index.duration_seconds, "none", path=Path(video))
    began = time.perf_counter()
    found = detect_videos(
        model, [record], config, device=torch.device("cpu"), fps=index.fps
    ).detections
    seconds = time.perf_counter() - began
    return {
        "video_seconds_per_second": round(index.duration_seconds / seconds, 1),
        "detections": len(found["long"]),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("--minutes", nargs="+", type=float, default=[1, 10, 60])
    parser.add_argument("--fps", type=int, default=15)
    parser.add_argument("--side", type=int, default=96)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.run, arguments.measure)))
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for minutes in arguments.minutes:
            video = Path(folder) / f"{minutes:g}.mp4"
            make_video(video, minutes=minutes, fps=arguments.fps, side=arguments.side)
            command = [sys.executable, "-m", "benchmarks.bench_long_video", arguments.run]
            result = subprocess.run(
                [*command, "--measure", str(video)], capture_output=True, text=True, check=True
            )
            rows.append({"minutes": minutes, **json.loads(result.stdout.splitlines()[-1])})
            print(rows[-1], flush=True)
    print(write_rows("long_video", rows))


if __name__ == "__main__":
    main()
