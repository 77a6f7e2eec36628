from pathlib import Path

import numpy as np
import pytest
import torch

from mmad.errors import ExportError
from mmad.evaluation.predictions import read_predictions
from mmad.export.reading import ExportedDetector, ExportedRecogniser, open_exported
from mmad.export.runs import recogniser_form
from mmad.export.writing import write_network
from mmad.labels import MA52
from mmad.models.build import build_recogniser
from support.commands import run_mmad
from support.synthetic_data import files_of, tiny_clip_config


@pytest.fixture(scope="module")
def exported(detection_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("exported") / "run.onnx"
    said = run_mmad(["export", detection_run, "--out", out]).stdout
    assert "largest difference from PyTorch" in said
    return out


def test_an_exported_run_detects_the_same(
    exported: Path, detection_run: Path, videos: Path, tmp_path: Path
) -> None:
    files = sorted((videos / "videos").glob("val*.mp4"))
    found = {}
    for checkpoint in (detection_run, exported):
        out = tmp_path / checkpoint.name
        options = ("--checkpoint", checkpoint, "--out", out, "--no-pictures")
        run_mmad(["detect", *files, *options])
        found[checkpoint] = read_predictions(out / "detections.csv", labels=MA52)
    assert sum(map(len, found[detection_run].values())) > 10
    for name, theirs in found[detection_run].items():
        ours = found[exported][name]
        assert len(ours) == len(theirs)
        np.testing.assert_allclose(ours.scores, theirs.scores, atol=1e-4)
        best = theirs.scores > theirs.scores.max() / 2
        np.testing.assert_array_equal(ours.labels[best], theirs.labels[best])
        np.testing.assert_allclose(
            ours.segments_seconds[best], theirs.segments_seconds[best], atol=1e-4
        )


def test_images_of_other_sides_are_refused(exported: Path) -> None:
    network = open_exported(exported, ExportedDetector).network
    clips = torch.zeros(1, 16, 48, 32, 3, dtype=torch.uint8)
    with pytest.raises(ExportError, match="reads images of 32x32 pixels, found 32x48"):
        network(clips, None, (1,), (16,))


def test_an_exported_run_detects_in_shares(exported: Path, videos: Path, tmp_path: Path) -> None:
    files = [path for _, path in files_of(videos)[:2]]
    words = ["detect", *files, "--checkpoint", exported, "--out", tmp_path, "--no-pictures"]
    run_mmad([*words, "--share", "1/2"])
    run_mmad([*words, "--share", "2/2"])
    assert (tmp_path / "detections.csv").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["export"], "is an exported file; pass the run folder"),
        (["push"], "is an exported file; pass the run folder"),
        (["predict"], "pass the run folder, or use the file with mmad detect"),
        (["extract-features"], "expected a config or a run folder"),
    ],
)
def test_what_an_exported_file_cannot_do(
    words: list[str], message: str, exported: Path, videos: Path, tmp_path: Path
) -> None:
    more: list[object] = []
    if words == ["extract-features"]:
        more = [files_of(videos)[0][1], "--out", tmp_path / "f.h5"]
    if words == ["push"]:
        more = ["org/name", "--dry-run", "--out", tmp_path / "hub"]
    assert message in run_mmad([*words, exported, *more], code=2).stderr


def test_a_recogniser_gives_the_same_logits(videos: Path, tmp_path: Path) -> None:
    config = tiny_clip_config(videos)
    model = build_recogniser(config, labels=MA52).eval()
    network, description = recogniser_form(model, config, MA52)
    out = tmp_path / "clips.onnx"
    assert write_network(network, description, out, format="onnx").largest < 1e-4
    opened = open_exported(out, ExportedRecogniser)
    clips = torch.randint(0, 256, (4, 16, 32, 32, 3), dtype=torch.uint8)
    colours = network.normalise.colours(2)  # type: ignore[attr-defined, operator]
    found, expected = opened.network(clips, colours, (2, 2)), model(clips, colours, (2, 2))
    torch.testing.assert_close(found.fine, expected.fine, rtol=1e-4, atol=1e-4)
    with pytest.raises(ExportError, match="for mmad recognize; expected a detector of videos"):
        open_exported(out, ExportedDetector)


def test_the_name_says_the_format(detection_run: Path, tmp_path: Path) -> None:
    said = run_mmad(["export", detection_run, "--out", tmp_path / "run.pt2"], code=2)
    assert "run.pt2: expected a name that ends in .onnx" in said.stderr
