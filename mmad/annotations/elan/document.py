"""The XML of ELAN files: parsed with the place of each element, so that edits keep all other bytes.

Source: ELAN Annotation Format 3.0, https://www.mpi.nl/tools/elan/EAFv3.0.xsd.
"""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.parsers import expat
from xml.sax.saxutils import escape

from mmad.errors import AnnotationError
from mmad.parsing import read_text, reading

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
_START_TAG = re.compile(rb"""<[^>"']*(?:"[^"]*"[^>"']*|'[^']*'[^>"']*)*>""")
# What XML 1.0 cannot hold, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Span:
    """Where an element is in the bytes of a file.

    Attributes:
        start: Place of its first byte, ``<``.
        content: Place behind its start tag; if it has no content (``<A/>``), its end.
        close: Place of its end tag; if it has none, its end.
        end: Place behind its last byte.
    """

    start: int
    content: int
    close: int
    end: int


@dataclass(frozen=True)
class ElanDocument:
    """An ELAN file as it is on disk.

    Attributes:
        path: Path of the file, for messages.
        data: Its bytes.
        root: Its root; comments are only in the bytes.
        places: Where each element begins, and where the parser was when it ended.
    """

    path: Path
    data: bytes
    root: ElementTree.Element
    places: dict[ElementTree.Element, tuple[int, int]]

    @property
    def header(self) -> ElementTree.Element:
        """The header, which every ELAN file has."""
        found = self.root.find("HEADER")
        assert found is not None  # checked by `parse_elan`
        return found

    @property
    def time_order(self) -> ElementTree.Element:
        """The list of time slots, which every ELAN file has."""
        found = self.root.find("TIME_ORDER")
        assert found is not None  # checked by `parse_elan`
        return found

    @property
    def tiers(self) -> list[ElementTree.Element]:
        """The tiers in the order of the file."""
        return self.root.findall("TIER")

    def span(self, element: ElementTree.Element) -> Span:
        """Where an element is in the bytes."""
        first, close = self.places[element]
        content = _end_of_tag(self.data, first)
        if self.data[close : close + 2] == b"</" and close > first:
            return Span(first, content, close, self.data.index(b">", close) + 1)
        return Span(first, content, content, content)  # <A/>

    def property(self, name: str) -> str | None:
        """The text of the property of this name in the header, or None."""
        found = [one for one in self.header.iterfind("PROPERTY") if one.get("NAME") == name]
        return (found[0].text or "").strip() if found else None


def read_document(path: Path) -> ElanDocument:
    """An ELAN file in milliseconds, checked to be one.

    Raises: AnnotationError if the file is missing, not XML, has a document type, is not an ELAN
        file, or has times in another unit.
    """
    document = parse_xml(path)
    root = document.root
    header = root.find("HEADER")
    if root.tag != "ANNOTATION_DOCUMENT" or header is None or root.find("TIME_ORDER") is None:
        raise AnnotationError(
            f"{path}: expected an ELAN file with HEADER and TIME_ORDER, found XML with the root "
            f"{root.tag}"
        )
    unit = header.get("TIME_UNITS", "milliseconds")
    if unit != "milliseconds":
        raise AnnotationError(f"{path}: expected times in milliseconds, found {unit}")
    return document


def parse_xml(path: Path) -> ElanDocument:
    """The XML of a file of ELAN.

    Raises: AnnotationError if the file is missing, not XML, or has a document type, the only place
        to declare entities.
    """
    read_text(path)  # for its messages
    with reading(path, expected="an ELAN file"):
        return parse_bytes(path.read_bytes(), path=path)


def parse_bytes(data: bytes, *, path: Path) -> ElanDocument:
    """As `parse_xml`, of the bytes of a file."""
    builder = ElementTree.TreeBuilder()
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    open_elements: list[tuple[ElementTree.Element, int]] = []
    places: dict[ElementTree.Element, tuple[int, int]] = {}

    def start(tag: str, attributes: dict[str, str]) -> None:
        open_elements.append((builder.start(tag, attributes), parser.CurrentByteIndex))

    def end(tag: str) -> None:
        builder.end(tag)
        element, first = open_elements.pop()
        places[element] = (first, parser.CurrentByteIndex)

    def refuse(name: str, *_: object) -> None:
        raise AnnotationError(
            f"{path}: an ELAN file has no document type (<!DOCTYPE>); the file was not read"
        )

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise AnnotationError(f"{path}: not an ELAN file ({error})") from None
    return ElanDocument(path, data, builder.close(), places)


def _end_of_tag(data: bytes, start: int) -> int:
    """Place behind the start tag that begins at ``start``; values may contain ``>``."""
    found = _START_TAG.match(data, start)
    assert found is not None  # the parser has accepted it
    return found.end()


class Edits:
    """Changes to the bytes of a document, made at once by `applied`."""

    def __init__(self, document: ElanDocument) -> None:
        self._document = document
        self._changes: list[tuple[int, int, int, bytes]] = []
        # What comes into elements without content, <A/>.
        self._opened: dict[ElementTree.Element, str] = {}
        data = document.data
        self._newline = "\r\n" if b"\r\n" in data[:4096] else "\n"
        first = re.search(rb"\n([ \t]*)<HEADER", data)
        self._indent = first.group(1).decode() if first and first.group(1) else "    "

    def remove(self, element: ElementTree.Element) -> None:
        """Remove an element and the white space before it."""
        span = self._document.span(element)
        start = span.start
        data = self._document.data
        while start and data[start - 1 : start].isspace():
            start -= 1
        self._change(start, span.end, b"")

    def set(self, element: ElementTree.Element, name: str, value: str | None) -> None:
        """Set an attribute of an element, or remove it."""
        span = self._document.span(element)
        tag = self._document.data[span.start : span.content]
        pattern = rb"\s" + name.encode() + rb"""\s*=\s*("[^"]*"|'[^']*')"""
        written = b"" if value is None else f" {name}={quoted(value)}".encode()
        found = re.search(pattern, tag)
        if found:
            self._change(span.start + found.start(), span.start + found.end(), written)
        elif value is not None:
            place = span.start + 1 + len(element.tag.encode())
            self._change(place, place, written)

    def set_text(self, element: ElementTree.Element, text: str) -> None:
        """Replace the content of an element that has only text."""
        span = self._document.span(element)
        if span.close == span.end:
            self._opened[element] = plain(text)
        else:
            self._change(span.content, span.close, plain(text).encode())

    def add(self, xml: Sequence[ElementTree.Element], *, into: ElementTree.Element) -> None:
        """Add elements at the end of another; of the root, where the schema wants them."""
        document = self._document
        if not xml:
            return
        if into is document.root:
            for one in xml:
                rank = _ORDER.index(one.tag)
                earlier = [
                    child
                    for child in into
                    if (_ORDER.index(child.tag) if child.tag in _ORDER else len(_ORDER)) <= rank
                ]
                places = [document.span(child).end for child in earlier]
                place = max(places, default=document.span(into).content)
                self._insert(place, [one], depth=1, rank=rank)
            return
        span = document.span(into)
        if span.close == span.end:
            inner = "".join(self._lines(one, depth=2) for one in xml)
            self._opened[into] = self._opened.get(into, "") + inner
            return
        last = max((document.span(child).end for child in into), default=span.content)
        self._insert(last, xml, depth=2)
        if not len(into) and not document.data[span.content : span.close].strip():
            self._change(span.content, span.close, (self._newline + self._indent).encode(), rank=99)

    def add_after(self, element: ElementTree.Element, xml: Sequence[ElementTree.Element]) -> None:
        """Add elements behind another one of the same parent."""
        self._insert(self._document.span(element).end, xml, depth=2)

    def add_before(self, element: ElementTree.Element, xml: Sequence[ElementTree.Element]) -> None:
        """Add elements before another one of the same parent."""
        start = self._document.span(element).start
        while start and self._document.data[start - 1 : start].isspace():
            start -= 1
        self._insert(start, xml, depth=2)

    def applied(self) -> bytes:
        """The changed bytes."""
        changes = list(self._changes)
        for element, inner in self._opened.items():
            end = self._document.span(element).end
            after = self._newline + self._indent if inner.startswith(self._newline) else ""
            changes.append((end - 2, 100, end, f">{inner}{after}</{element.tag}>".encode()))
        data, parts, place = self._document.data, [], 0
        for start, _, end, new in sorted(changes, key=lambda one: one[:2]):
            parts += [data[place:start], new]
            place = max(place, end)
        return b"".join([*parts, data[place:]])

    def _change(self, start: int, end: int, new: bytes, *, rank: int = 0) -> None:
        # What is inserted comes before what is replaced at the same place.
        self._changes.append((start, rank if start == end else 100 + rank, end, new))

    def _insert(
        self, place: int, xml: Sequence[ElementTree.Element], *, depth: int, rank: int = 0
    ) -> None:
        text = "".join(self._lines(one, depth=depth) for one in xml)
        self._change(place, place, text.encode(), rank=rank)

    def _lines(self, element: ElementTree.Element, *, depth: int) -> str:
        return self._newline + self._lines_of(element, depth)

    def _lines_of(self, element: ElementTree.Element, depth: int) -> str:
        pad = self._indent * depth
        attributes = "".join(f" {name}={quoted(value)}" for name, value in element.items())
        if len(element):
            inner = "".join(self._newline + self._lines_of(child, depth + 1) for child in element)
            return f"{pad}<{element.tag}{attributes}>{inner}{self._newline}{pad}</{element.tag}>"
        if element.text:
            return f"{pad}<{element.tag}{attributes}>{plain(element.text)}</{element.tag}>"
        return f"{pad}<{element.tag}{attributes}/>"


def quoted(value: str) -> str:
    """An attribute value of XML with its quotes; what XML cannot hold is replaced."""
    text = escape(xml_text(value), {'"': "&quot;", "\n": "&#10;", "\t": "&#9;"})
    return '"' + text.replace("\r", "&#13;") + '"'


def plain(text: str) -> str:
    """Text of XML; what XML cannot hold is replaced."""
    return escape(xml_text(text)).replace("\r", "&#13;")


def xml_text(text: str) -> str:
    r"""``text`` with a replacement character for each that XML cannot hold.

    >>> xml_text("a\0b")
    'a\ufffdb'
    """
    return _NOT_XML.sub("\ufffd", text)


def whole_number(text: str) -> int | None:
    """The number in ``text``, such as milliseconds, or None if it is not one of up to 12 digits.

    >>> whole_number("1500"), whole_number("1.5"), whole_number("9" * 5000)
    (1500, None, None)
    """
    return int(text) if re.fullmatch(r"[0-9]{1,12}", text) else None


def signed_number(text: str) -> int | None:
    """As `whole_number`, also negative.

    >>> signed_number("-40"), signed_number("")
    (-40, None)
    """
    number = whole_number(text.removeprefix("-"))
    return None if number is None else -number if text.startswith("-") else number
