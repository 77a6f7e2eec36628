"""Writing detections into ELAN files (.eaf), for correction by hand.

Only unedited tiers of the model are ever replaced. Tiers that a person has changed
get another name, and everything else of an existing file stays as it is, byte for byte.
"""

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmad.annotations.elan.additions import (
    NewTier,
    add_tiers,
    empty_document,
    set_property,
)
from mmad.annotations.elan.document import Edits, ElanDocument, read_document, xml_text
from mmad.annotations.elan.lanes import group_names, lanes_of, whole_milliseconds
from mmad.annotations.elan.media import VIDEO_PROPERTY, descriptor_of, main_medium, media_of
from mmad.annotations.elan.tiers import (
    SEAL_PREFIX,
    TIER_PREFIX,
    Annotation,
    Ownership,
    Tier,
    owners,
    read_tiers,
    read_times,
    seal_of,
)
from mmad.errors import AnnotationError
from mmad.files import write_bytes
from mmad.labels import LabelMap
from mmad.names import file_key
from mmad.structures import Detections
from mmad.video.find import video_id_of
from mmad.wording import count as counted

EDITED_PREFIX = "edited:"
# Attributes of a tier that a person may have set on a tier of the model, which they do not change.
_KEPT_ATTRIBUTES = ("PARTICIPANT", "DEFAULT_LOCALE", "LANG_REF", "EXT_REF")


def write_elan(
    path: str | Path,
    *,
    video: Path,
    detections: Detections,
    labels: LabelMap,
    min_score: float,
    author: str = "mmad",
    source: str | None = None,
    video_id: str | None = None,
) -> tuple[str, ...]:
    """Write the ``detections`` with a score of at least ``min_score`` as tiers of an ELAN file.

    A tier has the labels of one body part and lane, as entries of a controlled vocabulary; two
    tiers depend on it, with the score and the source of each. Times are whole milliseconds, at
    least one apart, on the timeline of ELAN, which may begin within the video.

    If the file exists, unedited tiers of the model are replaced. Those that a person
    has changed are renamed (``edited:head:1``), with all lanes of their body part, and stay.

    Args:
        path: Path of the .eaf file.
        video: Video file, linked relative to the .eaf file unless that already links media.
        detections: Detections of the model in this video.
        labels: Label set of the detections.
        min_score: Lowest score that is written.
        author: Name of the annotator of the model's tiers.
        source: Text of the source of each detection, such as model, run and threshold.
        video_id: Id of the video if it is not the name of its file.

    Returns: notices, one sentence each, about tiers that were renamed and detections left out.

    Raises: AnnotationError if an existing file is not an ELAN file.
    """
    path = Path(path)
    document = _read_existing(path) if path.exists() else empty_document(path, author=author)
    edits = Edits(document)
    tiers = read_tiers(document, read_times(document).milliseconds)
    owned = owners(document, tiers)
    new_names = _rename_changed(document, edits, owned, author=author)
    notices = _tell_changed(path, owned, new_names)
    removed = _remove_model(edits, owned)
    origin = _link(document, edits, video)
    chosen = detections[detections.scores >= min_score]
    segments = chosen.segments_seconds - origin / 1000
    visible = (segments[:, 1] > 0) | (segments[:, 0] >= 0)
    if not visible.all():
        hidden = counted(int((~visible).sum()), "detection", "is")
        notices.append(
            f"{path.name}: {hidden} left out, before the {origin / 1000:.3f} s of the video at "
            "which the timeline of ELAN begins"
        )
    chosen, segments = chosen[visible], segments[visible]
    new = _new_tiers(
        chosen,
        whole_milliseconds(segments.tolist()),
        labels=labels,
        author=author,
        source=source or f"{author}, scores from {min_score:g}",
        before=owned.model,
    )
    add_tiers(
        document,
        edits,
        new,
        entries=vocabulary_entries(labels),
        removed=removed,
        taken={new_names.get(one.name, one.name) for one in tiers if one.element not in removed},
    )
    _seal(document, edits, new, author=author)
    if video_id is not None and video_id != video_id_of(video):
        set_property(document, edits, VIDEO_PROPERTY, video_id)
    write_bytes(path, edits.applied())
    return tuple(notices)


def vocabulary_entries(labels: LabelMap) -> dict[str, str]:
    """Title and body part of each label, as ELAN offers them."""
    parents = labels.parent_names
    return {
        xml_text(labels.title(index)): parents[labels.parents[index]] if labels.has_parents else ""
        for index in range(len(labels))
    }


def _read_existing(path: Path) -> ElanDocument:
    advice = "nothing was written; name another file, or move this one away"
    try:
        document = read_document(path)
    except AnnotationError as error:
        raise AnnotationError(f"{error}; {advice}") from None
    times = read_times(document)
    if times.problems:
        raise AnnotationError(f"{path}: {times.problems[0]}; {advice}")
    return document


def _rename_changed(
    document: ElanDocument, edits: Edits, owned: Ownership, *, author: str
) -> dict[str, str]:
    """Give tiers that a person has changed names of their own; returns the new name of each.

    Tiers that depend on them follow, and so do ours that depend on a tier that a person has
    renamed.
    """
    taken = {tier.get("TIER_ID", "") for tier in document.tiers}
    new_names: dict[str, str] = {}
    for group in dict.fromkeys(tier.group for tier in owned.changed):
        members = [tier.name for tier in owned.changed if tier.group == group]
        new_names |= _edited_names(members, taken)
    model = {tier.name for tier in owned.model}
    for tier in owned.dependent:
        if tier.name.startswith(TIER_PREFIX) and tier.parent not in model:
            kind = tier.name.rpartition(":")[2]
            name = f"{new_names.get(tier.parent or '', tier.parent or '')}:{kind}"
            new_names[tier.name] = name if name not in taken else f"{name} of {tier.name[5:]}"
    whose = document.root.get("AUTHOR", "")
    for element in document.tiers:
        name, parent = element.get("TIER_ID", ""), element.get("PARENT_REF", "")
        if name in new_names:
            edits.set(element, "TIER_ID", new_names[name])
        if parent in new_names:
            edits.set(element, "PARENT_REF", new_names[parent])
    for one in owned.changed:
        if one.annotator and _is_model(one.annotator, author):
            person = whose if whose and not _is_model(whose, author) else None
            edits.set(one.element, "ANNOTATOR", person)
    return new_names


def _tell_changed(path: Path, owned: Ownership, new_names: Mapping[str, str]) -> list[str]:
    if not owned.changed:
        return []
    names = ", ".join(f"{tier.name} (now {new_names[tier.name]})" for tier in owned.changed)
    return [f"{path.name}: changed by a person, so kept as that person's: {names}"]


def _is_model(annotator: str, author: str) -> bool:
    return annotator == author or annotator.startswith("mmad")


def _edited_names(names: Sequence[str], taken: set[str]) -> dict[str, str]:
    """New names for the lanes of a body part, none of which a tier has; adds them to ``taken``."""
    number = 1
    while True:
        prefix = EDITED_PREFIX if number == 1 else f"edited {number}:"
        found = {name: prefix + name.removeprefix(TIER_PREFIX) for name in names}
        if not taken & set(found.values()):
            taken.update(found.values())
            return found
        number += 1


def _remove_model(edits: Edits, owned: Ownership) -> set[ElementTree.Element]:
    """Remove the model's tiers and what mmad wrote about them; returns their elements."""
    names = {tier.name for tier in owned.model}
    gone = {tier.element for tier in owned.model}
    gone |= {tier.element for tier in owned.dependent if tier.parent in names}
    for element in gone:
        edits.remove(element)
    return gone


def _link(document: ElanDocument, edits: Edits, video: Path) -> int:
    """Link the video if no media are linked; returns the time of it at which ELAN begins (ms)."""
    if document.header.find("MEDIA_DESCRIPTOR") is None:
        new = descriptor_of(video, folder=document.path.parent)
        if len(document.header):
            edits.add_before(document.header[0], [new])
        else:
            edits.add([new], into=document.header)
        return 0
    media = media_of(document)
    same = [one for one in media if file_key(one.name) == file_key(video.name)]
    medium = same[0] if same else main_medium(media)
    return medium.origin_milliseconds if medium else 0


def _new_tiers(
    chosen: Detections,
    milliseconds: Sequence[tuple[int, int]],
    *,
    labels: LabelMap,
    author: str,
    source: str,
    before: Sequence[Tier],
) -> list[NewTier]:
    order = {name: place for place, name in enumerate(labels.parent_names)}
    lanes = lanes_of(group_names(labels, chosen.labels.tolist()), milliseconds)
    set_before = {tier.name: tier.element for tier in before} | {
        tier.group or "": tier.element for tier in reversed(before)
    }
    found = []
    for (group, lane), indices in sorted(
        lanes.items(), key=lambda item: (order.get(item[0][0], 0), item[0])
    ):
        name = f"{TIER_PREFIX}{group}:{lane}"
        earlier = set_before.get(name, set_before.get(group))
        attributes = {"ANNOTATOR": author}
        if earlier is not None:
            attributes |= {key: value for key, value in earlier.items() if key in _KEPT_ATTRIBUTES}
        found.append(
            NewTier(
                name=name,
                milliseconds=[milliseconds[index] for index in indices],
                values=[xml_text(labels.title(int(chosen.labels[index]))) for index in indices],
                more={
                    "score": [f"{chosen.scores[index]:.3f}" for index in indices],
                    "source": [source] * len(indices),
                },
                attributes=attributes,
            )
        )
    return found


def _seal(document: ElanDocument, edits: Edits, new: Sequence[NewTier], *, author: str) -> None:
    """Note in the header what was written for each body part."""
    written: dict[str, list[list[Annotation]]] = {}
    for tier in new:
        group = tier.name.removeprefix(TIER_PREFIX).rpartition(":")[0]
        written.setdefault(group, []).append(
            [
                Annotation("", start, end, value.strip())
                for (start, end), value in zip(tier.milliseconds, tier.values, strict=True)
            ]
        )
    for element in document.header.iterfind("PROPERTY"):
        name = element.get("NAME", "")
        if name.startswith(SEAL_PREFIX) and name.removeprefix(SEAL_PREFIX) not in written:
            edits.remove(element)
    for group, annotations in written.items():
        set_property(document, edits, f"{SEAL_PREFIX}{group}", seal_of(author, annotations))
