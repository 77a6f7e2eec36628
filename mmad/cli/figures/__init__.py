"""``mmad figures``: the figures of papers as files."""

import difflib
from typing import Any

import typer
from typer.core import TyperGroup

from mmad.cli.figures.data import class_ratio, durations, label_tree
from mmad.cli.figures.detectors import (
    detections,
    false_negatives,
    false_positives,
    sensitivity,
)
from mmad.cli.figures.emotions import emotion_confusion, emotion_shares, emotions
from mmad.cli.figures.recognisers import (
    coefficients,
    confusion,
    features,
    probabilities,
    saliency,
)
from mmad.cli.figures.videos import samples, temporal_gradient
from mmad.errors import MmadError

# Other names of a kind, or where else it is.
_ELSEWHERE = {
    "lambda": "mmad figures coefficients",
    "tree": "mmad figures label-tree",
    "tsne": "mmad figures features",
    "t-sne": "mmad figures features",
}


class _Kinds(TyperGroup):
    """A group that names the kind nearest to an unknown one."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        # Not during shell completion, whose command line may be incomplete.
        if args and args[0] not in self.commands and not ctx.resilient_parsing:
            near = difflib.get_close_matches(args[0], self.commands, n=1, cutoff=0.5)
            hint = f"did you mean 'mmad figures {near[0]}'?" if near else ""
            if args[0].lower() in _ELSEWHERE:
                hint = f"did you mean '{_ELSEWHERE[args[0].lower()]}'?"
            hint = hint or "expected one of " + ", ".join(self.commands)
            raise MmadError(f"there is no figure '{args[0]}'; {hint}")
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=_Kinds,
    help="Draw a figure for a paper: PDF, PNG or SVG, with a CSV of what it shows.",
    no_args_is_help=True,
    add_completion=False,
)
for command in (
    *(temporal_gradient, samples),
    *(class_ratio, durations, label_tree),
    *(detections, false_positives, false_negatives, sensitivity),
    *(probabilities, features, confusion, coefficients, saliency),
    *(emotions, emotion_confusion, emotion_shares),
):
    app.command()(command)
