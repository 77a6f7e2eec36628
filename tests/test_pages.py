"""The README and the docs as a whole: pages are found, links lead somewhere, prose is wrapped."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
WIDTH = 120


def prose_of(page: Path) -> list[str]:
    """Lines outside of blocks of code."""
    text = page.read_text(encoding="utf-8")
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL).splitlines()


def anchors_of(page: Path) -> set[str]:
    """Anchors of the headings of a page, as GitHub makes them."""
    headings = [line.lstrip("#").strip() for line in prose_of(page) if line.startswith("#")]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_index_links_every_page() -> None:
    docs = ROOT / "docs"
    links = re.findall(
        r"^- \[.+?\]\(([^)]+)\)", (docs / "index.md").read_text("utf-8"), re.MULTILINE
    )
    pages = [page.relative_to(docs).as_posix() for page in docs.rglob("*.md")]
    pages += [page.relative_to(docs).as_posix() for page in docs.rglob("*.ipynb")]
    assert sorted([*links, "index.md"]) == sorted({*pages, *(x for x in links if x[:3] == "../")})
    assert "(docs/index.md)" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", "\n".join(prose_of(page))):
        place, _, anchor = link.partition("#")
        target = page.parent / place if place else page
        assert target.exists(), f"{page.name}: there is no {place}"
        if anchor and target.suffix == ".md":
            assert anchor in anchors_of(target), f"{page.name}: {target.name} has no #{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_prose_is_wrapped(page: Path) -> None:
    """Tables cannot be wrapped, output in blocks of code need not be."""
    long = [line for line in prose_of(page) if len(line) > WIDTH and not line.startswith("|")]
    assert not long, f"{page.name}: wrap at {WIDTH} characters: {long[0]}"
