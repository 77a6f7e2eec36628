"""Hold our computations against what the published codes computed, stored in files.

    python tools/check_parity.py FOLDER... [--jobs 2]

Every file is checked by its kind: by its name (actionformer_*.pt, vitadapter_*.pt,
mmaction_vit_*.pt, videomae_namings_*.pt, detector_*.pt, nms.npz, lr_schedule.npz), else by the
network in its config (recognisers). Sizes and settings are read from the files. One line a check
with its largest difference; files that could not be checked are named. Exit code 1 if a check
fails or a file could not be checked; networks that are not built yet are named only.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import torch
from parity.backbones import check_mmaction, check_namings, check_vit_adapter
from parity.common import Check, Checks
from parity.detectors import check_detector
from parity.recognisers import NotYetKnown, check_recogniser
from parity.suppression import check_nms, check_schedule
from parity.temporal import check_actionformer

KINDS: Sequence[tuple[str, Callable[[Path], Checks]]] = (
    ("actionformer_*.pt", check_actionformer),
    ("vitadapter_*.pt", check_vit_adapter),
    ("mmaction_vit_*.pt", check_mmaction),
    ("videomae_namings_*.pt", check_namings),
    ("detector_*.pt", check_detector),
    ("nms.npz", check_nms),
    ("lr_schedule.npz", check_schedule),
    ("*.pt", check_recogniser),
)


@dataclass(frozen=True)
class Checked:
    """What came out of a file.

    Attributes:
        path: The file.
        checks: Its checks.
        not_yet: Name of its network, if that is not built yet.
        problem: Why it could not be checked, if so.
    """

    path: Path
    checks: Sequence[Check] = ()
    not_yet: str = ""
    problem: str = ""


def files_of(folders: Sequence[Path]) -> Iterator[tuple[Path, int | None]]:
    """The files and the number of their kind, None if it is not known."""
    for folder in folders:
        known: set[Path] = set()
        for number, (pattern, _) in enumerate(KINDS):
            for path in sorted(set(folder.glob(pattern)) - known):
                known.add(path)
                yield path, number
        for path in sorted({p for p in folder.iterdir() if p.suffix in (".pt", ".npz")} - known):
            yield path, None


def check(path: Path, kind: int | None) -> Checked:
    """The checks of a file of a kind."""
    torch.manual_seed(0)
    if kind is None:
        return Checked(path, problem="of no kind that is known")
    try:
        return Checked(path, list(KINDS[kind][1](path)))
    except NotYetKnown as network:
        return Checked(path, not_yet=str(network))
    except (LookupError, ValueError, AssertionError, RuntimeError, TypeError) as error:
        return Checked(path, problem=f"{type(error).__name__}: {error!s:.200}")


def check_all(folders: Sequence[Path], jobs: int) -> Iterator[Checked]:
    """The files in their order, ``jobs`` at a time."""
    files = list(files_of(folders))
    if jobs == 1:
        yield from (check(*file) for file in files)
        return
    with ProcessPoolExecutor(
        jobs, mp_context=get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)
    ) as pool:
        yield from pool.map(check, *zip(*files, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--failures", action="store_true", help="print failed checks only")
    parser.add_argument("--jobs", type=int, default=1, help="files at a time, one thread each")
    arguments = parser.parse_args()
    passed = failed = skipped = 0
    unchecked: list[str] = []
    not_yet: list[str] = []
    for file in check_all(arguments.folders, arguments.jobs):
        name = file.path.name
        not_yet += [f"{name}: {file.not_yet}"] if file.not_yet else []
        unchecked += [f"{name}: {file.problem}"] if file.problem else []
        for one in file.checks:
            if one.skipped:
                skipped += 1
                print(f"skip {name}: {one.name}: {one.skipped}")
                continue
            passed, failed = passed + one.passed, failed + (not one.passed)
            if arguments.failures and one.passed:
                continue
            word = "ok  " if one.passed else "FAIL"
            print(f"{word} {name}: {one.name}: {one.difference:.2e} (at most {one.limit:g})")
    for line in not_yet:
        print(f"not yet known: {line}")
    for line in unchecked:
        print(f"could not be checked: {line}")
    print(
        f"{passed} checks passed, {failed} failed, {skipped} skipped, "
        f"{len(not_yet)} networks not yet known, {len(unchecked)} files not checked"
    )
    sys.exit(1 if failed or unchecked or not passed else 0)


if __name__ == "__main__":
    main()
