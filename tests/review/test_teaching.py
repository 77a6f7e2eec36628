"""Teaching from the page."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mmad.engine.jobs import taught_apart
from mmad.projects.project import Project
from support.asgi import Answer
from support.browser import wait_until
from support.planted import decide, planted
from support.review_page import chromium, open_page, served_here
from support.studies import FOUND, LABELS, first_of


class Worker:
    """A process that ends when it is told."""

    def __init__(self, words: list[str], **_: object) -> None:
        self.words = words
        self.code: int | None = None

    def poll(self) -> int | None:
        return self.code

    def terminate(self) -> None:
        self.code = -15

    def wait(self) -> int | None:
        return self.code


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> list[Worker]:
    started: list[Worker] = []

    def start(words: list[str], **given: object) -> Worker:
        started.append(Worker(words, **given))
        return started[-1]

    # Only there: the browser of a test is a process, too.
    apart = SimpleNamespace(Popen=start, DEVNULL=subprocess.DEVNULL)
    monkeypatch.setattr("mmad.review.teaching.subprocess", apart)
    return started


def test_one_worker_at_a_time_with_its_progress(
    get: Callable[..., Answer],
    post: Callable[..., Answer],
    project: Project,
    workers: list[Worker],
) -> None:
    assert get("/api/teaching").json == {"runs": False}
    assert post("/api/teaching", {"annotator": ""}).status == 400
    assert post("/api/teaching", {"annotator": "Ann", "only_mine": True}).status == 200
    (worker,) = workers
    assert worker.words[-1] == "Ann"
    assert post("/api/teaching", {"annotator": "Bob"}).status == 409
    Path(worker.words[-2]).write_text('{"stage": "learning", "fraction": 0.5}')
    state = get("/api/teaching").json
    assert (state["runs"], state["fraction"]) == (True, 0.5)
    assert post("/api/teaching/stop", {"annotator": "Ann"}).json["error"].startswith("stopped")
    assert post("/api/teaching", {"annotator": "Ann"}).status == 200
    workers[1].code = 1
    assert "unexpectedly" in get("/api/teaching").json["error"]
    assert get("/api/teaching/curve").json == {}


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def test_the_worker_says_what_it_has_given_or_why_not(videos: Path, tmp_path: Path) -> None:
    project = planted(tmp_path / "p", videos, num_videos=6)
    path = tmp_path / "state.json"
    assert taught_apart.main(project.folder, path, ()) == 1
    assert read(path)["error"].startswith("nobody has decided anything yet")
    decide(project, number=5, behaviours=(3,), whole=False)
    assert taught_apart.main(project.folder, path, ("Ann",)) == 0
    state = read(path)
    assert state["taught"]["nearest"] == [3]
    assert state["stage"] == "done"


@pytest.mark.slow
def test_the_button_in_a_browser(project: Project, workers: list[Worker]) -> None:
    """It starts, shows how far it is, says why nothing was learnt, and renews the queue."""
    title = "document.querySelector('#teach-title').textContent"
    with chromium() as browser, served_here(project) as address:
        page = browser.new_page(viewport={"width": 360, "height": 740})
        open_page(page, address)
        page.click("#teach-open")
        page.click("#teach-start")
        wait_until(page, f"{title} === 'Learning from the decisions'")
        says(workers[0], stage="learning nodding", fraction=0.4)
        wait_until(page, "document.querySelector('#teach-open').textContent === 'Teach 40 %'")
        assert page.evaluate("document.querySelector('#teach-progress').value") == 0.4
        assert page.text_content("#teach-hint").startswith("Learning nodding.")
        assert page.evaluate("document.documentElement.scrollWidth") == 360

        says(workers[0], error="nobody has decided anything yet")
        workers[0].code = 1
        wait_until(page, f"{title} === 'Nothing was learnt'")
        assert page.text_content("#teach-hint") == "Nobody has decided anything yet"
        # The page goes on.
        page.uncheck("#goes-on")
        page.keyboard.press("n")
        wait_until(page, "document.querySelector('#card-state').textContent === 'open'")
        page.keyboard.press("a")
        wait_until(page, "document.querySelector('#undo').dataset.number === '1'")

        page.click("#teach-start")
        wait_until(page, f"{title} === 'Learning from the decisions'")
        with Project.open(project.folder) as other:
            source = other.findings.add_source("runs/taught-1", {})
            other.findings.add_detections(source, first_of(other), FOUND[1:3], LABELS)
        taught = {"source": source, "num_decisions": 1, "heads": [], "nearest": [2]}
        says(workers[1], taught=taught | {"kept": [1, 3], "precision": {}, "notices": []})
        workers[1].code = 0
        wait_until(page, f"{title} === 'Learnt from 1 decision'")
        waits = "[...document.querySelectorAll('#video-pick option')].map((one) => one.text)[0]"
        wait_until(page, f"{waits}.includes('(1 open,') || {waits}.includes('(2 open,')")
        assert "Most similar stretches suggested: waving." in page.text_content("#teach-hint")
        # Opened again, there is nothing to be renewed.
        open_page(page, address)
        page.click("#teach-open")
        wait_until(page, f"{title} === 'Learnt from 1 decision'")
        assert page.is_hidden("#toast")
        page.close()


def says(worker: Worker, **state: Any) -> None:
    Path(worker.words[-1]).write_text(json.dumps(state))
