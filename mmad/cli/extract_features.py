"""``mmad extract-features``: write backbone features to disk."""

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from mmad.cli._copies import video_files
from mmad.cli._extraction import (
    FINAL_NORMS,
    extraction_rate,
)
from mmad.cli._next_command import new_run, tell_next
from mmad.cli._notices import tell_notices
from mmad.cli._options import (
    DeviceOption,
    MaxMissingOption,
    SetOption,
    split_overrides,
)
from mmad.cli._workers import OnOption, ShareOption, chosen_share, chosen_workers
from mmad.config.features import extraction_settings
from mmad.config.reading import load_any_config
from mmad.config.run import DetectionRun
from mmad.data.features.conversion import describe_file
from mmad.data.features.files import FeatureFile
from mmad.data.features.parts import FeatureParts
from mmad.engine.detection import read_data
from mmad.engine.distributed import choose_device, share_of_process
from mmad.engine.features.backbone import open_backbone
from mmad.engine.features.extraction import Extracted
from mmad.engine.features.videos import extract_videos
from mmad.engine.jobs.extraction import UsedBackbone, extract_corpus
from mmad.engine.runs.folder import RunFolder
from mmad.engine.runs.hub import local_run
from mmad.errors import (
    MmadError,
    VideoError,
    raise_problems,
)
from mmad.files import check_output_file
from mmad.video.reading import notices
from mmad.video.records import named_videos
from mmad.wording import count

app = typer.Typer(add_completion=False)


@app.command()
def extract_features(
    source: Annotated[
        Path,
        typer.Argument(help="Config, or run folder or hub id of a trained model."),
    ],
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
        int | None, typer.Option(help="Take the tokens that enter this block, from 0.")
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
        typer.Option(min=0, help="Processes that decode ahead; 0 on a CPU, 8 with a GPU."),
    ] = None,
    share: ShareOption = None,
    on: OnOption = None,
    random_weights: Annotated[
        bool, typer.Option("--random-weights", help="Allow random weights (for testing).")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace features that are in --out.")
    ] = False,
    device: DeviceOption = "auto",
) -> None:
    """Write the features of videos; an interrupted extraction resumes where it stopped."""
    source = local_run(source)
    mine = share_of_process() if share is None and on is None else chosen_share(share, on)
    change = list(change or [])
    if max_missing is not None:
        change.append(f"data.max_missing={max_missing}")
    if norm is not None:
        change.append(f"backbone.final_norm={FINAL_NORMS[norm]}")
    settings = extraction_settings(
        window=window,
        stride=stride,
        spatial=int(spatial) if spatial.isascii() and spatial.isdigit() else spatial,
        before_block=before_block,
        dtype=dtype,
        fps=extraction_rate(fps),
    )
    paths, overrides = split_overrides(videos)
    files = named_videos(video_files(paths))
    check_output_file(out)
    used = UsedBackbone(
        source,
        tuple([*change, *overrides]),
        random_weights,
        settings,
        has_rate=fps is not None,
        device=device,
        precision=precision,
        block_clips=block_clips,
    )

    def tell_begin(parts: FeatureParts, waiting: Sequence[str], of: str = "") -> None:
        there = count(len(parts.mine) - len(waiting), "part")
        typer.echo(f"{count(len(waiting), 'video')} to do, {there} there{of}")

    if on is not None:
        where = chosen_workers(on, gpus=device != "cpu")
        finished = extract_corpus(
            used,
            files,
            out,
            where,
            num_workers=workers,
            overwrite=overwrite,
            on_begin=tell_begin,
        )
    else:
        processor = choose_device(device, rank=mine.index)
        backbone = open_backbone(
            source, device=processor, change=used.change, random=random_weights
        )
        computation = used.computation(backbone)
        parts = FeatureParts(out, computation.manifest, files, share=mine, overwrite=overwrite)
        finished = extract_videos(
            parts,
            computation,
            num_workers=workers,
            rank=mine.index if share is None and mine.count > 1 else None,
            on_begin=lambda waiting: tell_begin(parts, waiting, f"; {backbone}"),
        )
    tell(finished.done, seconds=finished.seconds)
    if finished.is_joined is False:
        typer.echo(f"{out}.parts: waiting for the other shares")
    elif finished.is_joined and out.is_file():
        typer.echo(describe_file(out))
    if finished.is_joined is not None and out.is_file():
        tell_next(*_what_next(source, out=out, extracted=set(FeatureFile(out).video_ids())))
    failed = [one.message for one in finished.done.failed]
    raise_problems(VideoError, source="extract-features", problems=failed)


def _what_next(source: Path, *, out: Path, extracted: set[str]) -> list[object]:
    """Command words of a training, if all videos that ``source`` trains on have features now."""
    config = load_any_config(RunFolder(source).config if source.is_dir() else source)
    # Problems of annotations do not matter to this command.
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


def tell(done: Extracted, *, seconds: float) -> None:
    """Print what was done."""
    tell_notices(notices(done.read))
    if done.written:
        rate = done.num_frames / max(seconds, 1e-9)
        typer.echo(
            f"{count(len(done.written), 'video')}, {count(done.num_frames, 'frame')} in "
            f"{seconds:.1f} s ({rate:.1f} frames/s)"
        )
