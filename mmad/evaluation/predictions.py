"""Files of detections: the challenge's CSV and ActivityNet-style JSON."""

import csv
import gzip
import io
import json
import math
import zipfile
import zlib
from collections.abc import Callable, Collection, Mapping
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmad.errors import PredictionError, raise_problems
from mmad.files import write_text
from mmad.labels import LabelMap
from mmad.structures import Detections

CSV_COLUMNS = ("video_id", "t_start", "t_end", "class", "score")
_NAME_IN_ZIP = "prediction.csv"
_JSON_FORM = '{"results": {video: [{"segment": [start, end], "label", "score"}]}}'

# One list for each of CSV_COLUMNS, as long as the file has detections.
_Columns = tuple[list[Any], list[Any], list[Any], list[Any], list[Any]]


def read_predictions(
    path: str | Path, *, labels: LabelMap, videos: Collection[str] | None = None
) -> dict[str, Detections]:
    """The detections of each video in a CSV (plain, .gz, or prediction.csv in a .zip) or JSON file.

    A CSV with nothing but its header has no detections. Detections keep the order of the file, and
    videos that of their first detection; a video that a JSON file lists without detections has an
    empty entry. If the known ``videos`` are given, another one is a problem.

    Raises: PredictionError, with every problem of the file in one message.
    """
    path = Path(path)
    text = read_text_file(path)
    if text.lstrip()[:1] in ("{", "["):
        listed, columns, place_of, problems = _parse_json(path, text)
    else:
        listed, columns, place_of, problems = _parse_csv(path, text)
    if videos is not None:
        problems += _unknown_videos(columns[0], listed, set(videos), place_of)
    return _detections_by_video(
        columns, videos=listed, labels=labels, path=path, place_of=place_of, problems=problems
    )


def _unknown_videos(
    names: list[Any], listed: list[str], known: set[str], place_of: Callable[[int], str]
) -> list[str]:
    """A problem for each video that is not known, with the place of its first detection."""
    first = {name: row for row, name in reversed(list(enumerate(names)))}
    return [
        (f"{place_of(first[name])}: " if name in first else "")
        + f"video '{name}' is not in the ground truth of this subset"
        for name in dict.fromkeys([*listed, *names])
        if name not in known and str(name).strip()
    ]


def read_text_file(path: str | Path) -> str:
    """The text of a file of predictions: plain, .gz, or prediction.csv in a .zip; without its BOM.

    What macOS adds to a zip (``__MACOSX``) is passed over.

    Raises: PredictionError if the file is missing or cannot be read, if a zip has an entry that
    leads out of its folder, if it has no prediction.csv at its top level, or more than one CSV.
    """
    path = Path(path)
    if not path.is_file():
        raise PredictionError(f"{path}: there is no such file of predictions")
    try:
        if path.suffix.lower() == ".zip":
            raw = _read_zip(path)
        elif path.suffix.lower() == ".gz":
            raw = gzip.decompress(path.read_bytes())
        else:
            raw = path.read_bytes()
        return raw.decode("utf-8-sig")
    # zipfile raises RuntimeError for an encrypted file and NotImplementedError for an unknown
    # compression.
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, UnicodeDecodeError) as error:
        raise PredictionError(f"{path}: cannot be read: {error}") from None
    except (RuntimeError, NotImplementedError) as error:
        raise PredictionError(f"{path}: cannot be unpacked: {error}") from None


def _read_zip(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        entries = archive.namelist()
        unsafe = [name for name in entries if _leads_out(name)]
        if unsafe:
            raise PredictionError(
                f"{path}: expected one {_NAME_IN_ZIP} in the zip, found {', '.join(unsafe[:5])}, "
                "which leads out of the folder it is unpacked in"
            )
        names = [name for name in entries if not name.startswith("__MACOSX/")]
        names = [name for name in names if not name.endswith("/")]
        tables = [name for name in names if name.lower().endswith(".csv")]
        if tables != [_NAME_IN_ZIP]:
            listed = ", ".join((tables or names)[:5]) or "nothing"
            raise PredictionError(f"{path}: expected one {_NAME_IN_ZIP} in the zip, found {listed}")
        return archive.read(_NAME_IN_ZIP)


def _leads_out(entry: str) -> bool:
    """Whether the name of an entry is an absolute path or climbs with ``..``."""
    parts = entry.replace("\\", "/").split("/")
    return not parts[0] or parts[0][1:2] == ":" or ".." in parts


def _parse_csv(
    path: Path, text: str
) -> tuple[list[str], _Columns, Callable[[int], str], list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""))
    problems: list[str] = []
    lines: list[int] = []
    # One flat list: a list of rows keeps the garbage collector busy for longer than the reading.
    cells: list[str] = []
    try:
        header = [name.strip() for name in next(reader, [])]
        missing = [name for name in CSV_COLUMNS if name not in header]
        if missing:
            found = ", ".join(repr(name) for name in header[:8]) or "nothing"
            raise PredictionError(
                f"{path}: expected the columns {', '.join(CSV_COLUMNS)}; "
                f"missing {', '.join(missing)}, found {found}"
            )
        wanted = itemgetter(*(header.index(name) for name in CSV_COLUMNS))
        for row in reader:
            if len(row) == len(header):
                cells.extend(wanted(row))
                lines.append(reader.line_num)
            elif row:
                problems.append(
                    f"line {reader.line_num}: expected {len(header)} cells, found {len(row)}"
                )
    except csv.Error as error:
        raise PredictionError(f"{path}: line {reader.line_num}: {error}") from None
    columns = (cells[0::5], cells[1::5], cells[2::5], cells[3::5], cells[4::5])
    return [], columns, lambda row: f"line {lines[row]}", problems


def _parse_json(
    path: Path, text: str
) -> tuple[list[str], _Columns, Callable[[int], str], list[str]]:
    try:
        results = json.loads(text)["results"]
    except (json.JSONDecodeError, RecursionError) as error:
        raise PredictionError(f"{path}: is no JSON: {error}") from None
    except (KeyError, TypeError):
        raise PredictionError(f"{path}: expected {_JSON_FORM}, found no results") from None
    if not isinstance(results, dict):
        raise PredictionError(f"{path}: expected {_JSON_FORM}, found {type(results).__name__}")
    columns: _Columns = ([], [], [], [], [])
    numbers: list[int] = []
    problems = []
    for video, listed in results.items():
        if not isinstance(listed, list):
            problems.append(f"video '{video}': expected a list of detections, found {listed!r}")
            continue
        for number, item in enumerate(listed):
            segment = item.get("segment") if isinstance(item, dict) else None
            if not isinstance(segment, list) or len(segment) != 2:
                problems.append(
                    f"detection {number}: video '{video}': expected segment [start, end], label "
                    f"and score, found {item!r}"
                )
                continue
            values = (video, *segment, item.get("label"), item.get("score"))
            for column, value in zip(columns, values, strict=True):
                column.append(value)
            numbers.append(number)
    return list(results), columns, lambda row: f"detection {numbers[row]}", problems


def _detections_by_video(
    columns: _Columns,
    *,
    videos: list[str],
    labels: LabelMap,
    path: Path,
    place_of: Callable[[int], str],
    problems: list[str],
) -> dict[str, Detections]:
    video, start, end, label, score = columns
    times = np.stack([_numbers(start), _numbers(end)], axis=1)
    scores = _numbers(score)
    indices, unknown = _indices(label, labels)
    nameless = np.array([not str(name).strip() for name in video], dtype=bool)
    is_bad = ~np.isfinite(times).all(axis=1) | ~np.isfinite(scores)
    is_bad |= (times[:, 1] < times[:, 0]) | (scores < 0) | (indices < 0) | nameless
    for row in np.flatnonzero(is_bad):
        place = f"{place_of(int(row))}: video '{video[row]}'"
        raw = {"t_start": start[row], "t_end": end[row], "score": score[row]}
        values = dict(zip(raw, (*times[row], scores[row]), strict=True))
        told = _judge(raw, values) + ([unknown[int(row)]] if indices[row] < 0 else [])
        problems += [f"{place}: {problem}" for problem in told]
        if nameless[row]:
            problems.append(f"{place}: the video has no name")
    raise_problems(PredictionError, source=str(path), problems=problems)

    names = list(dict.fromkeys([*videos, *video]))
    number_of = {name: number for number, name in enumerate(names)}
    numbers = np.array([number_of[name] for name in video], dtype=np.int64)
    order = np.argsort(numbers, kind="stable")
    bounds = np.searchsorted(numbers[order], np.arange(len(names) + 1))
    result = {}
    for number, name in enumerate(names):
        mine = order[bounds[number] : bounds[number + 1]]
        result[name] = Detections(times[mine], indices[mine], scores[mine])
    return result


def _judge(raw: Mapping[str, Any], values: Mapping[str, float]) -> list[str]:
    """What is wrong with the numbers of a detection."""
    told = []
    for name, value in values.items():
        if not math.isfinite(value):
            told.append(f"{name} must be a finite number, found {raw[name]!r}")
    if values["t_end"] < values["t_start"]:
        told.append(f"ends ({values['t_end']} s) before it starts ({values['t_start']} s)")
    if values["score"] < 0:
        told.append(f"score must be at least 0, found {values['score']}")
    return told


def _numbers(values: list[Any]) -> NDArray[np.float64]:
    """``values`` as floats, (N,); NaN for what is no number."""
    if bool not in set(map(type, values)):
        try:
            return np.array(list(map(float, values)), dtype=np.float64)
        except (TypeError, ValueError, OverflowError):
            pass
    return np.array([_number(value) for value in values], dtype=np.float64)


def _number(value: Any) -> float:
    try:
        return math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _indices(values: list[Any], labels: LabelMap) -> tuple[NDArray[np.int64], dict[int, str]]:
    """Index of each label, (N,), -1 where it is unknown; and for these rows what is wrong."""
    known: dict[Any, int] = {}
    unknown: dict[int, str] = {}
    indices = np.full(len(values), -1, dtype=np.int64)
    for row, value in enumerate(values):
        # 1, 1.0 and True are one key of a dictionary, and a list is none.
        if isinstance(value, str) or type(value) is int:
            if value not in known:
                try:
                    known[value] = labels.index(value)
                except KeyError as error:
                    unknown[row] = str(error.args[0])
                    continue
            indices[row] = known[value]
        else:
            unknown[row] = f"expected the name or index of a label, found {value!r}"
    return indices, unknown


def write_predictions_csv(path: str | Path, detections_by_video: Mapping[str, Detections]) -> None:
    """Write the challenge's format, ``,video_id,t_start,t_end,class,score``.

    Video after video in the order of the mapping, in each by falling score, in full precision.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("", *CSV_COLUMNS))
    row = 0
    for video, detections in detections_by_video.items():
        ranked = detections.by_score()
        rows = zip(
            range(row, row + len(ranked)),
            [video] * len(ranked),
            *ranked.segments_seconds.T.tolist(),
            ranked.labels.tolist(),
            ranked.scores.tolist(),
            strict=True,
        )
        writer.writerows(rows)
        row += len(ranked)
    write_text(path, out.getvalue())


def write_predictions_json(
    path: str | Path, detections_by_video: Mapping[str, Detections], labels: LabelMap
) -> None:
    """Write ActivityNet-style results, labels by name, in each video by falling score."""
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
    write_text(path, json.dumps(content, indent=1))
