"""Docstrings as the house writes them: "Raises: X if ...; Y if ..." is a sentence, not a table."""

import re
from typing import Any

from griffe import Extension, Object

_SENTENCE = re.compile(r"^(?P<name>[A-Z][a-z]+): (?P<text>\S.*(?:\n[ ]{2,}\S.*)*)", re.MULTILINE)


def with_sentences(docstring: str) -> str:
    """The docstring with sections of one paragraph as paragraphs.

    >>> with_sentences("Sum.\\n\\nRaises: ValueError if it\\n    is odd.")
    'Sum.\\n\\n**Raises:** ValueError if it is odd.'
    """
    return _SENTENCE.sub(
        lambda found: f"**{found['name']}:** {' '.join(found['text'].split())}", docstring
    )


class Sentences(Extension):
    """Applies `with_sentences` to every docstring."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Changes the docstring before it is parsed."""
        if obj.docstring is not None:
            obj.docstring.value = with_sentences(obj.docstring.value)
