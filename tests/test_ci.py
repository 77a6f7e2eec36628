"""The script of continuous integration: the browser tests run there, or it fails."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
PYTEST = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider")
A_BROWSER_TEST = "tests/report/test_web_page.py::test_light_and_dark"


def program(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/bash\n{script}\n")
    path.chmod(0o755)


def run_ci(folder: Path, *, apt_get: str) -> tuple[int, list[str]]:
    """Exit code, and the calls made, of .ci/run on a machine without a browser."""
    log = folder / "log.txt"
    shutil.copytree(ROOT / ".ci", folder / "checkout" / ".ci")
    program(folder / "checkout/tools/test.sh", f'echo "test $MMAD_REQUIRE_BROWSER" >> {log}')
    program(folder / "bin/apt-get", f'echo "apt-get $1" >> {log}\n{apt_get}')
    for name in ("bash", "dirname", "env"):
        (folder / "bin" / name).symlink_to(str(shutil.which(name)))
    done = subprocess.run(
        [folder / "checkout/.ci/run"],
        env={"PATH": str(folder / "bin"), "MMAD_FIXTURES": str(folder / "none")},
        capture_output=True,
    )
    return done.returncode, log.read_text().splitlines()


def test_package_lists_are_fetched_before_the_browser(tmp_path: Path) -> None:
    code, calls = run_ci(tmp_path, apt_get="true")
    assert calls == ["apt-get update", "apt-get install", "test 1"]
    assert code == 0


def test_without_a_browser_to_install_it_fails(tmp_path: Path) -> None:
    code, calls = run_ci(tmp_path, apt_get='[ "$1" = update ]')
    assert code != 0
    assert "test 1" not in calls


@pytest.mark.long
@pytest.mark.parametrize(("required", "word"), [("1", "1 error"), ("", "1 skipped")])
def test_page_tests_without_a_browser(tmp_path: Path, required: str, word: str) -> None:
    done = subprocess.run(
        # Without the other tests' fixtures, which import torch.
        [*PYTEST, "--confcutdir", "tests/report", A_BROWSER_TEST],
        cwd=ROOT,
        env={**os.environ, "PATH": str(tmp_path), "MMAD_REQUIRE_BROWSER": required},
        capture_output=True,
        text=True,
    )
    assert word in done.stdout
