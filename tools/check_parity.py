"""Hold our computations against what the published codes computed, stored in files.

    python tools/check_parity.py FOLDER...

Every file is checked by its kind: by its name (actionformer_*.pt, vitadapter_*.pt,
mmaction_vit_*.pt, videomae_namings_*.pt, detector_*.pt, nms.npz, lr_schedule.npz), else by the
network in its config (recognisers). Sizes and settings are read from the files. One line a check
with its largest difference; files that could not be checked are named. Exit code 1 if a check
fails or a file could not be checked; networks that are not built yet are named only.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from parity.backbones import check_mmaction, check_namings, check_vit_adapter
from parity.common import Checks
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--failures", action="store_true", help="print failed checks only")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    passed = failed = skipped = 0
    unchecked: list[str] = []
    not_yet: list[str] = []
    for folder in arguments.folders:
        known: set[Path] = set()
        for pattern, checker in KINDS:
            for path in sorted(set(folder.glob(pattern)) - known):
                known.add(path)
                try:
                    checks = list(checker(path))
                except NotYetKnown as network:
                    not_yet.append(f"{path.name}: {network}")
                    continue
                except (LookupError, ValueError, AssertionError, RuntimeError, TypeError) as error:
                    unchecked.append(f"{path.name}: {type(error).__name__}: {error!s:.200}")
                    continue
                for check in checks:
                    if check.skipped:
                        skipped += 1
                        print(f"skip {path.name}: {check.name}: {check.skipped}")
                        continue
                    passed, failed = passed + check.passed, failed + (not check.passed)
                    if arguments.failures and check.passed:
                        continue
                    word = "ok  " if check.passed else "FAIL"
                    print(
                        f"{word} {path.name}: {check.name}: {check.difference:.2e} "
                        f"(at most {check.limit:g})"
                    )
        others = {p for p in folder.iterdir() if p.suffix in (".pt", ".npz")} - known
        unchecked += [f"{path.name}: of no kind that is known" for path in sorted(others)]
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
