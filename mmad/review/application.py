"""The routes of the page."""

import json
import mimetypes
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from mmad.review.access import Guard
from mmad.review.requests import Decide, NewBehaviour, QueueRequest, Who, plain_name
from mmad.review.session import Refused, Session

_STATIC = Path(__file__).with_name("static")
_Asked = TypeVar("_Asked", bound=BaseModel)
_Handler = Callable[[Request], Awaitable[Response]]


def application(session: Session, *, token: str, port: int) -> ASGIApp:
    """The page of a project, behind its guard."""
    # Windows takes them from the registry, where other programs may have changed them.
    mimetypes.add_type("text/javascript", ".js")
    mimetypes.add_type("text/css", ".css")

    async def page(request: Request) -> Response:
        return FileResponse(_STATIC / "review.html")

    async def about(request: Request) -> Response:
        return await _json(session.about)

    async def video(request: Request) -> Response:
        annotator = _annotator(request)
        return await _json(session.video, _number(request), annotator)

    async def times(request: Request) -> Response:
        content = await run_in_threadpool(session.times, _number(request))
        return Response(content, media_type="application/octet-stream")

    async def media(request: Request) -> Response:
        found = session.media(_number(request))
        return FileResponse(found.path, media_type=found.type)

    posts: dict[str, tuple[type[BaseModel], Callable[[Any], dict[str, Any]]]] = {
        "/api/queue": (QueueRequest, session.queue),
        "/api/decide": (Decide, session.decide),
        "/api/undo": (Who, lambda who: session.undo(who.annotator)),
        "/api/redo": (Who, lambda who: session.redo(who.annotator)),
        "/api/behaviours": (NewBehaviour, lambda new: session.add_behaviour(new.name)),
    }
    routes = [
        Route("/", page),
        Route("/api/project", about),
        Route("/api/videos/{number:int}", video),
        Route("/api/videos/{number:int}/times", times),
        Route("/media/{number:int}", media),
        *(
            Route(path, _post(kind, answer), methods=["POST"])
            for path, (kind, answer) in posts.items()
        ),
        Mount("/static", StaticFiles(directory=_STATIC)),
    ]
    app = Starlette(
        routes=routes, exception_handlers={Refused: _refused, HTTPException: _http_error}
    )
    return Guard(app, token=token, port=port)


def _post(kind: type[BaseModel], answer: Callable[[Any], dict[str, Any]]) -> _Handler:
    async def handle(request: Request) -> Response:
        try:
            asked = kind.model_validate(json.loads(await request.body()), strict=False)
        except (ValidationError, ValueError, RecursionError):
            raise Refused(400, "this request is not understood; load the page again") from None
        return await _json(answer, asked)

    return handle


async def _json(function: Callable[..., dict[str, Any]], *arguments: Any) -> Response:
    return JSONResponse(await run_in_threadpool(function, *arguments))


def _number(request: Request) -> int:
    return int(request.path_params["number"])


def _annotator(request: Request) -> str:
    try:
        return plain_name(request.query_params.get("annotator", ""))
    except ValueError:
        raise Refused(400, "who decides? an annotator needs a name") from None


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return JSONResponse({"error": error.text}, status_code=error.status)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": "not found"}, status_code=error.status_code)
