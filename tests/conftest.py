import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent / "video"))

from synthetic_data import make_videos

torch.set_num_threads(1)

# Tests that train, start many processes or draw many frames. `pytest -m "not slow"` leaves them out
# and takes under a minute; `tools/test.sh` runs all.
SLOW = (
    *("engine/test_extraction", "engine/test_offline", "engine/test_recognition_run"),
    *("engine/test_detection_run", "synthetic/", "report/", "cli/test_next_commands"),
    *("cli/test_paths_of_runs", "cli/test_command_line", "weights/test_hub", "weights/test_import"),
    *("test_docs", "test_disks", "test_interrupts", "test_ci", "test_fuzz"),
    *("test_configs.py::test_config_trains_a_step", "test_configs.py::test_smoke"),
    *("models/test_pointtad.py::test_it_learns", "models/test_dyfadet.py::test_it_learns"),
    *("models/test_mamba.py::test_learns", "models/test_tadtr.py::test_tadtr_learns"),
    *("models/test_tridet.py::test_it_learns", "models/test_mstct.py::test_it_learns"),
    *("test_layers.py::test_help", "test_layers.py::test_what_judges"),
    "evaluation/test_error_analysis.py::test_the_command_writes",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.nodeid.removeprefix("tests/").startswith(SLOW):
            item.add_marker(pytest.mark.slow)


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
