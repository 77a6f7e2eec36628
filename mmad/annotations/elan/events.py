"""Coded events of ELAN files, with persons, annotators, scores and comments; and fresh ELAN files.

What reading and writing keep: labels, times in milliseconds, who is seen (PARTICIPANT), who coded
it (ANNOTATOR), scores, modifiers and comments (dependent tiers), and whether an event is a point.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mmad.annotations.elan.additions import (
    LABEL_TYPE,
    POINT_TYPE,
    NewTier,
    add_tiers,
    empty_document,
    free_name,
    set_property,
)
from mmad.annotations.elan.choice import ElanChoice
from mmad.annotations.elan.document import Edits, read_document, xml_text
from mmad.annotations.elan.lanes import ONE_GROUP, group_names, lanes_of, whole_milliseconds
from mmad.annotations.elan.media import (
    VIDEO_PROPERTY,
    descriptor_of,
    id_of_video,
    main_medium,
    media_of,
)
from mmad.annotations.elan.reading import bearers_of_times, label_of
from mmad.annotations.elan.tiers import TIER_PREFIX, Tier, owners, read_tiers, read_times
from mmad.annotations.elan.vocabularies import Vocabulary, named_as_title, vocabularies_of
from mmad.annotations.elan.writing import vocabulary_entries
from mmad.annotations.exchange.events import Event
from mmad.annotations.validation import RawFile, as_number
from mmad.errors import AnnotationError
from mmad.files import write_bytes
from mmad.labels import MA52, LabelMap
from mmad.video.find import video_id_of
from mmad.wording import count


@dataclass(frozen=True)
class ElanEvents:
    """The content of an ELAN file.

    Attributes:
        events: Events in the order of their start.
        video_id: The video that they are about.
        video: Its file, or None if it is not at the links nor beside the ELAN file.
        is_model_alone: Whether all of them are unedited detections.
        labels: All values that the vocabularies of the tiers offer.
        notices: What was left out, one sentence each.
    """

    events: tuple[Event, ...]
    video_id: str
    video: Path | None = None
    is_model_alone: bool = False
    labels: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


def read_elan_events(
    path: str | Path, *, choice: ElanChoice | None = None, with_model: bool | None = None
) -> ElanEvents:
    """The events of an ELAN file, whatever they are about.

    Codes and names of micro-actions, in any case, become their names if all events are such;
    otherwise labels are the values as they are, because others use codes such as A1, too.

    Args:
        path: Path of the .eaf file.
        choice: Which tiers are read, and in which language; by default all with times of their own.
        with_model: Whether unedited detections are read, too; None: only if there is
            nothing else.

    Raises: AnnotationError if the file is not an ELAN file, or names time slots that it lacks.
    """
    path = Path(path)
    document = read_document(path)
    times = read_times(document)
    if times.problems:
        raise AnnotationError(f"{path}: {times.problems[0]}")
    tiers = read_tiers(document, times.milliseconds)
    owned = owners(document, tiers)
    choice = choice or ElanChoice()
    if choice.is_made:
        chosen = [one for one in tiers if choice.has(one.element) and one not in owned.dependent]
    elif with_model or (with_model is None and owned.is_model_alone):
        chosen = [one for one in tiers if one not in owned.dependent]
    else:
        chosen = [one for one in tiers if one in owned.person or one in owned.changed]
    raw = RawFile()
    recognised, plain = (
        vocabularies_of(
            document.root,
            types={tier.kind for tier in chosen},
            folder=path.parent,
            language=choice.language,
            raw=raw if recognise else RawFile(),
            recognise=recognise,
        )
        for recognise in (True, False)
    )
    medium = main_medium(media_of(document))
    origin = medium.origin_milliseconds if medium else 0
    bearers = bearers_of_times(tiers)
    about = _about(owned.dependent)
    video_id = id_of_video(document, medium)
    events, names = [], []
    num_left = 0
    for tier in chosen:
        vocabulary = plain.get(tier.kind, Vocabulary())
        for one in tier.annotations:
            aligned = one if one.parent is None else bearers.get(one.id) if choice.is_made else None
            if aligned is not None and aligned.missing_slot is not None:
                raise AnnotationError(
                    f"{path}: tier '{tier.name}', annotation {one.id or None}: there is no time "
                    f"slot '{aligned.missing_slot}'"
                )
            if aligned is None or aligned.start is None or aligned.end is None:
                num_left += 1
                continue
            start, end = ((value + origin) / 1000 for value in (aligned.start, aligned.end))
            known = about.get(one.id, {})
            label = vocabulary.label(one.entry, one.value) or tier.name
            names.append(label_of(one, tier, recognised.get(tier.kind, Vocabulary())))
            events.append(
                Event(
                    video_id=video_id,
                    label=named_as_title(label) or label,
                    start_seconds=start,
                    end_seconds=start if tier.kind == POINT_TYPE else end,
                    person=tier.person,
                    annotator=tier.annotator,
                    score=as_number(known.get("mmad-score")),
                    comment=known.get("mmad-comment", ""),
                    modifiers=known.get("mmad-modifiers", ""),
                )
            )
    if all(name in MA52.names for name in names):
        events = [replace(one, label=name) for one, name in zip(events, names, strict=True)]
    notices = list(raw.notices)
    if num_left:
        notices.append(
            f"{path.name}: {count(num_left, 'annotation', 'is')} left out, without times of their "
            "own: not aligned, or they refer to others"
        )
    labels = {text for one in recognised.values() for text in one.by_value.values()}
    return ElanEvents(
        events=tuple(sorted(events, key=lambda one: (one.start_seconds, one.end_seconds))),
        video_id=video_id,
        video=None if medium is None else medium.find(path.parent),
        is_model_alone=owned.is_model_alone,
        labels=tuple(sorted(labels)),
        notices=tuple(notices),
    )


def _about(dependent: Sequence[Tier]) -> dict[str, dict[str, str]]:
    """What mmad wrote about each annotation, by its id and the type of the tier."""
    found: dict[str, dict[str, str]] = {}
    for tier in dependent:
        for one in tier.annotations:
            if one.parent is not None:
                found.setdefault(one.parent, {})[tier.kind] = one.value
    return found


def write_elan_events(
    path: str | Path,
    events: Sequence[Event],
    *,
    video: Path | None = None,
    video_id: str | None = None,
    labels: LabelMap | None = None,
    author: str = "",
    overwrite: bool = False,
) -> tuple[str, ...]:
    """Write the events of one video to a fresh ELAN file, as a person's tiers.

    There is a tier for each person, annotator, body part and lane, such as ``P1:head:1``. ELAN
    knows no points in time: they are a millisecond long, on tiers of a type of their own.

    Args:
        path: Path of the .eaf file.
        events: Events of one video.
        video: Its file, linked relative to the .eaf file; None links nothing.
        video_id: Id of the video; by default that of the events.
        labels: Label set that the vocabulary offers; by default the labels of the events, with
            those of MA-52 if all are micro-actions.
        author: Author of the file, and annotator of events without one.
        overwrite: Whether an existing file may be replaced.

    Returns: notices, one sentence each.

    Raises: AnnotationError if the file exists, or if the events are of several videos.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise AnnotationError(f"{path}: exists, and may hold work of a person; name another file")
    videos = sorted({event.video_id for event in events})
    if len(videos) > 1:
        raise AnnotationError(
            f"{path}: an ELAN file is about one video, but the events are of {len(videos)}: "
            f"{', '.join(videos[:5])}"
        )
    video_id = video_id or (videos[0] if videos else None)
    labels = labels or _labels(events)
    document = empty_document(path, author=author)
    edits = Edits(document)
    if video is not None:
        edits.add([descriptor_of(video, folder=path.parent)], into=document.header)
    add_tiers(
        document,
        edits,
        _tiers(events, labels=labels, author=author),
        entries=vocabulary_entries(labels),
        removed=(),
        taken=(),
    )
    if video_id is not None and (video is None or video_id != video_id_of(video)):
        set_property(document, edits, VIDEO_PROPERTY, xml_text(video_id))
    write_bytes(path, edits.applied())
    num_points = sum(event.is_point for event in events)
    if not num_points:
        return ()
    return (
        f"{path.name}: {count(num_points, 'point event')} of a millisecond each, because ELAN has "
        "no points in time; mmad reads them as points",
    )


def _labels(events: Sequence[Event]) -> LabelMap:
    """MA-52 if all events are micro-actions, by name or code, else the labels of the events."""
    names = {event.label for event in events}
    known = {name.casefold() for name in (*MA52.names, *MA52.codes)}
    # A number is a rating of somebody's, not the index of a micro-action.
    if all(name.strip().casefold() in known for name in names):
        return MA52
    return LabelMap(names=tuple(sorted(names)))


def _tiers(events: Sequence[Event], *, labels: LabelMap, author: str) -> list[NewTier]:
    milliseconds = whole_milliseconds([(one.start_seconds, one.end_seconds) for one in events])
    indices = [_index(labels, event.label) for event in events]
    parts = [
        group_names(labels, [index])[0] if index is not None else ONE_GROUP for index in indices
    ]
    keys = [
        (event.person or "", event.annotator or author, event.is_point, part)
        for event, part in zip(events, parts, strict=True)
    ]
    several = len({key[1] for key in keys}) > 1
    order = {name: place for place, name in enumerate(labels.parent_names)}
    found: list[NewTier] = []
    for (key, lane), members in sorted(
        lanes_of(keys, milliseconds).items(),
        key=lambda item: (*item[0][0][:3], order.get(item[0][0][3], 0), item[0][0][3], item[0][1]),
    ):
        person, annotator, is_point, part = key
        names = [
            person,
            annotator if several else "",
            part,
            "points" if is_point else "",
            str(lane),
        ]
        name = xml_text(":".join(one for one in names if one))
        if name.startswith(TIER_PREFIX):  # reserved for what the model finds
            name = f"{name[: len(TIER_PREFIX) - 1]} {name[len(TIER_PREFIX) :]}"
        attributes = {"ANNOTATOR": annotator} if annotator else {}
        mine = [events[index] for index in members]
        found.append(
            NewTier(
                name=free_name(name, {one.name for one in found}),
                milliseconds=[milliseconds[index] for index in members],
                values=[_value(labels, indices[index], events[index].label) for index in members],
                more={
                    "score": [None if one.score is None else f"{one.score:.6g}" for one in mine],
                    "modifiers": [one.modifiers.strip() or None for one in mine],
                    "comment": [one.comment.strip() or None for one in mine],
                },
                attributes=attributes | ({"PARTICIPANT": person} if person else {}),
                kind=POINT_TYPE if is_point else LABEL_TYPE,
            )
        )
    return found


def _index(labels: LabelMap, label: str) -> int | None:
    try:
        return labels.index(label)
    except KeyError:
        return None


def _value(labels: LabelMap, index: int | None, label: str) -> str:
    return xml_text(label if index is None else labels.title(index))
