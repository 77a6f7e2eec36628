import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mmad.cli.ensemble import app
from mmad.errors import MmadError
from mmad.evaluation.clips.ensemble import fuse_scores, nested_gain
from mmad.evaluation.clips.recognition import read_recognitions
from mmad.evaluation.clips.scores import (
    RecognitionScores,
    read_scores,
    to_recognitions,
    write_scores,
)
from mmad.evaluation.level_fusion import combine_levels
from mmad.evaluation.predictions import read_predictions
from mmad.labels import MA52
from support.scores import ma52_scores, truth_of

# mmad ensemble


def call(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def recognisers(tmp_path: Path) -> list[Path]:
    """Three files of scores, and the list of the clips they are of."""
    labels = np.arange(104) % 52
    for seed in range(3):
        suffix = "csv" if seed == 2 else "npz"
        scores = ma52_scores(labels, strength=1.5, seed=seed)
        write_scores(tmp_path / f"{'abc'[seed]}.{suffix}", scores)
    lines = [f"{i}.mp4 {label}" for i, label in enumerate(labels.tolist())]
    (tmp_path / "val_list.txt").write_text("\n".join(lines) + "\n")
    return [tmp_path / name for name in ("a.npz", "b.npz", "c.csv", "val_list.txt")]


def test_recognisers_are_fused(tmp_path: Path, recognisers: list[Path]) -> None:
    a, _, c, _ = recognisers
    out = call(a, c, "--weights", "0.6,0.2", "--out", tmp_path / "new" / "fused.npz")
    assert "104 clips from 2 files; body parts are sums of the fused actions" in out
    expected = fuse_scores([read_scores(path, labels=MA52) for path in (a, c)], [3, 1])
    fused = read_scores(tmp_path / "new/fused.npz", labels=MA52)
    assert fused.action_scores == pytest.approx(expected.action_scores, abs=1e-15)
    table = read_recognitions(tmp_path / "new/fused.csv", labels=MA52)
    assert np.array_equal(table.action_top, to_recognitions(fused).action_top)
    assert np.array_equal(table.body_top, to_recognitions(fused).body_top)
    assert table.body_top.shape == (104, 5)
    call(a, c, "--weights", "0.6,0.2", "--out", tmp_path / "again.csv")
    for suffix in ("npz", "csv"):
        first = (tmp_path / f"new/fused.{suffix}").read_bytes()
        assert first == (tmp_path / f"again.{suffix}").read_bytes()


def test_body_parts_are_those_of_the_fused_actions(tmp_path: Path, recognisers: list[Path]) -> None:
    files = []
    for path in recognisers[:2]:
        actions = read_scores(path, labels=MA52).action_scores
        shares = actions / actions.sum(axis=1, keepdims=True)
        levels = combine_levels(shares, None, labels=MA52, how="mapping")
        files.append(tmp_path / f"{path.stem}_mapped.npz")
        write_scores(files[-1], RecognitionScores(tuple(map(str, range(104))), *levels))
    out = call(*files, "--average", "score", "--out", tmp_path / "fused.npz")
    assert "body parts are those of the fused actions, as in the files" in out
    table = read_recognitions(tmp_path / "fused.csv", labels=MA52)
    assert np.array_equal(table.body_top, MA52.to_parents(table.action_top))
    fused = read_scores(tmp_path / "fused.npz", labels=MA52)
    assert np.array_equal(fused.body_scores.argmax(axis=1), table.body_top[:, 0])


def test_a_file_describes_the_same(tmp_path: Path, recognisers: list[Path]) -> None:
    a, b, c, _ = recognisers
    run = tmp_path / "run" / "predictions"
    run.mkdir(parents=True)
    b.rename(run / "val.npz")
    members = [(a, 0.7), (run.parent, 0.9), (c, 0.4)]
    lines = [f"- {{predictions: {path}, weight: {weight}}}" for path, weight in members]
    text = "\n".join(["task: ensemble", "subset: val", "average: score", "members:", *lines])
    (tmp_path / "e.yaml").write_text(text)
    call("--config", tmp_path / "e.yaml", "--out", tmp_path / "described.npz")
    flags = ("--weights", "0.7,0.9,0.4", "--average", "score")
    call(a, run / "val.npz", c, *flags, "--out", tmp_path / "by_hand.npz")
    for suffix in ("npz", "csv"):
        described = (tmp_path / f"described.{suffix}").read_bytes()
        assert described == (tmp_path / f"by_hand.{suffix}").read_bytes()
    with pytest.raises(MmadError, match=r"leave out FILES, --weights, --average and --search"):
        call(a, c, "--config", tmp_path / "e.yaml", "--out", tmp_path / "f.npz")


def test_a_search_tells_the_honest_gain(tmp_path: Path, recognisers: list[Path]) -> None:
    a, b, c, truth = recognisers
    subjects = tmp_path / "subjects.csv"
    rows = [f"{i},s{i % 13}" for i in range(104)]
    subjects.write_text("video_id,subject\n" + "\n".join(rows) + "\n")
    search = ("--search", "--annotations", truth, "--folds", "4", "--metric", "top1")
    out = call(a, b, c, *search, "--subjects", subjects, "--out", tmp_path / "f.npz")
    members = [read_scores(path, labels=MA52) for path in (a, b, c)]
    gain = nested_gain(
        members,
        truth_of(np.arange(104) % 52),
        labels=MA52,
        metric="top1",
        folds=4,
        groups={f"{i}": f"s{i % 13}" for i in range(104)},
    )
    assert "104 clips" in out
    assert "the other folds, 4 folds" in out
    assert "optimistic" in out
    for number in (*gain.members, gain.equal, gain.best_single, gain.searched, gain.in_sample):
        assert f"{100 * number:.2f}" in out
    assert f"best single file: {100 * gain.gain:+.2f}" in out.replace("\n", "")
    assert "--weights " + ",".join(f"{one:.4f}" for one in gain.weights) in out
    fused = read_scores(tmp_path / "f.npz", labels=MA52)
    assert np.array_equal(fused.action_scores, fuse_scores(members, gain.weights).action_scores)


HEADER = ",video_id,t_start,t_end,class,score\n"


@pytest.fixture
def detectors(tmp_path: Path) -> list[Path]:
    (tmp_path / "one.csv").write_text(HEADER + "0,v0,0,10,9,0.5\n1,v1,0,5,3,0.25\n")
    content = {"results": {"v0": [{"segment": [20, 30], "label": "nodding", "score": 0.75}]}}
    (tmp_path / "two.json").write_text(json.dumps(content))
    return [tmp_path / "one.csv", tmp_path / "two.json"]


def test_detections_are_fused(tmp_path: Path, detectors: list[Path]) -> None:
    out = call(*detectors, "--out", tmp_path / "fused.csv")
    assert "3 detections of 2 videos from 2 files" in out.replace("\n", "")
    assert "has no detections of 1 of 2 videos, such as v1" in out.replace("\n", "")
    for name in ("fused.csv", "fused.json"):
        fused = read_predictions(tmp_path / name, labels=MA52)
        assert fused["v0"].scores.tolist() == [0.75, 0.5]
        assert fused["v0"].segments_seconds.tolist() == [[20, 30], [0, 10]]
        assert fused["v1"].labels.tolist() == [3]
    call(*detectors, "--weights", "1,2", "--out", tmp_path / "other.json")
    assert read_predictions(tmp_path / "other.csv", labels=MA52)["v0"].scores.tolist() == [
        0.75,
        0.25,
    ]


def test_what_the_command_refuses(
    tmp_path: Path, recognisers: list[Path], detectors: list[Path]
) -> None:
    a, b, c, truth = recognisers
    one, two = detectors
    guesses = tmp_path / "guesses.csv"
    guesses.write_text("vid,action_pred_1\n0.mp4,3\n")
    (tmp_path / "unlabelled.txt").write_text("0.mp4\n1.mp4\n")
    fresh = ("--out", tmp_path / "f.npz")
    table = ("--out", tmp_path / "f.csv")
    searching = ("--search", "--annotations", truth)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for arguments, message in [
        ((a, *fresh), "two files of predictions or more"),
        ((a, a, *fresh), "passed twice"),
        ((a, one, *fresh), r"one task, found scores of clips in .*a\.npz and detections in .*one"),
        ((a, guesses, *fresh), "not their scores"),
        ((a, tmp_path / "none.npz", *fresh), "no such file of scores"),
        ((one, tmp_path / "none.csv", *table), "no such file of predictions"),
        ((a, b, "--weights", "1", *fresh), "one for each of the 2 files, found 1"),
        ((a, b, "--weights", "1;2", *fresh), "numbers separated by commas"),
        ((a, b, "--weights", "1,-2", *fresh), "at least 0 and not all 0"),
        ((a, b, "--weights", "1,2", *searching, *fresh), "leave out --weights"),
        ((a, b, "--search", *fresh), "pass --annotations LIST"),
        ((a, b, "--annotations", truth, *fresh), "pass --search too"),
        ((a, b, "--search", "--annotations", tmp_path / "unlabelled.txt", *fresh), "2 of 2 clips"),
        ((a, b, *searching, "--folds", "200", *fresh), "clips, 104, found 200"),
        ((one, two, *searching, *table), "equal weights are known to help"),
        ((a, b, "--out", tmp_path / "f.txt"), r"ends in \.npz or \.csv"),
        ((one, two, "--out", tmp_path / "f.npz"), r"ends in \.csv or \.json"),
        ((a, b, "--out", b), r"b\.npz: is an input"),
        ((a, c, "--out", tmp_path / "c.npz"), r"c\.csv: is an input"),
        ((one, two, "--out", tmp_path / "two.csv"), r"two\.json: is an input"),
    ]:
        with pytest.raises(MmadError, match=message):
            call(*arguments)
        assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before, arguments


def test_recognisers_are_fused_without_torch(tmp_path: Path, recognisers: list[Path]) -> None:
    a, b, *_ = map(str, recognisers)
    code = (
        "import sys\nfrom mmad.cli.ensemble import app\n"
        f"app([{a!r}, {b!r}, '--out', {str(tmp_path / 'f.npz')!r}], standalone_mode=False)\n"
        "print([m for m in ('torch', 'pandas', 'scipy', 'matplotlib') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert result.stdout.strip().endswith("[]")
