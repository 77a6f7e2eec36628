"""Files of detections: the challenge's CSV and ActivityNet-style JSON."""

import csv
import io
import math
import zipfile
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmad.annotations.elan.detections import read_elan_detections
from mmad.errors import PredictionError, raise_problems
from mmad.files import write_json, write_text
from mmad.labels import LabelMap
from mmad.names import problem_of_id
from mmad.packed import gunzip, require_small_zip
from mmad.parsing import json_value, reading
from mmad.structures import Detections
from mmad.wording import count

CSV_COLUMNS = ("video_id", "t_start", "t_end", "class", "score")
_NAME_IN_ZIP = "prediction.csv"
_JSON_FORM = '{"results": {video: [{"segment": [start, end], "label", "score"}]}}'

# One list for each of CSV_COLUMNS, with one entry for each detection of the file.
_Columns = tuple[list[Any], list[Any], list[Any], list[Any], list[Any]]


class Predictions(dict[str, Detections]):
    """Detections of each video by id, and what is unusual about their file.

    Attributes:
        num_reversed: Number of rows that end before they start. They are kept as empty segments at
            their start: either can match nothing, so each is one false positive in every protocol.
        num_empty: Number of rows of zero length.
        first_odd: Place of the first reversed or empty row; "" if there is none.
        repairs: What was changed or left out, one sentence each; empty unless read with ``repair``.
    """

    num_reversed = 0
    num_empty = 0
    first_odd = ""
    repairs: tuple[str, ...] = ()

    def odd_rows_text(self) -> str:
        """Number of reversed or empty rows, and the place of the first; "" if there are none.

        >>> found = Predictions()
        >>> found.num_reversed, found.first_odd = 2, "line 7: video 'a'"
        >>> found.odd_rows_text()
        "2 rows (2 with end before start; first line 7: video 'a')"
        """
        if not self.first_odd:
            return ""
        counts = {"end before start": self.num_reversed, "zero length": self.num_empty}
        told = ", ".join(f"{number} with {what}" for what, number in counts.items() if number)
        total = self.num_reversed + self.num_empty
        return f"{count(total, 'row')} ({told}; first {self.first_odd})"


def read_predictions(
    path: str | Path,
    *,
    labels: LabelMap,
    videos: Collection[str] | None = None,
    strict: bool = False,
    repair: bool = False,
) -> Predictions:
    """The detections of each video in a CSV (plain, .gz, or prediction.csv in a .zip) or JSON file,
    or in an ELAN file with nothing else.

    A CSV with only a header has no detections. Detections keep the order of the file, also across
    videos (`Detections.places`), and videos that of their first detection; a video that a JSON file
    lists without detections has an empty entry.

    Args:
        path: Path of the file.
        labels: Label set of the detections.
        videos: Known videos; a row of another one is a problem.
        strict: Refuse reversed and empty rows, which the official evaluators score as false
            positives.
        repair: Leave out rows with problems instead of raising, and map scores outside [0, 1] into
            it, keeping their order.

    Raises: PredictionError, with every problem of the file in one message.
    """
    path = Path(path)
    if path.suffix.lower() == ".eaf":
        return _of_elan(path, labels=labels, videos=videos)
    text = read_text_file(path)
    if text.lstrip()[:1] in ("{", "["):
        listed, columns, place_of, problems = _parse_json(path, text)
    else:
        listed, columns, place_of, problems = _parse_csv(path, text)
    rows = _Rows(columns, place_of, labels=labels)
    known = None if videos is None else set(videos)
    if repair:
        repairs = [f"left out {_counted(problems)}"] if problems else []
        repairs += rows.repair(known)
        listed = [name for name in listed if known is None or name in known]
        listed = [name for name in listed if not id_problems([name])]
    else:
        if known is not None:
            problems += _unknown_videos(columns[0], listed, known, place_of)
        problems += rows.problems(strict=strict)
        problems += id_problems(set(listed).difference(rows.videos)).values()
        raise_problems(PredictionError, source=str(path), problems=problems)
        repairs = []
    found = rows.by_video(listed)
    found.repairs = tuple(repairs)
    return found


def _of_elan(path: Path, *, labels: LabelMap, videos: Collection[str] | None) -> Predictions:
    video, detections = read_elan_detections(path, labels=labels)
    if videos is not None and video not in videos:
        raise PredictionError(f"{path}: video '{video}' is not in the ground truth of this subset")
    found = Predictions()
    found[video] = detections
    return found


def _unknown_videos(
    names: list[Any], listed: list[str], known: set[str], place_of: Callable[[int], str]
) -> list[str]:
    """A problem for each unknown video, with the place of its first detection."""
    first = {name: row for row, name in reversed(list(enumerate(names)))}
    return [
        (f"{place_of(first[name])}: " if name in first else "")
        + f"video '{name}' is not in the ground truth of this subset"
        for name in dict.fromkeys([*listed, *names])
        if name not in known and str(name).strip()
    ]


def read_text_file(path: str | Path) -> str:
    """The text of a file of predictions: plain, .gz, or prediction.csv in a .zip; without its BOM.

    What macOS adds to a zip (``__MACOSX``) is ignored.

    Raises: PredictionError if the file is missing or cannot be read, is larger than allowed once
    unpacked, if a zip has an entry that leads out of its folder, if it has no prediction.csv at its
    top level, or more than one CSV.
    """
    path = Path(path)
    if not path.is_file():
        raise PredictionError(f"{path}: there is no such file of predictions")
    expected = "text in UTF-8, plain, in a .gz or in a .zip"
    with reading(path, expected=expected, error=PredictionError):
        if path.suffix.lower() == ".zip":
            raw = _read_zip(path)
        elif path.suffix.lower() == ".gz":
            raw = gunzip(path, error=PredictionError)
        else:
            raw = path.read_bytes()
        return raw.decode("utf-8-sig")


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
        require_small_zip(path, error=PredictionError)
        return archive.read(_NAME_IN_ZIP)


def _leads_out(entry: str) -> bool:
    """Whether the name of an entry is an absolute path or contains ``..``."""
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
    content = json_value(path, text, error=PredictionError)
    if not isinstance(content, dict) or "results" not in content:
        raise PredictionError(f"{path}: expected {_JSON_FORM}, found no results")
    results = content["results"]
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


class _Rows:
    """The rows of a file as arrays, and what is wrong with them.

    Attributes:
        videos: Id of the video of each row, as in the file.
        times: Start and end in seconds, (N, 2); NaN for what is not a number.
        labels: Label indices, (N,); -1 where unknown.
        scores: Scores, (N,); NaN for what is not a number.
    """

    def __init__(
        self, columns: _Columns, place_of: Callable[[int], str], *, labels: LabelMap
    ) -> None:
        self.videos, *self._cells = columns
        start, end, label, score = self._cells
        self._place_of = place_of
        self.times = np.stack([_numbers(start), _numbers(end)], axis=1)
        self.scores = _numbers(score)
        self.labels, self._unknown = _indices(label, labels)
        self._id_problems = id_problems(set(self.videos))
        self._is_misnamed = np.array(
            [not name.strip() or name in self._id_problems for name in self.videos], dtype=bool
        )

    @property
    def _is_bad(self) -> NDArray[np.bool_]:
        finite = np.isfinite(self.times).all(axis=1) & np.isfinite(self.scores)
        return ~finite | (self.scores < 0) | (self.labels < 0) | self._is_misnamed

    def problems(self, *, strict: bool) -> list[str]:
        """The problems of rows; with ``strict`` also reversed and empty ones."""
        is_bad = self._is_bad
        if strict:
            is_bad |= self.times[:, 1] <= self.times[:, 0]
        return [text for row in np.flatnonzero(is_bad) for text in self._judge(int(row), strict)]

    def _judge(self, row: int, strict: bool) -> list[str]:
        start, end, _, score = (cells[row] for cells in self._cells)
        raw = {"t_start": start, "t_end": end, "score": score}
        values = dict(zip(raw, (*self.times[row], self.scores[row]), strict=True))
        told = _judge(raw, values, strict=strict)
        told += [self._unknown[row]] if row in self._unknown else []
        if self._is_misnamed[row]:
            told.append(self._id_problems.get(self.videos[row], "the video has no name"))
        return [f"{self._place(row)}: {problem}" for problem in told]

    def _place(self, row: int) -> str:
        return f"{self._place_of(row)}: video '{self.videos[row]}'"

    def repair(self, known: Collection[str] | None) -> list[str]:
        """Leave out unusable rows and map scores into [0, 1]; returns what was done."""
        done = []
        scores = self.scores[np.isfinite(self.scores)]
        low, high = scores.min(initial=0.0), scores.max(initial=1.0)
        if low < 0 or high > 1:
            self.scores = (self.scores - low) / (high - low)
            done.append(
                f"mapped scores from {scores.min():g} to {scores.max():g} linearly into 0 to 1"
            )
        is_bad = self._is_bad
        bad = [self._judge(row, False)[0] for row in np.flatnonzero(is_bad).tolist()]
        if bad:
            done.append(f"left out {_counted(bad)}")
        if known is not None:
            strange = ~is_bad & ~np.array([name in known for name in self.videos], dtype=bool)
            places = [self._place(row) for row in np.flatnonzero(strange).tolist()]
            if places:
                done.append(f"left out {_counted(places)}, not in the annotations of this subset")
            is_bad |= strange
        kept = np.flatnonzero(~is_bad)
        places_of = self._place_of
        self._place_of = lambda row: places_of(int(kept[row]))
        self.videos = [self.videos[row] for row in kept]
        self.times, self.scores = self.times[kept], self.scores[kept]
        self.labels = self.labels[kept]
        return done

    def by_video(self, listed: list[str]) -> Predictions:
        """The detections of each video, those ``listed`` first; reversed rows as empty ones."""
        result = Predictions()
        is_odd = self.times[:, 1] <= self.times[:, 0]
        if is_odd.any():
            is_reversed = self.times[:, 1] < self.times[:, 0]
            result.num_reversed = int(is_reversed.sum())
            result.num_empty = int(is_odd.sum()) - result.num_reversed
            result.first_odd = self._place(int(np.argmax(is_odd)))
            self.times[is_reversed, 1] = self.times[is_reversed, 0]
        names = list(dict.fromkeys([*listed, *self.videos]))
        number_of = {name: number for number, name in enumerate(names)}
        numbers = np.array([number_of[name] for name in self.videos], dtype=np.int64)
        order = np.argsort(numbers, kind="stable")
        bounds = np.searchsorted(numbers[order], np.arange(len(names) + 1))
        for number, name in enumerate(names):
            mine = order[bounds[number] : bounds[number + 1]]
            result[name] = Detections(
                self.times[mine], self.labels[mine], self.scores[mine], places=mine
            )
        return result


def id_problems(names: Iterable[str]) -> dict[str, str]:
    """The problem of each invalid id of a video or clip, by id."""
    judged = {name: problem_of_id(name) for name in names}
    return {name: f"the id {name!r:.60} {problem}" for name, problem in judged.items() if problem}


def _counted(places: list[str]) -> str:
    return f"{count(len(places), 'row')}, first {places[0]}"


def _judge(raw: Mapping[str, Any], values: Mapping[str, float], *, strict: bool) -> list[str]:
    """The problems of the numbers of a detection."""
    told = []
    for name, value in values.items():
        if not math.isfinite(value):
            told.append(f"{name} must be a finite number, found {raw[name]!r}")
    if strict and values["t_end"] == values["t_start"]:
        told.append(f"starts and ends at {values['t_start']} s")
    if strict and values["t_end"] < values["t_start"]:
        told.append(f"ends ({values['t_end']} s) before it starts ({values['t_start']} s)")
    if values["score"] < 0:
        told.append(f"score must be at least 0, found {values['score']}")
    return told


def _numbers(values: list[Any]) -> NDArray[np.float64]:
    """``values`` as floats, (N,); NaN for what is not a number."""
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
    """Index of each label, (N,), -1 where it is unknown; and the problems of these rows."""
    known: dict[Any, int] = {}
    unknown: dict[int, str] = {}
    indices = np.full(len(values), -1, dtype=np.int64)
    for row, value in enumerate(values):
        # 1, 1.0 and True are the same key of a dictionary, and a list is not hashable.
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


def check_predictions_path(path: Path, *, suffixes: Sequence[str] = (".csv",)) -> None:
    """Raise `PredictionError` unless the name ends as predictions do; other files lie beside it."""
    if path.suffix.lower() not in suffixes:
        expected = " or ".join(", ".join(suffixes).rsplit(", ", 1))
        raise PredictionError(f"{path}: expected a name that ends in {expected}")


def write_predictions_csv(path: str | Path, detections_by_video: Mapping[str, Detections]) -> None:
    """Write the challenge's format, ``,video_id,t_start,t_end,class,score``.

    Videos in the order of the mapping, each by descending score, in full precision.
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
    path: str | Path,
    detections_by_video: Mapping[str, Detections],
    labels: LabelMap,
    *,
    videos: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Write ActivityNet-style results, labels by name, each video by descending score.

    Args:
        path: Path of the file.
        detections_by_video: Detections of each video.
        labels: Label set that the detections index.
        videos: Further facts of each video, such as missing frames; other readers ignore them.
    """
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
    content: dict[str, Any] = {"version": "1.3", "results": results, "external_data": {}}
    if videos:
        content["videos"] = videos
    write_json(path, content)
