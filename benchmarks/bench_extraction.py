"""Extraction of features: throughput, memory over long videos, kills, equality with the detector.

    python -m benchmarks.bench_extraction throughput CONFIG VIDEO... [--workers 0 8]
    python -m benchmarks.bench_extraction memory CONFIG [--minutes 1 10 60]
    python -m benchmarks.bench_extraction kill CONFIG VIDEOS [--kills 10]
    python -m benchmarks.bench_extraction equal CONFIG VIDEO...

The backbone has random weights, which cost the same. Throughput and memory are written to
benchmarks/results/extraction.csv and extraction_memory.csv.
"""

import argparse
import json
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.bench_long_video import make_video
from benchmarks.provenance import write_rows
from mmad.config.features import ExtractionSettings
from mmad.config.reading import load_config
from mmad.data.features.blocks import FeatureBlock
from mmad.data.features.files import FeatureFile
from mmad.data.features.parts import FeatureParts
from mmad.data.samples import FailedVideo, Packer
from mmad.data.videos import WindowStream
from mmad.engine.features.backbone import open_backbone
from mmad.engine.features.extraction import (
    BlockEncoder,
    Computation,
    Extracted,
    extract_parts,
    extract_to_file,
    read_blocks,
)
from mmad.engine.features.plan import FeatureBackbone, describe_features, plan_clips
from mmad.engine.precision import choose_precision
from mmad.models.backbones.features import VideoFeatures
from mmad.structures import VideoRecord
from mmad.video.index import index_video

RANDOM = "backbone.pretrained=null"
SETTINGS = ExtractionSettings()


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def blocks_of(
    videos: list[Path], source: FeatureBackbone, *, workers: int
) -> tuple[list[FeatureBlock], int, float]:
    """The first blocks, the number of frames of all, and the seconds taken to read them."""
    layout = plan_clips(source, SETTINGS, block_clips=block_clips())
    named = [(f"{number}", path) for number, path in enumerate(videos)]
    kept: list[FeatureBlock] = []
    frames, began = 0, time.perf_counter()
    for item in read_blocks(
        named,
        source,
        SETTINGS,
        layout=layout,
        num_workers=workers,
        pin_memory=device().type == "cuda",
    ):
        if isinstance(item, FailedVideo):
            raise SystemExit(item.message)
        frames += item.num_new_frames
        if len(kept) < 8:
            kept.append(item)
    return kept, frames, time.perf_counter() - began


def block_clips() -> int:
    return 64 if device().type == "cuda" else 8


def throughput(config: str, videos: list[Path], *, workers: list[int]) -> None:
    """Frames per second of decoding alone, computing alone and both, from one run."""
    source = open_backbone(Path(config), device=device(), change=[RANDOM], random=True)
    precision = choose_precision("auto", device())
    layout = plan_clips(source, SETTINGS, block_clips=block_clips())
    encoder = BlockEncoder(source.backbone, SETTINGS, layout=layout, precision=precision)
    manifest = describe_features(source, SETTINGS, layout=layout, precision=precision)
    rows = []
    for count in workers:
        kept, frames, decoding = blocks_of(videos, source, workers=count)
        encoder(kept[0]).cpu()  # warms up
        began, computed = time.perf_counter(), 0
        while computed < frames:
            for block in kept:
                features = encoder(block)
                computed += block.num_new_frames
            features.cpu()
        computing = (time.perf_counter() - began) * frames / computed
        with tempfile.TemporaryDirectory() as folder:
            named = [(f"{number}", path) for number, path in enumerate(videos)]
            parts = FeatureParts(Path(folder) / "f.h5", manifest, named)
            began = time.perf_counter()
            extract_parts(
                named,
                parts,
                Computation(source, SETTINGS, layout, precision),
                Extracted(),
                num_workers=count,
            )
            both = time.perf_counter() - began
        rows.append(
            {
                "config": Path(config).stem,
                "workers": count,
                "frames": frames,
                "decoding_fps": round(frames / decoding, 1),
                "computing_fps": round(frames / computing, 1),
                "extraction_fps": round(frames / both, 1),
                "of_slower": round(max(decoding, computing) / both, 3),
                "of_sum": round((decoding + computing) / both, 3),
            }
        )
        print(rows[-1], flush=True)
    print(write_rows("extraction", rows))


def memory(config: str, *, minutes: list[float], fps: int, side: int) -> None:
    """Peak memory of the command on videos of growing length, each in a process of its own."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for length in minutes:
            video, out = Path(folder) / f"{length:g}.mp4", Path(folder) / f"{length:g}.h5"
            make_video(video, minutes=length, fps=fps, side=side)
            command = [sys.executable, "-m", "benchmarks.bench_extraction", "measure", config]
            result = subprocess.run(
                [*command, str(video), str(out)], capture_output=True, text=True, check=True
            )
            rows.append({"minutes": length, **json.loads(result.stdout.splitlines()[-1])})
            rows[-1]["features_mb"] = round(out.stat().st_size / 2**20, 1)
            print(rows[-1], flush=True)
    print(write_rows("extraction_memory", rows))


def measure(config: str, video: Path, out: Path) -> None:
    source = open_backbone(Path(config), device=device(), change=[RANDOM], random=True)
    began = time.perf_counter()
    done = extract_to_file([("long", video)], source, SETTINGS, out=out)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rate = round(done.num_frames / seconds, 1)
    print(
        json.dumps({"frames": done.num_frames, "frames_per_second": rate, "peak_mb": round(peak)})
    )


def kill(config: str, videos: Path, *, kills: int) -> None:
    """Kill the command at random moments; the finished file must have the same bytes."""
    with tempfile.TemporaryDirectory() as folder:
        whole, out = Path(folder) / "whole.h5", Path(folder) / "killed.h5"
        command = [sys.executable, "-m", "mmad", "extract-features", config, str(videos)]
        command += ["--random-weights", "--set", RANDOM, "--out"]
        began = time.perf_counter()
        subprocess.run([*command, str(whole)], check=True, capture_output=True)
        seconds = time.perf_counter() - began
        rng, alive = random.Random(0), 0
        for number in range(kills):
            process = subprocess.Popen([*command, str(out)], stdout=subprocess.PIPE)
            assert process.stdout is not None
            process.stdout.readline()  # announces the amount of work, then starts it
            time.sleep(rng.uniform(0.0, seconds / kills))
            alive += process.poll() is None
            process.send_signal(signal.SIGKILL)
            process.wait()
            parts = len(list(out.with_name(f"{out.name}.parts").glob("*.h5")))
            print(f"kill {number + 1}: {parts} whole parts, finished file: {out.exists()}")
        subprocess.run([*command, str(out)], check=True, capture_output=True)
        same = whole.read_bytes() == out.read_bytes()
        left = sorted(path.name for path in Path(folder).iterdir())
        print(f"{alive} of {kills} kills hit it at work; same bytes: {same}; in the folder: {left}")
        if not same:
            raise SystemExit(1)


def equal(config: str, videos: list[Path]) -> None:
    """Largest difference between what the detector sees of a video and its stored features."""
    settings = load_config(config, overrides=[RANDOM])
    source = open_backbone(Path(config), device=device(), change=[RANDOM], random=True)
    features = VideoFeatures(source.backbone, upsampling=1, mask_padding=True).eval()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "f.h5"
        extract_to_file([(p.stem, p) for p in videos], source, SETTINGS, out=out)
        stored = FeatureFile(out)
        for path in videos:
            index = index_video(path)
            record = VideoRecord(path.stem, index.duration_seconds, "none", path=path)
            data = settings.data
            data = data.model_copy(update={"window_overlap": 0.0, "num_workers": 0})
            worst = largest = moved = 0.0
            for sample in WindowStream([record], data, backbone=source.settings, upsampling=1):
                batch, _ = Packer(clip_frames=source.backbone.spec.clip_frames)([sample])
                assert batch is not None
                with torch.inference_mode():
                    seen = features(*batch.to(device()).inputs)[0][0].t().cpu().numpy()
                first = round(sample.grid.offset_frames / sample.grid.stride_frames)
                count = sample.grid.num_steps
                # A window other than the first may begin inside a stored clip: not comparable.
                if first % source.backbone.spec.steps_per_clip == 0:
                    ours = stored.read(path.stem, first, first + count)
                    worst = max(worst, float(np.abs(ours - seen[: len(ours)]).max()))
                    largest = max(largest, float(np.abs(ours).max()))
                    moved = max(moved, float(np.abs(ours[1:] - seen[: len(ours) - 1]).max()))
            print(
                f"{path.name}: largest difference {worst:.2e}; values up to {largest:.2f}, a step "
                f"later {moved:.2f}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["throughput", "memory", "kill", "equal", "measure"])
    parser.add_argument("config")
    parser.add_argument("videos", nargs="*", type=Path)
    parser.add_argument("--workers", nargs="+", type=int, default=[0])
    parser.add_argument("--minutes", nargs="+", type=float, default=[1, 10, 60])
    parser.add_argument("--fps", type=int, default=15)
    parser.add_argument("--side", type=int, default=96)
    parser.add_argument("--kills", type=int, default=10)
    arguments = parser.parse_args()
    if arguments.what == "throughput":
        throughput(arguments.config, arguments.videos, workers=arguments.workers)
    elif arguments.what == "memory":
        memory(arguments.config, minutes=arguments.minutes, fps=arguments.fps, side=arguments.side)
    elif arguments.what == "kill":
        kill(arguments.config, arguments.videos[0], kills=arguments.kills)
    elif arguments.what == "equal":
        equal(arguments.config, arguments.videos)
    else:
        measure(arguments.config, *arguments.videos)


if __name__ == "__main__":
    main()
