"""The cost of networks: multiply-adds by hand, every config, time and memory."""

import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from mmad.config.base import changed
from mmad.config.emotion import EmotionConfig
from mmad.config.pretraining import PretrainingConfig
from mmad.config.reading import SHIPPED_CONFIGS, load_any_config, name_of_config
from mmad.config.run import AnyConfig, DetectionRun, FeatureRun
from mmad.engine.distributed import Processes
from mmad.engine.profile.counting import Operations, count_operations
from mmad.engine.profile.inputs import InputSize, Workload, make_workload
from mmad.engine.profile.measuring import measure, module_costs, profile_run
from mmad.engine.runs.folder import RunFolder
from mmad.errors import MmadError
from mmad.models.detectors.videomamba.network import DecomposedMamba

pytestmark = [pytest.mark.slow, pytest.mark.long]

# Those of the winner of 2024 have the networks of others.
CONFIGS = sorted(p for p in SHIPPED_CONFIGS.rglob("*.yaml") if p.parent.name != "winner")
CPU = torch.device("cpu")


def counted(module: nn.Module, *inputs: Tensor, gradients: bool = False) -> Operations:
    with torch.set_grad_enabled(gradients):
        return count_operations(module, lambda: module(*inputs))


# ---- by hand ----


def test_convolutions() -> None:
    grouped = nn.Conv3d(8, 16, (3, 1, 1), groups=4, padding=(1, 0, 0))
    found = counted(grouped, torch.zeros(2, 8, 5, 6, 7))
    # Each number that comes out sums 8 / 4 channels of 3 steps.
    assert found.forward == {"convolution": 2 * 16 * 5 * 6 * 7 * (8 // 4) * 3}
    strided = nn.Conv2d(3, 64, 7, stride=2, padding=3)
    found = counted(strided, torch.zeros(1, 3, 32, 32))
    assert found.forward == {"convolution": 64 * 16 * 16 * 3 * 7 * 7}


def test_a_backward_pass_takes_as_much_again_for_each_operand_that_needs_a_gradient() -> None:
    first, second = nn.Linear(10, 20), nn.Linear(20, 5)
    network = nn.Sequential(first, nn.ReLU(), second)
    in_first, in_second = 3 * 10 * 20, 3 * 20 * 5
    found = counted(network, torch.zeros(3, 10), gradients=True)
    assert found.forward == {"linear": in_first + in_second}
    # The input of the network needs none.
    assert found.backward == {"linear": in_first + 2 * in_second}
    first.requires_grad_(False)
    found = counted(network, torch.zeros(3, 10), gradients=True)
    assert found.backward == {"linear": in_second}
    assert not counted(network, torch.zeros(3, 10)).backward


def test_parts_of_a_network() -> None:
    network = nn.Sequential(nn.Linear(10, 20), nn.Sequential(nn.Linear(20, 5), nn.GELU()))
    network[0].requires_grad_(False)
    found = counted(network, torch.zeros(3, 10))
    rows = {row.name: row for row in module_costs(network, found.by_module)}
    assert list(rows) == ["", "0", "1", "1.0", "1.1"]
    assert {name: row.multiply_adds for name, row in rows.items()} == {
        **{"": 3 * 10 * 20 + 3 * 20 * 5, "0": 3 * 10 * 20},
        **{"1": 3 * 20 * 5, "1.0": 3 * 20 * 5, "1.1": 0},
    }
    assert rows[""].parameters == (10 + 1) * 20 + (20 + 1) * 5
    assert rows[""].trained == rows["1"].trained == (20 + 1) * 5
    assert found.elementwise == {"gelu": 1}


class Attention(nn.Module):
    """Attention of its own parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.zeros(2, 4, 10, 8), requires_grad=False)
        self.key = nn.Parameter(torch.zeros(2, 4, 12, 8), requires_grad=False)
        self.value = nn.Parameter(torch.zeros(2, 4, 12, 16))

    def forward(self) -> Tensor:
        return functional.scaled_dot_product_attention(self.query, self.key, self.value)


def test_attention() -> None:
    network = Attention()
    of_map, of_values = 2 * 4 * 10 * 12 * 8, 2 * 4 * 10 * 12 * 16
    found = counted(network, gradients=True)
    assert found.forward == {"attention": of_map + of_values}
    assert found.backward == {"attention": of_values}  # the map is a constant
    network.query.requires_grad_(True)
    assert counted(network, gradients=True).backward == {"attention": 2 * of_values + of_map}


def test_the_scan_of_videomamba() -> None:
    channels, states, kernel, steps = 32, 4, 3, 10
    mamba = DecomposedMamba(channels, expand=1, num_states=states, kernel_size=kernel, scan="torch")
    mask = torch.ones(1, steps, dtype=torch.bool)
    found = counted(mamba, torch.zeros(1, channels, steps), mask)
    both = 2 * channels * steps * states  # two directions
    rank = channels // 16
    assert found.forward == {
        "scan": 3 * both,  # step size times A; step size times x times B; the recurrence
        "matrix product": both,  # C times the states
        "convolution": 2 * channels * steps * kernel,
        "linear": steps
        * (
            channels * 4 * channels  # in
            + 2 * channels * (rank + 2 * states)  # what selects
            + 2 * rank * channels  # step sizes
            + 2 * channels * channels  # out
        ),
    }
    assert not found.unknown


class Products(nn.Module):
    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, ...]:
        einsum = torch.einsum("bij,bjk,k->bi", a, b, b[0, 0])
        return a[0] @ b, functional.interpolate(a, scale_factor=2.0, mode="linear"), einsum


def test_products() -> None:
    found = counted(Products(), torch.zeros(2, 3, 4), torch.zeros(2, 4, 5))
    # The first matrix is broadcast. The sum over k comes first: 2 x 4 x 5, then 2 x 3 x 4.
    products = 2 * 3 * 4 * 5 + (2 * 4 * 5 + 2 * 3 * 4)
    assert found.forward == {"matrix product": products, "interpolation": 2 * 2 * 3 * 8}


class Strange(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cdist(x, x).relu()


def test_what_cannot_be_counted_is_named() -> None:
    found = counted(Strange(), torch.zeros(3, 4))
    assert (found.forward, found.unknown) == ({}, {"cdist": 1})


# ---- configs ----


def tiny(config: AnyConfig) -> AnyConfig:
    update: dict[str, object] = {}
    if not isinstance(config, FeatureRun):
        update["backbone"], side = config.backbone.tiny()
        update["data"] = changed(config.data, image_size=side)
    if isinstance(config, DetectionRun):
        few = {"num_branch": 1, "num_stem": 1, "regression_ranges": [(0, 4), (4, 1e4)]}
        known = {key: few[key] for key in few.keys() & type(config.detector).model_fields.keys()}
        update["detector"] = changed(config.detector.tiny(), **known)
    elif isinstance(config, EmotionConfig):
        update["network"] = config.network.tiny()
    elif not isinstance(config, PretrainingConfig):
        update["heads"] = config.heads.tiny()
    return changed(config, **update)


def small_size(config: AnyConfig) -> InputSize:
    if isinstance(config, FeatureRun):
        return InputSize(length=16, channels=16)
    frames = None if config.backbone is None else config.backbone.clip_frames
    return InputSize(length=frames if isinstance(config, DetectionRun) else None)


def workload(path: Path, folder: Path) -> Workload:
    config = tiny(load_any_config(path))
    processes = Processes(0, 1, CPU)
    return make_workload(config, small_size(config), processes=processes, folder=RunFolder(folder))


def parts_of(config: AnyConfig) -> set[tuple[object, ...]]:
    """What can be an operation of its own."""
    if isinstance(config, FeatureRun):
        return {("detector", config.detector.name)}
    variants = ("temporal", "attention")
    own = tuple(getattr(config.backbone, name, None) for name in variants)
    parts: set[tuple[object, ...]] = {("backbone", config.backbone.name, *own)}
    if isinstance(config, DetectionRun):
        return parts
    if isinstance(config, EmotionConfig):
        return {*parts, ("branches", config.network.branches)}
    if isinstance(config, PretrainingConfig):
        return {("decoder", config.decoder.depth)}
    return {*parts, ("heads", config.heads.name)}


def one_for_each_part() -> list[Path]:
    """Configs that have all parts; those of recognition first, which are the fastest."""
    seen: set[tuple[object, ...]] = set()
    chosen = []
    for path in sorted(CONFIGS, key=lambda path: path.parent.name != "recognition"):
        if parts := parts_of(load_any_config(path)) - seen:
            seen |= parts
            chosen.append(path)
    return chosen


@pytest.mark.parametrize("path", one_for_each_part(), ids=name_of_config)
def test_every_operation_of_a_forward_pass_is_known(path: Path, tmp_path: Path) -> None:
    work = workload(path, tmp_path)
    model = work.experiment.model.eval()
    arguments = work.arguments(work.experiment.task.prepare(work.batch, CPU))
    with torch.no_grad():
        found = count_operations(model, lambda: model(*arguments))
    assert found.unknown == {}
    assert sum(found.forward.values()) == found.by_module[""] > 0
    assert ("scan" in found.forward) == ("videomamba" in path.stem)


def test_every_config_has_an_input(tmp_path: Path) -> None:
    units = {name_of_config(path): workload(path, tmp_path) for path in CONFIGS}
    assert {work.unit for work in units.values()} == {"clip", "video", "window", "second of video"}
    assert all(work.units > 0 for work in units.values())
    assert units["features_actionformer"].text == "1 window of 16 steps of 16 channels, 52 classes"
    assert units["recognition_own_labels"].assumed == (
        "52 classes: data.labels data/own/labels.csv is not there; pass --classes N",
    )


@pytest.mark.parametrize("name", ["demo", "features/mstct"])
def test_a_whole_profile(name: str) -> None:
    config = tiny(load_any_config(f"configs/{name}.yaml"))
    found = profile_run(config, size=small_size(config), device="cpu", repeats=2)
    assert not found.unknown
    assert found.forward.total == found.whole.multiply_adds
    assert found.training.total > found.forward.total
    assert found.training.peak_memory_bytes > 4 * (found.whole.parameters + found.whole.trained)
    for one in (found.forward, found.training):
        assert 0 < one.milliseconds_range[0] <= one.milliseconds <= one.milliseconds_range[1]


def test_seconds_of_video(tmp_path: Path) -> None:
    config = changed(load_any_config("configs/demo.yaml"))
    config = changed(tiny(config), data=changed(tiny(config).data, frame_stride=2, fps=25.0))
    size = InputSize(batch=3, length=50)
    work = make_workload(config, size, processes=Processes(0, 1, CPU), folder=RunFolder(tmp_path))
    assert (work.unit, work.units, work.assumed) == ("second of video", 3 * 50 * 2 / 25, ())


# ---- sizes of the papers ----


def test_tsm_has_the_size_of_the_mlfe_paper(tmp_path: Path) -> None:
    """24.3 M parameters; 33.00 G for eight frames of 224 pixels, here of an eighth of a side."""
    config = load_any_config("configs/recognition/tsm_r50.yaml", overrides=["data.image_size=32"])
    size = InputSize(classes=400)
    work = make_workload(config, size, processes=Processes(0, 1, CPU), folder=RunFolder(tmp_path))
    model = work.experiment.model.eval()
    arguments = work.arguments(work.experiment.task.prepare(work.batch, CPU))
    with torch.no_grad():
        found = count_operations(model, lambda: model(*arguments))
    rows = {row.name: row for row in module_costs(model, found.by_module)}
    assert rows[""].parameters == 23_508_032 + 400 * (2048 + 1)
    assert round(rows[""].parameters / 1e6, 1) == 24.3
    # Convolutions in proportion to the pixels, 49 times as many.
    full = 49 * found.forward["convolution"] + found.forward["linear"]
    assert full / 1e9 == pytest.approx(33.0, rel=0.01)


# ---- time and memory ----


def test_peak_memory_is_that_of_the_tensors() -> None:
    network = nn.Sequential(nn.Linear(256, 1024), nn.ReLU())
    rows = torch.zeros(512, 256)

    def run() -> None:
        with torch.inference_mode():
            network(rows)

    found = measure(run, device=CPU, repeats=1, kept=lambda: [rows, *network.parameters(), rows])
    hidden = 512 * 1024
    assert found.peak_memory_bytes == 4 * (512 * 256 + (256 + 1) * 1024 + 2 * hidden)


def test_without_fvcore(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fvcore.nn", None)
    with pytest.raises(MmadError, match=r"pip install 'mmad\[profile\]'"):
        profile_run(load_any_config("configs/demo.yaml"))
