import os
import shutil
from collections.abc import Callable, Iterator

import pytest

# No request of the browser's own, and no use of a display that is not there.
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")

# Texts that reach over the edge of their svg, or into another text of it.
_CUT = """() => {
  const cut = [];
  for (const svg of document.querySelectorAll("svg")) {
    const outer = svg.getBoundingClientRect();
    const texts = [...svg.querySelectorAll("text")];
    const boxes = texts.map((text) => [text.textContent, text.getBoundingClientRect()]);
    boxes.forEach(([text, box], i) => {
      if (box.left < outer.left - 0.5 || box.right > outer.right + 0.5
          || box.top < outer.top - 0.5 || box.bottom > outer.bottom + 0.5) cut.push(text);
      boxes.slice(i + 1).forEach(([other, b]) => {
        const isOver = Math.min(box.right, b.right) - Math.max(box.left, b.left) > 3
          && Math.min(box.bottom, b.bottom) - Math.max(box.top, b.top) > 3;
        if (isOver) cut.push(`${text} over ${other}`);
      });
    });
  }
  return cut;
}"""


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


@pytest.fixture
def cut_labels() -> Callable[..., list[str]]:
    """A function that gives the labels of a page that are cut or lie over each other."""
    return lambda page: page.evaluate(_CUT)
