"""The training loop: the same losses again, after a kill, and from several processes."""

import itertools
import os
import re
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from mmad.engine.distributed import start_processes
from mmad.engine.loop import micro_batches
from mmad.engine.runs.load import load_run
from mmad.engine.training import train_run
from mmad.models.build import build_detector
from support.commands import run_mmad
from support.processes import run_process, started
from support.runs import losses_of, torchrun
from support.synthetic_data import tiny_config, tiny_content

pytestmark = pytest.mark.slow


def test_same_seed_same_losses(detection_run: Path, videos: Path, tmp_path: Path) -> None:
    train_run(tiny_config(videos), out=tmp_path / "again", quiet=True)
    assert losses_of(tmp_path / "again") == losses_of(detection_run)
    train_run(tiny_config(videos, seed=5), out=tmp_path / "other", quiet=True)
    assert losses_of(tmp_path / "other") != losses_of(detection_run)


def test_frozen_weights_do_not_move(videos: Path, detection_run: Path) -> None:
    config = tiny_config(videos)
    before = build_detector(config, num_classes=52)
    after, _, _ = load_run(detection_run)
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


def test_kill_and_resume_gives_the_same_losses(
    detection_run: Path, videos: Path, tmp_path: Path
) -> None:
    content = tiny_content(videos)
    content["training"]["checkpoint_steps"] = 1
    config = tmp_path / "c.yaml"
    config.write_text(yaml.safe_dump(content))
    out = tmp_path / "run"
    command = ["train", config, "--out", out]
    with started(command) as one:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and one.process.is_alive() and len(losses_of(out)) < 3:
            time.sleep(0.01)
    assert 3 <= len(losses_of(out)) < 6
    finished = run_process([*command, "--resume"])
    assert finished.returncode == 0, finished.stderr
    assert re.search(r"train: resumed at step [2-5] of 6\n", finished.stderr)
    assert "train: validation at step 6 of 6: action_map 0" in finished.stderr
    np.testing.assert_allclose(losses_of(out), losses_of(detection_run), rtol=1e-6)


def test_a_video_that_fills_a_batch_is_drawn_anew_each_time(videos: Path) -> None:
    config = tiny_config(videos, training__batch_videos=3, training__epochs=2)
    batches = micro_batches(
        num_videos=2,
        settings=config.training,
        seed=0,
        processes=start_processes(),
        first_step=0,
    )
    drawn = list(itertools.chain.from_iterable(batches))
    assert len(drawn) == len(set(drawn)) == 6
    assert {index for _, index in drawn} == {0, 1}


def test_two_processes_give_the_losses_of_one(videos: Path, tmp_path: Path) -> None:
    content = tiny_content(videos)
    content["backbone"]["drop_path"] = 0.0
    content["detector"]["drop_path"] = 0.0
    content["training"]["epochs"] = 2
    config = tmp_path / "c.yaml"
    config.write_text(yaml.safe_dump(content))
    single, double, split = (tmp_path / name for name in ("single", "double", "split"))
    arguments = ["train", str(config), "--out"]
    run_mmad([*arguments, single])
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [*torchrun(2), "-m", "mmad", *arguments, str(double)],
        check=True,
        capture_output=True,
        env=environment,
    )
    np.testing.assert_allclose(losses_of(double), losses_of(single), rtol=1e-5)
    run_mmad([*arguments, split, "training.accumulate=2"])
    np.testing.assert_allclose(losses_of(split), losses_of(single), rtol=1e-5)
