"""What a process that decodes videos may use."""

import contextlib
import sys
from dataclasses import dataclass, fields
from pathlib import Path

from mmad.errors import ConfigError

_OFF = "off"


@dataclass(frozen=True)
class DecoderLimits:
    """What decoding one video may use.

    Attributes:
        megapixels: Largest frame, in millions of pixels; an 8K frame has 33.
        memory_mib: Memory of the process in MiB, besides what it needs without a video; Linux alone
            enforces it.
        seconds: Longest time without any progress. Reading the index of a large file may take
            longer, in proportion to its size.
    """

    megapixels: int = 70
    memory_mib: int = 4096
    seconds: int = 120

    @classmethod
    def parse(cls, text: str) -> "DecoderLimits | None":
        """The limits ``NAME=NUMBER,...``; those that are not named keep their defaults.

        None if the text is "off": decode in this process.

        Raises: ConfigError if a name is unknown, or a number is not whole and above 0.

        >>> DecoderLimits.parse("memory_mib=512"), DecoderLimits.parse("off")
        (DecoderLimits(megapixels=70, memory_mib=512, seconds=120), None)
        """
        if text == _OFF:
            return None
        names = [field.name for field in fields(cls)]
        given: dict[str, int] = {}
        for part in text.split(","):
            name, _, number = part.strip().partition("=")
            is_count = number.isascii() and number.isdigit() and 0 < len(number) < 10
            if name not in names or not is_count or not int(number):
                raise ConfigError(
                    f"--decoder-limits {text}: expected {_OFF}, or some of "
                    f"{', '.join(f'{one}=N' for one in names)} with whole numbers above 0; "
                    f"found {part.strip()!r}"
                )
            given[name] = int(number)
        return cls(**given)


def limit_memory(mebibytes: int) -> None:
    """Let this process have so many more MiB of private memory than it has now, on Linux."""
    if not sys.platform.startswith("linux"):
        return
    import resource

    allowed = _private_bytes() + mebibytes * 2**20
    with contextlib.suppress(OSError, ValueError):  # a lower limit is set already
        resource.setrlimit(resource.RLIMIT_DATA, (allowed, allowed))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _private_bytes() -> int:
    for line in (
        Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    ):
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    return 0
