"""Files of a consensus: JSON, a plain table, or ELAN files; and what is disputed beside them."""

from dataclasses import replace
from pathlib import Path

from mmad.annotations.activitynet import write_activitynet_json
from mmad.annotations.elan.events import write_elan_events
from mmad.annotations.exchange.events import CodedVideo, Event, EventFile
from mmad.annotations.exchange.plain import write_plain
from mmad.errors import AnnotationError
from mmad.evaluation.agreement.consensus import Consensus
from mmad.evaluation.agreement.panel import Panel
from mmad.files import write_csv
from mmad.names import safe_name
from mmad.structures import VideoRecord


def check_consensus_path(path: Path) -> None:
    """Raise `AnnotationError` if a consensus cannot be written under this name."""
    if path.suffix.lower() not in (".json", ".csv", ".eaf", ""):
        raise AnnotationError(
            f"--consensus {path}: expected a name that ends in .json, .csv or .eaf, or a folder "
            "for one ELAN file a video"
        )


def write_consensus(path: Path, consensus: Consensus, panel: Panel) -> Path:
    """Write the consensus, and the disputed instances beside it; returns the path of the latter.

    The suffix decides: ``.json`` (for MA-52 in the format of its published JSON, otherwise as
    ActivityNet JSON), ``.csv`` with one line for each event, ``.eaf`` for one video, or none: a
    folder with an ELAN file for each video.

    Raises: AnnotationError if they cannot be written, or an ELAN file exists.
    """
    suffix = path.suffix.lower()
    if suffix == ".json":
        write_activitynet_json(path, _records(consensus, panel), panel.labels)
    elif suffix == ".csv":
        events = [one for of_video in _events(consensus, panel).values() for one in of_video]
        videos = tuple(
            CodedVideo(video, duration_seconds=panel.videos[video].duration_seconds)
            for video in consensus.annotations
        )
        write_plain(path, EventFile(path, "plain", tuple(events), videos=videos))
    else:
        by_video = _events(consensus, panel)
        if suffix and len(by_video) > 1:
            raise AnnotationError(
                f"--consensus {path}: an ELAN file is about one video, not {len(by_video)}; name a "
                "folder"
            )
        for video, events in by_video.items():
            file = path if suffix else path / f"{safe_name(video)}.eaf"
            write_elan_events(file, events, video_id=video, labels=panel.labels, author="consensus")
    return _write_disputed(path, consensus, panel)


def _events(consensus: Consensus, panel: Panel) -> dict[str, list[Event]]:
    return {
        video: [
            Event(video, panel.labels.names[label], start, end, annotator="consensus")
            for (start, end), label in zip(
                found.segments_seconds.tolist(), found.labels.tolist(), strict=True
            )
        ]
        for video, found in consensus.annotations.items()
    }


def _records(consensus: Consensus, panel: Panel) -> list[VideoRecord]:
    return [
        replace(panel.videos[video], path=None, subject=None, annotations=annotations)
        for video, annotations in consensus.annotations.items()
    ]


def _write_disputed(path: Path, consensus: Consensus, panel: Panel) -> Path:
    disputed = disputed_path(path)
    rows = [
        (
            one.video_id,
            round(one.start_seconds, 4),
            round(one.end_seconds, 4),
            panel.labels.names[one.label],
            "; ".join(one.seen_by),
            "; ".join(one.missed_by),
        )
        for one in consensus.disputed
    ]
    header = ("video_id", "start_seconds", "end_seconds", "label", "seen_by", "missed_by")
    write_csv(disputed, header=header, rows=rows)
    return disputed


def disputed_path(path: Path) -> Path:
    """Path of the disputed instances of a consensus.

    >>> disputed_path(Path("out/agreed.json")).as_posix()
    'out/agreed_disputed.csv'
    """
    return path.with_name(f"{path.stem}_disputed.csv")
