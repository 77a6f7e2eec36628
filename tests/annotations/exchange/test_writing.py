from collections import Counter
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings

from mmad.annotations.exchange.events import EventFile
from support.events import event_files, kept_of, micro_actions, order, round_trip

EXACT = [
    *("boris", "boris-tabular", "boris-aggregated", "via-json", "via-csv"),
    *("audacity", "praat", "elan-text", "csv", "elan"),
]
_SETTINGS: dict[str, Any] = {"deadline": None, "suppress_health_check": list(HealthCheck)}


def assert_kept(file: EventFile, *, format: str, folder: Path) -> None:
    found = round_trip(file, format=format, folder=folder)
    expected = kept_of(file, format=format)
    assert [order(one) for one in found] == [order(one) for one in expected]


@pytest.mark.parametrize("format", EXACT)
def test_events_survive_the_round_trip(tmp_path: Path, format: str) -> None:
    @settings(max_examples=25, **_SETTINGS)
    @given(event_files())
    def check(file: EventFile) -> None:
        assert_kept(file, format=format, folder=tmp_path)

    check()


@settings(max_examples=25, **_SETTINGS)
@given(event_files())
def test_label_studio_keeps_times_to_a_frame(tmp_path: Path, file: EventFile) -> None:
    found = round_trip(file, format="label-studio", folder=tmp_path)
    assert len(found) == len(file.events)
    key = attrgetter("video_id", "label", "comment", "modifiers")
    assert sorted(map(key, found)) == sorted(map(key, file.events))
    assert Counter(one.score for one in found) == Counter(one.score for one in file.events)
    starts = zip(
        sorted(one.start_seconds for one in found),
        sorted(one.start_seconds for one in file.events),
        strict=True,
    )
    assert all(abs(one - other) <= 0.5 / 25 + 1e-9 for one, other in starts)


@pytest.mark.parametrize(
    "format",
    ["activitynet-json", "mma52-json", "mma52-csv", "detections-json", "detections-csv"],
)
def test_formats_of_one_label_set_keep_their_segments(tmp_path: Path, format: str) -> None:
    @settings(max_examples=25, **_SETTINGS)
    @given(event_files(labels=micro_actions))
    def check(file: EventFile) -> None:
        has_points = format.startswith("detections")
        expected = [
            one for one in file.events if has_points or one.end_seconds - one.start_seconds > 0.05
        ]
        assume(expected)
        file = replace(file, events=tuple(expected))
        labels = "ma52" if format == "mma52-json" else "auto"
        found = round_trip(file, format=format, folder=tmp_path, labels=labels)
        step = 0.5 / 25 + 1e-4 if format == "mma52-csv" else 1e-4
        assert len(found) == len(expected)
        for time in ("start_seconds", "end_seconds"):
            key = attrgetter("video_id", "label", time)
            pairs = zip(sorted(map(key, found)), sorted(map(key, expected)), strict=True)
            for one, other in pairs:
                assert one[:2] == other[:2]
                assert one[2] == pytest.approx(other[2], abs=step)

    check()


@pytest.mark.long
@pytest.mark.parametrize("format", EXACT)
def test_a_thousand_files_survive_the_round_trip(tmp_path: Path, format: str) -> None:
    @settings(max_examples=1000, **_SETTINGS)
    @given(event_files())
    def check(file: EventFile) -> None:
        assert_kept(file, format=format, folder=tmp_path)

    check()
