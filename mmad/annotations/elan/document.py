"""The XML of ELAN files: parsed with its comments, without entities, in milliseconds.

Source: ELAN Annotation Format 3.0, https://www.mpi.nl/tools/elan/EAFv3.0.xsd.
"""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from mmad.errors import AnnotationError
from mmad.parsing import read_text, reading

TIER_PREFIX = "mmad:"


class _Builder(ElementTree.TreeBuilder):
    """Builds the tree but refuses a document type, the only place to declare entities."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise AnnotationError(
            "an ELAN file has no document type (<!DOCTYPE>); the file was not read"
        )


def parse_elan(path: Path) -> ElementTree.Element:
    """The root of an ELAN file, with its comments.

    Raises: AnnotationError if it is missing, not XML, or has a document type.
    """
    text = read_text(path)
    parser = ElementTree.XMLParser(target=_Builder(insert_comments=True))
    with reading(path, expected="an ELAN file"):
        try:
            return ElementTree.fromstring(text, parser=parser)
        except ElementTree.ParseError as error:
            raise AnnotationError(f"{path}: not an ELAN file ({error})") from None
        except AnnotationError as error:
            raise AnnotationError(f"{path}: {error}") from None


def whole_number(text: str) -> int | None:
    """The number in ``text``, such as milliseconds, or None if it is not one of up to 12 digits.

    >>> whole_number("1500"), whole_number("1.5"), whole_number("9" * 5000)
    (1500, None, None)
    """
    return int(text) if re.fullmatch(r"[0-9]{1,12}", text) else None


def is_of_model(tier: ElementTree.Element) -> bool:
    """Whether a tier has a name of the model's."""
    return tier.get("TIER_ID", "").startswith(TIER_PREFIX)
