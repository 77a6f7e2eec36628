"""The wheel and the sdist of a clean tree: complete, the same wherever built, and they run."""

import contextlib
import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import hatchling.build
import pytest

import mmad

pytestmark = [pytest.mark.slow, pytest.mark.long]

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Built:
    """Both files of a release."""

    wheel: Path
    sdist: Path


def build(tree: Path, out: Path) -> Built:
    out.mkdir()
    with contextlib.chdir(tree):
        names = hatchling.build.build_wheel(str(out)), hatchling.build.build_sdist(str(out))
    return Built(*(out / name for name in names))


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout without anything that git ignores."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    folder = tmp_path_factory.mktemp("tree") / "checkout"
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def built(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(tree, tmp_path_factory.mktemp("built") / "dist")


def files_in(folder: Path, *, before: str = "") -> set[str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {f"{before}{path.relative_to(folder).as_posix()}" for path in files}


def test_everything_is_in_them(tree: Path, built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        found = {name for name in archive.namelist() if ".dist-info/" not in name}
    modules = files_in(tree / "mmad", before="mmad/")
    assert found == modules | files_in(tree / "configs", before="mmad/configs/")
    assert {"mmad/py.typed", "mmad/configs/demo.yaml"} <= found
    assert any(name.startswith("mmad/assets/") for name in found)
    with tarfile.open(built.sdist) as archive:
        top = f"mmad-{mmad.__version__}/"
        packed = {name.removeprefix(top) for name in archive.getnames()}
    assert packed == files_in(tree) | {"PKG-INFO"}


def test_the_same_bytes_from_another_copy(tree: Path, built: Built, tmp_path: Path) -> None:
    """At another time, in another folder, with the permissions of another user."""
    other = tmp_path / "elsewhere"
    shutil.copytree(tree, other)
    for path in other.rglob("*"):
        os.utime(path, (1e9, 1e9))
        if path.is_file():
            path.chmod(0o750 if path.stat().st_mode & 0o100 else 0o640)
    again = build(other, tmp_path / "dist")
    assert again.wheel.name == built.wheel.name == f"mmad-{mmad.__version__}-py3-none-any.whl"
    assert again.wheel.read_bytes() == built.wheel.read_bytes()
    assert again.sdist.read_bytes() == built.sdist.read_bytes()


@pytest.fixture(scope="module")
def programs(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the programs of a new environment: the wheel, and the packages of this one."""
    folder = tmp_path_factory.mktemp("fresh") / "env"
    venv.create(folder, symlinks=os.name != "nt")
    (site,) = [folder / "Lib/site-packages", *folder.glob("lib/python*/site-packages")][-1:]
    found = folder / ("Scripts" if os.name == "nt" else "bin")
    pip = [sys.executable, "-m", "pip", "--python", str(found / "python"), "--quiet"]
    options = ["--disable-pip-version-check", "--no-deps", "--no-index"]
    subprocess.run([*pip, "install", *options, str(built.wheel)], check=True)
    shared = [path for path in sys.path if path.endswith("site-packages")]
    (site / "shared.pth").write_text("\n".join(shared))
    return found


def test_installed_it_runs_outside_of_the_checkout(
    programs: Path, detection_run: Path, tmp_path: Path
) -> None:
    variables = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}

    def run(program: str, *words: object) -> str:
        done = subprocess.run(
            [programs / program, *map(str, words)],
            cwd=tmp_path,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    place = run("python", "-c", "import mmad; print(mmad.__file__)").strip()
    assert Path(place).is_relative_to(programs.parent)
    assert "extract-features" in run("mmad", "--help")
    sizes = ["--width", 32, "--height", 32, "--min-seconds", 2, "--max-seconds", 3]
    run("mmad", "synthesize", "data", "--train", 1, "--val", 1, "--test", 0, *sizes)
    assert "dsta" in run("mmad", "train", "configs/dsta_videomae_s.yaml", "--show-config")
    video = "data/videos/val0000.mp4"
    run("mmad", "detect", video, "--checkpoint", detection_run, "--out", "found")
    annotations = "data/annotations/mma52.json"
    said = run("mmad", "eval", "found/detections.csv", "--annotations", annotations)
    assert "1 video" in said
