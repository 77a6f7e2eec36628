"""The site of docs/: built strictly, complete, and without anything from the network."""

import doctest
import re
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin

import pytest
import typer
from mkdocs.commands.build import build
from mkdocs.config import load_config
from website import docstrings, links, navigation, options

import mmad
from mmad.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parents[1]


LINK = re.compile(r'<a [^>]*?href="([^"]+)"')
LOADED = re.compile(r'<(?:link|script|img|source|iframe) [^>]*?(?:src|href)="([^"]+)"')


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; a warning, such as a broken link or anchor, fails."""
    folder = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_MKDOCS_2_WARNING", "1")
        build(load_config(str(ROOT / "mkdocs.yml"), strict=True, site_dir=str(folder)))
    return folder


@pytest.mark.slow
def test_every_page_is_reachable_and_loads_nothing_from_elsewhere(site: Path) -> None:
    waiting = [site / "index.html"]
    seen = set(waiting)
    while waiting:
        page = waiting.pop()
        html = page.read_text(encoding="utf-8")
        assert not [x for x in LOADED.findall(html) if re.match(r"(https?:)?//", x)], page
        for link in set(LINK.findall(html)):
            place = unquote(urldefrag(urljoin(f"/{page.relative_to(site).as_posix()}", link)).url)
            if re.match(r"[a-z]+:|//", place):
                continue
            target = site / place.lstrip("/")
            target = target / "index.html" if target.is_dir() else target
            assert target.is_file(), f"{page.relative_to(site)} links to {link}"
            if target.suffix == ".html" and target not in seen:
                seen.add(target)
                waiting.append(target)
    assert {page for page in site.rglob("*.html") if page.name != "404.html"} == seen


@pytest.mark.parametrize("command", COMMANDS)
def test_one_page_has_every_option_of_a_command(command: str) -> None:
    pages = [page.read_text(encoding="utf-8") for page in (ROOT / "docs").rglob("*.md")]
    assert sum(options.commands_of(page).count(command) for page in pages) == 1
    shown = options.insert(f"<!-- options of mmad {command} -->")
    for name, each in options.all_of(command):
        assert f"mmad {name} " in shown
        for parameter in options.parameters(each):
            names = parameter.opts if parameter.opts[0][0] == "-" else [parameter.metavar or ""]
            assert names[0].strip("[].") in shown


def test_the_python_page_has_every_public_name() -> None:
    page = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^::: mmad\.(\w+)$", page, re.MULTILINE)) == set(mmad.__all__) - {
        "__version__"
    }


def test_an_unknown_command_is_an_error() -> None:
    with pytest.raises(KeyError, match="detetc"):
        options.insert("<!-- options of mmad detetc -->")


def test_hidden_options_are_left_out() -> None:
    app = typer.Typer(add_completion=False)

    @app.command()
    def main(shown: int = 1, hidden: int = typer.Option(1, hidden=True)) -> None: ...

    names = [each.opts[0] for each in options.parameters(typer.main.get_command(app))]
    assert names == ["--shown"]


def test_links_in_code_stay_as_they_are() -> None:
    page = "see [data](../LICENSE)\n```\n[x](../LICENSE)\n```\n`[y](../LICENSE)`\n"
    changed = links.rewrite(page, "docs/eval.md")
    assert changed.count("repository/LICENSE") == 1
    assert changed.count("../LICENSE") == 2


@pytest.mark.parametrize(
    "module", [docstrings, links, navigation, options], ids=lambda module: module.__name__
)
def test_examples_in_the_scripts(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]
