"""kill -9 of the server and of the browser at random moments, and two windows on one project."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from mmad.projects.project import Project
from support.browser import wait_until
from support.review_page import FLAGS, chromium, open_page, served
from support.studies import first_of

MOMENTS = 20
# The page draws as fast as it can, and counts what was confirmed.
_DRAW = """async () => {
  const { store } = await import("/static/store.js");
  const { post } = await import("/static/api.js");
  window.confirmed = 0;
  const draw = async () => {
    const decision = { action: "draw", behaviour: 1, start: 0, end: 0.5 };
    await post("/api/decide", { annotator: "Ann", video: store.video.id, decision });
    window.confirmed += 1;
  };
  (async () => { for (;;) await draw(); })().catch(() => {});
}"""


def count(project: Project) -> tuple[int, int]:
    """The numbers of changes and of instances on disk."""
    with Project.open(project.folder) as opened:
        instances = opened.decisions.instances(first_of(opened), "Ann")
        return len(opened.decisions.history()), len(instances)


@contextmanager
def chromium_by_port(folder: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    """The address of a browser with its own processes, and what kills all of them at once."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("there is no chromium on PATH")
    words = [program, "--headless=new", "--remote-debugging-port=0", f"--user-data-dir={folder}"]
    with subprocess.Popen(
        [*words, *FLAGS], stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stderr is not None

        def kill() -> None:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)

        try:
            lines = (re.search(r"ws://\S+", line) for line in process.stderr)
            found = next(filter(None, lines), None)
            assert found, "the browser gave no address"
            yield found.group(), kill
        finally:
            kill()


@pytest.mark.slow
def test_a_killed_server_has_what_it_confirmed_and_starts_again(project: Project) -> None:
    """The same as below without a browser: what was confirmed is there, and the lock is free."""
    draws = random.Random(18)
    decision = {"action": "draw", "behaviour": 1, "start": 0.0, "end": 0.5}
    content = json.dumps({"annotator": "Ann", "video": 1, "decision": decision}).encode()
    for _ in range(2):
        before, _ = count(project)
        with served(project.folder) as (address, process):
            parts = urlsplit(address)
            (token,) = parse_qs(parts.query)["token"]
            headers = {
                "origin": f"http://{parts.netloc}",
                "content-type": "application/json",
                "cookie": f"mmad_review_{parts.port}={token}",
            }
            asked = urllib.request.Request(
                f"http://{parts.netloc}/api/decide", content, headers, method="POST"
            )
            confirmed = draws.randint(1, 9)
            for _ in range(confirmed):
                with urllib.request.urlopen(asked) as answer:
                    assert answer.status == 200
            process.kill()
            process.wait()
        made, instances = count(project)
        assert made - before == confirmed
        assert instances == made


@pytest.mark.slow
@pytest.mark.long
def test_a_killed_server_loses_at_most_the_decision_in_flight(project: Project) -> None:
    draws = random.Random(19)
    with chromium() as browser:
        for _ in range(MOMENTS):
            before, _ = count(project)
            page = browser.new_page()
            with served(project.folder) as (address, process):
                open_page(page, address)
                page.evaluate(_DRAW)
                wait_until(page, f"window.confirmed >= {draws.randint(1, 6)}")
                page.wait_for_timeout(draws.uniform(1, 50))
                process.kill()
                process.wait()
            page.wait_for_timeout(50)
            confirmed = page.evaluate("window.confirmed")
            made, instances = count(project)
            assert confirmed <= made - before <= confirmed + 1
            assert instances == made, "each change drew one instance, whole"
            page.close()


@pytest.mark.slow
@pytest.mark.long
def test_a_killed_browser_loses_at_most_the_decision_in_flight(
    project: Project, tmp_path: Path
) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    draws = random.Random(20)
    with served(project.folder) as (address, process), playwright.sync_playwright() as play:
        for turn in range(MOMENTS):
            before, _ = count(project)
            with chromium_by_port(tmp_path / str(turn)) as (port, kill):
                page = play.chromium.connect_over_cdp(port).contexts[0].new_page()
                open_page(page, address)
                page.evaluate(_DRAW)
                wait_until(page, f"window.confirmed >= {draws.randint(1, 6)}")
                page.wait_for_timeout(draws.uniform(1, 50))
                confirmed = page.evaluate("window.confirmed")
                kill()
            made, instances = count(project)
            assert made - before >= confirmed
            assert instances == made
        assert process.poll() is None, "the server serves on"


@pytest.mark.slow
@pytest.mark.long
def test_two_windows_of_one_person_never_decide_twice(project: Project) -> None:
    with served(project.folder) as (address, _), chromium() as browser:
        context = browser.new_context()
        pages: list[Any] = [context.new_page(), context.new_page()]
        for page in pages:
            open_page(page, address)
            page.uncheck("#goes-on")
            page.select_option("#order", "time")
            page.keyboard.press("n")
            wait_until(page, "document.querySelector('#card-name').textContent === 'nodding'")
        pages[0].keyboard.press("a")
        wait_until(pages[0], "document.querySelector('#card-state').textContent === 'accepted'")
        pages[1].keyboard.press("x")
        said = "document.querySelector('#toast').textContent.includes('decided in another window')"
        wait_until(pages[1], said)
        # It has loaded what the other window decided.
        wait_until(pages[1], "document.querySelector('.item.is-accepted') !== null")
        assert [one.state for one in project.decisions.instances(first_of(project), "Ann")] == [
            "accepted"
        ]
        context.close()
