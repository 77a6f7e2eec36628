"""The page of ``mmad review`` in a browser, on a server of its own process."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.browser import wait_until

FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser; the test is skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    pytest.importorskip("uvicorn", reason="mmad[review] is not installed")
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("there is no chromium on PATH")
    with playwright.sync_playwright() as play:
        running = play.chromium.launch(executable_path=program, args=list(FLAGS))
        try:
            yield running
        finally:
            running.close()


@contextmanager
def served(folder: Path, *options: str) -> Iterator[tuple[str, subprocess.Popen]]:
    """The address of a running ``mmad review``, and its process."""
    words = [sys.executable, "-m", "mmad", "review", str(folder), "--no-browser", *options]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            lines = (re.search(r"http://\S+", line) for line in process.stdout)
            found = next(filter(None, lines), None)
            assert found, "it printed no address"
            yield found.group(), process
        finally:
            process.kill()


def open_page(page: Any, address: str, *, annotator: str = "Ann") -> None:
    """Open the page as somebody, and wait until it is ready."""
    page.goto(address)
    wait_until(page, "document.querySelector('#who-dialog').open")
    page.fill("#who-name", annotator)
    page.click("#who-start")
    wait_until(page, "document.documentElement.dataset.ready === 'true'")
