"""Label sets: the 52 micro-actions and 7 body parts of MA-52, five emotions, and custom ones.

Source: index blocks and display codes from the MA-52 label list (MA-52 paper, Fig. 2). The codes
A1..G4 are not in index order.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class LabelMap:
    """An ordered set of labels, optionally with a parent for each.

    Attributes:
        names: Name of each label; the position is its index.
        codes: Short display code of each label, or empty.
        parents: Index of the parent of each label, or empty if the set is flat.
        parent_names: Name of each parent.
        parent_codes: Display code of each parent, or empty.
        first_number: Number of the first label in lists of clips, 0 or 1; everywhere else indices
            start at 0.

    Raises: ValueError if names repeat or the lengths disagree.
    """

    names: tuple[str, ...]
    codes: tuple[str, ...] = ()
    parents: tuple[int, ...] = ()
    parent_names: tuple[str, ...] = ()
    parent_codes: tuple[str, ...] = ()
    first_number: int = 0

    def __repr__(self) -> str:
        shown = ", ".join(self.names[:3]) + (", ..." if len(self.names) > 3 else "")
        return f"<LabelMap of {len(self.names)}: {shown}>"

    def __post_init__(self) -> None:
        if len(set(self.names)) != len(self.names):
            repeated = sorted({name for name in self.names if self.names.count(name) > 1})
            raise ValueError(f"label names must differ; repeated: {repeated}")
        for field in ("codes", "parents"):
            values = getattr(self, field)
            if values and len(values) != len(self.names):
                raise ValueError(
                    f"{field}: expected {len(self.names)} entries, found {len(values)}"
                )
        if self.parent_codes and len(self.parent_codes) != len(self.parent_names):
            raise ValueError(
                f"parent_codes: expected {len(self.parent_names)} entries, found "
                f"{len(self.parent_codes)}"
            )
        if any(not 0 <= parent < len(self.parent_names) for parent in self.parents):
            raise ValueError("parents: every entry must be an index into parent_names")
        if self.first_number not in (0, 1):
            raise ValueError("first_number: expected 0 or 1")

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def _index(self) -> dict[str, int]:
        index = {name.casefold(): i for i, name in enumerate(self.names)}
        return {code.casefold(): i for i, code in enumerate(self.codes)} | index

    def index(self, label: str | int) -> int:
        """Index of ``label``, given as index, name or code (case-insensitive).

        Raises: KeyError, with the nearest known name, if there is no such label.

        >>> MA52.index("nodding"), MA52.index("B1"), MA52.index(9), MA52.index("9")
        (9, 9, 9, 9)
        >>> MA52.index("noding")
        Traceback (most recent call last):
            ...
        KeyError: "unknown label 'noding'; did you mean 'nodding'?"
        """
        if isinstance(label, str) and label.strip().casefold() in self._index:
            return self._index[label.strip().casefold()]
        try:
            position = int(label)
        except ValueError:
            near = difflib.get_close_matches(str(label).casefold(), list(self._index), n=1)
            hint = f"; did you mean '{self.names[self._index[near[0]]]}'?" if near else ""
            raise KeyError(f"unknown label '{label}'{hint}") from None
        if not 0 <= position < len(self):
            raise KeyError(f"unknown label {position}; expected 0 to {len(self) - 1}")
        return position

    def title(self, index: int) -> str:
        """Code and name of a label, for display.

        >>> MA52.title(9)
        'B1 nodding'
        """
        return f"{self.codes[index]} {self.names[index]}" if self.codes else self.names[index]

    @property
    def has_parents(self) -> bool:
        """Whether each label belongs to a parent."""
        return bool(self.parents)

    def to_parents(self, labels: NDArray[np.int64]) -> NDArray[np.int64]:
        """Parent index of each label, same shape.

        >>> MA52.to_parents(np.array([0, 9, 51])).tolist()
        [0, 1, 6]
        """
        return np.asarray(self.parents, dtype=np.int64)[labels]

    def without_parents(self, parents: Sequence[str]) -> tuple[int, ...]:
        """Indices of the labels of all parents but these, which are given by name or code.

        Raises: KeyError, with the nearest known name, if there is no such parent.

        >>> len(MA52.without_parents(["D", "leg-hand"])), 52 - 8 - 4
        (40, 40)
        """
        left_out = {self.parent_map.index(parent) for parent in parents}
        return tuple(
            label
            for label in range(len(self))
            if not self.parents or self.parents[label] not in left_out
        )

    @property
    def parent_map(self) -> "LabelMap":
        """The parents as a label set of their own."""
        return LabelMap(names=self.parent_names, codes=self.parent_codes)


def flat_labels(names: Sequence[str]) -> LabelMap:
    """A label set without codes or parents."""
    return LabelMap(names=tuple(names))


BODY_PARTS = ("body", "head", "upper limb", "lower limb", "body-hand", "head-hand", "leg-hand")

_ACTIONS_BY_BODY_PART: tuple[tuple[tuple[str, str], ...], ...] = (
    (
        ("A1", "shaking body"),
        ("A3", "sitting straightly"),
        ("A4", "shrugging"),
        ("A2", "turning around"),
        ("A5", "rising up"),
    ),
    (
        ("B5", "bowing head"),
        ("B6", "head up"),
        ("B4", "tilting head"),
        ("B3", "turning head"),
        ("B1", "nodding"),
        ("B2", "shaking head"),
    ),
    (
        ("C6", "scratching arms"),
        ("C8", "playing objects"),
        ("C9", "putting hands together"),
        ("C13", "rubbing hands"),
        ("C11", "pointing oneself"),
        ("C12", "clenching fist"),
        ("C4", "stretching arms"),
        ("C10", "retracting arms"),
        ("C5", "waving"),
        ("C7", "spreading hands"),
        ("C3", "hands touching fingers"),
        ("C2", "other finger movements"),
        ("C1", "illustrative gestures"),
    ),
    (
        ("D3", "shaking legs"),
        ("D7", "curling legs"),
        ("D6", "spread legs"),
        ("D5", "closing legs"),
        ("D8", "crossing legs"),
        ("D4", "stretching feet"),
        ("D2", "retracting feet"),
        ("D1", "tiptoe"),
    ),
    (
        ("E2", "scratching or touching neck"),
        ("E1", "scratching or touching chest"),
        ("E3", "scratching or touching back"),
        ("E6", "scratching or touching shoulder"),
        ("E4", "arms akimbo"),
        ("E5", "crossing arms"),
    ),
    (
        ("F3", "playing or tidying hair"),
        ("F4", "scratching or touching hindbrain"),
        ("F7", "scratching or touching forehead"),
        ("F2", "scratching or touching face"),
        ("F6", "rubbing eyes"),
        ("F1", "touching nose"),
        ("F8", "touching ears"),
        ("F10", "covering face"),
        ("F9", "covering mouth"),
        ("F5", "pushing glasses"),
    ),
    (
        ("G2", "patting legs"),
        ("G1", "touching legs"),
        ("G3", "scratching legs"),
        ("G4", "scratching feet"),
    ),
)

MA52 = LabelMap(
    names=tuple(name for block in _ACTIONS_BY_BODY_PART for _, name in block),
    codes=tuple(code for block in _ACTIONS_BY_BODY_PART for code, _ in block),
    parents=tuple(i for i, block in enumerate(_ACTIONS_BY_BODY_PART) for _ in block),
    parent_names=BODY_PARTS,
    parent_codes=tuple("ABCDEFG"),
)

# The parts that the MA-52 paper (Table VII) leaves out together as those of the lower limbs.
LOWER_LIMBS = ("lower limb", "leg-hand")

EMOTIONS = flat_labels(["joy", "sadness", "surprise", "fear", "anger"])
"""The emotions of MA-52-Pro, in the order of Table VII of the MA-52 paper."""

_NEAR_EMOTIONS = {
    **dict.fromkeys(("happy", "happiness", "joyful", "glad", "pleasure", "delight"), "joy"),
    **dict.fromkeys(("sad", "sorrow", "unhappy", "grief"), "sadness"),
    **dict.fromkeys(("surprised", "astonishment", "amazement", "astonished"), "surprise"),
    **dict.fromkeys(("afraid", "fearful", "scared", "anxiety", "fright"), "fear"),
    **dict.fromkeys(("angry", "rage", "mad", "annoyance"), "anger"),
}


def emotion_index(emotion: str | int) -> int:
    """Index among `EMOTIONS` of an emotion, given as a name or an index.

    Raises: KeyError, with the five and the nearest of them, if it is none.

    >>> emotion_index("Sadness"), emotion_index(4)
    (1, 4)
    >>> emotion_index("happy")
    Traceback (most recent call last):
        ...
    KeyError: "unknown emotion 'happy'; expected joy, sadness, surprise, fear or anger; write joy?"
    """
    try:
        return EMOTIONS.index(emotion)
    except KeyError:
        word = str(emotion).strip().casefold()
        near = difflib.get_close_matches(word, [*EMOTIONS.names, *_NEAR_EMOTIONS], n=1)
        meant = _NEAR_EMOTIONS.get(near[0], near[0]) if near else None
        *some, last = EMOTIONS.names
        hint = f"; write {meant}?" if meant else ""
        raise KeyError(
            f"unknown emotion {str(emotion)!r:.40}; expected {', '.join(some)} or {last}{hint}"
        ) from None
