import xml.etree.ElementTree as ElementTree
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from mmad.annotations.elan.lanes import group_names, lanes_of, whole_milliseconds
from mmad.annotations.elan.writing import write_elan
from mmad.errors import AnnotationError
from mmad.labels import MA52, flat_labels
from mmad.structures import Detections

NODDING, SHAKING_HEAD, WAVING = MA52.index("B1"), MA52.index("B2"), MA52.index("C5")

# What a person made: a tier with one unaligned slot, a tier that depends on it, and a comment.
BY_HAND = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="Ada" DATE="2024-01-01T00:00:00+00:00" FORMAT="3.0" VERSION="3.0">
  <LICENSE LICENSE_URL="https://example.org">ours</LICENSE>
  <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">
    <MEDIA_DESCRIPTOR MEDIA_URL="file:///elsewhere/a.mp4" MIME_TYPE="video/mp4"/>
    <PROPERTY NAME="lastUsedAnnotationId">40</PROPERTY>
  </HEADER>
  <TIME_ORDER>
    <TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="100"/>
    <TIME_SLOT TIME_SLOT_ID="ts2"/>
    <TIME_SLOT TIME_SLOT_ID="ts3" TIME_VALUE="9000"/>
  </TIME_ORDER>
  <TIER LINGUISTIC_TYPE_REF="default-lt" TIER_ID="speech" PARTICIPANT="P1">
    <!-- checked twice -->
    <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a7" TIME_SLOT_REF1="ts1"
      TIME_SLOT_REF2="ts2"><ANNOTATION_VALUE>hello &amp; you</ANNOTATION_VALUE>
    </ALIGNABLE_ANNOTATION></ANNOTATION>
    <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a8" TIME_SLOT_REF1="ts2"
      TIME_SLOT_REF2="ts3"><ANNOTATION_VALUE>world</ANNOTATION_VALUE>
    </ALIGNABLE_ANNOTATION></ANNOTATION>
  </TIER>
  <TIER LINGUISTIC_TYPE_REF="words" PARENT_REF="speech" TIER_ID="words">
    <ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a9" ANNOTATION_REF="a7">
      <ANNOTATION_VALUE>x</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>
  </TIER>
  <LINGUISTIC_TYPE LINGUISTIC_TYPE_ID="default-lt" TIME_ALIGNABLE="true"/>
  <LINGUISTIC_TYPE LINGUISTIC_TYPE_ID="words" CONSTRAINTS="Symbolic_Association"/>
</ANNOTATION_DOCUMENT>
"""


def read_tiers(path: Path) -> dict[str, list[tuple[int, int, str]]]:
    root = ElementTree.parse(path).getroot()
    times = {s.get("TIME_SLOT_ID"): int(s.get("TIME_VALUE", "-1")) for s in root.iter("TIME_SLOT")}
    assert len(times) == len(list(root.iter("TIME_SLOT")))
    tiers = {}
    for tier in root.findall("TIER"):
        found = []
        for one in tier.iter("ALIGNABLE_ANNOTATION"):
            text = one.findtext("ANNOTATION_VALUE") or ""
            found.append((times[one.get("TIME_SLOT_REF1")], times[one.get("TIME_SLOT_REF2")], text))
        if found or not tier.get("PARENT_REF"):
            tiers[tier.get("TIER_ID") or ""] = found
    return tiers


def read_dependents(path: Path) -> dict[str, list[str]]:
    """The values of the tiers that depend on others, each behind the value of its parent."""
    root = ElementTree.parse(path).getroot()
    texts = {
        one.get("ANNOTATION_ID"): one.findtext("ANNOTATION_VALUE")
        for one in root.iterfind("TIER/ANNOTATION/*")
    }
    return {
        tier.get("TIER_ID") or "": [
            f"{texts[one.get('ANNOTATION_REF')]}: {one.findtext('ANNOTATION_VALUE')}"
            for one in tier.iter("REF_ANNOTATION")
        ]
        for tier in root.findall("TIER")
        if tier.get("PARENT_REF")
    }


def write(path: Path, detections: Detections, *, min_score: float = 0.0) -> None:
    write_elan(
        path,
        video=path.parent / "a b.mp4",
        detections=detections,
        labels=MA52,
        min_score=min_score,
        author="mmad 0.1",
    )


@pytest.fixture
def detections() -> Detections:
    return Detections(
        segments_seconds=np.array([[1.0, 2.5], [2.0, 3.0], [2.5, 4.0], [0.0, 9.0], [5.0, 6.0]]),
        labels=np.array([NODDING, SHAKING_HEAD, NODDING, WAVING, NODDING]),
        scores=np.array([0.834, 0.6, 0.5, 0.9, 0.1]),
    )


def test_labels_scores_and_sources_are_on_tiers_of_their_own(
    tmp_path: Path, detections: Detections
) -> None:
    write(tmp_path / "a.eaf", detections, min_score=0.5)
    assert read_tiers(tmp_path / "a.eaf") == {
        "mmad:head:1": [(1000, 2500, "B1 nodding"), (2500, 4000, "B1 nodding")],
        "mmad:head:2": [(2000, 3000, "B2 shaking head")],
        "mmad:upper limb:1": [(0, 9000, "C5 waving")],
    }
    assert read_dependents(tmp_path / "a.eaf") == {
        "mmad:head:1:score": ["B1 nodding: 0.834", "B1 nodding: 0.500"],
        "mmad:head:2:score": ["B2 shaking head: 0.600"],
        "mmad:upper limb:1:score": ["C5 waving: 0.900"],
        "mmad:head:1:source": ["B1 nodding: mmad 0.1, scores from 0.5"] * 2,
        "mmad:head:2:source": ["B2 shaking head: mmad 0.1, scores from 0.5"],
        "mmad:upper limb:1:source": ["C5 waving: mmad 0.1, scores from 0.5"],
    }


def test_document_is_complete(tmp_path: Path, detections: Detections) -> None:
    write(tmp_path / "a.eaf", detections)
    root = ElementTree.parse(tmp_path / "a.eaf").getroot()
    assert [element.tag for element in root] == (
        ["HEADER", "TIME_ORDER"]
        + ["TIER"] * 9
        + ["LINGUISTIC_TYPE"] * 3
        + ["LANGUAGE"]
        + ["CONSTRAINT"] * 4
        + ["CONTROLLED_VOCABULARY"]
    )
    media = root.find("HEADER/MEDIA_DESCRIPTOR")
    assert media is not None
    assert media.get("RELATIVE_MEDIA_URL") == "./a%20b.mp4"
    assert media.get("MEDIA_URL") == (tmp_path / "a b.mp4").as_uri()
    values = {one.get("CVE_ID"): one.findtext("CVE_VALUE") for one in root.iter("CV_ENTRY_ML")}
    assert list(values.values()) == [MA52.title(index) for index in range(52)]
    times = [int(slot.get("TIME_VALUE", "-1")) for slot in root.iter("TIME_SLOT")]
    assert times == sorted(times)
    assert len(times) == 2 * len(detections)
    properties = {one.get("NAME"): one.text for one in root.iterfind("HEADER/PROPERTY")}
    assert properties["lastUsedAnnotationId"] == "15"
    assert {"mmad:seal:head", "mmad:seal:upper limb"} < properties.keys()
    for tier in root.findall("TIER"):
        assert tier.get("ANNOTATOR") == "mmad 0.1"
    for one in root.iter("ALIGNABLE_ANNOTATION"):
        assert values[one.get("CVE_REF")] == one.findtext("ANNOTATION_VALUE")


def test_annotations_of_one_tier_never_overlap(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    starts = rng.uniform(0, 30, size=400)
    many = Detections(
        # Short ones too: rounding to milliseconds must not make them touch or vanish.
        np.stack([starts, starts + rng.exponential(0.5, size=400) ** 3], axis=1),
        rng.integers(0, 52, size=400),
        rng.uniform(size=400),
    )
    write(tmp_path / "a.eaf", many)
    tiers = read_tiers(tmp_path / "a.eaf")
    assert sum(len(one) for one in tiers.values()) == 400
    for found in tiers.values():
        for start, end, _ in found:
            assert end > start
        for before, after in pairwise(found):
            assert before[1] <= after[0]


def test_lanes_are_as_few_as_detections_under_way_at_once() -> None:
    times = whole_milliseconds([[0, 4], [1, 2], [2, 3], [3, 5]])
    groups = group_names(flat_labels(["wave"]), [0, 0, 0, 0])
    assert lanes_of(groups, times) == {("action", 1): [0], ("action", 2): [1, 2, 3]}


def test_work_by_hand_is_kept_and_only_our_tiers_are_replaced(
    tmp_path: Path, detections: Detections
) -> None:
    path = tmp_path / "a.eaf"
    path.write_text(BY_HAND)
    write(path, detections)
    write(path, detections[[3]])
    tiers = read_tiers(path)
    assert list(tiers) == ["speech", "mmad:upper limb:1"]
    assert list(read_dependents(path)) == [
        "words",
        "mmad:upper limb:1:score",
        "mmad:upper limb:1:source",
    ]
    assert tiers["speech"] == [(100, -1, "hello & you"), (-1, 9000, "world")]
    assert tiers["mmad:upper limb:1"] == [(0, 9000, "C5 waving")]
    root = ElementTree.parse(path).getroot()
    assert root.get("AUTHOR") == "Ada"
    assert root.findtext("LICENSE") == "ours"
    assert "checked twice" in path.read_text()
    assert [one.get("MEDIA_URL") for one in root.iter("MEDIA_DESCRIPTOR")] == [
        "file:///elsewhere/a.mp4"
    ]
    # 3 slots by hand, 2 of the one detection left: those of the first run are gone.
    assert len(list(root.iter("TIME_SLOT"))) == 3 + 2
    assert [one.get("LINGUISTIC_TYPE_ID") for one in root.findall("LINGUISTIC_TYPE")] == [
        "default-lt",
        "words",
        "mmad-action",
        "mmad-score",
        "mmad-source",
    ]
    assert len(root.findall("CONTROLLED_VOCABULARY")) == 1
    names = [
        one.get("ANNOTATION_ID")
        for one in root.iter()
        if one.tag in ("ALIGNABLE_ANNOTATION", "REF_ANNOTATION")
    ]
    assert len(set(names)) == len(names) == 3 + 3
    assert root.findtext("HEADER/PROPERTY") == "40"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("not xml", "not an ELAN file"),
        ("<html/>", "found XML with the root html; nothing was written"),
        (
            BY_HAND.replace('"9000"', '"soon"'),
            "time slot ts3: expected whole millisec",
        ),
        (BY_HAND.replace("milliseconds", "NTSC-frames"), "expected times in milliseconds"),
    ],
)
def test_another_file_is_never_overwritten(
    tmp_path: Path, detections: Detections, content: str, message: str
) -> None:
    path = tmp_path / "a.eaf"
    path.write_text(content)
    with pytest.raises(AnnotationError, match=message):
        write(path, detections)
    assert path.read_text() == content


def test_no_detections_give_a_file_without_tiers(tmp_path: Path) -> None:
    write(tmp_path / "a.eaf", Detections())
    assert read_tiers(tmp_path / "a.eaf") == {}


def test_a_detection_without_length_at_the_beginning_is_written(tmp_path: Path) -> None:
    empty = Detections(np.zeros((1, 2)), np.array([NODDING]), np.array([0.5]))
    write(tmp_path / "a.eaf", empty)
    assert read_tiers(tmp_path / "a.eaf") == {"mmad:head:1": [(0, 1, "B1 nodding")]}
