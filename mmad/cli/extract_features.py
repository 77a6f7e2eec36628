"""``mmad extract-features``: what a backbone says of videos, on disk."""

import contextlib
import json
import time
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import torch.distributed as dist
import typer
from pydantic import ValidationError

from mmad.cli._copies import video_files
from mmad.cli._next_command import new_run, tell_next
from mmad.cli._notices import tell_notices
from mmad.cli._options import DeviceOption, MaxMissingOption, SetOption, split_overrides
from mmad.cli.features import describe_file
from mmad.config.features import ExtractionSettings
from mmad.config.reading import load_any_config
from mmad.config.run import DetectionRun
from mmad.data.features.files import FeatureFile
from mmad.data.features.parts import FeatureParts
from mmad.engine.detection import read_data
from mmad.engine.distributed import choose_device, share_of_process
from mmad.engine.features.backbone import open_backbone
from mmad.engine.features.extraction import Extracted, extract_parts
from mmad.engine.features.plan import describe_features, plan_clips
from mmad.engine.loop import choose_precision
from mmad.engine.runs.folder import RunFolder
from mmad.errors import (
    RESUME_HINT,
    ConfigError,
    MmadError,
    VideoError,
    raise_problems,
    told_if_interrupted,
)
from mmad.files import check_output_file
from mmad.progress import Progress
from mmad.video.find import video_id_of
from mmad.video.index import announced_frames
from mmad.video.reading import notices
from mmad.wording import count

app = typer.Typer(add_completion=False)

# What ``--norm`` calls them -> ``backbone.final_norm``.
_FINAL_NORMS = {"none": "false", "tokens": "true", "pooled": "pooled"}


@app.command()
def extract_features(
    source: Annotated[Path, typer.Argument(help="Config, or run folder of a trained model.")],
    videos: Annotated[
        list[Path],
        typer.Argument(
            help="Video files and folders of them; key.sub=value changes a setting of the config."
        ),
    ],
    out: Annotated[Path, typer.Option(help="HDF5 file to write or to complete.")],
    change: SetOption = None,
    window: Annotated[
        int | None, typer.Option(help="Frames of a window; without it, dense features.")
    ] = None,
    stride: Annotated[int | None, typer.Option(help="Frames from one window to the next.")] = None,
    spatial: Annotated[
        str, typer.Option(help="pooled, tokens, or a number n for a grid of n x n cells.")
    ] = "pooled",
    before_block: Annotated[
        int | None, typer.Option(help="Tokens as they enter this block, from 0.")
    ] = None,
    dtype: Annotated[
        Literal["float32", "float16"], typer.Option(help="Type of the stored numbers.")
    ] = "float32",
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"], typer.Option(help="Precision of the computation.")
    ] = "auto",
    fps: Annotated[
        str | None,
        typer.Option(
            metavar="RATE|own",
            help="Rate to resample videos to, or own for each video's own; default: the run's.",
        ),
    ] = None,
    norm: Annotated[
        Literal["none", "tokens", "pooled"] | None,
        typer.Option(help="Last norm: of tokens, or of pooled vectors; default: the config's."),
    ] = None,
    max_missing: MaxMissingOption = None,
    block_clips: Annotated[
        int | None, typer.Option(min=1, help="Clips computed at once; 8 on a CPU, 64 on a GPU.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=0, help="Processes that decode ahead; 0 on a CPU, 8 beside a GPU."),
    ] = None,
    share: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="Extract the I-th of N shares; automatic under torchrun."),
    ] = None,
    random_weights: Annotated[
        bool, typer.Option("--random-weights", help="Allow random weights (for testing).")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Make features again that are in --out.")
    ] = False,
    device: DeviceOption = "auto",
) -> None:
    """Write the features of videos; an interrupted extraction resumes where it stopped."""
    rank, num_shares = parse_share(share) if share is not None else share_of_process()
    change = list(change or [])
    if max_missing is not None:
        change.append(f"data.max_missing={max_missing}")
    if norm is not None:
        change.append(f"backbone.final_norm={_FINAL_NORMS[norm]}")
    settings = extraction_settings(
        window=window,
        stride=stride,
        spatial=int(spatial) if spatial.isascii() and spatial.isdigit() else spatial,
        before_block=before_block,
        dtype=dtype,
    )
    paths, overrides = split_overrides(videos)
    files = named_videos(video_files(paths))
    check_output_file(out)
    processor = choose_device(device, rank=rank)
    backbone = open_backbone(
        source, device=processor, change=[*change, *overrides], random=random_weights
    )
    settings = settings.model_copy(update={"fps": extraction_rate(fps, usual=backbone.fps)})
    layout = plan_clips(
        backbone, settings, block_clips=block_clips or (64 if processor.type == "cuda" else 8)
    )
    number = choose_precision(precision, processor)
    manifest = describe_features(backbone, settings, layout=layout, precision=number)
    parts = FeatureParts(out, manifest, files, share=(rank, num_shares), overwrite=overwrite)
    mine = parts.begin()
    there = count(len(parts.share) - len(mine), "part")
    typer.echo(f"{count(len(mine), 'video')} to do, {there} there; {backbone}")
    # Processes of torchrun wait for each other, for it stops all when one ends with an error.
    together = share is None and num_shares > 1
    if together:
        dist.init_process_group("gloo", timeout=timedelta(days=30))
    began = time.perf_counter()
    total = sum(announced_frames(path) for _, path in mine)
    quiet = together and rank > 0
    with (
        told_if_interrupted(RESUME_HINT),
        Progress("extract", total=total, unit="frames", quiet=quiet) as progress,
    ):
        done = extract_parts(
            mine,
            parts,
            backbone,
            settings,
            layout=layout,
            precision=number,
            num_workers=(8 if processor.type == "cuda" else 0) if workers is None else workers,
            progress=progress.update,
        )
    tell(done, seconds=time.perf_counter() - began)
    if together:
        dist.barrier()
    if not together or rank == 0:
        join(parts)
        if parts.out.is_file():
            tell_next(*_what_next(source, out=out, extracted=set(FeatureFile(out).video_ids())))
    if together:
        dist.barrier()
        dist.destroy_process_group()
    raise_problems(
        VideoError, source="extract-features", problems=[item.message for item in done.failed]
    )


def _what_next(source: Path, *, out: Path, extracted: set[str]) -> list[object]:
    """A training, if the videos that ``source`` was or would be trained on have features now."""
    config = load_any_config(RunFolder(source).config if source.is_dir() else source)
    # Whatever is wrong with annotations is no matter of this command.
    with contextlib.suppress(MmadError):
        if isinstance(config, DetectionRun) and config.data.labels == "ma52":
            subsets = ("train", config.data.val_subset)
            records = read_data(config)[0].records
            wanted = {one.video_id for one in records if one.subset in subsets}
            if wanted and wanted <= extracted:
                paths = json.dumps(config.data.annotations)
                places = (f"data.features={out}", f"data.annotations={paths}")
                run = ("--out", new_run("features"))
                return ["train", "configs/features/actionformer.yaml", *places, *run]
    return ["features", "inspect", out]


def parse_share(text: str) -> tuple[int, int]:
    """Number from 0 and count of a share written as ``I/N``, from 1.

    Raises: ConfigError if it is no share.

    >>> parse_share("2/8")
    (1, 8)
    """
    first, _, second = text.partition("/")
    if not (first.isdigit() and second.isdigit() and 1 <= int(first) <= int(second)):
        raise ConfigError(f"--share {text}: expected I/N with I from 1 to N, such as 2/8")
    return int(first) - 1, int(second)


def extraction_rate(text: str | None, *, usual: float | None) -> float | None:
    """The rate that videos are resampled to; None for each video's own.

    Raises: ConfigError if it is no rate.

    >>> extraction_rate("25", usual=30.0), extraction_rate(None, usual=30.0)
    (25.0, 30.0)
    """
    if text is None or text == "own":
        return usual if text is None else None
    try:
        fps = float(text)
    except ValueError:
        fps = 0.0
    if not 0 < fps <= 1000:
        raise ConfigError(f"--fps {text}: expected frames per second up to 1000, or own")
    return fps


def extraction_settings(**given: Any) -> ExtractionSettings:
    """The settings that the options say.

    Raises: ConfigError if they are impossible.
    """
    mode: Literal["dense", "windows"] = "dense"
    if given["window"] is not None or given["stride"] is not None:
        mode = "windows"
    try:
        return ExtractionSettings(mode=mode, **given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0]).replace("_", "-") if first["loc"] else None
        message = first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"--{name}: {message}" if name else message) from None


def named_videos(files: list[Path]) -> list[tuple[str, Path]]:
    """Id and path of each video, sorted.

    Raises: VideoError if two would have the same id.
    """
    by_id: dict[str, Path] = {}
    for path in files:
        video_id = video_id_of(path)
        if video_id in by_id and by_id[video_id].resolve() != path.resolve():
            raise VideoError(
                f"{by_id[video_id]} and {path} would both be video '{video_id}'; give them "
                "different names"
            )
        by_id[video_id] = path
    return sorted(by_id.items())


def tell(done: Extracted, *, seconds: float) -> None:
    """Say what was done."""
    tell_notices(notices(done.read))
    if done.written:
        rate = done.num_frames / max(seconds, 1e-9)
        typer.echo(
            f"{count(len(done.written), 'video')}, {count(done.num_frames, 'frame')} in "
            f"{seconds:.1f} s ({rate:.1f} frames/s)"
        )


def join(parts: FeatureParts) -> None:
    """Join the parts if all of them are there, and say so."""
    if not parts.join():
        typer.echo(f"{parts.folder}: waits for the other shares")
    elif parts.out.is_file():
        typer.echo(describe_file(parts.out))
