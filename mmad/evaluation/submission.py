"""Submissions to the micro-action challenge: a zip with one prediction.csv, built and checked."""

import re
import tempfile
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mmad.annotations.clips.lists import read_clip_list
from mmad.annotations.formats import read_annotations
from mmad.annotations.subsets import plain_subset
from mmad.errors import PredictionError, raise_problems
from mmad.evaluation.clips.recognition import (
    ACTION_COLUMNS,
    BODY_COLUMNS,
    RECOGNITION_COLUMNS,
    TOP,
    read_recognitions,
    table_rows,
    write_recognitions,
    write_text_or_zip,
)
from mmad.evaluation.predictions import (
    CSV_COLUMNS,
    Predictions,
    read_predictions,
    read_text_file,
    write_predictions_csv,
)
from mmad.labels import MA52
from mmad.parsing import header_names
from mmad.structures import Detections
from mmad.wording import count

TASKS = ("detection", "recognition")
DETECTION_COLUMNS = ("", *CSV_COLUMNS)
# Durations are rounded to four places in some files.
_ROUNDING_SECONDS = 1e-3
_NAMED = 5


@dataclass(frozen=True)
class SubmissionReport:
    """Content of a submission.

    Attributes:
        task: One of `TASKS`.
        num_rows: Number of detections or clips.
        num_videos: Number of videos or clips that have a row.
        num_expected: Number of videos or clips of the subset, or None if unknown.
        warnings: What the challenge accepts but is probably unintended.
        repairs: What was changed for the challenge to accept it.
    """

    task: str
    num_rows: int
    num_videos: int
    num_expected: int | None
    warnings: tuple[str, ...]
    repairs: tuple[str, ...] = ()


@dataclass
class _Findings:
    """Findings of the checks; places of each kind of warning are collected and counted."""

    problems: list[str] = field(default_factory=list)
    places: dict[str, list[str]] = field(default_factory=dict)
    repairs: list[str] = field(default_factory=list)

    def warnings(self) -> tuple[str, ...]:
        return tuple(
            f"{what}: {len(at)} ({_first(dict.fromkeys(at))})" for what, at in self.places.items()
        )


def _first(names: Collection[str]) -> str:
    dots = ", ..." if len(names) > _NAMED else ""
    return ", ".join(list(names)[:_NAMED]) + dots


def guess_task(path: str | Path) -> str:
    """The task of a file of predictions, from its header; JSON is detection.

    Raises: PredictionError if the file cannot be read or its header is neither's.
    """
    text = read_text_file(path)
    if text.lstrip()[:1] in ("{", "["):
        return "detection"
    header = text.partition("\n")[0].strip()
    names = header_names(header, ",;\t|")
    if {"emotion", "emotion_0"} & set(names):
        raise PredictionError(f"{path}: predictions of emotions; mmad eval scores them")
    if "video_id" in names:
        return "detection"
    if "vid" in names or ACTION_COLUMNS[0] in names:
        return "recognition"
    raise PredictionError(
        f"{path}: expected a header with video_id (detection) or vid (recognition), "
        f"found {header[:80]!r}"
    )


def check_task(task: str) -> str:
    """``task``; raises `PredictionError` unless it is one of `TASKS`."""
    if task not in TASKS:
        raise PredictionError(f"--task {task}: expected {' or '.join(TASKS)}")
    return task


def expected_durations(annotations: str | Path, *, task: str, subset: str) -> dict[str, float]:
    """Seconds of each video of a subset by id; of clips, whose list has no durations, infinity.

    The published MMA-52 test annotations are placeholders: nothing else in them is used.

    Raises: AnnotationError if the file cannot be read or has no such subset.
    """
    if task == "recognition":
        clips = read_clip_list(annotations, labels=MA52, subset=subset)
        return {clip.clip_id: float("inf") for clip in clips}
    records = read_annotations(annotations, subsets=[subset], out_of_video="drop").records
    return {record.video_id: record.duration_seconds for record in records}


def require_subset(predictions: str | Path, annotations: str | Path, *, subset: str) -> None:
    """Raise `PredictionError` if all detections are of another subset, with its name."""
    records = read_annotations(annotations, out_of_video="drop").records
    subset_of = {record.video_id: record.subset for record in records}
    found = read_predictions(predictions, labels=MA52, repair=True)
    other = {subset_of.get(video) for video in found}
    if len(other) == 1 and not other & {None, plain_subset(subset)}:
        raise PredictionError(
            f"{predictions}: its videos are those of subset {(fitting := other.pop())} of "
            f"{annotations}, not of {subset}; pass --subset {fitting}"
        )


def build_submission(
    predictions: str | Path,
    out: str | Path,
    *,
    task: str | None = None,
    expected: Mapping[str, float] | None = None,
    repair: bool = False,
) -> SubmissionReport:
    """Write the challenge's zip from any file of predictions that passes the checks.

    Detections of zero length, which can match nothing, are left out and counted in a warning.
    Equal predictions give equal bytes.

    Args:
        predictions: CSV (also .gz, .zip) or, for detection, JSON.
        out: Zip to write.
        task: One of `TASKS`; by default from the header.
        expected: See `expected_durations`.
        repair: Leave out or change rows that the challenge would refuse, and report them.

    Raises: PredictionError if the predictions cannot be read, or the challenge would refuse them
    (see `check_submission`); then nothing is written.
    """
    if Path(out).suffix.lower() != ".zip":
        raise PredictionError(f"{out}: a submission is a zip; expected a name that ends in .zip")
    task = check_task(task) if task else guess_task(predictions)
    findings = _Findings()
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "prediction.csv"
        known = expected if repair else None
        if task == "detection":
            found = read_predictions(predictions, labels=MA52, videos=known, repair=repair)
            accepted = _accepted(found, findings, repair=repair, source=predictions)
            write_predictions_csv(table, accepted)
        else:
            guesses = read_recognitions(
                predictions, labels=MA52, clips=known, repairs=findings.repairs if repair else None
            )
            write_recognitions(table, guesses)
        text = read_text_file(table)
    source = Path(f"{predictions}, in the challenge's form")
    report = _check_text(text, task=task, expected=expected, source=source, findings=findings)
    write_text_or_zip(out, text)
    return report


def _accepted(
    found: Predictions, findings: _Findings, *, repair: bool, source: str | Path
) -> dict[str, Detections]:
    """The detections that the challenge accepts: without empty ones, and repaired if requested."""
    if found.num_reversed and not repair:
        raise PredictionError(
            f"{source}: {found.odd_rows_text()}: the challenge counts each as a false positive; "
            "correct them, or leave them out with --repair"
        )
    findings.repairs += found.repairs
    if found.first_odd and repair:
        findings.repairs.append(f"left out {found.odd_rows_text()}")
    kept = {}
    num_early = 0
    for video, one in found.items():
        segments = one.segments_seconds
        if repair and (segments < 0).any():
            num_early += int((segments[:, 0] < 0).sum())
            segments = np.maximum(segments, 0.0)
        lasts = segments[:, 1] > segments[:, 0]
        kept[video] = Detections(segments[lasts], one.labels[lasts], one.scores[lasts])
        if not lasts.all() and not repair:
            at = findings.places.setdefault("detections of zero length, left out", [])
            at += [f"video '{video}'"] * int((~lasts).sum())
    if num_early:
        findings.repairs.append(f"set {count(num_early, 'negative start')} to 0")
    return kept


def check_submission(
    path: str | Path,
    *,
    task: str | None = None,
    expected: Mapping[str, float] | None = None,
) -> SubmissionReport:
    """The content of a submission that the challenge would accept.

    Checked are the zip, the columns and their order, and each row: classes, times, scores. With
    ``expected`` also that ids are known and each has a row. Repeated rows, segments that end after
    their video and repeated predictions are warnings.

    Raises: PredictionError, with every problem in one message.
    """
    path = Path(path)
    if path.is_file() and (path.suffix.lower() != ".zip" or not zipfile.is_zipfile(path)):
        raise PredictionError(f"{path}: expected a zip, as mmad submit FILE --out x.zip writes it")
    text = read_text_file(path)
    task = check_task(task) if task else guess_task(path)
    with zipfile.ZipFile(path) as archive:
        others = [name for name in archive.namelist() if name != "prediction.csv"]
    findings = _Findings()
    if others:
        findings.places["entries of the zip beside prediction.csv"] = others
    return _check_text(text, task=task, expected=expected, source=path, findings=findings)


def _check_text(
    text: str,
    *,
    task: str,
    expected: Mapping[str, float] | None,
    source: Path,
    findings: _Findings,
) -> SubmissionReport:
    header, rows, problems = table_rows(source, text)
    columns = list(DETECTION_COLUMNS if task == "detection" else RECOGNITION_COLUMNS)
    if header != columns:
        raise PredictionError(
            f"{source}: expected the header {','.join(columns)} for {task}, "
            f"found {','.join(header)[:200]!r}"
        )
    findings.problems += problems
    if not rows and not problems:
        findings.problems.append("the file has no rows")
    check = _check_detections if task == "detection" else _check_clips
    found = check(rows, expected=expected, findings=findings)
    if expected is not None:
        missing = [name for name in expected if name not in found]
        if missing:
            what = "videos" if task == "detection" else "clips"
            findings.problems.append(
                f"{len(missing)} of {len(expected)} {what} have no row: {_first(missing)}"
            )
    raise_problems(PredictionError, source=str(source), problems=findings.problems)
    return SubmissionReport(
        task=task,
        num_rows=len(rows),
        num_videos=len(found),
        num_expected=None if expected is None else len(expected),
        warnings=findings.warnings(),
        repairs=tuple(findings.repairs),
    )


def _check_detections(
    rows: list[tuple[int, list[str]]],
    *,
    expected: Mapping[str, float] | None,
    findings: _Findings,
) -> set[str]:
    """The videos that have a row."""
    videos: set[str] = set()
    first_line: dict[tuple[object, ...], int] = {}
    for line, (_, video, start_text, end_text, label, score_text) in rows:
        place = f"line {line}: video '{video}'"
        told = _unknown_id(video, expected)
        told += _not_an_index("class", label, count=len(MA52))
        start, end, score = (_finite(text) for text in (start_text, end_text, score_text))
        for name, text, value in [
            ("t_start", start_text, start),
            ("t_end", end_text, end),
            ("score", score_text, score),
        ]:
            if value is None:
                told.append(f"{name} must be a finite number, found {text!r}")
        if start is not None and start < 0:
            told.append(f"t_start must be at least 0, found {start:g}")
        if start is not None and end is not None and end <= start:
            told.append(f"must end after it starts, found {start} to {end} s")
        if score is not None and not 0 <= score <= 1:
            told.append(f"score must be from 0 to 1, found {score:g}")
        over = end - (expected or {}).get(video, end) if end is not None else 0.0
        if over > _ROUNDING_SECONDS:
            kind = "segments that end after their video"
            findings.places.setdefault(kind, []).append(f"{place} ({over:.2f} s)")
        if not told:
            earlier = first_line.setdefault((video, start, end, int(label), score), line)
            if earlier != line:
                kind = "rows that repeat an earlier one"
                findings.places.setdefault(kind, []).append(f"{place} repeats line {earlier}")
        findings.problems += [f"{place}: {problem}" for problem in told]
        videos.add(video)
    return videos


def _check_clips(
    rows: list[tuple[int, list[str]]],
    *,
    expected: Mapping[str, float] | None,
    findings: _Findings,
) -> set[str]:
    """The clips that have a row."""
    first_line: dict[str, int] = {}
    for line, (clip, *guesses) in rows:
        place = f"line {line}: clip '{clip}'"
        told = _unknown_id(clip, expected)
        if clip.strip() and not clip.endswith(".mp4"):
            told.append("expected an id that ends in .mp4")
        if first_line.setdefault(clip, line) != line:
            told.append(f"has a row already, line {first_line[clip]}")
        actions, bodies = guesses[:TOP], guesses[TOP:]
        bad = []
        for name, text in zip(ACTION_COLUMNS, actions, strict=True):
            bad += _not_an_index(name, text, count=len(MA52))
        for name, text in zip(BODY_COLUMNS, bodies, strict=True):
            bad += _not_an_index(name, text, count=len(MA52.parent_names))
        if not bad and len(set(map(int, actions))) < TOP:
            kind = f"clips that name fewer than {TOP} different actions"
            findings.places.setdefault(kind, []).append(f"{place} ({', '.join(actions)})")
        if not bad and MA52.parents[int(actions[0])] != int(bodies[0]):
            kind = "clips whose body_pred_1 is not the body part of action_pred_1"
            findings.places.setdefault(kind, []).append(place)
        findings.problems += [f"{place}: {problem}" for problem in told + bad]
    return set(first_line)


def _unknown_id(name: str, expected: Mapping[str, float] | None) -> list[str]:
    if not name.strip():
        return ["the id is empty"]
    if expected is not None and name not in expected:
        return ["is not in the annotations of this subset"]
    return []


def _not_an_index(name: str, text: str, *, count: int) -> list[str]:
    is_index = re.fullmatch(r"[0-9]{1,4}", text) and int(text) < count
    return [] if is_index else [f"{name} must be an index from 0 to {count - 1}, found {text!r}"]


def _finite(text: str) -> float | None:
    """The number in ``text``; None if it is not a finite number."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) < float("inf") else None
