"""``mmad synthesize``: generate a synthetic micro-action data set."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer
from pydantic import ValidationError

from mmad.cli._next_command import new_run, tell_next, train_words
from mmad.errors import ConfigError
from mmad.labels import MA52
from mmad.synthetic.dataset import SynthesisSettings, describe
from mmad.synthetic.dataset import synthesize as make

app = typer.Typer(add_completion=False)

_DEFAULT = SynthesisSettings()


def parse_classes(text: str) -> tuple[int, ...]:
    """Label indices of a list such as ``nodding,B2,19``; "all" is all 52.

    Raises: ConfigError with the unknown one.

    >>> parse_classes("nodding,B2,19")
    (9, 10, 19)
    """
    if text == "all":
        return tuple(range(len(MA52)))
    try:
        return tuple(MA52.index(part) for part in text.split(","))
    except KeyError as error:
        raise ConfigError(f"--classes: {error.args[0]}") from None


@app.command()
def synthesize(
    out: Annotated[Path, typer.Argument(help="Folder to create or to complete.")],
    train: Annotated[int, typer.Option(help="Training videos.")] = _DEFAULT.train,
    val: Annotated[int, typer.Option(help="Validation videos.")] = _DEFAULT.val,
    test: Annotated[int, typer.Option(help="Test videos.")] = _DEFAULT.test,
    clips: Annotated[
        int, typer.Option(help="Training clips of one action; val and test get a quarter.")
    ] = _DEFAULT.clips,
    videos_per_subject: Annotated[
        int, typer.Option(help="About how many videos show one subject.")
    ] = _DEFAULT.videos_per_subject,
    first_subject: Annotated[
        int, typer.Option(help="Number of the first subject; sets with distant numbers share none.")
    ] = _DEFAULT.first_subject,
    seed: Annotated[
        int, typer.Option(help="The same seed gives the same annotations and pixels.")
    ] = _DEFAULT.seed,
    width: Annotated[int, typer.Option(help="Pixels.")] = _DEFAULT.width,
    height: Annotated[int, typer.Option(help="Pixels.")] = _DEFAULT.height,
    fps: Annotated[int, typer.Option(help="Frames per second.")] = _DEFAULT.fps,
    min_seconds: Annotated[float, typer.Option(help="Shortest video.")] = _DEFAULT.min_seconds,
    max_seconds: Annotated[float, typer.Option(help="Longest video.")] = _DEFAULT.max_seconds,
    classes: Annotated[
        str, typer.Option(help="Names, codes or indices, with commas; or all.")
    ] = "all",
    class_weights: Annotated[
        Literal["mma52", "uniform"], typer.Option(help="Long-tailed as published, or equal.")
    ] = _DEFAULT.class_weights,
    emotions: Annotated[
        bool,
        typer.Option("--emotions", help="Give each video an emotion, in its actions and its face."),
    ] = _DEFAULT.emotions,
    domain: Annotated[
        Literal["room", "street", "ward", "studio"],
        typer.Option(help="Place and camera; annotations are the same in all."),
    ] = _DEFAULT.domain,
    noise: Annotated[
        Literal["none", "low", "medium", "high"],
        typer.Option(help="Noise of the sensor and flicker of the lamps."),
    ] = _DEFAULT.noise,
    crf: Annotated[int, typer.Option(help="H.264 quality, lower is better.")] = _DEFAULT.crf,
    workers: Annotated[int, typer.Option(help="Processes.")] = 2,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a set that was made with other settings.")
    ] = False,
) -> None:
    """Generate videos of a person who performs micro-actions, with annotations.

    After an interruption the same command resumes where it stopped.
    """
    values = dict(locals())
    for name in ("out", "workers", "overwrite"):
        values.pop(name)
    values["classes"] = parse_classes(classes)
    try:
        settings = SynthesisSettings.model_validate(values)
    except ValidationError as error:
        lines = [f"--{'-'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise ConfigError("\n".join(lines).replace("_", "-")) from None
    summary = make(out, settings, num_workers=workers, overwrite=overwrite)
    typer.echo(f"{out}: {describe(summary)}")
    lists = out / "annotations"
    if train:
        tell_next(*train_words(out / "videos"))
    elif clips:
        places = [f"data.clips={out / 'clips'}"]
        for name in ("train", "val"):
            places.append(f"data.{name}={json.dumps([str(lists / f'ma52_{name}.txt')])}")
        tell_next("train", "configs/recognition/demo.yaml", *places, "--out", new_run("clips"))
    else:
        tell_next("data", "stats", lists / "mma52.json")
