"""Training on stored features: the same as end to end without the backbone."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from mmad.checkpoint import save_tensors
from mmad.config.features import ExtractionSettings, StoredGrid
from mmad.config.reading import dump_config, load_config, parse_config
from mmad.config.run import DetectionRun
from mmad.data.features.files import FeatureFile
from mmad.data.features.folders import FeatureFolder
from mmad.data.features.windows import WindowReader, open_features
from mmad.engine.detection import read_data, records_of
from mmad.engine.features.backbone import open_backbone
from mmad.engine.features.extraction import extract_to_file
from mmad.engine.features.plan import FeatureBackbone
from mmad.engine.inference import detect_videos
from mmad.engine.runs.folder import RunFolder
from mmad.engine.runs.load import load_run
from mmad.engine.runs.onto_videos import load_video_run
from mmad.engine.training import train_run
from mmad.errors import CheckpointError, ConfigError, FeatureError
from mmad.models.build import build_detector
from support.backbones import random_backbone
from support.commands import run_mmad
from support.runs import losses_of
from support.synthetic_data import change, files_of, tiny_config, tiny_content

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")


def offline_config(videos: Path, features: Path, **changes: object) -> DetectionRun:
    content = tiny_content(videos)
    content["data"] = {
        "annotations": content["data"]["annotations"],
        "features": str(features),
        "window_steps": 64,
    }
    del content["backbone"], content["upsampling"]
    return parse_config(change(content, changes), source="test")


@pytest.fixture(scope="module")
def whole_run(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An end-to-end run."""
    out = tmp_path_factory.mktemp("whole") / "run"
    train_run(tiny_config(videos, training__epochs=1), out=out, quiet=True)
    return out


@pytest.fixture(scope="module")
def its_features(whole_run: Path, videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("features") / "features.h5"
    source = open_backbone(whole_run, device=CPU)
    extract_to_file(files_of(videos), source, ExtractionSettings(), out=out)
    return out


@pytest.fixture(scope="module")
def offline_run(videos: Path, its_features: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("offline") / "run"
    train_run(offline_config(videos, its_features), out=out, quiet=True)
    return out


def mmad(*arguments: object, code: int = 0) -> str:
    said = run_mmad(arguments, code=code)
    return said.stdout + said.stderr


def rows_of(path: Path) -> np.ndarray:
    lines = path.read_text().splitlines()[1:]
    return np.array([[float(x) for x in line.split(",")[2:]] for line in lines])


def test_an_offline_run_is_a_run(offline_run: Path) -> None:
    names = {str(path.relative_to(offline_run)) for path in offline_run.rglob("*")}
    assert {"features.json", "best.safetensors", "frozen.safetensors", "curves.png"} <= names
    assert "predictions/val.csv" in names
    trained = torch.nn.Module.state_dict(load_run(offline_run)[0])
    assert all(name.startswith("network.") for name in trained)
    rates = [row["fps"] for row in RunFolder(offline_run).rows() if row["kind"] == "data"]
    assert rates == [15.0]


def test_eval_error_analysis_and_report_take_it(offline_run: Path, tmp_path: Path) -> None:
    assert "action" in mmad("eval", "--runs", offline_run)
    mmad("error-analysis", offline_run / "predictions" / "val.csv")
    mmad("report", offline_run, "--out", tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size > 10_000


@pytest.mark.parametrize("steps", [1, 2, 0.5])
def test_a_detector_finds_the_same_in_videos_and_their_features(
    steps: float, whole_run: Path, its_features: Path, videos: Path, tmp_path: Path
) -> None:
    """The weights of an end-to-end run, on features that it made itself."""
    content = tiny_content(videos)
    content["upsampling"] = steps
    content["training"]["epochs"] = 1
    run = tmp_path / "run"
    train_run(parse_config(content, source="test"), out=run, quiet=True)
    features = tmp_path / "f.h5"
    source = open_backbone(run, device=CPU)
    extract_to_file(files_of(videos), source, ExtractionSettings(), out=features)
    detector, config, _ = load_run(run)
    records = records_of(config, read_data(config)[0], ["train", "val"])
    expected = detect_videos(detector, records, config, device=CPU).detections
    on_features = offline_config(videos, features, upsampling=steps)
    reader = WindowReader(open_features(features), steps_per_stored=steps)
    alone, _, _ = load_run(run, features=reader.source.manifest)
    found = detect_videos(alone, records, on_features, device=CPU, reader=reader).detections
    for record in records:
        one, other = expected[record.video_id], found[record.video_id]
        assert len(one) > 0
        np.testing.assert_array_equal(one.labels, other.labels)
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)
        np.testing.assert_allclose(one.segments_seconds, other.segments_seconds, atol=1e-4)


def test_predict_on_features_with_an_end_to_end_run(
    whole_run: Path, its_features: Path, videos: Path, tmp_path: Path
) -> None:
    annotations = videos / "annotations" / "mma52.json"
    one, other = tmp_path / "videos.csv", tmp_path / "features.csv"
    mmad("predict", whole_run, "--subset", "val", "--out", one)
    data = f"data={{annotations: {annotations}, features: {its_features}}}"
    mmad("predict", whole_run, data, "--subset", "val", "--out", other)
    np.testing.assert_allclose(rows_of(one), rows_of(other), atol=1e-4)


def test_an_offline_run_detects_in_videos(offline_run: Path, videos: Path, tmp_path: Path) -> None:
    """The backbone is put back from where it was; nothing else tells it what it is."""
    mmad("predict", offline_run, "--subset", "val", "--out", tmp_path / "features.csv")
    names = [name for name, _ in files_of(videos) if name.startswith("val")]
    files = [videos / "videos" / f"{name}.mp4" for name in names]
    mmad("detect", *files, "--checkpoint", offline_run, "--out", tmp_path / "d")
    np.testing.assert_allclose(
        rows_of(tmp_path / "features.csv"), rows_of(tmp_path / "d/detections.csv"), atol=1e-4
    )


def test_heads_go_from_features_to_videos_and_back(
    offline_run: Path, whole_run: Path, its_features: Path, videos: Path, tmp_path: Path
) -> None:
    config = tiny_config(
        videos,
        training__epochs=1,
        training__learning_rate=1e-9,
        training__adapter_learning_rate=1e-9,
        training__start=str(offline_run),
        backbone__pretrained=str(whole_run),
    )
    train_run(config, out=tmp_path / "whole", quiet=True)
    head = dict(load_run(offline_run)[0].named_parameters())
    moved = load_run(tmp_path / "whole")[0]
    for name, value in moved.network.named_parameters():
        torch.testing.assert_close(value, head[f"network.{name}"], atol=1e-6, rtol=0)
    back = offline_config(
        videos,
        its_features,
        training__epochs=1,
        training__learning_rate=1e-9,
        training__start=str(whole_run),
    )
    train_run(back, out=tmp_path / "offline", quiet=True)
    own = dict(load_run(whole_run)[0].network.named_parameters())
    for name, value in load_run(tmp_path / "offline")[0].network.named_parameters():
        torch.testing.assert_close(value, own[name], atol=1e-6, rtol=0)
    lacking = tiny_config(videos, training__start=str(offline_run))
    with pytest.raises(CheckpointError, match="the checkpoint lacks"):
        train_run(lacking, out=tmp_path / "no", quiet=True)


def test_it_resumes_to_the_same_losses(
    offline_run: Path, its_features: Path, videos: Path, tmp_path: Path
) -> None:
    train_run(offline_config(videos, its_features), out=tmp_path / "again", quiet=True)
    assert losses_of(tmp_path / "again") == losses_of(offline_run)
    config = offline_config(videos, its_features, data__num_workers=1)
    train_run(config, out=tmp_path / "workers", quiet=True)
    np.testing.assert_allclose(losses_of(tmp_path / "workers"), losses_of(offline_run), rtol=1e-6)


# ---- features that do not fit ----


def other_features(videos: Path, out: Path, *, seed: int) -> Path:
    config = tiny_config(videos, backbone__adapter={"name": "standard"})
    torch.manual_seed(seed)
    data, settings = config.data, config.backbone
    source = FeatureBackbone(random_backbone(config), settings, data, weights_source="test")
    extract_to_file(files_of(videos), source, ExtractionSettings(), out=out)
    return out


def test_other_features_are_refused(
    offline_run: Path, whole_run: Path, its_features: Path, videos: Path, tmp_path: Path
) -> None:
    other = other_features(videos, tmp_path / "other.h5", seed=5)
    said = mmad("predict", offline_run, f"data.features={other}", "--subset", "val", code=2)
    assert "differs from the features" in said
    assert "weights_sha256" in said
    start = offline_config(videos, other, training__start=str(whole_run))
    with pytest.raises(FeatureError, match=r"differs from the features that .* computes"):
        train_run(start, out=tmp_path / "a", quiet=True)
    wish = offline_config(videos, other, data__weights_sha256="abc")
    with pytest.raises(FeatureError, match=r"data\.weights_sha256 says abc"):
        train_run(wish, out=tmp_path / "b", quiet=True)
    grid = offline_config(videos, its_features, data__grid={"stride_frames": 4})
    expected = r"a step every 2 frames.*data\.grid is a step every 4 frames"
    with pytest.raises(FeatureError, match=expected):
        train_run(grid, out=tmp_path / "c", quiet=True)
    assert not any((tmp_path / name).exists() for name in "abc")


def test_features_that_changed_stop_a_resume(
    its_features: Path, videos: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "mine.h5"
    mine.write_bytes(its_features.read_bytes())
    config = offline_config(videos, mine, training__epochs=1)
    train_run(config, out=tmp_path / "run", quiet=True)
    mine.unlink()
    other_features(videos, mine, seed=5)
    with pytest.raises(FeatureError, match=r"differs from the features that .* was trained on"):
        train_run(config, out=tmp_path / "run", resume=True, quiet=True)


def test_missing_videos_and_broken_files_are_named(
    its_features: Path, videos: Path, tmp_path: Path
) -> None:
    few = tmp_path / "few.h5"
    source = FeatureBackbone(
        random_backbone(tiny_config(videos)),
        tiny_config(videos).backbone,
        tiny_config(videos).data,
        weights_source="test",
    )
    extract_to_file(files_of(videos)[:2], source, ExtractionSettings(), out=few)
    with pytest.raises(FeatureError, match="has no features of video"):
        train_run(offline_config(videos, few), out=tmp_path / "a", quiet=True)
    with pytest.raises(FeatureError, match="file of features not found"):
        train_run(offline_config(videos, tmp_path / "none.h5"), out=tmp_path / "a", quiet=True)
    cut = tmp_path / "cut.h5"
    cut.write_bytes(its_features.read_bytes()[:1000])
    with pytest.raises(FeatureError, match="expected a complete file of mmad extract-features"):
        FeatureFile(cut)
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(FeatureError, match="expected a complete file of mmad extract-features"):
        FeatureFile(tmp_path / "text.h5")


def test_a_config_says_what_is_wrong() -> None:
    with pytest.raises(ConfigError, match=r"data\.window_frames: there is no such setting"):
        load_config("configs/features/tridet.yaml", overrides=["data.window_frames=64"])
    with pytest.raises(
        ConfigError, match=r"backbone: this setting is missing .*stored features .*need none"
    ):
        load_config("configs/demo.yaml", overrides=["backbone=null"])
    config = load_config("configs/features/tridet.yaml", overrides=["compat=opentad"])
    assert config.data.keep_tail is False
    assert config.upsampling == 1


# ---- folders of arrays ----


@pytest.mark.parametrize("suffix", ["npy", "npz", "pt", "csv", "pkl"])
def test_folders_go_there_and_back(suffix: str, its_features: Path, tmp_path: Path) -> None:
    folder, back = tmp_path / "folder", tmp_path / "back.h5"
    mmad("features", "convert", its_features, folder, "--format", suffix)
    one, other = FeatureFile(its_features), FeatureFolder(folder)
    assert other.video_ids() == one.video_ids()
    assert not one.manifest.differences(other.manifest)
    for name in one.video_ids():
        steps = one.video(name).num_steps
        np.testing.assert_allclose(one.read(name, 0, steps), other.read(name, 0, 10_000), rtol=1e-6)
        assert other.video(name).num_frames == one.video(name).num_frames
    mmad("features", "convert", folder, back)
    assert FeatureFile(back).video(name).fps == one.video(name).fps
    assert "6 videos" in mmad("features", "inspect", back, "--videos")


def test_a_folder_of_others_trains(its_features: Path, videos: Path, tmp_path: Path) -> None:
    """As ActionFormer's users have them: arrays, and a grid that only the paper knows."""
    folder = tmp_path / "feats"
    folder.mkdir()
    source = FeatureFile(its_features)
    for name in source.video_ids():
        array = source.read(name, 0, source.video(name).num_steps)
        np.save(folder / f"v_{name}-rgb.npy", array.T)
    settings = {"file_name": "v_{video_id}-rgb", "channels_first": True}
    config = offline_config(
        videos,
        folder,
        data__grid={"stride_frames": 2.0, "fps": 15.0},
        **{f"data__{key}": value for key, value in settings.items()},
    )
    train_run(config, out=tmp_path / "run", quiet=True)
    assert RunFolder(tmp_path / "run").manifest().weights_sha256 is None
    with pytest.raises(FeatureError, match=r"the positions of the steps are not known"):
        open_features(folder, **settings)
    with pytest.raises(FeatureError, match=r"arrays named '\{video_id\}_x'"):
        open_features(folder, file_name="{video_id}_x")
    with pytest.raises(FeatureError, match="so it cannot take videos"):
        load_video_run(tmp_path / "run")
    np.save(folder / "v_val0000-rgb.npy", np.zeros((7, 20), dtype=np.float32))
    found = open_features(folder, grid=StoredGrid(stride_frames=2.0), **settings)
    with pytest.raises(FeatureError, match="has 7 channels, the others 16"):
        found.read("val0000", 0, 5)


def test_dump_of_an_offline_config_is_read_back(videos: Path, tmp_path: Path) -> None:
    config = offline_config(videos, tmp_path / "f.h5")
    (tmp_path / "c.yaml").write_text(dump_config(config))
    assert load_config(tmp_path / "c.yaml") == config


def test_an_actionformer_of_its_authors_becomes_a_run(
    its_features: Path, videos: Path, tmp_path: Path
) -> None:
    config = offline_config(videos, its_features, compat="actionformer")
    model = build_detector(config, num_classes=52, feature_channels=16)
    names = {
        **{f"pyramid.embed.{i}.conv.conv.": f"backbone.embd.{i}.conv." for i in range(1)},
        **{f"pyramid.embed.{i}.norm.": f"backbone.embd_norm.{i}." for i in range(1)},
        "pyramid.level_norms.": "neck.fpn_norms.",
        "pyramid.": "backbone.",
        "classification.convs.": "cls_head.head.",
        "classification.out.": "cls_head.cls_head.",
        "regression.convs.": "reg_head.head.",
        "regression.out.": "reg_head.offset_head.",
        "level_scales.": "reg_head.scale.",
    }
    theirs = {}
    for ours, value in model.network.state_dict().items():
        name = next(
            theirs_of + ours.removeprefix(start)
            for start, theirs_of in names.items()
            if ours.startswith(start)
        )
        for part in ("cls_head", "reg_head"):
            name = re.sub(rf"^{part}\.head\.(\d)\.norm\.", rf"{part}.norm.\1.", name)
            name = re.sub(rf"^({part}\.head\.\d)\.conv\.conv\.", r"\1.conv.", name)
        name = re.sub(r"(scale\.\d)$", r"\1.scale", name)
        name = re.sub(r"\.norm([12])\.", r".ln\1.", name)
        name = re.sub(r"\.fc1\.", ".mlp.0.", re.sub(r"\.fc2\.", ".mlp.3.", name))
        name = re.sub(r"\.scale_(attn|mlp)$", r".drop_path_\1.scale", name)
        theirs[f"module.{name}"] = value
    torch.save({"epoch": 34, "state_dict_ema": theirs}, tmp_path / "epoch_034.pth.tar")
    (tmp_path / "c.yaml").write_text(dump_config(config))
    source, run = tmp_path / "epoch_034.pth.tar", tmp_path / "run"
    mmad("weights", "convert", source, run, "--config", tmp_path / "c.yaml", "--fps", "15")
    loaded = load_run(run)[0].network.state_dict()
    for name, value in model.network.state_dict().items():
        assert torch.equal(loaded[name], value), name
    mmad("predict", run, "--subset", "val")
    whole = tmp_path / "whole.yaml"
    whole.write_text(dump_config(tiny_config(videos)))
    said = mmad("weights", "convert", source, tmp_path / "b", "--config", whole, code=2)
    assert "it has no VideoMAE" in said


@pytest.mark.parametrize(
    "change_of_data",
    ["data.frame_stride=2", "data.image_size=64", "data.subtract_background=true"],
)
def test_features_of_other_images_are_refused(
    change_of_data: str, whole_run: Path, videos: Path, tmp_path: Path
) -> None:
    """The same backbone, but not what the run sees."""
    source = open_backbone(whole_run, device=CPU, change=[change_of_data])
    out = tmp_path / "f.h5"
    extract_to_file(files_of(videos), source, ExtractionSettings(), out=out)
    config = offline_config(videos, out, training__start=str(whole_run))
    with pytest.raises(FeatureError, match="differs from the features that"):
        train_run(config, out=tmp_path / "a", quiet=True)


def test_a_start_with_another_backbone_or_other_steps_is_refused(
    offline_run: Path, whole_run: Path, videos: Path, tmp_path: Path
) -> None:
    train_run(tiny_config(videos, seed=5, training__epochs=1), out=tmp_path / "b", quiet=True)
    other = tiny_config(
        videos, training__start=str(offline_run), backbone__pretrained=str(tmp_path / "b")
    )
    with pytest.raises(FeatureError, match="was trained on features of another backbone"):
        train_run(other, out=tmp_path / "c", quiet=True)
    steps = tiny_config(
        videos,
        training__start=str(offline_run),
        backbone__pretrained=str(whole_run),
        upsampling=2,
    )
    with pytest.raises(CheckpointError, match="was trained with upsampling 1"):
        train_run(steps, out=tmp_path / "d", quiet=True)


def test_a_backbone_that_has_moved(offline_run: Path, whole_run: Path, tmp_path: Path) -> None:
    run, moved = tmp_path / "run", tmp_path / "moved"
    shutil.copytree(offline_run, run)
    shutil.copytree(whole_run, moved)
    manifest = RunFolder(run).manifest()
    gone = manifest.model_copy(update={"weights_source": str(tmp_path / "gone")})
    RunFolder(run).features.write_text(gone.to_json())
    with pytest.raises(FeatureError, match="pass its place with --backbone"):
        load_video_run(run)
    assert load_video_run(run, backbone=str(moved))[1].backbone is not None
    mmad("weights", "export", run, tmp_path / "hf", "--backbone", moved)
    assert load_config(tmp_path / "hf" / "mmad-config.yaml").backbone == manifest.backbone


def test_new_adapters_are_the_same_ones_again(videos: Path, tmp_path: Path) -> None:
    """Weights without adapters, and a config that adds some: their random values come back."""
    backbone = random_backbone(tiny_config(videos, backbone__adapter={"name": "none"}))
    weights = tmp_path / "backbone.safetensors"
    save_tensors(weights, backbone.state_dict())
    config = tiny_config(videos, seed=3, backbone__pretrained=str(weights))
    (tmp_path / "c.yaml").write_text(dump_config(config))
    source = open_backbone(tmp_path / "c.yaml", device=CPU)
    features = tmp_path / "f.h5"
    extract_to_file(files_of(videos), source, ExtractionSettings(), out=features)
    offline = offline_config(videos, features, training__epochs=1, seed=8)
    train_run(offline, out=tmp_path / "run", quiet=True)
    assert load_video_run(tmp_path / "run")[1].backbone.adapter.name == "dsta"
