"""Play a small study from videos to counts, with the commands that a behaviour researcher types.

    python tools/study.py VIDEO... --checkpoint RUN --out FOLDER

Detects in the videos; corrects a tier of one of the ELAN files as a person would in ELAN; detects
again and checks that the correction is still there; compares the person with the model; counts;
and takes the corrected annotations to BORIS and back. Stops with the first thing that is lost.
"""

import argparse
import csv
import shlex
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Sequence
from pathlib import Path

Run = Callable[[list[str]], str]

OWN_TIER = "remarks"
MOVED_MS = 120


def run_command(words: Sequence[str]) -> str:
    """What a command prints; raises SystemExit with it if the command fails."""
    print("$", shlex.join(["mmad", *words]), flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "mmad", *words], capture_output=True, text=True, check=False
    )
    print(done.stdout, end="", flush=True)
    if done.returncode:
        raise SystemExit(f"exit code {done.returncode}: {done.stderr}")
    return done.stdout


def correct(path: Path) -> None:
    """Do in an ELAN file what a person does: move an end, and add a tier with a remark.

    Raises: SystemExit if the file has no detection to correct.
    """
    tree = ElementTree.parse(path)
    root = tree.getroot()
    slots = {one.get("TIME_SLOT_ID"): one for one in root.iter("TIME_SLOT")}
    tier = next(
        (
            one
            for one in root.iter("TIER")
            if str(one.get("TIER_ID")).startswith("mmad:") and one.find(".//ALIGNABLE_ANNOTATION")
        ),
        None,
    )
    if tier is None:
        raise SystemExit(f"{path}: no detection to correct; pass a lower --min-score")
    first = tier.find(".//ALIGNABLE_ANNOTATION")
    assert first is not None
    end = slots[first.get("TIME_SLOT_REF2")]
    end.set("TIME_VALUE", str(int(end.get("TIME_VALUE", "0")) + MOVED_MS))
    types = [one.get("LINGUISTIC_TYPE_ID") for one in root.iter("LINGUISTIC_TYPE")]
    remark = ElementTree.Element(
        "TIER", TIER_ID=OWN_TIER, LINGUISTIC_TYPE_REF=str(types[0]), ANNOTATOR="a person"
    )
    last = [*root].index([*root.iter("TIER")][-1])
    root.insert(last + 1, remark)
    tree.write(path, encoding="UTF-8", xml_declaration=True)


def ends_of(path: Path) -> list[int]:
    """The times in milliseconds of all slots of an ELAN file, sorted."""
    slots = ElementTree.parse(path).getroot().iter("TIME_SLOT")
    return sorted(int(slot.get("TIME_VALUE", "0")) for slot in slots)


def tiers_of(path: Path) -> set[str]:
    """The names of the tiers of an ELAN file."""
    return {str(one.get("TIER_ID")) for one in ElementTree.parse(path).getroot().iter("TIER")}


def rows_of(path: Path) -> list[tuple[str, ...]]:
    """Video, label, start and end of each row of a plain table, sorted."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        return sorted(
            (row["video"], row["label"], f"{float(row['start']):.3f}", f"{float(row['end']):.3f}")
            for row in csv.DictReader(file)
        )


def play(
    videos: Sequence[Path], *, checkpoint: Path, out: Path, min_score: float, run: Run = run_command
) -> None:
    """Play the study; raises SystemExit with what was lost."""
    found = out / "found"
    detect = ["detect", *map(str, videos), "--checkpoint", str(checkpoint), "--out", str(found)]
    detect += ["--min-score", str(min_score)]
    run(detect)
    files = sorted(found.glob("*.eaf"))
    if len(files) != len(videos):
        raise SystemExit(f"{found}: expected {len(videos)} ELAN files, found {len(files)}")
    of_model = out / "model.eaf"
    of_model.write_bytes(files[0].read_bytes())
    correct(files[0])
    corrected = ends_of(files[0])
    run(detect)
    if lost := set(corrected) - set(ends_of(files[0])):
        raise SystemExit(f"{files[0]}: the correction was lost: {sorted(lost)} ms")
    if OWN_TIER not in tiers_of(files[0]):
        raise SystemExit(f"{files[0]}: the person's own tier was lost")
    person = out / "person.eaf"
    person.write_bytes(files[0].read_bytes())
    told = run(["agreement", str(person), str(of_model), "--min-score", str(min_score)])
    if "0.5" not in told:
        raise SystemExit("agreement: expected F1 at a tIoU of 0.5")
    run(["budget", str(person), "--videos", str(videos[0].parent), "--out", str(out / "budget")])
    table, boris, back = out / "person.csv", out / "person.boris", out / "back.csv"
    run(["data", "convert", str(person), str(table), "--to", "csv"])
    run(["data", "convert", str(person), str(boris), "--to", "boris"])
    run(["data", "convert", str(boris), str(back), "--to", "csv"])
    if rows_of(table) != rows_of(back):
        raise SystemExit(f"{boris}: differs from {table} after the way back")
    print(f"kept: {len(rows_of(back))} annotations, from ELAN to BORIS and back")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--min-score", type=float, default=0.1)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    play(
        options.videos,
        checkpoint=options.checkpoint,
        out=options.out,
        min_score=options.min_score,
    )


if __name__ == "__main__":
    main()
