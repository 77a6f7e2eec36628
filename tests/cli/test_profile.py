"""``mmad profile``: the JSON has what is printed, and bad input."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mmad.cli.main import app
from mmad.errors import MmadError
from mmad.report.profile_tables import size_text

pytestmark = pytest.mark.slow

# One block of 96 channels; images of 32 pixels.
TINY = (
    *("backbone.size={width: 96, depth: 1, num_heads: 4}", "backbone.position_image_size=32"),
    *("data.image_size=32", "backbone.pretrained=null"),
)


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["profile", "--device", "cpu", *arguments])
    if isinstance(result.exception, MmadError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_json_has_what_is_printed(tmp_path: Path) -> None:
    out = tmp_path / "cost.json"
    options = ("--batch", "2", "--classes", "7", "--repeats", "1", "--depth", "2")
    said = run("configs/recognition/demo.yaml", *TINY, *options, "--json", str(out))
    found = json.loads(out.read_text())
    assert found["input"] == "2 clips of 16 frames, 32 x 32 pixels, 7 classes"
    assert (found["unit"], found["units"], found["views"]) == ("clip", 2, 3)
    assert f"({found['parameters']:,}), of which trained" in said
    for row in found["modules"]:
        cells = [row["parameters"], row["trained"], row["multiply_adds"] / 2]
        name = row["name"].rpartition(".")[2] or "all"
        shown = [re.escape(size_text(cell)) for cell in cells]
        assert re.search(r"│\s+".join([rf"{name}\s+", *(f"{cell} " for cell in shown)]), said)
        assert row["name"].count(".") < 2
    whole = found["modules"][0]
    assert whole["multiply_adds"] == found["forward"]["total"]
    assert found["forward"]["total"] == sum(found["forward"]["multiply_adds"].values())
    both = [size_text(found[name]["total"] / 2) for name in ("forward", "training")]
    assert re.search(rf"multiply-adds\s+│\s+{both[0]} │\s+{both[1]} ", said)
    assert f"3 views of a clip: {size_text(3 * found['forward']['total'] / 2)}" in said
    assert "NOT COUNTED" not in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("configs/recognition/tsm.yaml",), "there is no such config; did you mean"),
        (("configs/demo.yaml", "backbone.deep=3"), "deep"),
        (("configs/demo.yaml", "--json", "configs"), "configs"),
        (("configs/demo.yaml", "--device", "cuda:99"), "cuda:99"),
        (("configs/recognition/demo.yaml", "data.labels=LICENSE"), "LICENSE"),
    ],
)
def test_bad_input(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(MmadError, match=message):
        run(*arguments)


def test_a_wrong_number_of_classes() -> None:
    result = CliRunner().invoke(app, ["profile", "configs/demo.yaml", "--classes", "1"])
    assert result.exit_code == 2
    assert "--classes" in result.output
