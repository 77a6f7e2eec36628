"""Requests as the page of `mmad review` sends them."""

import json
from typing import Any

from support.asgi import Answer, ask

TOKEN, PORT = "a-token", 8000
HOST = f"127.0.0.1:{PORT}"


def asked(app: Any, method: str, path: str, content: Any = None, **changed: str | None) -> Answer:
    """The answer to a request of the page; a header that is None is left out.

    Args:
        app: Application.
        method: GET or POST.
        path: Path with its query.
        content: Of a POST; bytes, or what becomes JSON.
        changed: Headers, with underscores for dashes.
    """
    headers: dict[str, str | None] = {
        "host": HOST,
        "cookie": f"mmad_review_{PORT}={TOKEN}",
        "sec-fetch-site": "same-origin",
    }
    body = b""
    if method == "POST":
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        headers |= {
            "origin": f"http://{HOST}",
            "content-type": "application/json",
            "content-length": str(len(body)),
        }
    headers |= {name.replace("_", "-"): value for name, value in changed.items()}
    given = [(name, value) for name, value in headers.items() if value is not None]
    return ask(app, method, path, headers=given, content=body)
