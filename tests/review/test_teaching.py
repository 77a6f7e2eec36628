"""Teaching from the page."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mmad.engine.jobs import taught_apart
from mmad.projects.project import Project
from support.asgi import Answer
from support.planted import decide, planted


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

    monkeypatch.setattr("mmad.review.teaching.subprocess.Popen", start)
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
