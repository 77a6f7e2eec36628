"""The floors: nobody imports from a higher one, and the lower ones never import torch."""

import ast
import re
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "mmad"

FLOORS = {
    "errors": 0,
    "files": 0,
    "parsing": 0,
    "names": 0,
    "process_lock": 0,
    "sharded": 2,
    "progress": 0,
    "limits": 0,
    "packed": 0,
    "workers": 0,
    "shares": 0,
    "parts": 0,
    "ray_workers": 0,
    "segments": 0,
    "labels": 0,
    "wording": 0,
    "structures": 0,
    "arrays": 0,
    "suppression": 0,
    "config": 0,
    "video": 1,
    "annotations": 1,
    "evaluation": 1,
    "report": 1,
    "synthetic": 1,
    "projects": 1,
    "models": 2,
    "checkpoint": 3,
    "weights": 3,
    "data": 3,
    "engine": 4,
    "export": 4,
    "review": 4,
    "cli": 5,
    "api": 5,
    "assets": 0,
    "__init__": 0,
    "__main__": 5,
}
FILES = sorted(PACKAGE.rglob("*.py"))


@cache
def import_nodes_of(path: Path) -> tuple[ast.Import | ast.ImportFrom, ...]:
    """The imports that happen when a file runs, so not those for type checkers."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    nodes = ast.walk(tree)
    return tuple(node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom))


@cache
def imports_of(path: Path) -> frozenset[str]:
    names: set[str] = set()
    for node in import_nodes_of(path):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif node.module:
            names.add(node.module)
    return frozenset(names)


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


def module_of(path: Path) -> str:
    names = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(names).removesuffix(".__init__")


@pytest.mark.slow
def test_no_file_imports_itself_through_others() -> None:
    modules = {module_of(path) for path in FILES}
    arrows = {}
    for path in FILES:
        names = imports_of(path) | {
            f"{node.module}.{alias.name}"
            for node in import_nodes_of(path)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        arrows[module_of(path)] = names & modules - {"mmad"}
    list(TopologicalSorter(arrows).static_order())  # raises CycleError, with the files of a circle


COMMANDS = [
    path for path in FILES if path.is_relative_to(PACKAGE / "cli") and not path.name.startswith("_")
]


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: str(path.relative_to(PACKAGE / "cli")))
def test_no_command_imports_another(path: Path) -> None:
    """What commands share is in files with an underscore."""
    commands = {module_of(other) for other in COMMANDS} | {"mmad.cli.data"}
    assert not imports_of(path) & commands


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
@pytest.mark.parametrize(
    "command", ["", "eval", "error-analysis", "report", "submit", "ensemble", "figures confusion"]
)
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


def modules() -> dict[str, frozenset[str]]:
    """Every module of the package, and the modules of it that it imports."""
    names = {}
    for path in FILES:
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        names[".".join(parts).removesuffix(".__init__")] = imports_of(path)
    return {name: found & names.keys() - {name} for name, found in names.items()}


def test_no_circle() -> None:
    graph = {name: set(found) for name, found in modules().items()}
    while leaves := [name for name, found in graph.items() if not found]:
        for leaf in leaves:
            del graph[leaf]
        for found in graph.values():
            found.difference_update(leaves)
    assert not graph, f"these import each other: {sorted(graph)}"


# Families that the settings of a run name as the default.
DEFAULTS = {"mmad.config.detectors.actionformer", "mmad.config.recognisers.auxiliary_heads"}


@pytest.mark.parametrize("kind", ["backbones", "detectors", "recognisers"])
def test_only_its_table_and_its_kin_import_a_family(kind: str) -> None:
    families = {path.parent.name for path in (PACKAGE / "models" / kind).glob("*/build.py")}
    of_family = re.compile(rf"mmad\.(models|config)\.{kind}\.({'|'.join(sorted(families))})(\.|$)")
    of_kind = re.compile(rf"mmad\.(models|config)\.{kind}\.")
    found = {
        f"{name} imports {other}"
        for name, imported in modules().items()
        for other in imported - DEFAULTS
        if of_family.match(other) and not of_kind.match(name)
    }
    assert not found


def test_no_backbone_is_named_outside_of_its_own_places() -> None:
    """No class, function or argument is called after one network, or after its parts."""
    own = re.compile(r"(models|config)/backbones/(\w+/|\w+\.py)")
    networks = re.compile("videomae|tubelet|i3d|c3d|slowfast", re.IGNORECASE)
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        if own.search(path.as_posix()) or not networks.search(text):
            continue
        for node in ast.walk(ast.parse(text)):
            word = getattr(node, "id", None) or getattr(node, "attr", None)
            word = word or getattr(node, "name", None) or getattr(node, "arg", None)
            assert not networks.search(str(word)), f"{path}: {word}"


def test_no_folder_holds_more_than_a_screen_of_files() -> None:
    for folder in {path.parent for path in FILES}:
        count = len([path for path in FILES if path.parent == folder and path.stem[0] != "_"])
        assert count <= 20, f"{folder}: {count} files; make a folder of a subject"
