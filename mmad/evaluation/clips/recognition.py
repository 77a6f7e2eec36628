"""Recognition of clips: files of ranked predictions, accuracy and F1 at action and body level."""

import csv
import io
import re
import zipfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmad.errors import AnnotationError, PredictionError, raise_problems
from mmad.evaluation.predictions import id_problems, read_text_file
from mmad.files import write_bytes
from mmad.labels import LabelMap
from mmad.structures import ClipRecord, Ints
from mmad.wording import count

TOP = 5
ACTION_COLUMNS = tuple(f"action_pred_{rank}" for rank in range(1, TOP + 1))
BODY_COLUMNS = tuple(f"body_pred_{rank}" for rank in range(1, TOP + 1))
RECOGNITION_COLUMNS = ("vid", *ACTION_COLUMNS, *BODY_COLUMNS)
F1_RULES = ("per_class", "harmonic")
_FIGURES = ("top1", "top5", "mean_class_accuracy", "f1_macro", "f1_micro")
NAME_IN_ZIP = "prediction.csv"
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest time of a zip; equal files give equal bytes
_SUFFIX = re.compile(r"\.[A-Za-z]\w{1,3}$")


@dataclass(frozen=True, eq=False)
class Recognitions:
    """The ranked predictions for each clip.

    Attributes:
        clip_ids: File name of each clip.
        action_top: int64, (N, up to 5), label indices by descending score; -1 for a missing rank.
        body_top: The same for the body parts; (N, 0) if the labels have none.

    Raises: ValueError if the lengths disagree or a clip occurs twice.
    """

    clip_ids: tuple[str, ...]
    action_top: Ints
    body_top: Ints

    def __post_init__(self) -> None:
        for name in ("action_top", "body_top"):
            table = np.array(getattr(self, name), dtype=np.int64)
            if table.ndim != 2 or len(table) != len(self.clip_ids) or table.shape[1] > TOP:
                raise ValueError(
                    f"{name}: expected shape ({len(self.clip_ids)}, up to {TOP}), "
                    f"found {table.shape}"
                )
            table.flags.writeable = False
            object.__setattr__(self, name, table)
        if len(set(self.clip_ids)) != len(self.clip_ids):
            raise ValueError("clip_ids must differ")

    def __len__(self) -> int:
        return len(self.clip_ids)


def with_suffix(clip_id: str) -> str:
    """The file name of a clip; .mp4 if the id has no suffix.

    >>> with_suffix("0003_01_0005"), with_suffix("a.avi")
    ('0003_01_0005.mp4', 'a.avi')
    """
    return clip_id if _SUFFIX.search(clip_id) else f"{clip_id}.mp4"


def table_rows(path: Path, text: str) -> tuple[list[str], list[tuple[int, list[str]]], list[str]]:
    """Header of a CSV text, its rows with their line numbers, and the problems of the others.

    Blank lines are skipped; cells are as in the file.

    Raises: PredictionError if the text is not a CSV.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows, problems = [], []
    try:
        header = next(reader, [])
        for cells in reader:
            if len(cells) == len(header):
                rows.append((reader.line_num, cells))
            elif cells:
                problems.append(
                    f"line {reader.line_num}: expected {len(header)} cells, found {len(cells)}"
                )
    except csv.Error as error:
        raise PredictionError(f"{path}: line {reader.line_num}: {error}") from None
    return header, rows, problems


def read_recognitions(
    path: str | Path,
    *,
    labels: LabelMap,
    clips: Collection[str] | None = None,
    repairs: list[str] | None = None,
) -> Recognitions:
    """The predictions in a CSV ``vid,action_pred_1..5,body_pred_1..5`` (plain, .gz, or in a .zip).

    Labels are indices, names or codes. Later ranks may be absent as columns or empty as cells.
    Without body columns the body parts are those of the actions, rank by rank, repeats allowed; for
    labels without body parts these columns are ignored, as is any other column. Clips keep the
    order of the file; an id without a suffix gets ``.mp4``.

    Args:
        path: Path of the file.
        labels: Label set of the actions.
        clips: Known clips; used with ``repairs`` only.
        repairs: Receives a sentence for each kind of problem; rows with problems, and those of
            other clips, are then left out. By default they raise.

    Raises: PredictionError, with every problem of the file in one message.
    """
    path = Path(path)
    header, rows, problems = table_rows(path, read_text_file(path))
    header = [name.strip() for name in header]
    actions = _ranked_columns(ACTION_COLUMNS, header)
    bodies = _ranked_columns(BODY_COLUMNS, header) if labels.has_parents else []
    _check_columns(path, header, wanted=["vid", *(actions or ACTION_COLUMNS[:1]), *bodies])
    names = [cells[header.index("vid")].strip() for _, cells in rows]
    told: dict[int, list[str]] = {row: [] for row in range(len(rows))}
    first_line: dict[str, int] = {}
    for row, ((line, _), name) in enumerate(zip(rows, names, strict=True)):
        if not name:
            told[row].append(f"line {line}: the clip has no name (vid is empty)")
        elif bad := id_problems([name]):
            told[row].append(f"line {line}: {bad[name]}")
        elif with_suffix(name) in first_line:
            told[row].append(
                f"line {line}: clip '{name}' is listed twice, first in line "
                f"{first_line[with_suffix(name)]}"
            )
        first_line.setdefault(with_suffix(name), line)
    action_top = _guesses(actions, header, rows, labels=labels, told=told)
    body_top = _guesses(bodies, header, rows, labels=labels.parent_map, told=told)
    problems += [text for row in told.values() for text in row]
    kept = [row for row, texts in told.items() if not texts]
    if repairs is None:
        raise_problems(PredictionError, source=str(path), problems=problems)
    else:
        if problems:
            repairs.append(
                f"left out rows with {count(len(problems), 'problem')}, first {problems[0]}"
            )
        if clips is not None:
            known = {with_suffix(name) for name in clips}
            strange = [row for row in kept if with_suffix(names[row]) not in known]
            if strange:
                repairs.append(
                    f"left out {count(len(strange), 'row')} of clips not in the annotations of "
                    f"this subset, first line {rows[strange[0]][0]}: clip '{names[strange[0]]}'"
                )
                kept = sorted(set(kept).difference(strange))
        action_top, body_top = action_top[kept], body_top[kept]
    if labels.has_parents and not bodies:
        parents = labels.to_parents(np.maximum(action_top, 0))
        body_top = np.where(action_top < 0, -1, parents)
    return Recognitions(tuple(with_suffix(names[row]) for row in kept), action_top, body_top)


def _ranked_columns(names: Sequence[str], header: Sequence[str]) -> list[str]:
    """Those of ``names`` up to the last in ``header``: no earlier one may be missing."""
    present = [rank for rank, name in enumerate(names) if name in header]
    return list(names[: present[-1] + 1]) if present else []


def _check_columns(path: Path, header: Sequence[str], *, wanted: Sequence[str]) -> None:
    missing = [name for name in wanted if name not in header]
    repeated = [name for name in wanted if header.count(name) > 1]
    if not missing and not repeated:
        return
    told = [f"missing {', '.join(missing)}"] if missing else []
    told += [f"more than once {', '.join(repeated)}"] if repeated else []
    found = ", ".join(repr(name) for name in header[:8]) or "nothing"
    separator = re.search(r"[;\t|]", header[0]) if len(header) == 1 else None
    hint = f"; columns are separated by commas, not by {separator[0]!r}" if separator else ""
    raise PredictionError(
        f"{path}: expected the columns vid, action_pred_1 to {TOP} and, if bodies are given, "
        f"body_pred_1 to {TOP}; {' and '.join(told)}, found {found}{hint}"
    )


def _guesses(
    columns: Sequence[str],
    header: Sequence[str],
    rows: Sequence[tuple[int, list[str]]],
    *,
    labels: LabelMap,
    told: dict[int, list[str]],
) -> Ints:
    """The label index in each of ``columns``, (N, len(columns)); -1 for an empty cell.

    Problems of a row are added to its list in ``told``.
    """
    places = [header.index(name) for name in columns]
    known: dict[str, int] = {"": -1}
    found = np.full((len(rows), len(columns)), -1, dtype=np.int64)
    for row, (line, cells) in enumerate(rows):
        given = True
        for rank, place in enumerate(places):
            text = cells[place].strip()
            where = f"line {line}: clip '{cells[header.index('vid')]}': {columns[rank]}"
            if not text and rank == 0:
                told[row].append(f"{where} is empty")
            elif text and not given:
                told[row].append(f"{where}: found '{text}' after an empty rank")
            given = bool(text)
            if text not in known:
                try:
                    known[text] = labels.index(text)
                except KeyError as error:
                    told[row].append(f"{where}: {error.args[0]}")
                    continue
            found[row, rank] = known[text]
    return found


def write_recognitions(path: str | Path, recognitions: Recognitions) -> None:
    """Write the challenge's CSV, or to a ``.zip`` path a zip that holds it as prediction.csv.

    With its header and order, ids with a suffix, LF; a missing rank is an empty cell.

    Raises: PredictionError if it cannot be written.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(RECOGNITION_COLUMNS)
    guesses = np.full((len(recognitions), 2 * TOP), -1)
    guesses[:, : recognitions.action_top.shape[1]] = recognitions.action_top
    guesses[:, TOP : TOP + recognitions.body_top.shape[1]] = recognitions.body_top
    for clip_id, row in zip(recognitions.clip_ids, guesses.tolist(), strict=True):
        writer.writerow([with_suffix(clip_id), *("" if cell < 0 else cell for cell in row)])
    write_text_or_zip(path, out.getvalue())


def write_text_or_zip(path: str | Path, text: str) -> None:
    """Write ``text``, or to a ``.zip`` path a zip with it as prediction.csv; atomically.

    Equal texts give equal bytes. Missing folders are created.

    Raises: OutputError if it cannot be written.
    """
    path = Path(path)
    content = text.encode()
    if path.suffix.lower() == ".zip":
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            entry = zipfile.ZipInfo(NAME_IN_ZIP, date_time=_ZIP_TIME)
            entry.external_attr = 0o644 << 16
            entry.create_system = 3  # Unix, on every platform
            archive.writestr(entry, content, compress_type=zipfile.ZIP_DEFLATED)
        content = out.getvalue()
    write_bytes(path, content)


@dataclass(frozen=True, eq=False)
class RecognitionLevel:
    """The figures of one level with K labels. Fractions.

    Attributes:
        top1: Share of clips whose first prediction is right.
        top5: Share of clips with a right one among five predictions; None if the file has fewer
            ranks.
        mean_class_accuracy: Mean over the classes of the share of their clips whose first
            prediction is right; classes without clips are left out.
        f1_macro: Macro F1 by the rule of the report.
        f1_micro: Micro F1, which for single-label clips is the accuracy.
        f1_per_class: F1 of each label, (K,); NaN for one in neither annotations nor first
            predictions.
        confusion: Counts of clips (K, K), rows annotated, columns first predictions; clips without
            a prediction are in no column.
        num_clips_per_label: Number of annotated clips, (K,).
    """

    top1: float
    top5: float | None
    mean_class_accuracy: float
    f1_macro: float
    f1_micro: float
    f1_per_class: NDArray[np.float64]
    confusion: Ints
    num_clips_per_label: Ints


@dataclass(frozen=True, eq=False)
class RecognitionReport:
    """The scores of a set of recognitions.

    Attributes:
        levels: Results at level "action" and, if labels have body parts, "body".
        f1: Rule of macro F1, one of `F1_RULES`.
        num_clips: Number of annotated clips.
        num_missing: Number of these without a prediction; each counts as wrong.
    """

    levels: Mapping[str, RecognitionLevel]
    f1: str
    num_clips: int
    num_missing: int

    @property
    def f1_mean(self) -> float:
        """Mean of macro and micro F1 of all levels (four numbers for MA-52)."""
        values = [(level.f1_macro, level.f1_micro) for level in self.levels.values()]
        return float(np.mean(values))


def evaluate_recognition(
    recognitions: Recognitions,
    clips: Sequence[ClipRecord],
    *,
    labels: LabelMap,
    f1: str = "per_class",
    allow_missing: bool = False,
) -> RecognitionReport:
    """Accuracy and F1 of ``recognitions`` against the labels of ``clips``.

    The annotated body part is that of the annotated action, the predicted one the first of
    ``body_top``.

    Args:
        recognitions: Predictions, see `read_recognitions`.
        clips: Annotated clips, all with labels.
        labels: Labels that the indices in both refer to.
        f1: "per_class": macro F1 is the mean of the F1 of each label in annotations or first
            predictions (scikit-learn's, and that of the published numbers). "harmonic": the
            harmonic mean of mean precision and mean recall over the same labels (the formula the
            papers print).
        allow_missing: Count annotated clips without a prediction as wrong instead of raising.

    Raises: PredictionError if clips are unknown or missing, or ``f1`` is none of the rules;
    AnnotationError if there are no clips or some have no label.
    """
    if f1 not in F1_RULES:
        raise PredictionError(f"F1 rule '{f1}': expected one of {', '.join(F1_RULES)}")
    unlabelled = [clip.clip_id for clip in clips if clip.label is None]
    if unlabelled or not clips:
        found = f"{len(unlabelled)} without: {', '.join(unlabelled[:5])}" if clips else "no clips"
        raise AnnotationError(f"recognition can be scored on clips with labels only, found {found}")
    true_labels = np.array([clip.label for clip in clips], dtype=np.int64)
    rows = rows_of_clips(recognitions, clips, allow_missing=allow_missing)
    guesses, size = recognitions.action_top, len(labels)
    levels = {"action": evaluate_level(guesses, true_labels, rows, num_labels=size, f1=f1)}
    if labels.has_parents:
        guesses, size = recognitions.body_top, len(labels.parent_names)
        true_labels = labels.to_parents(true_labels)
        levels["body"] = evaluate_level(guesses, true_labels, rows, num_labels=size, f1=f1)
    return RecognitionReport(levels, f1, len(clips), int((rows < 0).sum()))


def rows_of_clips(
    recognitions: Recognitions, clips: Sequence[ClipRecord], *, allow_missing: bool
) -> Ints:
    """Row of each clip among the recognitions, (N,); -1 if it has none."""
    row_of = {with_suffix(name): row for row, name in enumerate(recognitions.clip_ids)}
    names = [with_suffix(clip.clip_id) for clip in clips]
    known = set(names)
    problems = [f"clip '{name}' is not in the ground truth" for name in row_of if name not in known]
    missing = [name for name in names if name not in row_of]
    if missing and not allow_missing:
        dots = ", ..." if len(missing) > 5 else ""
        problems.append(
            f"{len(missing)} of {len(names)} annotated clips have no prediction: "
            f"{', '.join(missing[:5])}{dots}; add them, or pass --only-predicted"
        )
    raise_problems(PredictionError, source="predictions", problems=problems)
    return np.array([row_of.get(name, -1) for name in names], dtype=np.int64)


def evaluate_level(
    guesses: Ints, true_labels: Ints, rows: Ints, *, num_labels: int, f1: str
) -> RecognitionLevel:
    """The figures of one level.

    Args:
        guesses: Ranked predictions, (recognitions, ranks), indices of labels.
        true_labels: Label of each clip, (N,).
        rows: Row of each clip among ``guesses``, (N,); -1 if it has none.
        num_labels: Number of labels of the level.
        f1: Rule of macro F1, one of `F1_RULES`.
    """
    assert guesses.shape[1] > 0, "recognitions without guesses"
    assert guesses.max(initial=-1) < num_labels, "guesses of another label set"
    # The row added here is row -1, that of clips without a prediction.
    guesses = np.concatenate([guesses, np.full((1, guesses.shape[1]), -1)])[rows]
    first = guesses[:, 0]
    given = first >= 0
    pairs = true_labels[given] * num_labels + first[given]
    confusion = np.bincount(pairs, minlength=num_labels**2).reshape(num_labels, num_labels)
    num_true = np.bincount(true_labels, minlength=num_labels)
    num_guessed = confusion.sum(axis=0)
    hits = np.diagonal(confusion)
    present = num_true + num_guessed > 0
    per_class = np.full(num_labels, np.nan)
    per_class[present] = 2 * hits[present] / (num_true + num_guessed)[present]
    if f1 == "per_class":
        macro = float(per_class[present].mean())
    else:
        precision = (hits / np.maximum(num_guessed, 1))[present].mean()
        recall = (hits / np.maximum(num_true, 1))[present].mean()
        macro = float(2 * precision * recall / (precision + recall)) if hits.any() else 0.0
    top1 = float((first == true_labels).mean())
    has_clips = num_true > 0
    has_top5 = guesses.shape[1] >= min(TOP, num_labels)
    return RecognitionLevel(
        top1=top1,
        top5=float((guesses == true_labels[:, None]).any(axis=1).mean()) if has_top5 else None,
        mean_class_accuracy=float((hits[has_clips] / num_true[has_clips]).mean()),
        f1_macro=macro,
        f1_micro=top1,
        f1_per_class=per_class,
        confusion=confusion,
        num_clips_per_label=num_true,
    )


def recognition_json(report: RecognitionReport, labels: LabelMap) -> dict[str, object]:
    """The numbers of a report: fractions, classes by index; the confusion matrix as counts."""
    content: dict[str, object] = {
        "f1_rule": report.f1,
        "f1_mean": report.f1_mean,
        "num_clips": report.num_clips,
        "num_missing": report.num_missing,
    }
    for name, level in report.levels.items():
        content[name] = {
            **{key: getattr(level, key) for key in _FIGURES},
            "f1_per_class": {
                str(label): value
                for label, value in enumerate(level.f1_per_class.tolist())
                if not np.isnan(value)
            },
            "labels": list((labels if name == "action" else labels.parent_map).names),
            "confusion": level.confusion.tolist(),
        }
    return content
