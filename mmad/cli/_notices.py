"""What a user should know of the files that a command read."""

from collections.abc import Iterable

import typer


def tell_notices(notices: Iterable[str]) -> None:
    """Print each notice on standard error, so that output that is piped on stays as it is."""
    for notice in notices:
        typer.echo(f"notice: {notice}", err=True)
