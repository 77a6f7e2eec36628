"""The routes of the page."""

import mimetypes
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from mmad.review.access import Guard
from mmad.review.answers import annotator_of, got, not_found, number_of, posted, refused
from mmad.review.refusals import Refused
from mmad.review.requests import BlindDone, Decide, NewBehaviour, QueueRequest, Reviewed, Who
from mmad.review.session import Session
from mmad.review.teaching import routes as teaching_routes

_STATIC = Path(__file__).with_name("static")
_BYTES = "application/octet-stream"
# A thumbnail of a frame never changes: another file is another video.
_KEPT = {"cache-control": "private, max-age=86400"}


def application(session: Session, *, token: str, port: int) -> ASGIApp:
    """The page of a project, behind its guard."""
    # Windows takes them from the registry, where other programs may have changed them.
    mimetypes.add_type("text/javascript", ".js")
    mimetypes.add_type("text/css", ".css")

    async def page(request: Request) -> Response:
        return FileResponse(_STATIC / "review.html")

    async def times(request: Request) -> Response:
        content = await run_in_threadpool(session.times, number_of(request))
        return Response(content, media_type=_BYTES)

    async def scores(request: Request) -> Response:
        asked = (number_of(request), annotator_of(request))
        content = await run_in_threadpool(session.curve_scores, *asked)
        return Response(content, media_type=_BYTES)

    async def thumbnail(request: Request) -> Response:
        frame = int(request.path_params["frame"])
        content = await run_in_threadpool(session.thumbnail, number_of(request), frame)
        return Response(content, media_type="image/jpeg", headers=_KEPT)

    async def media(request: Request) -> Response:
        found = session.media(number_of(request))
        return FileResponse(found.path, media_type=found.type)

    video = "/api/videos/{number:int}"
    routes = [
        Route("/", page),
        got("/api/project", session.about),
        got(video, session.video, number_of, annotator_of),
        got(f"{video}/curves", session.curves, number_of, annotator_of),
        Route(f"{video}/curves/scores", scores),
        Route(f"{video}/times", times),
        Route(f"{video}/thumbnails/{{frame:int}}", thumbnail),
        Route("/media/{number:int}", media),
        posted("/api/queue", QueueRequest, session.queue),
        posted("/api/decide", Decide, session.decide),
        posted("/api/reviewed", Reviewed, session.mark_reviewed),
        got("/api/blind", session.blind, annotator_of),
        posted("/api/blind/done", BlindDone, session.finish_blind),
        posted("/api/undo", Who, lambda who: session.undo(who.annotator)),
        posted("/api/redo", Who, lambda who: session.redo(who.annotator)),
        posted("/api/behaviours", NewBehaviour, lambda new: session.add_behaviour(new.name)),
        *teaching_routes(session.project),
        Mount("/static", StaticFiles(directory=_STATIC)),
    ]
    handlers = {Refused: refused, HTTPException: not_found}
    app = Starlette(routes=routes, exception_handlers=handlers)
    return Guard(app, token=token, port=port)
