from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mmad.annotations.clips.lists import read_clip_list
from mmad.annotations.clips.split import (
    split_by_subject,
    split_folds,
    subjects_of_names,
    subjects_of_table,
)
from mmad.cli.main import app
from mmad.errors import AnnotationError
from mmad.labels import MA52
from mmad.structures import ClipRecord


def make(num_subjects: int = 30, seed: int = 0) -> list[ClipRecord]:
    rng = np.random.default_rng(seed)
    clips = []
    for subject in range(num_subjects):
        for number in range(int(rng.integers(5, 40))):
            label = int(rng.choice(6, p=[0.4, 0.3, 0.15, 0.1, 0.04, 0.01]))
            clips.append(ClipRecord(f"{subject:04d}_01_{number:04d}.mp4", label, "train"))
    return clips


@pytest.mark.parametrize("share", [0.2, 1 / 3, 0.5])
def test_nobody_is_on_both_sides_and_classes_keep_their_shares(share: float) -> None:
    clips = make()
    subjects = subjects_of_names([clip.clip_id for clip in clips])
    assert len(set(subjects.values())) == 30
    train, val = split_by_subject(clips, subjects, val_share=share)
    people = [{subjects[clip.clip_id] for clip in part} for part in (train, val)]
    assert not people[0] & people[1]
    assert sorted(clip.clip_id for clip in train + val) == sorted(c.clip_id for c in clips)
    assert len(val) / len(clips) == pytest.approx(share, abs=0.05)
    counts = [np.bincount([clip.label for clip in part], minlength=6) for part in (train, val)]
    frequent = counts[0] + counts[1] >= 50
    np.testing.assert_allclose((counts[1] / (counts[0] + counts[1]))[frequent], share, atol=0.1)
    assert split_by_subject(clips, subjects, val_share=share) == (train, val)


def test_of_two_subjects_each_side_gets_one() -> None:
    clips = [ClipRecord("a_1.mp4", 0, "train"), ClipRecord("b_1.mp4", 1, "train")]
    parts = split_by_subject(
        clips, subjects_of_names([clip.clip_id for clip in clips]), val_share=0.01
    )
    assert [len(part) for part in parts] == [1, 1]


def test_bad_input_is_told() -> None:
    clips = make(3)
    with pytest.raises(AnnotationError, match="between 0 and 1"):
        split_by_subject(clips, subjects_of_names([clip.clip_id for clip in clips]), val_share=1.0)
    with pytest.raises(AnnotationError, match="at least two subjects"):
        split_by_subject(clips, {clip.clip_id: "a" for clip in clips})
    with pytest.raises(AnnotationError, match="not a regular expression"):
        subjects_of_names([clip.clip_id for clip in clips], "(")
    with pytest.raises(AnnotationError, match="a group in parentheses"):
        subjects_of_names([clip.clip_id for clip in clips], "^x")
    with pytest.raises(AnnotationError, match="matches no subject in"):
        subjects_of_names([clip.clip_id for clip in clips], "^(x)")
    with pytest.raises(AnnotationError, match="are not known, first 0000_01_0000"):
        subjects_of_table(clips, {})
    assert subjects_of_table(clips[:1], {"0000_01_0000": "me"}) == {"0000_01_0000.mp4": "me"}


def test_the_command_writes_two_lists(tmp_path: Path) -> None:
    lines = [f"{clip.clip_id} {clip.label}" for clip in make()]
    (tmp_path / "train_list.txt").write_text("\n".join(lines[:200]) + "\n")
    (tmp_path / "val_list.txt").write_text("\n".join(lines[200:]) + "\n")
    lists = [str(tmp_path / name) for name in ("train_list.txt", "val_list.txt")]
    result = CliRunner().invoke(app, ["data", "split", *lists, "--out", str(tmp_path / "cross")])
    assert result.exit_code == 0, result.output
    parts = [
        read_clip_list(tmp_path / "cross" / f"{name}.txt", labels=MA52) for name in ("train", "val")
    ]
    assert sum(map(len, parts)) == len(lines)
    people = [{clip.clip_id[:4] for clip in part} for part in parts]
    assert not people[0] & people[1]
    result = CliRunner().invoke(
        app, ["data", "split", lists[0], lists[0], "--out", str(tmp_path / "twice")]
    )
    assert "more than one list" in str(result.exception)


def test_folds_spread_classes_and_keep_subjects_together() -> None:
    labels = np.array([0] * 50 + [1] * 20 + [2] * 3)
    fold_of = split_folds(labels, folds=5)
    counts = np.array([np.bincount(fold_of[labels == k], minlength=5) for k in range(3)])
    assert counts[0].tolist() == [10] * 5
    assert counts[1].tolist() == [4] * 5
    assert sorted(counts[2].tolist()) == [0, 0, 1, 1, 1]
    assert np.array_equal(fold_of, split_folds(labels, folds=5))
    assert not np.array_equal(fold_of, split_folds(labels, folds=5, seed=1))

    random = np.random.default_rng(0)
    labels, subjects = random.integers(0, 10, 900), random.integers(0, 40, 900).astype(str)
    fold_of = split_folds(labels, folds=4, groups=subjects.tolist())
    for subject in np.unique(subjects):
        assert len(np.unique(fold_of[subjects == subject])) == 1
    assert np.bincount(fold_of) == pytest.approx(np.full(4, 225), abs=30)
    assert min(Counter(zip(labels.tolist(), fold_of.tolist(), strict=True)).values()) > 10
