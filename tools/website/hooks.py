"""Hooks of mkdocs.yml; each subject has a module of its own beside this file."""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mkdocs.structure.files import File, Files, InclusionLevel

from website import links, navigation, notebooks, options

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def on_config(config: Any) -> Any:
    """The navigation, from the lists of the start page."""
    config.nav = navigation.read((DOCS / "index.md").read_text(encoding="utf-8"))
    return config


def on_files(files: Files, *, config: Any) -> Files:
    """Notebooks as pages, and files outside docs/ to which pages link."""
    for notebook in sorted(DOCS.rglob("*.ipynb")):
        name = notebook.relative_to(DOCS).with_suffix("").as_posix()
        page = notebooks.to_page(notebook)
        files.append(File.generated(config, f"{name}.md", content=page.markdown))
        for suffix, content in page.pictures.items():
            files.append(File.generated(config, f"{name}-{suffix}", content=content))
    for place in links.outside(ROOT):
        # Reachable from the page that links to it, so it need not be in the navigation.
        file = File.generated(
            config,
            links.place_on_site(place),
            content=(ROOT / place).read_bytes(),
            inclusion=InclusionLevel.NOT_IN_NAV,
        )
        files.append(file)
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: object) -> str:
    """Links as they are on the site, and the options of the commands of the page."""
    here = links.place_in_repository(page.file.src_uri)
    if page.file.src_uri == "index.md":  # its headings are the tabs above
        page.meta["hide"] = ["toc"]
    return options.insert(links.rewrite(markdown, here))
