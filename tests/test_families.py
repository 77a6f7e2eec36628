"""Each name in a table of families has its folder, its settings, a config and a test file."""

import importlib
from pathlib import Path

import pytest

from mmad.config.reading import SHIPPED_CONFIGS, load_any_config

TESTS = Path(__file__).resolve().parent
PACKAGE = TESTS.parent / "mmad"

# The group of settings in a config that chooses a family of each kind.
GROUPS = {"backbones": "backbone", "detectors": "detector", "recognisers": "heads"}
KINDS = [kind for kind in GROUPS if (PACKAGE / "models" / kind / "families.py").is_file()]


def names_of(kind: str) -> set[str]:
    """The names in the table of this kind, such as `DETECTORS`."""
    families = importlib.import_module(f"mmad.models.{kind}.families")
    return set(getattr(families, kind.upper()))


FAMILIES = [(kind, name) for kind in KINDS for name in sorted(names_of(kind))]


@pytest.fixture(scope="module")
def chosen() -> set[tuple[str, str]]:
    """Kind and name of every family that a shipped config uses."""
    files = (path for path in SHIPPED_CONFIGS.rglob("*.yaml") if path.stem != "ensemble")
    configs = [load_any_config(path) for path in files]
    groups = [(kind, getattr(c, group, None)) for c in configs for kind, group in GROUPS.items()]
    return {(kind, settings.name) for kind, settings in groups if settings is not None}


@pytest.mark.parametrize(("kind", "name"), FAMILIES)
def test_a_family_has_its_four_places(kind: str, name: str, chosen: set[tuple[str, str]]) -> None:
    assert (PACKAGE / "models" / kind / name).is_dir()
    assert (PACKAGE / "config" / kind / f"{name}.py").is_file()
    assert (kind, name) in chosen, f"no YAML in configs/ uses {name}"
    tests = TESTS / "models" / kind
    assert any((tests / place / f"test_{name}.py").is_file() for place in ("", name))


@pytest.mark.parametrize("kind", KINDS)
def test_every_family_in_a_folder_is_in_its_table(kind: str) -> None:
    built = {
        path.parent.name
        for path in (PACKAGE / "models" / kind).glob("*/build.py")
        if "\nFAMILY = " in path.read_text(encoding="utf-8")
    }
    assert built == names_of(kind)
