import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from mmad.annotations.elan.recogniser.extension import Installation, find_extensions, install
from mmad.errors import OutputError

CMD = "{http://www.clarin.eu/cmd/}"


def test_the_newest_elan_is_found(tmp_path: Path) -> None:
    for name in ("ELAN_6-8", "ELAN_6-10"):
        (tmp_path / name / "lib/app").mkdir(parents=True)
    (tmp_path / "ELAN_5.9/extensions").mkdir(parents=True)
    (tmp_path / "ELAN_6.8/ELAN_6.8.app/Contents/app").mkdir(parents=True)
    (tmp_path / "ELAN_6-9/app").mkdir(parents=True)
    expected = {
        "linux": "ELAN_6-10/lib/app/extensions",
        "darwin": "ELAN_6.8/ELAN_6.8.app/Contents/app/extensions",
        "win32": "ELAN_6-9/app/extensions",
    }
    for system, folder in expected.items():
        assert find_extensions(system=system, roots=[tmp_path]) == tmp_path / folder


@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
def test_where_elan_may_be_is_told(tmp_path: Path, system: str) -> None:
    with pytest.raises(OutputError, match=r"pass --to FOLDER.*such as .*extensions$"):
        find_extensions(system=system, roots=[tmp_path / "none"])


def test_the_files_name_the_python_and_quote_it(tmp_path: Path) -> None:
    chosen = Installation('a "b" & c', 0.25, python="/my $home/100% bin/python")
    folder = install(tmp_path, chosen)
    root = ElementTree.parse(folder / "mmad.cmdi").getroot()
    program = root.find(f".//{CMD}recognizer")
    assert program is not None
    assert program.get("recognizerType") == "local"
    # ELAN divides the command at blanks.
    assert (program.get("runLinux") or "").split() == ["./mmad-recogniser.sh"]
    assert (program.get("runWin") or "").split() == ["cmd", "/c", ".\\mmad-recogniser.cmd"]
    names = {
        one.text: one.attrib
        for tag in ("numparam", "textparam", "input", "output")
        for one in root.iter(CMD + tag)
    }
    assert names.keys() == {"video", "min_score", "scores", "model", "device", "tiers"}
    assert names["model"]["default"] == 'a "b" & c'
    assert names["min_score"]["default"] == "0.25"
    script = (folder / "mmad-recogniser.sh").read_text()
    assert "exec '/my $home/100% bin/python' -P -m mmad elan recogniser" in script
    assert (
        (folder / "mmad-recogniser.cmd")
        .read_bytes()
        .endswith(b'"/my $home/100%% bin/python" -P -m mmad elan recogniser\r\n')
    )
    if sys.platform != "win32":
        assert (folder / "mmad-recogniser.sh").stat().st_mode & 0o111
