"""Thumbnails: the asked frame, made once."""

import io
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import av
import numpy as np
import pytest

from mmad.projects.project import Project, new_project
from mmad.review.thumbnails import THUMBNAILS, Thumbnails
from mmad.video.find import find_videos
from support.asgi import Answer
from support.clips import number_of, write_clip
from support.studies import LABELS

Get = Callable[..., Answer]


def pixels_of(jpeg: bytes) -> np.ndarray:
    with av.open(io.BytesIO(jpeg)) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


def test_a_thumbnail_is_the_frame(tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    write_clip(folder / "a.mp4", times_ms=np.cumsum([40, 20, 20, 100] * 15).tolist())
    project = new_project(tmp_path / "study", labels=LABELS)
    project.catalogue.add_videos(find_videos(folder))
    (video,) = project.catalogue.videos()
    with closing(Thumbnails(project.folder)) as thumbnails:
        for number in (5, 0, 59, 17, 16):
            assert number_of(pixels_of(thumbnails.get(video, video.path, number))) == number


def test_thumbnails_on_the_page(get: Get, project: Project) -> None:
    answer = get("/api/videos/1/thumbnails/3")
    assert (answer.status, answer.headers["content-type"]) == (200, "image/jpeg")
    assert "max-age" in answer.headers["cache-control"]
    for path in (f"1/thumbnails/{project.catalogue.videos()[0].num_frames}", "9/thumbnails/0"):
        assert get(f"/api/videos/{path}").status == 404
    assert get("/api/videos/1/thumbnails/x").status == 404


def test_thumbnails_are_kept_and_a_full_disk_costs_none(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = project.catalogue.videos()[0]
    thumbnails = Thumbnails(project.folder)
    made = thumbnails.get(video, video.path, 3)
    (kept,) = (project.folder / THUMBNAILS).rglob("*.jpg")
    assert (kept.name, kept.read_bytes()) == ("3.jpg", made)
    kept.write_bytes(b"kept")
    assert thumbnails.get(video, video.path, 3) == b"kept"
    (project.folder / THUMBNAILS).rename(project.folder / "other")
    (project.folder / THUMBNAILS).write_bytes(b"")  # no folder can be made here
    assert thumbnails.get(video, video.path, 4)[:2] == b"\xff\xd8"
    thumbnails.close()
