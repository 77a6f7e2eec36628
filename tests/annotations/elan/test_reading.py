from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mmad.annotations.check import check_data
from mmad.annotations.elan.choice import ElanChoice
from mmad.annotations.elan.reading import read_elan
from mmad.annotations.elan.writing import write_elan
from mmad.annotations.formats import AnnotationSet, detect_format, read_annotations
from mmad.cli.data import app
from mmad.errors import AnnotationError
from mmad.labels import MA52
from mmad.structures import Detections
from mmad.video.writer import VideoWriter

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
        "ada.eaf does not state the duration of its video; its last time is used, 6.000 s",
    )


def test_detections_that_a_person_took_over_are_read_back(tmp_path: Path) -> None:
    path = tmp_path / "a.eaf"
    detections = Detections([[1.0, 2.5], [2.0, 3.0]], [NODDING, WAVING], [0.834, 0.6])
    write_elan(path, video=tmp_path / "v 1.mp4", detections=detections, labels=MA52, min_score=0.0)
    with pytest.raises(AnnotationError, match="only unedited detections"):
        read_annotations(path)
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


def test_times_count_from_the_beginning_of_the_video_whatever_elan_skips(tmp_path: Path) -> None:
    media = MEDIA.replace("/>", ' TIME_ORIGIN="480"/>')
    text = eaf(tier("x", (0, 1000, "B1")), media=media, times=(0, 1000))
    assert rows(read_annotations(put(tmp_path, text))) == [(0.48, 1.48, "nodding")]


def test_a_file_without_times_is_a_video_without_annotations(tmp_path: Path) -> None:
    (record,) = read_annotations(put(tmp_path, eaf(tier("head")))).records
    assert (record.video_id, len(record.annotations)) == ("talk 1", 0)
    raw = read_elan(tmp_path / "ada.eaf")
    assert raw.videos[0].is_length_assumed
    assert raw.notices[-1].endswith("it has no times either, so it counts as, 0.001 s")


def write_video(path: Path, *, frames: int) -> None:
    path.parent.mkdir(exist_ok=True)
    with VideoWriter(path, width=32, height=32, fps=10) as writer:
        for _ in range(frames):
            writer.write(np.zeros((32, 32, 3), np.uint8))


def test_what_ends_with_the_sound_ends_with_the_video(tmp_path: Path) -> None:
    text = eaf(tier("head", (1000, 4300, "B1")), times=(1000, 4300))
    path = put(tmp_path, text)
    write_video(tmp_path / "videos/talk 1.mp4", frames=40)
    report = check_data(read_annotations(path, strict=False), videos=tmp_path / "videos")
    assert report.num_errors == 0
    assert "1 instance ends less than 0.5 s after the last image" in str(report.findings)
    (tmp_path / "videos/talk 1.mp4").rename(tmp_path / "talk 1.mp4")
    found = read_annotations(path)
    assert rows(found) == [(1.0, 4.0, "nodding")]
    assert "1 annotation cut at the last image of the video, 4.000 s" in found.notices[0]
    path.write_text(text.replace('"4300"', '"4600"'))
    with pytest.raises(AnnotationError, match="reaches beyond the end of the video"):
        read_annotations(path)


def test_a_moved_project_is_found_by_its_folders(tmp_path: Path) -> None:
    media = (
        '<MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/old/study/films/day%201/a.mp4" '
        'MIME_TYPE="video/mp4" RELATIVE_MEDIA_URL="..\\..\\films\\day%201\\a.mp4"/>'
    )
    folder = tmp_path / "study/elan/done"
    folder.mkdir(parents=True)
    path = put(folder, eaf(tier("head", (0, 1000, "B1")), media=media, times=(0, 1000)))
    for place in ("study/films/day 1/a.mp4", "study/elan/films/day 1/a.mp4"):
        video = tmp_path / place
        video.parent.mkdir(parents=True)
        write_video(video, frames=25)
        assert read_annotations(path).records[0].num_frames == 25
        video.unlink()
    assert read_annotations(path).records[0].num_frames is None


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
        (
            eaf(tier("head", (1, 2, "B1"), (2, 3, "C5"), (3, 4, "nodd")), times=(1, 2, 3, 4)),
            r"tier 'head', annotation head2 \(video talk 1\): unknown label 'nodd'",
        ),
    ],
)
def test_bad_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(AnnotationError, match=message):
        read_annotations(put(tmp_path, text))


# A vocabulary in two languages, as ELAN 6 writes it; annotations name its entries by their ids.
LANGUAGES = (
    '<LINGUISTIC_TYPE LINGUISTIC_TYPE_ID="gesture" CONTROLLED_VOCABULARY_REF="cv"/>'
    '<LANGUAGE LANG_ID="nld"/><LANGUAGE LANG_ID="eng"/>'
    '<CONTROLLED_VOCABULARY CV_ID="cv">'
    '<CV_ENTRY_ML CVE_ID="c1"><CVE_VALUE LANG_REF="nld">wijzen</CVE_VALUE>'
    '<CVE_VALUE LANG_REF="eng">point</CVE_VALUE></CV_ENTRY_ML>'
    '<CV_ENTRY_ML CVE_ID="c2"><CVE_VALUE LANG_REF="nld">beat</CVE_VALUE>'
    '<CVE_VALUE LANG_REF="eng">beat</CVE_VALUE></CV_ENTRY_ML>'
    '<CV_ENTRY_ML CVE_ID="c3"><CVE_VALUE LANG_REF="nld">vegen</CVE_VALUE></CV_ENTRY_ML>'
    "</CONTROLLED_VOCABULARY>"
)


def gestures(folder: Path, *more: str, after: str = LANGUAGES, media: str = MEDIA) -> Path:
    """Left and right hand, one annotated in each language, and speech."""
    left = tier("left", (0, 1000, "wijzen"), (2000, 3000, "beat"), kind="gesture")
    right = tier("right", (0, 1000, "point"), (1000, 2000, "old text"), kind="gesture")
    right = right.replace('ANNOTATION_ID="right1"', 'ANNOTATION_ID="right1" CVE_REF="c1"')
    speech = tier("speech", (0, 3000, "hello"))
    times = (0, 1000, 2000, 3000)
    return put(folder, eaf(left, right, speech, *more, times=times, after=after, media=media))


def test_tiers_are_chosen_by_name_pattern_or_type(tmp_path: Path) -> None:
    path = gestures(tmp_path)
    for choice in (
        ElanChoice(tiers=("left", "right")),
        ElanChoice(tiers=("[lr]*t",)),
        ElanChoice(tier_types=("gest*",)),
    ):
        assert {label for _, _, label in rows(read_annotations(path, elan=choice))} == {
            "wijzen",
            "beat",
        }
    assert len(rows(read_annotations(path, elan=ElanChoice(tiers=("speech",))))) == 1
    with pytest.raises(AnnotationError, match=r"no tier is or has the type hands; found left, ri"):
        read_annotations(path, elan=ElanChoice(tiers=("hands",)))
    csv = put(tmp_path, "video_id,start_frame,end_frame,class,total_frames\nv,0,1,1,9\n", "a.csv")
    with pytest.raises(AnnotationError, match="a tier is part of an ELAN file, not mma52-csv"):
        read_annotations(csv, elan=ElanChoice(tiers=("left",)))


def test_values_are_joined_by_their_id_and_read_in_one_language(tmp_path: Path) -> None:
    path = gestures(tmp_path)
    dutch = read_annotations(path, elan=ElanChoice(tier_types=("gesture",)))
    assert dutch.labels.names == ("beat", "vegen", "wijzen")
    assert [label for _, _, label in rows(dutch)] == ["wijzen", "wijzen", "wijzen", "beat"]
    english = read_annotations(path, elan=ElanChoice(tier_types=("gesture",), language="eng"))
    assert english.labels.names == ("beat", "point", "vegen")
    with pytest.raises(AnnotationError, match="values in the language fra; found eng, nld"):
        read_annotations(path, elan=ElanChoice(language="fra"))


def test_a_vocabulary_beside_the_file_is_read(tmp_path: Path) -> None:
    vocabulary = LANGUAGES[LANGUAGES.index("<CONTROLLED") :]
    put(tmp_path, f"<CV_RESOURCE>{vocabulary}</CV_RESOURCE>", "hands.ecv")
    outside = (
        '<LINGUISTIC_TYPE LINGUISTIC_TYPE_ID="gesture" CONTROLLED_VOCABULARY_REF="cv"/>'
        '<CONTROLLED_VOCABULARY CV_ID="cv" EXT_REF="e1"/>'
        '<EXTERNAL_REF EXT_REF_ID="e1" TYPE="ecv" VALUE="file:/somewhere/else/hands.ecv"/>'
    )
    choice = ElanChoice(tiers=("left",), language="eng")
    found = read_annotations(gestures(tmp_path, after=outside), elan=choice)
    assert found.labels.names == ("beat", "point", "vegen")
    (tmp_path / "hands.ecv").unlink()
    found = read_annotations(gestures(tmp_path, after=outside), elan=ElanChoice(tiers=("left",)))
    assert found.labels.names == ("beat", "wijzen")
    assert "which is not beside the ELAN file" in found.notices[0]


def test_parallel_tiers_are_no_doubles(tmp_path: Path) -> None:
    path = gestures(tmp_path)
    found = read_annotations(path, elan=ElanChoice(tier_types=("gesture",)), strict=False)
    told = "1 annotation is on more than one tier with the same times and label, first wijzen"
    assert any(told in notice for notice in found.notices)
    assert check_data(found).num_errors == 0


def test_chosen_annotations_that_refer_to_others_have_their_times(tmp_path: Path) -> None:
    def refer(name: str, to: str, value: str) -> str:
        return (
            f'<ANNOTATION><REF_ANNOTATION ANNOTATION_ID="{name}" ANNOTATION_REF="{to}">'
            f"<ANNOTATION_VALUE>{value}</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>"
        )

    meaning = (
        refer("m0", "left0", "deictic") + refer("m1", "left1", "a") + refer("m2", "left1", "b")
    )
    note = refer("n0", "m0", "sure")
    more = [f'<TIER TIER_ID="{n}">{x}</TIER>' for n, x in (("meaning", meaning), ("note", note))]
    path = gestures(tmp_path, *more)
    found = read_annotations(path, elan=ElanChoice(tiers=("meaning", "note")))
    assert rows(found) == [(0.0, 1.0, "deictic"), (0.0, 1.0, "sure")]
    assert any("2 annotations that refer to others" in notice for notice in found.notices)


@pytest.mark.parametrize("link", ["./films/talk.mp4", "file:///elsewhere/talk.mp4", "absolute"])
def test_the_length_is_that_of_the_linked_video(tmp_path: Path, link: str) -> None:
    place = tmp_path / ("films" if "films" in link else ".") / "talk.mp4"
    place.parent.mkdir(exist_ok=True)
    with VideoWriter(place, width=32, height=32, fps=10) as writer:
        for _ in range(45):
            writer.write(np.zeros((32, 32, 3), np.uint8))
    name = "RELATIVE_MEDIA_URL" if link.startswith(".") else "MEDIA_URL"
    url = place.as_uri() if link == "absolute" else link
    path = gestures(tmp_path, media=f'<MEDIA_DESCRIPTOR {name}="{url}" MIME_TYPE="video/mp4"/>')
    found = read_annotations(path, elan=ElanChoice(tiers=("left",)), strict=False)
    (record,) = found.records
    assert (record.duration_seconds, record.fps, record.num_frames) == (4.5, 10.0, 45)
    assert (found.notices, found.assumed_lengths) == ((), set())
    assert check_data(found, videos=place.parent).num_errors == 0


def test_a_corpus_whose_videos_are_elsewhere_is_in_order(tmp_path: Path) -> None:
    """The last annotation ends before the video does: that is no truncated or longer video."""
    videos = tmp_path / "videos"
    videos.mkdir()
    with VideoWriter(videos / "talk 1.mp4", width=32, height=32, fps=10) as writer:
        for _ in range(45):
            writer.write(np.zeros((32, 32, 3), np.uint8))
    found = read_annotations(gestures(tmp_path), elan=ElanChoice(tiers=("left",)), strict=False)
    assert (found.records[0].duration_seconds, found.assumed_lengths) == (3.0, {"talk 1"})
    assert check_data(found, videos=videos).num_errors == 0


def test_commands_choose_tiers(tmp_path: Path) -> None:
    path = gestures(tmp_path)
    options = ["--tier", "left", "--tier", "right", "--language", "eng"]
    result = CliRunner().invoke(app, ["check", str(path), *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "1 video, 4 instances" in result.output
    assert "first point from 0.000 to 1.000 s on left, right" in result.output
