"""ELAN files (.eaf) that a person made: annotations on tiers become instances of a video.

Source: ELAN Annotation Format 3.0, https://www.mpi.nl/tools/elan/EAFv3.0.xsd.
"""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from mmad.annotations.elan import TIER_PREFIX
from mmad.annotations.mma52 import UNKNOWN_SUBSET
from mmad.annotations.problems import BAD_FILE, BAD_VALUE, Problem
from mmad.annotations.raw import RawFile, RawInstance, RawVideo
from mmad.annotations.subsets import guess_subset
from mmad.errors import AnnotationError
from mmad.files import read_text
from mmad.labels import MA52

_SCORE = re.compile(r"\s*\(\d+(\.\d*)?\)$")
_MICRO_ACTIONS = {
    text.casefold(): name
    for index, name in enumerate(MA52.names)
    for text in (name, MA52.codes[index], MA52.title(index))
}


@dataclass(frozen=True)
class _Tier:
    """What a tier holds.

    Attributes:
        name: of the tier.
        instances: with a label each: a micro-action's name, or the text of the annotation.
        vocabulary: values that ELAN offers on this tier.
    """

    name: str
    instances: list[RawInstance]
    vocabulary: tuple[str, ...]

    @property
    def has_micro_actions(self) -> bool:
        return any(instance.label in MA52.names for instance in self.instances)


class _Builder(ElementTree.TreeBuilder):
    """Builds the tree and refuses a document type: only there can entities be declared."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise AnnotationError("an ELAN file has no document type (<!DOCTYPE>); it was not read")


def micro_action(text: str) -> str | None:
    """Name of the micro-action that ``text`` is the name or code of, or None.

    Both together and a score behind are read too, as `write_elan` writes them. A number is none: in
    ELAN it is more often a rating than an index.

    >>> micro_action("B1 nodding (0.83)"), micro_action("b1"), micro_action("Nodding")
    ('nodding', 'nodding', 'nodding')
    >>> micro_action("9") is None
    True
    """
    return _MICRO_ACTIONS.get(_SCORE.sub("", text.strip()).casefold())


def read_elan(path: Path, *, fps: float | None = None) -> RawFile:
    """What a person annotated in an ELAN file, as one video.

    The label of an annotation is the micro-action that its value names, else the one that its tier
    names, else its value itself (without one, the name of the tier). Where at least half of the
    tiers hold micro-actions, tiers that hold none, such as speech, are left out with a notice, and
    the labels are those of MA-52; otherwise they are all values, and those of the controlled
    vocabularies of their tiers, sorted.

    The video has the name of the first linked video file, else that of the .eaf file. ELAN does not
    store its length: the last time slot is taken, with a notice. Tiers of the model (``mmad:``),
    annotations that refer to others, and those without times of their own are left out with a
    notice.

    Raises: AnnotationError if the file is missing, is no XML, has a document type, or is not an
    ELAN file in milliseconds.
    """
    root = _parse(path)
    raw = RawFile()
    milliseconds = _read_times(root, problems=raw.problems)
    known = [value for value in milliseconds.values() if value is not None]
    if not known and not raw.problems:
        message = (
            "no time slot, so the length of the video is not known; annotate something, or leave "
            "the file out"
        )
        raw.problems.append(Problem(BAD_VALUE, message))
    if not known:
        return raw
    tiers = _read_tiers(root, milliseconds=milliseconds, name=path.name, raw=raw)
    tiers = _choose_tiers(tiers, name=path.name, raw=raw)
    video_id = _linked_video(root, name=path.name, raw=raw) or path.stem
    duration = max(known) / 1000
    raw.notices.append(
        f"{path.name} does not tell the length of its video: the last time in it is taken, "
        f"{duration:.3f} s"
    )
    instances = [instance for tier in tiers for instance in tier.instances]
    instances.sort(key=lambda one: (one.start_seconds, one.end_seconds))
    subset = guess_subset(path, video_id=video_id) or UNKNOWN_SUBSET
    raw.videos.append(RawVideo(video_id, duration, subset, fps=fps, instances=instances))
    return raw


def _parse(path: Path) -> ElementTree.Element:
    text = read_text(path)
    parser = ElementTree.XMLParser(target=_Builder())
    try:
        root = ElementTree.fromstring(text, parser=parser)
    except ElementTree.ParseError as error:
        raise AnnotationError(f"{path}: not an ELAN file ({error})") from None
    except AnnotationError as error:
        raise AnnotationError(f"{path}: {error}") from None
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
    """Milliseconds of each time slot; None for one that ELAN places between its neighbours."""
    times: dict[str, int | None] = {}
    for slot in root.iterfind("TIME_ORDER/TIME_SLOT"):
        name, text = slot.get("TIME_SLOT_ID", ""), slot.get("TIME_VALUE")
        if text is not None and not (text.isascii() and text.isdecimal()):
            message = f"time slot {name}: expected whole milliseconds, found {text!r}"
            problems.append(Problem(BAD_VALUE, message))
        elif name in times:
            problems.append(Problem(BAD_FILE, f"time slot {name} is listed twice"))
        else:
            times[name] = None if text is None else int(text)
    return times


def _read_tiers(
    root: ElementTree.Element, *, milliseconds: Mapping[str, int | None], name: str, raw: RawFile
) -> list[_Tier]:
    vocabularies = _vocabularies(root)
    tiers = []
    model_tiers = [tier for tier in root.iterfind("TIER") if _is_of_model(tier)]
    if model_tiers:
        count = sum(len(tier.findall("ANNOTATION")) for tier in model_tiers)
        raw.notices.append(
            f"{name}: {len(model_tiers)} tiers of the model ({TIER_PREFIX}...) with {count} "
            "annotations are left out; copy what a person has accepted to a tier of its own"
        )
    num_referring = num_unaligned = 0
    for tier in root.iterfind("TIER"):
        if _is_of_model(tier):
            continue
        tier_id = tier.get("TIER_ID", "")
        instances = []
        num_referring += len(tier.findall("ANNOTATION/REF_ANNOTATION"))
        for element in tier.iterfind("ANNOTATION/ALIGNABLE_ANNOTATION"):
            where = f"tier '{tier_id}', annotation {element.get('ANNOTATION_ID')}"
            slots = [element.get(key, "") for key in ("TIME_SLOT_REF1", "TIME_SLOT_REF2")]
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
            label = micro_action(value) or micro_action(tier_id) or value or tier_id
            instances.append(RawInstance(where, start / 1000, end / 1000, label))
        offered = vocabularies.get(tier.get("LINGUISTIC_TYPE_REF", ""), ())
        tiers.append(_Tier(tier_id, instances, offered))
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


def _vocabularies(root: ElementTree.Element) -> dict[str, tuple[str, ...]]:
    """Values of the controlled vocabulary of each linguistic type that has one."""
    values = {
        vocabulary.get("CV_ID", ""): tuple(_entries(vocabulary))
        for vocabulary in root.iterfind("CONTROLLED_VOCABULARY")
    }
    return {
        kind.get("LINGUISTIC_TYPE_ID", ""): values.get(
            kind.get("CONTROLLED_VOCABULARY_REF", ""), ()
        )
        for kind in root.iterfind("LINGUISTIC_TYPE")
    }


def _entries(vocabulary: ElementTree.Element) -> Iterable[str]:
    # An entry has a value in each language; in older files it is the value itself.
    for entry in (*vocabulary.iterfind("CV_ENTRY_ML/CVE_VALUE"), *vocabulary.iterfind("CV_ENTRY")):
        value = (entry.text or "").strip()
        if value:
            yield micro_action(value) or value


def _choose_tiers(tiers: Sequence[_Tier], *, name: str, raw: RawFile) -> list[_Tier]:
    """The tiers that hold behaviour; gives ``raw`` the label set they use."""
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
    values = {instance.label for tier in used for instance in tier.instances}
    values.update(value for tier in used for value in tier.vocabulary)
    # Case makes no difference to a label: of two spellings one is kept.
    raw.classes = tuple({value.casefold(): value for value in sorted(values)}.values()) or None
    return used


def _linked_video(root: ElementTree.Element, *, name: str, raw: RawFile) -> str | None:
    """File stem of the linked video, or of another linked medium, or None."""
    media = root.findall("HEADER/MEDIA_DESCRIPTOR")
    videos = [one for one in media if one.get("MIME_TYPE", "").startswith("video")]
    for one in videos or media:
        # Links of Windows may have backslashes, and all have %20 for a space.
        url = one.get("MEDIA_URL") or one.get("RELATIVE_MEDIA_URL") or ""
        stem = PurePosixPath(unquote(url).replace("\\", "/")).stem
        if not stem:
            continue
        if one.get("TIME_ORIGIN", "0") != "0":
            raw.notices.append(
                f"{name}: the video {stem} is linked with an offset of {one.get('TIME_ORIGIN')} "
                "ms, which is not applied to the times"
            )
        return stem
    return None
