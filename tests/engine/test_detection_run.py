import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from synthetic_data import tiny_config, tiny_content

from mmad.config.reading import load_any_config
from mmad.config.run import DetectionRun
from mmad.data.samples import Packer
from mmad.data.videos import TrainingVideos, WindowStream
from mmad.engine.detection import read_data, records_of
from mmad.engine.inference import detect_videos
from mmad.engine.runs.folder import RunFolder, load_run
from mmad.engine.training import train_run
from mmad.errors import CheckpointError, ConfigError
from mmad.evaluation.predictions import read_predictions
from mmad.labels import MA52
from mmad.models.build import build_detector
from mmad.models.detectors.whole import EndToEndDetector

CPU = torch.device("cpu")


def losses_of(folder: Path) -> list[float]:
    return [row["loss"] for row in RunFolder(folder).rows() if row["kind"] == "step"]


def random_detector(config: object) -> EndToEndDetector:
    model = build_detector(config, num_classes=52).eval()
    for name, parameter in model.named_parameters():
        if ".adapter." in name or "scale_" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    return model


@pytest.fixture(scope="module")
def run(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "run"
    train_run(tiny_config(videos), out=out, quiet=True)
    return out


def test_run_folder_is_complete(run: Path) -> None:
    names = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}
    assert names == {
        *(
            "config.yaml",
            "labels.json",
            "environment.json",
            "log.jsonl",
            "curves.png",
            "frozen.safetensors",
        ),
        *("last.pt", "best.safetensors", "predictions/val.csv", "predictions/val.json"),
    }
    kinds = [row["kind"] for row in RunFolder(run).rows()]
    assert kinds.count("step") == 3 * 2
    assert kinds.count("validation") == 3


def test_same_seed_same_losses(run: Path, videos: Path, tmp_path: Path) -> None:
    train_run(tiny_config(videos), out=tmp_path / "again", quiet=True)
    assert losses_of(tmp_path / "again") == losses_of(run)
    train_run(tiny_config(videos, seed=5), out=tmp_path / "other", quiet=True)
    assert losses_of(tmp_path / "other") != losses_of(run)


def test_tensorboard_gets_the_log(videos: Path, tmp_path: Path) -> None:
    event_files = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    config = tiny_config(videos, training__tensorboard=True, training__epochs=1)
    train_run(config, out=tmp_path / "run", quiet=True)
    events = event_files.EventAccumulator(str(tmp_path / "run/tensorboard"))
    events.Reload()
    losses = [event.value for event in events.Scalars("step/loss")]
    assert losses == pytest.approx(losses_of(tmp_path / "run"))
    assert len(events.Scalars("validation/action_map")) == 1


def test_tensorboard_that_is_not_installed_is_named(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    config = tiny_config(videos, training__tensorboard=True)
    with pytest.raises(ConfigError, match=r"pip install 'mmad\[logging\]'"):
        train_run(config, out=tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


def test_missing_weights_leave_no_run_folder(videos: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no such file"):
        train_run(tiny_config(videos, backbone__pretrained="no.safetensors"), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_frozen_weights_do_not_move(videos: Path, run: Path) -> None:
    config = tiny_config(videos)
    before = build_detector(config, num_classes=52)
    after, _, _ = load_run(run)
    moved = {
        name
        for (name, a), b in zip(before.named_parameters(), after.parameters(), strict=True)
        if not torch.equal(a, b)
    }
    assert moved
    assert all(".adapter." in name or name.startswith("network.") for name in moved)
    trained = {name for name, p in before.named_parameters() if p.requires_grad}
    expected = {
        n for n, _ in before.named_parameters() if ".adapter." in n or n.startswith("network.")
    }
    assert trained == expected


def test_an_existing_folder_needs_resume(run: Path, videos: Path) -> None:
    with pytest.raises(ConfigError, match="exists already; choose another --out"):
        train_run(tiny_config(videos), out=run, quiet=True)
    with pytest.raises(CheckpointError, match="was started with other settings"):
        train_run(tiny_config(videos, seed=9), out=run, resume=True, quiet=True)


def test_other_frozen_weights_are_refused(run: Path, tmp_path: Path) -> None:
    from mmad.checkpoint import load_tensors, save_tensors

    for name in ("config.yaml", "labels.json", "best.safetensors", "frozen.safetensors"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    frozen, _ = load_tensors(tmp_path / "frozen.safetensors")
    name = next(key for key in frozen if key.endswith("qkv.weight"))
    save_tensors(tmp_path / "frozen.safetensors", {**frozen, name: frozen[name] + 1})
    with pytest.raises(CheckpointError, match="not the frozen weights"):
        load_run(tmp_path)


def test_kill_and_resume_gives_the_same_losses(run: Path, videos: Path, tmp_path: Path) -> None:
    content = tiny_content(videos)
    content["training"]["checkpoint_steps"] = 1
    config = tmp_path / "c.yaml"
    config.write_text(yaml.safe_dump(content))
    out = tmp_path / "run"
    command = [sys.executable, "-m", "mmad", "train", str(config), "--out", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.time() + 120
    while time.time() < deadline and process.poll() is None:
        if len(losses_of(out)) >= 3:
            break
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert 3 <= len(losses_of(out)) < 6
    finished = subprocess.run([*command, "--resume"], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert re.search(r"train: resumed at step [2-5] of 6\n", finished.stderr)
    assert "train: validation at step 6 of 6: action_map 0" in finished.stderr
    np.testing.assert_allclose(losses_of(out), losses_of(run), rtol=1e-6)


def test_two_processes_give_the_losses_of_one(videos: Path, tmp_path: Path) -> None:
    content = tiny_content(videos)
    content["backbone"]["drop_path"] = 0.0
    content["detector"]["drop_path"] = 0.0
    content["training"]["epochs"] = 2
    config = tmp_path / "c.yaml"
    config.write_text(yaml.safe_dump(content))
    single, double, split = (tmp_path / name for name in ("single", "double", "split"))
    arguments = ["-m", "mmad", "train", str(config), "--out"]
    subprocess.run([sys.executable, *arguments, str(single)], check=True, capture_output=True)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [*torchrun, "--master-port", "29617", *arguments, str(double)],
        check=True,
        capture_output=True,
        env=environment,
    )
    np.testing.assert_allclose(losses_of(double), losses_of(single), rtol=1e-5)
    accumulated = [*arguments, str(split), "training.accumulate=2"]
    subprocess.run([sys.executable, *accumulated], check=True, capture_output=True)
    np.testing.assert_allclose(losses_of(split), losses_of(single), rtol=1e-5)


def outputs_of(model: EndToEndDetector, samples: list) -> list[tuple[torch.Tensor, torch.Tensor]]:
    batch, _ = Packer(clip_frames=16)(samples)
    with torch.no_grad():
        out = model(batch.clips, batch.colours, batch.clips_per_window, batch.frames_per_window)
    return [
        (logits[mask], offsets[mask])
        for logits, offsets, mask in zip(out.logits_BPK, out.offsets_BP2, out.mask_BP, strict=True)
    ]


def test_batch_equals_single(videos: Path) -> None:
    config = tiny_config(videos)
    annotations, _ = read_data(config)
    records = records_of(config, annotations, ["train"])
    dataset = TrainingVideos(records, config.data, backbone=config.backbone, upsampling=1, seed=0)
    samples = [dataset[0, index] for index in range(4)]
    assert len({len(sample.frames) for sample in samples}) > 1
    model = random_detector(config)
    together = outputs_of(model, samples)
    for sample, (logits, offsets) in zip(samples, together, strict=True):
        ((alone_logits, alone_offsets),) = outputs_of(model, [sample])
        torch.testing.assert_close(logits, alone_logits, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(offsets, alone_offsets, rtol=1e-4, atol=1e-4)


def test_augmentation_is_a_function_of_seed_epoch_and_index(videos: Path) -> None:
    config = tiny_config(videos)
    annotations, _ = read_data(config)
    records = records_of(config, annotations, ["train"])
    first, second = (
        TrainingVideos(records, config.data, backbone=config.backbone, upsampling=1, seed=0)
        for _ in range(2)
    )
    assert (first[3, 1].frames == second[3, 1].frames).all()
    assert (first[3, 1].colour == second[3, 1].colour).all()
    assert (first[3, 1].colour != first[4, 1].colour).any()


def test_a_video_that_fits_one_window_is_one_window(videos: Path) -> None:
    wide = tiny_config(videos)
    annotations, _ = read_data(wide)
    records = records_of(wide, annotations, ["val"])
    wider = tiny_config(videos, data__window_frames=128)
    model = random_detector(wide)
    first = detect_videos(model, records, wide, device=CPU).detections
    second = detect_videos(model, records, wider, device=CPU).detections
    for video, found in first.items():
        np.testing.assert_allclose(found.scores, second[video].scores, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(
            found.segments_seconds, second[video].segments_seconds, rtol=1e-4, atol=1e-4
        )


def test_sliding_windows_show_every_frame_at_its_time(videos: Path) -> None:
    config = tiny_config(videos, data__window_frames=32)
    annotations, _ = read_data(config)
    record = records_of(config, annotations, ["val"])[0]
    samples = list(WindowStream([record], config.data, backbone=config.backbone, upsampling=1))
    (whole,) = WindowStream(
        [record],
        config.data.model_copy(update={"window_frames": 1600}),
        backbone=config.backbone,
        upsampling=1,
    )
    assert len(samples) > 1
    seen = np.zeros(len(whole.frames), dtype=bool)
    for sample in samples:
        start = round(sample.grid.offset_frames)
        assert (sample.frames == whole.frames[start : start + len(sample.frames)]).all()
        seen[start : start + len(sample.frames)] = True
    assert seen.all()


def test_pad_to_window_pads_with_the_last_frame(videos: Path) -> None:
    config = tiny_config(videos, data__pad_to_window=True)
    annotations, _ = read_data(config)
    record = records_of(config, annotations, ["val"])[0]
    (sample,) = WindowStream([record], config.data, backbone=config.backbone, upsampling=1)
    assert len(sample.frames) == 64
    assert sample.num_valid_frames < 64
    assert (
        sample.frames[sample.num_valid_frames :] == sample.frames[sample.num_valid_frames - 1]
    ).all()


def test_an_unreadable_video_does_not_lose_the_others(
    videos: Path, tmp_path: Path, run: Path
) -> None:
    good = next((videos / "videos").glob("val*.mp4"))
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"not a video")
    # A name that is not UTF-8.
    odd = tmp_path / os.fsdecode(b"odd\xff.mp4")
    odd.write_bytes(good.read_bytes())
    command = [
        sys.executable,
        "-m",
        "mmad",
        "detect",
        str(good),
        str(bad),
        str(odd),
        "--checkpoint",
        str(run),
    ]
    result = subprocess.run(
        [*command, "--out", str(tmp_path / "out")], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert "bad.mp4" in result.stderr
    assert "Traceback" not in result.stderr
    assert f"{good.stem}.eaf" in {path.name for path in (tmp_path / "out").iterdir()}
    assert f"{good.name}: " in result.stdout
    assert r"odd\udcff.mp4: " in result.stdout
    found = read_predictions(tmp_path / "out" / "detections.csv", labels=MA52)
    assert set(found) == {good.stem, "odd%FF"}


def test_predict_and_eval_from_a_run(run: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "mmad", "predict", str(run), "--subset", "val"],
        check=True,
        capture_output=True,
    )
    out = run.parent / "numbers.json"
    result = subprocess.run(
        [sys.executable, "-m", "mmad", "eval", "--runs", str(run.parent), "--json", str(out)],
        check=True,
        capture_output=True,
        text=True,
    )
    assert "predictions:" in result.stdout
    numbers = json.loads(out.read_text())
    best = max(r["action_map"] for r in RunFolder(run).rows() if r["kind"] == "validation")
    assert numbers["action"]["average"] == pytest.approx(best, abs=1e-6)
    out.unlink()


def test_config_is_written_whole(run: Path, videos: Path) -> None:
    assert load_any_config(run / "config.yaml") == tiny_config(videos)
    content = yaml.safe_load((run / "config.yaml").read_text())
    assert content.keys() == {"paths_relative_to", *DetectionRun.model_fields}
