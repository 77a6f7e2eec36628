"""Every reader of files, and valid files for it: the one table of `fuzz.py` and its tests."""

import gzip
import json
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import h5py
import numpy as np
import torch

from mmad.annotations.attach import read_subjects
from mmad.annotations.clips.lists import read_clip_list
from mmad.annotations.elan.writing import write_elan
from mmad.annotations.emotions.lists import read_emotions
from mmad.annotations.exchange.events import CodedVideo, Event, EventFile
from mmad.annotations.exchange.reading import read_events
from mmad.annotations.exchange.writing import WRITERS, write_events
from mmad.annotations.format_table import FORMATS
from mmad.annotations.formats import detect_format, read_annotations
from mmad.annotations.label_files import read_labels
from mmad.checkpoint import save_tensors
from mmad.config.reading import load_any_config
from mmad.data.features.folders import FOLDER_MANIFEST, FOLDER_VIDEOS
from mmad.data.features.windows import open_features
from mmad.engine.runs.folder import RunFolder, read_state
from mmad.engine.runs.load import labels_of
from mmad.evaluation.clips.details import read_details
from mmad.evaluation.clips.recognition import read_recognitions
from mmad.evaluation.clips.scores import read_scores
from mmad.evaluation.emotions.predictions import (
    EmotionPredictions,
    read_emotion_predictions,
    write_emotion_predictions,
)
from mmad.evaluation.predictions import read_predictions
from mmad.evaluation.submission import check_submission
from mmad.labels import MA52
from mmad.structures import Detections
from mmad.synthetic.dataset import _compare_settings
from mmad.video.copies import read_manifest
from mmad.video.faces.boxes import read_face_boxes
from mmad.video.open import open_video
from mmad.video.person_box import read_boxes
from mmad.weights.files import read_weights

Make = Callable[[Path], None]


@dataclass(frozen=True)
class Reader:
    """One way to read a file.

    Attributes:
        name: of the reader.
        file: the file, in a folder that ``make`` has filled, that is changed and read.
        make: fills a folder with valid files.
        read: reads the file, all of it.
        is_slow: takes many milliseconds.
    """

    name: str
    file: str
    make: Make
    read: Callable[[Path], Any]
    is_slow: bool = False


def _text(name: str, text: str) -> Make:
    return lambda folder: _write(folder / name, text.encode())


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


_MMA52_CSV = "id,video_id,start_frame,end_frame,class,total_frames,fps\n" + "".join(
    f"{row},v{row // 2},{10 * row},{10 * row + 25},{row % 52},300,30.0\n" for row in range(8)
)
_MMA52 = {
    f"v{row}": {"subset": "val", "duration": 9.5, "actions": [[row, 0.5, 1.25], [9, 1.0, 2.0]]}
    for row in range(3)
}
_ACTIVITYNET = {
    "classes": ["nodding", "waving"],
    "database": {
        "v0": {
            "subset": "validation",
            "duration": 12.5,
            "fps": 25.0,
            "frame": 312,
            "annotations": [{"segment": [0.5, 2.0], "label": "nodding"}],
        }
    },
}
_EGO4D = {
    "videos": [
        {
            "split": "val",
            "clips": [
                {
                    "clip_uid": "c",
                    "video_start_sec": 2.0,
                    "video_end_sec": 9.0,
                    "annotations": [
                        {
                            "labels": [
                                {
                                    "label": "nodding",
                                    "primary": True,
                                    "video_start_time": 3.0,
                                    "video_end_time": 4.0,
                                }
                            ]
                        }
                    ],
                }
            ],
        }
    ]
}
_ELAN = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="" DATE="2024-01-01T00:00:00+00:00" FORMAT="3.0" VERSION="3.0">
<HEADER MEDIA_FILE="" TIME_UNITS="milliseconds"><MEDIA_DESCRIPTOR MEDIA_URL="file:///v/P1.mp4"
 MIME_TYPE="video/mp4" RELATIVE_MEDIA_URL="./P1.mp4"/></HEADER>
<TIME_ORDER><TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="500"/>
<TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="1500"/></TIME_ORDER>
<TIER LINGUISTIC_TYPE_REF="t" TIER_ID="head"><ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1"
 TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2" CVE_REF="c1"><ANNOTATION_VALUE>nodding</ANNOTATION_VALUE>
</ALIGNABLE_ANNOTATION></ANNOTATION></TIER>
<LINGUISTIC_TYPE LINGUISTIC_TYPE_ID="t" TIME_ALIGNABLE="true" CONTROLLED_VOCABULARY_REF="cv"/>
<CONTROLLED_VOCABULARY CV_ID="cv"><DESCRIPTION LANG_REF="eng"/><CV_ENTRY_ML CVE_ID="c1"><CVE_VALUE
 DESCRIPTION="" LANG_REF="eng">nodding</CVE_VALUE></CV_ENTRY_ML></CONTROLLED_VOCABULARY>
</ANNOTATION_DOCUMENT>
"""
_PREDICTIONS = ",video_id,t_start,t_end,class,score\n" + "".join(
    f"{row},v{row // 3},{row}.25,{row + 1}.5,{row % 52},0.{row + 1}\n" for row in range(6)
)
_RESULTS = {"results": {"v0": [{"segment": [0.5, 1.5], "label": "nodding", "score": 0.5}]}}
_RANKED = (
    "vid,"
    + ",".join(f"{level}_pred_{rank}" for level in ("action", "body") for rank in range(1, 6))
    + "\n"
    + "".join(f"c{row}.mp4,9,3,2,1,0,1,0,2,3,4\n" for row in range(3))
)
_STORED = {"num_rows": 6, "num_steps": 6, "stride_frames": 2.0, "fps": 30.0, "notices": []}
_MANIFEST = {"grid": {"stride_frames": 2.0, "offset_frames": 0.0, "fps": 30.0}, "step_shape": [8]}
_CONFIG = Path(__file__).resolve().parents[1] / "configs" / "demo.yaml"


def _packed_predictions(folder: Path) -> None:
    _write(folder / "p.csv.gz", gzip.compress(_PREDICTIONS.encode()))
    for name, text in (("p.zip", _PREDICTIONS), ("r.zip", _RANKED)):
        with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("prediction.csv", text)


def _scores(folder: Path) -> None:
    rng = np.random.default_rng(0)
    tables = {"action_scores": rng.random((3, 52)), "body_scores": rng.random((3, 7))}
    np.savez_compressed(folder / "s.npz", clip_ids=np.array(["a.mp4", "b.mp4", "c.mp4"]), **tables)
    np.savez(
        folder / "d.npz",
        clip_ids=np.array(["a", "b"]),
        features=np.ones((2, 4), np.float16),
        curves=np.ones((2, 3, 5), np.float16),
    )
    names = [f"action_{index}" for index in range(52)] + [f"body_{index}" for index in range(7)]
    _write(folder / "s.csv", f"vid,{','.join(names)}\na.mp4,{','.join(['0.5'] * 59)}\n".encode())


def _emotions(folder: Path) -> None:
    rng = np.random.default_rng(0)
    names = ("a", "b", "c")
    found = EmotionPredictions(names, rng.random((3, 5)), rng.random((3, 52)), np.arange(52))
    for suffix in ("csv", "json", "npz"):
        write_emotion_predictions(folder / f"s.{suffix}", found, labels=MA52)
    entry = {"emotion": "joy", "actions": ["B1", 3], "subject": "p1", "duration": 2.5}
    _write(folder / "e.json", json.dumps({"a": entry, "b": {"emotion": 4}}).encode())
    _write(folder / "e.csv", b"video_id,emotion,actions,duration\na,joy,B1;nodding,3\nb,,,\n")


def _boxes(folder: Path) -> None:
    _write(folder / "b.csv", b"video_id,left,top,right,bottom\nv0,1,2,30,40\nv1,5,6,70,80.5\n")
    _write(folder / "b.json", json.dumps({"v0": [[1, 2, 30, 40]], "v1": [[5, 6, 7, 8]]}).encode())
    np.savez(folder / "b.npz", v0=np.array([[1.0, 2, 30, 40]]))


def _run(folder: Path) -> None:
    _write(folder / "config.yaml", _CONFIG.read_bytes())
    labels = {"names": ["a", "b"], "codes": ["A1", "B1"], "parents": [0, 1]}
    labels |= {"parent_names": ["x", "y"], "parent_codes": ["A", "B"]}
    _write(folder / "labels.json", json.dumps(labels).encode())
    rows = [
        {"kind": "data", "step": 0, "fps": 30.0},
        {"kind": "step", "step": 1, "loss": 2.5, "learning_rate": 1e-4},
        {"kind": "validation", "step": 1, "action_map": 0.25},
    ]
    _write(folder / "log.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())
    _write(folder / "features.json", json.dumps(_MANIFEST).encode())
    weight = {"w": torch.ones(3, 4)}
    state = {
        **{"step": 1, "best": 0.5, "best_step": 1, "trained": weight, "average": weight},
        **{
            "average_updates": 1,
            "optimizer": {"state": {0: weight}, "param_groups": [{"lr": 0.1}]},
        },
        **{"scaler": {}, "normalizer": torch.tensor(3.0), "frozen_sha256": "0" * 64},
    }
    torch.save(state, folder / "last.pt")


def _weights(folder: Path) -> None:
    weight = {"blocks.0.weight": torch.arange(12.0).reshape(3, 4), "head": torch.ones(2).half()}
    save_tensors(folder / "model.safetensors", weight, metadata={"a": "b"})
    torch.save({"model": weight, "best": np.float64(0.5), "epoch": 3}, folder / "w.pt")
    torch.save({"model": weight}, folder / "old.pth", _use_new_zipfile_serialization=False)
    (folder / "parts").mkdir()
    save_tensors(folder / "parts" / "p.safetensors", weight)
    index = {"metadata": {"total_size": 56}, "weight_map": dict.fromkeys(weight, "p.safetensors")}
    _write(folder / "parts" / "model.safetensors.index.json", json.dumps(index).encode())


def _features(folder: Path) -> None:
    array = np.arange(48, dtype=np.float32).reshape(6, 8)
    with h5py.File(folder / "f.h5", "w", libver="v110") as file:
        file.attrs["manifest"] = json.dumps(_MANIFEST)
        for name in ("v0", "v1"):
            file.create_dataset(f"videos/{name}", data=array, track_times=False)
            file["videos"][name].attrs["video"] = json.dumps(_STORED)
        packed = file["videos"].create_dataset("v2", data=array, chunks=(3, 8), compression="gzip")
        packed.attrs["video"] = json.dumps(_STORED)
    arrays = folder / "arrays"
    arrays.mkdir()
    np.save(arrays / "npy.npy", array)
    np.savez_compressed(arrays / "npz.npz", feats=array)
    torch.save(torch.from_numpy(array), arrays / "pt.pt")
    (arrays / "pkl.pkl").write_bytes(pickle.dumps(array, protocol=4))
    np.savetxt(arrays / "csv.csv", array, delimiter=",", header="a", comments="")
    _write(arrays / FOLDER_MANIFEST, json.dumps(_MANIFEST).encode())
    _write(arrays / FOLDER_VIDEOS, json.dumps({"npy": _STORED}).encode())


def _copies(folder: Path) -> None:
    copies = {"v0.mp4": {"source": "v0.mp4", "source_bytes": 10, "short_side": 160}, "v1.mp4": None}
    _write(folder / "prepared.json", json.dumps({"copies": copies}).encode())
    _write(folder / "synthesize.json", json.dumps({"seed": 0, "packages": {}}).encode())


def _videos(folder: Path) -> None:
    frame = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    for name, codec in (
        *(("v.mp4", "libx264"), ("v.mkv", "libx264"), ("v.ts", "libx264"), ("v.avi", "mjpeg")),
        *(("v.webm", "libvpx-vp9"), ("v.mpg", "mpeg2video"), ("v.h264", "libx264")),
    ):
        with av.open(str(folder / name), "w") as container:
            stream: Any = container.add_stream(codec, rate=25)
            stream.width, stream.height = 64, 48
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            for number in range(12):
                image = av.VideoFrame.from_ndarray(np.roll(frame, number, axis=1), format="rgb24")
                for packet in stream.encode(image.reformat(format=stream.pix_fmt)):
                    container.mux(packet)
            for packet in stream.encode():
                container.mux(packet)


def _annotations(path: Path) -> object:
    return read_annotations(path)


_EVENTS = EventFile(
    Path("v"),
    "csv",
    (
        Event("v", "nod", 0.5, 1.25, "P1", "anna", 0.5, "left", "fast|far"),
        Event("v", "nodding", 1.0, 2.5, "P1"),
        Event("v", "blink", 1.5, 1.5),
    ),
    ("", "", ""),
    (CodedVideo("v", "v.mp4", 9.5, 25.0, "val"),),
)


def _coded(format: str, *, name: str = "") -> Make:
    """A file of coded events in a format."""
    file = _EVENTS
    if FORMATS[format].kind == "detections":
        file = replace(_EVENTS, events=_EVENTS.events[1:2], places=("",))

    def make(folder: Path) -> None:
        write_events(folder / (name or f"v{WRITERS[format].suffix}"), file, format=format)

    return make


def _read_coded(path: Path) -> None:
    read_events(path, tell=lambda notice: None)
    read_annotations(path, tell=lambda notice: None)


def _update_boris(path: Path) -> None:
    write_events(path, _EVENTS, format="boris")


def _update_elan(path: Path) -> None:
    found = Detections(np.array([[0.5, 1.0]]), np.array([9]), np.array([0.5]))
    write_elan(path, video=path, detections=found, labels=MA52, min_score=0.1)


def _read_features(path: Path) -> None:
    found = open_features(path)
    for name in found.video_ids():
        found.read(name, 0, found.video(name).num_rows)


def _read_array(path: Path) -> None:
    found = open_features(path.parent)
    name = path.stem if path.suffix != ".json" else "npy"
    found.read(name, 0, found.video(name).num_rows)


def _read_video(path: Path) -> None:
    with open_video(path, short_side=32) as reader:
        for first in range(0, min(reader.index.num_frames, 60), 16):
            reader.read(range(first, min(first + 16, reader.index.num_frames)))


READERS = (
    Reader("mma52-csv", "val.csv", _text("val.csv", _MMA52_CSV), _annotations),
    Reader("mma52-json", "val.json", _text("val.json", json.dumps(_MMA52)), _annotations),
    Reader("activitynet", "val.json", _text("val.json", json.dumps(_ACTIVITYNET)), _annotations),
    Reader("ego4d", "val.json", _text("val.json", json.dumps(_EGO4D)), _annotations),
    Reader(
        "charades",
        "val.csv",
        _text("val.csv", "id,length,actions\nA,9.5,c092 1.9 3.2\n"),
        _annotations,
    ),
    Reader(
        "epic",
        "val.csv",
        _text(
            "val.csv",
            "narration_id,video_id,start_timestamp,stop_timestamp,verb_class,noun_class\n"
            "a_0,a,00:00:01.50,00:00:03.25,3,5\n",
        ),
        _annotations,
    ),
    Reader("elan", "v.eaf", _text("v.eaf", _ELAN), _annotations),
    *(
        Reader(format, WRITERS[format].suffix.replace(".", "v."), _coded(format), _read_coded)
        for format in WRITERS
        if FORMATS[format].events is not None
    ),
    Reader("boris-xlsx", "v.xlsx", _coded("boris-tabular", name="v.xlsx"), _read_coded),
    Reader("boris-update", "v.boris", _coded("boris"), _update_boris),
    Reader("elan-update", "v.eaf", _text("v.eaf", _ELAN), _update_elan),
    Reader("format", "x.json", _text("x.json", json.dumps(_MMA52)), detect_format),
    *(
        Reader(kind, name, _text(name, text), lambda path: read_clip_list(path, labels=MA52))
        for kind, name, text in (
            ("clips", "c.txt", "a b.mp4 9\nP1/c.avi nodding\n"),
            ("clips-csv", "c.csv", "clip,label,subject,fold\na.mp4,9,p1,1\nb.mp4,nodding,p2,2\n"),
            ("clips-class", "nodding_test_split1.txt", "a.avi 1\nb.avi 2\nc.avi 0\n"),
        )
    ),
    *(
        Reader(f"labels-{name[2:]}", name, _text(name, text), read_labels)
        for name, text in (
            ("l.txt", "1 nod\n2 wave\n"),
            ("l.csv", "name,number,parent\nnod,0,head\nwave,1,arm\n"),
            ("l.json", '{"nod": 0, "wave": 1}'),
        )
    ),
    Reader(
        "predictions-csv",
        "p.csv",
        _text("p.csv", _PREDICTIONS),
        lambda path: read_predictions(path, labels=MA52),
    ),
    Reader(
        "predictions-json",
        "p.json",
        _text("p.json", json.dumps(_RESULTS)),
        lambda path: read_predictions(path, labels=MA52),
    ),
    Reader(
        "predictions-repair",
        "p.csv",
        _text("p.csv", _PREDICTIONS),
        lambda path: read_predictions(path, labels=MA52, repair=True),
    ),
    *(
        Reader(
            f"predictions-{name[2:]}",
            name,
            _packed_predictions,
            lambda path: read_predictions(path, labels=MA52),
        )
        for name in ("p.csv.gz", "p.zip")
    ),
    Reader("submission", "p.zip", _packed_predictions, check_submission),
    Reader("submission-clips", "r.zip", _packed_predictions, check_submission),
    Reader(
        "recognitions",
        "r.csv",
        _text("r.csv", _RANKED),
        lambda path: read_recognitions(path, labels=MA52),
    ),
    *(
        Reader(f"scores-{name[2:]}", name, _scores, lambda path: read_scores(path, labels=MA52))
        for name in ("s.npz", "s.csv")
    ),
    *(
        Reader(
            f"emotions-{name[2:]}", name, _emotions, lambda path: read_emotions(path, labels=MA52)
        )
        for name in ("e.csv", "e.json")
    ),
    *(
        Reader(
            f"emotion-scores-{name[2:]}",
            name,
            _emotions,
            lambda path: read_emotion_predictions(path, labels=MA52),
        )
        for name in ("s.csv", "s.json", "s.npz")
    ),
    Reader("details", "d.npz", _scores, read_details),
    Reader(
        "subjects", "s.csv", _text("s.csv", "video_id,subject\nv0,ann\nv1,ben\n"), read_subjects
    ),
    *(
        Reader(f"boxes-{name[2:]}", name, _boxes, read_boxes)
        for name in ("b.csv", "b.json", "b.npz")
    ),
    Reader(
        "face-boxes",
        "f.csv",
        _text("f.csv", "video_id,frame,x,y,w,h\nv0,0,1,2,30,40\nv0,5,5.5,6,70,80\nv1,,,,,\n"),
        read_face_boxes,
    ),
    Reader(
        "config",
        "c.yaml",
        lambda folder: _write(folder / "c.yaml", _CONFIG.read_bytes()),
        load_any_config,
    ),
    Reader("run-labels", "labels.json", _run, lambda path: labels_of(RunFolder(path.parent))),
    Reader("run-log", "log.jsonl", _run, lambda path: RunFolder(path.parent).training_fps()),
    Reader("run-features", "features.json", _run, lambda path: RunFolder(path.parent).manifest()),
    Reader("run-state", "last.pt", _run, lambda path: read_state(RunFolder(path.parent))),
    *(
        Reader(f"weights-{name.rpartition('.')[2]}", name, _weights, read_weights)
        for name in ("model.safetensors", "w.pt", "old.pth")
    ),
    Reader(
        "weights-index",
        "parts/model.safetensors.index.json",
        _weights,
        lambda path: read_weights(path.parent),
    ),
    Reader("features-h5", "f.h5", _features, _read_features),
    *(
        Reader(f"features-{name.rpartition('.')[2]}", f"arrays/{name}", _features, _read_array)
        for name in ("npy.npy", "npz.npz", "pt.pt", "pkl.pkl", "csv.csv")
    ),
    Reader("features-manifest", f"arrays/{FOLDER_MANIFEST}", _features, _read_array),
    Reader("features-videos", f"arrays/{FOLDER_VIDEOS}", _features, _read_array),
    Reader("copies", "prepared.json", _copies, read_manifest),
    Reader(
        "synthesize", "synthesize.json", _copies, lambda path: _compare_settings(path, {"seed": 0})
    ),
    *(
        Reader(f"video-{name[2:]}", name, _videos, _read_video, is_slow=True)
        for name in ("v.mp4", "v.mkv", "v.ts", "v.avi", "v.webm", "v.mpg", "v.h264")
    ),
)
