"""Reading ELAN files (.eaf): annotations on tiers become instances of a video.

Source: ELAN Annotation Format 3.0, https://www.mpi.nl/tools/elan/EAFv3.0.xsd.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mmad.annotations.elan.choice import ElanChoice
from mmad.annotations.elan.document import ElanDocument, read_document
from mmad.annotations.elan.media import id_of_video, main_medium, measure, media_of
from mmad.annotations.elan.tiers import (
    Annotation,
    Ownership,
    Tier,
    Times,
    owners,
    read_tiers,
    read_times,
)
from mmad.annotations.elan.vocabularies import Vocabulary, micro_action, vocabularies_of
from mmad.annotations.mma52 import UNKNOWN_SUBSET
from mmad.annotations.problems import BAD_FILE, BAD_VALUE, Problem
from mmad.annotations.subsets import guess_subset
from mmad.annotations.validation import TOLERATED_SECONDS, RawFile, RawInstance, RawVideo
from mmad.labels import MA52
from mmad.wording import count


@dataclass(frozen=True)
class _Tier:
    """The content of a tier.

    Attributes:
        name: Name of the tier.
        instances: Its instances; labels are names of micro-actions, or texts of annotations.
        vocabulary: Values that ELAN offers on this tier.
    """

    name: str
    instances: list[RawInstance]
    vocabulary: Vocabulary

    @property
    def has_micro_actions(self) -> bool:
        return any(instance.label in MA52.names for instance in self.instances)


def read_elan(path: Path, *, fps: float | None = None, choice: ElanChoice | None = None) -> RawFile:
    """The manual annotations in an ELAN file, as one video.

    The label of an annotation is the micro-action that its value names, else the one that its tier
    names, else its value itself (without one, the name of the tier). If at least half of the tiers
    contain micro-actions, tiers without any, such as speech, are left out with a notice, and the
    labels are those of MA-52; otherwise they are all values, and those of the controlled
    vocabularies of their tiers, sorted.

    A value of a multilingual vocabulary is read in one language, whatever language it was written
    in. On tiers that were chosen, annotations that refer to one of another tier have its times.

    The video has the name of the first linked video file, else that of the .eaf file, and times
    count from its beginning, whatever ELAN skips of it. ELAN does not store its duration: it is
    that of the linked file if that can be found; otherwise the last time slot is used, with a
    notice. Annotations that end up to half a second after the last image are cut there, with one.

    Unedited tiers of the model are left out with a notice, unless they are chosen; a
    file with nothing else has no video. So are annotations that refer to others, and those without
    times of their own.

    Raises: AnnotationError if the file is missing, not XML, has a document type, or is not an ELAN
    file in milliseconds.
    """
    document = read_document(path)
    raw = RawFile()
    times = read_times(document)
    raw.problems += [Problem(BAD_VALUE, message) for message in times.problems]
    raw.problems += [
        Problem(BAD_FILE, f"time slot {name} is listed twice") for name in times.repeated
    ]
    if times.problems and not any(times.milliseconds.values()):
        return raw
    choice = choice or ElanChoice()
    all_tiers = read_tiers(document, times.milliseconds)
    owned = owners(document, all_tiers)
    raw.tiers = tuple(tier.name for tier in all_tiers)
    if owned.is_model_alone and not choice.is_made:
        raw.unchanged.append(path)
        return raw
    medium = main_medium(media_of(document))
    origin = medium.origin_milliseconds if medium else 0
    chosen = _chosen(owned, all_tiers, choice=choice, name=path.name, raw=raw)
    tiers = _instances(document, chosen, times, choice=choice, origin=origin, raw=raw)
    if choice.is_made:
        raw.classes = _classes(tiers)
    else:
        tiers = _choose_tiers(tiers, name=path.name, raw=raw)
    instances = [instance for tier in tiers for instance in tier.instances]
    instances.sort(key=lambda one: (one.start_seconds, one.end_seconds))
    _tell_parallel(tiers, name=path.name, raw=raw)
    video_id = id_of_video(document, medium)
    subset = guess_subset(path, video_id=video_id) or UNKNOWN_SUBSET
    video = RawVideo(video_id, 0.0, subset, fps=fps, instances=instances)
    if measure(video, medium=medium, folder=path.parent):
        raw.notices += end_with_video(video, name=path.name)
    else:
        _assume_length(video, times, origin=origin, name=path.name, raw=raw)
    raw.videos.append(video)
    return raw


def _assume_length(video: RawVideo, times: Times, *, origin: int, name: str, raw: RawFile) -> None:
    """Take the last time as the length of a video whose file was not found, with a notice."""
    video.is_length_assumed = True
    known = [value for value in times.milliseconds.values() if value is not None]
    video.duration_seconds = max((max(known, default=0) + origin) / 1000, 0.001)
    reason = "its last time is used" if known else "it has no times either, so it counts as"
    raw.notices.append(
        f"{name} does not state the duration of its video; {reason}, {video.duration_seconds:.3f} s"
    )


def end_with_video(video: RawVideo, *, name: str) -> list[str]:
    """Cut instances that end a little after the last image; returns a notice if there are any."""
    end = video.duration_seconds
    late = [
        one
        for one in video.instances
        if 0 < one.end_seconds - end <= TOLERATED_SECONDS and one.start_seconds < end
    ]
    if not late:
        return []
    furthest = max(one.end_seconds for one in late) - end
    video.instances = [
        replace(one, end_seconds=end) if one in late else one for one in video.instances
    ]
    return [
        f"{name}: {count(len(late), 'annotation')} cut at the last image of the video, "
        f"{end:.3f} s; the furthest ended {furthest:.3f} s after it"
    ]


def _chosen(
    owned: Ownership,
    tiers: Sequence[Tier],
    *,
    choice: ElanChoice,
    name: str,
    raw: RawFile,
) -> list[Tier]:
    """The tiers to read: the chosen ones, else those of a person."""
    if choice.is_made:
        chosen = [tier for tier in tiers if choice.has(tier.element)]
        raw.has_chosen_tiers = bool(chosen)
        return [tier for tier in chosen if tier not in owned.dependent]
    if owned.model:
        number = sum(len(tier.annotations) for tier in owned.model)
        raw.notices.append(
            f"{name}: leaves out {count(len(owned.model), 'unedited tier')} of the model with "
            f"{count(number, 'annotation')}; if they were checked and are right, choose them with "
            "--tier 'mmad:*', and your own by further --tier"
        )
    if owned.changed:
        names = ", ".join(tier.name for tier in owned.changed)
        raw.notices.append(f"{name}: changed by a person, so read as that person's: {names}")
    return [tier for tier in tiers if tier in owned.changed or tier in owned.person]


def _instances(
    document: ElanDocument,
    chosen: Sequence[Tier],
    times: Times,
    *,
    choice: ElanChoice,
    origin: int,
    raw: RawFile,
) -> list[_Tier]:
    name = document.path.name
    vocabularies = vocabularies_of(
        document.root,
        types={tier.kind for tier in chosen},
        folder=document.path.parent,
        language=choice.language,
        raw=raw,
    )
    bearers = bearers_of_times(read_tiers(document, times.milliseconds)) if choice.is_made else {}
    found = []
    num_referring = num_unaligned = 0
    for tier in chosen:
        vocabulary = vocabularies.get(tier.kind, Vocabulary())
        instances = []
        for one in tier.annotations:
            where = f"tier '{tier.name}', annotation {one.id or None}"
            aligned = one if one.parent is None else bearers.get(one.id)
            if aligned is None:
                num_referring += 1
                continue
            if aligned.missing_slot is not None:
                message = f"{where}: there is no time slot '{aligned.missing_slot}'"
                raw.problems.append(Problem(BAD_VALUE, message))
                continue
            if aligned.start is None or aligned.end is None:
                num_unaligned += 1
                continue
            start, end = ((value + origin) / 1000 for value in (aligned.start, aligned.end))
            label = label_of(one, tier, vocabulary)
            instances.append(RawInstance(where, start, end, label))
        found.append(_Tier(tier.name, instances, vocabulary))
    if num_referring:
        raw.notices.append(
            f"{name}: {num_referring} annotations that refer to others (REF_ANNOTATION) are left "
            "out; they have no times of their own"
        )
    if num_unaligned:
        raw.notices.append(
            f"{name}: {num_unaligned} annotations whose start or end is not aligned to a time are "
            "left out"
        )
    return found


def label_of(annotation: Annotation, tier: Tier, vocabulary: Vocabulary) -> str:
    """The label of an annotation, as `read_elan` describes it."""
    value = vocabulary.label(annotation.entry, annotation.value)
    return micro_action(value) or micro_action(tier.name) or value or tier.name


def bearers_of_times(tiers: Sequence[Tier]) -> dict[str, Annotation]:
    """The annotation with times that each annotation refers to, directly or via others, by id.

    Annotations of one tier that share a parent divide its time in a way that the file does not
    record, so they and those that refer to them are left out.
    """
    found: dict[str, Annotation] = {}
    parents: dict[str, str] = {}
    for tier in tiers:
        siblings = Counter(one.parent for one in tier.annotations if one.parent is not None)
        for one in tier.annotations:
            if one.parent is None:
                found[one.id] = one
            elif siblings[one.parent] == 1:
                parents[one.id] = one.parent
    waiting = parents
    while ready := [name for name, parent in waiting.items() if parent in found]:
        found |= {name: found[parents[name]] for name in ready}
        waiting = {name: parent for name, parent in waiting.items() if name not in found}
    return found


def _choose_tiers(tiers: Sequence[_Tier], *, name: str, raw: RawFile) -> list[_Tier]:
    """The tiers that contain behaviour; sets the classes of ``raw`` to the labels they use."""
    used = [tier for tier in tiers if tier.instances]
    chosen = [tier for tier in used if tier.has_micro_actions]
    if used and 2 * len(chosen) >= len(used):
        raw.notices += [
            f"{name}: tier '{tier.name}' with {len(tier.instances)} annotations is left out: none "
            "of them is a micro-action of MA-52"
            for tier in used
            if tier not in chosen
        ]
        raw.classes = MA52.names
        return chosen
    raw.classes = _classes(used)
    return used


def _classes(tiers: Sequence[_Tier]) -> tuple[str, ...] | None:
    """All values of the tiers and their vocabularies; the labels of MA-52 if all are among them."""
    values = {instance.label for tier in tiers for instance in tier.instances}
    values.update(value for tier in tiers for value in tier.vocabulary.by_value.values())
    if values and values <= set(MA52.names):
        return MA52.names
    # Labels are case-insensitive: of two spellings one is kept.
    return tuple({value.casefold(): value for value in sorted(values)}.values()) or None


def _tell_parallel(tiers: Sequence[_Tier], *, name: str, raw: RawFile) -> None:
    """Add a notice if tiers repeat annotations, which is right only for two people or hands."""
    seen: dict[tuple[float, float, str], set[str]] = {}
    for tier in tiers:
        for one in tier.instances:
            key = (one.start_seconds, one.end_seconds, one.label)
            seen.setdefault(key, set()).add(tier.name)
    shared = {key: names for key, names in seen.items() if len(names) > 1}
    if shared:
        (start, end, label), names = next(iter(shared.items()))
        raw.notices.append(
            f"{name}: {count(len(shared), 'annotation', 'is')} on more than one tier with the same "
            f"times and label, first {label} from {start:.3f} to {end:.3f} s on "
            f"{', '.join(sorted(names))}; if these are not two people or hands, choose with --tier"
        )
