"""A pickle machine that reads tensors, plain values and mappings, and calls nothing.

Checkpoints hold objects beside their weights: histories of a log, settings, schedules. Whatever
class or function a pickle names, this machine never looks it up: it notes the name, and what is
made of it becomes a `StandIn`. The only things made for real are numbers, text, tuples, lists,
dictionaries and tensors, and a tensor is only a view of numbers that the file really has.
"""

import math
import pickletools
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import IO, Any

import torch
from torch import Tensor

_STORAGES: Mapping[str, torch.dtype] = {
    "torch.DoubleStorage": torch.float64,
    "torch.FloatStorage": torch.float32,
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.LongStorage": torch.int64,
    "torch.IntStorage": torch.int32,
    "torch.ShortStorage": torch.int16,
    "torch.CharStorage": torch.int8,
    "torch.ByteStorage": torch.uint8,
    "torch.BoolStorage": torch.bool,
}
# What honest checkpoints hold of Python's own library. Anything else of it is refused, so that
# people hear of it: a class of a project that is not there is common, a call of os.system is not.
_HARMLESS_MODULES = frozenset(
    ("argparse", "collections", "datetime", "decimal", "enum", "fractions", "pathlib", "random")
    + ("re", "time", "uuid")
)
_HARMLESS_NAMES = frozenset(
    ("_codecs.encode", "copyreg._reconstructor", "functools.partial", "types.SimpleNamespace")
    + ("builtins.bool", "builtins.bytearray", "builtins.bytes", "builtins.complex")
    + ("builtins.dict", "builtins.float", "builtins.frozenset", "builtins.getattr")
    + ("builtins.int", "builtins.list", "builtins.object", "builtins.range", "builtins.set")
    + ("builtins.slice", "builtins.str", "builtins.tuple", "builtins.type")
)
_HARMLESS_PREFIXES = tuple(f"{module}." for module in _HARMLESS_MODULES)
_OLD_MODULES = {"__builtin__": "builtins", "copy_reg": "copyreg"}
# What an object and an entry of a mapping take here, however few bytes they are in the file.
_BYTES_OF_A_TENSOR = 1024
_BYTES_OF_AN_ENTRY = 100
_MOST_AXES = 64


class ForbiddenNameError(ValueError):
    """A pickle asks for something of Python's own library that could run code."""


@dataclass(frozen=True)
class Name:
    """A class or function as a pickle names it; nothing is imported."""

    kind: str

    @property
    def of_python(self) -> bool:
        """Whether it is of Python's own library."""
        return self.kind.partition(".")[0] in sys.stdlib_module_names


class StandIn(dict[str, Any]):
    """What became of an object: its class, and the entries that it holds if it is a mapping."""

    __slots__ = ("kind",)

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind


@dataclass
class Unpickler:
    """Reads one pickle.

    Attributes:
        storage: Gives the numbers that a tensor is a view of, for the key, type and number of
            elements in the file.
        claim: Called with the bytes that a few in the file become; may raise.
        names: Classes that stand-ins were made for, but those of Python, in the order of the file.
    """

    storage: Callable[[str, torch.dtype, int], Tensor]
    claim: Callable[[int], None]
    names: dict[str, None] = field(default_factory=dict)

    def load(self, file: IO[bytes]) -> Any:
        """The content of the pickle that begins at the position of ``file``.

        Raises: ForbiddenNameError; any other Exception if it is damaged.
        """
        self._stack: list[Any] = []
        self._outer: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        for code, argument, _ in pickletools.genops(file):
            if code.name == "STOP":
                break
            self._run(code.name, argument)
        return self._stack.pop()

    def _run(self, code: str, argument: Any) -> None:
        stack = self._stack
        if code in _CONSTANTS:
            stack.append(_CONSTANTS[code])
        elif code in _LITERALS:
            stack.append(argument)
        elif code in _EMPTY:
            stack.append(_EMPTY[code]())
        elif code in ("PUT", "BINPUT", "LONG_BINPUT"):
            self._memo[argument] = stack[-1]
        elif code == "MEMOIZE":
            self._memo[len(self._memo)] = stack[-1]
        elif code in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(self._memo[argument])
        elif code in _TUPLES:
            count = _TUPLES[code]
            stack[-count:] = [tuple(stack[-count:])]
        elif code == "MARK":
            self._outer.append(stack)
            self._stack = []
        elif code in _WITH_MARK:
            items = self._since_mark()
            _WITH_MARK[code](self, items)
        elif code in _WITHOUT_MARK:
            _WITHOUT_MARK[code](self)
        elif code in ("GLOBAL", "INST"):
            name = self._named(*argument.split(" ", 1))
            if code == "INST":
                name = self._made(name, self._since_mark())
            self._stack.append(name)
        elif code not in ("PROTO", "FRAME"):
            raise ValueError(f"unexpected {code}")

    def _since_mark(self) -> list[Any]:
        items, self._stack = self._stack, self._outer.pop()
        return items

    def _named(self, module: str, name: str) -> Name:
        self.claim(len(module) + len(name))  # text that a pickle may name again and again
        found = Name(f"{_OLD_MODULES.get(module, module)}.{name}")
        harmless = found.kind in _HARMLESS_NAMES or found.kind.startswith(_HARMLESS_PREFIXES)
        if found.of_python and not harmless:
            raise ForbiddenNameError(found.kind)
        return found

    def _made(self, maker: Any, arguments: Any) -> Any:
        """What calling ``maker`` becomes: a tensor or a stand-in."""
        if not isinstance(maker, Name | StandIn) or not isinstance(arguments, tuple | list):
            raise ValueError(f"calls a {type(maker).__name__}")
        if maker.kind == "builtins.getattr":
            return self._attribute(*arguments)
        if maker.kind in _TENSORS:
            made = _TENSORS[maker.kind](self, *arguments)
            if made is not None:
                return made
        made = StandIn(maker.kind)
        if not (isinstance(maker, Name) and maker.of_python):
            self.names.setdefault(made.kind)
        for argument in arguments:
            if isinstance(argument, dict | list):
                self.claim(_BYTES_OF_AN_ENTRY * len(argument))
            if isinstance(argument, dict):
                made.update(argument)
            elif isinstance(argument, list):
                _add(made, [item for pair in argument if _is_pair(pair) for item in pair])
        return made

    def _attribute(self, owner: Any, name: Any) -> StandIn:
        """A method that a class keeps among its data, such as the statistics of mmengine's log."""
        if not isinstance(owner, Name | StandIn) or not isinstance(name, str):
            raise ValueError(f"an attribute of a {type(owner).__name__}")
        if isinstance(owner, Name) and owner.of_python:
            raise ForbiddenNameError(f"{owner.kind}.{name}")
        self.claim(len(owner.kind) + len(name))
        return StandIn(f"{owner.kind}.{name}")

    # ---- codes ----

    def _tuple(self, items: list[Any]) -> None:
        self._stack.append(tuple(items))

    def _list(self, items: list[Any]) -> None:
        self._stack.append(items)

    def _dict(self, items: list[Any]) -> None:
        self._stack.append({})
        _add(self._stack[-1], items)

    def _appends(self, items: list[Any]) -> None:
        # The elements of other classes are of no use to anybody here.
        if isinstance(self._stack[-1], list):
            self._stack[-1].extend(items)

    def _setitems(self, items: list[Any]) -> None:
        _add(self._stack[-1], items)

    def _additems(self, items: list[Any]) -> None:
        pass

    def _frozenset(self, items: list[Any]) -> None:
        self._stack.append(StandIn("builtins.frozenset"))

    def _object(self, items: list[Any]) -> None:
        self._stack.append(self._made(items[0], items[1:]))

    def _discard(self, items: list[Any]) -> None:
        pass

    def _pop(self) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._since_mark()

    def _duplicate(self) -> None:
        self._stack.append(self._stack[-1])

    def _append(self) -> None:
        self._appends([self._stack.pop()])

    def _setitem(self) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._setitems([key, value])

    def _stack_global(self) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise ValueError("a name that is not text")
        self._stack.append(self._named(module, name))

    def _reduce(self) -> None:
        arguments, maker = self._stack.pop(), self._stack.pop()
        self._stack.append(self._made(maker, arguments))

    def _newobj_ex(self) -> None:
        self._stack.pop()  # keywords
        self._reduce()

    def _build(self) -> None:
        self._stack.pop()  # the state of an object that is not made

    def _persistent(self) -> None:
        """A storage: ``("storage", type, key, device, elements[, part])``."""
        saved = self._stack.pop()
        if not isinstance(saved, tuple) or len(saved) < 5 or saved[0] != "storage":
            # The source code of a module, in older files of whole models.
            self._stack.append(StandIn("module"))
            return
        kind, key, _, elements = saved[1:5]
        if not isinstance(kind, Name) or not isinstance(key, str) or not _is_extent(elements):
            raise ValueError("a storage without name or size")
        dtype = _STORAGES.get(kind.kind.replace("torch.cuda.", "torch."))
        if dtype is None:
            self._stack.append(StandIn(kind.kind))
            return
        numbers = self.storage(key, dtype, elements)
        if len(saved) > 5 and saved[5] is not None:
            _, first, length = saved[5]
            numbers = numbers[first : first + length]
        self._stack.append(numbers)

    # ---- tensors ----

    def _tensor(
        self,
        numbers: Any,
        offset: Any,
        size: Any,
        stride: Any,
        requires_grad: Any = False,
        hooks: Any = None,
        metadata: Any = None,
    ) -> Tensor | None:
        """A view of a storage, or none if it is of a kind that no weights have."""
        if not isinstance(numbers, Tensor) or metadata:
            return None
        if len(size) > _MOST_AXES or not all(map(_is_extent, (*size, *stride, offset))):
            raise ValueError("a tensor without size")
        self.claim(max(numbers.element_size() * math.prod(size), _BYTES_OF_A_TENSOR))
        return numbers.as_strided(size, stride, offset)

    def _size(self, extents: Any) -> tuple[Any, ...]:
        return tuple(extents[:_MOST_AXES])

    def _parameter(self, tensor: Any, *others: Any) -> Tensor | None:
        return tensor if isinstance(tensor, Tensor) else None

    def _of_type(self, maker: Any, kind: Any, arguments: Any, state: Any) -> Any:
        """A tensor with attributes of its own, which are left out."""
        return self._made(maker, arguments)


def _is_extent(value: Any) -> bool:
    return isinstance(value, int) and 0 <= value < 2**63


def _is_pair(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2


def _add(mapping: Any, items: list[Any]) -> None:
    """Add alternating keys and values; only text is a key, as only weights are asked for."""
    if not isinstance(mapping, dict):
        raise ValueError(f"items for a {type(mapping).__name__}")
    for key, value in zip(items[::2], items[1::2], strict=True):
        if isinstance(key, str):
            mapping[key] = value


_CONSTANTS: Mapping[str, Any] = {
    "NONE": None,
    "NEWTRUE": True,
    "NEWFALSE": False,
    "EMPTY_TUPLE": (),
}
_LITERALS = frozenset(
    ("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT")
    + ("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE")
    + ("BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8")
)
_EMPTY: Mapping[str, Callable[[], Any]] = {
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": lambda: StandIn("builtins.set"),
}
_TUPLES: Mapping[str, int] = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_WITH_MARK: Mapping[str, Callable[[Unpickler, list[Any]], None]] = {
    "TUPLE": Unpickler._tuple,
    "LIST": Unpickler._list,
    "DICT": Unpickler._dict,
    "APPENDS": Unpickler._appends,
    "SETITEMS": Unpickler._setitems,
    "ADDITEMS": Unpickler._additems,
    "FROZENSET": Unpickler._frozenset,
    "OBJ": Unpickler._object,
    "POP_MARK": Unpickler._discard,
}
_WITHOUT_MARK: Mapping[str, Callable[[Unpickler], None]] = {
    "POP": Unpickler._pop,
    "DUP": Unpickler._duplicate,
    "APPEND": Unpickler._append,
    "SETITEM": Unpickler._setitem,
    "STACK_GLOBAL": Unpickler._stack_global,
    "REDUCE": Unpickler._reduce,
    "NEWOBJ": Unpickler._reduce,
    "NEWOBJ_EX": Unpickler._newobj_ex,
    "BUILD": Unpickler._build,
    "BINPERSID": Unpickler._persistent,
}
_TENSORS: Mapping[str, Callable[..., Any]] = {
    "torch.Size": Unpickler._size,
    "torch._utils._rebuild_tensor": Unpickler._tensor,
    "torch._utils._rebuild_tensor_v2": Unpickler._tensor,
    "torch._utils._rebuild_parameter": Unpickler._parameter,
    "torch._utils._rebuild_parameter_with_state": Unpickler._parameter,
    "torch._tensor._rebuild_from_type_v2": Unpickler._of_type,
}
