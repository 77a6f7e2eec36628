import io
import pickle
import struct
import sys
import tracemalloc
from collections import OrderedDict
from types import ModuleType

import pytest
import torch

from mmad.errors import CheckpointError
from mmad.weights.unpickling import ForbiddenNameError, StandIn, Unpickler


def load(content: bytes, *, allowed_bytes: int = 2**20) -> object:
    left = allowed_bytes

    def claim(size: int) -> None:
        nonlocal left
        left -= size
        if left < 0:
            raise CheckpointError("claims too much")

    def storage(key: str, dtype: torch.dtype, elements: int) -> torch.Tensor:
        return torch.arange(elements, dtype=dtype)

    return Unpickler(storage, claim).load(io.BytesIO(content))


def named(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def storage_of(elements: bytes, kind: str = "FloatStorage") -> bytes:
    return (
        b"(" + text("storage") + named("torch", kind) + text("0") + text("cpu") + elements + b"tQ"
    )


def tensor_of(size: bytes, stride: bytes, *, elements: bytes = b"K\x06", offset: bytes = b"K\0"):
    rebuild = named("torch._utils", "_rebuild_tensor_v2")
    return rebuild + b"(" + storage_of(elements) + offset + size + stride + b"\x89NtR."


PLAIN = {
    "a": [
        1,
        -2,
        2**70,
        2.5,
        True,
        False,
        None,
        "ä",
        b"b",
        (),
        (1,),
        (1, 2),
        (1, 2, 3),
        (1, 2, 3, 4),
    ],
    "b": {"c": {"d": [[], {}]}, "e" * 300: "f" * 300},
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_values_are_those_of_pickle(protocol: int) -> None:
    # Older protocols make bytes by a call.
    expected = PLAIN if protocol > 2 else {**PLAIN, "a": [v for v in PLAIN["a"] if v != b"b"]}
    assert load(pickle.dumps(expected, protocol)) == expected


class Settings(dict):
    def __init__(self, *args: object, **entries: object) -> None:
        super().__init__(*args, **entries)
        self.place = "here"

    def merge(self) -> None: ...


class Sequence(list):
    pass


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_objects_become_stand_ins(protocol: int) -> None:
    content = {
        "settings": Settings(a=1, b=Settings(c=2)),
        "sequence": Sequence([1, 2]),
        "ordered": OrderedDict(x=1),
        "set": {1, 2},
        "frozen": frozenset([1]),
        "method": Settings.merge,
        "after": 5,
    }
    found = load(pickle.dumps(content, protocol))
    assert isinstance(found, dict)
    assert list(found) == list(content)
    assert all(isinstance(value, StandIn | dict | int) or value for value in found.values())
    assert found["settings"] == {"a": 1, "b": {"c": 2}}
    assert found["ordered"] == {"x": 1}
    assert found["after"] == 5
    assert type(found["settings"]) is StandIn
    assert not isinstance(found["method"], type(Settings.merge))


def test_no_module_that_a_pickle_names_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr("builtins.__import__", lambda name, *args: seen.append(name))
    stand_in = load(named("wave_of_nowhere", "C") + b")\x81.")
    monkeypatch.undo()
    assert seen == []
    assert isinstance(stand_in, StandIn)
    assert stand_in.kind == "wave_of_nowhere.C"


def test_a_class_that_exists_is_not_called_either() -> None:
    calls: list[int] = []
    module = ModuleType("ours")
    module.call = lambda *args: calls.append(1)  # type: ignore[attr-defined]
    sys.modules["ours"] = module
    try:
        for code in (b"K\x01\x85R.", b"K\x01\x85\x81.", b")}\x92.", b")R}b."):
            load(named("ours", "call") + code)
        load(b"(" + named("ours", "call") + b"o.")
        load(b"(iours\ncall\n.")
        load(named("builtins", "getattr") + named("ours", "call") + text("x") + b"\x86R)R.")
    finally:
        del sys.modules["ours"]
    assert calls == []


@pytest.mark.parametrize(
    "name",
    ["os system", "posix system", "builtins eval", "builtins exec", "builtins __import__"]
    + ["__builtin__ apply", "subprocess Popen", "importlib import_module", "runpy run_path"]
    + ["os.path join", "socket socket", "shutil rmtree", "types FunctionType", "marshal loads"],
)
def test_functions_of_python_are_refused_by_name(name: str) -> None:
    module, _, function = name.partition(" ")
    spelled = f"{module}.{function}".replace("__builtin__", "builtins")
    with pytest.raises(ForbiddenNameError, match=f"^{spelled}$"):
        load(named(module, function) + b"K\x01\x85R.")
    with pytest.raises(ForbiddenNameError, match=f"^{spelled}$"):
        load(text(module) + text(function) + b"\x93K\x01\x85R.")


def test_a_method_of_pythons_classes_is_refused() -> None:
    attribute = named("builtins", "getattr") + named("pathlib", "Path") + text("unlink") + b"\x86R"
    with pytest.raises(ForbiddenNameError, match=r"^pathlib\.Path\.unlink$"):
        load(attribute + b".")


# ---- tensors ----


def test_a_tensor_is_a_view_of_its_storage() -> None:
    found = load(tensor_of(b"K\x02K\x02\x86", b"K\x02K\x01\x86", offset=b"K\x01"))
    assert isinstance(found, torch.Tensor)
    assert found.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (tensor_of(b"K\x07\x85", b"K\x01\x85"), "out of bounds"),
        (tensor_of(b"K\x02\x85", b"K\x01\x85", offset=b"K\x05"), "out of bounds"),
        (tensor_of(b"J\xff\xff\xff\xff\x85", b"K\x01\x85"), "a tensor without size"),
        (tensor_of(text("a" * 9) + b"\x85", b"K\x01\x85"), "a tensor without size"),
        (tensor_of(b"(" + b"K\x01" * 65 + b"t", b"(" + b"K\x01" * 65 + b"t"), "without size"),
        (tensor_of(b"K\x02\x85", b"K\x01K\x01\x86"), "mismatch"),
        (tensor_of(b"J\xff\xff\xff\x7f\x85", b"K\0\x85"), "claims too much"),
        (tensor_of(b"K\x02\x85", b"K\x01\x85", elements=b"N"), "a storage without name or size"),
        (b"K\x01Q.", None),
        (b"K\x01K\x02\x85R.", "calls a int"),
        (b"K\x01}b}}s.", "items for|empty"),
        (b"]N}s.", "items for a list"),
    ],
)
def test_damaged_tensors_are_errors(content: bytes, message: str | None) -> None:
    if message is None:
        assert isinstance(load(content), StandIn)
        return
    with pytest.raises(Exception, match=message):
        load(content)


def test_kinds_of_tensors_that_are_no_weights_are_left_out() -> None:
    unknown = load(storage_of(b"K\x06", "QInt8Storage") + b".")
    assert isinstance(unknown, StandIn)
    assert unknown.kind == "torch.QInt8Storage"
    sparse = load(named("torch._utils", "_rebuild_sparse_tensor") + b")R.")
    assert isinstance(sparse, StandIn)


# ---- bombs ----


def peak_bytes(content: bytes) -> int:
    tracemalloc.start()
    try:
        load(content)
    except Exception:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak


GETATTR = named("builtins", "getattr") + b"q\2" + b"0"


def test_memory_stays_in_proportion_to_the_file() -> None:
    entries = b"}(" + b"".join(text(f"{i:04}") + b"N" for i in range(1000)) + b"u"
    copies = entries + b"q\0" + (named("a", "B") + b"h\0\x85R0") * 5000 + b"."
    long = text("a" * 100_000)
    for bomb in (
        long + b"q\0" + b"h\0h\0\x93" * 2000 + b".",
        long + b"q\0" + b"0" + named("a", "B") + b"q\1" + GETATTR + b"h\2h\1h\0\x86R" * 2000 + b".",
        b"N" + b"r" + b"\xff\xff\xff\xff.",  # a number of the memo, not its size
        b"\x8d" + struct.pack("<Q", 2**40) + b"a.",
        b"\x8b" + struct.pack("<I", 2**31 - 1) + b"\1.",
        b"\x96" + struct.pack("<Q", 2**40) + b"a.",
        copies,
    ):
        assert peak_bytes(bomb) < 2**20 + 100 * len(bomb)


def test_deep_nesting_is_read() -> None:
    depth = 50_000
    found = load(b"]" * depth + b"a" * (depth - 1) + b".")
    assert isinstance(found, list)
    assert isinstance(load(b")" + b"\x85" * depth + b"."), tuple)
    # A deep tuple as a key would be hashed, level by level.
    assert load(b"})" + b"\x85" * depth + b"Ns.") == {}
    nested = named("torch._tensor", "_rebuild_from_type_v2") + b"q\0" + b"N"
    with pytest.raises(Exception, match=r"calls a|recursion|positional"):
        load(nested + b"(h\0NN" * 5000 + b"t" * 5000 + b"R.")
