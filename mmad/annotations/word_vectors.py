"""Vectors of labels from a text file of word vectors (GloVe, word2vec)."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmad.errors import AnnotationError, raise_problems

_EXPECTED = "expected word vectors as text: a word and its numbers a line"
_GZIP = b"\x1f\x8b"
_FIRST_BYTES = 4096


@dataclass(frozen=True, eq=False)
class LabelVectors:
    """Vectors of labels.

    Attributes:
        vectors_KE: Mean of the word vectors of each label, float32.
        missing: Words that the file lacks, of labels that have others.
    """

    vectors_KE: NDArray[np.float32]
    missing: tuple[str, ...]


def label_vectors(path: str | Path, labels: Sequence[str], *, width: int) -> LabelVectors:
    """The mean of the word vectors of every label.

    Args:
        path: Text file, with or without word2vec's first line of counts.
        labels: Names of the labels; their words are runs of letters, in lower case.
        width: Dimensions E that the vectors must have.

    Raises: AnnotationError if the file is missing, no text, or of another width, or has no word of
        some label.
    """
    words = [words_of(label) for label in labels]
    found = _read(Path(path), {word for own in words for word in own}, width=width)
    raise_problems(
        AnnotationError,
        source=str(path),
        problems=[
            f"has no word of the label '{label}'"
            for label, own in zip(labels, words, strict=True)
            if not found.keys() & own
        ],
    )
    rows = [np.mean([found[word] for word in own if word in found], axis=0) for own in words]
    missing = sorted({word for own in words for word in own} - found.keys())
    return LabelVectors(np.array(rows, dtype=np.float32), tuple(missing))


def words_of(label: str) -> list[str]:
    """The words of a label.

    >>> words_of("scratching or touching neck")
    ['scratching', 'or', 'touching', 'neck']
    """
    return re.findall(r"[^\W\d_]+", label.lower())


def _read(path: Path, wanted: Collection[str], *, width: int) -> dict[str, NDArray[np.float64]]:
    """The vectors of those of the ``wanted`` words that the file has, the first of each."""
    found: dict[str, NDArray[np.float64]] = {}
    targets = {word.encode() for word in wanted}
    first = True
    for number, line in _lines(path):
        if number == 1 and (header := re.fullmatch(rb"\d+ (\d+)\s*", line)):
            _require_width(path, int(header[1]), width)
            continue
        # Of a file of gigabytes, only the first line and those of wanted words are taken apart.
        word = line.split(b" ", 1)[0]
        if not first and (word not in targets or word.decode() in found):
            continue
        numbers = line.split()[1:]
        if first:
            _vector(path, number, numbers)  # a short binary file may pass for text until here
        if first or len(numbers) < width:
            _require_width(path, len(numbers), width)
        first = False
        # GloVe has words with spaces, such as "at name@domain.com".
        if word in targets and len(numbers) == width:
            found[word.decode()] = _vector(path, number, numbers)
    return found


def _require_width(path: Path, found: int, width: int) -> None:
    if found != width:
        raise AnnotationError(
            f"{path}: has vectors of {found} dimensions, expected {width}; set "
            f"heads.embedding_width={found}, or take another file"
        )


def _vector(path: Path, number: int, numbers: Sequence[bytes]) -> NDArray[np.float64]:
    try:
        vector = np.array(numbers, dtype=np.float64)
    except ValueError:
        vector = np.array([np.nan])
    if not (vector.size and np.isfinite(vector).all()):
        raise AnnotationError(f"{path}, line {number}: is no word with numbers; {_EXPECTED}")
    return vector


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a text file, numbered from 1.

    Raises: AnnotationError if it cannot be read, or is no text.
    """
    try:
        with path.open("rb") as file:
            start = file.read(_FIRST_BYTES)
            if start.startswith(_GZIP):
                raise AnnotationError(f"{path}: is compressed; unpack it first ({_EXPECTED})")
            if b"\0" in start or not start.strip():
                kind = "binary" if start.strip() else "empty"
                raise AnnotationError(f"{path}: is {kind}; {_EXPECTED}")
            file.seek(0)
            yield from enumerate(file, start=1)
    except FileNotFoundError:
        raise AnnotationError(
            f"{path}: there is no such file of word vectors; GloVe's are at "
            "https://nlp.stanford.edu/projects/glove"
        ) from None
    except OSError as cause:
        raise AnnotationError(f"{path}: cannot be read ({cause.strerror})") from None
