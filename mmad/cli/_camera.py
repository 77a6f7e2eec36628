"""Detection in a camera, for ``mmad detect --camera``."""

import csv
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import TextIO

import typer

from mmad.cli._notices import tell_notices
from mmad.engine.trained.detector import TrainedDetector
from mmad.evaluation.predictions import (
    CSV_COLUMNS,
    read_predictions,
    write_predictions_json,
)
from mmad.files import cannot_write, make_folder
from mmad.labels import LabelMap
from mmad.structures import Detections
from mmad.video.sources.camera import Camera
from mmad.wording import count


def detect_camera(
    detector: TrainedDetector,
    source: str,
    *,
    out: Path,
    min_score: float,
    seconds: float | None = None,
    delay: float | None = None,
    window_overlap: float | None = None,
) -> None:
    """Write detections of a camera as they come, until it ends, ``seconds`` are over, or Ctrl-C.

    Args:
        detector: The detector.
        source: Number of a camera, or an address; see `Camera`.
        out: Folder for detections.csv, which grows line by line, and detections.json at the end.
        min_score: Lowest score that is written.
        seconds: Longest time; None for no limit.
        delay, window_overlap: As in `DetectionStream`.
    """
    _ = detector.on_videos  # read before the camera runs
    with Camera(source) as camera:
        stream = detector.open_stream(
            fps=camera.fps,
            min_score=min_score,
            delay=delay,
            window_overlap=window_overlap,
            name=camera.name,
        )
        camera.shrink = stream.shrink
        typer.echo(
            f"{camera.name}: a detection comes at most {stream.delay_seconds:.1f} s after its end; "
            "Ctrl-C ends"
        )
        path = out / "detections.csv"
        with _GrowingCsv(path, camera.video_id, detector.labels) as log, _ended_by_ctrl_c(camera):
            for found in stream.run(camera.frames(seconds=seconds)):
                log.add(found)
    tell_notices([*stream.notices(), *camera.notices()])
    facts = {"seconds": stream.seen_seconds, "dropped_frames": camera.num_dropped}
    write_predictions_json(
        out / "detections.json",
        {camera.video_id: Detections()} | read_predictions(path, labels=detector.labels),
        detector.labels,
        videos={camera.video_id: facts},
    )
    typer.echo(
        f"{camera.name}: {count(log.num_written, 'detection')} in {stream.seen_seconds:.1f} s, "
        f"computed in {stream.busy_seconds:.1f} s; written to {out}"
    )


class _GrowingCsv:
    """The challenge's CSV, which holds each detection as soon as it is known, and says so.

    Args:
        path: File to write; an existing one is replaced.
        video_id: Id of the video in it.
        labels: Label set.
    """

    def __init__(self, path: Path, video_id: str, labels: LabelMap) -> None:
        self._path = path
        self._video_id = video_id
        self._labels = labels
        self.num_written = 0
        make_folder(path.parent)
        self._file: TextIO | None = None

    def __enter__(self) -> "_GrowingCsv":
        try:
            self._file = self._path.open("w", newline="", encoding="utf-8")
        except OSError as error:
            raise cannot_write(self._path, error) from None
        self._write([["", *CSV_COLUMNS]])
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, found: Detections) -> None:
        """Write detections and print them.

        Raises: OutputError if the file cannot be written.
        """
        columns = (found.segments_seconds.tolist(), found.labels.tolist(), found.scores.tolist())
        rows = list(zip(*columns, strict=True))
        self._write(
            [
                [self.num_written + number, self._video_id, start, end, label, score]
                for number, ((start, end), label, score) in enumerate(rows)
            ]
        )
        self.num_written += len(rows)
        for (start, end), label, score in sorted(rows):
            typer.echo(f"{start:8.2f} to {end:8.2f} s  {score:.2f}  {self._labels.names[label]}")

    def _write(self, rows: list[list[object]]) -> None:
        assert self._file is not None
        try:
            csv.writer(self._file, lineterminator="\n").writerows(rows)
            self._file.flush()
        except OSError as error:
            raise cannot_write(self._path, error) from None


@contextmanager
def _ended_by_ctrl_c(camera: Camera) -> Iterator[None]:
    """The first Ctrl-C ends the frames, so that what they hold is still written."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, before)
        camera.stop()

    before = signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
