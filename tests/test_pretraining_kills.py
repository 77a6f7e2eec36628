"""Pre-training that is killed again and again ends with the losses of one that was not."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mmad.config.reading import dump_config
from mmad.engine.runs.folder import RunFolder
from mmad.engine.training import train_run
from support.pretraining import pretraining_config
from support.runs import losses_of

pytestmark = [pytest.mark.slow, pytest.mark.long]


def num_steps(folder: Path) -> int:
    return len(losses_of(folder)) if (folder / "log.jsonl").is_file() else 0


def test_ten_kills_change_no_loss(videos: Path, tmp_path: Path) -> None:
    config = pretraining_config(
        videos / "videos", training__epochs=40, training__checkpoint_steps=1, masks__kind="moving"
    )
    (tmp_path / "config.yaml").write_text(dump_config(config))
    out = tmp_path / "killed"
    for kill in range(10):
        command = ["-m", "mmad", "pretrain", str(tmp_path / "config.yaml"), "--out", str(out)]
        command += ["--resume"] if (out / "last.pt").is_file() else []
        before = num_steps(out)
        process = subprocess.Popen([sys.executable, *command], stderr=subprocess.PIPE)
        # At another place of a step each time, once it has got further.
        while num_steps(out) < before + 3 and process.poll() is None:
            time.sleep(0.02 + 0.003 * kill)
        assert process.poll() is None, process.stderr and process.stderr.read()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    train_run(config, out=out, resume=True, quiet=True)
    whole = train_run(config, out=tmp_path / "whole", quiet=True)
    assert losses_of(out) == losses_of(whole.path)
    assert RunFolder(out).rows()[-1]["step"] == whole.rows()[-1]["step"]
