"""The last line of a command: the next command, ready to be copied."""

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import typer


def tell_next(*words: object) -> None:
    """Print the command line ``mmad`` and ``words``, quoted for a shell.

    A path that looks like an option is written as one in this folder: ``./-a.mp4``.
    """
    plain = [
        f"./{word}" if isinstance(word, Path) and str(word).startswith("-") else str(word)
        for word in words
    ]
    typer.echo("next: " + shlex.join(["mmad", *plain]))


@contextmanager
def hint_to_resume(command: str, folder: Path, *, device: str) -> Iterator[None]:
    """Adds to an interruption the command that resumes the training of a run folder."""
    try:
        yield
    except KeyboardInterrupt as stop:
        if (folder / "last.pt").is_file():
            # With the run's own settings, so that no option of this call can be forgotten.
            config = str(folder / "config.yaml")
            words = ["mmad", command, config, "--out", str(folder), "--resume"]
            words += [] if device == "auto" else ["--device", device]
            stop.add_note(f"the last checkpoint is kept; to resume: {shlex.join(words)}")
        raise


def annotations_flags(paths: str | Path | Sequence[str | Path]) -> list[str]:
    """``--annotations`` for each file."""
    several = [paths] if isinstance(paths, str | Path) else paths
    return [word for path in several for word in ("--annotations", str(path))]


def judging_flags(annotations: Sequence[Path] | None, **options: str | bool | None) -> list[str]:
    """The options on what predictions are scored against; None and False are left out.

    >>> judging_flags([Path("a.json")], subset="val", only_predicted=True, labels=None)
    ['--annotations', 'a.json', '--subset', 'val', '--only-predicted']
    """
    flags = [] if annotations is None else annotations_flags(annotations)
    for name, value in options.items():
        if value:
            option = f"--{name.replace('_', '-')}"
            flags += [option] if value is True else [option, str(value)]
    return flags


def new_run(name: str) -> Path:
    """A run folder that does not exist yet."""
    numbered = (Path("runs") / f"{name}{ending}" for ending in ("", *map(str, range(2, 1000))))
    return next(folder for folder in numbered if not folder.exists())


def train_words(videos: Path, *, originals: Sequence[Path] = ()) -> list[object]:
    """Command words of a training on a folder of videos.

    With the annotations beside that folder or beside that of the original videos, as `mmad
    synthesize` writes them; otherwise the words show the settings, to be completed.
    """
    for folder in (videos, *originals):
        annotations = folder.parent / "annotations" / "mma52.json"
        if annotations.is_file():
            places = (f"data.annotations={annotations}", f"data.videos={videos}")
            return ["train", "configs/demo.yaml", *places, "--out", new_run("demo")]
    return ["train", "configs/dsta_videomae_s.yaml", f"data.videos={videos}", "--show-config"]
