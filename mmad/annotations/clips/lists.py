"""Lists of clips, one action each: ``name.mp4 label`` as MA-52 and UCF101 have them, CSV with
columns for subject, fold and split, and the folders of HMDB51.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from mmad.annotations.problems import (
    BAD_FILE,
    BAD_VALUE,
    CONTRADICTION,
    DUPLICATE_VIDEO,
    UNKNOWN_LABEL,
    Problem,
    raise_annotation_problems,
)
from mmad.annotations.subsets import guess_subset, plain_subset
from mmad.annotations.validation import find_label
from mmad.errors import AnnotationError
from mmad.files import write_text
from mmad.labels import MA52, LabelMap
from mmad.names import problem_of_id
from mmad.parsing import header_names, parse_csv, read_text
from mmad.structures import ClipRecord

UNKNOWN_SUBSET = "all"
# A file name may contain spaces and ends with its suffix, which, unlike a number, begins with a
# letter.
CLIP_LINE = re.compile(r"([^,]+\.[A-Za-z]\w{1,3})(?:\s+(\S.*))?")
CLIP_COLUMNS = ("clip", "video")
# HMDB51: a file for each class and split, lines 'name.avi 1', with 1 to train, 2 to test on.
_CLASS_FILE = re.compile(r"(.+)_test_split(\w+)\.txt")
_PARTS = {"0": None, "1": "train", "2": "test"}


@dataclass(frozen=True)
class ClipList:
    """The content of a list.

    Attributes:
        path: The file, or the folder of a file for each class.
        clips: Clips in the order of the list; their subset is that of the file name unless
            ``has_splits``.
        has_splits: Whether the list itself has a subset for each clip.
        has_folds: Whether the list has a fold for each clip.
        problems: Problems of its lines.
    """

    path: Path
    clips: tuple[ClipRecord, ...]
    has_splits: bool = False
    has_folds: bool = False
    problems: tuple[Problem, ...] = ()

    def part(self, subset: str, *, fold: str | None = None) -> tuple[ClipRecord, ...]:
        """The clips of a list that a run uses for ``subset``.

        All of them, unless the list has folds or splits itself. With folds, and ``fold`` held
        out: the others for training, ``fold`` for anything else. With splits: those of the subset;
        without validation clips, the test clips are used for validation.

        Raises: AnnotationError if there is no such fold or split.
        """
        if self.has_folds and fold is not None:
            known = in_order([clip.fold for clip in self.clips if clip.fold is not None])
            if fold not in known:
                raise AnnotationError(
                    f"{self.path}: there is no fold {fold}; found {', '.join(known)}"
                )
            is_training = subset == "train"
            return tuple(clip for clip in self.clips if (clip.fold != fold) == is_training)
        if not self.has_splits:
            return self.clips
        present = {clip.subset for clip in self.clips}
        wanted = "test" if subset == "val" and "val" not in present else subset
        if wanted not in present:
            found = ", ".join(sorted(present))
            raise AnnotationError(f"{self.path}: no clips of subset {subset}; found {found}")
        return tuple(clip for clip in self.clips if clip.subset == wanted)


def in_order(folds: Sequence[str]) -> list[str]:
    """The distinct folds: numbers in ascending order, then names.

    >>> in_order(["10", "2", "last", "2"])
    ['2', '10', 'last']
    """
    numbers = {fold: int(fold[:9]) for fold in folds if fold.isascii() and fold.isdigit()}
    return sorted(set(folds), key=lambda fold: (numbers.get(fold, 10**9), fold))


def read_clip_list(
    path: str | Path, *, labels: LabelMap, subset: str | None = None
) -> tuple[ClipRecord, ...]:
    """All clips of a list, see `parse_clip_list`.

    Raises: AnnotationError with all bad lines: an unknown label, a clip listed twice, some clips
    labelled and others not.
    """
    return checked_clip_list(path, labels=labels, subset=subset).clips


def checked_clip_list(path: str | Path, *, labels: LabelMap, subset: str | None = None) -> ClipList:
    """The content of a valid list.

    Raises: AnnotationError as in `read_clip_list`.
    """
    found = parse_clip_list(path, labels=labels, subset=subset)
    try:
        raise_annotation_problems(path, found.problems)
    except AnnotationError as error:
        if labels != MA52 or UNKNOWN_LABEL not in {problem.kind for problem in found.problems}:
            raise
        raise AnnotationError(
            f"{error}\nif these are not micro-actions of MA-52, pass --labels FILE with their "
            "label file (data.labels in a config)"
        ) from None
    return found


def parse_clip_list(path: str | Path, *, labels: LabelMap, subset: str | None = None) -> ClipList:
    """The clips of a list, and the problems of its lines.

    The list is one of

    - text with a line ``name.mp4 label`` for each clip, or all without labels; where the folder of
      every clip is the name of a class, as in the test lists of UCF101, that is the label;
    - CSV with the columns ``clip`` (or ``video``), ``label`` and, if they are there, ``subject``,
      ``fold`` and ``split`` (or ``subset``);
    - ``CLASS_test_split1.txt`` of HMDB51, or a folder of such files of one split; the clips lie in
      a folder for each class.

    Labels are numbers, from ``labels.first_number``, names or codes.

    Args:
        path: Path of the list.
        labels: Label set that it refers to.
        subset: Subset of clips without one in the list; by default guessed from the file name.

    Raises: AnnotationError if the file cannot be read.
    """
    path = Path(path)
    files = class_files(path) if path.is_dir() else []
    if files or _CLASS_FILE.fullmatch(path.name):
        return parse_class_files(path, files or [path], labels=labels)
    text = read_text(path)
    subset = subset or guess_subset(path) or UNKNOWN_SUBSET
    first = next(line for line in text.splitlines() if line.strip())
    if is_clip_header(first):
        return _parse_table(path, text, labels=labels, subset=subset)
    return _parse_lines(path, text, labels=labels, subset=subset)


def is_clip_header(line: str) -> bool:
    """Whether a line is the header of a CSV list of clips, not of instances in videos.

    >>> is_clip_header("Clip,Label,Subject"), is_clip_header("a.mp4 3")
    (True, False)
    >>> is_clip_header("video,start,end,label")
    False
    """
    cells = header_names(line.casefold())
    return not {"start", "end"} & set(cells) and any(name in cells for name in CLIP_COLUMNS)


def class_files(folder: Path) -> list[Path]:
    """The files ``CLASS_test_splitN.txt`` of HMDB51 in a folder, of all splits."""
    return sorted(path for path in folder.glob("*.txt") if _CLASS_FILE.fullmatch(path.name))


def split_of_class_file(path: Path) -> str:
    """The split of a file from `class_files`."""
    match = _CLASS_FILE.fullmatch(path.name)
    assert match is not None
    return match[2]


class _Collector:
    """Collects clips and problems while a list is read."""

    def __init__(self, labels: LabelMap) -> None:
        self.labels = labels
        self.clips: dict[str, ClipRecord] = {}
        self.problems: list[Problem] = []
        self._names = {name.casefold(): index for index, name in enumerate(labels.names)}

    def add(self, where: str, clip: ClipRecord, label: str) -> None:
        """Add a clip with the ``label`` of its line, or without one if that is empty."""
        name = clip.clip_id
        index = None
        try:
            index = find_label(self.labels, label) if label else None
        except KeyError as error:
            message = f"{where} (clip {name}): {error.args[0]}"
            self.problems.append(Problem(UNKNOWN_LABEL, message))
        folder = self.of_folder(name)
        if index is not None and folder is not None and folder != index and label.isdigit():
            message = (
                f"{where} (clip {name}): label {label} is '{self.labels.names[index]}', but the "
                f"folder is that of '{self.labels.names[folder]}'; in the label file classes are "
                f"numbered from {self.labels.first_number}"
            )
            self.problems.append(Problem(CONTRADICTION, message))
        if wrong := problem_of_id(name):
            message = f"{where}: clip {name!r:.60}: its name {wrong}"
            self.problems.append(Problem(BAD_VALUE, message))
        if name in self.clips:
            self.problems.append(Problem(DUPLICATE_VIDEO, f"{where}: clip {name} is listed twice"))
        self.clips[name] = replace(clip, label=index)

    def of_folder(self, name: str) -> int | None:
        """The class that the folder of a clip is named after, or None."""
        return self._names.get(PurePosixPath(name).parent.name.casefold())

    def finished(
        self, path: Path, *, has_splits: bool = False, has_folds: bool = False
    ) -> ClipList:
        """The complete list, after every line was added."""
        clips = list(self.clips.values())
        unlabelled = [clip.clip_id for clip in clips if clip.label is None]
        if not self.problems and len(unlabelled) == len(clips):
            clips = self._labelled_by_folder(clips)
        elif not self.problems and unlabelled:
            self.problems.append(
                Problem(
                    BAD_VALUE,
                    f"{len(unlabelled)} of {len(clips)} clips have no label, first "
                    f"{unlabelled[0]}; expected a label on every line or on none",
                )
            )
        return ClipList(path, tuple(clips), has_splits, has_folds, tuple(self.problems))

    def _labelled_by_folder(self, clips: list[ClipRecord]) -> list[ClipRecord]:
        found = [self.of_folder(clip.clip_id) for clip in clips]
        strange = [clip.clip_id for clip, label in zip(clips, found, strict=True) if label is None]
        if len(strange) == len(clips):
            return clips
        if strange:
            message = (
                f"{len(strange)} of {len(clips)} clips without a label are in folders that are not "
                f"named after a class, first {strange[0]}"
            )
            self.problems.append(Problem(UNKNOWN_LABEL, message))
        return [replace(clip, label=label) for clip, label in zip(clips, found, strict=True)]


def _parse_lines(path: Path, text: str, *, labels: LabelMap, subset: str) -> ClipList:
    """The list in lines ``name.mp4 label``."""
    found = _Collector(labels)
    for line, content in enumerate(text.splitlines(), start=1):
        if not content.strip():
            continue
        match = CLIP_LINE.fullmatch(content.strip())
        if match is None:
            message = f"line {line}: expected a file name and a label, found {content.strip()!r}"
            found.problems.append(Problem(BAD_FILE, message))
            continue
        found.add(f"line {line}", ClipRecord(match[1], None, subset), match[2] or "")
    return found.finished(path)


def _parse_table(path: Path, text: str, *, labels: LabelMap, subset: str) -> ClipList:
    """The list in CSV with a header."""
    header, rows = parse_csv(path, text)
    header = ["split" if name == "subset" else name for name in header]
    columns = ("label", "subject", "fold", "split", *CLIP_COLUMNS)
    name_column = next(name for name in CLIP_COLUMNS if name in header)
    if repeated := sorted({name for name in columns if header.count(name) > 1}):
        raise AnnotationError(f"{path}: the column {', '.join(repeated)} appears more than once")
    found = _Collector(labels)
    for line, cells in rows:
        where = f"line {line}"
        if len(cells) != len(header):
            message = f"{where}: expected {len(header)} cells, found {len(cells)}"
            found.problems.append(Problem(BAD_FILE, message))
            continue
        row = dict(zip(header, cells, strict=True))
        name = row[name_column].replace("\\", "/")
        empty = [key for key in (name_column, "fold", "split") if key in row and not row[key]]
        if empty:
            message = f"{where} (clip {name}): {' and '.join(empty)} is empty"
            found.problems.append(Problem(BAD_VALUE, message))
            continue
        clip = ClipRecord(
            name,
            None,
            plain_subset(row["split"]) if "split" in row else subset,
            subject=row.get("subject") or None,
            fold=row.get("fold"),
        )
        found.add(where, clip, row.get("label", ""))
    return found.finished(path, has_splits="split" in header, has_folds="fold" in header)


def parse_class_files(path: Path, files: Sequence[Path], *, labels: LabelMap) -> ClipList:
    """The list in files of HMDB51, one for each class, without the clips that its split ignores.

    Raises: AnnotationError if a file cannot be read, or the files are of several splits.
    """
    splits = in_order([split_of_class_file(file) for file in files])
    if len(splits) > 1:
        raise AnnotationError(
            f"{path}: has the splits {', '.join(splits)}; name the files of one (mmad train "
            "takes --fold)"
        )
    found = _Collector(labels)
    for file in files:
        match = _CLASS_FILE.fullmatch(file.name)
        assert match is not None
        for line, content in enumerate(read_text(file).splitlines(), start=1):
            where = f"{file.name}: line {line}"
            name, _, mark = content.strip().rpartition(" ")
            if content.strip() and (mark not in _PARTS or not name.strip()):
                message = f"{where}: expected 'name.avi 0', 1 or 2, found {content.strip()!r:.80}"
                found.problems.append(Problem(BAD_FILE, message))
            elif content.strip() and (part := _PARTS[mark]) is not None:
                clip = ClipRecord(f"{match[1]}/{name.strip()}", None, part)
                found.add(where, clip, _class_of_file(match[1], labels))
    return found.finished(path, has_splits=True)


def _class_of_file(name: str, labels: LabelMap) -> str:
    """The label that a file is named after; an underscore may replace a space."""
    spaced = name.replace("_", " ")
    return spaced if spaced.casefold() in map(str.casefold, labels.names) else name


def write_clip_list(path: str | Path, clips: Sequence[ClipRecord], *, labels: LabelMap) -> None:
    """Write one line ``name.mp4 label`` for each clip; a clip without a label is its name alone."""
    lines = [
        clip.clip_id if clip.label is None else f"{clip.clip_id} {clip.label + labels.first_number}"
        for clip in clips
    ]
    write_text(path, "".join(f"{line}\n" for line in lines))
