"""Who may use the page: browsers on this machine that know its token, from no other site."""

import hmac
import secrets
from http import HTTPStatus
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Everything comes from this server; no script, style or frame of the page's own text.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
}
_MOST_BYTES = 64 * 1024
_SAFE = ("GET", "HEAD")


def new_token() -> str:
    """A token that cannot be guessed."""
    return secrets.token_urlsafe(32)


class Guard:
    """Lets through what the page itself asks; the rest is refused with a short text.

    The address that a person opens has the token, which is then kept as a cookie. Requests must be
    to this machine by name (a site whose name was made to point here is refused), and not from
    another site.

    Args:
        app: What is guarded.
        token: The token.
        port: Port of the server.
    """

    def __init__(self, app: ASGIApp, *, token: str, port: int) -> None:
        self._app = app
        self._token = token
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        # Cookies are shared by all ports of a machine.
        self._cookie = f"mmad_review_{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        refused = self._refused(request)
        app: Any = self._app if refused is None else refused

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                headers.setdefault("cache-control", "no-store")
                if refused is None and request.url.path == "/":
                    headers.append("set-cookie", self._new_cookie())
            await send(message)

        await app(scope, receive, send_with_headers)

    def _new_cookie(self) -> str:
        return f"{self._cookie}={self._token}; Path=/; HttpOnly; SameSite=Strict"

    def _refused(self, request: Request) -> Response | None:
        """The answer to a request that is not let through."""
        headers = request.headers
        hosts = headers.getlist("host")
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            return _refusal(HTTPStatus.MISDIRECTED_REQUEST, "wrong host")
        own = {f"http://{host}" for host in self._hosts}
        origin = headers.get("origin")
        if origin is not None and origin not in own:
            return _refusal(HTTPStatus.FORBIDDEN, "wrong origin")
        is_page = request.url.path == "/"
        if not is_page and headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return _refusal(HTTPStatus.FORBIDDEN, "wrong origin")
        given = request.cookies.get(self._cookie, "")
        if is_page and "token" in request.query_params:
            given = request.query_params["token"]
        if not hmac.compare_digest(given.encode(), self._token.encode()):
            text = "wrong token: open the whole address that mmad review has printed"
            return _refusal(HTTPStatus.UNAUTHORIZED, text)
        if request.method in _SAFE:
            return None
        if origin is None:
            return _refusal(HTTPStatus.FORBIDDEN, "wrong origin")
        if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return _refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "expected JSON")
        length = headers.get("content-length", "")
        if not length.isdecimal():
            return _refusal(HTTPStatus.LENGTH_REQUIRED, "expected a length")
        if int(length) > _MOST_BYTES:
            return _refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too long")
        return None


def _refusal(status: HTTPStatus, text: str) -> Response:
    return PlainTextResponse(text, status_code=status)
