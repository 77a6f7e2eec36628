"""Labels that are renamed, joined or left out: by a table of the user, or as spellings of one."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mmad.annotations.validation import RawFile
from mmad.errors import AnnotationError, raise_problems
from mmad.parsing import parse_csv, read_text, wrong_width
from mmad.wording import count

_COLUMNS = ("from", "to")


@dataclass(frozen=True)
class LabelChanges:
    """New names of labels.

    Attributes:
        path: The table.
        new_names: New name of each label by its folded old one; "" if it is left out.
    """

    path: Path
    new_names: Mapping[str, str] = field(default_factory=dict)

    def of(self, label: object) -> object:
        """The new name of a label; the label itself if it is not in the table.

        Numbers in files are labels, too, and are looked up as they are written.
        """
        return self.new_names.get(folded(str(label)), label)


def folded(label: str) -> str:
    """A label without what spellings differ by: case and blanks.

    >>> folded(" Touching  Nose") == folded("touching nose")
    True
    """
    return " ".join(label.casefold().split())


def is_table_of_changes(header: Sequence[str]) -> bool:
    """Whether the header of a CSV is that of a table of new names."""
    return set(_COLUMNS) <= {cell.strip().casefold() for cell in header}


def read_label_changes(path: Path) -> LabelChanges:
    """The new names in a CSV with the columns from and to; an empty ``to`` leaves a label out.

    Raises: AnnotationError if a label has no name or two new ones.
    """
    header, rows = parse_csv(path, read_text(path))
    places = [header.index(name) for name in _COLUMNS]
    new_names: dict[str, str] = {}
    problems = []
    for line, cells in rows:
        if wrong := wrong_width(header, cells):
            problems.append(f"line {line}: {wrong}")
            continue
        old, new = (cells[place] for place in places)
        if not old:
            problems.append(f"line {line}: the cell of from is empty")
        elif new_names.setdefault(folded(old), new) != new:
            problems.append(
                f"line {line}: '{old}' becomes '{new}' here but '{new_names[folded(old)]}' before"
            )
    raise_problems(AnnotationError, source=str(path), problems=problems)
    return LabelChanges(path, new_names)


def spellings(labels: Iterable[str], *, known: Iterable[str] = ()) -> dict[str, str]:
    """For each label whose spelling is not the one to keep, that one.

    Of labels that differ by case or blanks alone, that of ``known`` is kept, else the most frequent
    one, else the first.

    >>> spellings(["Nod", "nod", "nod ", "wave", "nod"])
    {'Nod': 'nod', 'nod ': 'nod'}
    """
    counts = Counter(labels)
    kept: dict[str, str] = {}
    for label, _ in counts.most_common():
        kept.setdefault(folded(label), " ".join(label.split()))
    kept |= {folded(label): " ".join(label.split()) for label in reversed(list(known))}
    return {label: kept[folded(label)] for label in counts if kept[folded(label)] != label}


def told_spellings(changed: Mapping[str, str], *, source: str) -> tuple[str, ...]:
    """A notice of labels that were joined; none if they differed by blanks at their ends alone."""
    shown = [f"'{old}' and '{new}'" for old, new in changed.items() if old.strip() != new]
    if not shown:
        return ()
    more = f" and {len(shown) - 3} more" if len(shown) > 3 else ""
    return (
        f"{source}: labels that differ by case or blanks alone are taken for one: "
        f"{', '.join(shown[:3])}{more}",
    )


def change_raw(raw: RawFile, changes: LabelChanges, *, source: str) -> None:
    """Rename the labels of ``raw``, and tell so."""
    num_changed = num_left_out = 0
    unused = dict.fromkeys(changes.new_names)
    for video in raw.videos:
        kept = []
        for one in video.instances:
            unused.pop(folded(str(one.label)), None)
            new = changes.of(one.label)
            num_changed += new != one.label
            if new == "":
                num_left_out += 1
            else:
                kept.append(replace(one, label=new))
        video.instances = kept
    if raw.classes is not None:
        for name in raw.classes:
            unused.pop(folded(name), None)
        names = (str(changes.of(name)) for name in raw.classes)
        raw.classes = tuple(dict.fromkeys(name for name in names if name))
    raw.notices += told_changes(
        changes, num_changed=num_changed, num_left_out=num_left_out, unused=unused, source=source
    )


def told_changes(
    changes: LabelChanges,
    *,
    num_changed: int,
    num_left_out: int,
    unused: Iterable[str],
    source: str,
) -> list[str]:
    """What a table of new names has done."""
    notices = []
    if num_changed:
        left_out = f", {num_left_out} of them left out" if num_left_out else ""
        notices.append(
            f"{source}: {count(num_changed, 'label', 'was')} changed by {changes.path.name}"
            f"{left_out}"
        )
    if names := list(unused):
        notices.append(
            f"{changes.path.name}: {count(len(names), 'label', 'is')} not in {source}, first "
            f"'{names[0]}'"
        )
    return notices


def join_raw(raw: RawFile, *, source: str) -> None:
    """Join the labels of ``raw`` that differ by case or blanks alone, and tell so."""
    labels = [one.label for video in raw.videos for one in video.instances]
    texts = [label for label in labels if isinstance(label, str)]
    changed = spellings([*texts, *(raw.classes or ())], known=raw.classes or ())
    if not changed:
        return
    for video in raw.videos:
        video.instances = [
            replace(one, label=changed.get(one.label, one.label))
            if isinstance(one.label, str)
            else one
            for one in video.instances
        ]
    if raw.classes is not None:
        raw.classes = tuple(dict.fromkeys(changed.get(name, name) for name in raw.classes))
    raw.notices += told_spellings(changed, source=source)
