import os
import shutil
from collections.abc import Iterator

import pytest

# No request of the browser's own, and no use of a display that is not there.
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")


def lacking(what: str) -> None:
    """Skip a test that needs a browser, or fail where one is required, as in `.ci/run`."""
    if os.environ.get("MMAD_REQUIRE_BROWSER") == "1":
        pytest.fail(f"{what}, and MMAD_REQUIRE_BROWSER=1 does not allow skipping these tests")
    pytest.skip(what)


@pytest.fixture(scope="session")
def browser() -> Iterator:
    """A running chromium."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        lacking("playwright is not installed")
    program = shutil.which("chromium")
    if program is None:
        lacking("there is no chromium on PATH")
    with sync_playwright() as play:
        running = play.chromium.launch(executable_path=program, args=list(FLAGS))
        yield running
        running.close()
