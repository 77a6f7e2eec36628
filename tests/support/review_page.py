"""The page of ``mmad review`` in a browser, on a server of its own process."""

import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from mmad.projects.project import Project
from support.browser import wait_until
from support.review import TOKEN

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


@contextmanager
def served_here(project: Project) -> Iterator[str]:
    """The address of the page on a server in a thread of this process, whose parts can be swapped.

    Stop it before the browser ends.
    """
    uvicorn = pytest.importorskip("uvicorn", reason="mmad[review] is not installed")
    from mmad.review.application import application
    from mmad.review.media import media_of
    from mmad.review.session import Session

    media, _ = media_of(project, with_copies=False)
    session = Session(project, media, annotator=None)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        app = application(session, token=TOKEN, port=port)
        config = uvicorn.Config(
            app, log_level="warning", lifespan="off", timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        thread = Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{port}/?token={TOKEN}"
        finally:
            server.should_exit = True
            thread.join()
            session.close()


def open_page(page: Any, address: str, *, annotator: str = "Ann") -> None:
    """Open the page as somebody, and wait until it is ready."""
    page.goto(address)
    wait_until(page, "document.querySelector('#who-dialog').open")
    page.fill("#who-name", annotator)
    page.click("#who-start")
    wait_until(page, "document.documentElement.dataset.ready === 'true'")
