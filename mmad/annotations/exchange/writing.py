"""Writing coded events in any format, and what each format keeps of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mmad.annotations.exchange import (
    audacity,
    detections,
    elan_events,
    elan_text,
    label_studio,
    plain,
    praat,
    records,
    via,
)
from mmad.annotations.exchange.boris import tables
from mmad.annotations.exchange.boris.writing import write_boris
from mmad.annotations.exchange.events import CodedVideo, EventFile
from mmad.annotations.format_table import FORMATS
from mmad.errors import AnnotationError
from mmad.files import make_folder
from mmad.names import safe_name
from mmad.wording import count

# Of an event, besides its video, label and times; of a video, besides its id.
EVENT_FIELDS = ("points", "person", "annotator", "score", "comment", "modifiers")
VIDEO_FIELDS = ("media", "length", "frame rate", "subset")
_EVENTS = frozenset(EVENT_FIELDS)
_SEGMENTS = frozenset({"length", "frame rate", "subset"})


@dataclass(frozen=True)
class Writer:
    """How events are written in a format.

    Attributes:
        write: Function of a path, an `EventFile` and a frame rate, which returns notices, or None.
        suffix: Of files in this format.
        keeps: Which of `EVENT_FIELDS` and `VIDEO_FIELDS` the file has a place for.
        per_video: Whether a file is about one video.
        merges: Whether events are added to an existing file.
    """

    write: Callable[..., tuple[str, ...] | None]
    suffix: str
    keeps: frozenset[str]
    per_video: bool = False
    merges: bool = False


WRITERS: dict[str, Writer] = {
    "elan": Writer(elan_events.write_elan_file, ".eaf", _EVENTS | {"media"}, per_video=True),
    "boris": Writer(
        write_boris,
        ".boris",
        _EVENTS | {"media", "length", "frame rate"},
        merges=True,
    ),
    "boris-tabular": Writer(
        tables.write_tabular, ".tsv", _EVENTS | {"media", "length", "frame rate"}
    ),
    "boris-aggregated": Writer(
        tables.write_aggregated, ".tsv", _EVENTS | {"media", "length", "frame rate"}
    ),
    "via-json": Writer(via.write_via_json, ".json", _EVENTS | {"media"}),
    "via-csv": Writer(via.write_via_csv, ".csv", _EVENTS | {"media"}),
    "label-studio": Writer(
        label_studio.write_label_studio, ".json", (_EVENTS - {"points"}) | {"media", "frame rate"}
    ),
    "audacity": Writer(audacity.write_audacity, ".txt", frozenset({"points"}), per_video=True),
    "praat": Writer(
        praat.write_praat, ".TextGrid", frozenset({"points", "person", "length"}), per_video=True
    ),
    "elan-text": Writer(
        elan_text.write_elan_text, ".txt", frozenset({"points", "person"}), per_video=True
    ),
    "csv": Writer(plain.write_plain, ".csv", _EVENTS | _SEGMENTS),
    "activitynet-json": Writer(records.write_activitynet, ".json", _SEGMENTS),
    "mma52-json": Writer(records.write_published_json, ".json", frozenset({"length", "subset"})),
    "mma52-csv": Writer(records.write_published_csv, ".csv", _SEGMENTS),
    "detections-json": Writer(
        detections.write_detections_json, ".json", frozenset({"points", "score"})
    ),
    "detections-csv": Writer(
        detections.write_detections_csv, ".csv", frozenset({"points", "score"})
    ),
}


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
        paths: The files.
        notices: What was lost or changed, one sentence each.
    """

    paths: tuple[Path, ...]
    notices: tuple[str, ...]


def write_events(
    path: str | Path,
    file: EventFile,
    *,
    format: str,
    fps: float | None = None,
    overwrite: bool = False,
) -> Written:
    """Write coded events in a format.

    Formats about one video (ELAN, Praat, Audacity, ELAN's text) need a folder for several, with a
    file for each. Events are added to an existing project of BORIS, of which every byte is kept.

    Args:
        path: File; or folder for the files of several videos.
        file: Events and videos, such as those that `read_events` returns.
        format: A name in `WRITERS`.
        fps: Frame rate of videos whose rate is not known, for formats that count frames.
        overwrite: Whether an existing file may be replaced.

    Raises: AnnotationError if there is no such format, a file exists, or it cannot hold the labels.
    """
    path = Path(path)
    writer = WRITERS.get(format)
    if writer is None:
        known = ", ".join(WRITERS)
        read_only = " is only read" if format in FORMATS else " is not known"
        raise AnnotationError(f"format '{format}'{read_only}; these are written: {known}")
    lost = lost_in(file, writer, name=format)
    if not writer.per_video or (not path.is_dir() and len(_videos(file)) == 1):
        if path.is_dir():
            raise AnnotationError(
                f"{path}: is a folder; {format} is one file for all videos, such as "
                f"{path / ('events' + writer.suffix)}"
            )
        _require_new([path], writer, overwrite=overwrite)
        return Written((path,), (*lost, *(writer.write(path, file, fps=fps) or ())))
    if path.suffix and not path.is_dir():
        raise AnnotationError(
            f"{path}: {format} is a file for each video, and there are {len(_videos(file))}; name "
            "a folder"
        )
    make_folder(path)
    videos, notices = _videos(file), list(lost)
    targets = [path / f"{safe_name(video.video_id)}{writer.suffix}" for video in videos]
    _require_new(targets, writer, overwrite=overwrite)
    for video, target in zip(videos, targets, strict=True):
        told = writer.write(target, _of_video(file, video), fps=fps) or ()
        notices += [notice for notice in told if notice not in notices]
    return Written(tuple(targets), tuple(notices))


def _require_new(paths: Sequence[Path], writer: Writer, *, overwrite: bool) -> None:
    """Raise AnnotationError if a file exists that must not be replaced."""
    existing = [path for path in paths if path.exists()]
    if existing and not writer.merges and not overwrite:
        raise AnnotationError(
            f"{existing[0]}: exists, and may hold work of a person; name another file, or pass "
            "--overwrite"
        )


def _videos(file: EventFile) -> list[CodedVideo]:
    known = {video.video_id: video for video in file.videos}
    for event in file.events:
        known.setdefault(event.video_id, CodedVideo(event.video_id))
    return list(known.values())


def _of_video(file: EventFile, video: CodedVideo) -> EventFile:
    mine = [place for place, one in enumerate(file.events) if one.video_id == video.video_id]
    return replace(
        file,
        events=tuple(file.events[place] for place in mine),
        places=tuple(file.places[place] for place in mine) if file.places else (),
        videos=(video,),
    )


def lost_in(file: EventFile, writer: Writer, *, name: str) -> list[str]:
    """What of the events and videos a format has no place for, one sentence each."""
    has = {
        "points": sum(event.is_point for event in file.events),
        "person": sum(event.person is not None for event in file.events),
        "annotator": sum(event.annotator is not None for event in file.events),
        "score": sum(event.score is not None for event in file.events),
        "comment": sum(bool(event.comment) for event in file.events),
        "modifiers": sum(bool(event.modifiers) for event in file.events),
        "length": sum(video.duration_seconds is not None for video in file.videos),
        "frame rate": sum(video.fps is not None for video in file.videos),
        "subset": sum(video.subset not in ("", "all") for video in file.videos),
    }
    of_events = [
        f"the {field} of {count(has[field], 'event')}"
        for field in EVENT_FIELDS
        if field != "points" and has[field] and field not in writer.keeps
    ]
    of_videos = [
        f"the {field} of {count(has[field], 'video')}"
        for field in VIDEO_FIELDS[1:]
        if has[field] and field not in writer.keeps
    ]
    found = []
    if of_events:
        found.append(f"not kept, because {name} has no place for it: {', '.join(of_events)}")
    if of_videos:
        found.append(f"not kept, because {name} has no place for it: {', '.join(of_videos)}")
    if has["points"] and "points" not in writer.keeps and name == "label-studio":
        found.append(f"{count(has['points'], 'point event')} become one frame each")
    return found
