"""Persons, conditions and lengths of videos, from a table."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from mmad.errors import AnnotationError, raise_problems
from mmad.parsing import parse_csv, read_text
from mmad.wording import count

_VIDEO = ("video", "video_id")
_PERSON = ("person", "subject")
_SECONDS = "duration_seconds"
# Columns of the tables that `mmad budget` writes, and so no names of conditions.
RESERVED = frozenset(
    ("table", "level", "behaviour", "body_part", "video", "person", "count", "then", "other", "bin")
)


@dataclass(frozen=True)
class Conditions:
    """What a table says of videos.

    Attributes:
        path: The file.
        names: The conditions: its columns beside those of the video, the person and the length.
        rows: Values of the conditions by video and person; the person is "" if it is not named.
        seconds: Length of the videos that have one.
    """

    path: Path = Path()
    names: tuple[str, ...] = ()
    rows: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    _persons: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def persons_of(self, video: str) -> tuple[str, ...]:
        """The persons whom the table names in a video."""
        return self._persons.get(video, ())

    def seconds_of(self, video: str) -> float | None:
        """The length that the table states for a video."""
        return self.seconds.get(video)

    def values_of(self, pairs: Sequence[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
        """For each condition, its value in each of these pairs of a video and a person.

        Raises: AnnotationError if there are conditions and a pair has no row.
        """
        if not self.rows:
            return {}
        found = [self.rows.get(pair, self.rows.get((pair[0], ""))) for pair in pairs]
        missing = [
            f"video {video}" + (f", person {person}" if person else "")
            for (video, person), values in zip(pairs, found, strict=True)
            if values is None
        ]
        if missing:
            shown = ", ".join(missing[:10]) + (", ..." if len(missing) > 10 else "")
            raise AnnotationError(
                f"{self.path}: {count(len(missing), 'observation', 'has')} no row ({shown}); add "
                "one for each, or leave these videos out"
            )
        known = [values for values in found if values is not None]
        return {name: tuple(row[i] for row in known) for i, name in enumerate(self.names)}

    def notices(self, videos: Collection[str]) -> tuple[str, ...]:
        """What the table has that is not used."""
        unused = sorted({video for video, _ in self.rows} - set(videos))
        if not unused:
            return ()
        more = ", ..." if len(unused) > 5 else ""
        told = f"{count(len(unused), 'video', 'is')} in {self.path.name} and in no other file"
        return (f"{told}: {', '.join(unused[:5])}{more}",)


def read_conditions(path: Path, videos: Collection[str]) -> Conditions:
    """The table in a CSV file with the columns ``video``, optionally ``person`` and
    ``duration_seconds``, and one for each condition.

    A video may be named as its file (``P01.mp4``). A video has one row, or one for each person.

    Args:
        path: Path of the file.
        videos: Ids of the videos, for names with the suffix of the file.

    Raises: AnnotationError, with all problems of the file, if a column is missing or doubled, a
        cell is empty, a length is not a number above 0, or two rows are about the same person.
    """
    header, lines = parse_csv(path, read_text(path))
    columns = _columns(path, header)
    names = tuple(name for name in header if name not in columns.values())
    rows: dict[tuple[str, str], tuple[str, ...]] = {}
    seconds: dict[str, float] = {}
    persons: dict[str, tuple[str, ...]] = {}
    problems = []
    for line, cells in lines:
        row = dict(zip(header, (cell.strip() for cell in cells), strict=False))
        empty = [name for name in header if not row.get(name)]
        if len(cells) != len(header) or empty:
            what = f"no {empty[0]}" if empty else f"{len(cells)} cells, not {len(header)}"
            problems.append(f"line {line}: found {what} in {','.join(cells)!r}")
            continue
        video = _known_video(row[columns["video"]], videos)
        person = row[columns["person"]] if "person" in columns else ""
        if (video, person) in rows:
            problems.append(f"line {line}: a second row for {video} {person}".rstrip())
        rows[video, person] = tuple(row[name] for name in names)
        if person:
            persons[video] = (*persons.get(video, ()), person)
        if "seconds" in columns and (told := _set_seconds(seconds, video, row[_SECONDS])):
            problems.append(f"line {line}: {told}")
    if not rows and not problems:
        problems.append("no row below the header")
    raise_problems(AnnotationError, source=str(path), problems=problems)
    return Conditions(path, names, rows, seconds, persons)


def _set_seconds(seconds: dict[str, float], video: str, text: str) -> str:
    """Store a length; what is wrong with it, or ""."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        return f"{_SECONDS}: expected a number above 0, found {text!r}"
    if seconds.setdefault(video, value) != value:
        return f"{_SECONDS}: {video} has {text} here but {seconds[video]:g} before"
    return ""


def _columns(path: Path, header: Sequence[str]) -> dict[str, str]:
    """The name in the header of each column that is no condition."""
    found = {}
    for kind, names in (("video", _VIDEO), ("person", _PERSON), ("seconds", (_SECONDS,))):
        here = [name for name in header if name in names]
        found.update({kind: here[0]} if here else {})
    problems = []
    if "video" not in found:
        problems.append(
            f"expected a column video, and columns of conditions; found {', '.join(header)}"
        )
    problems += [f"column {name} is there twice" for name in set(header) if header.count(name) > 1]
    conditions = set(header) - set(found.values())
    problems += [
        f"a condition cannot be named {name!r}, as a column of the result is"
        for name in sorted(conditions & RESERVED)
    ]
    if "" in conditions:
        problems.append("a column has no name")
    raise_problems(AnnotationError, source=str(path), problems=problems)
    return found


def _known_video(name: str, videos: Collection[str]) -> str:
    """The id of a video that is named by it or by its file."""
    return name if name in videos or PurePath(name).stem not in videos else PurePath(name).stem
