"""Serving the page on this machine."""

import socket
import webbrowser
from collections.abc import Callable, Mapping
from contextlib import closing, suppress

import uvicorn

from mmad.errors import OutputError
from mmad.projects.project import Project
from mmad.review.access import new_token
from mmad.review.application import application
from mmad.review.media import Media
from mmad.review.session import Session

HOST = "127.0.0.1"


def serve(
    project: Project,
    media: Mapping[int, Media],
    *,
    annotator: str | None = None,
    shows_others: bool = False,
    port: int = 0,
    opens_browser: bool = True,
    tell: Callable[[str], object] = print,
) -> None:
    """Serve the page of a project until Ctrl-C.

    Args:
        project: The project; the caller holds its lock.
        media: What is played for each video.
        annotator: The only person who may decide, or None.
        shows_others: Whether people see the decisions of the others.
        port: Port; 0: a free one.
        opens_browser: Whether to open the page in the browser.
        tell: Called with the address.

    Raises: OutputError if the port is taken.
    """
    listening = _listen(port)
    with listening:
        chosen = int(listening.getsockname()[1])
        token = new_token()
        session = Session(project, media, annotator=annotator, shows_others=shows_others)
        server = uvicorn.Server(
            uvicorn.Config(
                application(session, token=token, port=chosen),
                log_level="warning",
                access_log=False,
                lifespan="off",
                ws="none",
                server_header=False,
                timeout_graceful_shutdown=1,
            )
        )
        address = f"http://{HOST}:{chosen}/?token={token}"
        tell(address)
        if opens_browser:
            with suppress(webbrowser.Error):
                webbrowser.open(address)
        # Sent again by uvicorn once it has shut down.
        with closing(session), suppress(KeyboardInterrupt):
            server.run(sockets=[listening])


def _listen(port: int) -> socket.socket:
    listening = socket.socket()
    try:
        listening.bind((HOST, port))
        # From now on, so that a browser that is faster than the server waits.
        listening.listen()
    except (OSError, OverflowError) as error:
        listening.close()
        reason = getattr(error, "strerror", None) or error
        raise OutputError(
            f"port {port} of this machine cannot be used ({reason}); pass another one, or leave "
            "out --port"
        ) from None
    return listening
