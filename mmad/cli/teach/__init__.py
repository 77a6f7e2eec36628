"""``mmad teach``: learn from the decisions in a project, and suggest anew."""

import typer

from mmad.cli.teach.learn import teach

app = typer.Typer(add_completion=False)
app.command(name="teach")(teach)
