"""Routes that answer with JSON, as all parts of the page make them."""

import json
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mmad.review.refusals import Refused
from mmad.review.requests import plain_name


def got(
    path: str, answer: Callable[..., dict[str, Any]], *given: Callable[[Request], Any]
) -> Route:
    """A GET route.

    Args:
        path: Path of the route.
        answer: What is answered, called in a thread.
        given: What it is called with, from the request.
    """

    async def handle(request: Request) -> Response:
        return await json_of(answer, *(one(request) for one in given))

    return Route(path, handle)


def posted(path: str, kind: type[BaseModel], answer: Callable[[Any], dict[str, Any]]) -> Route:
    """A POST route, whose content is validated as ``kind`` first."""

    async def handle(request: Request) -> Response:
        try:
            asked = kind.model_validate(json.loads(await request.body()), strict=False)
        except (ValidationError, ValueError, RecursionError):
            raise Refused(400, "this request is not understood; load the page again") from None
        return await json_of(answer, asked)

    return Route(path, handle, methods=["POST"])


async def json_of(function: Callable[..., dict[str, Any]], *arguments: Any) -> Response:
    """What a function returns in a thread, as JSON."""
    return JSONResponse(await run_in_threadpool(function, *arguments))


def number_of(request: Request) -> int:
    """The number of the video in the path."""
    return int(request.path_params["number"])


def annotator_of(request: Request) -> str:
    """Who asks.

    Raises: Refused if it is no name.
    """
    try:
        return plain_name(request.query_params.get("annotator", ""))
    except ValueError:
        raise Refused(400, "who decides? an annotator needs a name") from None


async def refused(request: Request, error: Exception) -> Response:
    """The answer to what was refused."""
    assert isinstance(error, Refused)
    return JSONResponse({"error": error.text}, status_code=error.status)


async def not_found(request: Request, error: Exception) -> Response:
    """The answer to what is not there."""
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": "not found"}, status_code=error.status_code)
