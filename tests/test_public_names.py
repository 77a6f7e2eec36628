"""``import mmad``: quick, and with the names of the Python interface."""

import subprocess
import sys
from pathlib import Path

import pytest

import mmad

ROOT = Path(__file__).resolve().parents[1]


def run(code: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT
    )
    return result.stdout.strip()


def test_importing_mmad_imports_nothing_else() -> None:
    """So it takes a few milliseconds; names are imported when they are used."""
    code = (
        "import sys, mmad; dir(mmad)\n"
        "names = {name.split('.')[0] for name in sys.modules} - sys.stdlib_module_names\n"
        "print(sorted({'torch', 'numpy', 'pydantic', 'typer', 'rich'} & names), "
        "[name for name in sys.modules if name.startswith('mmad')])"
    )
    assert run(code) == "[] ['mmad']"


def test_what_judges_comes_without_torch_and_pandas() -> None:
    code = (
        "import sys, mmad; mmad.evaluate, mmad.read_annotations, mmad.Detections, mmad.to_frame\n"
        "print([m for m in ('torch', 'pandas', 'scipy', 'matplotlib') if m in sys.modules])"
    )
    assert run(code) == "[]"


def test_every_name_is_there_and_said() -> None:
    assert set(mmad._PLACES) | {"__version__"} == set(mmad.__all__)
    assert set(mmad.__all__) <= set(dir(mmad))
    for name in mmad.__all__:
        assert getattr(mmad, name).__doc__
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = mmad.nothing
