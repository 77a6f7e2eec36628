"""Files of detections: the challenge's CSV and ActivityNet-style JSON."""

import csv
import gzip
import io
import json
import math
import os
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mmad.errors import PredictionError, raise_problems
from mmad.labels import LabelMap
from mmad.structures import Detections

CSV_COLUMNS = ("video_id", "t_start", "t_end", "class", "score")


def read_predictions(path: str | Path, *, labels: LabelMap) -> dict[str, Detections]:
    """The detections of each video in a CSV (plain, .gz, or prediction.csv in a .zip) or JSON file.

    A CSV with nothing but its header has no detections. Rows keep the order of the file.

    Raises: PredictionError, with every problem of the file in one message.
    """
    path = Path(path)
    if not path.is_file():
        raise PredictionError(f"{path}: there is no such file of predictions")
    text = _read_text(path)
    rows = _json_rows(path, text) if text.lstrip()[:1] == "{" else _csv_rows(path, text)
    columns: dict[str, list[tuple[float, float, int, float]]] = {}
    problems = []
    for place, video, start, end, label, score in rows:
        problem, values = _judge(start, end, label, score, labels=labels)
        if problem:
            problems.append(f"{place}: video '{video}': {problem}")
        else:
            columns.setdefault(str(video), []).append(values)
    raise_problems(PredictionError, source=str(path), problems=problems)
    result = {}
    for video, values_of_video in columns.items():
        table = np.array(values_of_video, dtype=np.float64)
        result[video] = Detections(table[:, :2], table[:, 2].astype(np.int64), table[:, 3])
    return result


def _read_text(path: Path) -> str:
    try:
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                if "prediction.csv" not in archive.namelist():
                    names = ", ".join(archive.namelist()[:5])
                    raise PredictionError(
                        f"{path}: expected prediction.csv in the zip, found {names}"
                    )
                raw = archive.read("prediction.csv")
        elif path.suffix == ".gz":
            raw = gzip.decompress(path.read_bytes())
        else:
            raw = path.read_bytes()
        return raw.decode("utf-8-sig")
    except (OSError, EOFError, zipfile.BadZipFile, UnicodeDecodeError) as error:
        raise PredictionError(f"{path}: cannot be read: {error}") from None


def _csv_rows(path: Path, text: str) -> Iterable[tuple[Any, ...]]:
    reader = csv.DictReader(io.StringIO(text))
    missing = [name for name in CSV_COLUMNS if name not in (reader.fieldnames or [])]
    if missing:
        raise PredictionError(
            f"{path}: expected the columns {', '.join(CSV_COLUMNS)}; "
            f"missing {', '.join(missing)}, found {', '.join(reader.fieldnames or ['nothing'])}"
        )
    for row in reader:
        yield (f"line {reader.line_num}", *(row[name] for name in CSV_COLUMNS))


def _json_rows(path: Path, text: str) -> Iterable[tuple[Any, ...]]:
    try:
        results = json.loads(text)["results"]
        items = [(video, item) for video, listed in results.items() for item in listed]
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise PredictionError(
            f'{path}: expected {{"results": {{video: [{{"segment", "label", "score"}}]}}}}: '
            f"{error!r}"
        ) from None
    for number, (video, item) in enumerate(items):
        segment = item.get("segment") if isinstance(item, dict) else None
        start, end = segment if isinstance(segment, list) and len(segment) == 2 else (None, None)
        label, score = (
            item.get(key) if isinstance(item, dict) else None for key in ("label", "score")
        )
        yield f"detection {number}", video, start, end, label, score


def _judge(
    start: Any, end: Any, label: Any, score: Any, *, labels: LabelMap
) -> tuple[str, tuple[float, float, int, float]]:
    """What is wrong with a detection (empty if nothing), and its values."""
    nothing = (0.0, 0.0, 0, 0.0)
    try:
        first, last, value = float(start), float(end), float(score)
    except (TypeError, ValueError):
        return f"start, end and score must be numbers, found {start}, {end}, {score}", nothing
    if not all(math.isfinite(x) for x in (first, last, value)):
        return f"start, end and score must be finite, found {start}, {end}, {score}", nothing
    if last < first:
        return f"ends ({last} s) before it starts ({first} s)", nothing
    if value < 0:
        return f"the score is negative: {value}", nothing
    try:
        return "", (first, last, labels.index(label), value)
    except (KeyError, TypeError) as error:
        return str(error.args[0]), nothing


def _write(path: str | Path, text: str) -> None:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def write_predictions_csv(path: str | Path, detections_by_video: Mapping[str, Detections]) -> None:
    """Write the challenge's format: ``,video_id,t_start,t_end,class,score``.

    By video and falling score.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("", *CSV_COLUMNS))
    row = 0
    for video, detections in detections_by_video.items():
        ranked = detections.by_score()
        for (start, end), label, score in zip(
            ranked.segments_seconds.tolist(),
            ranked.labels.tolist(),
            ranked.scores.tolist(),
            strict=True,
        ):
            writer.writerow((row, video, repr(start), repr(end), label, repr(score)))
            row += 1
    _write(path, out.getvalue())


def write_predictions_json(
    path: str | Path, detections_by_video: Mapping[str, Detections], labels: LabelMap
) -> None:
    """Write ActivityNet-style results, labels by name, by falling score."""
    results = {}
    for video, detections in detections_by_video.items():
        ranked = detections.by_score()
        results[video] = [
            {"segment": segment, "label": labels.names[label], "score": score}
            for segment, label, score in zip(
                ranked.segments_seconds.tolist(),
                ranked.labels.tolist(),
                ranked.scores.tolist(),
                strict=True,
            )
        ]
    content = {"version": "1.3", "results": results, "external_data": {}}
    _write(path, json.dumps(content, indent=1))
