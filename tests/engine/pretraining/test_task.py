"""Runs of pre-training: from a folder of videos to weights that others start from."""

import logging
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from mmad.checkpoint import save_tensors
from mmad.config.reading import dump_config, parse_any_config
from mmad.config.run import VideoRun
from mmad.data.features.files import FeatureFile
from mmad.engine.runs.folder import RunFolder
from mmad.engine.runs.load import load_pretraining, load_run
from mmad.engine.runs.onto_videos import backbone_of_features
from mmad.engine.training import train_run
from mmad.errors import CheckpointError, ConfigError, VideoError
from mmad.models.build import build_pretraining
from mmad.report.curves import draw_training_curves
from support.commands import run_mmad
from support.pretraining import pretraining_config
from support.runs import losses_of, torchrun
from support.synthetic_data import tiny_config

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """Two passes over six videos, two crops of each clip."""
    out = tmp_path_factory.mktemp("pretraining") / "run"
    config = pretraining_config(videos / "videos", data__repeats=2, data__val_share=0.3)
    return train_run(config, out=out, quiet=True)


def test_run_folder_has_weights_and_pictures_and_no_labels(run: RunFolder) -> None:
    names = {path.name for path in run.path.iterdir()}
    assert {"best.safetensors", "last.pt", "reconstructions.png", "curves.png"} <= names
    assert "labels.json" not in names
    rows = run.rows()
    data = next(row for row in rows if row["kind"] == "data")
    assert (data["num_videos"], data["num_stretches"], data["num_broken"]) == (4, 4, 0)
    assert data["people"] == "drawn"
    steps = [row for row in rows if row["kind"] == "step"]
    # Two videos of two crops, of whose sixteen tokens eight are hidden.
    assert [row["normalizer"] for row in steps] == [32.0] * 4
    errors = [row["reconstruction_error"] for row in rows if row["kind"] == "validation"]
    assert errors[1] < errors[0]


def test_a_detector_starts_from_it(run: RunFolder, videos: Path, tmp_path: Path) -> None:
    config = tiny_config(
        videos,
        backbone__pretrained=str(run.path),
        backbone__adapter={"name": "none"},
        backbone__final_norm="auto",
        backbone__clip_frames=8,
        training__epochs=1,
    )
    assert isinstance(config, VideoRun)
    train_run(config, out=tmp_path / "run", quiet=True)
    model, settings, _ = load_run(tmp_path / "run")
    assert settings.backbone is not None
    assert settings.backbone.final_norm is True
    pretrained, _ = load_pretraining(run.path)
    for name, value in pretrained.features.backbone.state_dict().items():
        assert model.features.backbone.state_dict()[name].equal(value), name


def test_features_of_its_backbone_find_it_again(
    run: RunFolder, videos: Path, tmp_path: Path
) -> None:
    config = tiny_config(videos, backbone__pretrained=str(run.path), backbone__clip_frames=8)
    file, out = tmp_path / "config.yaml", tmp_path / "features.h5"
    file.write_text(dump_config(config))
    run_mmad(["extract-features", str(file), str(videos / "videos"), "--out", str(out)])
    backbone = backbone_of_features(FeatureFile(out).manifest, place=None, source=str(out))
    pretrained, _ = load_pretraining(run.path)
    name, value = next(iter(pretrained.features.backbone.state_dict().items()))
    assert backbone.state_dict()[name].equal(value)


def test_going_on_from_a_run_takes_its_decoder(
    run: RunFolder, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    further = {"backbone__pretrained": str(run.path), "training__epochs": 1}
    config = pretraining_config(videos / "videos", **further)
    train_run(config, out=tmp_path / "further")
    assert "decoder: " in (told := capsys.readouterr().out)
    assert "our own naming" in told
    fresh = pretraining_config(videos / "videos", **further, decoder__start="fresh")
    train_run(fresh, out=tmp_path / "fresh")
    assert "decoder: a new one" in capsys.readouterr().out
    assert losses_of(tmp_path / "further")[0] < losses_of(tmp_path / "fresh")[0]


def test_other_commands_say_what_it_is_for(run: RunFolder) -> None:
    with pytest.raises(CheckpointError, match=r"pre-training.*backbone\.pretrained="):
        load_run(run.path)


def test_resumed_losses_are_those_of_a_whole_run(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = pretraining_config(videos / "videos", masks__kind="moving", training__epochs=3)
    config = config.model_copy(
        update={"training": config.training.model_copy(update={"checkpoint_steps": 1})}
    )
    whole = train_run(config, out=tmp_path / "whole", quiet=True)

    class StopError(Exception):
        pass

    def stop_at(share: float) -> None:
        if share > 0.4:
            raise StopError

    with pytest.raises(StopError):
        train_run(config, out=tmp_path / "cut", quiet=True, listener=stop_at)
    other = pretraining_config(videos / "videos", masks__kind="tube", training__epochs=3)
    with pytest.raises(CheckpointError, match=r"other settings \(.*masks\.kind"):
        train_run(other, out=tmp_path / "cut", resume=True, quiet=True)
    resumed = train_run(config, out=tmp_path / "cut", resume=True, quiet=True)
    assert losses_of(resumed.path) == losses_of(whole.path)


def test_broken_videos_are_counted_and_skipped(
    videos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    for path in (videos / "videos").iterdir():
        (folder / path.name).symlink_to(path)
    (folder / "broken.mp4").write_bytes(b"not a video")
    with caplog.at_level(logging.WARNING):
        run = train_run(
            pretraining_config(folder, training__epochs=1, data__val_share=0),
            out=tmp_path / "run",
            quiet=True,
        )
    assert "1 of 7 videos cannot be read and is skipped" in caplog.text
    assert "broken.mp4" in caplog.text
    assert next(row for row in run.rows() if row["kind"] == "data")["num_broken"] == 1
    assert not run.best.is_file()  # nothing to validate on


def test_folders_without_a_readable_video_are_named(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"data\.videos: .*no video files in it"):
        train_run(pretraining_config(tmp_path), out=tmp_path / "run", quiet=True)
    (tmp_path / "a.mp4").write_bytes(b"not a video")
    with pytest.raises(VideoError, match=r"none of 1 video can be read; the first: .*a\.mp4"):
        train_run(pretraining_config(tmp_path), out=tmp_path / "run", quiet=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"masks__ratio": 0.01}, "masks none"),
        ({"masks__kind": "frame", "masks__ratio": 0.1}, "masks none"),
        ({"data__image_size": 16, "masks__decoded": 0.5}, "running cells are of 2x2 tokens"),
        ({"backbone__freeze": True}, "nothing would be pre-trained"),
        ({"backbone__adapter": {"name": "dsta"}}, "adapters look at neighbouring tokens"),
        ({"backbone": {"name": "i3d"}, "data__image_size": 64}, "i3d computes all tokens"),
        ({"decoder__num_heads": 3}, "width 8 is not a multiple of num_heads 3"),
        ({"masks__decoded": 0.4}, "expected 0.25, 0.5, 0.75 or 1"),
        ({"masks__preference": 2.0}, "preference is that of kind moving"),
        (
            {"masks__kind": "moving", "backbone": {"name": "umt", "clip_frames": 1}},
            "a clip of one frame shows no motion",
        ),
        ({"backbone__final_norm": "pooled"}, "set backbone.final_norm=false to continue"),
        ({"data__augment_on": "device"}, "cropped as they are read"),
    ],
)
def test_impossible_settings_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        pretraining_config(**changes)


def test_fine_tuned_weights_need_their_norm_left_out(videos: Path, tmp_path: Path) -> None:
    tensors = build_pretraining(pretraining_config()).features.backbone.state_dict()
    tensors = {name: value for name, value in tensors.items() if not name.startswith("norm.")}
    norm = {"fc_norm.weight": torch.ones(16), "fc_norm.bias": torch.zeros(16)}
    save_tensors(tmp_path / "fine.safetensors", {**tensors, **norm})
    changes = {
        "backbone__pretrained": str(tmp_path / "fine.safetensors"),
        "training__epochs": 1,
    }
    with pytest.raises(ConfigError, match=r"fine\.safetensors: .*backbone\.final_norm=false"):
        train_run(
            pretraining_config(videos / "videos", **changes), out=tmp_path / "run", quiet=True
        )
    config = pretraining_config(videos / "videos", backbone__final_norm=False, **changes)
    assert losses_of(train_run(config, out=tmp_path / "run", quiet=True).path)


def test_a_ratio_that_leaves_no_token_is_refused() -> None:
    with pytest.raises(ConfigError, match="leaves no token to see; set a lower ratio"):
        pretraining_config(masks__ratio=1)


@pytest.mark.parametrize("val_share", [0.3, 0])
def test_a_linear_probe_scores_the_backbone(val_share: float, videos: Path, tmp_path: Path) -> None:
    lists = videos / "annotations"
    probe = {
        "clips": str(videos / "clips"),
        "train": str(lists / "ma52_train.txt"),
        "val": str(lists / "ma52_val.txt"),
    }
    config = pretraining_config(
        videos / "videos", data__val_share=val_share, probe=probe, training__epochs=1
    )
    run = train_run(config, out=tmp_path / "run", quiet=True)
    row = next(row for row in run.rows() if row["kind"] == "validation")
    assert 0 <= row["probe_top1"] <= 1
    assert ("reconstruction_error" in row) == (val_share > 0)
    assert run.best.is_file()
    run_mmad(["report", run.path])
    assert (run.path / "report.html").is_file()


def test_the_background_of_a_stretch_is_subtracted(videos: Path, tmp_path: Path) -> None:
    config = pretraining_config(
        videos / "videos", data__subtract_background=True, training__epochs=1
    )
    run = train_run(config, out=tmp_path / "run", quiet=True)
    assert np.isfinite(losses_of(run.path)).all()


def test_precision_of_sixteen_bits_and_running_cells(videos: Path, tmp_path: Path) -> None:
    losses = []
    for precision in ("fp32", "bf16"):
        config = pretraining_config(
            videos / "videos", masks__decoded=0.5, training__precision=precision
        )
        losses.append(losses_of(train_run(config, out=tmp_path / precision, quiet=True).path))
    assert losses[0] == pytest.approx(losses[1], rel=0.02)
    assert losses[0] != losses[1]


def test_two_processes_give_the_losses_of_one(run: RunFolder, videos: Path, tmp_path: Path) -> None:
    config = pretraining_config(
        videos / "videos", data__repeats=2, data__val_share=0.3, data__num_workers=1
    )
    (tmp_path / "config.yaml").write_text(dump_config(config))
    command = [*torchrun(2), "-m", "mmad", "pretrain", str(tmp_path / "config.yaml")]
    subprocess.run(
        [*command, "--out", str(tmp_path / "double")],
        check=True,
        capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    np.testing.assert_allclose(losses_of(tmp_path / "double"), losses_of(run.path), rtol=1e-5)
    double = RunFolder(tmp_path / "double")
    errors = [
        [row["reconstruction_error"] for row in one.rows() if row["kind"] == "validation"]
        for one in (run, double)
    ]
    np.testing.assert_allclose(errors[1], errors[0], rtol=1e-5)
    assert double.reconstructions.is_file()


def test_start_takes_up_a_whole_run(run: RunFolder, videos: Path, tmp_path: Path) -> None:
    config = pretraining_config(
        videos / "videos", training__start=str(run.path), training__epochs=1
    )
    further = train_run(config, out=tmp_path / "run", quiet=True)
    assert losses_of(further.path)[0] < losses_of(run.path)[0]


def test_curves_show_the_reconstruction(run: RunFolder, tmp_path: Path) -> None:
    draw_training_curves(tmp_path / "curves.png", run.rows())
    assert (tmp_path / "curves.png").stat().st_size > 0


def test_config_of_a_run_is_read_back(run: RunFolder) -> None:
    _, config = load_pretraining(run.path)
    again = parse_any_config(config.model_dump(mode="json"), source="test")
    assert again == config
    assert torch.tensor(config.grid).tolist() == [4, 2, 2]
