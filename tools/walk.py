"""The files of mmad that a training enters from the command to its first loss, in order.

    python tools/walk.py CONFIG DATA [key=value ...]

DATA is a folder of mmad synthesize. Every module is imported first, so that what counts is what
runs. A climb is a first entry on a higher floor than the file entered before it; settings and the
values of floor 0 are listed last and are no part of the walk.
"""

import argparse
import importlib
import itertools
import pkgutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import mmad
from mmad.cli.main import app
from mmad.engine.loop import Loop

PACKAGE = Path(mmad.__file__).parent
FLOORS = {
    **dict.fromkeys(("video", "annotations", "evaluation", "report", "synthetic"), 1),
    "models": 2,
    **dict.fromkeys(("checkpoint.py", "weights", "data"), 3),
    "engine": 4,
    "cli": 5,
}


class FirstLoss(Exception):  # noqa: N818
    """The end of the walk."""


def stop_at_the_first_loss(loop: Loop, prepared: Any, *_: Any, **__: Any) -> None:
    loop.task.losses(loop.model, prepared)
    raise FirstLoss


def recorder(entered: list[str]) -> Callable[[FrameType, str, Any], None]:
    def record(frame: FrameType, event: str, _: Any) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and frame.f_code.co_name != "<module>" and path.is_relative_to(PACKAGE):
            name = path.relative_to(PACKAGE).as_posix()
            if name not in entered:
                entered.append(name)

    return record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config")
    parser.add_argument("data", type=Path)
    parser.add_argument("changes", nargs="*")
    arguments = parser.parse_args()
    for module in pkgutil.walk_packages(mmad.__path__, "mmad."):
        if not module.name.endswith(("__main__", "decord_reader")):
            importlib.import_module(module.name)
    Loop._backward = stop_at_the_first_loss  # type: ignore[assignment, method-assign]
    command = [
        *("train", arguments.config, f"data.videos={arguments.data / 'videos'}"),
        *(
            f"data.annotations={arguments.data / 'annotations' / 'mma52.json'}",
            "data.num_workers=0",
        ),
        *(*arguments.changes, "--device", "cpu"),
    ]
    entered: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        sys.setprofile(recorder(entered))
        try:
            app([*command, "--out", f"{folder}/run"], standalone_mode=False)
        except FirstLoss:
            pass
        finally:
            sys.setprofile(None)
    floors = [FLOORS.get(name.split("/")[0], 0) for name in entered]
    walk = [(floor, name) for floor, name in zip(floors, entered, strict=True) if floor]
    climbs = sum(after[0] > before[0] for before, after in itertools.pairwise(walk))
    for floor, name in walk:
        print(floor, name)
    print("floor 0:", *[name for floor, name in zip(floors, entered, strict=True) if not floor])
    print(
        f"{len(walk)} files above floor 0, {climbs} climbs, {len(entered) - len(walk)} of floor 0"
    )


if __name__ == "__main__":
    main()
