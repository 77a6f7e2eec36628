"""Links between the pages, which are written as they are in the repository.

On the site a page of docs/ keeps its place, a notebook becomes a page, and a file outside docs/
lies below ``repository/``.
"""

import posixpath
import re
from pathlib import Path, PurePosixPath

_LINK = re.compile(r"(?P<text>\]\()(?P<target>[^)\s]+)(?P<end>\))")
_CODE = re.compile(r"(^```.*?^```$|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
OUTSIDE = "repository"


def place_in_repository(src_uri: str) -> str:
    """Where the source of a page lies.

    >>> place_in_repository("eval.md"), place_in_repository("repository/README.md")
    ('docs/eval.md', 'README.md')
    """
    inside = src_uri.removeprefix(f"{OUTSIDE}/")
    return inside if inside != src_uri else f"docs/{src_uri}"


def place_on_site(place: PurePosixPath | Path) -> str:
    """Where a file of the repository lies on the site.

    >>> place_on_site(PurePosixPath("docs/eval.md")), place_on_site(PurePosixPath("LICENSE"))
    ('eval.md', 'repository/LICENSE')
    """
    name = place.as_posix()
    if name.startswith("docs/"):
        inside = name.removeprefix("docs/")
        return f"{inside.removesuffix('.ipynb')}.md" if inside.endswith(".ipynb") else inside
    return f"{OUTSIDE}/{name}"


def is_relative(target: str) -> bool:
    """Whether a link leads to a file of the repository."""
    return not re.match(r"[a-z]+:|#|/|<", target)


def rewrite_target(target: str, here: str) -> str:
    """One link of the file ``here``, as it is on the site.

    >>> rewrite_target("../LICENSE", "docs/index.md")
    'repository/LICENSE'
    >>> rewrite_target("../docs/eval.md#ties", "benchmarks/effort.md")
    '../../eval.md#ties'
    """
    if not is_relative(target):
        return target
    path, mark, anchor = target.partition("#")
    place = PurePosixPath(posixpath.normpath(posixpath.join(posixpath.dirname(here), path)))
    start = posixpath.dirname(place_on_site(PurePosixPath(here)))
    return posixpath.relpath(place_on_site(place), start or ".") + mark + anchor


def rewrite(markdown: str, here: str) -> str:
    """All links of the page ``here``; code stays as it is."""

    def of_prose(text: str) -> str:
        return _LINK.sub(lambda m: m["text"] + rewrite_target(m["target"], here) + m["end"], text)

    parts = _CODE.split(markdown)
    return "".join(of_prose(part) if index % 2 == 0 else part for index, part in enumerate(parts))


def _targets(page: Path) -> list[str]:
    prose = _CODE.sub("", page.read_text(encoding="utf-8"))
    return [match["target"].partition("#")[0] for match in _LINK.finditer(prose)]


def outside(root: Path) -> list[Path]:
    """Files outside docs/ that pages link to, and those that they in turn link to."""
    found: dict[Path, None] = {}
    waiting = sorted((root / "docs").rglob("*.md"))
    while waiting:
        page = waiting.pop()
        for target in filter(is_relative, filter(None, _targets(page))):
            place = (page.parent / target).resolve()
            if place.is_file() and place.is_relative_to(root):
                inside = place.relative_to(root)
                if inside.parts[0] != "docs" and inside not in found:
                    found[inside] = None
                    waiting += [place] if place.suffix == ".md" else []
    return sorted(found)
