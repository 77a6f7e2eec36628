"""The label set of annotations: that of the user, of MA-52, or of the file itself."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from mmad.annotations.labels.changes import LabelChanges
from mmad.annotations.validation import RawFile, as_number, find_label
from mmad.errors import AnnotationError
from mmad.labels import MA52, LabelMap, flat_labels

# "auto" and the like, or new names of labels, after which it is "auto".
LabelChoice = Literal["auto", "ma52", "file"] | LabelChanges

# Larger numbers than this are not labels but something else, such as ids.
_MOST_NUMBERS = 10_000


def choose_labels(
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
