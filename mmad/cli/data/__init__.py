"""``mmad data``: describe and check a data set, and derive copies of its videos."""

import typer

from mmad.cli.data.check import check
from mmad.cli.data.compare import compare
from mmad.cli.data.convert import convert
from mmad.cli.data.crop import crop
from mmad.cli.data.faces import faces
from mmad.cli.data.flow import flow
from mmad.cli.data.motion import motion
from mmad.cli.data.split import split
from mmad.cli.data.stats import stats

app = typer.Typer(
    help="Describe, check and convert annotations; crop videos and faces, compute optical flow.",
    no_args_is_help=True,
    add_completion=False,
)
for command in (stats, compare, check, convert, crop, faces, flow, motion, split):
    app.command()(command)
