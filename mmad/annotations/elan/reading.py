"""Reading ELAN files (.eaf): annotations on tiers become instances of a video.

Source: ELAN Annotation Format 3.0, https://www.mpi.nl/tools/elan/EAFv3.0.xsd.
"""

import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mmad.annotations.elan.choice import ElanChoice
from mmad.annotations.elan.document import TIER_PREFIX, is_of_model, parse_elan, whole_number
from mmad.annotations.elan.media import linked_video, measure
from mmad.annotations.elan.vocabularies import Vocabulary, micro_action, vocabularies_of
from mmad.annotations.mma52 import UNKNOWN_SUBSET
from mmad.annotations.problems import BAD_FILE, BAD_VALUE, Problem
from mmad.annotations.subsets import guess_subset
from mmad.annotations.validation import RawFile, RawInstance, RawVideo
from mmad.errors import AnnotationError
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

    The video has the name of the first linked video file, else that of the .eaf file. ELAN does not
    store its duration: it is that of the linked file if that exists at the link or beside the .eaf
    file; otherwise the last time slot is used, with a notice. Tiers of the model (``mmad:``), other
    annotations that refer to others, and those without times of their own are left out with a
    notice.

    Raises: AnnotationError if the file is missing, not XML, has a document type, or is not an ELAN
    file in milliseconds.
    """
    root = _parse(path)
    raw = RawFile()
    milliseconds = _read_times(root, problems=raw.problems)
    known = [value for value in milliseconds.values() if value is not None]
    if not known and not raw.problems:
        message = (
            "no time slot, so the duration of the video is not known; annotate something, or leave "
            "the file out"
        )
        raw.problems.append(Problem(BAD_VALUE, message))
    if not known:
        return raw
    choice = choice or ElanChoice()
    tiers = _read_tiers(root, milliseconds=milliseconds, path=path, raw=raw, choice=choice)
    if choice.is_made:
        raw.classes = _classes(tiers)
    else:
        tiers = _choose_tiers(tiers, name=path.name, raw=raw)
    instances = [instance for tier in tiers for instance in tier.instances]
    instances.sort(key=lambda one: (one.start_seconds, one.end_seconds))
    _tell_parallel(tiers, name=path.name, raw=raw)
    links = linked_video(root, name=path.name, raw=raw)
    video_id = next((PurePosixPath(link).stem for link in links), path.stem)
    subset = guess_subset(path, video_id=video_id) or UNKNOWN_SUBSET
    video = RawVideo(
        video_id, max(known) / 1000, subset, fps=fps, instances=instances, is_length_assumed=True
    )
    if not measure(video, links=links, folder=path.parent):
        raw.notices.append(
            f"{path.name} does not state the duration of its video; its last time is used, "
            f"{video.duration_seconds:.3f} s"
        )
    raw.videos.append(video)
    return raw


def _parse(path: Path) -> ElementTree.Element:
    root = parse_elan(path)
    header = root.find("HEADER")
    if root.tag != "ANNOTATION_DOCUMENT" or header is None or root.find("TIME_ORDER") is None:
        raise AnnotationError(
            f"{path}: expected an ELAN file with HEADER and TIME_ORDER, found XML with the root "
            f"{root.tag}"
        )
    unit = header.get("TIME_UNITS", "milliseconds")
    if unit != "milliseconds":
        raise AnnotationError(f"{path}: expected times in milliseconds, found {unit}")
    return root


def _read_times(root: ElementTree.Element, *, problems: list[Problem]) -> dict[str, int | None]:
    """Milliseconds of each time slot; None for a slot without a time of its own."""
    times: dict[str, int | None] = {}
    for slot in root.iterfind("TIME_ORDER/TIME_SLOT"):
        name, text = slot.get("TIME_SLOT_ID", ""), slot.get("TIME_VALUE")
        if text is not None and whole_number(text) is None:
            message = f"time slot {name}: expected whole milliseconds, found {text!r}"
            problems.append(Problem(BAD_VALUE, message))
        elif name in times:
            problems.append(Problem(BAD_FILE, f"time slot {name} is listed twice"))
        else:
            times[name] = None if text is None else whole_number(text)
    return times


def _read_tiers(
    root: ElementTree.Element,
    *,
    milliseconds: Mapping[str, int | None],
    path: Path,
    raw: RawFile,
    choice: ElanChoice,
) -> list[_Tier]:
    name = path.name
    tiers = []
    all_tiers = root.findall("TIER")
    raw.tiers = tuple(tier.get("TIER_ID", "") for tier in all_tiers)
    model_tiers = [tier for tier in all_tiers if is_of_model(tier)]
    if choice.is_made:
        chosen = [tier for tier in all_tiers if choice.has(tier)]
        raw.has_chosen_tiers = bool(chosen)
        model_tiers = [tier for tier in model_tiers if tier in chosen]
    else:
        chosen = all_tiers
    types = {tier.get("LINGUISTIC_TYPE_REF", "") for tier in chosen}
    vocabularies = vocabularies_of(
        root, types=types, folder=path.parent, language=choice.language, raw=raw
    )
    bearers = _bearers_of_times(root) if choice.is_made else {}
    if model_tiers:
        count = sum(len(tier.findall("ANNOTATION")) for tier in model_tiers)
        raw.notices.append(
            f"{name}: {len(model_tiers)} tiers of the model ({TIER_PREFIX}...) with {count} "
            "annotations are left out; copy what a person has accepted to a tier of its own"
        )
    num_referring = num_unaligned = 0
    for tier in chosen:
        if is_of_model(tier):
            continue
        tier_id = tier.get("TIER_ID", "")
        vocabulary = vocabularies.get(tier.get("LINGUISTIC_TYPE_REF", ""), Vocabulary())
        instances = []
        for element in tier.iterfind("ANNOTATION/*"):
            where = f"tier '{tier_id}', annotation {element.get('ANNOTATION_ID')}"
            is_referring = element.tag == "REF_ANNOTATION"
            aligned = bearers.get(element.get("ANNOTATION_ID", "")) if is_referring else element
            if aligned is None:
                num_referring += 1
                continue
            slots = [aligned.get(key, "") for key in ("TIME_SLOT_REF1", "TIME_SLOT_REF2")]
            absent = [slot for slot in slots if slot not in milliseconds]
            if absent:
                message = f"{where}: there is no time slot '{absent[0]}'"
                raw.problems.append(Problem(BAD_VALUE, message))
                continue
            start, end = (milliseconds[slot] for slot in slots)
            if start is None or end is None:
                num_unaligned += 1
                continue
            value = (element.findtext("ANNOTATION_VALUE") or "").strip()
            value = vocabulary.label(element.get("CVE_REF"), value)
            label = micro_action(value) or micro_action(tier_id) or value or tier_id
            instances.append(RawInstance(where, start / 1000, end / 1000, label))
        tiers.append(_Tier(tier_id, instances, vocabulary))
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
    return tiers


def _bearers_of_times(root: ElementTree.Element) -> dict[str, ElementTree.Element]:
    """The annotation with times that each annotation refers to, directly or via others, by id.

    Annotations of one tier that share a parent divide its time in a way that the file does not
    record, so they and those that refer to them are left out.
    """
    found: dict[str, ElementTree.Element] = {}
    parents: dict[str, str] = {}
    for tier in root.iterfind("TIER"):
        for one in tier.iter("ALIGNABLE_ANNOTATION"):
            found[one.get("ANNOTATION_ID", "")] = one
        siblings = Counter(one.get("ANNOTATION_REF") for one in tier.iter("REF_ANNOTATION"))
        for one in tier.iter("REF_ANNOTATION"):
            if siblings[one.get("ANNOTATION_REF")] == 1:
                parents[one.get("ANNOTATION_ID", "")] = one.get("ANNOTATION_REF", "")
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
