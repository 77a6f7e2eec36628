"""``mmad review``: decide about detections on a page in the browser."""

import typer

from mmad.cli.review.page import review

app = typer.Typer(add_completion=False)
app.command(name="review")(review)
