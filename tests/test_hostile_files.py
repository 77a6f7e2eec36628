"""Files made to do harm: links that lead out, bombs, nesting, numbers that overflow."""

import gzip
import io
import json
import zipfile
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from mmad.annotations.clips.lists import read_clip_list
from mmad.annotations.formats import read_annotations
from mmad.checkpoint import load_pickled, save_tensors
from mmad.config.reading import load_any_config
from mmad.data.features.files import FeatureFile
from mmad.data.features.folders import FeatureFolder, read_array
from mmad.engine.runs.folder import RunFolder, read_state
from mmad.engine.runs.load import labels_of
from mmad.errors import (
    AnnotationError,
    CheckpointError,
    ConfigError,
    FeatureError,
    MmadError,
    PredictionError,
)
from mmad.evaluation.clips.recognition import read_recognitions
from mmad.evaluation.clips.scores import read_scores
from mmad.evaluation.predictions import read_predictions
from mmad.labels import MA52
from mmad.limits import VARIABLE
from mmad.names import problem_of_id
from mmad.parsing import json_value, yaml_value
from mmad.video.index import iterate_packets
from mmad.video.person_box import read_boxes
from mmad.weights.files import read_weights
from support.commands import run_mmad

CSV = "video_id,t_start,t_end,class,score\n"


def features_with(path: Path, name: str = "v", **changes: object) -> Path:
    """A file of features whose facts about its one video are changed."""
    facts = {"num_rows": 4, "num_steps": 4, "stride_frames": 2.0, "fps": 30.0, "notices": []}
    with h5py.File(path, "w") as file:
        file.attrs["manifest"] = json.dumps({"grid": None, "step_shape": [3]})
        videos = file.create_group("videos")
        videos[name] = np.ones((4, 3), np.float32)
        videos[name].attrs["video"] = json.dumps({**facts, **changes})
    return path


# ---- links ----


def test_features_do_not_follow_links_out_of_their_file(tmp_path: Path) -> None:
    secret = features_with(tmp_path / "secret.h5")
    for number, link in enumerate(
        [
            h5py.ExternalLink(str(secret), "videos/v"),
            h5py.ExternalLink(str(secret), "videos"),
            h5py.SoftLink("/videos/v"),
        ]
    ):
        path = features_with(tmp_path / f"{number}.h5")
        with h5py.File(path, "r+") as file:
            if number == 1:
                del file["videos"]
                file["videos"] = link
            else:
                file["videos"]["other"] = link
        with pytest.raises(FeatureError, match=f"{number}.h5.*is a link; it is not followed"):
            FeatureFile(path)


def test_features_do_not_read_external_storage(tmp_path: Path) -> None:
    path = features_with(tmp_path / "f.h5")
    (tmp_path / "secret").write_bytes(bytes(48))
    with h5py.File(path, "r+") as file:
        facts = file["videos/v"].attrs["video"]
        stored = file["videos"].create_dataset(
            "w", (4, 3), "f4", external=[(str(tmp_path / "secret"), 0, 48)]
        )
        stored.attrs["video"] = facts
    with pytest.raises(FeatureError, match="'w': expected an array in this file"):
        FeatureFile(path)


@pytest.mark.parametrize("name", ["a\nb", "..", "a\x1b[2J"])
def test_ids_of_features_are_names(tmp_path: Path, name: str) -> None:
    path = features_with(tmp_path / "f.h5", name)
    with pytest.raises(FeatureError, match=r"id of a video (holds a control|leads out)"):
        FeatureFile(path)


def test_convert_writes_into_its_folder_only(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    path = features_with(tmp_path / "f.h5", "C:x?")
    with h5py.File(path, "r+") as file:
        # The name of a link may hold what the library would split at.
        name = str(victim).encode()
        link = b"v" * len(name)
        file["videos"].move("C:x?", link.decode())
    content = path.read_bytes().replace(link, name)
    path.write_bytes(content)
    said = run_mmad(["features", "convert", path, tmp_path / "out"], code=2)
    assert "leads out of its folder" in said.stderr
    assert not victim.with_suffix(".npy").exists()


def test_ids_that_are_no_file_names_survive_a_folder_of_arrays(tmp_path: Path) -> None:
    path = features_with(tmp_path / "f.h5", "C:x?")
    out = tmp_path / "out"
    run_mmad(["features", "convert", path, out])
    assert (out / "C%3Ax%3F.npy").is_file()
    assert FeatureFolder(out).video_ids() == ["C:x?"]
    assert FeatureFolder(out).video("C:x?").fps == 30.0


@pytest.mark.parametrize("part", ["../secret.safetensors", "/secret.safetensors", "a/b"])
def test_an_index_of_weights_names_files_of_its_folder(tmp_path: Path, part: str) -> None:
    folder = tmp_path / "model"
    save_tensors(tmp_path / "secret.safetensors", {"w": torch.ones(1)})
    folder.mkdir()
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"w": part}}))
    with pytest.raises(CheckpointError, match=r"index\.json: names .*by their names in this"):
        read_weights(folder)


@pytest.mark.parametrize(
    "name", ["a\x00b", "../x", "a/../../x", "/etc/x", "C:\\x", "a\x7f", "a" * 300]
)
def test_ids_with_control_characters_or_ways_out_are_refused(tmp_path: Path, name: str) -> None:
    assert problem_of_id(name)
    annotations = tmp_path / "val.json"
    annotations.write_text(json.dumps({name: {"subset": "val", "duration": 2.0, "actions": []}}))
    with pytest.raises(AnnotationError, match=r"its id (holds a control|leads out|is longer)"):
        read_annotations(annotations)
    predictions = tmp_path / "p.json"
    predictions.write_text(json.dumps({"results": {name: []}}))
    with pytest.raises(PredictionError, match=r"the id .* (holds a control|leads out|is longer)"):
        read_predictions(predictions, labels=MA52)
    clips = tmp_path / "clips.txt"
    clips.write_text(f"{name}.mp4 3\n")
    with pytest.raises(AnnotationError, match=r"its name (holds a control|leads out|is longer)"):
        read_clip_list(clips, labels=MA52)
    guesses = tmp_path / "g.csv"
    guesses.write_text(f"vid,action_pred_1\n{name},3\n")
    with pytest.raises(PredictionError, match=r"the id .* (holds a control|leads out|is longer)"):
        read_recognitions(guesses, labels=MA52)


def test_folders_in_ids_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "val.json"
    entry = {"subset": "val", "duration": 2.0, "actions": [[3, 0.5, 1.0]]}
    path.write_text(json.dumps({"P01/cam 1 (ä)": entry}))
    assert read_annotations(path).records[0].video_id == "P01/cam 1 (ä)"


# ---- bombs ----


def test_a_packed_file_may_not_be_a_thousand_times_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = CSV.encode() + b"v,0.0,1.0,3,0.5\n" * 1_500_000  # 24 MB
    packed = tmp_path / "p.csv.gz"
    packed.write_bytes(gzip.compress(content))
    with zipfile.ZipFile(tmp_path / "p.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("prediction.csv", content)
    for path in (packed, tmp_path / "p.zip"):
        with pytest.raises(PredictionError, match=f"more than the allowed.*{VARIABLE}"):
            read_predictions(path, labels=MA52)
    monkeypatch.setenv(VARIABLE, "30")
    small = tmp_path / "q.csv.gz"
    small.write_bytes(gzip.compress(CSV.encode() + b"v,0.0,1.0,3,0.5\n"))
    assert len(read_predictions(small, labels=MA52)["v"]) == 1
    monkeypatch.setenv(VARIABLE, "much")
    with pytest.raises(ConfigError, match=f"{VARIABLE}=much: expected a whole number"):
        read_predictions(small, labels=MA52)


def npz_of(path: Path, *, claimed: tuple[int, ...], content: bytes) -> Path:
    """An npz file with one array that claims to be larger than it is."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": claimed}
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("feats.npy", "clip_ids.npy"):
            archive.writestr(name, header.getvalue() + content)
    return path


def test_arrays_that_claim_too_much_are_refused_before_they_are_made(tmp_path: Path) -> None:
    claims = npz_of(tmp_path / "claims.npz", claimed=(10**9, 1000), content=b"")
    zeros = npz_of(tmp_path / "zeros.npz", claimed=(5_000_000, 2), content=bytes(40_000_000))
    with pytest.raises(ValueError, match="does not fit in"):
        read_array(claims)
    with pytest.raises(FeatureError, match="more than the allowed"):
        read_array(zeros)
    with pytest.raises(PredictionError, match="does not fit in"):
        read_scores(claims, labels=MA52)
    with pytest.raises(AnnotationError, match="more than the allowed"):
        read_boxes(zeros)


def test_huge_numbers_of_boxes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    path.write_text(json.dumps({"v": [[1, 2, 3, 10**400]]}))
    with pytest.raises(AnnotationError, match="video v: expected left, top, right, bottom"):
        read_boxes(path)


@pytest.mark.slow
def test_a_damaged_attribute_in_hdf5_does_not_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmad.data.features.files._cpu_seconds", lambda path: 1)
    path = features_with(tmp_path / "f.h5")
    content = bytearray(path.read_bytes())
    # The size of the first text in the heap: HDF5 looks for the next one without end.
    content[content.index(b"GCOL") + 24] = 255
    path.write_bytes(content)
    with pytest.raises(FeatureError, match=r"f\.h5: is damaged"):
        FeatureFile(path)


def test_links_of_endless_names_are_not_found(tmp_path: Path) -> None:
    path = tmp_path / "v.eaf"
    path.write_text(
        f'<ANNOTATION_DOCUMENT><HEADER><MEDIA_DESCRIPTOR MEDIA_URL="./v.mp4" '
        f'RELATIVE_MEDIA_URL="./{"A" * 5000}.mp4" MIME_TYPE="video/mp4"/></HEADER><TIME_ORDER>'
        '<TIME_SLOT TIME_SLOT_ID="a" TIME_VALUE="500"/></TIME_ORDER></ANNOTATION_DOCUMENT>'
    )
    assert read_annotations(path).records[0].duration_seconds == 0.5


def test_times_of_5000_digits_are_refused(tmp_path: Path) -> None:
    digits = "9" * 5000
    path = tmp_path / "v.eaf"
    path.write_text(
        "<ANNOTATION_DOCUMENT><HEADER/><TIME_ORDER>"
        f'<TIME_SLOT TIME_SLOT_ID="a" TIME_VALUE="{digits}"/></TIME_ORDER>'
        "</ANNOTATION_DOCUMENT>"
    )
    with pytest.raises(AnnotationError, match="time slot a: expected whole milliseconds"):
        read_annotations(path)
    path = tmp_path / "val.csv"
    header = "narration_id,video_id,start_timestamp,stop_timestamp,verb_class,noun_class\n"
    path.write_text(f"{header}a_0,a,00:00:01.5,{digits}:00:02.5,3,5\n")
    with pytest.raises(AnnotationError, match=r"line 2 .*expected times such as"):
        read_annotations(path, format="epic-csv")


@pytest.mark.parametrize("order", "<>")
def test_text_beyond_unicode_is_refused(tmp_path: Path, order: str) -> None:
    names = np.array([[0x20000061, 0x62]], f"{order}u4").view(f"{order}U2").ravel()
    tables = {"action_scores": np.zeros((1, 52)), "body_scores": np.zeros((1, 7))}
    np.savez(tmp_path / "s.npz", clip_ids=names, **tables)
    with pytest.raises(PredictionError, match="numbers that are not characters"):
        read_scores(tmp_path / "s.npz", labels=MA52)
    np.savez(tmp_path / "s.npz", clip_ids=np.array(["aä"], f"{order}U2"), **tables)
    assert read_scores(tmp_path / "s.npz", labels=MA52).clip_ids == ("aä.mp4",)


def test_sparse_arrays_in_hdf5_are_refused(tmp_path: Path) -> None:
    path = features_with(tmp_path / "f.h5")
    with h5py.File(path, "r+") as file:
        facts = {"num_rows": 10**9, "num_steps": 4, "stride_frames": 2.0, "fps": 30.0}
        sparse = file["videos"].create_dataset("w", (10**9, 3), "f4", chunks=(1000, 3))
        sparse.attrs["video"] = json.dumps({**facts, "notices": []})
    assert path.stat().st_size < 20_000
    with pytest.raises(FeatureError, match=r"'w': .*12,000,000,000 once.*more than the allowed"):
        FeatureFile(path)


def test_pickles_that_claim_too_much_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "v.pkl"
    path.write_bytes(b"\x80\x05\x96" + (2**36).to_bytes(8, "little") + b"short.")
    with pytest.raises(ValueError, match="expected 68719476736 bytes"):
        read_array(path)


def test_tensors_that_repeat_one_number_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "v.pt"
    torch.save(torch.ones(1).expand(10**9, 10), path)
    for read in (read_array, lambda path: load_pickled(path, error=FeatureError)):
        with pytest.raises(FeatureError, match="claim to hold 40,000,000,000"):
            read(path)
    # And the names of classes in the file.
    with pytest.raises(CheckpointError, match=r"claim to hold 40,000,000,0\d\d"):
        read_weights(path)


def test_settings_may_not_explode(tmp_path: Path) -> None:
    lines = ["a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in pairwise("abcdefghi")]
    path = tmp_path / "c.yaml"
    path.write_text("\n".join(lines))
    with pytest.raises(ConfigError, match=r"c\.yaml: [\d,]+ values in 10 levels"):
        load_any_config(path)


@pytest.mark.parametrize(
    "text", ["&a [*a]", "[" * 100_000, "[" * 80 + "]" * 80, "!!int ''", "2001-99-99", "9" * 5000]
)
def test_odd_yaml_is_an_error_of_the_settings(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^c: "):
        yaml_value("c", f"key: {text}", error=ConfigError)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 65 + "]" * 65, "nested too deeply"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ('{"a": "]]]]]]", "b": ' + "[" * 65 + "]" * 65 + "}", "nested too deeply"),
        ('["\\"]", ' * 65, "nested too deeply"),
        ("9" * 5000, "not valid JSON"),
        ("[1", "not valid JSON at line 1"),
    ],
)
def test_deep_and_huge_json_is_refused(text: str, message: str) -> None:
    with pytest.raises(PredictionError, match=f"^f: {message}"):
        json_value("f", text, error=PredictionError)
    assert json_value("f", "[" * 64 + '"[[[[[["' + "]" * 64)


# ---- files of a run ----


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"names": "abc"}', "names: input should be a valid tuple"),
        ('{"names": ["a", 1]}', "names.1: input should be a valid string"),
        ('{"names": ["a", "a"]}', "label names must differ"),
        ('{"names": []}', "expected the names of the classes"),
        ('{"names": ["a"], "parents": [7]}', "must be an index into parent_names"),
        ("[]", "found \\[\\]"),
        ("{", "not valid JSON"),
    ],
)
def test_classes_of_a_run_are_checked(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "config.yaml").write_text("task: detection\n")
    (tmp_path / "labels.json").write_text(content)
    with pytest.raises(CheckpointError, match=rf"labels\.json: .*{message}"):
        labels_of(RunFolder(tmp_path))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[1]", "line 2: .*found \\[1\\]"),
        ('{"kind": "data", "fps": "many"}', "line 2: fps: "),
        ('{"kind": "data", "fps": -3}', "line 2: fps: input should be greater than 0"),
        ('{"kind": "step", "step": -1}', "line 2: step: "),
        ('{"kind": 5}', "line 2: kind: "),
    ],
)
def test_the_log_of_a_run_is_checked(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "log.jsonl").write_text('{"kind": "step", "step": 1, "loss": 2.5}\n' + line + "\n")
    with pytest.raises(CheckpointError, match=rf"log\.jsonl: {message}"):
        RunFolder(tmp_path).rows()


@pytest.mark.parametrize("content", [[1], {}, {"step": "x"}, 3])
def test_the_state_of_a_training_is_checked(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "last.pt")
    with pytest.raises(CheckpointError, match=r"last\.pt: "):
        read_state(RunFolder(tmp_path))


@pytest.mark.parametrize(
    "changes",
    [
        {"fps": float("nan")},
        {"fps": 0},
        {"stride_frames": float("inf")},
        {"stride_frames": -2},
        {"num_rows": 5},
        {"num_steps": 5},
        {"num_steps": "many"},
        {"duration_seconds": -1},
        {"notices": 7},
    ],
)
def test_facts_of_features_are_checked(tmp_path: Path, changes: dict[str, object]) -> None:
    path = features_with(tmp_path / "f.h5", **changes)
    with pytest.raises(FeatureError, match=r"f\.h5: video 'v': "):
        FeatureFile(path)


@pytest.mark.parametrize(
    "entry",
    [
        {"duration": 1e308, "fps": 1e308},
        {"duration": 1e12},
        {"duration": 5, "fps": 1e9},
        {"duration": 5, "frame": 1e14},
    ],
)
def test_lengths_and_rates_are_finite(tmp_path: Path, entry: dict[str, float]) -> None:
    path = tmp_path / "val.json"
    path.write_text(json.dumps({"v": {"subset": "val", **entry, "actions": []}}))
    with pytest.raises(MmadError, match=r"video v: .*(at most|expected a number)"):
        read_annotations(path)


@pytest.mark.parametrize("ends", [b"\nx\n.", b""], ids=["whole", "cut off"])
def test_the_name_of_a_class_is_not_searched_for_minutes(ends: bytes, tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("w/data.pkl", b"\x80\x02c" + b"A" * 200_000 + ends)
        archive.writestr("w/version", "3")
    with pytest.raises(CheckpointError, match="contains a class name of 200,0"):
        load_pickled(path, error=CheckpointError)
    with pytest.raises(CheckpointError, match=r"(holds a Name|not a file of weights).{,200}$"):
        read_weights(path)


def test_a_stream_that_begins_in_the_middle_of_a_file_is_skipped() -> None:
    class Packet:
        size = 1

    class Container:
        def __init__(self) -> None:
            self.left = iter([Packet(), IndexError("list index out of range"), Packet()])

        def demux(self, stream: object):
            for item in self.left:
                if isinstance(item, Exception):
                    raise item
                yield item

    damage = [0]
    assert len(list(iterate_packets(Container(), None, on_damage=damage))) == 2
    assert damage == [1]
