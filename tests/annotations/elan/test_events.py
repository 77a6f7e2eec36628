import dataclasses
import string
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmad.annotations.elan.choice import ElanChoice
from mmad.annotations.elan.events import read_elan_events, write_elan_events
from mmad.annotations.elan.writing import write_elan
from mmad.annotations.exchange.events import Event
from mmad.annotations.formats import read_annotations
from mmad.errors import AnnotationError
from mmad.labels import MA52
from mmad.structures import Detections

NODDING, WAVING = MA52.index("B1"), MA52.index("C5")


def test_persons_annotators_scores_and_comments_come_back(tmp_path: Path) -> None:
    events = [
        Event("P01/cam1", "nodding", 0.5, 1.25, person="P1", annotator="Ada"),
        Event("P01/cam1", "waving", 0.5, 1.25, person="P2", annotator="Ben", comment="with \n it"),
        Event("P01/cam1", "nodding", 1.0, 2.0, person="P1", annotator="Ada", score=0.25),
        Event("P01/cam1", 'jumping & "co"', 3.0, 3.0, annotator="Ada"),
    ]
    path = tmp_path / "a.eaf"
    notices = write_elan_events(path, events, video=tmp_path / "cam1.mp4")
    assert notices == (
        "a.eaf: 1 point event of a millisecond each, because ELAN has no points in time; mmad "
        "reads them as points",
    )
    found = read_elan_events(path)
    assert list(found.events) == events
    assert (found.video_id, found.video, found.notices) == ("P01/cam1", None, ())
    with pytest.raises(AnnotationError, match=r"a\.eaf: exists"):
        write_elan_events(path, events)


def test_micro_actions_are_offered_with_their_codes(tmp_path: Path) -> None:
    path = tmp_path / "a.eaf"
    write_elan_events(path, [Event("a", "nodding", 1.0, 2.0)], author="Ada")
    assert "<ANNOTATION_VALUE>B1 nodding<" in path.read_text()
    found = read_annotations(path)
    assert found.labels is MA52
    assert read_elan_events(path).events == (Event("a", "nodding", 1.0, 2.0, annotator="Ada"),)


def test_detections_are_read_only_if_there_is_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.eaf"
    found = Detections([[1.0, 2.5], [2.0, 3.0]], [NODDING, WAVING], [0.834, 0.6])
    write_elan(path, video=tmp_path / "v.mp4", detections=found, labels=MA52, min_score=0.0)
    alone = read_elan_events(path)
    assert alone.is_model_alone
    assert [(one.label, one.score, one.annotator) for one in alone.events] == [
        ("nodding", 0.834, "mmad"),
        ("waving", 0.6, "mmad"),
    ]
    assert read_elan_events(path, with_model=False).events == ()
    # A person moves the beginning of the first.
    path.write_text(path.read_text().replace('TIME_VALUE="1000"', 'TIME_VALUE="1100"'))
    edited = read_elan_events(path)
    assert not edited.is_model_alone
    assert [(one.label, one.start_seconds) for one in edited.events] == [("nodding", 1.1)]
    both = read_elan_events(path, with_model=True)
    assert [one.label for one in both.events] == ["nodding", "waving"]
    chosen = read_elan_events(path, choice=ElanChoice(tiers=("mmad:upper*",)))
    assert [one.label for one in chosen.events] == ["waving"]


def test_codes_among_other_labels_are_no_micro_actions(tmp_path: Path) -> None:
    path = tmp_path / "a.eaf"
    events = [
        Event("a", "A1", 0.0, 1.0),
        Event("a", "Nodding", 1.0, 2.0),
        Event("a", "x", 2.0, 3.0),
    ]
    write_elan_events(path, events)
    assert list(read_elan_events(path).events) == events
    write_elan_events(path, events[:2], overwrite=True)
    assert [one.label for one in read_elan_events(path).events] == ["shaking body", "nodding"]


def test_events_of_several_videos_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="about one video, but the events are of 2: a, b"):
        write_elan_events(tmp_path / "a.eaf", [Event("a", "x", 0, 1), Event("b", "x", 0, 1)])


# Text without blanks around and without what XML cannot hold.
TEXTS = (
    st.text(
        alphabet=st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff")
        | st.sampled_from(string.punctuation),
        min_size=1,
        max_size=12,
    )
    .map(str.strip)
    .filter(bool)
)
NAMES = st.none() | TEXTS


# Alone, these are micro-actions, too.
CODES = {code.casefold() for code in MA52.codes}


@st.composite
def event_lists(draw: st.DrawFn) -> list[Event]:
    # Labels that differ by case alone are one entry of a vocabulary.
    labels = draw(
        st.lists(
            TEXTS.filter(lambda text: text.casefold() not in CODES),
            min_size=1,
            max_size=4,
            unique_by=str.casefold,
        )
        | st.just(["nodding", "waving", "shaking body"])
    )
    found = []
    for _ in range(draw(st.integers(0, 12))):
        start = draw(st.integers(0, 100_000))
        length = draw(st.integers(0, 5_000))
        found.append(
            Event(
                "a video",
                draw(st.sampled_from(labels)),
                start / 1000,
                (start + length) / 1000,
                person=draw(NAMES),
                annotator=draw(NAMES),
                score=draw(st.none() | st.integers(0, 1000).map(lambda one: one / 1000)),
                comment=draw(st.just("") | TEXTS),
                modifiers=draw(st.just("") | TEXTS),
            )
        )
    return found


def same(events: list[Event], found: tuple[Event, ...]) -> bool:
    """Whether the events are the same, whatever their order."""

    def key(event: Event) -> str:
        return repr(dataclasses.astuple(event))

    return sorted(map(key, events)) == sorted(map(key, found))


def round_trip(folder: Path, events: list[Event]) -> None:
    path = folder / "a.eaf"
    write_elan_events(path, events, video_id="a video", overwrite=True)
    if not events:
        assert "<TIER" not in path.read_text()
        return
    assert same(events, read_elan_events(path).events)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(event_lists())
def test_random_events_come_back(tmp_path: Path, events: list[Event]) -> None:
    round_trip(tmp_path, events)


@pytest.mark.long
@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
@given(event_lists())
def test_a_thousand_random_files_come_back(tmp_path: Path, events: list[Event]) -> None:
    round_trip(tmp_path, events)


@pytest.mark.long
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    event_lists(),
    st.lists(
        st.lists(st.tuples(st.integers(0, 9000), st.integers(1, 900)), max_size=6), max_size=3
    ),
)
def test_a_persons_events_survive_any_detections(
    tmp_path: Path, events: list[Event], runs: list[list[tuple[int, int]]]
) -> None:
    path = tmp_path / "a.eaf"
    write_elan_events(path, events, video_id="a video", overwrite=True)
    before = path.read_bytes()
    for run in [*runs, []]:
        segments = [(start / 1000, (start + length) / 1000) for start, length in run]
        found = Detections(segments, [start % 52 for start, _ in run], [0.5] * len(run))
        write_elan(
            path, video=tmp_path / "a video.mp4", detections=found, labels=MA52, min_score=0.1
        )
        assert same(events, read_elan_events(path, with_model=False).events)
    tiers = before[before.index(b"</TIME_ORDER>") :] if events else b""
    tiers = tiers[: tiers.rindex(b"</TIER>")] if events else b""
    assert tiers in path.read_bytes()


def test_ratings_are_no_micro_actions(tmp_path: Path) -> None:
    events = [Event("v", label, float(label), float(label) + 1) for label in "123"]
    write_elan_events(tmp_path / "a.eaf", events)
    assert same(events, read_elan_events(tmp_path / "a.eaf").events)
