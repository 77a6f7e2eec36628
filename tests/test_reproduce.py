"""docs/reproduce.md: its commands, configs, benchmarks and modules exist, and every table and
figure of the four papers has a row.
"""

import importlib
import re
import shlex
from pathlib import Path

import pytest
import typer

from mmad.cli.main import COMMANDS
from mmad.config.reading import find_config
from support.commands import run_mmad

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "reproduce.md").read_text(encoding="utf-8")
NOT_THERE = re.compile(r"`([^`]+)` \(not there yet\)")
SPANS = list(dict.fromkeys(re.findall(r"`([^`\n]+)`", TEXT)))
LINES = re.findall(r"^\$ (.+)$", TEXT, flags=re.MULTILINE)
CALLS = [span for span in SPANS if span.startswith("mmad ")] + LINES
TRAINED = [call for call in CALLS if call.startswith("mmad train ") and "/NAME." not in call]
# Tables and figures by paper, in the words of its rows; what is missing is said below.
ROWS = {
    "MMA-52 and DSTA": {"Table": "1 2 3 4", "Fig": "1 2 3 4 5 6 7 8"},
    "MA-52 and MANet": {"Table": "I II III IV V VI VII", "Fig": "1 2 3 4 5 6 7 8 9 10 11"},
    "The winner of 2024": {"Table": "1 2 3 4 5 6", "Fig": ""},
    "MLFE": {"Table": "1 2 3 4", "Fig": "1 2 3 4 5"},
}


def words_of(call: str) -> list[str]:
    """The words after ``mmad``, without the dots of "and so on"."""
    return [word for word in shlex.split(call)[1:] if word != "..."]


@pytest.mark.parametrize("call", CALLS)
def test_the_command_is_understood(call: str) -> None:
    name, *rest = words_of(call)
    assert name in COMMANDS
    module = importlib.import_module(f"mmad.cli.{name.replace('-', '_')}")
    command = typer.main.get_command(module.app)
    if hasattr(command, "commands"):
        assert rest[0] in command.commands
        command, rest = command.commands[rest[0]], rest[1:]
    if rest:  # a name alone is no call
        command.make_context(name, rest).close()


@pytest.mark.slow
@pytest.mark.parametrize("call", TRAINED)
def test_the_config_is_valid(call: str) -> None:
    assert "backbone:" in run_mmad([*words_of(call), "--show-config"]).stdout or "features" in call


@pytest.mark.parametrize("span", [span for span in SPANS if span.endswith(".yaml")])
def test_the_file_of_the_config_exists(span: str) -> None:
    for word in shlex.split(span):
        if word.endswith(".yaml"):
            config = Path("configs", word.removeprefix("configs/"))
            if config.stem == "NAME":  # any of the folder
                assert (ROOT / config.parent).is_dir()
            else:
                assert find_config(config).is_file()


@pytest.mark.parametrize("span", [span for span in SPANS if span.startswith("python -m ")])
def test_the_benchmark_exists_and_knows_its_options(span: str) -> None:
    _, _, module, *words = shlex.split(span)
    source = ROOT / (module.replace(".", "/") + ".py")
    if span in NOT_THERE.findall(TEXT):
        assert not source.is_file(), f"{source.name} is there now: say so in docs/reproduce.md"
        return
    text = source.read_text(encoding="utf-8")
    for option in (word for word in words if word.startswith("--")):
        assert f'"{option}"' in text


@pytest.mark.parametrize("span", [span for span in SPANS if span.startswith("mmad/")])
def test_the_module_exists(span: str) -> None:
    assert (ROOT / span).exists()


@pytest.mark.parametrize("paper", ROWS)
def test_every_table_and_figure_has_a_row(paper: str) -> None:
    section = TEXT.partition(f"**{paper}")[2].partition("\n**")[0]
    shown = {"Table": set[str](), "Fig": set[str]()}
    for first, rest in re.findall(r"^\| (Table|Fig)s?\.? ([\w ,]+)", section, flags=re.MULTILINE):
        for start, end in re.findall(r"([IVX]+|\d+)(?: to ([IVX]+|\d+))?", rest):
            shown[first].add(start)
            assert not end or end.isdigit(), "name each of them"
            shown[first] |= {str(n) for n in range(int(start), int(end) + 1)} if end else set()
    for kind, names in ROWS[paper].items():
        assert not set(names.split()) - shown[kind]
