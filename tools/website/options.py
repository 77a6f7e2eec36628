"""Arguments and options of a command as tables, from its Typer app.

A page has them where it says ``<!-- options of mmad COMMAND -->``, which GitHub does not show.
"""

import importlib
import re
from collections.abc import Iterator
from typing import Any

import typer

from mmad.cli.main import COMMANDS

_MARK = re.compile(r"^<!-- options of mmad (?P<command>[\w-]+) -->$", re.MULTILINE)
_DEFAULT = re.compile(r"\s*\[(?P<facts>[^\[\]]*)\]$")


def commands_of(markdown: str) -> list[str]:
    """The commands whose options the page has."""
    return [match["command"] for match in _MARK.finditer(markdown)]


def insert(markdown: str) -> str:
    """The page with the options in place of the marks."""
    return _MARK.sub(lambda match: describe(match["command"]), markdown)


def all_of(command: str) -> list[tuple[str, Any]]:
    """The command, or each of its sub-commands, by name.

    Raises: KeyError if there is no such command.
    """
    if command not in COMMANDS:
        raise KeyError(f"there is no mmad {command}")
    module = importlib.import_module(f"mmad.cli.{command.replace('-', '_')}")
    main = typer.main.get_command(module.app)
    subcommands = getattr(main, "commands", None)
    if subcommands is None:
        return [(command, main)]
    return [(f"{command} {name}", each) for name, each in subcommands.items()]


def describe(command: str) -> str:
    """Everything that ``mmad COMMAND --help`` says, as Markdown."""
    found = all_of(command)
    if len(found) == 1 and found[0][0] == command:
        return f"## Options\n\n{_table(*found[0])}"
    sections = [f"### Options of `mmad {name}`\n\n{_table(name, each)}" for name, each in found]
    return "\n\n".join(["## Options", *sections])


def parameters(command: Any) -> Iterator[Any]:
    """Those that help shows."""
    yield from (each for each in command.params if not getattr(each, "hidden", False))


def _table(name: str, command: Any) -> str:
    context = command.make_context(name, [], resilient_parsing=True)
    usage = " ".join(command.get_usage(context).split()).removeprefix("Usage: ")
    rows = [_row(each, context) for each in parameters(command)]
    lines = [
        (command.help or "").split("\f")[0].strip(),
        "",
        f"```text\nmmad {usage}\n```",
        "",
        "| argument or option | value | what | default |",
        "|---|---|---|---|",
        *rows,
        "",
    ]
    return "\n".join(lines)


def _row(parameter: Any, context: Any) -> str:
    record = parameter.get_help_record(context)
    names, help_text = record if record is not None else (parameter.name, "")
    name, _, value = names.partition(" ")
    facts = _DEFAULT.search(help_text)
    what = help_text[: facts.start()] if facts else help_text
    said = [each.strip() for each in facts["facts"].split(";")] if facts else []
    default, limits = "", []
    for fact in said:
        if fact == "required":
            default = "required"
        elif fact.startswith("default: "):
            default = _code(fact.removeprefix("default: "))
        else:
            limits.append(fact)
    shown = _code(_plain(value)) + (f", {_code(', '.join(limits))}" if limits else "")
    return f"| {_code(name)} | {shown if value else ''} | {_text(what)} | {default} |"


def _plain(value: str) -> str:
    """The kind of a value without brackets around it.

    >>> _plain("<float range>"), _plain("<list[Path]>"), _plain("<a|b>"), _plain("K")
    ('number', 'paths', 'a|b', 'K')
    """
    inner = value.removeprefix("<").removesuffix(">") if value.startswith("<") else value
    return _KINDS.get(inner, inner)


_KINDS = {
    "float": "number",
    "float range": "number",
    "int": "whole number",
    "int range": "whole number",
    "str": "text",
    "Path": "path",
    "list[Path]": "paths",
    "list[str]": "texts",
}


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _text(text: str) -> str:
    """Text in a cell: names of options as code, other marks as they are."""
    safe = text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")
    return re.sub(r"(?<![\w-])(--[a-z][\w-]*)", r"`\1`", safe)
