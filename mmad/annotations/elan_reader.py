"""Reading ELAN files (.eaf): annotations on tiers become instances of a video.

Source: ELAN Annotation Format 3.0, https://www.mpi.nl/tools/elan/EAFv3.0.xsd.
"""

import os
import re
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from mmad.annotations.elan import TIER_PREFIX, parse_elan, whole_number
from mmad.annotations.mma52 import UNKNOWN_SUBSET
from mmad.annotations.problems import BAD_FILE, BAD_VALUE, Problem
from mmad.annotations.subsets import guess_subset
from mmad.annotations.validation import RawFile, RawInstance, RawVideo
from mmad.errors import AnnotationError, VideoError
from mmad.labels import MA52
from mmad.video.find import SUFFIXES
from mmad.wording import count

_SCORE = re.compile(r"\s*\(\d+(\.\d*)?\)$")
_MICRO_ACTIONS = {
    text.casefold(): name
    for index, name in enumerate(MA52.names)
    for text in (name, MA52.codes[index], MA52.title(index))
}


@dataclass(frozen=True)
class ElanChoice:
    """Which tiers of an ELAN file are read, and in which language.

    Attributes:
        tiers: Names of tiers, or patterns such as ``gesture*``; all if neither these nor types are
            given.
        tier_types: Linguistic types of tiers, or patterns.
        language: Language of the values of multilingual vocabularies, such as ``eng``; by default
            the first of each value.
    """

    tiers: tuple[str, ...] = ()
    tier_types: tuple[str, ...] = ()
    language: str | None = None

    @classmethod
    def of(
        cls,
        tiers: Sequence[str] | None,
        tier_types: Sequence[str] | None,
        language: str | None,
    ) -> "ElanChoice":
        """The choice made by options or settings, any of which may be absent."""
        return cls(tuple(tiers or ()), tuple(tier_types or ()), language)

    @property
    def is_made(self) -> bool:
        """Whether any tiers are chosen."""
        return bool(self.tiers or self.tier_types)

    def has(self, tier: ElementTree.Element) -> bool:
        """Whether a tier is among the chosen ones."""
        name, kind = tier.get("TIER_ID", ""), tier.get("LINGUISTIC_TYPE_REF", "")
        return any(fnmatchcase(name, pattern) for pattern in self.tiers) or any(
            fnmatchcase(kind, pattern) for pattern in self.tier_types
        )


@dataclass(frozen=True)
class _Vocabulary:
    """A controlled vocabulary, with one label for each of its entries.

    Attributes:
        by_id: Label of each entry with an id.
        by_value: Label of each value in any language, in lower case.
    """

    by_id: dict[str, str] = field(default_factory=dict)
    by_value: dict[str, str] = field(default_factory=dict)

    def label(self, entry_id: str | None, value: str) -> str:
        """The label of an annotation, by the id of its entry, else by its value."""
        known = self.by_id.get(entry_id or "")
        return known or self.by_value.get(value.casefold(), value)


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
    vocabulary: _Vocabulary

    @property
    def has_micro_actions(self) -> bool:
        return any(instance.label in MA52.names for instance in self.instances)


def micro_action(text: str) -> str | None:
    """The micro-action whose name or code is ``text``, or None.

    Both together and a score after them are read, too, as `write_elan` writes them. A number is not
    a micro-action: in ELAN it is more often a rating than an index.

    >>> micro_action("B1 nodding (0.83)"), micro_action("b1"), micro_action("Nodding")
    ('nodding', 'nodding', 'nodding')
    >>> micro_action("9") is None
    True
    """
    return _MICRO_ACTIONS.get(_SCORE.sub("", text.strip()).casefold())


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
    links = _linked_video(root, name=path.name, raw=raw)
    video_id = next((PurePosixPath(link).stem for link in links), path.stem)
    subset = guess_subset(path, video_id=video_id) or UNKNOWN_SUBSET
    video = RawVideo(
        video_id, max(known) / 1000, subset, fps=fps, instances=instances, is_length_assumed=True
    )
    if not _measure(video, links=links, folder=path.parent):
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
    model_tiers = [tier for tier in all_tiers if _is_of_model(tier)]
    if choice.is_made:
        chosen = [tier for tier in all_tiers if choice.has(tier)]
        raw.has_chosen_tiers = bool(chosen)
        model_tiers = [tier for tier in model_tiers if tier in chosen]
    else:
        chosen = all_tiers
    types = {tier.get("LINGUISTIC_TYPE_REF", "") for tier in chosen}
    vocabularies = _vocabularies(
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
        if _is_of_model(tier):
            continue
        tier_id = tier.get("TIER_ID", "")
        vocabulary = vocabularies.get(tier.get("LINGUISTIC_TYPE_REF", ""), _Vocabulary())
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


def _is_of_model(tier: ElementTree.Element) -> bool:
    return tier.get("TIER_ID", "").startswith(TIER_PREFIX)


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


def _vocabularies(
    root: ElementTree.Element,
    *,
    types: Collection[str],
    folder: Path,
    language: str | None,
    raw: RawFile,
) -> dict[str, _Vocabulary]:
    """The controlled vocabulary of each of the linguistic ``types`` that has one."""
    names = {
        kind.get("LINGUISTIC_TYPE_ID", ""): kind.get("CONTROLLED_VOCABULARY_REF", "")
        for kind in root.iterfind("LINGUISTIC_TYPE")
        if kind.get("LINGUISTIC_TYPE_ID") in types
    }
    external = {
        one.get("EXT_REF_ID", ""): one.get("VALUE", "")
        for one in root.iterfind("EXTERNAL_REF")
        if one.get("TYPE") == "ecv"
    }
    found = {}
    languages: set[str] = set()
    for element in root.iterfind("CONTROLLED_VOCABULARY"):
        name = element.get("CV_ID", "")
        if name not in names.values():
            continue
        if element.get("EXT_REF") in external:
            link = external[element.get("EXT_REF", "")]
            outside = _external_vocabulary(link, name=name, folder=folder)
            if outside is None:
                raw.notices.append(
                    f"vocabulary '{name}' is in {link}, which is not beside the ELAN file: only "
                    "the values that are used are known"
                )
            element = element if outside is None else outside
        found[name] = _entries(element, language=language)
        languages.update(one.get("LANG_REF", "") for one in element.iter("CVE_VALUE"))
    if language and languages and language not in languages:
        listed = ", ".join(sorted(languages))
        message = f"no vocabulary has values in the language {language}; found {listed}"
        raw.problems.append(Problem(BAD_VALUE, message))
    return {kind: found[name] for kind, name in names.items() if name in found}


def _external_vocabulary(link: str, *, name: str, folder: Path) -> ElementTree.Element | None:
    """The vocabulary of this name in an .ecv file beside the ELAN file, or None."""
    path = folder / PurePosixPath(unquote(link).replace("\\", "/")).name
    if path.suffix.lower() != ".ecv" or not os.path.isfile(path):
        return None
    root = parse_elan(path)
    all_of_it = root.findall("CONTROLLED_VOCABULARY")
    return next((one for one in all_of_it if one.get("CV_ID") == name), None)


def _entries(element: ElementTree.Element, *, language: str | None) -> _Vocabulary:
    vocabulary = _Vocabulary()
    for entry in element.iterfind("CV_ENTRY_ML"):
        values = [
            (one.get("LANG_REF"), text)
            for one in entry.iterfind("CVE_VALUE")
            if (text := (one.text or "").strip())
        ]
        if not values:
            continue
        wanted = [text for lang, text in values if lang == language]
        known = [name for _, text in values if (name := micro_action(text))]
        label = (known or wanted or [values[0][1]])[0]
        vocabulary.by_id[entry.get("CVE_ID", "")] = label
        for _, text in values:
            vocabulary.by_value.setdefault(text.casefold(), label)
    # In older files an entry has a single value, its text.
    for entry in element.iterfind("CV_ENTRY"):
        if text := (entry.text or "").strip():
            vocabulary.by_value.setdefault(text.casefold(), micro_action(text) or text)
    return vocabulary


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


def _linked_video(root: ElementTree.Element, *, name: str, raw: RawFile) -> list[str]:
    """The links to the first video, or to another medium, with slashes; none if there is none."""
    media = root.findall("HEADER/MEDIA_DESCRIPTOR")
    videos = [one for one in media if one.get("MIME_TYPE", "").startswith("video")]
    for one in videos or media:
        # Links made on Windows may have backslashes, and all have %20 for a space.
        urls = (one.get("MEDIA_URL", ""), one.get("RELATIVE_MEDIA_URL", ""))
        links = [unquote(url).replace("\\", "/") for url in urls]
        links = [link for link in links if PurePosixPath(link).stem]
        if not links:
            continue
        if one.get("TIME_ORIGIN", "0") != "0":
            raw.notices.append(
                f"{name}: the video {PurePosixPath(links[0]).stem} is linked with an offset of "
                f"{one.get('TIME_ORIGIN')} ms, which is not applied to the times"
            )
        return links
    return []


def _measure(video: RawVideo, *, links: Sequence[str], folder: Path) -> bool:
    """Set duration, frame rate and number of frames of ``video`` from the linked file.

    Returns False if there is no such file.
    """
    # Imported here because the decoder is slow to import, and few files need it.
    from mmad.video.index import index_video

    linked = [Path(urlsplit(one).path if one.startswith("file:") else one) for one in links]
    for path in (folder / place for one in linked for place in (one, one.name)):
        if path.suffix.lower() not in SUFFIXES or not os.path.isfile(path):
            continue
        try:
            index = index_video(path)
        except VideoError:
            continue
        video.duration_seconds, video.num_frames = index.duration_seconds, index.num_frames
        video.fps = video.fps or index.fps
        video.is_length_assumed = False
        return True
    return False
