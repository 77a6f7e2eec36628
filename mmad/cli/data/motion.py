"""``mmad data motion``: how much of videos moves, and what a network would compute of it."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from mmad.cli._copies import VideosArgument
from mmad.cli._notices import tell_notices
from mmad.cli.data._options import open_console, write_numbers
from mmad.config.tokens import TokenSettings
from mmad.errors import ConfigError, VideoError, raise_problems
from mmad.names import safe_name
from mmad.progress import tracked
from mmad.video.find import identified_videos

# Imported where they are used: `mmad --help` does not import torch.
if TYPE_CHECKING:
    from mmad.engine.motion import Motion, MotionSettings

_TOKENS = TokenSettings()


def motion(
    videos: VideosArgument,
    out: Annotated[
        Path | None, typer.Option(help="Folder of a film strip of each video, as PNG.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="Config or run folder whose images and tokens are meant; not a size."),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(min=0.0, max=255.0, help="Change above noise, in levels of 255; default 3."),
    ] = None,
    block: Annotated[
        int | None, typer.Option(min=1, help="Side of compared blocks in pixels; default 4.")
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(min=1, help="Side of the images in pixels; default 160.")
    ] = None,
    frames: Annotated[int, typer.Option(min=1, max=64, help="Frames of a film strip.")] = 16,
    numbers: Annotated[
        Path | None, typer.Option("--json", help="Write the shares of all steps to this file.")
    ] = None,
) -> None:
    """Tell how much of VIDEOS moves, and draw what backbone.tokens.keep=moving would compute.

    Bright is computed, dim repeats what was last computed at its place.
    """
    from mmad.engine.motion import measure_motion

    settings = _settings(config, threshold=threshold, block=block, image_size=image_size)
    files = identified_videos(videos)
    found: list[Motion] = []
    failed: list[str] = []
    for name, video in tracked(files.items(), "motion", total=len(files), unit="videos"):
        try:
            one = measure_motion(video, settings, num_shown=frames if out is not None else 0)
        except VideoError as error:
            failed.append(str(error))
            continue
        one = replace(one, name=f"{name}{video.suffix}")
        tell_notices(_notices(one))
        if out is not None:
            _draw(out / f"{safe_name(name)}.png", one, settings)
        found.append(one)
    if found:
        open_console().print(_table(found))
    write_numbers(numbers, [_content(one) for one in found])
    raise_problems(VideoError, source="motion", problems=failed)


def _settings(
    config: Path | None, *, threshold: float | None, block: int | None, image_size: int | None
) -> "MotionSettings":
    """Those of a config, or VideoMAE's; with what options say.

    Raises: ConfigError if they are impossible together.
    """
    from mmad.config.backbones.family import BackboneFamilySettings, taking_tokens
    from mmad.config.backbones.union import usual_backbone
    from mmad.config.data import ImageSettings
    from mmad.config.reading import load_any_config
    from mmad.config.run import FeatureRun
    from mmad.engine.motion import MotionSettings
    from mmad.engine.runs.folder import RunFolder

    images, source = ImageSettings(), "motion"
    backbone: BackboneFamilySettings | None = None
    if config is not None:
        run = load_any_config(RunFolder(config).config if config.is_dir() else config)
        source = str(config)
        if isinstance(run, FeatureRun):
            raise ConfigError(f"{config}: reads stored features; pass the config of their backbone")
        images, backbone = run.data, run.backbone
    backbone = backbone or usual_backbone()
    if not backbone.takes_tokens:
        raise ConfigError(
            f"{source}: its backbone computes all tokens; those that can leave some out: "
            f"{', '.join(taking_tokens())}"
        )
    given: dict[str, Any] = {"threshold": threshold, "block": block}
    update = {name: value for name, value in given.items() if value is not None}
    tokens = backbone.computed_tokens.model_copy(update={"keep": "moving", **update})
    if image_size is not None:
        images = images.model_copy(update={"image_size": image_size})
    problems = [
        *tokens.problems_of_patch(backbone.side_multiple),
        *backbone.problems_of_images(images.image_hw),
    ]
    raise_problems(ConfigError, source=source, problems=problems)
    plain = {name: getattr(images, name) for name in ImageSettings.model_fields}
    return MotionSettings.of(ImageSettings(**plain), backbone, tokens)


def _notices(motion: "Motion") -> list[str]:
    from mmad.video.reading import notices

    told = notices([motion.read])
    if motion.is_much:
        told.append(
            f"{motion.name}: {100 * motion.share:.0f} % of its tokens move; does the camera? "
            "Computing only what moves saves little here"
        )
    return told


def _draw(path: Path, motion: "Motion", settings: "MotionSettings") -> None:
    from mmad.report.figures import save_figure
    from mmad.report.motion import motion_figure

    size = "x".join(str(side) for side in reversed(settings.images.image_hw))
    title = (
        f"{motion.name}: {100 * motion.share:.0f} % of the tokens computed; {size} pixels, "
        f"threshold {settings.tokens.threshold:g} levels above noise of {motion.noise:.1f}"
    )
    figure = motion_figure(
        title,
        [(one.seconds, one.image, one.kept_hw) for one in motion.shown],
        motion.shares_T,
        seconds_per_step=motion.seconds_per_step,
        steps_per_clip=motion.steps_per_clip,
    )
    save_figure(figure, path)


def _table(found: "list[Motion]") -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("video", "seconds", "computed", "least", "most", "noise"):
        table.add_column(name, justify="left" if name == "video" else "right")
    for one in found:
        clips = [
            one.shares_T[first : first + one.steps_per_clip].mean()
            for first in range(0, len(one.shares_T), one.steps_per_clip)
        ]
        shares = (one.share, min(clips), max(clips))
        table.add_row(
            one.name,
            f"{one.seconds:.1f}",
            *(f"{100 * share:.0f} %" for share in shares),
            f"{one.noise:.1f}",
        )
    return table


def _content(motion: "Motion") -> dict[str, Any]:
    return {
        "video": motion.name,
        "share": motion.share,
        "noise": motion.noise,
        "seconds_per_step": motion.seconds_per_step,
        "shares": motion.shares_T.tolist(),
    }
