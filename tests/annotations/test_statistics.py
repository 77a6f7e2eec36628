from dataclasses import replace

import numpy as np
import pytest

from mmad.annotations.statistics import describe_clips, describe_records, time_by_depth
from mmad.labels import MA52, flat_labels
from mmad.structures import Annotations, ClipRecord, VideoRecord

NODDING, SHAKING_HEAD, WAVING = MA52.index("B1"), MA52.index("B2"), MA52.index("C5")


def video(
    video_id: str, frames: list[tuple[int, int]], labels: list[int], *, fps: float, num_frames: int
) -> VideoRecord:
    return VideoRecord(
        video_id,
        duration_seconds=num_frames / fps,
        subset="train",
        fps=fps,
        num_frames=num_frames,
        annotations=Annotations(np.array(frames) / fps, labels),
    )


@pytest.fixture
def records() -> list[VideoRecord]:
    return [
        video(
            "a",
            [(0, 60), (30, 90), (45, 120), (120, 135)],
            [NODDING, SHAKING_HEAD, WAVING, WAVING],
            fps=30,
            num_frames=150,
        ),
        video("b", [(0, 29), (10, 20)], [NODDING, NODDING], fps=29, num_frames=290),
    ]


def test_lengths_in_true_seconds_and_at_30_fps(records: list[VideoRecord]) -> None:
    (one,) = describe_records(records, labels=MA52)
    assert (one.name, one.num_videos, one.num_instances) == ("train", 2, 4 + 2)
    assert one.videos.total_seconds == pytest.approx(150 / 30 + 290 / 29)
    assert one.videos_at_30fps is not None
    assert one.videos_at_30fps.mean_seconds == pytest.approx((150 + 290) / 30 / 2)
    seconds = [60 / 30, 60 / 30, 75 / 30, 15 / 30, 29 / 29, 10 / 29]
    assert one.instances.mean_seconds == pytest.approx(sum(seconds) / 6)
    assert one.instances.std_seconds == pytest.approx(np.std(seconds, ddof=1))
    assert one.instances.median_seconds == pytest.approx((1 + 2) / 2)
    assert one.instances_at_30fps is not None
    frames = 60 + 60 + 75 + 15 + 29 + 10
    assert one.instances_at_30fps.mean_seconds == pytest.approx(frames / 30 / 6)
    # Half a second and 10/29 s; the one of 29 frames at 29 fps lasts a whole second.
    assert one.share_under_1_second == 2 / 6
    assert one.num_starting_at_0 == 2
    assert one.videos_by_fps == {"29": 1, "30": 1}
    assert one.videos_by_num_instances == {2: 1, 4: 1}


def test_seconds_rounded_by_a_file_count_the_same_frames(records: list[VideoRecord]) -> None:
    rounded = [
        replace(
            record,
            annotations=Annotations(
                record.annotations.segments_seconds.round(4), record.annotations.labels
            ),
        )
        for record in records
    ]
    exact, coarse = (describe_records(some, labels=MA52)[0] for some in (records, rounded))
    assert coarse.instances_at_30fps == exact.instances_at_30fps
    assert coarse.overlap.class_pairs == exact.overlap.class_pairs


def test_overlap(records: list[VideoRecord]) -> None:
    (one,) = describe_records(records, labels=MA52)
    overlap = one.overlap
    # In a: nodding with shaking head, both with the first waving; the second waving only touches.
    # In b: both.
    assert overlap.num_instances == 3 + 2
    assert overlap.num_instances_same_class == 0 + 2
    assert overlap.num_instances_same_parent == 2 + 2
    assert overlap.num_pairs == 3 + 1
    assert overlap.num_pairs_same_class == 1
    assert overlap.num_videos == 2
    assert overlap.videos_by_concurrency == {2: 1, 3: 1}
    assert overlap.class_pairs == (
        (NODDING, NODDING, 1),
        (NODDING, SHAKING_HEAD, 1),
        (NODDING, WAVING, 1),
        (SHAKING_HEAD, WAVING, 1),
    )
    assert overlap.share_covered == pytest.approx((135 / 30 + 29 / 29) / (5 + 10))
    assert overlap.share_covered_twice == pytest.approx(((90 - 30) / 30 + 10 / 29) / (5 + 10))


def test_counts_of_classes_and_body_parts(records: list[VideoRecord]) -> None:
    (one,) = describe_records(records, labels=MA52)
    assert one.class_counts[NODDING] == 1 + 2
    assert one.class_counts[WAVING] == 2
    assert sum(one.class_counts) == 6
    assert one.parent_counts == (0, 3 + 1, 2, 0, 0, 0, 0)


def test_subsets_in_order_and_all_of_them(records: list[VideoRecord]) -> None:
    mixed = [replace(records[0], subset="val", subject="x"), replace(records[1], subject="x")]
    described = describe_records(mixed, labels=MA52)
    assert [one.name for one in described] == ["train", "val", "all"]
    assert [one.num_videos for one in described] == [1, 1, 2]
    assert [one.num_subjects for one in described] == [1, 1, 1]
    assert describe_records(records, labels=MA52)[0].num_subjects is None


def test_without_frame_rate_nothing_is_said_at_30_fps(records: list[VideoRecord]) -> None:
    some = [records[0], replace(records[1], fps=None, num_frames=None)]
    (one,) = describe_records(some, labels=MA52)
    assert one.videos_at_30fps is None
    assert one.instances_at_30fps is None
    assert one.videos_by_fps == {"30": 1}


def test_a_label_set_without_parents_has_no_body_parts() -> None:
    records = [video("a", [(0, 3), (1, 2)], [0, 0], fps=30, num_frames=9)]
    (one,) = describe_records(records, labels=flat_labels(["jump"]))
    assert one.parent_counts == ()
    assert one.overlap.num_instances_same_parent is None


def test_nothing_at_all() -> None:
    (one,) = describe_records([], labels=MA52)
    assert (one.name, one.num_videos, one.num_instances) == ("all", 0, 0)
    assert one.instances.mean_seconds == 0
    assert one.overlap.share_covered == 0
    bare = VideoRecord("a", duration_seconds=3.0, subset="test")
    (one,) = describe_records([bare], labels=MA52)
    assert one.videos_by_num_instances == {0: 1}
    assert one.overlap.videos_by_concurrency == {0: 1}


def test_time_by_depth_against_counting_milliseconds() -> None:
    rng = np.random.default_rng(1)
    milliseconds = np.sort(rng.integers(0, 1000, size=(12, 2)), axis=1)
    line = np.zeros(1000, dtype=int)
    for start, end in milliseconds:
        line[start:end] += 1
    found = time_by_depth(milliseconds / 1000)
    for depth in range(1, 13):
        assert found.get(depth, 0.0) == pytest.approx((line == depth).sum() / 1000)


def test_clips() -> None:
    clips = [ClipRecord("a.mp4", NODDING, "val"), ClipRecord("b.mp4", None, "val")]
    one = describe_clips(clips, labels=MA52)
    assert (one.name, one.num_clips, one.num_unlabelled) == ("val", 2, 1)
    assert one.class_counts[NODDING] == 1
    assert one.parent_counts == (0, 1, 0, 0, 0, 0, 0)
