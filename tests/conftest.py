import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent / "video"))

from synthetic_data import make_videos

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny synthetic data set; do not change it."""
    return make_videos(tmp_path_factory.mktemp("synthetic") / "data")


@pytest.fixture(scope="session")
def features(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dense features of the videos, of a tiny backbone that knows nothing; do not change them."""
    from mmad.engine.smoke import draw_features

    out = tmp_path_factory.mktemp("features") / "features.h5"
    draw_features(videos / "videos", out)
    return out
