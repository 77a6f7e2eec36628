import contextlib
import io
import pickle
from pathlib import Path

import numpy as np
import pytest

from mmad.errors import OutputError, PredictionError
from mmad.evaluation.clips.scores import (
    RecognitionScores,
    read_scores,
    to_recognitions,
    write_scores,
)
from mmad.labels import MA52, flat_labels
from support.scores import SMALL, ma52_scores, one_hot, scores_of


@pytest.mark.parametrize("name", ["s.npz", "s.csv", "new/folder/s.NPZ"])
def test_files_of_scores_keep_every_digit(tmp_path: Path, name: str) -> None:
    scores = ma52_scores(np.array([3, 40, 9]), strength=1.0, seed=0)
    path = tmp_path / name
    write_scores(path, scores)
    again = read_scores(path, labels=MA52)
    assert again.clip_ids == scores.clip_ids
    assert np.array_equal(again.action_scores, scores.action_scores)
    assert np.array_equal(again.body_scores, scores.body_scores)
    assert again.action_scores.shape == (3, 52)
    assert again.body_scores.shape == (3, 7)
    first = path.read_bytes()
    write_scores(path, again)
    assert path.read_bytes() == first
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_the_columns_of_a_csv(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    write_scores(path, scores_of([[0.5, 0.25, 0.25]], ids=("0001",)))
    assert path.read_text() == (
        "vid,action_0,action_1,action_2,body_0,body_1\n0001.mp4,0.5,0.25,0.25,0.75,0.25\n"
    )
    # Columns in another order, one of another program, an id without a suffix.
    path.write_text("body_1,note,vid,action_0,action_1,action_2,body_0\n.25,n,0001,.5,.25,.25,1\n")
    again = read_scores(path, labels=SMALL)
    assert again.clip_ids == ("0001.mp4",)
    assert again.action_scores.tolist() == [[0.5, 0.25, 0.25]]
    assert again.body_scores.tolist() == [[1.0, 0.25]]


@pytest.mark.parametrize("name", ["s.npz", "s.csv"])
def test_no_clips_and_no_parents(tmp_path: Path, name: str) -> None:
    flat = flat_labels(["a", "b"])
    for rows in (np.zeros((0, 2)), np.array([[0.5, 0.5]])):
        ids = tuple(f"{i}.mp4" for i in range(len(rows)))
        write_scores(tmp_path / name, RecognitionScores(ids, rows, np.zeros((len(rows), 0))))
        again = read_scores(tmp_path / name, labels=flat)
        assert again.clip_ids == ids
        assert again.body_scores.shape == (len(rows), 0)
        assert to_recognitions(again).body_top.shape == (len(rows), 0)


def save(path: Path, **arrays: object) -> Path:
    good = {
        "clip_ids": np.array(["a.mp4", "b.mp4"]),
        "action_scores": np.full((2, 3), 0.25),
        "body_scores": np.full((2, 2), 0.5),
    }
    chosen = {name: value for name, value in {**good, **arrays}.items() if value is not None}
    np.savez(path, **chosen)
    return path


def with_value(value: float) -> np.ndarray:
    table = np.full((2, 3), 0.25)
    table[1, 2] = value
    return table


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"body_scores": None}, "missing body_scores, found clip_ids, action_scores"),
        ({"action_scores": np.zeros((2, 4))}, r"shape \(2, 3\), found float64, \(2, 4\)"),
        ({"action_scores": np.zeros((3, 3))}, r"shape \(2, 3\), found float64, \(3, 3\)"),
        ({"body_scores": np.array([["x"] * 2] * 2)}, "body_scores: expected numbers"),
        ({"clip_ids": np.array([1, 2])}, "clip_ids: expected text"),
        ({"clip_ids": np.array(["a.mp4", "a"])}, "clip 'a.mp4' is there 2 times"),
        ({"clip_ids": np.array(["a.mp4", " "])}, "a clip has no name"),
        ({"clip_ids": np.array(["a.mp4", None])}, "Object arrays cannot be loaded"),
        ({"action_scores": with_value(np.nan)}, r"'b.mp4': action_scores\[2\].* found nan"),
        ({"action_scores": with_value(np.inf)}, r"'b.mp4': action_scores\[2\].* found inf"),
        ({"action_scores": with_value(-0.1)}, r"'b.mp4': action_scores\[2\].* found -0.1"),
        ({"action_scores": with_value(3.5)}, r"must be a probability, from 0 to 1, found 3.5"),
    ],
)
def test_what_is_wrong_with_a_npz(tmp_path: Path, arrays: dict[str, object], message: str) -> None:
    path = save(tmp_path / "s.npz", **arrays)
    with pytest.raises(PredictionError, match=message):
        read_scores(path, labels=SMALL)


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    path = save(
        tmp_path / "s.npz",
        clip_ids=np.array(["a.mp4", "a.mp4"]),
        action_scores=with_value(-1.0),
        body_scores=np.zeros((2, 7)),
    )
    with pytest.raises(PredictionError, match="3 problems") as caught:
        read_scores(path, labels=SMALL)
    for part in ("there 2 times", "found -1.0", "found float64, (2, 7)"):
        assert part in str(caught.value)


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit('a pickle was executed')",))


def single_array() -> bytes:
    out = io.BytesIO()
    np.save(out, np.zeros((2, 3)))
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"vid,action_0\n", "cannot be read"),
        (b"", "cannot be read"),
        (b"PK\x03\x04 no zip", "cannot be read"),
        (pickle.dumps(Bomb()), "cannot be read"),
        (single_array(), "expected a zip of the arrays"),
        (None, "there is no such file of scores"),
    ],
)
def test_files_that_are_no_npz(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "s.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PredictionError, match=message):
        read_scores(path, labels=SMALL)


def test_a_broken_npz_is_told(tmp_path: Path) -> None:
    path = save(tmp_path / "s.npz")
    whole = path.read_bytes()
    for size in range(0, len(whole), 40):
        path.write_bytes(whole[:size])
        with pytest.raises(PredictionError, match=r"s\.npz"):
            read_scores(path, labels=SMALL)
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        with contextlib.suppress(PredictionError):  # in the zip's times nothing is harmed
            assert read_scores(path, labels=SMALL).action_scores.shape == (2, 3)


CSV_HEADER = "vid,action_0,action_1,action_2,body_0,body_1\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "vid,action_0,action_1,body_0,body_1\n",
            "vid, action_0 to action_2, .* missing: action_2",
        ),
        (CSV_HEADER.replace("vid", "vid,vid"), "more than once: vid"),
        (CSV_HEADER.strip() + ",action_3\n", "of no label: action_3"),
        (CSV_HEADER + "a,.1,.1,oh,.5,.5\n", "line 2: action_2 must be a number, found 'oh'"),
        (CSV_HEADER + "a,.1,.1,,.5,.5\n", "line 2: action_2 must be a number, found ''"),
        (CSV_HEADER + "a,.1,.1,nan,.5,.5\n", r"clip 'a': action_scores\[2\] .* found nan"),
        (CSV_HEADER + "a,.1,.1,.5,.5\n", "line 2: expected 6 cells, found 5"),
        (CSV_HEADER + "a,.1,.1,.1,.5,.5\n" * 2, "clip 'a.mp4' is there 2 times"),
        (CSV_HEADER + ",.1,.1,.1,.5,.5\n", "a clip has no name"),
    ],
)
def test_what_is_wrong_with_a_csv(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "s.csv"
    path.write_text(text)
    with pytest.raises(PredictionError, match=message):
        read_scores(path, labels=SMALL)


def test_scores_are_probabilities_and_read_only() -> None:
    good = scores_of(one_hot([0, 1]))
    with pytest.raises(ValueError, match="read-only"):
        good.action_scores[0, 0] = 1.0
    with pytest.raises(ValueError, match=r"action_scores: expected shape \(1, classes\)"):
        RecognitionScores(("a.mp4",), np.zeros((2, 3)), np.zeros((1, 2)))
    with pytest.raises(ValueError, match="is there 2 times"):
        RecognitionScores(("a", "a.mp4"), np.zeros((2, 3)), np.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"body_scores\[0\] must be a probability"):
        RecognitionScores(("a",), np.zeros((1, 3)), np.full((1, 2), np.nan))


def test_files_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(PredictionError, match=r"ends in \.npz or \.csv"):
        write_scores(tmp_path / "s.pt", scores_of(one_hot([0])))
    (tmp_path / "s.npz").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        write_scores(tmp_path / "s.npz", scores_of(one_hot([0])))
    assert [item.name for item in tmp_path.iterdir()] == ["s.npz"]


def test_the_five_best() -> None:
    action = np.zeros((1, 52))
    action[0, [50, 7, 30, 8]] = [0.4, 0.2, 0.2, 0.1]
    body = np.array([[0.0, 0.3, 0.0, 0.3, 0.1, 0.2, 0.1]])
    found = to_recognitions(RecognitionScores(("a.mp4",), action, body))
    # 7 before 30, which is equal; then 0, the first of all with nothing. Bodies by themselves.
    assert found.action_top.tolist() == [[50, 7, 30, 8, 0]]
    assert found.body_top.tolist() == [[1, 3, 5, 4, 6]]
