import argparse
import datetime
import io
import os
import pickle
import struct
import sys
import zipfile
from collections import Counter, OrderedDict
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from mmad.errors import CheckpointError
from mmad.weights.describe import describe
from mmad.weights.files import read_weights
from mmad.weights.pickled import read_pickled
from mmad.weights.unpickling import StandIn


@pytest.fixture
def mmengine(monkeypatch: pytest.MonkeyPatch):
    """Classes that can be pickled as mmengine's, and are gone when a file is read."""

    def method(self: object) -> None: ...

    history = type("HistoryBuffer", (), {"min": method, "max": method})
    method.__qualname__ = "HistoryBuffer.min"
    method.__name__ = "min"
    settings = type("ConfigDict", (dict,), {"__reduce_ex__": lambda s, p: (type(s), (dict(s),))})
    old_settings = type("OldConfigDict", (dict,), {})
    for name, kinds in {
        "mmengine.logging.history_buffer": (history,),
        "mmengine.config.config": (settings, old_settings),
    }.items():
        module = ModuleType(name)
        for kind in kinds:
            kind.__module__ = name
            setattr(module, kind.__name__, kind)
        monkeypatch.setitem(sys.modules, name, module)
    method.__module__ = history.__module__
    monkeypatch.setitem(sys.modules, "mmengine", ModuleType("mmengine"))
    monkeypatch.setitem(sys.modules, "mmengine.logging", ModuleType("mmengine.logging"))
    monkeypatch.setitem(sys.modules, "mmengine.config", ModuleType("mmengine.config"))
    return history, settings, old_settings


def as_mmengine_saves(kinds: tuple, weights: dict[str, torch.Tensor]) -> dict[str, object]:
    """What the runner of mmengine 0.10 writes; read from a file that it wrote."""
    history_buffer, settings, old_settings = kinds
    history = history_buffer()
    history.__dict__ = {
        "max_length": 1000000,
        "_log_history": np.array([0.5, 0.25]),
        "_count_history": np.array([1, 1]),
        "statistics_methods": {"min": history_buffer.min},
    }
    state = OrderedDict(weights)
    state._metadata = OrderedDict([("", {"version": 1})])  # type: ignore[attr-defined]
    return {
        "meta": {
            **{"epoch": 2, "iter": 4, "cfg": "a = 1\n", "seed": 7, "time": "20260101_000000"},
            "dataset_meta": settings(classes=("a", "b"), more=old_settings(a=[1])),
            "started": datetime.datetime(2026, 1, 1),
        },
        "state_dict": state,
        "message_hub": {
            "log_scalars": OrderedDict({"train/loss": history}),
            "runtime_info": OrderedDict(epoch=1, best=np.float64(0.5)),
            "resumed_keys": OrderedDict({"train/loss": True}),
        },
        "optimizer": {
            "state": {0: {"momentum_buffer": torch.ones(3)}},
            "param_groups": [{"lr": 0.1, "params": [0]}],
        },
        "param_schedulers": [{"milestones": Counter({1: 1}), "gamma": 0.1}],
    }


WEIGHTS = {
    "conv.weight": torch.arange(12.0).reshape(3, 4),
    "conv.bias": torch.tensor([0.5, -1.0], dtype=torch.float16),
    "norm.steps": torch.tensor(7),
    "norm.empty": torch.empty(0, 3),
    "norm.flags": torch.tensor([True, False]),
    "norm.brain": torch.tensor([1.5], dtype=torch.bfloat16),
    "turned": torch.arange(6.0).reshape(2, 3).t(),
}
FORMS = {
    "zip": {},
    "older": {"_use_new_zipfile_serialization": False},
    "protocol 4": {"pickle_protocol": 4},
    "older, protocol 4": {"pickle_protocol": 4, "_use_new_zipfile_serialization": False},
}


@pytest.mark.parametrize("form", FORMS)
def test_a_checkpoint_of_mmengine_is_read_without_mmengine(
    form: str, mmengine: tuple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "epoch_2.pth"
    torch.save(as_mmengine_saves(mmengine, WEIGHTS), path, **FORMS[form])
    monkeypatch.undo()
    assert "mmengine" not in sys.modules
    file = read_weights(path)
    assert list(file.tensors) == list(WEIGHTS)
    for name, value in WEIGHTS.items():
        assert file.tensors[name].dtype == value.dtype
        assert torch.equal(file.tensors[name], value), name
    assert file.container == "state_dict"
    assert file.other == ("message_hub", "meta", "optimizer", "param_schedulers")
    assert "mmengine.logging.history_buffer.HistoryBuffer" in file.classes
    assert "objects left out: mmengine." in "\n".join(describe(file))


def test_older_checkpoints_of_mmcv_are_read(mmengine: tuple, tmp_path: Path) -> None:
    content = {
        "meta": {"mmcv_version": "1.3.9", "time": "Sat Jan  2", "CLASSES": None, "hook_msgs": {}},
        "state_dict": OrderedDict((f"module.{name}", value) for name, value in WEIGHTS.items()),
        "optimizer": {"state": {}, "param_groups": []},
    }
    torch.save(content, tmp_path / "w.pth.tar", _use_new_zipfile_serialization=False)
    file = read_weights(tmp_path / "w.pth.tar")
    assert list(file.tensors) == list(WEIGHTS)
    assert file.classes == ()


def test_mmengine_keeps_its_average_where_others_keep_the_weights(
    mmengine: tuple, tmp_path: Path
) -> None:
    current = {"w": torch.zeros(2)}
    average = {"w": torch.ones(2)}
    content = as_mmengine_saves(mmengine, average)
    content["ema_state_dict"] = OrderedDict({"steps": torch.tensor(4), "module.w": current["w"]})
    torch.save(content, tmp_path / "w.pth")
    for averaged, container, expected in (
        (True, "state_dict", average),
        (False, "ema_state_dict", current),
    ):
        file = read_weights(tmp_path / "w.pth", averaged=averaged)
        assert file.container == container
        assert list(file.tensors) == ["w"]
        assert torch.equal(file.tensors["w"], expected["w"])
    del content["message_hub"]
    torch.save(content, tmp_path / "others.pth")
    assert read_weights(tmp_path / "others.pth").container == "ema_state_dict"


class Unknown:
    pass


def test_weights_in_a_mapping_of_an_unknown_class_are_found(
    mmengine: tuple, tmp_path: Path
) -> None:
    torch.save({"model": mmengine[2](WEIGHTS)}, tmp_path / "w.pth")
    assert list(read_weights(tmp_path / "w.pth").tensors) == list(WEIGHTS)


def test_parameters_views_and_shared_storages_are_read(tmp_path: Path) -> None:
    base = torch.arange(10.0)
    content = {
        "parameter": torch.nn.Parameter(base[2:5]),
        "view": base.view(2, 5)[:, 1],
        "with attribute": torch.arange(3.0),
    }
    content["with attribute"].note = "kept"  # type: ignore[attr-defined]
    for form in FORMS.values():
        torch.save(content, tmp_path / "w.pth", **form)
        found = read_weights(tmp_path / "w.pth").tensors
        assert found["parameter"].tolist() == [2, 3, 4]
        assert found["view"].tolist() == [1, 6]
        assert found["with attribute"].tolist() == [0, 1, 2]


def test_what_torch_reads_is_read_alike(tmp_path: Path) -> None:
    content = {"args": argparse.Namespace(lr=0.1), "history": np.arange(3), "model": WEIGHTS}
    for form in FORMS.values():
        torch.save(content, tmp_path / "w.pth", **form)
        theirs = torch.load(tmp_path / "w.pth", weights_only=False)
        ours = read_pickled(tmp_path / "w.pth").content
        assert list(ours) == list(theirs)
        assert all(torch.equal(ours["model"][name], theirs["model"][name]) for name in WEIGHTS)
        assert isinstance(ours["args"], StandIn)


def test_a_model_without_a_state_dict_is_refused_with_its_class(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=r"holds a torch\.nn\.modules\.linear\.Linear, not"):
        read_weights(tmp_path / "w.pth")


class Call:
    def __init__(self, function: object, *arguments: object) -> None:
        self.made = (function, arguments)

    def __reduce__(self) -> object:
        return self.made


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("place", ["beside", "in a weight", "alone"])
def test_code_in_a_file_is_refused_and_does_not_run(form: str, place: str, tmp_path: Path) -> None:
    trap = tmp_path / "it-ran"
    call = Call(os.mkdir, str(trap))
    content = {"beside": {"model": WEIGHTS, "x": call}, "in a weight": {"w": call}, "alone": call}
    torch.save(content[place], tmp_path / "w.pth", **FORMS[form])
    with pytest.raises(CheckpointError, match=r"holds more than weights \(posix\.mkdir\)"):
        read_weights(tmp_path / "w.pth")
    assert not trap.exists()


@pytest.mark.parametrize("form", FORMS)
def test_code_of_other_projects_does_not_run(form: str, tmp_path: Path) -> None:
    trap = tmp_path / "it-ran.npy"
    content = {"model": WEIGHTS, "x": Call(np.save, str(trap), 3), "y": Call(torch.save, 3, "a")}
    torch.save(content, tmp_path / "w.pth", **FORMS[form])
    assert list(read_weights(tmp_path / "w.pth").tensors) == list(WEIGHTS)
    assert not trap.exists()


def test_cut_off_and_lying_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save({"w": torch.arange(1000.0)}, path, _use_new_zipfile_serialization=False)
    whole = path.read_bytes()
    length = struct.pack("<q", 1000)
    for damaged, message in (
        (whole[:-1], "3999 bytes for 1000 elements"),
        (whole[:200], "not a file of weights"),
        (whole.replace(length, struct.pack("<q", 999)), "another length of storage"),
        (whole.replace(b"M\xe8\x03", b"J\xff\xff\xff\x7f", 1), "longer than the file"),
        (whole[:10] + whole[20:], "not a file of weights"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=message):
            read_weights(path)


def test_a_zip_without_its_tensors_is_refused(tmp_path: Path) -> None:
    torch.save({"w": torch.arange(1000.0)}, tmp_path / "w.pth")
    with (
        zipfile.ZipFile(tmp_path / "w.pth") as whole,
        zipfile.ZipFile(tmp_path / "part.pth", "w") as part,
    ):
        for name in whole.namelist():
            if "/data/" not in name:
                part.writestr(name, whole.read(name))
    with pytest.raises(CheckpointError, match="There is no item named"):
        read_weights(tmp_path / "part.pth")
    with zipfile.ZipFile(tmp_path / "other.pth", "w") as other:
        other.writestr("a.txt", "b")
    with pytest.raises(CheckpointError, match=r"a zip without data\.pkl"):
        read_weights(tmp_path / "other.pth")


def test_numbers_of_the_other_byte_order_are_turned(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    torch.save({"w": torch.arange(3.0)}, buffer)
    with zipfile.ZipFile(buffer) as whole, zipfile.ZipFile(tmp_path / "w.pth", "w") as turned:
        for name in whole.namelist():
            content = whole.read(name)
            if name.endswith("data/0"):
                content = np.arange(3, dtype=">f4").tobytes()
            if name.endswith("byteorder"):
                content = b"big"
            turned.writestr(name, content)
    assert read_weights(tmp_path / "w.pth").tensors["w"].tolist() == [0, 1, 2]


def test_a_plain_pickle_is_no_file_of_torch(tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(pickle.dumps({"model": Unknown()}))
    with pytest.raises(CheckpointError, match=r"not a file of torch\.save"):
        read_weights(tmp_path / "w.pth")
