"""A notebook as a page of the site, with the outputs that are stored in it."""

import base64
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Page:
    """Markdown, and the pictures it shows, by the ending of their names."""

    markdown: str
    pictures: dict[str, bytes] = field(default_factory=dict)


def to_page(notebook: Path) -> Page:
    """The notebook as Markdown.

    Raises: ValueError if a stored output is an error.
    """
    content = json.loads(notebook.read_text(encoding="utf-8"))
    pictures: dict[str, bytes] = {}
    blocks = []
    for cell in content["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            blocks.append(source)
            continue
        blocks.append(f"```python\n{source}\n```")
        for output in cell["outputs"]:
            blocks.append(_output(output, notebook, pictures))
    title, *rest = blocks
    link = f'<a href="../{notebook.name}" download>Download this page as a notebook</a>'
    return Page("\n\n".join([title, link, *filter(None, rest)]) + "\n", pictures)


def _output(output: dict[str, Any], notebook: Path, pictures: dict[str, bytes]) -> str:
    if output["output_type"] == "error":
        raise ValueError(f"{notebook}: holds an error: {output['ename']}: {output['evalue']}")
    if output["output_type"] == "stream":
        return _text("".join(output["text"]))
    data = output["data"]
    if "image/png" in data:
        ending = f"{len(pictures) + 1}.png"
        pictures[ending] = base64.b64decode("".join(data["image/png"]))
        return f"![Output]({notebook.stem}-{ending})"
    if "text/html" in data:
        # A blank line would end the block of HTML.
        html = re.sub(r"\n\s*\n", "\n", "".join(data["text/html"]).strip())
        return f'<div class="notebook-output">\n{html}\n</div>'
    return _text("".join(data.get("text/plain", "")))


def _text(text: str) -> str:
    return f"```text\n{text.rstrip()}\n```" if text.strip() else ""
