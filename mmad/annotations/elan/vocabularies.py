"""Controlled vocabularies of ELAN: one label for each entry, whatever its language.

Source: ELAN Annotation Format 3.0, https://www.mpi.nl/tools/elan/EAFv3.0.xsd.
"""

import os
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from mmad.annotations.elan.document import parse_xml
from mmad.annotations.problems import BAD_VALUE, Problem
from mmad.annotations.validation import RawFile
from mmad.labels import MA52

# Ids of entries that mmad makes begin with this.
OUR_ENTRIES = "mmad-"
_SCORE = re.compile(r"\s*\(\d+(\.\d*)?\)$")
_MICRO_ACTIONS = {
    text.casefold(): name
    for index, name in enumerate(MA52.names)
    for text in (name, MA52.codes[index], MA52.title(index))
}
_TITLES = {MA52.title(index).casefold(): name for index, name in enumerate(MA52.names)}


def micro_action(text: str) -> str | None:
    """The micro-action whose name or code is ``text``, or None.

    Both together and a score after them are read, too, as mmad wrote them once. A number is not a
    micro-action: in ELAN it is more often a rating than an index.

    >>> micro_action("B1 nodding (0.83)"), micro_action("b1"), micro_action("Nodding")
    ('nodding', 'nodding', 'nodding')
    >>> micro_action("9") is None
    True
    """
    return _MICRO_ACTIONS.get(_SCORE.sub("", text.strip()).casefold())


def named_as_title(text: str) -> str | None:
    """The micro-action whose code and name are ``text``, as mmad writes it, or None.

    >>> named_as_title("B1 nodding"), named_as_title("B1")
    ('nodding', None)
    """
    return _TITLES.get(text.casefold())


@dataclass(frozen=True)
class Vocabulary:
    """A controlled vocabulary, with one label for each of its entries.

    Attributes:
        by_id: Label of each entry with an id.
        by_value: Label of each value in any language, in lower case.
        texts: Values of each entry with an id, in lower case.
    """

    by_id: dict[str, str] = field(default_factory=dict)
    by_value: dict[str, str] = field(default_factory=dict)
    texts: dict[str, set[str]] = field(default_factory=dict)

    def label(self, entry_id: str | None, value: str) -> str:
        """The label of an annotation, by the id of its entry, else by its value.

        The value is what a person sees. It counts if it is none of the entry's but another entry's,
        or if mmad made the entry: then a program has changed the one and not the other.
        """
        entry_id, text = entry_id or "", value.casefold()
        known = self.by_id.get(entry_id)
        is_stale = (
            known is not None
            and bool(text)
            and text not in self.texts[entry_id]
            and (text in self.by_value or entry_id.startswith(OUR_ENTRIES))
        )
        return known if known and not is_stale else self.by_value.get(text, value)


def vocabularies_of(
    root: ElementTree.Element,
    *,
    types: Collection[str],
    folder: Path,
    language: str | None,
    raw: RawFile,
    recognise: bool = True,
) -> dict[str, Vocabulary]:
    """The controlled vocabulary of each of the linguistic ``types`` that has one.

    Args:
        root: Root of the document.
        types: Names of linguistic types.
        folder: Folder of the document, for vocabularies in files of their own.
        language: Language of the labels.
        raw: Takes notices and problems.
        recognise: Whether an entry that names a micro-action has its name as label.
    """
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
        found[name] = _entries(element, language=language, recognise=recognise)
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
    root = parse_xml(path).root
    all_of_it = root.findall("CONTROLLED_VOCABULARY")
    return next((one for one in all_of_it if one.get("CV_ID") == name), None)


def _entries(element: ElementTree.Element, *, language: str | None, recognise: bool) -> Vocabulary:
    vocabulary = Vocabulary()
    for entry in element.iterfind("CV_ENTRY_ML"):
        values = [
            (one.get("LANG_REF"), text)
            for one in entry.iterfind("CVE_VALUE")
            if (text := (one.text or "").strip())
        ]
        if not values:
            continue
        wanted = [text for lang, text in values if lang == language]
        known = [name for _, text in values if recognise and (name := micro_action(text))]
        label = (known or wanted or [values[0][1]])[0]
        vocabulary.by_id[entry.get("CVE_ID", "")] = label
        vocabulary.texts[entry.get("CVE_ID", "")] = {text.casefold() for _, text in values}
        for _, text in values:
            vocabulary.by_value.setdefault(text.casefold(), label)
    # In older files an entry has a single value, its text.
    for entry in element.iterfind("CV_ENTRY"):
        if text := (entry.text or "").strip():
            label = (micro_action(text) if recognise else None) or text
            vocabulary.by_value.setdefault(text.casefold(), label)
    return vocabulary
