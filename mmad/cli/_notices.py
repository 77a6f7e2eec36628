"""Notices about the files that a command has read."""

from collections.abc import Iterable

import typer


def tell_notices(notices: Iterable[str]) -> None:
    """Print each notice on standard error, so that piped output is unaffected."""
    for notice in notices:
        typer.echo(f"notice: {notice}", err=True)
