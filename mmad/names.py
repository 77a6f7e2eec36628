"""Ids of videos and clips, and file names made from them."""

import hashlib
import re
import sys
import unicodedata
from urllib.parse import quote

# File systems allow 255 bytes; this leaves room for a suffix and for `partial_path`.
_LONGEST_PART_BYTES = 255
_LONGEST_NAME_BYTES = 200
# Separators, control characters, what Windows refuses, the escape sign itself, and lone surrogates,
# which represent bytes of a name that are not UTF-8.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f/\\:*?"<>|%\ud800-\udfff]')
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_RESERVED = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[\d¹²³])[ ]*(\..*)?", re.IGNORECASE
)


def safe_name(identifier: str) -> str:
    """A file name for the video or clip with this id: one path component, valid on every system.

    Different ids have different names. Letters, digits, spaces and most signs are kept; separators,
    control characters and what Windows refuses are percent-encoded, as are leading dots; a very
    long id is truncated and made unique by a hash.

    >>> safe_name("P01 Müller"), safe_name("P01/cam1"), safe_name("../x")
    ('P01 Müller', 'P01%2Fcam1', '%2E.%2Fx')
    >>> len(safe_name("x" * 300).encode())
    200
    """
    name = _UNSAFE.sub(
        lambda match: quote(match.group(), safe="", errors="surrogatepass"), identifier
    )
    if name.startswith("."):
        name = "%2E" + name[1:]
    if name.endswith((".", " ")):
        name = name[:-1] + ("%2E" if name.endswith(".") else "%20")
    if _RESERVED.fullmatch(name) or not name:
        name = f"%{name}"
    encoded = name.encode(errors="replace")
    if len(encoded) > _LONGEST_NAME_BYTES:
        digest = hashlib.sha256(identifier.encode(errors="surrogatepass")).hexdigest()[:16]
        kept = encoded[: _LONGEST_NAME_BYTES - 17].decode(errors="ignore")
        name = f"{kept}-{digest}"
    return name


def file_key(name: str) -> str:
    """What two names of the same file have in common.

    Windows and macOS take ``A.eaf`` and ``a.eaf`` for one file, in whichever form its accents are.
    """
    if sys.platform not in ("win32", "darwin"):
        return name
    return unicodedata.normalize("NFC", name).casefold()


def problem_of_id(identifier: str) -> str | None:
    """Why ``identifier`` cannot be the id of a video or clip, or None if it can.

    It may contain folders, unless they lead out of the folder of the videos.

    >>> problem_of_id("P01/cam 1.mp4") is None, problem_of_id("../x")
    (True, "leads out of its folder; expected a plain name without '..'")
    """
    if _CONTROL.search(identifier):
        return f"holds a control character ({identifier!a:.60}); expected a plain name"
    path = identifier.replace("\\", "/")
    if path.startswith("/") or ".." in path.split("/") or re.match(r"[A-Za-z]:/", path):
        return "leads out of its folder; expected a plain name without '..'"
    if any(len(part.encode(errors="replace")) > _LONGEST_PART_BYTES for part in path.split("/")):
        return f"is longer than the {_LONGEST_PART_BYTES} bytes of a file name"
    return None
