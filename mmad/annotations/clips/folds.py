"""The clip lists of a run, and cross-validation folds: from the lists, their files, or drawn."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from mmad.annotations.clips.lists import (
    ClipList,
    checked_clip_list,
    class_files,
    in_order,
    parse_class_files,
    split_of_class_file,
)
from mmad.annotations.clips.split import split_folds
from mmad.annotations.problems import raise_annotation_problems
from mmad.errors import AnnotationError
from mmad.labels import LabelMap
from mmad.structures import ClipRecord


@dataclass(frozen=True)
class ClipLists:
    """The lists of a run by subset, and the fold that is held out of training.

    Attributes:
        paths: Paths of the lists; ``{fold}`` in a path stands for the fold, and a folder for the
            files of HMDB51 in it, of the split of that number.
        fold: Fold that is held out, or None.
        folds: Number of folds to divide the training lists into; None if the lists have folds.
        most: Maximum number of clips of each list; None for all.
    """

    paths: Mapping[str, Sequence[str]]
    fold: str | None = None
    folds: int | None = None
    most: int | None = None

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """The lists in the data settings of a run."""
        paths = {name: settings.get(name) or () for name in ("train", "val", "test")}
        fold = settings.get("fold")
        return cls(
            {name: [one] if isinstance(one, str) else list(one) for name, one in paths.items()},
            fold=None if fold is None else str(fold),
            folds=settings.get("folds"),
            most=settings.get("max_clips"),
        )

    def names(self, subset: str) -> bool:
        """Whether a subset has lists, or a fold of the training lists in their place."""
        return bool(self.paths.get(subset)) or (subset == "val" and self.folds is not None)

    def read(self, subset: str, *, labels: LabelMap) -> list[ClipRecord]:
        """The clips of a subset.

        Raises: AnnotationError if a list is invalid, or the fold that is needed does not exist.
        """
        if self.folds is not None and subset in ("train", "val"):
            return self._part_of_folds(subset, labels=labels)
        paths = self.paths.get(subset, ())
        lists = [self._read_one(path, labels=labels) for path in paths]
        has_folds = [found.has_folds or found.path.is_dir() for found in lists]
        has_folds += ["{fold}" in path for path in paths]
        if subset == "train" and self.fold is not None and lists and not any(has_folds):
            raise AnnotationError(
                f"there is no fold {self.fold}: {', '.join(paths)} has no folds; expected a column "
                "fold, {fold} in the path, or data.folds"
            )
        clips: list[ClipRecord] = []
        for path, found in zip(paths, lists, strict=True):
            if self.fold is None and found.has_folds and self._needs_fold(found, subset):
                raise _no_fold(path, in_order([clip.fold or "" for clip in found.clips]))
            clips += found.part(subset, fold=self.fold)[: self.most]
        return clips

    def _needs_fold(self, found: ClipList, subset: str) -> bool:
        """Whether training on a list with folds would validate on training clips without one."""
        in_both = bool(self.paths.get("train") and self.paths.get("val"))
        return in_both and subset != "test" and not found.has_splits

    def _part_of_folds(self, subset: str, *, labels: LabelMap) -> list[ClipRecord]:
        """The clips of the training lists in the held-out fold, or in all others.

        The fold of a clip depends only on the lists, not on the seed of the run.
        """
        assert self.folds is not None
        known = [str(number + 1) for number in range(self.folds)]
        source = ", ".join(self.paths["train"])
        if self.fold is None:
            raise _no_fold(source, known)
        if self.fold not in known:
            raise AnnotationError(
                f"there is no fold {self.fold}: data.folds is {self.folds}; expected 1 to "
                f"{self.folds}"
            )
        clips = [
            clip
            for path in self.paths["train"]
            for clip in self._read_one(path, labels=labels).part("train")
        ]
        if any(clip.label is None for clip in clips):
            raise AnnotationError(f"{source}: clips without labels cannot be divided into folds")
        lacking = [clip.clip_id for clip in clips if clip.subject is None]
        if 0 < len(lacking) < len(clips):
            raise AnnotationError(
                f"{source}: {len(lacking)} of {len(clips)} clips have no subject, first "
                f"{lacking[0]}; name all subjects or none, so that folds do not share them"
            )
        fold_of = split_folds(
            np.array([clip.label for clip in clips], dtype=np.int64),
            folds=self.folds,
            groups=None if lacking else [str(clip.subject) for clip in clips],
        )
        held_out = fold_of == known.index(self.fold)
        wanted = held_out if subset == "val" else ~held_out
        return [clip for clip, kept in zip(clips, wanted, strict=True) if kept][: self.most]

    def _read_one(self, path: str, *, labels: LabelMap) -> ClipList:
        files = class_files(Path(path)) if Path(path).is_dir() else []
        splits = in_order([split_of_class_file(file) for file in files])
        if self.fold is None and len(splits) > 1:
            raise _no_fold(path, splits)
        if self.fold is None or not splits:
            return checked_clip_list(self.place(path), labels=labels)
        if self.fold not in splits:
            raise AnnotationError(
                f"{path}: there is no fold {self.fold}; found {', '.join(splits)}"
            )
        chosen = [file for file in files if split_of_class_file(file) == self.fold]
        found = parse_class_files(Path(path), chosen, labels=labels)
        raise_annotation_problems(path, found.problems)
        return found

    def is_there(self, path: str) -> bool:
        """Whether a list exists, for any fold if none is chosen."""
        if self.fold is None and "{fold}" in path:
            return bool(_folds_of_files(path))
        return Path(path.replace("{fold}", self.fold or "")).exists()

    def place(self, path: str) -> str:
        """The path of a list, with the fold in it.

        Raises: AnnotationError if there is no such fold.
        """
        if "{fold}" not in path:
            return path
        known = _folds_of_files(path)
        if self.fold is None:
            raise _no_fold(path, known)
        place = path.replace("{fold}", self.fold)
        if not Path(place).exists():
            found = f"; found {', '.join(known)}" if known else ""
            raise AnnotationError(f"{path}: there is no fold {self.fold}, no {place}{found}")
        return place


def _no_fold(path: str, folds: Sequence[str]) -> AnnotationError:
    some = f"the folds {', '.join(folds)}" if folds else "folds"
    return AnnotationError(
        f"{path}: has {some}; choose the one to hold out: pass --fold {folds[0] if folds else 'K'} "
        "(data.fold in a config)"
    )


def _folds_of_files(path: str) -> list[str]:
    """The folds for which a path with ``{fold}`` is that of an existing file."""
    before, _, after = path.partition("{fold}")
    folder, beginning = Path(f"{before}x").parent, Path(f"{before}x").name[:-1]
    ending = after.split("/")[0].split("{fold}")[0]
    pattern = re.compile(f"{re.escape(beginning)}(\\w+){re.escape(ending)}.*")
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    found = [match[1] for name in names if (match := pattern.fullmatch(name)) is not None]
    return in_order([fold for fold in found if Path(path.replace("{fold}", fold)).exists()])
