import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mmad.config.backbones.union import BackboneSettings
from mmad.config.base import members
from mmad.config.reading import parse_config
from mmad.config.run import DetectionRun, VideoRun
from mmad.engine.streaming.stream import joined
from mmad.engine.trained.opening import open_trained, require_detector
from mmad.engine.training import train_run
from mmad.errors import ExportError
from mmad.evaluation.predictions import read_predictions
from mmad.export.reading import ExportedDetector, ExportedRecogniser, open_exported
from mmad.export.runs import recogniser_form, video_form
from mmad.export.writing import SUFFIXES, Comparison, Format, write_network
from mmad.labels import MA52
from mmad.models.backbones.families import BACKBONES as BACKBONE_FAMILIES
from mmad.models.build import build_detector, build_recogniser
from mmad.models.detectors.whole import EndToEndDetector
from mmad.video.open import open_video
from support.commands import run_mmad
from support.synthetic_data import files_of, tiny_clip_config, tiny_config, tiny_content


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


def test_an_exported_run_detects_in_a_stream(
    exported: Path, detection_run: Path, videos: Path
) -> None:
    with open_video(videos / "videos" / "val0000.mp4") as video:
        images = video.read(np.arange(video.index.num_frames))
    found = []
    for checkpoint in (detection_run, exported):
        trained = require_detector(open_trained(checkpoint, device="cpu"))
        stream = trained.open_stream(fps=15.0, min_score=0.001, delay=1000.0)
        parts = stream.run(zip((np.arange(len(images)) / 15).tolist(), images, strict=True))
        found.append(joined(list(parts)))
    assert len(found[0]) > 10
    np.testing.assert_allclose(found[1].scores, found[0].scores, atol=1e-4)


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


@pytest.mark.slow
@pytest.mark.long
def test_recognize_with_an_exported_run(videos: Path, tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "run.onnx"
    train_run(tiny_clip_config(videos, training__epochs=1), out=run, quiet=True)
    run_mmad(["export", run, "--out", out])
    clips = sorted((videos / "clips").glob("val*.mp4"))[:3]
    tables = []
    for checkpoint in (run, out):
        path = tmp_path / f"{checkpoint.name}.csv"
        run_mmad(["recognize", *clips, "--checkpoint", checkpoint, "--out", path])
        tables.append(path.read_text().splitlines())
    assert tables[0] == tables[1]
    words = ["recognize", *clips, "--checkpoint", out, "--saliency", tmp_path / "maps"]
    assert "--saliency needs the layers" in run_mmad(words, code=2).stderr
    said = run_mmad(["export", run, "--out", tmp_path / "int8.onnx", "--int8"], code=2).stderr
    assert "--int8 is for detectors" in said


BACKBONES = {
    "tia": {"backbone__adapter__name": "tia"},
    "standard": {"backbone__adapter__name": "standard"},
    "dsta_180": {"backbone__adapter__name": "dsta_180"},
    "resized positions": {"backbone__position_image_size": 64, "upsampling": 2},
}


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("kind", BACKBONES)
def test_each_adapter_is_equal_in_its_file(kind: str, tmp_path: Path) -> None:
    config = tiny_config(tmp_path, **BACKBONES[kind])
    assert written(config, tmp_path / "net.onnx").largest < 1e-4


FAMILIES = [name for name in sorted(BACKBONE_FAMILIES) if name not in ("videomae", "bn_inception")]
# What ONNX lacks, or what tracing fixes to one number of clips.
REFUSED = {"internvideo2": "rms_norm", "timesformer": "Concat", "video_swin": "Add"}


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("name", FAMILIES)
def test_each_backbone_is_equal_in_its_file_or_refused(name: str, tmp_path: Path) -> None:
    settings, side = members(BackboneSettings)[name]().tiny()
    content = tiny_content(tmp_path)
    content["data"]["image_size"] = side
    content["data"]["window_frames"] = 4 * settings.clip_frames
    content["backbone"] = settings.model_dump(mode="json")
    config, out = parse_config(content, source="test"), tmp_path / "net.onnx"
    if name in REFUSED:
        with pytest.raises(ExportError, match=f"fails at the operator .*{REFUSED[name]}"):
            written(config, out)
        assert not out.exists()
    else:
        assert written(config, out).largest < 1e-4


def written(config: DetectionRun, out: Path, format: Format = "onnx") -> Comparison:
    """The comparison of a new detector with random weights."""
    assert isinstance(config, VideoRun)
    torch.manual_seed(0)
    detector = build_detector(config, num_classes=len(MA52), parents=MA52.parents)
    for name, parameter in detector.named_parameters():
        if ".adapter." in name:
            torch.nn.init.normal_(parameter, std=0.3)
    assert isinstance(detector, EndToEndDetector)
    network, description = video_form(detector.eval(), config, MA52, fps=15.0)
    return write_network(network, description, out, format=format)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("format", ["torchscript", "pt2"])
def test_a_whole_detector_in_the_formats_of_torch(format: Format, tmp_path: Path) -> None:
    out = tmp_path / f"net{SUFFIXES[format]}"
    assert written(tiny_config(tmp_path), out, format).largest < 1e-4
    if format == "pt2":
        more = {"mmad.json": ""}
        network = torch.export.load(str(out), extra_files=more).module()
        assert json.loads(more["mmad.json"])["window"]["multiple"] == 16
        frames = torch.zeros(1, 48, 32, 32, 3, dtype=torch.uint8)
        assert network(frames, torch.tensor([41]))["segments"].shape[2] == 2


def test_the_name_says_the_format(detection_run: Path, tmp_path: Path) -> None:
    said = run_mmad(["export", detection_run, "--out", tmp_path / "run.pt2"], code=2)
    assert "run.pt2: expected a name that ends in .onnx" in said.stderr
