"""Memory of loading a network of a billion parameters, from files of random weights made here.

    python -m benchmarks.bench_large_weights FOLDER [--size 1b] [--names internvideo2 vjepa2]

Writes a file of each format and number type into FOLDER (2 or 4 GB each, removed afterwards), loads
each in a process of its own as training does, and prints the peak of its memory above that of the
imports, divided by the size of the parameters in memory (32-bit numbers).
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import save_file

from mmad.config.backbones.union import BackboneSettings
from mmad.config.base import members
from mmad.models.backbones.families import build_backbone
from mmad.weights.load import load_backbone

SIZES = {"internvideo2": "1b", "videomae": "giant", "vjepa2": "giant"}
DTYPES = {"float16": torch.float16, "float32": torch.float32}


def write(path: Path, name: str, size: object, dtype: torch.dtype) -> None:
    """Weights under our names, a tensor of random numbers repeated, without the whole network."""
    with torch.device("meta"):
        shapes = build_backbone(_settings(name, size)).state_dict()
    numbers = 0.02 * torch.randn(max(value.numel() for value in shapes.values()))
    state = {
        # Of its own memory: shared memory is stored once.
        key: numbers[: value.numel()].reshape(value.shape).to(dtype, copy=True)
        for key, value in shapes.items()
    }
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save({"model": state}, path)


def measure(path: Path, name: str, size: object) -> dict[str, float]:
    """Memory and time of the network with the weights of the file, in this process."""
    before = _peak()
    start = time.perf_counter()
    settings = _settings(name, size, pretrained=str(path))
    backbone = build_backbone(settings, weights_follow=True)
    load_backbone(backbone, str(path))
    seconds = time.perf_counter() - start
    assert not any(value.is_meta for value in backbone.state_dict().values())
    own = sum(value.numel() * value.element_size() for value in backbone.state_dict().values())
    return {"own": own, "peak": _peak() - before, "seconds": seconds}


def _settings(name: str, size: object, **others: object) -> BackboneSettings:
    return members(BackboneSettings)[name](size=size, **others)


def _peak() -> int:
    """Peak of the resident memory; of this program alone, unlike that of getrusage."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--names", nargs="+", default=["internvideo2"], choices=SIZES)
    parser.add_argument("--size", help="size of all of them, instead of about a billion")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        name = arguments.names[0]
        size = arguments.size or SIZES[name]
        print(json.dumps(measure(Path(arguments.measure), name, size)))
        return
    for name in arguments.names:
        size = arguments.size or SIZES[name]
        for suffix in (".safetensors", ".pth"):
            for word, dtype in DTYPES.items():
                path = arguments.folder / f"{name}_{word}{suffix}"
                write(path, name, size, dtype)
                command = [sys.executable, "-m", "benchmarks.bench_large_weights"]
                command += [str(arguments.folder), "--names", name, "--measure", str(path)]
                command += ["--size", size]
                found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
                path.unlink()
                print(
                    f"{name} {size}, {word} in {suffix}: {found['own'] / 2**30:.2f} GiB of "
                    f"parameters, peak {found['peak'] / 2**30:.2f} GiB, ratio "
                    f"{found['peak'] / found['own']:.3f}, {found['seconds']:.1f} s",
                    flush=True,
                )


if __name__ == "__main__":
    main()
