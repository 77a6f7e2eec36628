"""``mmad pretrain``: pre-train a backbone on videos without labels."""

import typer

from mmad.cli.pretrain.training import pretrain

app = typer.Typer(add_completion=False)
app.command(name="pretrain")(pretrain)
