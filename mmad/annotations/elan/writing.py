"""Writing ELAN files (.eaf): detections as tiers, for correction by hand.

Tiers of the model are named ``mmad:<body part>:<lane>``. Only these are ever replaced; every other
tier of an existing file is kept. Annotations on one tier of ELAN must not overlap, but
micro-actions do, also within a body part: so each body part has as many lanes as it needs.

Source: ELAN Annotation Format 3.0, https://www.mpi.nl/tools/elan/EAFv3.0.xsd.
"""

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from mmad.annotations.elan.document import TIER_PREFIX, is_of_model, parse_elan, whole_number
from mmad.annotations.elan.lanes import tiers_of, whole_milliseconds
from mmad.annotations.elan.media import link_video
from mmad.errors import AnnotationError
from mmad.files import write_text
from mmad.labels import LabelMap
from mmad.structures import Detections

_TYPE = "mmad-detection"
_VOCABULARY = "mmad-actions"
_LANGUAGE = "eng"
_SCHEMA_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
# The order of the elements of a document, which the schema prescribes.
_ORDER = (
    "LICENSE",
    "HEADER",
    "TIME_ORDER",
    "TIER",
    "LINGUISTIC_TYPE",
    "LOCALE",
    "LANGUAGE",
    "CONSTRAINT",
    "CONTROLLED_VOCABULARY",
    "LEXICON_REF",
    "REF_LINK_SET",
    "EXTERNAL_REF",
)
_CONSTRAINTS = {
    "Time_Subdivision": "Time subdivision of parent annotation's time interval, no time gaps "
    "allowed within this interval",
    "Symbolic_Subdivision": "Symbolic subdivision of a parent annotation. Annotations refering to "
    "the same parent are ordered",
    "Symbolic_Association": "1-1 association with a parent annotation",
    "Included_In": "Time alignable annotations within the parent annotation's time interval, gaps "
    "are allowed",
}


def write_elan(
    path: str | Path,
    *,
    video: Path,
    detections: Detections,
    labels: LabelMap,
    min_score: float,
    author: str = "mmad",
) -> None:
    """Write the ``detections`` with a score of at least ``min_score`` as tiers of an ELAN file.

    An annotation reads like ``B1 nodding (0.83)``. Times are whole milliseconds, at least one
    apart. If the file exists, its tiers that begin with ``mmad:`` are replaced and all others are
    kept.

    Args:
        path: Path of the .eaf file.
        video: Video file, linked relative to the .eaf file.
        detections: Detections of the model in this video.
        labels: Label set of the detections.
        min_score: Lowest score that is written.
        author: Name of the annotator of the model's tiers.

    Raises: AnnotationError if an existing file is not an ELAN file, or if a tier made by hand
        depends on a tier of the model.
    """
    path = Path(path)
    chosen = detections[detections.scores >= min_score]
    root = _read_document(path) if path.exists() else _new_document(author=author)
    _remove_model_tiers(root, path=path)
    link_video(root, video=video, folder=path.parent)
    milliseconds = whole_milliseconds(chosen)
    slot_ids = [slot.get("TIME_SLOT_ID", "") for slot in root.iter("TIME_SLOT")]
    slots = count(_highest(slot_ids, prefix="ts") + 1)
    names = count(_highest(_annotation_ids(root), prefix="a") + 1)
    time_order = root.find("TIME_ORDER")
    assert time_order is not None  # read or created above
    for lane in tiers_of(chosen, labels=labels):
        tier = ElementTree.SubElement(
            root, "TIER", LINGUISTIC_TYPE_REF=_TYPE, TIER_ID=lane.tier, ANNOTATOR=author
        )
        for index in lane.indices:
            label = int(chosen.labels[index])
            refs = []
            for value in milliseconds[index]:
                refs.append(f"ts{next(slots)}")
                ElementTree.SubElement(
                    time_order, "TIME_SLOT", TIME_SLOT_ID=refs[-1], TIME_VALUE=str(value)
                )
            annotation = ElementTree.SubElement(
                ElementTree.SubElement(tier, "ANNOTATION"),
                "ALIGNABLE_ANNOTATION",
                ANNOTATION_ID=f"a{next(names)}",
                TIME_SLOT_REF1=refs[0],
                TIME_SLOT_REF2=refs[1],
            )
            text = f"{labels.title(label)} ({chosen.scores[index]:.2f})"
            ElementTree.SubElement(annotation, "ANNOTATION_VALUE").text = text
    _sort_time_slots(time_order)
    _add_vocabulary(root, labels=labels)
    _set_last_annotation(root)
    rank = {tag: position for position, tag in enumerate(_ORDER)}
    root[:] = sorted(root, key=lambda element: rank.get(element.tag, len(rank)))
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    write_text(path, f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n')


def _new_document(*, author: str) -> ElementTree.Element:
    root = ElementTree.Element(
        "ANNOTATION_DOCUMENT",
        {
            f"{{{_SCHEMA_INSTANCE}}}noNamespaceSchemaLocation": _SCHEMA,
            "AUTHOR": author,
            "DATE": datetime.now(UTC).isoformat(timespec="seconds"),
            "FORMAT": "3.0",
            "VERSION": "3.0",
        },
    )
    ElementTree.SubElement(root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    ElementTree.SubElement(root, "TIME_ORDER")
    for stereotype, description in _CONSTRAINTS.items():
        ElementTree.SubElement(root, "CONSTRAINT", STEREOTYPE=stereotype, DESCRIPTION=description)
    return root


def _read_document(path: Path) -> ElementTree.Element:
    advice = "nothing was written; name another file, or move this one away"
    try:
        root = parse_elan(path)
    except AnnotationError as error:
        raise AnnotationError(f"{error}; {advice}") from None
    header, time_order = root.find("HEADER"), root.find("TIME_ORDER")
    if root.tag != "ANNOTATION_DOCUMENT" or header is None or time_order is None:
        raise AnnotationError(f"{path}: XML, but not an ELAN file (root {root.tag}); {advice}")
    times = [slot.get("TIME_VALUE", "0") for slot in time_order.iter("TIME_SLOT")]
    bad = [value for value in times if whole_number(value) is None]
    if bad:
        raise AnnotationError(f"{path}: time slot with the value {bad[0]!r:.60}; {advice}")
    unit = header.get("TIME_UNITS", "milliseconds")
    if unit != "milliseconds":
        raise AnnotationError(f"{path}: expected times in milliseconds, found {unit}; {advice}")
    return root


def _remove_model_tiers(root: ElementTree.Element, *, path: Path) -> None:
    ours = [tier for tier in root.findall("TIER") if is_of_model(tier)]
    dependent = [
        tier.get("TIER_ID", "")
        for tier in root.findall("TIER")
        if tier.get("PARENT_REF", "").startswith(TIER_PREFIX) and tier not in ours
    ]
    if dependent:
        raise AnnotationError(
            f"{path}: the tiers {', '.join(dependent)} depend on tiers of the model, which would "
            "be replaced; give them another parent tier in ELAN, or name another file"
        )
    for tier in ours:
        root.remove(tier)
    used = {
        annotation.get(name)
        for annotation in root.iter("ALIGNABLE_ANNOTATION")
        for name in ("TIME_SLOT_REF1", "TIME_SLOT_REF2")
    }
    freed = {
        annotation.get(name)
        for tier in ours
        for annotation in tier.iter("ALIGNABLE_ANNOTATION")
        for name in ("TIME_SLOT_REF1", "TIME_SLOT_REF2")
    } - used
    time_order = root.find("TIME_ORDER")
    assert time_order is not None
    for slot in time_order.findall("TIME_SLOT"):
        if slot.get("TIME_SLOT_ID") in freed:
            time_order.remove(slot)


def _annotation_ids(root: ElementTree.Element) -> list[str]:
    return [
        element.get("ANNOTATION_ID", "")
        for tag in ("ALIGNABLE_ANNOTATION", "REF_ANNOTATION")
        for element in root.iter(tag)
    ]


def _highest(names: Sequence[str], *, prefix: str) -> int:
    numbers = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
    return max((whole_number(number) or 0 for number in numbers), default=0)


def _sort_time_slots(time_order: ElementTree.Element) -> None:
    """Sort the slots by time; a slot without a time stays behind its predecessor."""
    keyed = []
    last = 0
    for slot in time_order:
        last = int(slot.get("TIME_VALUE", last))
        keyed.append((last, slot))
    time_order[:] = [slot for _, slot in sorted(keyed, key=lambda pair: pair[0])]


def _add_vocabulary(root: ElementTree.Element, *, labels: LabelMap) -> None:
    """Add our linguistic type and vocabulary of actions to ``root``, replacing older ones."""
    for tag, attribute, name in (
        ("LINGUISTIC_TYPE", "LINGUISTIC_TYPE_ID", _TYPE),
        ("CONTROLLED_VOCABULARY", "CV_ID", _VOCABULARY),
    ):
        for element in root.findall(tag):
            if element.get(attribute) == name:
                root.remove(element)
    ElementTree.SubElement(
        root,
        "LINGUISTIC_TYPE",
        LINGUISTIC_TYPE_ID=_TYPE,
        TIME_ALIGNABLE="true",
        GRAPHIC_REFERENCES="false",
        CONTROLLED_VOCABULARY_REF=_VOCABULARY,
    )
    if not any(one.get("LANG_ID") == _LANGUAGE for one in root.findall("LANGUAGE")):
        ElementTree.SubElement(root, "LANGUAGE", LANG_ID=_LANGUAGE, LANG_LABEL="English (eng)")
    vocabulary = ElementTree.SubElement(root, "CONTROLLED_VOCABULARY", CV_ID=_VOCABULARY)
    description = ElementTree.SubElement(vocabulary, "DESCRIPTION", LANG_REF=_LANGUAGE)
    description.text = "Actions that mmad detects"
    for index in range(len(labels)):
        entry = ElementTree.SubElement(vocabulary, "CV_ENTRY_ML", CVE_ID=f"mmad-action-{index}")
        parent = labels.parent_names[labels.parents[index]] if labels.has_parents else ""
        value = ElementTree.SubElement(entry, "CVE_VALUE", LANG_REF=_LANGUAGE, DESCRIPTION=parent)
        value.text = labels.title(index)


def _set_last_annotation(root: ElementTree.Element) -> None:
    """Record the highest annotation number, so that ELAN does not assign it again."""
    header = root.find("HEADER")
    assert header is not None
    name = "lastUsedAnnotationId"
    found = [one for one in header.findall("PROPERTY") if one.get("NAME") == name]
    element = found[0] if found else ElementTree.SubElement(header, "PROPERTY", NAME=name)
    before = whole_number((element.text or "").strip()) or 0
    element.text = str(max(before, _highest(_annotation_ids(root), prefix="a")))


ElementTree.register_namespace("xsi", _SCHEMA_INSTANCE)
