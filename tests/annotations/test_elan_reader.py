from pathlib import Path

import pytest

from mmad.annotations.elan import write_elan
from mmad.annotations.elan_reader import read_elan
from mmad.annotations.formats import AnnotationSet, detect_format, read_annotations
from mmad.errors import AnnotationError
from mmad.labels import MA52
from mmad.structures import Detections

NODDING, WAVING = MA52.index("B1"), MA52.index("C5")
MEDIA = '<MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/my%20data/talk%201.mp4" MIME_TYPE="video/mp4"/>'


def tier(name: str, *values: tuple[int, int, str], kind: str = "default-lt") -> str:
    """A tier whose time slots are named after their milliseconds."""
    annotations = "".join(
        f'<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="{name}{number}" '
        f'TIME_SLOT_REF1="ts{start}" TIME_SLOT_REF2="ts{end}">'
        f"<ANNOTATION_VALUE>{value}</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>"
        for number, (start, end, value) in enumerate(values)
    )
    return f'<TIER TIER_ID="{name}" LINGUISTIC_TYPE_REF="{kind}">{annotations}</TIER>'


def eaf(*tiers: str, media: str = MEDIA, times: tuple[int, ...] = (), after: str = "") -> str:
    slots = "".join(f'<TIME_SLOT TIME_SLOT_ID="ts{t}" TIME_VALUE="{t}"/>' for t in times)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<ANNOTATION_DOCUMENT>\n'
        f'<HEADER TIME_UNITS="milliseconds">{media}</HEADER>'
        f"<TIME_ORDER>{slots}</TIME_ORDER>{''.join(tiers)}{after}</ANNOTATION_DOCUMENT>"
    )


def put(folder: Path, text: str, name: str = "ada.eaf") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def rows(found: AnnotationSet) -> list[tuple[float, float, str]]:
    return [
        (start, end, found.labels.names[label])
        for record in found.records
        for (start, end), label in zip(
            record.annotations.segments_seconds.tolist(), record.annotations.labels, strict=True
        )
    ]


def test_value_comes_before_the_name_of_the_tier(tmp_path: Path) -> None:
    text = eaf(
        tier("nodding", (100, 1500, ""), (2000, 3000, "C5"), (4000, 5000, "strong")),
        tier("hands", (250, 6000, "C5 waving")),
        times=(100, 250, 1500, 2000, 3000, 4000, 5000, 6000),
    )
    path = put(tmp_path, text)
    assert detect_format(path) == "elan"
    found = read_annotations(path)
    assert found.labels is MA52
    assert rows(found) == [
        (0.1, 1.5, "nodding"),
        (0.25, 6.0, "waving"),
        (2.0, 3.0, "waving"),
        (4.0, 5.0, "nodding"),
    ]
    (record,) = found.records
    assert (record.video_id, record.duration_seconds, record.subset) == ("talk 1", 6.0, "all")
    assert found.notices == (
        "ada.eaf does not tell the length of its video: the last time in it is taken, 6.000 s",
    )


def test_detections_that_a_person_took_over_are_read_back(tmp_path: Path) -> None:
    path = tmp_path / "a.eaf"
    detections = Detections([[1.0, 2.5], [2.0, 3.0]], [NODDING, WAVING], [0.834, 0.6])
    write_elan(path, video=tmp_path / "v 1.mp4", detections=detections, labels=MA52, min_score=0.0)
    of_model = read_annotations(path)
    assert rows(of_model) == []
    assert "2 tiers of the model (mmad:...) with 2 annotations are left out" in of_model.notices[0]
    path.write_text(path.read_text().replace('TIER_ID="mmad:', 'TIER_ID="ada '))
    found = read_annotations(path)
    assert rows(found) == [(1.0, 2.5, "nodding"), (2.0, 3.0, "waving")]
    assert found.records[0].video_id == "v 1"


def test_tiers_about_something_else_are_left_out_and_told(tmp_path: Path) -> None:
    text = eaf(
        tier("head", (0, 1000, "nodding")),
        tier("speech", (0, 1000, "hello"), (1000, 2000, "you")),
        times=(0, 1000, 2000),
    )
    found = read_annotations(put(tmp_path, text))
    assert rows(found) == [(0.0, 1.0, "nodding")]
    assert "tier 'speech' with 2 annotations is left out: none of them" in found.notices[0]


def test_labels_of_their_own_with_the_vocabulary_of_their_tiers(tmp_path: Path) -> None:
    after = (
        '<LINGUISTIC_TYPE LINGUISTIC_TYPE_ID="faces" CONTROLLED_VOCABULARY_REF="cv"/>'
        '<CONTROLLED_VOCABULARY CV_ID="cv"><CV_ENTRY>smile</CV_ENTRY>'
        '<CV_ENTRY_ML CVE_ID="x"><CVE_VALUE LANG_REF="eng">frown</CVE_VALUE></CV_ENTRY_ML>'
        "</CONTROLLED_VOCABULARY>"
        '<CONTROLLED_VOCABULARY CV_ID="unused"><CV_ENTRY>jump</CV_ENTRY></CONTROLLED_VOCABULARY>'
    )
    text = eaf(
        tier("faces", (0, 1000, "smile"), kind="faces"),
        tier("blink", (1000, 2000, "")),
        tier("rating", (1000, 2000, "1")),
        times=(0, 1000, 2000),
        after=after,
    )
    found = read_annotations(put(tmp_path, text))
    # The rating 1 is not the micro-action with the index 1.
    assert found.labels.names == ("1", "blink", "frown", "smile")
    assert sorted(rows(found)) == [(0.0, 1.0, "smile"), (1.0, 2.0, "1"), (1.0, 2.0, "blink")]


def test_what_has_no_times_of_its_own_is_counted(tmp_path: Path) -> None:
    referring = (
        '<TIER TIER_ID="notes" PARENT_REF="head"><ANNOTATION><REF_ANNOTATION ANNOTATION_ID="r" '
        'ANNOTATION_REF="head0"><ANNOTATION_VALUE>waving</ANNOTATION_VALUE></REF_ANNOTATION>'
        "</ANNOTATION></TIER>"
    )
    text = eaf(
        tier("head", (0, 1000, "nodding"), (1000, 7, "nodding")), referring, times=(0, 1000)
    ).replace("</TIME_ORDER>", '<TIME_SLOT TIME_SLOT_ID="ts7"/></TIME_ORDER>')
    found = read_annotations(put(tmp_path, text))
    assert rows(found) == [(0.0, 1.0, "nodding")]
    assert any("1 annotations that refer to others" in notice for notice in found.notices)
    assert any("1 annotations whose start or end is not" in notice for notice in found.notices)


@pytest.mark.parametrize(
    ("media", "expected"),
    [
        ("", "ada"),
        ('<MEDIA_DESCRIPTOR RELATIVE_MEDIA_URL="./b.c.mp4" MIME_TYPE="video/mp4"/>', "b.c"),
        ('<MEDIA_DESCRIPTOR MEDIA_URL="file:///a.wav" MIME_TYPE="audio/x-wav"/>' + MEDIA, "talk 1"),
        ('<MEDIA_DESCRIPTOR MEDIA_URL="C:\\x\\y.avi" MIME_TYPE="video/avi"/>', "y"),
    ],
)
def test_the_video_is_the_linked_one(tmp_path: Path, media: str, expected: str) -> None:
    text = eaf(tier("head", (0, 1000, "B1")), media=media, times=(0, 1000))
    assert read_annotations(put(tmp_path, text)).records[0].video_id == expected


def test_an_offset_of_the_video_is_told(tmp_path: Path) -> None:
    media = MEDIA.replace("/>", ' TIME_ORIGIN="480"/>')
    raw = read_elan(put(tmp_path, eaf(tier("x", (0, 9, "B1")), media=media, times=(0, 9))))
    assert any("offset of 480 ms, which is not applied" in notice for notice in raw.notices)


def test_a_folder_of_files_is_one_set(tmp_path: Path) -> None:
    for name in ("v1", "v2"):
        text = eaf(tier("head", (0, 1000, "B1")), media="", times=(0, 1000))
        put(tmp_path, text, f"{name}.eaf")
    assert [one.video_id for one in read_annotations(tmp_path).records] == ["v1", "v2"]
    put(tmp_path, eaf(tier("head", (0, 9, "B1")), times=(0, 9)), "v3.eaf")
    put(tmp_path, eaf(tier("head", (0, 9, "B1")), times=(0, 9)), "v4.eaf")
    with pytest.raises(AnnotationError, match="video talk 1 is listed twice"):
        read_annotations(tmp_path)


ENTITIES = '<!DOCTYPE x [<!ENTITY a "nodding"><!ENTITY b "&a;&a;&a;">]>\n<ANNOTATION_DOCUMENT>'
GOOD = eaf(tier("head", (1000, 2000, "B1")), times=(1000, 2000))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD[:-30], r"ada.eaf: not an ELAN file \(.*line 3"),
        ("<html/>", "expected an ELAN file with HEADER and TIME_ORDER, found XML with the root ht"),
        (GOOD.replace("<ANNOTATION_DOCUMENT>", ENTITIES, 1), "ada.eaf: an ELAN file has no docume"),
        (GOOD.replace("milliseconds", "PAL-frames"), "in milliseconds, found PAL-frames"),
        (GOOD.replace('VALUE="2000"', 'VALUE="soon"'), "time slot ts2000: expected whole .*'soon'"),
        (GOOD.replace('ID="ts2000"', 'ID="ts1000"'), "time slot ts1000 is listed twice"),
        (GOOD.replace('REF2="ts2000"', 'REF2="ts3"'), "tier 'head', annotation head0: there is no"),
        (
            GOOD.replace('REF2="ts2000"', 'REF2="ts1000"'),
            r"annotation head0 \(video talk 1\): empty",
        ),
        (eaf(tier("head")), "no time slot, so the length of the video is not known"),
        (
            eaf(tier("head", (1, 2, "B1"), (2, 3, "C5"), (3, 4, "nodd")), times=(1, 2, 3, 4)),
            r"tier 'head', annotation head2 \(video talk 1\): unknown label 'nodd'",
        ),
    ],
)
def test_bad_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(AnnotationError, match=message):
        read_annotations(put(tmp_path, text))
