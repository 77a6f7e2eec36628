"""Options shared by several commands, each with one type and one help text."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from mmad.evaluation.detection import Level

LevelOption = Annotated[Level, typer.Option(help="Classes that are scored.")]
# Those of `PROTOCOLS`, which is imported by the commands that score.
ProtocolOption = Annotated[
    Literal["mma52", "opentad", "actionformer"],
    typer.Option(help="Evaluation protocol; see docs/eval.md."),
]
AnnotationsOption = Annotated[
    list[Path] | None, typer.Option(help="Annotation file; default: those of the run.")
]
SubsetOption = Annotated[str, typer.Option(help="Subset of the annotations.")]
RunSubsetOption = Annotated[
    str | None,
    typer.Option(help="Subset of the annotations; default: that of the run, else val."),
]
StrictOption = Annotated[
    bool,
    typer.Option("--strict", help="Refuse reversed and empty rows instead of scoring them."),
]
OnlyPredictedOption = Annotated[
    bool,
    typer.Option("--only-predicted", help="Leave out annotated videos without predictions."),
]
LabelsOption = Annotated[
    str | None,
    typer.Option(
        metavar="<auto|ma52|file|FILE>",
        help="The 52 micro-actions, the labels of the file itself, those in a label file, or new "
        "names in a CSV with the columns from and to; default: as in the run, else by the file.",
    ),
]
OutOfVideoOption = Annotated[
    Literal["error", "clip", "drop"] | None,
    typer.Option(
        help="An annotation that is not inside its video: an error, cut at its ends, or "
        "left out; default: as in the run, else error."
    ),
]
TierOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Tier of ELAN files, or a pattern such as 'gesture*'; repeat for more. Default: all.",
    ),
]
TierTypeOption = Annotated[
    list[str] | None,
    typer.Option(metavar="TYPE", help="Linguistic type of tiers of ELAN files, or a pattern."),
]
LanguageOption = Annotated[
    str | None,
    typer.Option(help="Language of multilingual vocabularies of ELAN files, such as eng."),
]
TiouOption = Annotated[str, typer.Option(help="Thresholds: a number, a list 0.3,0.5 or a range.")]
BootstrapOption = Annotated[
    int, typer.Option(min=0, help="Resamples for the intervals over videos; 0: none.")
]
ResampleSeedOption = Annotated[int, typer.Option(min=0, help="Seed of the resamples.")]
JsonOption = Annotated[Path | None, typer.Option("--json", help="Also write the numbers here.")]
DeviceOption = Annotated[
    str,
    typer.Option(metavar="<auto|cpu|cuda|cuda:N>", help="auto: a GPU if there is one, else cpu."),
]
MaxMissingOption = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        max=1.0,
        help="Share of missing or damaged frames above which a video fails; default: the run's.",
    ),
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Redo finished files.")]

OverridesArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="key.sub=value", help="Change single settings of the config."),
]
# An earlier spelling of the same.
SetOption = Annotated[list[str] | None, typer.Option("--set", hidden=True)]

RunArgument = Annotated[Path, typer.Argument(help="Run folder or hub id of a trained model.")]
RecogniserOption = Annotated[
    Path, typer.Option(help="Run folder or hub id of a trained recogniser.")
]

_OVERRIDE = re.compile(r"[a-z_]\w*(\.\w+)*=.*", re.DOTALL)


def split_overrides(words: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """Arguments that are files, and those that are overrides, ``key.sub=value``.

    >>> files, overrides = split_overrides([Path("videos"), Path("data.image_size=96")])
    >>> len(files), overrides
    (1, ['data.image_size=96'])
    """
    overrides = [str(w) for w in words if _OVERRIDE.fullmatch(str(w)) and not w.exists()]
    return [word for word in words if str(word) not in overrides], overrides
