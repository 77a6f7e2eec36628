"""Vectors of labels from files of word vectors."""

import re
from pathlib import Path

import pytest

from mmad.annotations.word_vectors import label_vectors
from mmad.errors import AnnotationError

LINES = """the 9 9 9
touching 1 2 3
at name@domain.com 7 7 7
nose 3 4 -5
touching 8 8 8
"""


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "vectors.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("header", ["", "5 3\n"])
def test_a_label_is_the_mean_of_its_words(header: str, tmp_path: Path) -> None:
    path = written(tmp_path, header + LINES)
    found = label_vectors(path, ["touching nose", "Nose/ears"], width=3)
    assert found.vectors_KE.tolist() == [
        [(1 + 3) / 2, (2 + 4) / 2, (3 - 5) / 2],
        [3, 4, -5],
    ]
    assert found.missing == ("ears",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (LINES, r"has no word of the label 'rising up'"),
        ("the 1 2\ntouching 1 2\n", r"vectors of 2 dimensions, expected 3; set heads\.embedding_w"),
        ("2 300\n", "vectors of 300 dimensions, expected 3"),
        ("the 1 2 3\ntouching 1 2\n", "vectors of 2 dimensions, expected 3"),
        ("the 1 2 3\ntouching 1 two 3\n", "line 2: is no word with numbers; expected word vectors"),
        ("the 1 2 3\ntouching 1 nan 3\n", "line 2: is no word with numbers; expected word vectors"),
        (
            b"3 3\nthe \x81\xc2\x12",
            "line 2: is no word with numbers; expected word vectors as text",
        ),
        ("the\ntouching\n", "line 1: is no word with numbers"),
        (b"3 3\nthe \x00\x01\x02\x03", "is binary; expected word vectors as text"),
        (b"\x1f\x8b\x08", "is compressed; unpack it first"),
        ("", "is empty"),
    ],
)
def test_files_that_are_none(content: str | bytes, message: str, tmp_path: Path) -> None:
    path = written(tmp_path, content)
    with pytest.raises(AnnotationError, match=rf"{re.escape(str(path))}.*{message}"):
        label_vectors(path, ["touching nose", "rising up"], width=3)


def test_a_file_that_is_not_there_says_where_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r"no such file of word vectors; GloVe's are at http"):
        label_vectors(tmp_path / "glove.txt", ["nose"], width=3)
