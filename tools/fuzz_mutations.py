"""Valid files made invalid: bytes, and the structure of JSON, YAML, CSV, archives and HDF5."""

import copy
import gzip
import io
import json
import random
import struct
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import h5py
import yaml

# What breaks readers: ends of ranges, wrong types, ways out, signs of other formats.
_TOKENS = (
    *("", "0", "-1", "1e309", "-1e308", "NaN", "Infinity", "null", "true", "9" * 5000, "1" * 20),
    *(
        "0x" + "f" * 40,
        "1e-320",
        "99999999999",
        "..",
        "../x",
        "/etc/x",
        "\x00",
        "\x1b[2J",
        "\ud7ff",
    ),
    *(
        ",",
        ";",
        "\n",
        "\r",
        '"',
        "'",
        "[",
        "]",
        "{",
        "}",
        "[" * 3000,
        '{"a":' * 3000,
        "<!DOCTYPE x>",
    ),
    *(
        "&a [*a]",
        "!!int ''",
        "*b",
        "2001-99-99",
        "A" * 200_000,
        "\N{SNOWMAN}",
        "\u202e",
        "=1+1",
        "%s",
    ),
)
_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, 10**400, 0.5, -0.0, 1e308, -1e308, 1e-320),
    *(float("nan"), float("inf"), "", "x", "nan", "..", "../x", "a\x00b", "A" * 100_000, [], {}),
    *([[]], [1, 2, 3], {"a": {"b": []}}, {"": None}, [None] * 1000, ["x"], "\ud800"),
)
_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)
_LARGEST_BYTES = 2**21


def mutated(rng: random.Random, name: str, content: bytes, *, other: bytes) -> bytes:
    """``content`` of a file of that ``name`` with one to four changes; ``other`` is spliced in."""
    suffix = "." + name.rpartition(".")[2]
    kinds: list[Callable[..., bytes]] = [_bytes, _bytes]
    kinds += {
        ".json": [_json, _json, _json, _token],
        ".jsonl": [_lines, _lines, _token],
        ".yaml": [_yaml, _yaml, _token],
        ".csv": [_csv, _csv, _token],
        ".txt": [_token, _token],
        ".eaf": [_token, _token, _csv],
        ".zip": [_zip, _zip],
        ".npz": [_zip, _zip],
        ".pt": [_zip, _zip],
        ".gz": [_gzip, _gzip],
        ".h5": [_hdf5, _hdf5],
        ".safetensors": [_safetensors, _safetensors],
        ".npy": [_token],
    }.get(suffix, [])
    chosen = rng.choices(kinds, k=rng.choice((1, 1, 1, 2, 4)))
    # Libraries that take a file apart are not safe from damaged bytes, so these come last.
    for kind in sorted(chosen, key=lambda kind: kind is _bytes):
        try:
            content = kind(rng, content, other)
        except Exception:  # what an earlier change broke can no longer be taken apart
            content = _bytes(rng, content, other)
    return content


def _bytes(rng: random.Random, content: bytes, other: bytes) -> bytes:
    data = bytearray(content) or bytearray(b"\x00")
    place = rng.randrange(len(data))
    length = min(rng.choice((1, 2, 4, 8, 64, 512, 4096)), len(data) - place)
    action = rng.randrange(8)
    if action == 0:
        for _ in range(rng.choice((1, 1, 4, 32))):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif action == 1:
        del data[place:]
    elif action == 2:
        del data[place : place + length]
    elif action == 3:
        data[place:place] = data[place : place + length] * rng.choice((1, 2, 100))
    elif action == 4:
        start = rng.randrange(len(other) + 1)
        data[place : place + length] = other[start : start + length]
    elif action == 5:
        data[place : place + length] = bytes([rng.choice((0, 255, 32, 10))]) * length
    elif action == 6:
        order, kind = rng.choice("<>"), rng.choice("BHIQ")
        packed = struct.pack(order + "Q", rng.choice(_NUMBERS))
        size = struct.calcsize(kind)
        packed = packed[:size] if order == "<" else packed[-size:]
        data[place : place + size] = packed
    else:
        data[place : place + length] = bytes(rng.randrange(256) for _ in range(length))
    return bytes(data)


def _token(rng: random.Random, content: bytes, _: bytes) -> bytes:
    place = rng.randrange(len(content) + 1)
    token = rng.choice(_TOKENS).encode("utf-8", "surrogatepass")
    return content[:place] + token + content[place + rng.choice((0, 0, 1, len(token))) :]


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each container in ``value`` with each of its keys."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])


def _changed(rng: random.Random, value: Any) -> Any:
    """A JSON value with something in it replaced, removed, wrapped, or put under another name."""
    value = copy.deepcopy(value)
    places = list(_places(value))
    if not places:
        return rng.choice(_VALUES)
    holder, key = rng.choice(places)
    action = rng.randrange(6)
    if action == 0:
        del holder[key]
    elif action == 1 and isinstance(holder, dict):
        holder[str(rng.choice(_TOKENS))[:1000]] = holder.pop(key)
    elif action == 2:
        holder[key] = [holder[key]]
    elif action == 3:
        for _ in range(2000):
            holder[key] = [holder[key]] if isinstance(holder[key], dict) else {"a": holder[key]}
    else:
        holder[key] = copy.deepcopy(rng.choice(_VALUES))
    return value


def _dumped(value: Any) -> bytes:
    # Deep values are beyond what json writes by recursion.
    depth, inner, ends = 0, value, []
    while isinstance(inner, dict | list) and len(inner) == 1 and depth < 5000:
        key = next(iter(inner)) if isinstance(inner, dict) else 0
        ends.append((f"{{{json.dumps(key)}:", "}") if isinstance(inner, dict) else ("[", "]"))
        inner, depth = inner[key], depth + 1
    text = json.dumps(inner) if depth < 900 else "1"
    return ("".join(a for a, _ in ends) + text + "".join(b for _, b in reversed(ends))).encode()


def _json(rng: random.Random, content: bytes, _: bytes) -> bytes:
    if rng.random() < 0.1:
        return content.replace(b":", b": " + rng.choice(_TOKENS).encode(errors="replace"), 1)
    return _dumped(_changed(rng, json.loads(content)))


def _lines(rng: random.Random, content: bytes, other: bytes) -> bytes:
    lines = content.splitlines()
    place = rng.randrange(len(lines))
    lines[place] = _json(rng, lines[place], other)
    return b"\n".join(lines) + b"\n"


def _yaml(rng: random.Random, content: bytes, other: bytes) -> bytes:
    if b"&" in content:  # an earlier bomb would go off here
        return _token(rng, content, other)
    if rng.random() < 0.1:
        laughs = ["a: &a [1,1,1,1,1,1,1,1,1]"]
        laughs += [f"{c}: &{c} [{','.join([f'*{chr(ord(c) - 1)}'] * 9)}]" for c in "bcdefghij"]
        return content + "\n".join(laughs).encode()
    return yaml.safe_dump(_changed(rng, yaml.safe_load(content))).encode()


def _csv(rng: random.Random, content: bytes, _: bytes) -> bytes:
    lines = content.decode().splitlines()
    place = rng.randrange(len(lines))
    cells = lines[place].split(",")
    action = rng.randrange(5)
    if action == 0:
        del cells[rng.randrange(len(cells))]
    elif action == 1:
        cells.append(rng.choice(cells))
    else:
        token = rng.choice(_TOKENS)
        cells[rng.randrange(len(cells))] = token
    lines[place] = ",".join(cells)
    if rng.random() < 0.1:
        lines.insert(place, lines[-1])
    return ("\n".join(lines) + "\n").encode("utf-8", "surrogatepass")


def _zip(rng: random.Random, content: bytes, other: bytes) -> bytes:
    """Another entry or name in an archive, or a bomb; sums are right again."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = [(entry.filename, archive.read(entry)) for entry in archive.infolist()]
    place = rng.randrange(len(entries))
    name, inner = entries[place]
    packing = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    action = rng.randrange(8)
    if action == 0:
        name = rng.choice(("../x", "/x", "", "prediction.csv", "a/" * 200, name + "x"))
    elif action == 1:
        entries.append(rng.choice(entries))
    elif action == 2:
        packing, inner = zipfile.ZIP_DEFLATED, inner + bytes(30_000_000)
    elif action == 3:
        inner = _csv(rng, inner, other)
    elif action == 4:
        inner = _token(rng, inner, other)
    else:
        inner = _bytes(rng, inner, other)
    entries[place] = name, inner
    if sum(len(stored) for _, stored in entries) > _LARGEST_BYTES:
        packing = zipfile.ZIP_DEFLATED  # a large file is not a bomb
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", packing) as archive:
        for each, stored in entries:
            archive.writestr(each or "x", stored)
    return out.getvalue()


def _gzip(rng: random.Random, content: bytes, other: bytes) -> bytes:
    inner = gzip.decompress(content)
    if rng.random() < 0.1:
        return gzip.compress(inner + rng.choice((b"\x00", b",", b"\n", b"v,1,")) * 30_000_000, 1)
    return gzip.compress(rng.choice((_csv, _token, _bytes))(rng, inner, other))


def _hdf5(rng: random.Random, content: bytes, other: bytes) -> bytes:
    """Other facts, arrays and links in an HDF5 file, which stays one."""
    held = io.BytesIO(content)
    with h5py.File(held, "r+") as file:
        videos = file["videos"]
        name = rng.choice(list(videos))
        action = rng.randrange(8)
        if action == 0:
            file.attrs["manifest"] = _json(rng, file.attrs["manifest"].encode(), other)
        elif action == 1:
            file.attrs["manifest"] = _json(rng, file.attrs["manifest"].encode(), other).decode()
        elif action in (2, 3):
            facts = videos[name].attrs["video"]
            videos[name].attrs["video"] = _json(rng, facts.encode(), other).decode()
        elif action == 4:
            link = rng.choice((h5py.ExternalLink("/etc/x.h5", "/a"), h5py.SoftLink("/videos")))
            videos[rng.choice(("x", "\N{SNOWMAN}", ".."))] = link
        elif action == 5:
            facts = videos[name].attrs["video"]
            shape = rng.choice(((0, 8), (2**40, 8), (6,), (6, 8, 1), ()))
            del videos[name]
            chunks = True if shape and shape[0] > 6 else None
            videos.create_dataset(name, shape, rng.choice(("f4", "i8", "S3")), chunks=chunks)
            videos[name].attrs["video"] = facts
        elif action == 6:
            videos.create_group("x")
        else:
            file.attrs["manifest"] = rng.choice((0, h5py.Empty("f"), [1, 2], b"\xff", "x" * 60_000))
    return held.getvalue()


def _safetensors(rng: random.Random, content: bytes, other: bytes) -> bytes:
    length = int.from_bytes(content[:8], "little")
    header, rest = content[8 : 8 + length], content[8 + length :]
    header = rng.choice((_json, _json, _token))(rng, header, other)
    claimed = len(header) if rng.random() < 0.9 else rng.choice(_NUMBERS) % 2**64
    return struct.pack("<Q", claimed) + header + rest
