"""What ``mmad detect`` writes: the files of each video, and the tables of all."""

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import typer

from mmad import __version__
from mmad.annotations.elan.document import read_document
from mmad.annotations.elan.writing import write_elan
from mmad.engine.jobs.detection import FoundInCorpus, Shown, open_source, write_corpus
from mmad.errors import AnnotationError, OutputError, VideoError
from mmad.evaluation.thresholds import USUAL_MIN_SCORE, Thresholds, read_thresholds
from mmad.files import check_writable
from mmad.labels import LabelMap
from mmad.names import safe_name
from mmad.report.timeline.contents import TimelineContents
from mmad.report.timeline.figure import draw_timeline
from mmad.report.workbook.detections import TableFacts, write_detection_tables
from mmad.structures import Annotations, Detections, VideoRecord
from mmad.video.film_strip import film_strip
from mmad.video.guarded.limits import DecoderLimits
from mmad.wording import count

Pictures = Literal["png", "svg", "pdf", "none"]

_TABLE = "detections_table.csv"
# What a video and a batch need at most, roughly, with timelines and without.
_BYTES_OF_VIDEO = {True: 2**20, False: 2**18}
_BYTES_OF_ALL = 4 * 2**20


def checked_min_score(text: str) -> str:
    """The value of ``--min-score``.

    Raises: BadParameter if it is neither "auto" nor a score.
    """
    try:
        is_score = text == "auto" or 0 <= float(text) <= 1
    except ValueError:
        is_score = False
    if not is_score:
        raise typer.BadParameter(f"expected auto or a number from 0 to 1, found {text!r}")
    return text


def chosen_thresholds(text: str, run: Path, labels: LabelMap) -> Thresholds:
    """The thresholds of ``--min-score``: a number for all, or "auto" for those of the run.

    Raises: BadParameter if it is neither, CheckpointError if those of the run are damaged.
    """
    if text != "auto":
        return Thresholds.same(float(checked_min_score(text)), labels)
    why = ", as the run has no thresholds of its own (mmad eval --thresholds chooses them)"
    return read_thresholds(run, labels) or Thresholds.same(USUAL_MIN_SCORE, labels, why=why)


@dataclass(frozen=True)
class DetectionFiles:
    """The files of a call of ``mmad detect``.

    Attributes:
        out: Folder of all.
        model: The run, for people.
        labels: Its labels.
        thresholds: Lowest score in ELAN files, timelines and the table.
        pictures: Kind of the timelines.
        codes: Whether timelines name behaviours with their codes.
        annotations: Annotations to draw, by video.
        note: What people should know of the model, or "".
        limits: Of the process that decodes.
        problems: Gets what could not be written of single videos.
    """

    out: Path
    model: str
    labels: LabelMap
    thresholds: Thresholds
    pictures: Pictures = "png"
    codes: bool = True
    annotations: Mapping[str, Annotations] = field(default_factory=dict)
    note: str = ""
    limits: DecoderLimits | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def csv(self) -> Path:
        """All detections, for programs."""
        return self.out / "detections.csv"

    @property
    def table(self) -> Path:
        """Those that reach their thresholds, for people."""
        return self.out / _TABLE

    def elan(self, video_id: str) -> Path:
        """The ELAN file of a video."""
        return self.out / f"{safe_name(video_id)}.eaf"

    def picture(self, video_id: str) -> Path | None:
        """The timeline of a video; None without timelines."""
        if self.pictures == "none":
            return None
        return self.out / f"{safe_name(video_id)}.{self.pictures}"

    def check(self, videos: Mapping[str, Path], inputs: Iterable[Path]) -> None:
        """Check before long work that all can be written, and nothing of the user is replaced.

        Args:
            videos: The videos, by their ids.
            inputs: Other files that are read.

        Raises: OutputError if not, AnnotationError if an ELAN file there is none.
        """
        check_writable(self.out)
        self._require_room(len(videos))
        pictures = {self.picture(name) for name in videos}
        tables = {self.csv, self.csv.with_suffix(".json"), self.table}
        written = {
            path.resolve()
            for path in {*pictures, *tables, self.table.with_suffix(".xlsx")}
            if path is not None
        }
        for path in (*videos.values(), *inputs):
            if path.resolve() in written:
                raise OutputError(f"{path}: would be replaced by the results; choose another --out")
        for name in videos:
            path = self.elan(name)
            if path.exists():
                try:
                    read_document(path)
                except AnnotationError as error:
                    raise AnnotationError(
                        f"{error}; detections are added to the ELAN file of a video: move this "
                        "file, or choose another --out"
                    ) from None

    def _require_room(self, num_videos: int) -> None:
        needed = _BYTES_OF_ALL + num_videos * _BYTES_OF_VIDEO[self.pictures != "none"]
        place = self.out.absolute()
        while not place.exists():
            place = place.parent
        free = shutil.disk_usage(place).free
        if free < needed:
            raise OutputError(
                f"{self.out}: its disk has {free / 2**20:.1f} MiB free, and the results of "
                f"{count(num_videos, 'video')} may need {needed / 2**20:.0f}; free some, or choose "
                "another --out"
            )

    def shown(self) -> Shown:
        """Those of each video, for `detect_corpus`."""
        return Shown(self.write_video, self._how, self._are_there)

    def _how(self, video_id: str) -> str:
        annotations = self.annotations.get(video_id)
        facts = [
            *(__version__, self.pictures, self.codes, self.note, self.thresholds.values),
            annotations and [annotations.segments_seconds.tolist(), annotations.labels.tolist()],
        ]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def _are_there(self, video_id: str) -> bool:
        picture = self.picture(video_id)
        return self.elan(video_id).is_file() and (picture is None or picture.is_file())

    def write_video(self, record: VideoRecord, found: Detections) -> None:
        """Write the ELAN file and the timeline of a video, and say so.

        Raises: OutputError if they cannot be written.
        """
        assert record.path is not None
        name = record.video_id
        sure = self.thresholds.sure(found)
        try:
            notices = write_elan(
                self.elan(name),
                video=record.path,
                detections=sure,
                labels=self.labels,
                min_score=0.0,
                author=f"mmad {__version__}",
                source=self._source(),
                video_id=name,
            )
            for notice in notices:
                typer.echo(f"note: {notice}")
        except AnnotationError as error:
            self.problems.append(str(error))
        if (picture := self.picture(name)) is not None:
            draw_timeline(
                picture,
                TimelineContents(
                    video_id=name,
                    duration_seconds=record.duration_seconds,
                    detections=found,
                    labels=self.labels,
                    thresholds=self.thresholds,
                    annotations=self.annotations.get(name),
                    frames=self._frames(record.path),
                    codes=self.codes,
                    note=self.note,
                ),
            )
        shown = f"{name}{record.path.suffix}" if "/" in name else record.path.name
        reached = (
            f"with a score of at least {self.thresholds.overall:g}"
            if self.thresholds.are_same
            else f"that {'reaches' if len(sure) == 1 else 'reach'} the threshold of their behaviour"
        )
        typer.echo(f"{shown}: {count(len(sure), 'detection')} {reached}")

    def _source(self) -> str:
        """Where a detection comes from, beside each in ELAN."""
        least = (
            f"scores from {self.thresholds.overall:g}"
            if self.thresholds.are_same
            else "scores above the threshold of the behaviour"
        )
        people = "; trained on drawn people alone" if self.note else ""
        return f"{self.model}, {least}{people}"

    def _frames(self, path: Path) -> Sequence:
        try:
            return film_strip(open_source(path, self.limits))
        except VideoError:  # it has been read a moment ago: a timeline without frames will do
            return ()

    def write_all(self, found: FoundInCorpus) -> None:
        """Write the detections of all videos: for programs, and as a table for people.

        Raises: OutputError if they cannot be written.
        """
        write_corpus(self.csv, found, labels=self.labels)
        warnings = [self.note] if self.note else []
        facts = TableFacts(self.model, self.thresholds, warnings, found.failed)
        write_detection_tables(self.table, found.detections, self.labels, facts)
