"""New tiers in an ELAN file, with the slots, types and vocabulary that they need.

Each new tier has annotations that do not overlap, and tiers that depend on it (symbolic
association), one value for each annotation: so ELAN can list, search and filter scores without
their being part of the label.

Source: ELAN Annotation Format 3.0, https://www.mpi.nl/tools/elan/EAFv3.0.xsd.
"""

import hashlib
import re
import xml.etree.ElementTree as ElementTree
from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from mmad.annotations.elan.document import (
    Edits,
    ElanDocument,
    parse_bytes,
    quoted,
    whole_number,
)
from mmad.annotations.elan.tiers import DEPENDENT_TYPES
from mmad.annotations.elan.vocabularies import OUR_ENTRIES

LABEL_TYPE = "mmad-action"
POINT_TYPE = "mmad-point"
_VOCABULARY = "mmad-actions"
_LANGUAGE = "eng"
_LAST_ID = "lastUsedAnnotationId"
_CONSTRAINTS = {
    "Time_Subdivision": "Time subdivision of parent annotation's time interval, no time gaps "
    "allowed within this interval",
    "Symbolic_Subdivision": "Symbolic subdivision of a parent annotation. Annotations refering to "
    "the same parent are ordered",
    "Symbolic_Association": "1-1 association with a parent annotation",
    "Included_In": "Time alignable annotations within the parent annotation's time interval, gaps "
    "are allowed",
}


@dataclass(frozen=True)
class NewTier:
    """A tier to write.

    Attributes:
        name: Its name.
        milliseconds: Start and end of each annotation, in order, without overlaps.
        values: Label of each.
        more: What is known of each besides, by the last part of the name of the dependent tier
            ("score", "source" and others); None where nothing is.
        attributes: Further attributes of the tier, such as PARTICIPANT.
        kind: Its linguistic type.
    """

    name: str
    milliseconds: Sequence[tuple[int, int]]
    values: Sequence[str]
    more: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)
    kind: str = LABEL_TYPE


def empty_document(path: Path, *, author: str) -> ElanDocument:
    """An ELAN file without media and tiers, not yet on disk."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    constraints = "".join(
        f"    <CONSTRAINT DESCRIPTION={quoted(text)} STEREOTYPE={quoted(name)}/>\n"
        for name, text in _CONSTRAINTS.items()
    )
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<ANNOTATION_DOCUMENT AUTHOR={quoted(author)} DATE="{now}" FORMAT="3.0" VERSION="3.0" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        'xsi:noNamespaceSchemaLocation="http://www.mpi.nl/tools/elan/EAFv3.0.xsd">\n'
        '    <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds"/>\n    <TIME_ORDER/>\n'
        f"{constraints}</ANNOTATION_DOCUMENT>\n"
    )
    return parse_bytes(text.encode(), path=path)


def add_tiers(
    document: ElanDocument,
    edits: Edits,
    tiers: Sequence[NewTier],
    *,
    entries: Mapping[str, str],
    removed: Collection[ElementTree.Element],
    taken: Collection[str],
) -> None:
    """Add ``tiers`` to a document, and what they need; `edits` then has all of it.

    Args:
        document: The document.
        edits: Changes to it.
        tiers: New tiers.
        entries: Every label that the vocabulary offers, with its description.
        removed: Tiers that are removed by ``edits``, whose ids and slots are free.
        taken: Names of tiers that stay.
    """
    kept = [tier for tier in document.tiers if tier not in removed]
    free = _free_slots(document, edits, kept)
    ids = _vocabulary(document, edits, entries, kept=kept)
    slot_numbers = count(
        _highest(
            (
                slot.get("TIME_SLOT_ID", "")
                for slot in document.time_order
                if slot.get("TIME_SLOT_ID") not in free
            ),
            prefix="ts",
        )
        + 1
    )
    numbers = count(_highest(_annotation_ids(kept), prefix="a") + 1)
    labels: list[ElementTree.Element] = []
    dependents: list[tuple[str, ElementTree.Element]] = []
    slots: list[tuple[int, str]] = []
    for tier in tiers:
        element = ElementTree.Element(
            "TIER", dict(tier.attributes), LINGUISTIC_TYPE_REF=tier.kind, TIER_ID=tier.name
        )
        names = []
        for (start, end), value in zip(tier.milliseconds, tier.values, strict=True):
            refs = [f"ts{next(slot_numbers)}" for _ in range(2)]
            slots += zip((start, end), refs, strict=True)
            names.append(f"a{next(numbers)}")
            entry = ids.get(value.casefold())
            annotation = ElementTree.SubElement(
                ElementTree.SubElement(element, "ANNOTATION"),
                "ALIGNABLE_ANNOTATION",
                {"CVE_REF": entry} if entry and tier.kind == LABEL_TYPE else {},
                ANNOTATION_ID=names[-1],
                TIME_SLOT_REF1=refs[0],
                TIME_SLOT_REF2=refs[1],
            )
            ElementTree.SubElement(annotation, "ANNOTATION_VALUE").text = value
        labels.append(element)
        for kind, values in tier.more.items():
            if any(value is not None for value in values):
                name = free_name(f"{tier.name}:{kind}", {*taken, *(one.name for one in tiers)})
                dependents.append((kind, _dependent(tier, name, kind, values, names, numbers)))
    order = list(DEPENDENT_TYPES)
    dependents.sort(key=lambda pair: order.index(pair[0]))
    _add_slots(document, edits, slots)
    edits.add([*labels, *(element for _, element in dependents)], into=document.root)
    used = {tier.kind for tier in tiers} | {DEPENDENT_TYPES[kind] for kind, _ in dependents}
    _add_types(document, edits, used)
    last = next(numbers) - 1
    if tiers and last > (whole_number(document.property(_LAST_ID) or "") or 0):
        set_property(document, edits, _LAST_ID, str(last))


def _dependent(
    tier: NewTier,
    name: str,
    kind: str,
    values: Sequence[str | None],
    parents: Sequence[str],
    numbers: Iterable[int],
) -> ElementTree.Element:
    element = ElementTree.Element(
        "TIER",
        dict(tier.attributes),
        LINGUISTIC_TYPE_REF=DEPENDENT_TYPES[kind],
        PARENT_REF=tier.name,
        TIER_ID=name,
    )
    for parent, value, number in zip(parents, values, numbers):  # noqa: B905  numbers never end
        if value is None:
            continue
        annotation = ElementTree.SubElement(
            ElementTree.SubElement(element, "ANNOTATION"),
            "REF_ANNOTATION",
            ANNOTATION_ID=f"a{number}",
            ANNOTATION_REF=parent,
        )
        ElementTree.SubElement(annotation, "ANNOTATION_VALUE").text = value
    return element


def set_property(document: ElanDocument, edits: Edits, name: str, text: str) -> None:
    """Set a property of the header."""
    found = [one for one in document.header.iterfind("PROPERTY") if one.get("NAME") == name]
    if found:
        edits.set_text(found[0], text)
        return
    element = ElementTree.Element("PROPERTY", NAME=name)
    element.text = text
    edits.add([element], into=document.header)


def free_name(name: str, taken: Collection[str]) -> str:
    """``name``, with a number behind it if a tier has it.

    >>> free_name("a", {"a", "a 2"})
    'a 3'
    """
    names = (f"{name} {number}" if number > 1 else name for number in count(1))
    return next(one for one in names if one not in taken)


def _free_slots(
    document: ElanDocument, edits: Edits, kept: Sequence[ElementTree.Element]
) -> set[str]:
    """Remove the slots that only removed tiers used; returns their ids."""
    everywhere = _slots_of(document.tiers)
    free = everywhere - _slots_of(kept)
    for slot in document.time_order:
        if slot.get("TIME_SLOT_ID") in free:
            edits.remove(slot)
    return free


def _slots_of(tiers: Iterable[ElementTree.Element]) -> set[str]:
    return {
        annotation.get(name, "")
        for tier in tiers
        for annotation in tier.iter("ALIGNABLE_ANNOTATION")
        for name in ("TIME_SLOT_REF1", "TIME_SLOT_REF2")
    }


def _annotation_ids(tiers: Iterable[ElementTree.Element]) -> Iterable[str]:
    return (
        element.get("ANNOTATION_ID", "")
        for tier in tiers
        for element in tier.iterfind("ANNOTATION/*")
    )


def _highest(names: Iterable[str], *, prefix: str) -> int:
    numbers = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
    return max((whole_number(number) or 0 for number in numbers), default=0)


def _add_slots(document: ElanDocument, edits: Edits, slots: Sequence[tuple[int, str]]) -> None:
    """Add time slots in the order of time; slots without a time stay behind their predecessors."""
    known = list(document.time_order)
    times: list[int] = []
    for slot in known:
        value = whole_number(slot.get("TIME_VALUE", ""))
        times.append(max(value or 0, times[-1] if times else 0))
    groups: dict[int, list[ElementTree.Element]] = {}
    for value, name in sorted(slots, key=lambda pair: pair[0]):
        element = ElementTree.Element("TIME_SLOT", TIME_SLOT_ID=name, TIME_VALUE=str(value))
        groups.setdefault(bisect_right(times, value), []).append(element)
    for place, elements in groups.items():
        if not known:
            edits.add(elements, into=document.time_order)
        elif place:
            edits.add_after(known[place - 1], elements)
        else:
            edits.add_before(known[0], elements)


def _add_types(document: ElanDocument, edits: Edits, used: set[str]) -> None:
    known = {one.get("LINGUISTIC_TYPE_ID") for one in document.root.iterfind("LINGUISTIC_TYPE")}
    stereotypes = {one.get("STEREOTYPE") for one in document.root.iterfind("CONSTRAINT")}
    depends = False
    for name in sorted(used - known):
        element = ElementTree.Element(
            "LINGUISTIC_TYPE", GRAPHIC_REFERENCES="false", LINGUISTIC_TYPE_ID=name
        )
        if name in DEPENDENT_TYPES.values():
            depends = True
            element.set("CONSTRAINTS", "Symbolic_Association")
            element.set("TIME_ALIGNABLE", "false")
        else:
            element.set("TIME_ALIGNABLE", "true")
        if name == LABEL_TYPE:
            element.set("CONTROLLED_VOCABULARY_REF", _VOCABULARY)
        edits.add([element], into=document.root)
    if depends and "Symbolic_Association" not in stereotypes:
        text = _CONSTRAINTS["Symbolic_Association"]
        element = ElementTree.Element(
            "CONSTRAINT", DESCRIPTION=text, STEREOTYPE="Symbolic_Association"
        )
        edits.add([element], into=document.root)


def _vocabulary(
    document: ElanDocument,
    edits: Edits,
    entries: Mapping[str, str],
    *,
    kept: Sequence[ElementTree.Element],
) -> dict[str, str]:
    """Add what the vocabulary lacks; returns the id of each entry by its value in lower case.

    An id always stands for the same label, because ELAN takes the text of an annotation from its
    entry. Entries of other labels stay if a tier that stays may use them, and so do a person's.
    """
    if not entries:
        return {}
    is_old = _is_before_multilingual(document)
    found = [
        one
        for one in document.root.iterfind("CONTROLLED_VOCABULARY")
        if one.get("CV_ID") == _VOCABULARY
    ]
    ids: dict[str, str] = {}
    if found:
        is_used = any(tier.get("LINGUISTIC_TYPE_REF") == LABEL_TYPE for tier in kept)
        wanted = {_entry_id(label) for label in entries}
        for entry in found[0]:
            name = entry.get("CVE_ID", "")
            if name.startswith(OUR_ENTRIES) and name not in wanted and not is_used:
                edits.remove(entry)
                continue
            for text in [entry.text or "", *(one.text or "" for one in entry)]:
                ids.setdefault(text.strip().casefold(), name)
        ids.pop("", None)
    new = [
        _entry(label, description, is_old=is_old)
        for label, description in entries.items()
        if label.casefold() not in ids
    ]
    ids |= {label.casefold(): _entry_id(label) for label in entries if label.casefold() not in ids}
    if found:
        edits.add(new, into=found[0])
        return {} if is_old else ids
    vocabulary = ElementTree.Element("CONTROLLED_VOCABULARY", CV_ID=_VOCABULARY)
    text = "Behaviours that mmad knows"
    if is_old:
        vocabulary.set("DESCRIPTION", text)
    else:
        ElementTree.SubElement(vocabulary, "DESCRIPTION", LANG_REF=_LANGUAGE).text = text
        if not any(one.get("LANG_ID") == _LANGUAGE for one in document.root.iterfind("LANGUAGE")):
            language = ElementTree.Element(
                "LANGUAGE", LANG_ID=_LANGUAGE, LANG_LABEL="English (eng)"
            )
            edits.add([language], into=document.root)
    vocabulary.extend(new)
    edits.add([vocabulary], into=document.root)
    return {} if is_old else ids


def _is_before_multilingual(document: ElanDocument) -> bool:
    """Whether the format is older than 2.8, in which entries have one text and no id."""
    version = re.match(r"(\d+)\.(\d+)", document.root.get("FORMAT", ""))
    return version is not None and (int(version[1]), int(version[2])) < (2, 8)


def _entry(label: str, description: str, *, is_old: bool) -> ElementTree.Element:
    more = {"DESCRIPTION": description} if description else {}
    if is_old:
        entry = ElementTree.Element("CV_ENTRY", more)
        entry.text = label
        return entry
    entry = ElementTree.Element("CV_ENTRY_ML", CVE_ID=_entry_id(label))
    ElementTree.SubElement(entry, "CVE_VALUE", more, LANG_REF=_LANGUAGE).text = label
    return entry


def _entry_id(label: str) -> str:
    """An id of an entry that only this label has.

    >>> _entry_id("B1 nodding"), _entry_id("b1-nodding") == _entry_id("B1 nodding")
    ('mmad-B1-nodding-2593', False)
    """
    plain = re.sub("[^A-Za-z0-9]+", "-", label).strip("-")[:40]
    return f"{OUR_ENTRIES}{plain}-{hashlib.sha256(label.encode(errors='replace')).hexdigest()[:4]}"
