"""Golden values: what tiny runs of every kind give, kept to see that a change leaves it as it is.

    python tools/golden.py make FOLDER [CASE...]
    python tools/golden.py check FOLDER [CASE...]

A case is a training of three steps and what `mmad predict` then says, or an extraction of features.
``make`` writes FOLDER/CASE.json; ``check`` runs the cases again, prints the largest difference of
each, and ends with exit code 1 if one is above 1e-6, relative to max(1, |value|). Both work on
the videos in FOLDER/files/data, which are drawn where they are not there. Everything goes through
the command line and the files that come out, so that modules may move. Where torch computes other
last digits than where the values were made (another CPU or version), up to 1e-4 is let pass; make
the values there, with the code before, to be strict.
"""

import argparse
import contextlib
import hashlib
import io
import json
import math
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
import yaml
from golden_cases import CASES, CHANNELS, FPS, Case
from safetensors import safe_open
from torch.nn import functional

from mmad.cli.main import app

# Other kernels of the CPU make up to 5e-6.
TOLERANCE, LOOSE_TOLERANCE = 1e-6, 1e-4
ARITHMETIC = "arithmetic.txt"
DIGITS = 9
KEPT_DETECTIONS = 20
TRAINING_VIDEOS, VALIDATION_VIDEOS, CLIPS = 6, 2, 12
_NO_LOSS = {"kind", "step", "epoch", "seconds"}


def main() -> int:
    """0, or 1 if a value differs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("action", choices=["make", "check"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("cases", nargs="*", choices=[[], *CASES], metavar="CASE")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    if not (folder / "files/data").is_dir():
        draw_data(folder / "files/data")
    if arguments.action == "make":
        (folder / ARITHMETIC).write_text(f"{arithmetic()}\n")
    worst = 0.0
    for name in arguments.cases or CASES:
        path = folder / f"{name}.json"
        values = run_case(CASES[name], folder / "files/data")
        if arguments.action == "make":
            path.write_text(json.dumps(values, separators=(",", ":")) + "\n")
            print(f"{name}: {path.stat().st_size} bytes")
            continue
        difference, place = compare(json.loads(path.read_text()), values)
        worst = max(worst, difference)
        print(f"{name}: {difference:.1e}{f' at {place}' if difference else ''}")
    return int(worst > tolerance(folder, strict=TOLERANCE))


def tolerance(folder: Path, *, strict: float) -> float:
    """``strict``, or more where torch computes otherwise than where the folder was made."""
    is_same = (folder / ARITHMETIC).read_text().strip() == arithmetic()
    return strict if is_same else LOOSE_TOLERANCE


def arithmetic() -> str:
    """A hash of what torch makes of drawn numbers, down to the last digit."""
    torch.set_num_threads(1)
    drawn = np.random.RandomState(0).randn(8, 48, 48).astype(np.float32)
    values = torch.from_numpy(drawn)
    results = [
        values @ values,
        values.softmax(-1),
        values.sum(0),
        functional.gelu(values),
        functional.layer_norm(values, [48]),
        functional.conv1d(values, values[:, :, :3]),
        functional.conv2d(values[None], values[:, None, :3, :3], groups=8),
    ]
    digest = hashlib.sha256(torch.__version__.encode())
    for result in results:
        digest.update(result.contiguous().numpy().tobytes())
    return digest.hexdigest()


def draw_data(folder: Path) -> None:
    """Draw a few tiny videos and clips with their annotations."""
    numbers = {"train": TRAINING_VIDEOS, "val": VALIDATION_VIDEOS, "test": 0, "clips": CLIPS}
    sizes = {"width": 32, "height": 32, "fps": FPS, "min-seconds": 2, "max-seconds": 4, "seed": 1}
    options = [f"--{name}={value}" for name, value in {**numbers, **sizes, "workers": 1}.items()]
    mmad("synthesize", folder, *options)


def mmad(*arguments: object) -> str:
    """What a command prints."""
    out = io.StringIO()
    # Curves take most of the time of a tiny run and are no golden value.
    undrawn = mock.patch("matplotlib.figure.Figure.savefig", lambda figure, path, **_: path.touch())
    with undrawn, contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        app([str(one) for one in arguments], standalone_mode=False)
    return out.getvalue()


def run_case(case: Case, data: Path) -> dict[str, Any]:
    """The values of a case, rounded."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        if case.kind == "features":
            draw_features(data, folder / "features")
        if case.needs_flow:
            mmad("data", "flow", data / "clips", "--out", folder / "flow")
        config = folder / "config.yaml"
        config.write_text(yaml.safe_dump(case.content(data, folder)))
        values = _extract(case, config, data) if case.kind == "extraction" else _train(case, config)
    rounded: dict[str, Any] = round_all(values)
    return rounded


def draw_features(data: Path, out: Path) -> None:
    """A folder of features that no code of ours has made, a step for every two frames."""
    out.mkdir()
    videos = json.loads((data / "annotations/mma52.json").read_text())
    for number, (name, video) in enumerate(sorted(videos.items())):
        steps = round(video["duration"] * FPS / 2)
        drawn = np.random.RandomState(number).randn(steps + 2, CHANNELS)
        # Neighbours are alike, as in a video.
        smooth = (drawn[:-2] + drawn[1:-1] + drawn[2:]) / math.sqrt(3)
        np.save(out / f"{name}.npy", smooth.astype(np.float32))


def _train(case: Case, config: Path) -> dict[str, Any]:
    run = config.with_name("run")
    mmad("train", config, "--out", run, "--device", "cpu")
    steps = read_steps(run)
    assert len(steps) == 3, f"expected three steps, found {len(steps)}"
    values: dict[str, Any] = {
        "steps": steps,
        "frozen": shapes(run / "frozen.safetensors"),
        "trained": shapes(run / "best.safetensors"),
    }
    out = config.with_name("predictions.csv")
    mmad("predict", run, "--subset", "val", "--out", out, "--device", "cpu")
    if case.kind == "recognition":
        return {**values, "scores": clip_scores(out.with_suffix(".npz"))}
    return {**values, "detections": detections(out.with_suffix(".json"))}


def read_steps(run: Path) -> list[dict[str, Any]]:
    """The losses of every step of a run, with learning rate, normaliser and gradient norm."""
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [
        {name: value for name, value in row.items() if name not in _NO_LOSS}
        for row in rows
        if row["kind"] == "step"
    ]


def _extract(case: Case, config: Path, data: Path) -> dict[str, Any]:
    out, arrays = config.with_name("features.h5"), config.with_name("arrays")
    videos = sorted((data / "videos").glob("val*"))
    options = ("--random-weights", "--device", "cpu", *case.options)
    mmad("extract-features", config, *videos, "--out", out, *options)
    mmad("features", "convert", out, arrays)
    return {"features": {path.stem: ends_of(path) for path in sorted(arrays.glob("*.npy"))}}


def ends_of(path: Path) -> dict[str, Any]:
    """The shape of an array, its first two and its last row, and its mean."""
    array = np.load(path)
    rows = array[[0, 1, -1], :CHANNELS].tolist()
    return {"shape": list(array.shape), "rows": rows, "mean": float(array.mean(dtype=np.float64))}


def shapes(path: Path) -> dict[str, Any]:
    """Shapes of all tensors of a safetensors file, in a tree by the parts of their names."""
    tree: dict[str, Any] = {}
    with safe_open(str(path), framework="np") as file:
        for name in sorted(file.keys()):
            *parents, last = name.split(".")
            place = tree
            for parent in parents:
                place = place.setdefault(parent, {})
            place[last] = list(file.get_slice(name).get_shape())
    return tree


def detections(path: Path) -> dict[str, list[Any]]:
    """The surest detections of each video as (start, end, label, score), and how many there are."""
    results = json.loads(path.read_text())["results"]
    return {
        name: [
            len(found),
            *([*one["segment"], one["label"], one["score"]] for one in found[:KEPT_DETECTIONS]),
        ]
        for name, found in sorted(results.items())
    }


def clip_scores(path: Path) -> dict[str, dict[str, list[float]]]:
    """Scores of the actions and body parts of each clip."""
    with np.load(path) as arrays:
        rows = zip(
            arrays["clip_ids"].tolist(),
            arrays["action_scores"].tolist(),
            arrays["body_scores"].tolist(),
            strict=True,
        )
        return {name: {"actions": actions, "body": body} for name, actions, body in rows}


def round_all(value: Any) -> Any:
    """The same with numbers of at most nine digits."""
    if isinstance(value, Mapping):
        return {name: round_all(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [round_all(inner) for inner in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def compare(expected: Any, found: Any) -> tuple[float, str]:
    """The largest difference, relative to max(1, |expected|), and where it is.

    Infinity where something else than a number differs.
    """
    largest = (0.0, "")
    for place, one, other in _pairs(expected, found, ""):
        if isinstance(one, float | int) and isinstance(other, float | int):
            difference = abs(one - other) / max(1.0, abs(one))
        else:
            difference = 0.0 if one == other else math.inf
        if math.isnan(difference):
            difference = math.inf
        if difference > largest[0]:
            largest = (difference, f"{place}: expected {one!r:.60}, found {other!r:.60}")
    return largest


def _pairs(one: Any, other: Any, place: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(one, Mapping) and isinstance(other, Mapping) and one.keys() == other.keys():
        children: Sequence[Any] = list(one)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        children = range(len(one))
    elif isinstance(one, Mapping) and isinstance(other, Mapping):
        yield place, sorted(one.keys() - other.keys()), sorted(other.keys() - one.keys())
        return
    else:
        yield place, one, other
        return
    for child in children:
        yield from _pairs(one[child], other[child], f"{place}/{child}")


if __name__ == "__main__":
    sys.exit(main())
