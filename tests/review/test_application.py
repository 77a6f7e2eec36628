"""What the page asks: videos by ranges, decisions, the queue."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmad.projects.project import Project
from mmad.projects.records import Curves
from mmad.video.index import index_video
from support.asgi import Answer
from support.review import PORT, TOKEN, asked
from support.studies import first_of

Ask = Callable[..., Answer]


def decide(post: Ask, video: int = 1, annotator: str = "Ann", **decision: object) -> Answer:
    return post("/api/decide", {"annotator": annotator, "video": video, "decision": decision})


def test_videos_are_served_by_ranges(get: Ask, project: Project) -> None:
    content = project.catalogue.videos()[0].path.read_bytes()
    whole = get("/media/1")
    assert (whole.status, whole.content) == (200, content)
    assert whole.headers["accept-ranges"] == "bytes"
    assert whole.headers["content-type"] == "video/mp4"
    part = get("/media/1", range="bytes=10-19")
    assert (part.status, part.content) == (206, content[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(content)}"
    assert get("/media/1", range="bytes=-5").content == content[-5:]
    for wrong in (f"bytes={len(content)}-", "bytes=9-3", "lines=1-2", "bytes=a-b"):
        answer = get("/media/1", range=wrong)
        assert answer.status in (400, 416)
        assert str(project.folder).encode() not in answer.content


def test_times_are_those_of_the_index(get: Ask, project: Project) -> None:
    content = get("/api/videos/1/times").content
    times = struct.unpack(f"<{len(content) // 8}d", content)
    index = index_video(project.catalogue.videos()[0].path)
    assert times == tuple(index.times_seconds)


def test_what_the_page_is_told(get: Ask, project: Project) -> None:
    about = get("/api/project").json
    assert [one["name"] for one in about["behaviours"]] == ["nodding", "waving", "shrugging"]
    assert [one["problem"] for one in about["videos"]] == [None, None]
    assert about["sources"][0]["model"] == "a"
    assert str(project.folder.parent) not in str(about), "no paths"
    video = get("/api/videos/1?annotator=Ann").json
    assert video["detections"][0] == [1, 1, 0.2, 0.6, 0.9]
    assert video["instances"] == []
    assert get("/api/videos/1").status == 400
    assert get("/api/videos/1?annotator=%0A").status == 400
    assert get("/api/videos/7?annotator=Ann").status == 404


def test_decisions_are_on_disk_when_they_are_answered(post: Ask, project: Project) -> None:
    answer = decide(post, action="accept", target={"detection": 1})
    assert answer.status == 200
    (after,) = answer.json["change"]["after"]
    assert answer.json["history"] == {"undo": 1, "redo": 0}
    with Project.open(project.folder) as other:
        (one,) = other.decisions.instances(first_of(project), "Ann")
        assert (one.id, one.detection, one.state) == (after["id"], 1, "accepted")
    target = {"instance": after["id"]}
    decide(post, action="move", target=target, start=0.1, end=0.7)
    decide(post, action="relabel", target=target, behaviour=2)
    decide(post, action="split", target=target, at=0.4)
    decide(post, action="draw", behaviour=3, start=0.0, end=0.3)
    both = [{"instance": one.id} for one in instances(project) if one.behaviour == 2]
    decide(post, action="merge", targets=both)
    decide(post, action="reject", target={"detection": 4})
    decide(post, action="delete", target={"instance": instances(project)[-1].id})
    assert [(one.behaviour, one.start_seconds, one.end_seconds) for one in instances(project)] == [
        (3, 0.0, 0.3),
        (2, 0.1, 0.7),
    ]
    for _ in range(8):
        assert post("/api/undo", {"annotator": "Ann"}).json["change"] is not None
    assert instances(project) == []
    assert post("/api/undo", {"annotator": "Ann"}).json["change"] is None
    assert post("/api/redo", {"annotator": "Ann"}).json["history"] == {"undo": 1, "redo": 7}


def test_what_is_settled_is_told_with_each_answer(post: Ask, get: Ask, project: Project) -> None:
    assert get("/api/videos/1?annotator=Ann").json["settled"] == []
    answer = post("/api/reviewed", REVIEWED).json
    assert answer["settled"] == [1]
    assert post("/api/queue", {"annotator": "Ann", "videos": [1]}).json["total"] == 3
    assert get("/api/videos/1?annotator=Ann").json["settled"] == [1]
    assert get("/api/videos/1?annotator=Bob").json["settled"] == []
    # What is the same as something drawn needs no decision either.
    answer = decide(post, action="draw", behaviour=2, start=0.5, end=1.15)
    assert answer.json["settled"] == [1, 2]
    assert post("/api/undo", {"annotator": "Ann"}).json["settled"] == [1]
    assert decide(post, action="accept", target={"detection": 1}).json["settled"] == []
    answer = post("/api/reviewed", REVIEWED | {"is_reviewed": False}).json
    assert answer == {"reviewed": [], "settled": []}


REVIEWED = {"annotator": "Ann", "video": 1, "start": 0.0, "end": 1.0, "is_reviewed": True}


def instances(project: Project) -> list:
    return project.decisions.instances(first_of(project), "Ann")


def test_what_cannot_be_decided_is_refused_in_a_sentence(post: Ask, project: Project) -> None:
    refused = {
        404: [{"video": 9}],
        409: [],
        422: [
            {"target": {"detection": 99}},
            {"target": {"detection": 5}},
            {"action": "move", "start": 0.5, "end": 0.4},
            {"action": "move", "start": 0.5, "end": 1e9},
            {"action": "relabel", "behaviour": 9},
            {"action": "split", "at": 0.1},
        ],
        400: [
            {"annotator": " "},
            {"annotator": "x" * 81},
            {"action": "explode"},
            {"action": "move", "start": -1, "end": 1},
            {"target": {"detection": 1, "instance": 1}},
            {"target": {}},
            {"target": {"detection": 2**70}},
        ],
    }
    for status, wrongs in refused.items():
        for wrong in wrongs:
            fields = {"action": "accept", "target": {"detection": 1}} | wrong
            answer = decide(post, **fields)  # type: ignore[arg-type]
            assert answer.status == status, (wrong, answer)
            assert set(answer.json) == {"error"}
            assert str(project.folder.parent) not in answer.json["error"]
    assert project.decisions.history() == []
    decide(post, action="accept", target={"detection": 1})
    answer = decide(post, action="reject", target={"detection": 1})
    assert (answer.status, "another window" in answer.json["error"]) == (409, True)


def test_people_are_blind_to_each_other(get: Ask, post: Ask) -> None:
    decide(post, action="accept", target={"detection": 1})
    assert get("/api/videos/1?annotator=Bob").json["instances"] == []
    answer = decide(post, annotator="Bob", action="reject", target={"instance": 1})
    assert answer.status == 409
    waiting = post("/api/queue", {"annotator": "Bob"}).json
    assert (waiting["total"], waiting["waiting"][0]) == (6, [1, 2])
    mine = post("/api/queue", {"annotator": "Ann", "order": "score"}).json
    assert (mine["total"], mine["progress"]) == (5, [[1, 3, 1, 0, 0.0], [2, 2, 0, 0, 0.0]])
    assert post("/api/queue", {"annotator": "Ann", "order": "best"}).status == 400
    assert post("/api/queue", {"annotator": "Ann", "videos": [9]}).status == 404


def test_others_are_shown_to_read_if_the_server_says_so(project: Project, post: Ask) -> None:
    from mmad.review.application import application
    from mmad.review.session import Session

    decide(post, action="accept", target={"detection": 1})
    session = Session(project, {}, annotator=None, shows_others=True)
    app = application(session, token=TOKEN, port=PORT)
    assert asked(app, "GET", "/api/project").json["shows_others"] is True
    (one,) = asked(app, "GET", "/api/videos/1?annotator=Bob").json["others"]["Ann"]
    assert (one["detection"], one["state"]) == (1, "accepted")
    assert asked(app, "GET", "/api/videos/1?annotator=Ann").json["others"] == {}


def test_what_was_looked_at(get: Ask, post: Ask) -> None:
    def mark(start: float, end: float, *, is_reviewed: bool = True) -> Answer:
        times = {"start": start, "end": end, "is_reviewed": is_reviewed}
        return post("/api/reviewed", {"annotator": "Ann", "video": 1} | times)

    assert mark(0.0, 1.0).json["reviewed"] == [[0.0, 1.0, False]]
    assert mark(0.5, 1.5).json["reviewed"] == [[0.0, 1.5, False]]
    assert mark(0.2, 0.7, is_reviewed=False).json["reviewed"] == [
        [0.0, 0.2, False],
        [0.7, 1.5, False],
    ]
    assert get("/api/videos/1?annotator=Ann").json["reviewed"][1] == [0.7, 1.5, False]
    assert get("/api/videos/1?annotator=Bob").json["reviewed"] == []
    progress = post("/api/queue", {"annotator": "Ann"}).json["progress"]
    assert progress[0][4] == pytest.approx(1.0)
    assert (mark(1.0, 0.5).status, mark(0.0, 1e9).status, mark(-1.0, 1.0).status) == (422, 422, 400)


def test_scores_over_time(get: Ask, project: Project) -> None:
    assert get("/api/videos/1/curves?annotator=Ann").json["behaviours"] == []
    assert get("/api/videos/1/curves/scores?annotator=Ann").content == b""
    scores = np.array([[1, 4], [2, 5], [3, 6]], np.uint8)
    project.findings.add_curves(1, first_of(project), Curves(0.5, (3, 1), scores))
    told = get("/api/videos/1/curves?annotator=Ann").json
    assert told == {"behaviours": [3, 1], "step_seconds": 0.5, "num_steps": 3}
    assert get("/api/videos/1/curves/scores?annotator=Ann").content == bytes([1, 2, 3, 4, 5, 6])
    assert get("/api/videos/9/curves?annotator=Ann").status == 404


def test_a_disk_that_refuses_is_said_and_nothing_is_half_saved(post: Ask, project: Project) -> None:
    connection = project._database.connection
    connection.execute("PRAGMA query_only = ON")
    for answer in (
        decide(post, action="accept", target={"detection": 1}),
        post("/api/undo", {"annotator": "Ann"}),
        post("/api/behaviours", {"name": "own"}),
        post("/api/reviewed", REVIEWED),
    ):
        assert (answer.status, "nothing was saved" in answer.json["error"]) == (503, True)
        assert str(project.folder) not in answer.json["error"]
    connection.execute("PRAGMA query_only = OFF")
    assert project.decisions.history() == []
    assert decide(post, action="accept", target={"detection": 1}).status == 200


def test_a_replaced_video_is_said(project: Project) -> None:
    from mmad.review.application import application
    from mmad.review.media import media_of
    from mmad.review.session import Session

    video = project.catalogue.videos()[0]
    moved = video.path.with_name("kept.mp4")
    video.path.rename(moved)
    try:
        video.path.write_bytes(b"another video")
        media, failed = media_of(project, with_copies=False)
        assert failed == []
        app = application(Session(project, media, annotator=None), token=TOKEN, port=PORT)
        about = asked(app, "GET", "/api/project").json
        assert [one["problem"] for one in about["videos"]] == ["replaced", None]
        for path in ("/media/1", "/api/videos/1/times", "/api/videos/1/thumbnails/0"):
            assert asked(app, "GET", path).status == 410
        video.path.unlink()
        about = asked(app, "GET", "/api/project").json
        assert [one["problem"] for one in about["videos"]] == ["gone", None]
    finally:
        moved.replace(video.path)


def test_a_fixed_annotator_is_the_only_one(project: Project) -> None:
    pytest.importorskip("starlette", reason="mmad[review] is not installed")
    from mmad.review.application import application
    from mmad.review.session import Session

    app = application(Session(project, {}, annotator="Ann"), token=TOKEN, port=PORT)
    assert asked(app, "GET", "/api/videos/1?annotator=Bob").status == 403
    assert asked(app, "POST", "/api/undo", {"annotator": "Bob"}).status == 403
    assert asked(app, "GET", "/api/videos/1?annotator=Ann").status == 200


def test_a_new_behaviour(post: Ask, project: Project) -> None:
    added = post("/api/behaviours", {"name": " my gesture "}).json
    assert (added["id"], added["name"]) == (4, "my gesture")
    assert post("/api/behaviours", {"name": "Nodding"}).status == 422
    assert project.catalogue.behaviours()[-1].name == "my gesture"


def test_a_video_that_is_gone_is_said(app: Any, project: Project, tmp_path: Path) -> None:
    video = project.catalogue.videos()[0]
    other = tmp_path / "moved.mp4"
    other.write_bytes(video.path.read_bytes())
    from mmad.review.application import application
    from mmad.review.media import Media
    from mmad.review.session import Session

    session = Session(project, {1: Media(other, "video/mp4")}, annotator=None)
    app = application(session, token=TOKEN, port=PORT)
    assert asked(app, "GET", "/media/1").status == 200
    other.unlink()
    assert asked(app, "GET", "/media/1").status == 410
    assert asked(app, "GET", "/media/2").status == 410
    decision = {"action": "accept", "target": {"detection": 5}}
    content = {"annotator": "Ann", "video": 2, "decision": decision}
    assert asked(app, "POST", "/api/decide", content).status == 410
    problems = [one["problem"] for one in asked(app, "GET", "/api/project").json["videos"]]
    assert problems == [None, "not playable"]
    assert asked(app, "POST", "/api/queue", {"annotator": "Ann"}).json["total"] == 4
