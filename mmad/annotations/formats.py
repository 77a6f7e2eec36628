"""Reading annotations in any of the formats of `format_table`."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmad.annotations.activitynet import write_activitynet_json
from mmad.annotations.attach import attach_subjects, attach_videos
from mmad.annotations.clips.lists import read_clip_list, write_clip_list
from mmad.annotations.elan.choice import ElanChoice
from mmad.annotations.format_table import CLIP_FORMAT, EMOTION_FORMATS, FORMATS, detect_format
from mmad.annotations.labels.changes import LabelChanges, change_raw, join_raw
from mmad.annotations.labels.choice import LabelChoice, choose_labels
from mmad.annotations.mma52 import write_mma52_csv, write_mma52_json
from mmad.annotations.problems import (
    EMPTY_SEGMENT,
    OUTSIDE_VIDEO,
    REVERSED_SEGMENT,
    UNKNOWN_LABEL,
    Problem,
    raise_annotation_problems,
)
from mmad.annotations.subsets import plain_subset
from mmad.annotations.validation import OutOfVideo, RawFile, build_records, merge_raw
from mmad.errors import AnnotationError
from mmad.labels import MA52, LabelMap
from mmad.structures import VideoRecord
from mmad.wording import count

__all__ = [
    "CLIP_FORMAT",
    "EMOTION_FORMATS",
    "FORMATS",
    "AnnotationSet",
    "LabelChoice",
    "attach_subjects",
    "attach_videos",
    "detect_format",
    "read_annotations",
    "read_clip_list",
    "write_activitynet_json",
    "write_annotations_json",
    "write_clip_list",
    "write_mma52_csv",
    "write_mma52_json",
]

_log = logging.getLogger(__name__)

_SUBSETS = ("train", "val", "test")
_SUFFIXES = (
    *(".json", ".eaf", ".boris", ".boris_gz", ".textgrid", ".csv", ".tsv", ".txt", ".xlsx"),
)


@dataclass(frozen=True, eq=False)
class AnnotationSet:
    """The content of annotation files.

    Attributes:
        records: One record per video, in the order of the files.
        labels: Label set that the indices in the records refer to.
        path: File or folder that was read; of several files, the first.
        format: Name in `FORMATS`.
        notices: What was assumed or changed, one sentence each.
        problems: What was left out as invalid; empty unless read with ``strict=False``.
        assumed_lengths: Ids of videos whose duration is not stated, so that the last time was used.
    """

    records: tuple[VideoRecord, ...]
    labels: LabelMap
    path: Path
    format: str
    notices: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    assumed_lengths: frozenset[str] = frozenset()


def read_annotations(
    path: str | Path | Sequence[str | Path],
    *,
    format: str = "auto",
    subsets: Sequence[str] | None = None,
    labels: LabelMap | LabelChoice = "auto",
    out_of_video: OutOfVideo = "error",
    elan: ElanChoice | None = None,
    fps: float | None = None,
    strict: bool = True,
    tell: Callable[[str], object] = _log.warning,
) -> AnnotationSet:
    """The annotated videos of one file, of several files, or of a folder.

    A folder contains any of train.csv, val.csv and test.csv, or else files of one format. Labels
    that differ by case or blanks alone are taken for one, with a notice.

    Args:
        path: File, files or folder of the annotations.
        format: A name in `FORMATS`, or "auto" to detect it.
        subsets: Subsets to keep; all by default. The whole file is checked anyway.
        labels: Label set; "ma52"; "file", the labels of the file itself (its ``classes``, else all
            its names, sorted, over all subsets, else 0 to the highest number); or "auto", which is
            "ma52" for the files of MMA-52 and if most names are micro-actions, else "file".
            Numbers alone are never taken for micro-actions. With `LabelChanges` labels are renamed,
            joined or left out first, and then as "auto".
        out_of_video: An instance that is not fully inside its video, or is empty, is an "error",
            cut ("clip") or left out ("drop"); the last two are counted in a notice.
        elan: Which tiers of ELAN files are read, and in which language.
        fps: Frame rate of the videos, for files without one.
        strict: Whether to raise on any problem; otherwise invalid content is left out and listed
            in ``problems``.
        tell: Called with each notice, unless ``strict`` is off.

    Raises: AnnotationError with all problems of all files; or if there is no such file, format or
    subset.
    """
    if fps is not None and not 0 < fps < float("inf"):
        raise AnnotationError(f"fps must be a number above 0, found {fps}")
    files = find_files(path)
    names = [_name_of_format(file, format=format) for file in files]
    if len(set(names)) > 1:
        found = ", ".join(f"{file.name} ({name})" for file, name in zip(files, names, strict=True))
        raise AnnotationError(f"files read together must have one format, found {found}")
    more = {"choice": elan} if names[0] == "elan" else {}
    raw = merge_raw({file: FORMATS[names[0]].raw(file, fps=fps, **more) for file in files})
    if elan is not None and elan.is_made and not raw.has_chosen_tiers:
        wanted = ", ".join((*elan.tiers, *elan.tier_types))
        found = ", ".join(raw.tiers[:20]) or f"none: a tier is part of an ELAN file, not {names[0]}"
        raise AnnotationError(f"{files[0]}: no tier is or has the type {wanted}; found {found}")
    source = Path(path) if isinstance(path, str | Path) else files[0]
    _tell_unchanged(raw, source=source)
    if isinstance(labels, LabelChanges):
        change_raw(raw, labels, source=source.name)
        labels = "auto"
    if not isinstance(labels, LabelMap):
        join_raw(raw, source=source.name)
    labels, notices = choose_labels(raw, labels, format=names[0], source=source)
    records, problems, mended = build_records(raw, labels=labels, out_of_video=out_of_video)
    notices = (*raw.notices, *notices, *mended)
    if strict:
        _raise_with_advice(source, problems)
        for notice in notices:
            tell(notice)
    return AnnotationSet(
        records=_keep_subsets(records, subsets=subsets, source=source),
        labels=labels,
        path=source,
        format=names[0],
        notices=notices,
        problems=problems,
        assumed_lengths=frozenset(one.video_id for one in raw.videos if one.is_length_assumed),
    )


def write_annotations_json(
    path: str | Path, records: Sequence[VideoRecord], labels: LabelMap
) -> None:
    """Write the JSON of MMA-52 if the labels are its own, else that of ActivityNet."""
    if labels == MA52:
        write_mma52_json(path, records)
    else:
        write_activitynet_json(path, records, labels)


def _tell_unchanged(raw: RawFile, *, source: Path) -> None:
    """Add a notice about files left out as detections alone.

    Raises: AnnotationError if nothing else was read.
    """
    if not raw.unchanged:
        return
    names = ", ".join(path.name for path in raw.unchanged[:5])
    names += ", ..." if len(raw.unchanged) > 5 else ""
    advice = "if they were checked and are right, choose them with --tier 'mmad:*'"
    if not raw.videos and not raw.problems:
        raise AnnotationError(
            f"{source}: only unedited detections ({names}), so there are no "
            f"annotations of a person; correct them in ELAN, or {advice}"
        )
    raw.notices.append(
        f"{count(len(raw.unchanged), 'file')} without annotations of a person left out ({names}): "
        f"only unedited detections; {advice}"
    )


def find_files(path: str | Path | Sequence[str | Path]) -> list[Path]:
    """The annotation files at a path: itself, those of several paths, or of a folder.

    Raises: AnnotationError if a folder has none, or has several that do not belong together.
    """
    if not isinstance(path, str | Path):
        if not path:
            raise AnnotationError("expected at least one annotation file, found an empty list")
        return [file for one in path for file in find_files(one)]
    path = Path(path)
    if not path.is_dir():
        return [path]
    files = [file for subset in _SUBSETS if (file := path / f"{subset}.csv").is_file()]
    if files:
        return files
    found = sorted(file for file in path.iterdir() if file.suffix.lower() in _SUFFIXES)
    found = [file for file in found if not file.name.startswith((".", "~$"))]
    first = {"json": "*.json", "eaf": "*.eaf"}
    for suffix in first:
        files = [file for file in found if file.suffix.lower() == f".{suffix}"]
        if len(files) == 1 or (files and (suffix == "eaf" or _are_of_one_kind(files))):
            return files
        if files:
            break
    else:
        suffixes = {file.suffix.lower() for file in found}
        if found and (len(suffixes) == 1 or _are_of_one_kind(found)):
            return found
    names = ", ".join(file.name for file in found[:20]) or "none of them"
    raise AnnotationError(
        f"{path}: expected a folder with train.csv, val.csv or test.csv, with one JSON "
        f"file, or with ELAN files or others of one format; found {names}; name the file"
    )


def _are_of_one_kind(files: Sequence[Path]) -> bool:
    """Whether files are of one format of which there is often a file for each video."""
    names = {detect_format(file) for file in files}
    return len(names) == 1 and FORMATS[names.pop()].events is not None


def _name_of_format(file: Path, *, format: str) -> str:
    if format != "auto" and format not in FORMATS:
        raise AnnotationError(
            f"unknown annotation format '{format}'; known: auto, {', '.join(FORMATS)}"
        )
    name = detect_format(file) if format == "auto" else format
    kind = FORMATS[name].kind
    if kind == "videos":
        return name
    has = {
        "clips": "a list of clips ({}) has one label per clip and no start and end",
        "emotions": "a list of videos with emotions ({}) has actions without start and end",
        "detections": "detections of a model ({}) are no annotations; to make annotations of them, "
        "use `mmad data convert`",
    }[kind].format(name)
    needed = ", ".join(other for other, entry in FORMATS.items() if entry.kind == "videos")
    raise AnnotationError(f"{file}: {has}; detection needs one of {needed}")


def _raise_with_advice(source: Path, problems: Sequence[Problem]) -> None:
    """Raise `AnnotationError` if there are problems, with the options that solve some of them."""
    kinds = {problem.kind for problem in problems}
    advice = ""
    if kinds & {OUTSIDE_VIDEO, EMPTY_SEGMENT, REVERSED_SEGMENT}:
        advice += (
            "\nto cut instances at the ends of their video, or leave them out, pass --out-of-video "
            "clip or drop (data.out_of_video in a config)"
        )
    if UNKNOWN_LABEL in kinds:
        advice += (
            "\nif these are not micro-actions of MA-52, pass --labels file (data.labels=file in a "
            "config)"
        )
    try:
        raise_annotation_problems(source, problems)
    except AnnotationError as error:
        raise AnnotationError(f"{error}{advice}") from None


def _keep_subsets(
    records: tuple[VideoRecord, ...], *, subsets: Sequence[str] | None, source: Path
) -> tuple[VideoRecord, ...]:
    if subsets is None:
        return records
    wanted = {plain_subset(subset) for subset in subsets}
    found = sorted({record.subset for record in records})
    absent = sorted(wanted.difference(found))
    if absent:
        raise AnnotationError(
            f"{source}: no videos of subset {', '.join(absent)}; found {', '.join(found) or 'none'}"
        )
    return tuple(record for record in records if record.subset in wanted)
