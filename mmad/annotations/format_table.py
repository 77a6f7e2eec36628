"""The table of annotation formats, and which of them a file is in.

A new data set needs a reader (and writer) in a file of its own and a line in `FORMATS`. Formats are
tried in the order of the table.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mmad.annotations.activitynet import read_activitynet_json
from mmad.annotations.charades import read_charades_csv
from mmad.annotations.ego4d import read_ego4d_json
from mmad.annotations.elan.reading import read_elan
from mmad.annotations.epic import read_epic_noun_csv, read_epic_verb_csv
from mmad.annotations.exchange import (
    audacity,
    detections,
    elan_text,
    label_studio,
    plain,
    praat,
    recognise,
    via,
)
from mmad.annotations.exchange.boris import tables
from mmad.annotations.exchange.boris.project import is_boris, read_boris
from mmad.annotations.exchange.events import EventFile
from mmad.annotations.exchange.raw import raw_file
from mmad.annotations.exchange.source import Source
from mmad.annotations.mma52 import read_mma52_csv, read_mma52_json
from mmad.annotations.validation import RawFile
from mmad.errors import AnnotationError

Kind = Literal["videos", "clips", "emotions", "detections"]


@dataclass(frozen=True)
class Format:
    """A row of the table.

    Attributes:
        description: What the content looks like, for messages and pages.
        fit: What a file lacks to be in this format; None if it is.
        kind: What it lists: "videos" with annotations in time, "detections" of a model, "clips" of
            one action, or videos with "emotions".
        read: Function of a path to a `RawFile`, for formats whose events are those of one label
            set.
        events: Function of a `Source` to an `EventFile`, for programs for coding behaviour.
    """

    description: str
    fit: recognise.Recognise
    kind: Kind = "videos"
    read: Callable[..., RawFile] | None = None
    events: Callable[..., EventFile] | None = None

    def raw(self, path: Path, *, fps: float | None = None, **more: Any) -> RawFile:
        """The content of a file in this format, not yet validated.

        Raises: AnnotationError if it cannot be read.
        """
        if self.read is not None:
            return self.read(path, fps=fps, **more)
        assert self.events is not None, "lists of clips and emotions have readers of their own"
        return raw_file(self.events(Source(path), fps=fps), fps=fps)


CLIP_FORMAT = "ma52-list"
EMOTION_FORMATS = ("emotion-csv", "emotion-json")

FORMATS: dict[str, Format] = {
    "boris": Format(
        "project of BORIS (.boris, JSON) with its observations",
        recognise.any_json(is_boris, "behaviors_conf", "observations"),
        events=read_boris,
    ),
    "via-json": Format(
        "project of the VGG Image Annotator 3 (JSON), with temporal segments",
        recognise.any_json(via.is_via, "metadata", "attribute", "file", "view"),
        events=via.read_via_json,
    ),
    "detections-json": Format(
        'predictions {"results": {video: [{"segment": [start, end], "label", "score"}]}}',
        recognise.any_json(detections.is_detections_json, "results"),
        kind="detections",
        events=detections.read_detections,
    ),
    "label-studio": Format(
        "export of Label Studio (JSON or JSON-MIN), with timelines or segments in time",
        recognise.any_json(label_studio.is_label_studio, "data", "annotations"),
        events=label_studio.read_label_studio,
    ),
    "emotion-json": Format(
        'JSON {"a": {"emotion": "joy", "actions": ["nodding", ...], "subset": "train"}}',
        recognise.json_with("emotion", inside=True),
        kind="emotions",
    ),
    "mma52-json": Format(
        'JSON {"val0000": {"subset", "duration", "actions": [[class, start_s, end_s], ...]}}',
        recognise.json_with("actions", inside=True),
        read=read_mma52_json,
    ),
    "activitynet-json": Format(
        'JSON {"database": {video_id: {subset, duration, annotations: [{segment, label}]}}}, or '
        "the object of videos alone; as ActivityNet, THUMOS14, FineAction and others",
        recognise.either(
            recognise.json_with("database"), recognise.json_with("annotations", inside=True)
        ),
        read=read_activitynet_json,
    ),
    "ego4d-json": Format(
        'JSON of Ego4D moments {"videos": [{clips: [{clip_uid, annotations: [{labels}]}]}]}',
        recognise.json_list_in("videos"),
        read=read_ego4d_json,
    ),
    "elan": Format(
        "ELAN file (.eaf) with one annotation per instance on the tiers of a person",
        recognise.is_elan,
        read=read_elan,
    ),
    "praat": Format(
        "TextGrid of Praat, long or short text, with tiers of intervals or points",
        recognise.that(praat.is_praat),
        events=praat.read_praat,
    ),
    "via-csv": Format(
        "export of the VGG Image Annotator 3 as CSV, with a line # CSV_HEADER",
        recognise.that(lambda source: via.is_via_csv(source.text)),
        events=via.read_via_csv,
    ),
    "audacity": Format(
        "label track of Audacity: start, end and label with tabs, without a header",
        recognise.that(audacity.is_audacity),
        events=audacity.read_audacity,
    ),
    "boris-aggregated": Format(
        "aggregated events of BORIS (TSV, CSV, XLSX): Observation id, Subject, Behavior, "
        "Start (s), Stop (s)",
        recognise.table_with(tables.lacking, tables.AGGREGATED_FIELDS),
        events=tables.read_aggregated,
    ),
    "boris-tabular": Format(
        "tabular events of BORIS (TSV, CSV, XLSX): Time, Subject, Behavior, Behavior type "
        "(or Status: START, STOP, POINT)",
        recognise.table_with(tables.lacking, tables.TABULAR_FIELDS),
        events=tables.read_tabular,
    ),
    "elan-text": Format(
        "tab-delimited text of ELAN: tier, begin, end, annotation, with or without a header",
        recognise.that(lambda source: elan_text.layout_of(source) is not None),
        events=elan_text.read_elan_text,
    ),
    "charades-csv": Format(
        'CSV of Charades, with the columns id, actions ("c092 11.9 21.2;..."), length',
        recognise.columns_of("id", "actions", "length"),
        read=read_charades_csv,
    ),
    "epic-csv": Format(
        "CSV of EPIC-KITCHENS-100, with video_id, start_timestamp, stop_timestamp, verb_class",
        recognise.columns_of("video_id", "start_timestamp", among=("verb_class",)),
        read=read_epic_verb_csv,
    ),
    "epic-noun-csv": Format(
        "the same file with its nouns as labels",
        lambda _: recognise.Miss(0.0, ""),
        read=read_epic_noun_csv,
    ),
    "emotion-csv": Format(
        'CSV with the columns video_id, emotion, actions ("nodding;waving"), as for MA-52-Pro',
        recognise.is_emotion_csv,
        kind="emotions",
    ),
    "detections-csv": Format(
        "predictions as CSV with the columns video_id, t_start, t_end, class, score",
        recognise.columns_of(*detections.CSV_COLUMNS),
        kind="detections",
        events=detections.read_detections,
    ),
    "mma52-csv": Format(
        "CSV with the columns id, video_id, start_frame, end_frame, class, total_frames, fps",
        recognise.is_mma52_csv,
        read=read_mma52_csv,
    ),
    "csv": Format(
        "table with the columns video, start, end (or duration) and label, in any order, with , ; "
        "or tabs, or as .xlsx",
        recognise.is_plain,
        events=plain.read_plain,
    ),
    CLIP_FORMAT: Format(
        "list with one line 'name.mp4 label' per clip, or CSV with the columns clip, label",
        recognise.is_clip_list,
        kind="clips",
    ),
}


def detect_format(path: str | Path) -> str:
    """Name in `FORMATS` of the format of a file, detected by its content.

    Raises: AnnotationError if it is none of them, with what the nearest lacks.
    """
    return format_of(Source(Path(path)))


def format_of(source: Source) -> str:
    """The same for a source."""
    misses = {}
    for name, entry in FORMATS.items():
        miss = entry.fit(source)
        if miss is None:
            return name
        misses[name] = miss
    nearest = max(misses, key=lambda name: misses[name].share)
    hint = ""
    if misses[nearest].share > 0:
        hint = f"; nearest is {nearest}: {misses[nearest].reason}"
    known = "\n".join(f"  {name}: {entry.description}" for name, entry in FORMATS.items())
    raise AnnotationError(
        f"{source.path}: none of the known annotation formats{hint}. Tried were:\n{known}"
    )
