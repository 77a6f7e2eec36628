"""Annotation formats: their table, and reading any of them.

A new data set needs a reader (and writer) in a file of its own and a line in `FORMATS`.
"""

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from mmad.annotations.activitynet import read_activitynet_json, write_activitynet_json
from mmad.annotations.attach import attach_subjects, attach_videos
from mmad.annotations.charades import read_charades_csv
from mmad.annotations.clips.lists import (
    CLIP_LINE,
    is_clip_header,
    read_clip_list,
    write_clip_list,
)
from mmad.annotations.ego4d import read_ego4d_json
from mmad.annotations.elan.choice import ElanChoice
from mmad.annotations.elan.reading import read_elan
from mmad.annotations.emotions.lists import is_emotion_header, read_emotions, write_emotions
from mmad.annotations.epic import read_epic_noun_csv, read_epic_verb_csv
from mmad.annotations.mma52 import (
    read_mma52_csv,
    read_mma52_json,
    write_mma52_csv,
    write_mma52_json,
)
from mmad.annotations.problems import (
    EMPTY_SEGMENT,
    OUTSIDE_VIDEO,
    REVERSED_SEGMENT,
    UNKNOWN_LABEL,
    Problem,
    raise_annotation_problems,
)
from mmad.annotations.subsets import plain_subset
from mmad.annotations.validation import (
    OutOfVideo,
    RawFile,
    as_number,
    build_records,
    find_label,
    merge_raw,
)
from mmad.errors import AnnotationError
from mmad.labels import MA52, LabelMap, flat_labels
from mmad.parsing import parse_json, read_text
from mmad.structures import VideoRecord

__all__ = [
    "FORMATS",
    "AnnotationSet",
    "attach_subjects",
    "attach_videos",
    "detect_format",
    "read_annotations",
    "read_clip_list",
    "write_activitynet_json",
    "write_clip_list",
    "write_mma52_csv",
    "write_mma52_json",
]

_log = logging.getLogger(__name__)


class Format(NamedTuple):
    """A row of the table.

    Attributes:
        reader: Function of a path; for videos it returns a `RawFile`, for clip lists the clips.
        writer: Function of a path and records; None for a format that is only read.
        description: Description of the format, for messages and pages.
    """

    reader: Callable[..., Any]
    writer: Callable[..., None] | None
    description: str


CLIP_FORMAT = "ma52-list"
EMOTION_FORMATS = ("emotion-csv", "emotion-json")
LabelChoice = Literal["auto", "ma52", "file"]

# Larger numbers than this are not labels but something else, such as ids.
_MOST_NUMBERS = 10_000

FORMATS: dict[str, Format] = {
    "mma52-json": Format(
        read_mma52_json,
        write_mma52_json,
        'JSON {"val0000": {"subset", "duration", "actions": [[class, start_s, end_s], ...]}}',
    ),
    "mma52-csv": Format(
        read_mma52_csv,
        write_mma52_csv,
        "CSV with the columns id, video_id, start_frame, end_frame, class, total_frames, fps",
    ),
    "activitynet-json": Format(
        read_activitynet_json,
        write_activitynet_json,
        'JSON {"database": {video_id: {subset, duration, annotations: [{segment, label}]}}}, or '
        "the object of videos alone; as ActivityNet, THUMOS14, FineAction and others",
    ),
    "charades-csv": Format(
        read_charades_csv,
        None,
        'CSV of Charades, with the columns id, actions ("c092 11.9 21.2;..."), length',
    ),
    "epic-csv": Format(
        read_epic_verb_csv,
        None,
        "CSV of EPIC-KITCHENS-100, with video_id, start_timestamp, stop_timestamp, verb_class",
    ),
    "epic-noun-csv": Format(read_epic_noun_csv, None, "the same file with its nouns as labels"),
    "ego4d-json": Format(
        read_ego4d_json,
        None,
        'JSON of Ego4D moments {"videos": [{clips: [{clip_uid, annotations: [{labels}]}]}]}',
    ),
    "elan": Format(
        read_elan,
        None,
        "ELAN file (.eaf) with one annotation per instance on the tiers of a person",
    ),
    "emotion-csv": Format(
        read_emotions,
        write_emotions,
        'CSV with the columns video_id, emotion, actions ("nodding;waving"), as for MA-52-Pro',
    ),
    "emotion-json": Format(
        read_emotions,
        write_emotions,
        'JSON {"a": {"emotion": "joy", "actions": ["nodding", ...], "subset": "train"}}',
    ),
    CLIP_FORMAT: Format(
        read_clip_list,
        write_clip_list,
        "list with one line 'name.mp4 label' per clip, or CSV with the columns clip, label",
    ),
}


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

    A folder contains any of train.csv, val.csv and test.csv, or one JSON file, or ELAN files.

    Args:
        path: File, files or folder of the annotations.
        format: A name in `FORMATS`, or "auto" to detect it.
        subsets: Subsets to keep; all by default. The whole file is checked anyway.
        labels: Label set; "ma52"; "file", the labels of the file itself (its ``classes``, else all
            its names, sorted, over all subsets, else 0 to the highest number); or "auto", which is
            "ma52" for the files of MMA-52 and if most names are micro-actions, else "file".
            Numbers alone are never taken for micro-actions.
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
    files = _find_files(path)
    names = [_name_of_format(file, format=format) for file in files]
    if len(set(names)) > 1:
        found = ", ".join(f"{file.name} ({name})" for file, name in zip(files, names, strict=True))
        raise AnnotationError(f"files read together must have one format, found {found}")
    more = {"choice": elan} if names[0] == "elan" else {}
    raw = merge_raw({file: FORMATS[names[0]].reader(file, fps=fps, **more) for file in files})
    if elan is not None and elan.is_made and not raw.has_chosen_tiers:
        wanted = ", ".join((*elan.tiers, *elan.tier_types))
        found = ", ".join(raw.tiers[:20]) or f"none: a tier is part of an ELAN file, not {names[0]}"
        raise AnnotationError(f"{files[0]}: no tier is or has the type {wanted}; found {found}")
    source = Path(path) if isinstance(path, str | Path) else files[0]
    labels, notices = _choose_labels(raw, labels, format=names[0], source=source)
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


def detect_format(path: str | Path) -> str:
    """Name in `FORMATS` of the format of a file, detected by its content.

    Raises: AnnotationError, naming the formats, if it is none of them.
    """
    path = Path(path)
    text = read_text(path)
    first_lines = [line.strip() for line in text.splitlines() if line.strip()][:5]
    if first_lines[0].startswith(("{", "[")):
        content = parse_json(path, text)
        if "database" in content:
            return "activitynet-json"
        if isinstance(content.get("videos"), list):
            return "ego4d-json"
        if any(isinstance(entry, dict) and "emotion" in entry for entry in content.values()):
            return "emotion-json"
        for key, name in (("actions", "mma52-json"), ("annotations", "activitynet-json")):
            if any(isinstance(entry, dict) and key in entry for entry in content.values()):
                return name
    elif "<ANNOTATION_DOCUMENT" in text or path.suffix.lower() == ".eaf":
        return "elan"
    elif {"video_id", "start_timestamp"} <= set(first_lines[0].casefold().split(",")):
        return "epic-csv"
    elif {"id", "actions", "length"} <= set(first_lines[0].casefold().split(",")):
        return "charades-csv"
    elif is_emotion_header(first_lines[0]):
        return "emotion-csv"
    elif "video_id" in first_lines[0].casefold():
        # The reader of the format explains a wrong separator or column.
        return "mma52-csv"
    elif is_clip_header(first_lines[0]) or all(CLIP_LINE.fullmatch(line) for line in first_lines):
        return CLIP_FORMAT
    known = "\n".join(f"  {name}: {entry.description}" for name, entry in FORMATS.items())
    raise AnnotationError(f"{path}: none of the known annotation formats:\n{known}")


def _find_files(path: str | Path | Sequence[str | Path]) -> list[Path]:
    if not isinstance(path, str | Path):
        if not path:
            raise AnnotationError("expected at least one annotation file, found an empty list")
        return [file for one in path for file in _find_files(one)]
    path = Path(path)
    if not path.is_dir():
        return [path]
    by_subset = [path / f"{subset}.csv" for subset in ("train", "val", "test")]
    files = [file for file in by_subset if file.is_file()] or sorted(path.glob("*.json"))
    files = files or sorted(path.glob("*.eaf"))
    if not files or (files[0].suffix == ".json" and len(files) > 1):
        found = ", ".join(file.name for file in files) or "none of them"
        raise AnnotationError(
            f"{path}: expected a folder with train.csv, val.csv or test.csv, with one JSON "
            f"file, or with ELAN files; found {found}; name the file"
        )
    return files


def _name_of_format(file: Path, *, format: str) -> str:
    if format != "auto" and format not in FORMATS:
        raise AnnotationError(
            f"unknown annotation format '{format}'; known: auto, {', '.join(FORMATS)}"
        )
    name = detect_format(file) if format == "auto" else format
    needed = "detection needs one of " + ", ".join(
        other for other in FORMATS if other not in (CLIP_FORMAT, *EMOTION_FORMATS)
    )
    if name == CLIP_FORMAT:
        raise AnnotationError(
            f"{file}: a list of clips ({CLIP_FORMAT}) has one label per clip and no start and end; "
            f"{needed}"
        )
    if name in EMOTION_FORMATS:
        raise AnnotationError(
            f"{file}: a list of videos with emotions ({name}) has actions without start and end; "
            f"{needed}"
        )
    return name


def _choose_labels(
    raw: RawFile, choice: LabelMap | LabelChoice, *, format: str, source: Path
) -> tuple[LabelMap, tuple[str, ...]]:
    """The label set, and what was assumed.

    Raises: AnnotationError if the file has no labels of its own but is to be read with them.
    """
    if isinstance(choice, LabelMap):
        return choice, ()
    if choice == "ma52" or (choice == "auto" and format == "mma52-csv"):
        return MA52, ()
    if raw.classes is not None:
        return labels_of_names(raw.classes), ()
    texts = {str(one.label).strip() for video in raw.videos for one in video.instances}
    if not texts and choice == "auto":
        return MA52, ()
    if not texts:
        raise AnnotationError(
            f"{source}: has neither instances nor a list of classes, so it has no labels of its "
            "own; use the labels ma52"
        )
    numbers = [number for text in texts if (number := as_number(text)) is not None]
    if len(numbers) == len(texts):
        if choice == "auto" and format == "mma52-json" and _has_names_of_mma52(raw):
            return MA52, ()
        is_guess = choice == "auto" and not format.startswith("epic")
        return _numbered_labels(numbers, source=source, is_guess=is_guess)
    # With most names known, the others are misspelt micro-actions rather than another label set.
    known = [text for text in texts if as_number(text) is None and _is_micro_action(text)]
    if choice == "auto" and 2 * len(known) > len(texts):
        return MA52, ()
    return labels_of_names(sorted(texts)), ()


def _has_names_of_mma52(raw: RawFile) -> bool:
    """Whether every video is named as in MMA-52: train0000, val0000 or test0000."""
    return all(re.fullmatch(r"(train|val|test)\d+", video.video_id) for video in raw.videos)


def _numbered_labels(
    numbers: Sequence[float], *, source: Path, is_guess: bool
) -> tuple[LabelMap, tuple[str, ...]]:
    """Labels named by numbers, so that a number in a file of predictions is unambiguous.

    If a number could also be the index of another one, they are 0 to the highest.

    Raises: AnnotationError if a number is negative, not whole, or too high to be a class.
    """
    wrong = [n for n in numbers if not n.is_integer() or not 0 <= n < _MOST_NUMBERS]
    if wrong:
        raise AnnotationError(
            f"{source}: labels that are numbers must be whole ones from 0 to {_MOST_NUMBERS - 1}, "
            f"found {wrong[0]:g}; write names instead"
        )
    names = sorted({str(int(number)) for number in numbers})
    if min(numbers) < len(names):
        names = [str(number) for number in range(int(max(numbers)) + 1)]
    notice = (
        f"{source.name}: its labels are numbers without names, taken as a label set of its own "
        f"({len(names)} labels); if they are micro-actions of MA-52, use the labels ma52"
    )
    return flat_labels(names), (notice,) if is_guess else ()


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


def _is_micro_action(label: str) -> bool:
    try:
        find_label(MA52, label)
    except KeyError:
        return False
    return True


def labels_of_names(names: Sequence[str]) -> LabelMap:
    """The label set with these names in this order, with codes and body parts for micro-actions.

    >>> labels_of_names(["nodding", "waving"]).codes
    ('B1', 'C5')
    >>> labels_of_names(["nodding", "jumping"]).codes
    ()
    """
    if tuple(names) == MA52.names:
        return MA52
    if not all(name in MA52.names for name in names):
        return flat_labels(names)
    indices = [MA52.index(name) for name in names]
    return LabelMap(
        names=tuple(names),
        codes=tuple(MA52.codes[index] for index in indices),
        parents=tuple(MA52.parents[index] for index in indices),
        parent_names=MA52.parent_names,
        parent_codes=MA52.parent_codes,
    )


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
