from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mmad.projects.project import Project
from support.asgi import Answer
from support.review import PORT, TOKEN, asked
from support.studies import make_study


@pytest.fixture
def project(videos: Path, tmp_path: Path) -> Project:
    return make_study(tmp_path / "study", videos)


@pytest.fixture
def app(project: Project) -> Any:
    pytest.importorskip("starlette", reason="mmad[review] is not installed")
    from mmad.review.application import application
    from mmad.review.media import media_of
    from mmad.review.session import Session

    media, _ = media_of(project, with_copies=False)
    return application(Session(project, media, annotator=None), token=TOKEN, port=PORT)


@pytest.fixture
def get(app: Any) -> Callable[..., Answer]:
    return lambda path, **changed: asked(app, "GET", path, **changed)


@pytest.fixture
def post(app: Any) -> Callable[..., Answer]:
    return lambda path, content, **changed: asked(app, "POST", path, content, **changed)
