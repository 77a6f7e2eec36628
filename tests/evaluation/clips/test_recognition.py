import gzip
import math
import zipfile
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from mmad.errors import AnnotationError, OutputError, PredictionError
from mmad.evaluation.clips.recognition import (
    RECOGNITION_COLUMNS,
    Recognitions,
    evaluate_recognition,
    read_recognitions,
    recognition_json,
    write_recognitions,
)
from mmad.labels import MA52, LabelMap, flat_labels
from mmad.report.recognition_tables import (
    confusion_table,
    most_confused,
    recognition_counts_text,
    recognition_table,
)
from mmad.structures import ClipRecord

HEADER = "vid,action_pred_1,action_pred_2,action_pred_3,action_pred_4,action_pred_5"
# Two parents: x has a and b, y has c.
SMALL = LabelMap(names=("a", "b", "c"), parents=(0, 0, 1), parent_names=("x", "y"))


def clips_of(*labels: int | None) -> list[ClipRecord]:
    return [ClipRecord(f"{i}.mp4", label, "val") for i, label in enumerate(labels)]


def guesses(*first: int, labels: LabelMap = SMALL) -> Recognitions:
    """One guess for each clip, its body the parent of it."""
    action = np.array(first, dtype=np.int64).reshape(-1, 1)
    body = labels.to_parents(action) if labels.has_parents else np.zeros((len(first), 0))
    return Recognitions(tuple(f"{i}.mp4" for i in range(len(first))), action, body)


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_accuracy_and_f1_by_hand() -> None:
    # truth a a a b c, guessed a a b b b
    report = evaluate_recognition(
        guesses(0, 0, 1, 1, 1), clips_of(0, 0, 0, 1, 2), labels=SMALL, f1="per_class"
    )
    action, body = report.levels["action"], report.levels["body"]
    assert action.top1 == action.f1_micro == 3 / 5
    assert action.confusion.tolist() == [[2, 1, 0], [0, 1, 0], [0, 1, 0]]
    # F1 = 2 hits / (true + guessed)
    f1_a, f1_b, f1_c = 2 * 2 / (3 + 2), 2 * 1 / (1 + 3), 2 * 0 / (1 + 0)
    assert action.f1_per_class.tolist() == [f1_a, f1_b, f1_c]
    assert action.f1_macro == pytest.approx((f1_a + f1_b + f1_c) / 3, abs=1e-15)
    # As bodies: truth x x x x y, guessed x x x x x
    assert body.top1 == 4 / 5
    assert body.f1_macro == pytest.approx((2 * 4 / (4 + 5) + 0) / 2, abs=1e-15)
    four = [action.f1_macro, action.f1_micro, body.f1_macro, body.f1_micro]
    assert report.f1_mean == pytest.approx(sum(four) / 4, abs=1e-15)


def test_the_printed_formula() -> None:
    report = evaluate_recognition(
        guesses(0, 0, 1, 1, 1), clips_of(0, 0, 0, 1, 2), labels=SMALL, f1="harmonic"
    )
    precision = (2 / 2 + 1 / 3 + 0) / 3
    recall = (2 / 3 + 1 / 1 + 0 / 1) / 3
    expected = 2 * precision * recall / (precision + recall)
    assert report.levels["action"].f1_macro == pytest.approx(expected, abs=1e-15)
    wrong = evaluate_recognition(guesses(1), clips_of(0), labels=SMALL, f1="harmonic")
    assert wrong.levels["action"].f1_macro == 0.0


def test_labels_that_nobody_has_are_no_part_of_macro_f1() -> None:
    report = evaluate_recognition(guesses(9, 9, labels=MA52), clips_of(9, 8), labels=MA52)
    level = report.levels["action"]
    assert level.f1_macro == pytest.approx((2 * 1 / (1 + 2) + 0) / 2, abs=1e-15)
    assert np.isfinite(level.f1_per_class).sum() == 2


def test_a_guessed_label_without_clips_counts_in_macro_f1() -> None:
    report = evaluate_recognition(guesses(0, 2), clips_of(0, 0), labels=SMALL)
    # a: 2 * 1 / (2 + 1); c is guessed once and never true.
    assert report.levels["action"].f1_macro == pytest.approx((2 / 3 + 0) / 2, abs=1e-15)


def plain_f1(truth: list[int], guessed: list[int], *, rule: str) -> float:
    precisions, recalls, f1s = [], [], []
    for label in sorted(set(truth) | set(guessed)):
        pairs = list(zip(truth, guessed, strict=True))
        hits = sum(t == g == label for t, g in pairs)
        wrong = sum(g == label != t for t, g in pairs)
        missed = sum(t == label != g for t, g in pairs)
        precisions.append(hits / (hits + wrong) if hits + wrong else 0.0)
        recalls.append(hits / (hits + missed) if hits + missed else 0.0)
        p, r = precisions[-1], recalls[-1]
        f1s.append(2 * p * r / (p + r) if p + r else 0.0)
    if rule == "per_class":
        return math.fsum(f1s) / len(f1s)
    p, r = math.fsum(precisions) / len(f1s), math.fsum(recalls) / len(f1s)
    return 2 * p * r / (p + r)


def test_agrees_with_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(3)
    truth, guessed = rng.integers(0, 20, 200), rng.integers(0, 25, 200)
    ids = tuple(f"{n}.mp4" for n in range(200))
    clips = [ClipRecord(name, int(label), "val") for name, label in zip(ids, truth, strict=True)]
    parents = np.array(MA52.parents)
    report = evaluate_recognition(
        Recognitions(ids, guessed[:, None], parents[guessed][:, None]), clips, labels=MA52
    )
    for name, y, p in (("action", truth, guessed), ("body", parents[truth], parents[guessed])):
        for kind in ("macro", "micro"):
            expected = metrics.f1_score(y, p, average=kind)
            assert getattr(report.levels[name], f"f1_{kind}") == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("rule", ["per_class", "harmonic"])
def test_agrees_with_a_plain_computation(rule: str) -> None:
    random = np.random.default_rng(3)
    truth = random.integers(0, 40, 300)
    noise = random.integers(5, 52, 300)
    table = np.where(random.random((300, 1)) < 0.6, truth[:, None], noise[:, None])
    top = np.concatenate([table, random.integers(0, 52, (300, 4))], axis=1)
    names = tuple(f"{i}.mp4" for i in range(300))
    shuffled = random.permutation(300)
    recognitions = Recognitions(
        tuple(names[i] for i in shuffled), top[shuffled], MA52.to_parents(top[shuffled])
    )
    report = evaluate_recognition(recognitions, clips_of(*truth.tolist()), labels=MA52, f1=rule)
    for name, true, rows in [
        ("action", truth.tolist(), top.tolist()),
        ("body", MA52.to_parents(truth).tolist(), MA52.to_parents(top).tolist()),
    ]:
        level = report.levels[name]
        first = [row[0] for row in rows]
        assert level.f1_macro == pytest.approx(plain_f1(true, first, rule=rule), abs=1e-12)
        assert level.top1 == sum(map(int.__eq__, true, first)) / 300
        assert level.top5 == sum(t in row for t, row in zip(true, rows, strict=True)) / 300


def test_top5_needs_five_ranks() -> None:
    report = evaluate_recognition(guesses(9, labels=MA52), clips_of(9), labels=MA52)
    assert report.levels["action"].top5 is None
    five = Recognitions(("0",), np.array([[0, 1, 2, 3, 9]]), np.array([[0, 0, 0, 0, 1]]))
    level = evaluate_recognition(five, clips_of(9), labels=MA52).levels["action"]
    assert (level.top1, level.top5) == (0.0, 1.0)


def test_the_predicted_body_is_that_of_the_file() -> None:
    other = Recognitions(("0.mp4",), np.array([[2]]), np.array([[0]]))
    report = evaluate_recognition(other, clips_of(0), labels=SMALL)
    assert report.levels["action"].top1 == 0.0
    assert report.levels["body"].top1 == 1.0


def test_missing_clips_are_an_error_or_wrong() -> None:
    clips = clips_of(0, 0, 2)
    with pytest.raises(
        PredictionError, match=r"2 of 3 annotated clips have no prediction: 1\.mp4, 2\.mp4"
    ):
        evaluate_recognition(guesses(0), clips, labels=SMALL)
    report = evaluate_recognition(guesses(0), clips, labels=SMALL, allow_missing=True)
    level = report.levels["action"]
    assert report.num_missing == 2
    assert level.top1 == 1 / 3
    assert level.confusion.sum() == 1
    assert level.f1_macro == pytest.approx((2 * 1 / (2 + 1) + 0) / 2, abs=1e-15)
    assert recognition_counts_text(report) == ("3 clips (2 without a prediction, counted as wrong)")


def test_what_cannot_be_scored() -> None:
    with pytest.raises(PredictionError, match=r"clip '1\.mp4' is not in the ground truth"):
        evaluate_recognition(guesses(0, 1), clips_of(0), labels=SMALL)
    with pytest.raises(AnnotationError, match=r"found 1 without: 1\.mp4"):
        evaluate_recognition(guesses(0, 1), clips_of(0, None), labels=SMALL)
    with pytest.raises(AnnotationError, match="found no clips"):
        evaluate_recognition(guesses(), [], labels=SMALL)
    with pytest.raises(PredictionError, match="'weighted': expected one of per_class, harmonic"):
        evaluate_recognition(guesses(0), clips_of(0), labels=SMALL, f1="weighted")


def test_labels_without_parents_have_one_level() -> None:
    flat = flat_labels(["a", "b"])
    report = evaluate_recognition(guesses(0, 1, labels=flat), clips_of(0, 0), labels=flat)
    assert list(report.levels) == ["action"]
    assert report.f1_mean == pytest.approx(((2 / 3 + 0) / 2 + 1 / 2) / 2, abs=1e-15)


def test_recognitions_must_fit_together() -> None:
    one = np.zeros((1, 1))
    with pytest.raises(ValueError, match=r"body_top: expected shape \(1, up to 5\)"):
        Recognitions(("a",), one, np.zeros((2, 1)))
    with pytest.raises(ValueError, match="must differ"):
        Recognitions(("a", "a"), np.zeros((2, 1)), np.zeros((2, 1)))
    with pytest.raises(ValueError, match="read-only"):
        Recognitions(("a",), one, one).action_top[0, 0] = 3


@pytest.mark.parametrize("kind", ["csv", "gz", "zip"])
def test_every_kind_of_file(kind: str, tmp_path: Path) -> None:
    text = f"\ufeff{HEADER},label\r\na.mp4,8,B1,7,nodding,5,3\r\nb,0,1,2,,,3\r\n".encode()
    path = tmp_path / f"p.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("__MACOSX/._prediction.csv", "x")
            archive.writestr("prediction.csv", text)
    else:
        path.write_bytes(gzip.compress(text) if kind == "gz" else text)
    found = read_recognitions(path, labels=MA52)
    assert found.clip_ids == ("a.mp4", "b.mp4")
    assert found.action_top.tolist() == [[8, 9, 7, 9, 5], [0, 1, 2, -1, -1]]
    assert found.body_top.tolist() == [[1, 1, 1, 1, 1], [0, 0, 0, -1, -1]]


def test_body_columns_of_the_file(tmp_path: Path) -> None:
    text = "body_pred_1,vid,body_pred_2,action_pred_1\nF,a.mp4,head,9\n"
    found = read_recognitions(write(tmp_path / "p.csv", text), labels=MA52)
    assert found.action_top.tolist() == [[9]]
    assert found.body_top.tolist() == [[5, 1]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "missing vid, action_pred_1, found nothing"),
        ("vid,label\n", "missing action_pred_1, found 'vid', 'label'"),
        ("vid,action_pred_1,action_pred_3\n", "missing action_pred_2"),
        ("vid,action_pred_1,body_pred_2\n", "missing body_pred_1"),
        ("vid,vid,action_pred_1\n", "more than once vid"),
        ("vid;action_pred_1\na;3\n", "separated by commas, not by ';'"),
        (
            "vid,action_pred_1\na.mp4,noding\n",
            r"line 2: clip 'a\.mp4': action_pred_1: unknown.*nod",
        ),
        ("vid,action_pred_1\na.mp4,52\n", "unknown label 52; expected 0 to 51"),
        ("vid,action_pred_1\na.mp4,-1\n", "unknown label -1"),
        ("vid,action_pred_1\na.mp4,9.0\n", r"unknown label '9\.0'"),
        ("vid,action_pred_1\na.mp4,\n", "action_pred_1 is empty"),
        ("vid,action_pred_1,body_pred_1\na.mp4,3,7\n", "body_pred_1: unknown label 7; .*0 to 6"),
        (f"{HEADER}\na.mp4,1,,2,3,4\n", "action_pred_3: found '2' after an empty rank"),
        ("vid,action_pred_1\n ,3\n", r"line 2: the clip has no name"),
        (
            "vid,action_pred_1\na.mp4,3\n\na,4\n",
            "line 4: clip 'a' is listed twice, first in line 2",
        ),
        ("vid,action_pred_1\na.mp4,3,4\n", "line 2: expected 2 cells, found 3"),
        ('vid,action_pred_1\n"a.mp4,3\n', "line 2: unexpected end of data"),
    ],
)
def test_bad_content(text: str, expected: str, tmp_path: Path) -> None:
    with pytest.raises(PredictionError, match=expected):
        read_recognitions(write(tmp_path / "p.csv", text), labels=MA52)


def test_all_problems_in_one_message(tmp_path: Path) -> None:
    path = write(tmp_path / "p.csv", "vid,action_pred_1\na.mp4,99\n,3\nb.mp4,x\n")
    with pytest.raises(PredictionError, match=r"p\.csv: 3 problems\n") as error:
        read_recognitions(path, labels=MA52)
    assert all(f"line {line}: " in str(error.value) for line in (2, 3, 4))


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        (["../prediction.csv"], r"found \.\./prediction\.csv, which leads out"),
        (["prediction.csv", "/etc/x"], "found /etc/x, which leads out"),
        (["prediction.csv", "C:\\x.txt"], r"found C:\\x\.txt, which leads out"),
        (["prediction.csv", "a\\..\\..\\x"], "which leads out"),
        (["prediction.csv", "other.csv"], r"found prediction\.csv, other\.csv"),
        (["folder/prediction.csv"], r"found folder/prediction\.csv"),
        (["__MACOSX/prediction.csv"], "found nothing"),
        (["notes.txt"], r"found notes\.txt"),
    ],
)
def test_bad_zips(entries: list[str], expected: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        for entry in entries:
            archive.writestr(entry, f"{HEADER}\na.mp4,1,2,3,4,5\n")
    with pytest.raises(PredictionError, match=expected):
        read_recognitions(tmp_path / "p.zip", labels=MA52)


def test_written_files(tmp_path: Path) -> None:
    action = np.array([[9, 8, 7, 6, 5], [51, 0, -1, -1, -1]])
    made = Recognitions(("a", "b.mp4"), action, np.array([[1, 2], [6, -1]]))
    write_recognitions(tmp_path / "new" / "p.csv", made)
    assert (tmp_path / "new" / "p.csv").read_bytes().decode() == (
        ",".join(RECOGNITION_COLUMNS) + "\na.mp4,9,8,7,6,5,1,2,,,\nb.mp4,51,0,,,,6,,,,\n"
    )
    for name in ("one.zip", "two.zip"):
        write_recognitions(tmp_path / name, made)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    assert zipfile.ZipFile(tmp_path / "one.zip").namelist() == ["prediction.csv"]
    again = read_recognitions(tmp_path / "one.zip", labels=MA52)
    assert again.clip_ids == ("a.mp4", "b.mp4")
    assert again.action_top.tolist() == action.tolist()
    assert again.body_top.tolist() == [[1, 2, -1, -1, -1], [6, -1, -1, -1, -1]]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "one.zip", "two.zip"]


def test_writing_where_nothing_can_be_written(tmp_path: Path) -> None:
    write(tmp_path / "file", "")
    with pytest.raises(OutputError, match="cannot be written"):
        write_recognitions(tmp_path / "file" / "p.csv", guesses(0))


def test_tables_and_json() -> None:
    report = evaluate_recognition(
        guesses(0, 0, 1, 1, 1), clips_of(0, 0, 0, 1, 2), labels=SMALL, f1="per_class"
    )
    assert most_confused(report.levels["action"]) == [(0, 1, 1, 1 / 3), (2, 1, 1, 1 / 1)]
    assert most_confused(report.levels["action"], top=1) == [(0, 1, 1, 1 / 3)]
    console = Console(width=100)
    with console.capture() as shown:
        console.print(recognition_table(report))
        console.print(confusion_table(report, SMALL))
        console.print(confusion_table(report, SMALL, level="body"))
    text = shown.get()
    assert "60.00" in text
    assert f"{100 * report.f1_mean:.2f}" in text
    assert "33.33" in text
    assert "Most confused (body)" in text
    content = recognition_json(report, SMALL)
    assert content["f1_mean"] == report.f1_mean
    assert content["action"]["top1"] == 3 / 5
    assert content["action"]["f1_per_class"]["2"] == 0.0
    assert content["body"]["labels"] == ["x", "y"]
    assert content["body"]["confusion"] == [[4, 0], [1, 0]]
