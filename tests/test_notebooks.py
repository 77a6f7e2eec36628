"""The notebooks of the docs run from top to bottom, on tiny drawn data."""

import json
import shutil
from pathlib import Path

import nbclient
import nbformat
import pytest
from website import notebooks

from support.commands import run_mmad

pytestmark = [pytest.mark.slow, pytest.mark.long]

FOLDER = Path(__file__).resolve().parents[1] / "docs/notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What tools/demo.sh makes, tiny, and the features of its videos."""
    folder = tmp_path_factory.mktemp("notebooks")
    size = ("--width", "32", "--height", "32", "--fps", "15", "--min-seconds", "1.5")
    size += ("--max-seconds", "2.5", "--classes", "nodding,B2,C5", "--class-weights", "uniform")
    run_mmad(
        ["synthesize", "demo/data", "--train", "4", "--val", "2", "--test", "2", *size],
        folder=folder,
    )
    videos, annotations = "demo/data/videos", "demo/data/annotations/mma52.json"
    places = [f"data.videos={videos}", f"data.annotations={annotations}"]
    run_mmad(["train", "configs/demo.yaml", *places, "--smoke", "--out", "demo/run"], folder=folder)
    run_mmad(["extract-features", "demo/run", videos, "--out", "demo/features.h5"], folder=folder)
    return folder


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_a_notebook_runs(path: Path, demo: Path, tmp_path: Path, monkeypatch) -> None:
    shutil.copytree(demo, tmp_path, dirs_exist_ok=True)
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()
    nbformat.write(notebook, tmp_path / path.name)
    page = notebooks.to_page(tmp_path / path.name)
    assert page.markdown.startswith("# ")
    assert page.markdown.count("```python") == sum(c.cell_type == "code" for c in notebook.cells)


def test_an_error_in_a_notebook_is_named(tmp_path: Path) -> None:
    output = {"output_type": "error", "ename": "MmadError", "evalue": "no video", "traceback": []}
    cells = [{"cell_type": "code", "source": ["mmad.load('x')"], "outputs": [output]}]
    path = tmp_path / "broken.ipynb"
    path.write_text(json.dumps({"cells": cells}))
    with pytest.raises(ValueError, match="no video"):
        notebooks.to_page(path)
