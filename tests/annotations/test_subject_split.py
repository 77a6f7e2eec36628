"""Three subsets of videos without common subjects, of given numbers of subjects."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmad.annotations.check import check_subjects
from mmad.annotations.formats import read_annotations, write_mma52_json
from mmad.annotations.groups import known_subjects
from mmad.annotations.subject_split import split_videos
from mmad.cli.data import app
from mmad.errors import AnnotationError
from mmad.structures import VideoRecord
from support.commands import invoke
from support.detections import record

SIZES = {"train": 14, "val": 4, "test": 2}


def videos(num_subjects: int = 20) -> list[VideoRecord]:
    """Five videos of each subject with actions that some subjects do more often than others."""
    rng = np.random.default_rng(0)
    found = []
    for number in range(5 * num_subjects):
        subject = number % num_subjects
        labels = rng.choice(4, 3, p=[0.1, 0.2, 0.2, 0.5] if subject % 3 else [0.7, 0.1, 0.1, 0.1])
        rows = [(place, place + 1, int(label)) for place, label in enumerate(labels)]
        found.append(replace(record(f"v{number}", *rows), subject=f"s{subject}"))
    return found


def split_by_subject(
    records: list[VideoRecord], *, sizes: dict[str, int], num_labels: int
) -> tuple[VideoRecord, ...]:
    groups = known_subjects(records).of_video
    return split_videos(records, groups, sizes=sizes, num_labels=num_labels)


def counts_of(records: list[VideoRecord], subset: str) -> np.ndarray:
    labels = [one.annotations.labels for one in records if one.subset == subset]
    return np.bincount(np.concatenate(labels), minlength=4)


def test_subjects_are_in_one_subset_and_classes_keep_their_shares() -> None:
    parts = split_by_subject(videos(), sizes=SIZES, num_labels=4)
    for name, size in SIZES.items():
        assert len({one.subject for one in parts if one.subset == name}) == size
    assert check_subjects(parts, {}) == []
    assert [one.video_id for one in parts] == [one.video_id for one in videos()]
    total = sum(counts_of(list(parts), name) for name in SIZES)
    for name, size in SIZES.items():
        shares = counts_of(list(parts), name) / total
        np.testing.assert_allclose(shares, size / 20, atol=0.05)
    again = split_by_subject(videos(), sizes=SIZES, num_labels=4)
    assert [one.subset for one in again] == [one.subset for one in parts]


def test_sizes_are_of_all_subjects() -> None:
    with pytest.raises(AnnotationError, match=r"20 subjects in all, found 14 \+ 4 \+ 3"):
        split_by_subject(videos(), sizes=SIZES | {"test": 3}, num_labels=4)
    with pytest.raises(AnnotationError, match="1 or more"):
        split_by_subject(videos(), sizes={"train": 20, "val": 0}, num_labels=4)
    nameless = [replace(videos()[0], subject=None), *videos()[1:]]
    with pytest.raises(AnnotationError, match="1 of 100 videos are not known, first v0; pass"):
        split_by_subject(nameless, sizes=SIZES, num_labels=4)


@pytest.mark.slow
def test_the_command_writes_one_file_that_passes_the_check(tmp_path: Path) -> None:
    truth, people, out = tmp_path / "mmad.json", tmp_path / "subjects.csv", tmp_path / "split"
    write_mma52_json(truth, videos())
    rows = [f"{one.video_id},{one.subject}" for one in videos()]
    people.write_text("\n".join(["video_id,subject", *rows]) + "\n")
    words = ("split", truth, "--subjects", people, "--out", out)
    told = invoke(app, *words, "--sizes", "14,4,2")
    assert (
        "train: 70 videos of 14 subjects, 210 annotations" in told
    )  # 5 videos, 15 annotations each
    found = read_annotations(out / "annotations.json").records
    assert sorted(json.loads(truth.read_text())) == sorted(one.video_id for one in found)
    assert "0 errors" in invoke(app, "check", out / "annotations.json", "--subjects", people)
    two = invoke(app, *words, "--sizes", "16,4")
    assert "val: 20 videos of 4 subjects" in two
    assert ": test:" not in two
    shared = invoke(app, *words, "--val-share", "0.2", "--test-share", "0.1")
    assert "train: 70 videos of 14 subjects" in shared
    assert "test: 10 videos of 2 subjects" in shared
    with pytest.raises(AnnotationError, match="--sizes 14: expected the numbers of subjects"):
        invoke(app, *words, "--sizes", "14")
    with pytest.raises(AnnotationError, match="either --sizes, or --val-share"):
        invoke(app, *words, "--sizes", "16,4", "--val-share", "0.2")
    with pytest.raises(AnnotationError, match=r"--val-share 0\.5, --test-share 0\.5: expected"):
        invoke(app, *words, "--val-share", "0.5", "--test-share", "0.5")


def test_videos_of_unknown_people_are_split_only_if_asked(tmp_path: Path) -> None:
    truth = tmp_path / "mine.json"
    write_mma52_json(truth, [replace(one, subject=None) for one in videos(4)])
    words = ("split", truth, "--out", tmp_path / "split")
    with pytest.raises(AnnotationError, match=r"20 of 20 videos are not known, .* or --random"):
        invoke(app, *words)
    assert "val: 4 videos, 12 annotations" in invoke(app, *words, "--random")
    told = invoke(app, *words, "--subject-pattern", "^v([0-9])", "--val-share", "0.5")
    assert "of 5 subjects" in told


@pytest.mark.slow
def test_many_groups_are_balanced_in_moments() -> None:
    many = videos(600)
    parts = split_by_subject(many, sizes={"train": 480, "val": 120}, num_labels=4)
    shares = counts_of(list(parts), "val") / (
        counts_of(list(parts), "val") + counts_of(list(parts), "train")
    )
    np.testing.assert_allclose(shares, 0.2, atol=0.002)


def test_lists_of_emotions_say_their_subsets_themselves(tmp_path: Path) -> None:
    path = tmp_path / "emotions.csv"
    path.write_text("video_id,emotion,actions\na,joy,nodding\n")
    for further in ((), ("--sizes", "1,1,1")):
        with pytest.raises(AnnotationError, match="lists videos with emotions; give each"):
            invoke(app, "split", path, "--out", tmp_path / "split", *further)
