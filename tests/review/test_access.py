"""Who is let through: wrong tokens, hosts, origins, paths."""

from collections.abc import Callable
from urllib.parse import quote

import pytest

from support.asgi import Answer
from support.review import TOKEN

Get = Callable[..., Answer]
WHO = {"annotator": "Ann"}


def test_the_token_in_the_address_becomes_a_cookie(get: Get) -> None:
    answer = get(f"/?token={TOKEN}", cookie=None, sec_fetch_site="none")
    assert answer.status == 200
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"mmad_review_8000={TOKEN};")
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert TOKEN.encode() not in answer.content


@pytest.mark.parametrize("path", ["/", "/api/project", "/media/1", "/static/app.js"])
def test_without_the_token_there_is_nothing(get: Get, path: str) -> None:
    for cookie in (
        None,
        "mmad_review_8000=other",
        f"mmad_review_8001={TOKEN}",
        "mmad_review_8000=",
    ):
        answer = get(path, cookie=cookie)
        assert answer.status == 401
        assert b"wrong token" in answer.content
        assert "set-cookie" not in answer.headers
    assert get("/?token=other").status == 401, "a wrong token counts even with the cookie"
    assert get(f"/api/project?token={TOKEN}", cookie=None).status == 401


@pytest.mark.parametrize("host", [None, "evil.example:8000", "127.0.0.1", "127.0.0.1:9", ""])
def test_other_hosts_are_refused(get: Get, host: str | None) -> None:
    assert get(f"/?token={TOKEN}", host=host).status == 421


def test_other_origins_are_refused(get: Get, post: Get) -> None:
    for origin in ("http://evil.example", "null", "http://127.0.0.1:9", "https://127.0.0.1:8000"):
        assert get("/api/project", origin=origin).status == 403
        assert post("/api/undo", WHO, origin=origin).status == 403
    assert post("/api/undo", WHO, origin=None).status == 403
    assert post("/api/undo", WHO).status == 200
    assert get("/api/project", sec_fetch_site="cross-site").status == 403
    assert get("/media/1", sec_fetch_site="same-site").status == 403
    assert get("/api/project", host="localhost:8000", sec_fetch_site=None).status == 200


def test_only_short_json_is_taken(post: Get) -> None:
    assert post("/api/undo", WHO, content_type="text/plain").status == 415
    assert post("/api/undo", WHO, content_type=None).status == 415
    assert post("/api/undo", WHO, content_length=None).status == 411
    assert post("/api/undo", WHO, content_length="70000").status == 413
    assert post("/api/project", WHO).status == 405
    for content in (b"{", b"[]", b"\xff", b"[" * 30_000, {"annotator": 1}, WHO | {"more": 1}):
        answer = post("/api/undo", content)
        assert answer.status == 400
        assert answer.json == {"error": "this request is not understood; load the page again"}


@pytest.mark.parametrize(
    "path",
    [
        "/static/../application.py",
        "/static/..%2f..%2ferrors.py",
        "/static//etc/passwd",
        "/media/../../project.sqlite",
        "/media/1/../../project.sqlite",
        "/media/" + quote("../project.sqlite", safe=""),
        "/media/99",
        "/media/-1",
        "/media/99999999999999999999999999",
        "/project.sqlite",
        "/api",
    ],
)
def test_nothing_but_files_of_the_page_and_the_project_is_served(get: Get, path: str) -> None:
    answer = get(path)
    assert answer.status == 404
    assert len(answer.content) < 60


def test_everything_forbids_scripts_and_frames_of_others(get: Get) -> None:
    for path in ("/", "/static/app.js", "/api/project", "/media/1", "/nothing"):
        headers = get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
    assert get("/static/app.js").headers["content-type"].startswith("text/javascript")


def test_the_page_has_nothing_inline_and_nothing_from_elsewhere(get: Get) -> None:
    page = get("/").content.decode()
    assert " style=" not in page
    assert " onclick=" not in page
    assert "http" not in page
