"""Predictions for videos with emotions, and files of them: CSV, JSON and npz."""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmad.errors import PredictionError, raise_problems
from mmad.evaluation.clips.recognition import table_rows
from mmad.evaluation.clips.scores import load_arrays
from mmad.evaluation.predictions import check_predictions_path, id_problems, read_text_file
from mmad.files import write_bytes
from mmad.labels import EMOTIONS, MA52, LabelMap, emotion_index
from mmad.parsing import RepeatedKeyDict, header_names, json_value
from mmad.structures import Floats, Ints
from mmad.video.find import SUFFIXES

ARRAYS = ("video_ids", "emotion_scores", "action_scores", "action_labels")
EMOTION_COLUMNS = tuple(f"emotion_{index}" for index in range(len(EMOTIONS)))
_ID_COLUMNS = ("video_id", "vid", "video")
_EMOTION_KEY = re.compile(r'"emotion"\s*:')
_ACTION_COLUMN = re.compile(r"action_\d{1,6}")
# Tolerance above 1, for half precision and sums of rounded weights.
_SLACK = 1e-3
_NAMED = 5


@dataclass(frozen=True, eq=False)
class EmotionPredictions:
    """The scores of the emotions and of the actions of each of N videos.

    Attributes:
        video_ids: Id of each video, without the suffix of its file.
        emotion_scores: float64, (N, 5), 0 to 1; the first highest is the predicted emotion.
        action_scores: float64, (N, A), 0 to 1, each action for itself.
        action_labels: int64, (A,), indices of the actions that have scores, ascending; empty for a
            model of emotions alone.

    Raises: ValueError if the shapes disagree, a video occurs twice, or a score is not from 0 to 1.
    """

    video_ids: tuple[str, ...]
    emotion_scores: Floats
    action_scores: Floats
    action_labels: Ints

    def __post_init__(self) -> None:
        problems = _id_problems(self.video_ids)
        widths = {"emotion_scores": len(EMOTIONS), "action_scores": len(self.action_labels)}
        for name, width in widths.items():
            table = np.array(getattr(self, name), dtype=np.float64)
            if table.shape != (len(self.video_ids), width):
                raise ValueError(
                    f"{name}: expected shape ({len(self.video_ids)}, {width}), found {table.shape}"
                )
            problems += _score_problems(name, table, self.video_ids)
            table.flags.writeable = False
            object.__setattr__(self, name, table)
        labels = np.array(self.action_labels, dtype=np.int64)
        labels.flags.writeable = False
        object.__setattr__(self, "action_labels", labels)
        if problems:
            raise ValueError("; ".join(problems[:_NAMED]))

    def __len__(self) -> int:
        return len(self.video_ids)

    @property
    def emotions(self) -> Ints:
        """The predicted emotion of each video, (N,); of equal scores the first emotion."""
        return np.argmax(self.emotion_scores, axis=1).astype(np.int64)


def is_emotion_file(path: Path) -> bool:
    """Whether a file holds predictions of emotions; errors of unreadable files are left to its
    reader.
    """
    try:
        if path.suffix.lower() == ".npz":
            found = load_arrays(path, ("emotion_scores",), expected="an .npz of scores")
            return "emotion_scores" in found
        text = read_text_file(path)
        if text.lstrip().startswith("{"):
            return _EMOTION_KEY.search(text) is not None
        return bool(set(header_names(text)) & {"emotion", *EMOTION_COLUMNS})
    except PredictionError:
        return False


def read_emotion_predictions(path: str | Path, *, labels: LabelMap) -> EmotionPredictions:
    """The predictions in a file; videos keep its order.

    - CSV (plain, .gz, or prediction.csv in a .zip) with ``video_id``, either ``emotion_0`` to
      ``emotion_4`` or ``emotion``, a name, and, if actions are predicted, ``action_0,...``.
    - JSON ``{"a": {"emotion": {"joy": 0.9, ...}, "actions": {"nodding": 0.7, ...}}}``; an emotion
      may also be a name, and either a list of scores in the order of the labels.
    - npz with the arrays of `ARRAYS`, the last two of which may be absent.

    The scores of all actions of a body part may be absent, for all videos.

    Args:
        path: Path of the file.
        labels: Label set of the actions.

    Raises: PredictionError, with every problem of the file in one message.
    """
    path = Path(path)
    if path.suffix.lower() == ".npz":
        ids, emotions, actions, columns, problems = _from_npz(path)
    else:
        text = read_text_file(path)
        parse = _from_json if text.lstrip().startswith(("{", "[")) else _from_csv
        ids, emotions, actions, columns, problems = parse(path, text, labels)
    video_ids = tuple(_without_suffix(name) for name in ids)
    problems += _action_problems(columns, labels)
    problems += _id_problems(video_ids)
    problems += _score_problems("emotion", emotions, video_ids)
    problems += _score_problems("action", actions, video_ids, columns=columns)
    raise_problems(PredictionError, source=str(path), problems=problems)
    order = np.argsort(columns)
    return EmotionPredictions(
        video_ids, emotions, actions[:, order], np.array(columns, dtype=np.int64)[order]
    )


_Parsed = tuple[list[str], Floats, Floats, list[int], list[str]]


def _without_suffix(name: str) -> str:
    return Path(name).stem if Path(name).suffix.lower() in SUFFIXES else name


def _id_problems(video_ids: Sequence[str]) -> list[str]:
    problems = ["a video has no name"] if any(not name.strip() for name in video_ids) else []
    problems += id_problems(video_ids).values()
    return problems + [
        f"video '{name}' is there {times} times"
        for name, times in Counter(video_ids).items()
        if times > 1
    ]


def _score_problems(
    name: str, table: Floats, video_ids: Sequence[str], *, columns: Sequence[int] | None = None
) -> list[str]:
    """For each video, the first of its scores that is not from 0 to 1."""
    is_bad = ~((table >= 0) & (table <= 1 + _SLACK))  # so NaN is bad too
    problems = []
    for row in np.flatnonzero(is_bad.any(axis=1)).tolist():
        place = int(is_bad[row].argmax())
        index = place if columns is None else columns[place]
        problems.append(
            f"video '{video_ids[row]}': {name} {index}: expected a score from 0 to 1, found "
            f"{table[row, place]}"
        )
    return problems


def _action_problems(columns: Sequence[int], labels: LabelMap) -> list[str]:
    """Problems of a file with scores of these actions: all, none, or without whole body parts."""
    wrong = sorted({column for column in columns if not 0 <= column < len(labels)})
    if wrong:
        return [f"action {wrong[0]}: expected actions 0 to {len(labels) - 1}"]
    missing = sorted(set(range(len(labels))).difference(columns))
    if labels.has_parents:  # a body part is left out whole, or not at all
        present = {labels.parents[column] for column in columns}
        missing = [column for column in missing if labels.parents[column] in present]
    if not columns or not missing:
        return []
    dots = ", ..." if len(missing) > _NAMED else ""
    names = ", ".join(labels.title(column) for column in missing[:_NAMED])
    return [
        f"no scores of {len(missing)} of {len(labels)} actions ({names}{dots}); expected scores of "
        "all, of none, or of all but whole body parts"
    ]


def _from_csv(path: Path, text: str, labels: LabelMap) -> _Parsed:
    header, rows, problems = table_rows(path, text)
    header = [name.strip() for name in header]
    id_column = next((name for name in _ID_COLUMNS if name in header), None)
    scored = [name for name in EMOTION_COLUMNS if name in header]
    is_named = "emotion" in header
    if id_column is None or is_named == bool(scored) or (scored and len(scored) < len(EMOTIONS)):
        raise PredictionError(
            f"{path}: expected the columns video_id and either emotion, a name, or all of "
            f"{', '.join(EMOTION_COLUMNS)}; found {', '.join(header[:12]):.120}"
        )
    if "actions" in header:  # the annotations themselves would score 100 %
        raise PredictionError(
            f"{path}: has the column actions, as a list of annotated videos; expected predictions, "
            "with scores of actions in the columns action_0, action_1, ..."
        )
    repeated = sorted({name for name in header if name and header.count(name) > 1})
    if repeated:
        raise PredictionError(f"{path}: the column {', '.join(repeated)} appears more than once")
    places = {name: place for place, name in enumerate(header) if _ACTION_COLUMN.fullmatch(name)}
    columns = [int(name.removeprefix("action_")) for name in places]
    ids = [cells[header.index(id_column)].strip() for _, cells in rows]
    emotions = np.zeros((len(rows), len(EMOTIONS)))
    actions = np.zeros((len(rows), len(columns)))
    for row, (line, cells) in enumerate(rows):
        try:
            if is_named:
                emotions[row, emotion_index(cells[header.index("emotion")])] = 1.0
            else:
                emotions[row] = [float(cells[header.index(name)]) for name in EMOTION_COLUMNS]
            actions[row] = [float(cells[place]) for place in places.values()]
        except KeyError as error:
            problems.append(f"line {line}: video '{ids[row]}': {error.args[0]}")
        except ValueError as error:
            problems.append(f"line {line}: video '{ids[row]}': scores must be numbers ({error})")
    return ids, emotions, actions, columns, problems


def _from_json(path: Path, text: str, labels: LabelMap) -> _Parsed:
    content = json_value(path, text, error=PredictionError, pairs=RepeatedKeyDict)
    if not isinstance(content, RepeatedKeyDict) or not content:
        raise PredictionError(
            f"{path}: expected a JSON object with one entry a video, found {text.strip()[:40]!r}"
        )
    problems = [f"video '{name}' is there twice" for name in content.repeated_keys]
    emotions = np.zeros((len(content), len(EMOTIONS)))
    tables: list[dict[int, float]] = []
    for row, (name, entry) in enumerate(content.items()):
        entry = entry if isinstance(entry, Mapping) else {}
        given = entry.get("emotion")
        try:
            if isinstance(given, str):
                given = {given: 1.0}
            for index, score in _scores(given, EMOTIONS, what="emotion").items():
                emotions[row, index] = score
            tables.append(_scores(entry.get("actions", {}), labels, what="actions"))
        except (KeyError, ValueError, OverflowError) as error:
            problems.append(f"video '{name!s:.60}': {error.args[0]}")
    columns = sorted({index for table in tables for index in table})
    uneven = sum(len(table) != len(columns) for table in tables)
    if uneven:
        problems.append(f"{uneven} of {len(tables)} videos lack scores of actions that others have")
    if problems:
        tables, actions = [], np.zeros((len(content), 0))
        return list(content), emotions, actions, [], problems
    actions = np.array([[table[index] for index in columns] for table in tables])
    return list(content), emotions, actions.reshape(len(content), len(columns)), columns, problems


def _scores(given: Any, labels: LabelMap, *, what: str) -> dict[int, float]:
    """The score of each label, from an object by label or a list of all.

    Raises: KeyError if a label is unknown; ValueError if it is neither.
    """
    find = emotion_index if labels is EMOTIONS else labels.index
    if isinstance(given, list) and len(given) == len(labels):
        given = dict(enumerate(given))
    is_whole = isinstance(given, Mapping) and (what == "actions" or len(given) > 0)
    if not is_whole or not all(type(value) in (int, float) for value in given.values()):
        raise ValueError(
            f"{what}: expected an object of labels and scores, or a list of {len(labels)} scores, "
            f"found {given!r:.60}"
        )
    return {find(label): float(score) for label, score in given.items()}


def _from_npz(path: Path) -> _Parsed:
    arrays = load_arrays(path, ARRAYS, expected=f"a zip of the arrays {', '.join(ARRAYS)}")
    missing = [name for name in ARRAYS[:2] if name not in arrays]
    if missing:
        found = ", ".join(arrays) or "none of them"
        raise PredictionError(
            f"{path}: expected the arrays {', '.join(ARRAYS)}; missing {', '.join(missing)}, "
            f"found {found}"
        )
    ids = arrays["video_ids"]
    actions = arrays.get("action_scores", np.zeros((len(ids), 0)))
    columns = arrays.get("action_labels", np.arange(actions.shape[-1]))
    shapes = {
        "video_ids": (ids, "U", (len(ids),)),
        "emotion_scores": (arrays["emotion_scores"], "fiu", (len(ids), len(EMOTIONS))),
        "action_labels": (columns, "iu", (len(columns),)),
        "action_scores": (actions, "fiu", (len(ids), len(columns))),
    }
    problems = [
        f"{name}: expected shape {shape}, found {array.dtype}, {array.shape}"
        for name, (array, kinds, shape) in shapes.items()
        if array.shape != shape or (array.size and array.dtype.kind not in kinds)
    ]
    raise_problems(PredictionError, source=str(path), problems=problems)
    if repeated := [label for label, times in Counter(columns.tolist()).items() if times > 1]:
        problems.append(f"action_labels: {repeated[0]} is there more than once")
    emotions = arrays["emotion_scores"].astype(np.float64)
    return ids.tolist(), emotions, actions.astype(np.float64), columns.tolist(), problems


def write_emotion_predictions(
    path: str | Path, predictions: EmotionPredictions, *, labels: LabelMap
) -> None:
    """Write the predictions as .csv, .json or .npz, in full precision; equal ones give equal bytes.

    Raises: PredictionError if the name ends otherwise, OutputError if it cannot be written.
    """
    path = Path(path)
    check_emotion_path(path)
    write = {".csv": _csv_bytes, ".json": _json_bytes, ".npz": _npz_bytes}[path.suffix.lower()]
    write_bytes(path, write(predictions, labels))


def check_emotion_path(path: Path) -> None:
    """Raise `PredictionError` unless the name of the file is that of predictions to write."""
    check_predictions_path(path, suffixes=(".csv", ".json", ".npz"))


def _csv_bytes(predictions: EmotionPredictions, labels: LabelMap) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    actions = [f"action_{label}" for label in predictions.action_labels.tolist()]
    writer.writerow(["video_id", *EMOTION_COLUMNS, *actions])
    scores = np.concatenate([predictions.emotion_scores, predictions.action_scores], axis=1)
    for video_id, row in zip(predictions.video_ids, scores.tolist(), strict=True):
        writer.writerow([video_id, *row])
    return out.getvalue().encode()


def _json_bytes(predictions: EmotionPredictions, labels: LabelMap) -> bytes:
    names = [labels.names[label] for label in predictions.action_labels.tolist()]
    emotions, actions = predictions.emotion_scores.tolist(), predictions.action_scores.tolist()
    content = {
        video_id: {
            "emotion": dict(zip(EMOTIONS.names, emotion, strict=True)),
            "actions": dict(zip(names, action, strict=True)),
        }
        for video_id, emotion, action in zip(predictions.video_ids, emotions, actions, strict=True)
    }
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()


def _npz_bytes(predictions: EmotionPredictions, labels: LabelMap) -> bytes:
    out = io.BytesIO()
    arrays: dict[str, Any] = {name: getattr(predictions, name) for name in ARRAYS[1:]}
    arrays["video_ids"] = np.array(predictions.video_ids, dtype=np.str_)
    if labels != MA52:  # for `mmad.evaluation.clips.scores.labels_in`
        arrays["labels"] = np.array(json.dumps(asdict(labels)))
    np.savez_compressed(out, **arrays)  # NumPy writes a fixed time (1980) into every zip
    return out.getvalue()
