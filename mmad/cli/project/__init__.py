"""``mmad project``: make, describe and export the project of a study."""

import typer

from mmad.cli.project.add import add
from mmad.cli.project.blind import blind
from mmad.cli.project.export import export
from mmad.cli.project.methods import methods
from mmad.cli.project.new import new
from mmad.cli.project.quality import quality
from mmad.cli.project.show import show

app = typer.Typer(
    help="Make a project: the videos of a study, what models found, what people decided.",
    no_args_is_help=True,
    add_completion=False,
)
for command in (new, show, add, blind, quality, export, methods):
    app.command()(command)
