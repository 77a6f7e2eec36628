"""Tiers of ELAN files as values: annotations with times in milliseconds, and whose they are.

Tiers of the model are named ``mmad:<body part>:<lane>``, and what is known of each detection is in
tiers that depend on it: ``mmad:head:1:score``, ``mmad:head:1:source``. Together with each body part
mmad writes a *seal* into the header, a hash of the values and times. Where it no longer fits, a
person has changed the tiers of this body part, and they are that person's.

The hash is of the meaning: ELAN may order, indent and number everything anew.
"""

import hashlib
import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mmad.annotations.elan.document import ElanDocument, whole_number

TIER_PREFIX = "mmad:"
SEAL_PREFIX = "mmad:seal:"
# Linguistic types of our dependent tiers, whose values are no behaviours, by the end of their name.
DEPENDENT_TYPES = {name: f"mmad-{name}" for name in ("score", "source", "modifiers", "comment")}


@dataclass(frozen=True)
class Annotation:
    """An annotation of a tier.

    Attributes:
        id: Its id in the file.
        start: Start in milliseconds on the timeline of ELAN, or None if it is not aligned.
        end: End, likewise.
        value: Its text, without blanks around.
        entry: Id of its entry of a controlled vocabulary, or None.
        parent: Id of the annotation that it refers to, or None; then it has no times of its own.
        missing_slot: Id of a time slot that it names and the file lacks, or None.
        more: Links to other resources, as pairs of attribute and value.
    """

    id: str
    start: int | None
    end: int | None
    value: str
    entry: str | None = None
    parent: str | None = None
    missing_slot: str | None = None
    more: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, eq=False)
class Tier:
    """A tier.

    Attributes:
        element: Its element.
        name: Its name.
        kind: Its linguistic type.
        parent: Name of the tier that it depends on, or None.
        person: Who is seen (PARTICIPANT), or None.
        annotator: Who annotated it, or None.
        annotations: Its annotations, in the order of the file.
    """

    element: ElementTree.Element
    name: str
    kind: str
    parent: str | None
    person: str | None
    annotator: str | None
    annotations: tuple[Annotation, ...]

    @property
    def group(self) -> str | None:
        """The body part of a tier whose name is a label tier of the model, or None.

        All lanes of a body part are one group, because the lane of a detection means nothing.
        """
        return group_of(self.name)

    @property
    def is_dependent_of_ours(self) -> bool:
        """Whether its values are scores, sources or comments that mmad wrote, not behaviours."""
        return self.kind in DEPENDENT_TYPES.values() and self.parent is not None


@dataclass(frozen=True)
class Ownership:
    """Whose the tiers of a file are.

    Attributes:
        model: Unedited label tiers of the model.
        changed: Tiers named as the model's that are a person's: changed, or not known to mmad.
        person: All other tiers that may hold behaviours.
        dependent: Scores, sources and comments that mmad wrote.
    """

    model: tuple[Tier, ...] = ()
    changed: tuple[Tier, ...] = ()
    person: tuple[Tier, ...] = ()
    dependent: tuple[Tier, ...] = ()

    @property
    def is_model_alone(self) -> bool:
        """Whether there are detections of a model, and nothing of a person."""
        theirs = (*self.changed, *(tier for tier in self.person if tier.annotations))
        return bool(self.model) and not theirs


@dataclass
class Times:
    """Milliseconds of each time slot; None for a slot without a time of its own.

    Attributes:
        milliseconds: Time of each slot by id.
        problems: Slots that cannot be read, one sentence each.
        repeated: Ids that are listed twice.
    """

    milliseconds: dict[str, int | None] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)


def group_of(name: str) -> str | None:
    """The body part in the name of a label tier of the model, or None.

    >>> group_of("mmad:upper limb:2"), group_of("mmad:head:1:score"), group_of("head:1")
    ('upper limb', None, None)
    """
    group, _, lane = name.removeprefix(TIER_PREFIX).rpartition(":")
    is_ours = name.startswith(TIER_PREFIX) and group and whole_number(lane) is not None
    return group if is_ours else None


def read_times(document: ElanDocument) -> Times:
    """The time slots of a document."""
    times = Times()
    for slot in document.time_order.iterfind("TIME_SLOT"):
        name, text = slot.get("TIME_SLOT_ID", ""), slot.get("TIME_VALUE")
        number = None if text is None else whole_number(text)
        if text is not None and number is None:
            times.problems.append(f"time slot {name}: expected whole milliseconds, found {text!r}")
        elif name in times.milliseconds:
            times.repeated.append(name)
        else:
            times.milliseconds[name] = number
    return times


def read_tiers(document: ElanDocument, milliseconds: Mapping[str, int | None]) -> list[Tier]:
    """The tiers of a document, in its order."""
    return [
        Tier(
            element=tier,
            name=tier.get("TIER_ID", ""),
            kind=tier.get("LINGUISTIC_TYPE_REF", ""),
            parent=tier.get("PARENT_REF"),
            person=tier.get("PARTICIPANT") or None,
            annotator=tier.get("ANNOTATOR") or None,
            annotations=tuple(
                _annotation(one, milliseconds) for one in tier.iterfind("ANNOTATION/*")
            ),
        )
        for tier in document.tiers
    ]


def _annotation(element: ElementTree.Element, milliseconds: Mapping[str, int | None]) -> Annotation:
    refers = element.tag == "REF_ANNOTATION"
    slots = [element.get(key, "") for key in ("TIME_SLOT_REF1", "TIME_SLOT_REF2")]
    absent = [] if refers else [slot for slot in slots if slot not in milliseconds]
    start, end = (milliseconds.get(slot) for slot in slots)
    return Annotation(
        id=element.get("ANNOTATION_ID", ""),
        start=start,
        end=end,
        value=(element.findtext("ANNOTATION_VALUE") or "").strip(),
        entry=element.get("CVE_REF"),
        parent=element.get("ANNOTATION_REF", "") if refers else None,
        missing_slot=absent[0] if absent else None,
        more=tuple(pair for pair in element.items() if pair[0] in ("EXT_REF", "SVG_REF")),
    )


def seal_of(annotator: str | None, tiers: Iterable[Sequence[Annotation]]) -> str:
    """The hash of what the label tiers of one body part say, and of their annotator.

    The order of tiers and annotations, ids and time slots do not matter.
    """
    rows = sorted(
        [one.start, one.end, one.value, *map(list, one.more)]
        for annotations in tiers
        for one in annotations
    )
    content = json.dumps([annotator or "", rows], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(content.encode(errors="surrogatepass")).hexdigest()[:32]


def owners(document: ElanDocument, tiers: Sequence[Tier]) -> Ownership:
    """Whose each tier is; see the top of this file."""
    groups: dict[str, list[Tier]] = {}
    for tier in tiers:
        if tier.group is not None:
            groups.setdefault(tier.group, []).append(tier)
    ours: set[str] = set()
    for group, members in groups.items():
        if document.property(f"{SEAL_PREFIX}{group}") == _seal(members) and not _has_others(
            members, tiers
        ):
            ours.update(tier.name for tier in members)
    model, changed, person, dependent = [], [], [], []
    for tier in tiers:
        if tier.name in ours:
            model.append(tier)
        elif tier.group is not None:
            changed.append(tier)
        elif tier.is_dependent_of_ours:
            dependent.append(tier)
        else:
            person.append(tier)
    return Ownership(tuple(model), tuple(changed), tuple(person), tuple(dependent))


def _seal(members: Sequence[Tier]) -> str | None:
    """The seal that fits the tiers now; None if they cannot be as mmad wrote them."""
    aligned = all(
        one.start is not None and one.end is not None and one.parent is None
        for tier in members
        for one in tier.annotations
    )
    annotators = {tier.annotator for tier in members}
    if not aligned or len(annotators) > 1 or any(tier.parent for tier in members):
        return None
    return seal_of(annotators.pop(), [tier.annotations for tier in members])


def _has_others(members: Sequence[Tier], tiers: Sequence[Tier]) -> bool:
    """Whether tiers of a person depend on any of these."""
    names = {tier.name for tier in members}
    names |= {tier.name for tier in tiers if tier.parent in names and tier.is_dependent_of_ours}
    return any(tier.parent in names and not tier.is_dependent_of_ours for tier in tiers)
