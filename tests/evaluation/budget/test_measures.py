"""The measures of time budgets, against BORIS and against plain loops."""

import json
import random
import statistics
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from mmad.annotations.exchange.events import Event
from mmad.errors import AnnotationError
from mmad.evaluation.budget.coding import Coding, make_coding
from mmad.evaluation.budget.measures import Measures, group_of_each, measure

BORIS = json.loads(Path(__file__).with_name("boris_time_budget.json").read_text(encoding="utf-8"))


def test_the_measures_are_those_of_boris() -> None:
    """The stored numbers come from BORIS itself; see tools/boris_budget.py."""
    events = [
        Event(one["video"], one["behaviour"], one["start"], one["end"], one["person"] or None)
        for one in BORIS["events"]
    ]
    coding = make_coding(events, seconds=BORIS["seconds"])
    assert not coding.notices
    groups, names = group_of_each([coding.persons])
    found = measure(coding, groups)
    assert len(BORIS["budget"]) == 9
    for row in BORIS["budget"]:
        person = "" if row["subject"] == "No focal subject" else row["subject"]
        cell = (names.index((person,)), coding.labels.index(row["behavior"]), 0)
        assert found.count[cell] == row["number"]
        is_point = row["duration"] == "NA"
        pairs = [
            (found.total_seconds[cell], 0.0 if is_point else row["duration"]),
            (found.durations.total[cell], 0.0 if is_point else row["duration"]),
            (found.durations.mean[cell], row["duration_mean"]),
            (found.durations.sd[cell], row["duration_stdev"]),
            (found.gaps.mean[cell], row["inter_duration_mean"]),
            (found.gaps.sd[cell], row["inter_duration_stdev"]),
        ]
        for mine, theirs in pairs:
            expected = float("nan") if theirs == "NA" else theirs
            assert mine == pytest.approx(expected, abs=1e-9, nan_ok=True)
        # Its proportion of time, which its windows show: duration / length of the observations.
        if not is_point:
            share = row["duration"] / sum(BORIS["seconds"].values())
            assert found.share_of_time[cell] == pytest.approx(share, abs=1e-9)


def random_coding(seed: int, *, num_videos: int = 4) -> Coding:
    """Events that overlap and share times, with points, in videos of different lengths."""
    rng = random.Random(seed)
    seconds = {f"v{i}": rng.choice((9.0, 10.0, 25.5)) for i in range(num_videos)}
    events = []
    for video, length in seconds.items():
        for _ in range(rng.randint(0, 25)):
            start = round(rng.uniform(0, length), 1)
            end = min(length, start + rng.choice((0.0, 0.5, 3.0)))
            person = rng.choice(("ada", "ben"))
            events.append(Event(video, rng.choice("abc"), start, end, person))
    return make_coding(events, seconds=seconds)


def time_shown(segments: list[tuple[float, float]], low: float, high: float) -> float:
    """Time under the segments between two times, by cutting at every boundary."""
    times = sorted({low, high, *(t for one in segments for t in one if low < t < high)})
    return sum(
        after - before
        for before, after in pairwise(times)
        if any(start <= before and after <= end for start, end in segments)
    )


@pytest.mark.parametrize("seed", range(8))
def test_every_measure_is_that_of_a_plain_loop(seed: int) -> None:
    coding = random_coding(seed)
    groups, names = group_of_each([coding.persons])
    found = measure(coding, groups, bin_seconds=5.0)
    num_bins = found.observed_seconds.shape[1]
    rows = list(zip(coding.segments.tolist(), coding.behaviours, coding.observations, strict=True))
    for group in range(len(names)):
        mine = np.flatnonzero(groups == group).tolist()
        for time in range(num_bins):
            low, high = 5.0 * time, 5.0 * (time + 1)
            observed = sum(max(0.0, min(coding.seconds[i], high) - low) for i in mine)
            assert found.observed_seconds[group, time] == pytest.approx(observed)
            for label in range(len(coding.labels)):
                starting, total, latencies = [], 0.0, []
                for i in mine:
                    of_one = [tuple(s) for s, b, o in rows if (b, o) == (label, i)]
                    last_bin = max(0, int(np.ceil(coding.seconds[i] / 5.0)) - 1)
                    here = [s for s in of_one if min(int(s[0] // 5.0), last_bin) == time]
                    starting += here
                    total += time_shown(of_one, low, min(high, max(coding.seconds[i], low)))
                    latencies += [min(s[0] for s in here) - low] if here else []
                lasting = [end - start for start, end in starting if end > start]
                cell = (group, label, time)
                assert found.count[cell] == len(starting)
                assert found.total_seconds[cell] == pytest.approx(total)
                assert found.latencies.count[cell] == len(latencies)
                assert found.durations.count[cell] == len(lasting)
                if lasting:
                    assert found.durations.mean[cell] == pytest.approx(statistics.mean(lasting))
                    assert found.durations.median[cell] == pytest.approx(statistics.median(lasting))
                    extremes = (found.durations.lowest[cell], found.durations.highest[cell])
                    assert extremes == pytest.approx((min(lasting), max(lasting)))
                if latencies:
                    assert found.latencies.mean[cell] == pytest.approx(statistics.mean(latencies))


@pytest.mark.parametrize("bin_seconds", [0.7, 3.0, 5.0, 100.0])
def test_bins_add_up_to_the_whole(bin_seconds: float) -> None:
    coding = random_coding(3, num_videos=12)
    groups = np.zeros(len(coding), dtype=np.int64)
    whole, bins = measure(coding, groups), measure(coding, groups, bin_seconds=bin_seconds)
    for name in ("count", "total_seconds"):
        assert getattr(bins, name).sum(axis=2) == pytest.approx(getattr(whole, name)[..., 0])
    assert bins.observed_seconds.sum() == pytest.approx(whole.observed_seconds.sum())


def test_the_measures_in_an_example() -> None:
    """Two minutes of one video: nodding twice, at the end twice at once; one point."""
    events = [
        Event("v", "nod", 6.0, 10.0),
        Event("v", "nod", 60.0, 66.0),
        Event("v", "nod", 63.0, 68.0),
        Event("v", "blink", 30.0, 30.0),
    ]
    coding = make_coding(events, seconds={"v": 120.0})
    assert "1 event has an earlier one" in coding.notices[0]
    found = measure(coding, np.zeros(1, dtype=np.int64))
    nod = (0, coding.labels.index("nod"), 0)
    blink = (0, coding.labels.index("blink"), 0)
    assert (found.count[nod], found.count[blink]) == (3, 1)
    assert (found.rate_per_minute[nod], found.rate_per_minute[blink]) == (1.5, 0.5)
    assert found.total_seconds[nod] == 12.0  # 6 to 10 and 60 to 68, which two events share
    assert found.share_of_time[nod] == pytest.approx(0.1)
    assert (found.durations.mean[nod], found.durations.median[nod]) == (5.0, 5.0)
    assert found.durations.total[nod] == 15.0
    assert (found.latencies.mean[nod], found.gaps.mean[nod]) == (6.0, 50.0)
    assert found.durations.count[blink] == 0
    assert np.isnan(found.durations.mean[blink])


def test_intervals_are_a_bootstrap_over_videos() -> None:
    coding = random_coding(5, num_videos=30)
    groups = np.zeros(len(coding), dtype=np.int64)
    found = measure(coding, groups, num_resamples=400, seed=7)
    rng = np.random.default_rng(7)
    videos = sorted(set(coding.videos))
    drawn = rng.integers(0, len(videos), (400, len(videos)))
    label = 1
    events, observed = np.zeros(len(videos)), np.zeros(len(videos))
    for row, video in enumerate(videos):
        mine = [i for i, name in enumerate(coding.videos) if name == video]
        observed[row] = coding.seconds[mine].sum()
        events[row] = (np.isin(coding.observations, mine) & (coding.behaviours == label)).sum()
    rates = 60 * events[drawn].sum(axis=1) / observed[drawn].sum(axis=1)
    assert found.intervals is not None
    limits = (found.intervals.rate.low[0, label, 0], found.intervals.rate.high[0, label, 0])
    assert limits == pytest.approx(tuple(np.quantile(rates, (0.025, 0.975))))
    assert limits[0] < found.rate_per_minute[0, label, 0] < limits[1]


def test_one_video_has_no_interval() -> None:
    coding = make_coding([Event("v", "nod", 0, 1)], seconds={"v": 10.0})
    found: Measures = measure(coding, np.zeros(1, dtype=np.int64), num_resamples=10)
    assert found.intervals is not None
    assert np.isnan(found.intervals.rate.low).all()


@pytest.mark.parametrize("bin_seconds", [0.0, -1.0, float("nan"), float("inf"), 1e-9])
def test_impossible_bins_are_an_error(bin_seconds: float) -> None:
    coding = make_coding([], seconds={"v": 3600.0})
    with pytest.raises(AnnotationError, match="--bin"):
        measure(coding, np.zeros(1, dtype=np.int64), bin_seconds=bin_seconds)
