"""The code of docs/python.md runs, in order, on small data under the names that it uses."""

import contextlib
import re
import shutil
from pathlib import Path

import pytest
import yaml

import mmad
from support.synthetic_data import tiny_content

PAGE = Path(__file__).resolve().parents[1] / "docs" / "python.md"


def test_the_page_lists_every_name() -> None:
    text = PAGE.read_text(encoding="utf-8")
    table = text[text.index("## Names") : text.index("## pandas")]
    named = set(re.findall(r"`(\w+)(?:\(.*?\))?`", table))
    assert set(mmad.__all__) - {"__version__"} <= named


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::mmad.errors.MmadWarning")
def test_the_code_of_the_page_runs(
    videos: Path, detection_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "demo" / "data" / "videos").mkdir(parents=True)
    shutil.copytree(detection_run, tmp_path / "demo" / "run")
    shutil.copy(
        videos / "videos" / "val0000.mp4", tmp_path / "demo" / "data" / "videos" / "test0000.mp4"
    )
    shutil.copy(videos / "annotations" / "mma52.json", tmp_path / "annotations.json")
    # The copied run finds its data from here.
    config = tmp_path / "demo" / "run" / "config.yaml"
    content = yaml.safe_load(config.read_text())
    content["data"] |= tiny_content(videos)["data"]
    config.write_text(yaml.safe_dump(content))
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(tiny_content(videos)))
    code = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.S | re.M)
    assert len(code) == 6
    names: dict[str, object] = {}
    with contextlib.chdir(tmp_path):
        for block in code:
            exec(compile(block, str(PAGE), "exec"), names)
    said = capsys.readouterr().out
    assert said.startswith("<200 detections in 'test0000' ")
    assert "no_such_file.mp4: video not found" in said
    assert (tmp_path / "test0000.eaf").is_file()
    assert (tmp_path / "runs" / "tiny" / "config.yaml").is_file()
