"""Self-contained HTML pages: numbers as JSON, drawn by the scripts of ``page/``."""

import html
import json
import os
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from string import Template
from urllib.parse import quote

from mmad.files import finite, path_from, write_text


def write_page(
    path: Path, *, body: str, title: str, content: object, scripts: Sequence[str]
) -> None:
    """Write one HTML file without external resources.

    Args:
        path: Path of the HTML file.
        body: File in ``page/`` with the content of the shared frame; it has $title, and $screen,
            where a video is shown.
        title: Title of the page; escaped.
        content: JSON values; NaN becomes null.
        scripts: Files in ``page/``, in order.
    """
    page = resources.files("mmad.report") / "page"
    # "</script>" in a name must not end the script around it.
    text = json.dumps(finite(content), separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    text = text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")

    def part(name: str) -> str:
        return (page / name).read_text(encoding="utf-8")

    escaped = html.escape(title)
    written = Template(part("frame.html")).substitute(
        title=escaped,
        style=part("style.css"),
        body=Template(part(body)).substitute(title=escaped, screen=part("screen.html")),
        content=text,
        script="\n".join(map(part, scripts)),
    )
    write_text(path, written)


def links_from(videos: Mapping[str, Path], *, folder: Path) -> dict[str, str]:
    """Address of each video as seen from the page."""
    links = {}
    for video_id, file in videos.items():
        relative = path_from(folder, file)
        links[video_id] = quote(os.fsencode(relative)) if relative else file.resolve().as_uri()
    return links
