"""The blind share on the page: what does not reach the browser, and what is offered."""

import sqlite3
from collections.abc import Callable

import numpy as np
import pytest

from mmad.projects.project import Project
from mmad.projects.records import Curves
from support.asgi import Answer
from support.studies import first_of

Ask = Callable[..., Answer]


@pytest.fixture
def blind(project: Project, post: Ask) -> list:
    """The stretches of a share that is all of both videos, which are 2 s each, in halves."""
    post("/api/decide", decision("Bob", 1, action="accept", target={"detection": 1}))
    project.findings.add_curves(1, first_of(project), Curves(0.5, (1,), np.full((4, 1), 200)))
    project.blind.draw(1e-3, stretch_seconds=1.0)
    video = project.catalogue.videos()[0]
    # Stretches of a second with 2 s around them would hide these short videos twice.
    with sqlite3.connect(project.folder / "project.sqlite") as database:
        database.execute("DELETE FROM seen_before")
        database.execute("DELETE FROM blind_stretches")
        database.execute(
            "INSERT INTO blind_stretches (id, made, video, start_seconds, end_seconds, place) "
            "VALUES (7, '', ?, 0, 1, 0.1)",
            (video.id,),
        )
        database.execute("INSERT INTO seen_before VALUES (7, 1)")
    return project.blind.stretches()


def decision(annotator: str, video: int, **fields: object) -> dict:
    return {"annotator": annotator, "video": video, "decision": fields}


def test_nothing_of_a_stretch_to_code_reaches_the_browser(
    blind: list, get: Ask, post: Ask, project: Project
) -> None:
    (stretch,) = blind
    assert get("/api/videos/1?annotator=Ann").json["detections"] == []
    assert set(get("/api/videos/1/curves/scores?annotator=Ann").content) == {0}
    assert post("/api/queue", {"annotator": "Ann", "videos": [1]}).json["waiting"] == []
    refused = post("/api/decide", decision("Ann", 1, action="accept", target={"detection": 2}))
    assert refused.status == 409
    assert "blind" in refused.json["error"]
    # Bob had seen it before it was drawn.
    assert len(get("/api/videos/1?annotator=Bob").json["detections"]) == 4
    assert set(get("/api/videos/1/curves/scores?annotator=Bob").content) == {200}
    told = get("/api/blind?annotator=Bob").json
    assert (told["total"], told["seen"], told["next"]) == (0, 1, [])
    refused = post("/api/blind/done", {"annotator": "Bob", "stretch": stretch.id})
    assert refused.status == 422

    told = get("/api/blind?annotator=Ann").json
    (following,) = told.pop("next")
    assert following == {"id": 7, "video": 1, "start": 0.0, "end": 1.0}
    assert told == {"done": 0, "total": 1, "seen": 0, "missing": 0, "context": 2.0}
    drawn = post("/api/decide", decision("Ann", 1, action="draw", behaviour=2, start=0.1, end=0.4))
    assert drawn.status == 200
    for _ in range(2):
        told = post("/api/blind/done", {"annotator": "Ann", "stretch": stretch.id}).json
        assert (told["done"], told["total"], told["next"]) == (1, 1, [])
    assert [(one.is_blind, one.end_seconds) for one in project.decisions.reviewed("Ann")] == [
        (True, 1.0)
    ]
    assert len(get("/api/videos/1?annotator=Ann").json["detections"]) == 4
    assert set(get("/api/videos/1/curves/scores?annotator=Ann").content) == {200}
    # The first lies in what is coded; the others leave it.
    waiting = post("/api/queue", {"annotator": "Ann", "videos": [1]}).json["waiting"]
    assert sorted(number for _, number in waiting) == [2, 3, 4]


def test_wrong_requests(get: Ask, post: Ask) -> None:
    assert get("/api/blind").status == 400
    assert get("/api/blind?annotator=Ann").json["total"] == 0
    assert post("/api/blind/done", {"annotator": "Ann", "stretch": 1}).status == 422
    assert post("/api/blind/done", {"annotator": "Ann", "stretch": "x"}).status == 400
