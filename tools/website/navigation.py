"""The navigation of the site: the lists of docs/index.md, so that a page is named in one place."""

import re

from website.links import rewrite_target

_LINK = re.compile(r"^[-*] \[(?P<title>[^\]]+)\]\((?P<target>[^)#:]+)\)", re.MULTILINE)


def read(index: str) -> list[dict[str, object]]:
    """Sections (second-level headings) with the pages of their lists.

    >>> read("# mmad\\n## Start\\n- [Five minutes](start.md): try it\\n")
    [{'Start': [{'Overview': 'index.md'}, {'Five minutes': 'start.md'}]}]
    """
    sections: list[dict[str, object]] = []
    for section in re.split(r"^## ", index, flags=re.MULTILINE)[1:]:
        name = section.split("\n", 1)[0].strip()
        pages: list[object] = [
            {match["title"].replace("`", ""): rewrite_target(match["target"], "docs/index.md")}
            for match in _LINK.finditer(section)
        ]
        if pages:  # the first section begins with the start page
            sections.append({name: pages if sections else [{"Overview": "index.md"}, *pages]})
    return sections
