import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from mmad.annotations.label_files import labels_named, read_labels
from mmad.errors import AnnotationError
from mmad.labels import MA52, LabelMap, flat_labels


def put(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


FLAT = flat_labels(["nod", "wave two hands", "shrug"])
NESTED = LabelMap(
    FLAT.names,
    codes=("B1", "C1", "A1"),
    parents=(0, 1, 2),
    parent_names=("head", "upper limb", "body"),
)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("l.txt", "nod\nwave two hands\nshrug\n\n"),
        ("l.txt", "0 nod\n2 shrug\n\n1 wave two hands\n"),
        ("l.txt", "0: nod\r\n1: wave two hands\r\n2: shrug"),
        ("l.csv", "name\nnod\nwave two hands\nshrug\n"),
        ("l.csv", "nod\nwave two hands\nshrug\n"),
        ("l.csv", "0,nod\n1,wave two hands\n2,shrug\n"),
        ("l.csv", "0;nod\n1;wave two hands\n2;shrug\n"),
        ("l.csv", "id;name\n1;wave two hands\n0;nod\n2;shrug\n"),
        ("l.csv", "id,name\n1,wave two hands\n0,nod\n2,shrug\n"),
        ("l.csv", "label,name\n1,wave two hands\n0,nod\n2,shrug\n"),
        ("l.json", '["nod", "wave two hands", "shrug"]'),
        ("l.json", '{"wave two hands": 1, "nod": 0, "shrug": 2}'),
        ("l.json", '{"1": "wave two hands", "0": "nod", "2": "shrug"}'),
        ("l.json", json.dumps(asdict(FLAT))),
    ],
)
def test_the_same_classes_in_every_form(name: str, text: str, tmp_path: Path) -> None:
    assert read_labels(put(tmp_path, name, text)) == FLAT


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "l.csv",
            "Index,Name,Body_Part,Code\n0,nod,head,B1\n1,wave two hands,upper limb,C1\n"
            "2,shrug,body,A1\n",
        ),
        (
            "l.json",
            '[{"name": "nod", "parent": "head", "code": "B1"}, {"name": "wave two hands", '
            '"parent": "upper limb", "code": "C1"}, {"name": "shrug", "parent": "body", '
            '"code": "A1"}]',
        ),
        ("l.json", json.dumps(asdict(NESTED))),
    ],
)
def test_a_second_level(name: str, text: str, tmp_path: Path) -> None:
    labels = read_labels(put(tmp_path, name, text))
    assert labels == NESTED
    assert labels.to_parents(np.array([2, 0])).tolist() == [2, 0]


def test_a_file_that_counts_from_one(tmp_path: Path) -> None:
    labels = read_labels(put(tmp_path, "classInd.txt", "1 BabyCrawling\n2 Punch\n3 PushUps"))
    assert labels.names == ("BabyCrawling", "Punch", "PushUps")
    assert labels.first_number == 1
    # What a run keeps is read back.
    path = put(tmp_path, "labels.json", json.dumps(asdict(labels)))
    assert read_labels(path) == labels


def test_a_run_from_before_labels_had_a_first_number_is_read(tmp_path: Path) -> None:
    content = asdict(MA52)
    del content["first_number"]
    assert read_labels(put(tmp_path, "labels.json", json.dumps(content))) == MA52


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("l.txt", "nod\nwave\nNod\n", "line 3: class 'Nod' appears twice, first at line 1"),
        ("l.txt", "nod\n\nwave\n", "line 2 is empty; remove it"),
        ("l.txt", "1 nod\n2 wave\n4 shrug\n", "the numbers go up to 4 without 3; number all"),
        ("l.txt", "1 nod\n2 wave\n2 shrug\n", "number 2 appears 2 times, such as for 'wave'"),
        ("l.txt", "5 nod\n6 wave\n", "the numbers begin at 5; expected 0 or 1"),
        ("l.txt", "0 nod\n1 wave\nshrug\n", "line 3: expected 'number name' as in other lines"),
        ("l.txt", " \n", "is empty"),
        ("l.csv", "name,parent\nnod,head\nwave,\n", "line 3: class 'wave' has no parent"),
        ("l.csv", "name,parent\nnod,head\nwave\n", "line 3: expected 2 cells, found 1"),
        ("l.csv", "name,number\nnod,0\nwave,x\n", "class 'wave': expected a whole number, found"),
        ("l.csv", "name,number\nnod,0\nwave,\n", "class 'wave' has no number, others have one"),
        ("l.csv", "name,code\nnod,A\nwave,a\n", "code 'a' appears twice, first at line 2"),
        ("l.csv", "what,where\nnod,head\n", "expected a header with the columns name"),
        ("l.json", '{"nod": 0, "nod": 1}', "'nod' appears twice"),
        ("l.json", '{"nod": [1]}', r"expected a list of names.*found 'nod': \[1\]"),
        ("l.json", "[3]", "found 3 as item 0"),
        ("l.json", '["nod", ""]', "item 1: the class has no name"),
        ("l.json", "[]", "expected the names of the classes, found none"),
        ("l.json", "7", "expected a list of names"),
        ("l.json", '{"names": ["a", "a"]}', r"label names must differ; repeated: \['a'\]"),
        ("l.json", '{"names": ["a"], "first_number": 4}', "first_number: expected 0 or 1"),
    ],
)
def test_what_is_wrong_is_told(name: str, text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=message) as error:
        read_labels(put(tmp_path, name, text))
    assert name in str(error.value)


def test_all_problems_come_together(tmp_path: Path) -> None:
    path = put(tmp_path, "l.csv", "name,parent,number\nnod,head,0\nnod,,3\n")
    with pytest.raises(AnnotationError, match=r"l\.csv: 3 problems\n"):
        read_labels(path)


def test_the_name_of_a_label_set(tmp_path: Path) -> None:
    assert labels_named("ma52") is MA52
    assert labels_named(put(tmp_path, "l.txt", "a\nb\n")).names == ("a", "b")
    with pytest.raises(AnnotationError, match=r"labels none\.txt: there is no such file; expected"):
        labels_named("none.txt")
