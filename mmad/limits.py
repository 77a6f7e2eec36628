"""Limits on what a file may claim: bytes once unpacked, and depth of nesting.

A few bytes can claim terabytes. Whatever unpacks or allocates what a file claims checks here first.
"""

import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

from mmad.errors import ConfigError, MmadError

# An environment variable: the limit of every file in MiB, whatever its size.
VARIABLE = "MMAD_MAX_UNPACKED_MB"
# Text, arrays and weights of real data sets shrink to a tenth or, if mostly zero, a fiftieth.
_LARGEST_RATIO = 100
_ALWAYS_ALLOWED = 16 * 2**20
_LARGEST_UNPACKED = 4 * 2**30

# JSON and YAML of annotations, settings and runs are nested less than ten deep.
MAX_DEPTH = 64
# Settings have some hundred values; YAML aliases can turn a few into billions.
MAX_SETTINGS = 20_000
MAX_SETTINGS_BYTES = 2**16


def survives(read: Callable[[], object], *, cpu_seconds: int) -> bool:
    """Whether ``read`` neither crashes nor runs for longer than ``cpu_seconds``.

    It is tried in a child process, because a C library in an infinite loop over damaged bytes
    cannot be stopped in this one. An exception counts as survival: it will be raised again. If
    processes cannot be forked, nothing is tried.
    """
    if not sys.platform.startswith("linux"):
        return True
    import resource

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # about threads, which the child lacks
        child = os.fork()
    if child == 0:
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))
            read()
        finally:
            os._exit(0)
    return os.WIFEXITED(os.waitpid(child, 0)[1])


def allowed_bytes(stored_bytes: int) -> int:
    """Bytes that a file of ``stored_bytes`` may hold once unpacked.

    Uncompressed content is always allowed; compressed content may grow to a hundred times its size,
    but not beyond 4 GiB.

    Raises: ConfigError if the environment variable MMAD_MAX_UNPACKED_MB is not a whole number.

    >>> allowed_bytes(1000) == 16 * 2**20, allowed_bytes(10**6), allowed_bytes(10**11)
    (True, 100000000, 100000000000)
    """
    given = os.environ.get(VARIABLE)
    if given is None:
        packed = min(_LARGEST_RATIO * stored_bytes, _LARGEST_UNPACKED)
        return max(_ALWAYS_ALLOWED, stored_bytes, packed)
    if not (given.isascii() and given.isdigit() and len(given) < 10 and int(given)):
        raise ConfigError(f"{VARIABLE}={given}: expected a whole number of MiB above 0")
    return int(given) * 2**20


def require_unpacked(
    source: str | Path, unpacked_bytes: int, *, stored_bytes: int, error: type[MmadError]
) -> None:
    """Raise ``error`` if ``source`` claims more unpacked bytes than a file of its size may."""
    allowed = allowed_bytes(stored_bytes)
    if unpacked_bytes > allowed:
        raise error(
            f"{source}: {stored_bytes:,} bytes that claim to hold {unpacked_bytes:,} once "
            f"unpacked, more than the allowed {allowed:,}; if the file is trustworthy, set the "
            f"environment variable {VARIABLE} to more MiB"
        )
