"""Three subsets of videos without common subjects, of given numbers of subjects."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmad.annotations.check import check_subjects
from mmad.annotations.formats import read_annotations, write_mma52_json
from mmad.annotations.subject_split import split_videos_by_subject
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


def counts_of(records: list[VideoRecord], subset: str) -> np.ndarray:
    labels = [one.annotations.labels for one in records if one.subset == subset]
    return np.bincount(np.concatenate(labels), minlength=4)


def test_subjects_are_in_one_subset_and_classes_keep_their_shares() -> None:
    parts = split_videos_by_subject(videos(), sizes=SIZES, num_labels=4)
    for name, size in SIZES.items():
        assert len({one.subject for one in parts if one.subset == name}) == size
    assert check_subjects(parts, {}) == []
    assert [one.video_id for one in parts] == [one.video_id for one in videos()]
    total = sum(counts_of(list(parts), name) for name in SIZES)
    for name, size in SIZES.items():
        shares = counts_of(list(parts), name) / total
        np.testing.assert_allclose(shares, size / 20, atol=0.05)
    again = split_videos_by_subject(videos(), sizes=SIZES, num_labels=4)
    assert [one.subset for one in again] == [one.subset for one in parts]


def test_sizes_are_of_all_subjects() -> None:
    with pytest.raises(AnnotationError, match=r"20 subjects in all, found 14 \+ 4 \+ 3"):
        split_videos_by_subject(videos(), sizes=SIZES | {"test": 3}, num_labels=4)
    with pytest.raises(AnnotationError, match="1 or more"):
        split_videos_by_subject(videos(), sizes={"train": 20, "val": 0}, num_labels=4)
    nameless = [replace(videos()[0], subject=None), *videos()[1:]]
    with pytest.raises(AnnotationError, match="1 of 100 videos are not known, first v0; pass"):
        split_videos_by_subject(nameless, sizes=SIZES, num_labels=4)


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
    with pytest.raises(AnnotationError, match="--sizes 14,4: expected the numbers of subjects"):
        invoke(app, *words, "--sizes", "14,4")
    with pytest.raises(AnnotationError, match="--sizes : expected the numbers of subjects"):
        invoke(app, *words)


def test_lists_of_emotions_say_their_subsets_themselves(tmp_path: Path) -> None:
    path = tmp_path / "emotions.csv"
    path.write_text("video_id,emotion,actions\na,joy,nodding\n")
    for further in ((), ("--sizes", "1,1,1")):
        with pytest.raises(AnnotationError, match="lists videos with emotions; give each"):
            invoke(app, "split", path, "--out", tmp_path / "split", *further)
