"""The floors: nobody imports from a higher one, and the lower ones never import torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "mmad"

FLOORS = {
    "errors": 0,
    "files": 0,
    "parsing": 0,
    "names": 0,
    "process_lock": 0,
    "progress": 0,
    "limits": 0,
    "packed": 0,
    "workers": 0,
    "segments": 0,
    "labels": 0,
    "wording": 0,
    "structures": 0,
    "suppression": 0,
    "config": 0,
    "video": 1,
    "annotations": 1,
    "evaluation": 1,
    "report": 1,
    "synthetic": 1,
    "models": 2,
    "checkpoint": 3,
    "weights": 3,
    "data": 3,
    "engine": 4,
    "cli": 5,
    "assets": 0,
    "__init__": 0,
    "__main__": 5,
}
FILES = sorted(PACKAGE.rglob("*.py"))


def imports_of(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def room_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_come_from_the_same_floor_or_a_lower_one(path: Path) -> None:
    floor = FLOORS[room_of(path)]
    for name in imports_of(path):
        if name.startswith("mmad."):
            assert FLOORS[name.split(".")[1]] <= floor, f"{path} imports {name}"
        if floor <= 1:
            assert name.split(".")[0] != "torch", f"{path} imports torch"


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["eval", "error_analysis", "report", "submit", "agreement", "ensemble"]
)
def test_what_judges_starts_without_torch_and_figures(name: str) -> None:
    slow = ("torch", "pandas", "scipy", "matplotlib")
    code = f"import sys, mmad.cli.{name}; print([m for m in {slow} if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert result.stdout.strip() == "[]"


@pytest.mark.slow
@pytest.mark.parametrize("command", ["", "eval", "error-analysis", "report", "submit", "ensemble"])
def test_help_imports_nothing_slow(command: str) -> None:
    code = (
        "import sys\nfrom mmad.cli.main import run\n"
        f"sys.argv = ['mmad', *{command.split()!r}, '--help']\n"
        "try:\n    run()\nexcept SystemExit as stop:\n    assert not stop.code\n"
        "print([m for m in ('torch', 'pandas', 'scipy', 'matplotlib') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert result.stdout.strip().endswith("[]"), command
