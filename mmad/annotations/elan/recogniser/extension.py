"""The files that make mmad a recogniser of ELAN, and where ELAN looks for them.

ELAN looks into each folder of its ``extensions`` folder for a ``.cmdi`` file, which names the
program and its parameters. It divides the command at blanks and starts it in that folder, so the
program is a script beside it, which names the Python that has mmad.

Source: AvailabilityDetector, RecognizerParser and LocalRecognizer in the source code of ELAN 4.9
and 5.
"""

import os
import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmad.annotations.elan.document import plain, quoted
from mmad.errors import OutputError
from mmad.files import write_bytes, write_text

FOLDER = "mmad"
_SCRIPT = "mmad-recogniser"
# Where ELAN keeps its extensions, below a folder of a version of it.
_INSIDE = {
    "linux": ("lib/app/extensions", "extensions"),
    "darwin": ("Contents/app/extensions", "*.app/Contents/app/extensions"),
    "win32": ("app/extensions", "extensions"),
}


@dataclass(frozen=True)
class Installation:
    """What is chosen when the recogniser is installed.

    Attributes:
        model: Run folder or hub id.
        min_score: Lowest score.
        device: Device to compute on.
        python: The Python that has mmad.
    """

    model: str
    min_score: float
    device: str = "auto"
    python: str = sys.executable


def install(folder: Path, chosen: Installation) -> Path:
    """Write the recogniser into a folder of ELAN's extensions; returns its folder.

    Raises: OutputError if it cannot be written.
    """
    target = folder / FOLDER
    write_text(target / f"{_SCRIPT}.sh", _unix_script(chosen.python))
    write_bytes(target / f"{_SCRIPT}.cmd", _windows_script(chosen.python).encode())
    try:
        (target / f"{_SCRIPT}.sh").chmod(0o755)
    except OSError as error:
        raise OutputError(f"{target}: cannot be made executable ({error.strerror})") from None
    write_text(target / "mmad.cmdi", description(chosen))
    return target


def find_extensions(*, system: str = sys.platform, roots: Sequence[Path] | None = None) -> Path:
    """ELAN's folder of extensions; of several versions of ELAN, that of the newest.

    Args:
        system: As `sys.platform`.
        roots: Folders that programs are installed in; by default those of the system.

    Raises: OutputError if ELAN is not found, with where to look for it.
    """
    found = [
        place
        for root in (_roots(system) if roots is None else roots)
        for program in sorted(root.glob("ELAN*"))
        for pattern in _INSIDE.get(system, _INSIDE["linux"])
        for place in _places(program, pattern)
    ]
    if not found:
        raise OutputError(
            "ELAN was not found; pass --to FOLDER, the folder `extensions` in the one that ELAN is "
            f"installed in: {_hint(system)}"
        )
    return max(found, key=_version)


def _places(program: Path, pattern: str) -> list[Path]:
    """The folders of extensions of a program, also if ELAN has not made them yet."""
    if "/" not in pattern:
        return [place for place in program.glob(pattern) if place.is_dir()]
    above, _, name = pattern.rpartition("/")
    return [place / name for place in program.glob(above) if place.is_dir()]


def _roots(system: str) -> list[Path]:
    home = Path.home()
    if system == "win32":
        names = ("LOCALAPPDATA", "PROGRAMFILES", "PROGRAMFILES(X86)")
        return [Path(os.environ[name]) for name in names if os.environ.get(name)]
    if system == "darwin":
        return [Path("/Applications"), home / "Applications"]
    return [home, home / "Downloads", home / ".local/opt", Path("/opt"), Path("/usr/local")]


def _hint(system: str) -> str:
    return {
        "win32": r"such as C:\Users\NAME\AppData\Local\ELAN_6-8\app\extensions",
        "darwin": "such as /Applications/ELAN_6.8/ELAN_6.8.app/Contents/app/extensions",
    }.get(system, "such as /opt/ELAN_6-8/lib/app/extensions")


def _version(path: Path) -> tuple[int, ...]:
    named = re.findall(r"ELAN[^/\\]*", str(path))
    return tuple(int(one) for one in re.findall(r"\d+", named[0] if named else ""))


def description(chosen: Installation) -> str:
    """The ``.cmdi`` file: the program and its parameters, as ELAN offers them."""
    model = quoted(chosen.model)
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<CMD CMDVersion="1.1" xmlns="http://www.clarin.eu/cmd/">
  <Header/>
  <Resources>
    <ResourceProxyList/>
    <JournalFileProxyList/>
    <ResourceRelationList/>
  </Resources>
  <Components>
    <RECOGNIZER>
      <recognizer recognizerType="local" runLinux="./{_SCRIPT}.sh" runMac="./{_SCRIPT}.sh"
        runWin="cmd /c .\\{_SCRIPT}.cmd" info="Micro-actions (mmad)">{plain(FOLDER)}</recognizer>
      <input level="basic" type="video" optional="false" mimetypes="video/*"
        info="Video">video</input>
      <numparam level="basic" min="0.00" max="1.00" default="{chosen.min_score:.2f}"
        info="Lowest score of a detection">min_score</numparam>
      <textparam level="basic" convoc="no yes" default="no"
        info="Write the scores on tiers of their own">scores</textparam>
      <textparam level="advanced" default={model}
        info="Model: run folder or hub id">model</textparam>
      <textparam level="advanced" default={quoted(chosen.device)}
        info="Device: auto, cpu or cuda">device</textparam>
      <output level="basic" type="multitier" optional="false" mimetypes="text/xml"
        info="File of the tiers">tiers</output>
    </RECOGNIZER>
  </Components>
</CMD>
"""


def _unix_script(python: str) -> str:
    # `exec`, so that what ELAN stops is Python itself. ELAN passes on little of the environment.
    return f"""#!/bin/sh
export PYTHONUTF8=1
exec {shlex.quote(python)} -P -m mmad elan recogniser
"""


def _windows_script(python: str) -> str:
    path = python.replace("%", "%%")
    lines = (
        "@echo off",
        "chcp 65001 >nul",
        "set PYTHONUTF8=1",
        f'"{path}" -P -m mmad elan recogniser',
    )
    return "\r\n".join(lines) + "\r\n"
