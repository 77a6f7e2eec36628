import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mmad.annotations.elan.choice import ElanChoice
from mmad.annotations.elan.events import read_elan_events
from mmad.annotations.elan.writing import write_elan
from mmad.annotations.formats import read_annotations
from mmad.labels import MA52
from mmad.structures import Detections

NODDING, SHAKING_HEAD, WAVING = MA52.index("B1"), MA52.index("B2"), MA52.index("C5")
FOUND = Detections(
    [[1.0, 2.5], [2.0, 3.0], [4.0, 5.0], [0.0, 9.0]],
    [NODDING, SHAKING_HEAD, NODDING, WAVING],
    [0.9, 0.8, 0.7, 0.6],
)
OTHERS = Detections([[6.0, 7.0], [7.0, 8.0]], [NODDING, WAVING], [0.5, 0.5])

Edit = Callable[[ElementTree.Element], None]


def detect(path: Path, found: Detections = FOUND) -> tuple[str, ...]:
    return write_elan(
        path,
        video=path.with_suffix(".mp4"),
        detections=found,
        labels=MA52,
        min_score=0.3,
        author="mmad 0.1",
    )


def save_as_elan(path: Path, edit: Edit = lambda root: None) -> None:
    """Save with an edit as another version of ELAN may: new ids, attributes in another order."""
    root = ElementTree.parse(path).getroot()
    edit(root)
    renamed: dict[str, str] = {}
    for element in root.iter():
        for key in ("TIME_SLOT_ID", "ANNOTATION_ID"):
            if key in element.attrib:
                renamed[element.attrib[key]] = f"{element.attrib[key]}9"
    for element in root.iter():
        for key in list(element.attrib):
            value = element.attrib.pop(key)
            element.attrib = {key: renamed.get(value, value), **element.attrib}
    root.set("FORMAT", "3.0")
    ElementTree.indent(root, "\t")
    path.write_bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def tier_of(root: ElementTree.Element, name: str) -> ElementTree.Element:
    return next(one for one in root.iterfind("TIER") if one.get("TIER_ID") == name)


def names(path: Path) -> list[str]:
    root = ElementTree.parse(path).getroot()
    return [one.get("TIER_ID", "") for one in root.iterfind("TIER")]


def labels(path: Path) -> list[str]:
    """Names of the tiers that hold labels."""
    return [name for name in names(path) if not name.endswith((":score", ":source"))]


def of_person(path: Path) -> list[tuple[float, float, str]]:
    found = read_elan_events(path, with_model=False).events
    return [(one.start_seconds, one.end_seconds, one.label) for one in found]


def move(root: ElementTree.Element) -> None:
    slot = next(one for one in root.iter("TIME_SLOT") if one.get("TIME_VALUE") == "4000")
    slot.set("TIME_VALUE", "4100")


def relabel(root: ElementTree.Element) -> None:
    tier_of(root, "mmad:head:1").find("ANNOTATION//ANNOTATION_VALUE").text = "B6 head up"


def delete(root: ElementTree.Element) -> None:
    tier = tier_of(root, "mmad:head:1")
    tier.remove(tier[0])


def delete_all(root: ElementTree.Element) -> None:
    for name in ("mmad:head:1", "mmad:head:2"):
        tier_of(root, name)[:] = []


def add(root: ElementTree.Element) -> None:
    order = root.find("TIME_ORDER")
    for name, value in (("x1", "8000"), ("x2", "8500")):
        ElementTree.SubElement(order, "TIME_SLOT", TIME_SLOT_ID=name, TIME_VALUE=value)
    annotation = ElementTree.SubElement(
        ElementTree.SubElement(tier_of(root, "mmad:head:2"), "ANNOTATION"),
        "ALIGNABLE_ANNOTATION",
        ANNOTATION_ID="y",
        TIME_SLOT_REF1="x1",
        TIME_SLOT_REF2="x2",
    )
    ElementTree.SubElement(annotation, "ANNOTATION_VALUE").text = "B1 nodding"


def depend(root: ElementTree.Element) -> None:
    tier = ElementTree.Element(
        "TIER", TIER_ID="why", PARENT_REF="mmad:head:1", LINGUISTIC_TYPE_REF="mmad-comment"
    )
    tier.set("LINGUISTIC_TYPE_REF", "note")
    root.insert(3, tier)


def sign(root: ElementTree.Element) -> None:
    for name in ("mmad:head:1", "mmad:head:2"):
        tier_of(root, name).set("ANNOTATOR", "Ada")


NODS = [(1.0, 2.5, "nodding"), (2.0, 3.0, "shaking head"), (4.0, 5.0, "nodding")]
EDITS = [
    (move, [*NODS[:2], (4.1, 5.0, "nodding")]),
    (relabel, [(1.0, 2.5, "head up"), *NODS[1:]]),
    (delete, NODS[1:]),
    (delete_all, []),
    (add, [*NODS, (8.0, 8.5, "nodding")]),
    (depend, NODS),
    (sign, NODS),
]


@pytest.mark.parametrize(("edit", "expected"), EDITS, ids=[one.__name__ for one, _ in EDITS])
def test_what_a_person_changed_survives_the_next_detection(
    tmp_path: Path, edit: Edit, expected: list[tuple[float, float, str]]
) -> None:
    path = tmp_path / "a.eaf"
    detect(path)
    save_as_elan(path, edit)
    assert of_person(path) == expected
    notices = detect(path, OTHERS)
    assert len(notices) == 1
    assert "changed by a person, so kept as that person's: mmad:head:1 (now edited" in notices[0]
    assert of_person(path) == expected
    mine = [name for name in labels(path) if name.startswith("edited:")]
    assert mine == ["edited:head:1", "edited:head:2"]
    assert [name for name in labels(path) if name.startswith("mmad:")] == [
        "mmad:head:1",
        "mmad:upper limb:1",
    ]
    # Nor is it lost with the third, or if a person changes the new tiers, too.
    assert detect(path, FOUND) == ()
    assert of_person(path) == expected
    save_as_elan(path, relabel)
    assert "edited 2:head:1" in detect(path)[0]
    assert sorted(of_person(path)) == sorted([*expected, (1.0, 2.5, "head up"), *NODS[1:]])


def test_what_nobody_changed_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.eaf"
    detect(path)
    save_as_elan(path)
    assert of_person(path) == []
    assert detect(path, OTHERS) == ()
    assert labels(path) == ["mmad:head:1", "mmad:upper limb:1"]
    assert of_person(path) == []
    assert detect(path, Detections()) == ()
    assert labels(path) == []
    root = ElementTree.parse(path).getroot()
    assert not len(root.find("TIME_ORDER") or ())
    assert "mmad:seal" not in path.read_text()


def test_changed_scores_are_no_edit_of_the_labels(tmp_path: Path) -> None:
    def change(root: ElementTree.Element) -> None:
        tier_of(root, "mmad:head:1:score").find("ANNOTATION//ANNOTATION_VALUE").text = "1"
        root.remove(tier_of(root, "mmad:head:2:source"))

    path = tmp_path / "a.eaf"
    detect(path)
    save_as_elan(path, change)
    assert of_person(path) == []
    assert detect(path) == ()


def test_a_renamed_tier_is_the_persons_with_its_scores(tmp_path: Path) -> None:
    def rename(root: ElementTree.Element) -> None:
        for tier in root.iterfind("TIER"):
            for key in ("TIER_ID", "PARENT_REF"):
                if tier.get(key) == "mmad:upper limb:1":
                    tier.set(key, "hands")

    path = tmp_path / "a.eaf"
    detect(path)
    save_as_elan(path, rename)
    assert of_person(path) == [(0.0, 9.0, "waving")]
    assert detect(path) == ()
    assert of_person(path) == [(0.0, 9.0, "waving")]
    assert {"hands", "hands:score", "hands:source", "mmad:upper limb:1:score"} <= set(names(path))


def test_a_participant_is_kept_and_changes_nothing(tmp_path: Path) -> None:
    def set_participant(root: ElementTree.Element) -> None:
        tier_of(root, "mmad:head:1").set("PARTICIPANT", "P7")

    path = tmp_path / "a.eaf"
    detect(path)
    save_as_elan(path, set_participant)
    assert detect(path, FOUND[[0, 1, 2]]) == ()
    root = ElementTree.parse(path).getroot()
    people = {one.get("TIER_ID"): one.get("PARTICIPANT") for one in root.iterfind("TIER")}
    assert people["mmad:head:1"] == people["mmad:head:1:score"] == "P7"


def test_the_annotator_of_changed_tiers_is_no_longer_the_model(tmp_path: Path) -> None:
    path = tmp_path / "a.eaf"
    detect(path)
    save_as_elan(path, lambda root: (root.set("AUTHOR", "Ada"), move(root))[0])
    detect(path)
    root = ElementTree.parse(path).getroot()
    assert tier_of(root, "edited:head:1").get("ANNOTATOR") == "Ada"
    save_as_elan(path, sign)
    detect(path)
    root = ElementTree.parse(path).getroot()
    assert tier_of(root, "edited 2:head:1").get("ANNOTATOR") == "Ada"


def test_tiers_without_a_seal_are_never_replaced(tmp_path: Path) -> None:
    """As of an older version of mmad, whose scores were in the values."""
    path = tmp_path / "a.eaf"
    detect(path)
    text = re.sub(r"\s*<PROPERTY NAME=\"mmad:seal:.*</PROPERTY>", "", path.read_text())
    path.write_text(text.replace(">B1 nodding</ANN", ">B1 nodding (0.83)</ANN"))
    assert of_person(path) == [(0.0, 9.0, "waving"), *NODS]
    detect(path)
    assert of_person(path) == [(0.0, 9.0, "waving"), *NODS]


def test_detecting_again_changes_no_byte(tmp_path: Path) -> None:
    path = tmp_path / "a.eaf"
    detect(path)
    before = path.read_bytes()
    detect(path)
    assert path.read_bytes() == before


FOREIGN = """<?xml version='1.0' encoding='UTF-8'?>
<!-- before -->
<ANNOTATION_DOCUMENT DATE='x'  AUTHOR="A&#100;a" FORMAT="2.7" VERSION="2.7">
  <!-- a > b -->
  <HEADER TIME_UNITS="milliseconds" MEDIA_FILE="">
    <MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/x/a.mp4" MIME_TYPE="video/mp4"
        TIME_ORIGIN="1500" />
    <LINKED_FILE_DESCRIPTOR LINK_URL="a.csv" MIME_TYPE="text/csv"/>
  </HEADER>
  <TIME_ORDER><TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="100"/><TIME_SLOT TIME_SLOT_ID="ts2"/>
    <TIME_SLOT TIME_VALUE="7000" TIME_SLOT_ID="ts3"></TIME_SLOT>
  </TIME_ORDER>
  <TIER TIER_ID="sp>eech" LINGUISTIC_TYPE_REF="t"><ANNOTATION>
      <ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts3"
      ><ANNOTATION_VALUE><![CDATA[<you>]]> &amp; I&#10;</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION>
  </ANNOTATION></TIER>
  <LINGUISTIC_TYPE LINGUISTIC_TYPE_ID="t" TIME_ALIGNABLE="true"/>
  <LOCALE LANGUAGE_CODE="en"/>
  <LEXICON_REF LEX_REF_ID="l" NAME="n" TYPE="t" URL="u" LEXICON_ID="i" LEXICON_NAME="m"/>
</ANNOTATION_DOCUMENT>
<!-- after -->
"""


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_everything_else_stays_byte_for_byte(tmp_path: Path, newline: str, mark: bytes) -> None:
    path = tmp_path / "a.eaf"
    foreign = mark + FOREIGN.replace("\n", newline).encode()
    path.write_bytes(foreign)
    notices = detect(path)
    assert notices == ()
    written = path.read_bytes()
    # What is new is in whole lines; without them, and the slots, it is the file as it was.
    rest = written
    for element in (
        rb'<TIME_SLOT TIME_SLOT_ID="ts[0-9]+" TIME_VALUE="[0-9]+"/>',
        rb'<PROPERTY NAME="(?:mmad|last)[^<]*</PROPERTY>',
        rb'<TIER ANNOTATOR="mmad.*?</TIER>',
        rb"<LINGUISTIC_TYPE GRAPHIC[^>]*>",
        rb"<CONTROLLED_VOCABULARY.*</CONTROLLED_VOCABULARY>",
        rb"<CONSTRAINT [^>]*>",
    ):
        rest = re.sub(rb"\s*" + element, b"", rest, flags=re.DOTALL)
    expected = re.sub(rb'\s*<TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="100"/>', b"", foreign)
    assert rest == expected
    assert (b"\r\n" in written) == (newline == "\r\n")
    assert written.count(b"\n") == written.count(newline.encode())
    # Before 2.8, entries of vocabularies had no ids.
    assert b"CVE_REF" not in written
    assert b"CV_ENTRY_ML" not in written
    # The times of the file begin 1.5 s after those of the video.
    root = ElementTree.fromstring(written)
    times = [int(one.get("TIME_VALUE", "100")) for one in root.iter("TIME_SLOT")]
    assert times == sorted(times)
    found = read_annotations(path, elan=ElanChoice(tiers=("mmad:*",))).records[0]
    assert found.annotations.segments_seconds.tolist() == [
        [1.5, 2.5],
        [1.5, 9.0],
        [2.0, 3.0],
        [4.0, 5.0],
    ]


def test_detections_before_the_timeline_are_left_out_and_told(tmp_path: Path) -> None:
    path = tmp_path / "a.eaf"
    path.write_text(FOREIGN)
    early = Detections([[0.0, 1.4], [1.0, 2.0]], [NODDING, NODDING], [0.9, 0.9])
    assert detect(path, early) == (
        "a.eaf: 1 detection is left out, before the 1.500 s of the video at which the timeline of "
        "ELAN begins",
    )
    assert read_elan_events(path, choice=ElanChoice(("mmad:*",))).events[0].end_seconds == 2.0


def test_another_label_set_never_gives_an_entry_another_label(tmp_path: Path) -> None:
    path = tmp_path / "a.eaf"
    detect(path)
    save_as_elan(path, move)
    own = MA52.parent_map
    write_elan(
        path,
        video=path.with_suffix(".mp4"),
        detections=Detections(np.array([[0.0, 1.0]]), np.array([1]), np.array([0.9])),
        labels=own,
        min_score=0.1,
    )
    root = ElementTree.parse(path).getroot()
    values = {one.get("CVE_ID"): one.findtext("CVE_VALUE") for one in root.iter("CV_ENTRY_ML")}
    assert len(set(values.values())) == len(values) == 52 + 7
    for one in root.iter("ALIGNABLE_ANNOTATION"):
        assert values[one.get("CVE_REF")] == one.findtext("ANNOTATION_VALUE")


def test_text_changed_by_a_program_counts_though_its_entry_did_not(tmp_path: Path) -> None:
    path = tmp_path / "a.eaf"
    detect(path)
    text = path.read_text()
    path.write_text(text.replace(">C5 waving</ANN", ">my own</ANN"))
    assert of_person(path) == [(0.0, 9.0, "my own")]
