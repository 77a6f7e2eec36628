import os
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before huggingface_hub reads it: no test ever asks the real Hub.
os.environ["HF_ENDPOINT"] = "http://127.0.0.1:9"

import torch

from mmad.engine import training
from support.emotions import felt_set
from support.synthetic_data import make_videos, tiny_config

torch.set_num_threads(1)


# Their slow tests run whole commands, or draw whole pages.
LONG_FOLDERS = ("cli", "report", "synthetic")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the slow tests of `LONG_FOLDERS` as long, and all long tests as slow."""
    for item in items:
        folder, *_ = item.nodeid.removeprefix("tests/").split("/")
        if folder in LONG_FOLDERS and item.get_closest_marker("slow"):
            item.add_marker("long")
        elif item.get_closest_marker("long"):
            item.add_marker("slow")


@pytest.fixture(scope="session", autouse=True)
def curves_drawn_once() -> Iterator[None]:
    """The first run of a session draws its curves, the others get the same file.

    That figure is half of the time of a run of a few steps; tests/report/test_curves.py draws more.
    """
    draw, drawn = training.draw_training_curves, []

    def draw_once(path: Path, rows: list[dict]) -> None:
        if drawn:
            path.write_bytes(drawn[0])
            return
        draw(path, rows)
        drawn.append(path.read_bytes())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "draw_training_curves", draw_once)
        yield


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny synthetic data set; do not change it."""
    return make_videos(tmp_path_factory.mktemp("synthetic") / "data")


@pytest.fixture(scope="session")
def felt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a few videos with emotions and their face copies; do not change it."""
    return felt_set(tmp_path_factory.mktemp("felt"))


@pytest.fixture(scope="session")
def features(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dense features of the videos, of a tiny backbone that knows nothing; do not change them."""
    from mmad.engine.smoke import draw_features

    out = tmp_path_factory.mktemp("features") / "features.h5"
    draw_features(videos / "videos", out)
    return out


@pytest.fixture(scope="session")
def detection_run(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an end-to-end run on the videos; do not change it."""
    from mmad.engine.training import train_run

    out = tmp_path_factory.mktemp("detection") / "run"
    train_run(tiny_config(videos), out=out, quiet=True)
    return out
