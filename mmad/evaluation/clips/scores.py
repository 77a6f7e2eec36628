"""The scores that a recogniser gives to every class of every clip, and files of them."""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmad.config.labels import label_map
from mmad.errors import PredictionError, raise_problems
from mmad.evaluation.clips.recognition import TOP, Recognitions, table_rows, with_suffix
from mmad.evaluation.predictions import id_problems, read_text_file
from mmad.files import write_bytes
from mmad.labels import MA52, LabelMap
from mmad.packed import read_npz
from mmad.parsing import json_value, reading
from mmad.structures import Floats

ARRAYS = ("clip_ids", "action_scores", "body_scores")
_LABELS = "labels"
# Tolerance above 1, for half precision and sums of rounded weights.
_SLACK = 1e-3
_NAMED = 5
_SCORE_COLUMN = re.compile(r"(action|body)_\d+")


@dataclass(frozen=True, eq=False)
class RecognitionScores:
    """The probability of every action and every body part for each of N clips.

    Attributes:
        clip_ids: File name of each clip.
        action_scores: float64, (N, K), 0 to 1.
        body_scores: float64, (N, P), 0 to 1; P is 0 if the labels have no body parts.

    Raises: ValueError if the lengths disagree, a clip occurs twice, or a score is not a
        probability.
    """

    clip_ids: tuple[str, ...]
    action_scores: Floats
    body_scores: Floats

    def __post_init__(self) -> None:
        problems = _name_problems(self.clip_ids)
        for name in ARRAYS[1:]:
            table = np.array(getattr(self, name), dtype=np.float64)
            if table.ndim != 2 or len(table) != len(self.clip_ids):
                raise ValueError(
                    f"{name}: expected shape ({len(self.clip_ids)}, classes), found {table.shape}"
                )
            problems += _value_problems(name, table, self.clip_ids)
            table.flags.writeable = False
            object.__setattr__(self, name, table)
        if problems:
            raise ValueError("; ".join(problems[:_NAMED]))

    def __len__(self) -> int:
        return len(self.clip_ids)


def _name_problems(clip_ids: Sequence[str]) -> list[str]:
    problems = ["a clip has no name"] if any(not name.strip() for name in clip_ids) else []
    counts = Counter(with_suffix(name) for name in clip_ids if name.strip())
    problems += id_problems(counts).values()
    return problems + [
        f"clip '{name}' is there {count} times" for name, count in counts.items() if count > 1
    ]


def _value_problems(name: str, table: Floats, clip_ids: Sequence[str]) -> list[str]:
    """For each clip, the first of its scores that is not a probability."""
    is_bad = ~((table >= 0) & (table <= 1 + _SLACK))  # so NaN is bad too
    problems = []
    for row in np.flatnonzero(is_bad.any(axis=1)).tolist():
        column = int(is_bad[row].argmax())
        problems.append(
            f"clip '{clip_ids[row]}': {name}[{column}] must be a probability, from 0 to 1, "
            f"found {table[row, column]}"
        )
    return problems


def to_recognitions(
    scores: RecognitionScores, *, mapped_by: LabelMap | None = None
) -> Recognitions:
    """The five best actions of each clip and, by their own scores, its five best body parts.

    By descending score; ties in order of labels. Fewer than five if there are fewer classes.

    Args:
        scores: Scores of clips.
        mapped_by: Labels whose body parts of the five actions are taken instead, as published.

    >>> scores = RecognitionScores(("a.mp4",), np.array([[0.2, 0.4, 0.4]]), np.zeros((1, 0)))
    >>> to_recognitions(scores).action_top.tolist()
    [[1, 2, 0]]
    """
    action, body = (
        np.argsort(-table, axis=1, kind="stable")[:, :TOP]
        for table in (scores.action_scores, scores.body_scores)
    )
    if mapped_by is not None and mapped_by.has_parents:
        body = mapped_by.to_parents(action)
    return Recognitions(scores.clip_ids, action, body)


def write_scores(
    path: str | Path,
    scores: RecognitionScores,
    *,
    labels: LabelMap | None = None,
    more: Mapping[str, NDArray] | None = None,
) -> None:
    """Write the scores as ``.npz`` (the arrays of `ARRAYS`) or ``.csv``; atomically.

    The CSV has the columns ``vid,action_0,...,body_0,...``; both keep full precision, and ids get a
    suffix. Equal scores give equal bytes. Missing folders are created. Labels other than the 52
    micro-actions are written into the .npz, for `labels_in`, if they are given, and so are ``more``
    arrays.

    Raises: PredictionError if the name ends otherwise, OutputError if it cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (".npz", ".csv"):
        raise PredictionError(f"{path}: expected a name that ends in .npz or .csv")
    content = (
        _npz_bytes(scores, labels, more or {}) if suffix == ".npz" else _csv_text(scores).encode()
    )
    write_bytes(path, content)


def labels_in(path: Path) -> LabelMap | None:
    """The labels that a file of scores says it has; None if it is no .npz or does not say.

    Raises: PredictionError if the file cannot be read.
    """
    if path.suffix.lower() != ".npz" or not path.is_file():
        return None
    found = load_arrays(path, (_LABELS,), expected="an .npz of scores").get(_LABELS)
    if found is None:
        return None
    content = json_value(f"{path}: {_LABELS}", str(found), error=PredictionError)
    return label_map(content, source=f"{path}: {_LABELS}", error=PredictionError)


def _npz_bytes(
    scores: RecognitionScores, labels: LabelMap | None, more: Mapping[str, NDArray]
) -> bytes:
    out = io.BytesIO()
    names = np.array([with_suffix(name) for name in scores.clip_ids], dtype=np.str_)
    # NumPy writes a fixed time (1980) into every zip.
    tables = (names, scores.action_scores, scores.body_scores)
    arrays: dict[str, Any] = dict(zip(ARRAYS, tables, strict=True))
    if labels is not None and labels != MA52:
        arrays[_LABELS] = np.array(json.dumps(asdict(labels)))
    np.savez_compressed(out, **(arrays | dict(more)))
    return out.getvalue()


def _csv_text(scores: RecognitionScores) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    actions, bodies = scores.action_scores, scores.body_scores
    action_columns = _columns("action", actions.shape[1])
    writer.writerow(["vid", *action_columns, *_columns("body", bodies.shape[1])])
    for clip_id, action, body in zip(
        scores.clip_ids, actions.tolist(), bodies.tolist(), strict=True
    ):
        writer.writerow([with_suffix(clip_id), *action, *body])
    return out.getvalue()


def _columns(kind: str, count: int) -> list[str]:
    return [f"{kind}_{index}" for index in range(count)]


def read_scores(path: str | Path, *, labels: LabelMap) -> RecognitionScores:
    """The scores in a ``.npz`` or a CSV (plain, .gz, or prediction.csv in a .zip), see
    `write_scores`.

    Clips keep the order of the file; an id without a suffix gets ``.mp4``. Other arrays and columns
    are ignored; pickles are never executed.

    Raises: PredictionError, with every problem of the file in one message: an array or column that
        is missing, of another shape or number of classes than ``labels``, a clip that occurs twice,
        a score that is NaN, negative or above 1.
    """
    path = Path(path)
    widths = {
        "action_scores": len(labels),
        "body_scores": len(labels.parent_names) if labels.has_parents else 0,
    }
    if path.suffix.lower() == ".npz":
        clip_ids, tables, problems = _from_npz(path, widths)
    else:
        clip_ids, tables, problems = _from_csv(path, widths)
    problems += _name_problems(clip_ids)
    for name, table in tables.items():
        problems += _value_problems(name, table, clip_ids)
    raise_problems(PredictionError, source=str(path), problems=problems)
    names = tuple(with_suffix(name.strip()) for name in clip_ids)
    return RecognitionScores(names, tables["action_scores"], tables["body_scores"])


def load_arrays(path: Path, names: Sequence[str], *, expected: str) -> dict[str, NDArray]:
    """The arrays of an .npz that are among ``names``; pickles are never executed.

    Raises: PredictionError with what was ``expected``, if the file cannot be read.
    """
    if not path.is_file():
        raise PredictionError(f"{path}: there is no such file of scores")
    with reading(path, expected=expected, error=PredictionError):
        return read_npz(path, error=PredictionError, wanted=lambda name: name in names)


def _from_npz(
    path: Path, widths: Mapping[str, int]
) -> tuple[list[str], dict[str, Floats], list[str]]:
    """Ids, tables and problems; a table with a wrong shape is a problem and not returned."""
    expected = f"a zip of the arrays {', '.join(ARRAYS)}"
    arrays = load_arrays(path, ARRAYS, expected=expected)
    missing = [name for name in ARRAYS if name not in arrays]
    if missing:
        found = ", ".join(arrays) or "none of them"
        raise PredictionError(
            f"{path}: expected the arrays {', '.join(ARRAYS)}; missing {', '.join(missing)}, "
            f"found {found}"
        )
    names, problems = arrays["clip_ids"], []
    if names.ndim != 1 or not (names.dtype.kind == "U" or not names.size):
        raise PredictionError(
            f"{path}: clip_ids: expected text, shape (N,), found {names.dtype}, {names.shape}"
        )
    tables = {}
    for name, width in widths.items():
        table = arrays[name]
        if table.shape != (len(names), width) or table.dtype.kind not in "fiu":
            problems.append(
                f"{name}: expected numbers, shape ({len(names)}, {width}), found {table.dtype}, "
                f"{table.shape}"
            )
        else:
            tables[name] = table.astype(np.float64)
    return names.tolist(), tables, problems


def _from_csv(
    path: Path, widths: Mapping[str, int]
) -> tuple[list[str], dict[str, Floats], list[str]]:
    """Ids, tables and problems."""
    header, rows, problems = table_rows(path, read_text_file(path))
    header = [name.strip() for name in header]
    columns = {name: _columns(name.removesuffix("_scores"), widths[name]) for name in widths}
    wanted = ["vid", *columns["action_scores"], *columns["body_scores"]]
    told = [
        *_told("missing", [name for name in wanted if name not in header]),
        *_told("more than once", [name for name in wanted if header.count(name) > 1]),
        *_told("of no label", sorted(set(filter(_SCORE_COLUMN.fullmatch, header)) - set(wanted))),
    ]
    if told:
        spans = [f"{names[0]} to {names[-1]}" for names in columns.values() if names]
        raise PredictionError(
            f"{path}: expected the columns vid, {', '.join(spans)}; {'; '.join(told)}"
        )
    clip_ids = [cells[header.index("vid")].strip() for _, cells in rows]
    tables = {}
    for name, names in columns.items():
        tables[name], told = _numbers(rows, {column: header.index(column) for column in names})
        problems += told
    return clip_ids, tables, problems


def _numbers(
    rows: Sequence[tuple[int, list[str]]], places: Mapping[str, int]
) -> tuple[Floats, list[str]]:
    """The numbers in the columns ``places``, (N, columns), 0 for other cells; and problems of
    these.
    """
    table, problems = np.zeros((len(rows), len(places))), []
    for row, (line, cells) in enumerate(rows):
        for number, (column, place) in enumerate(places.items()):
            try:
                table[row, number] = float(cells[place])
            except ValueError:
                problems.append(f"line {line}: {column} must be a number, found {cells[place]!r}")
    return table, problems


def _told(what: str, names: Iterable[str]) -> list[str]:
    listed = list(names)
    dots = ", ..." if len(listed) > _NAMED else ""
    return [f"{what}: {', '.join(listed[:_NAMED])}{dots}"] if listed else []
