"""``mmad elan``: mmad as a recogniser of ELAN."""

import typer

from mmad.cli.elan.install import install_recogniser
from mmad.cli.elan.recogniser import recogniser

app = typer.Typer(
    help="Detect from within ELAN: install the recogniser, and be it.",
    no_args_is_help=True,
    add_completion=False,
)
app.command(name="install")(install_recogniser)
app.command(name="recogniser", hidden=True)(recogniser)
