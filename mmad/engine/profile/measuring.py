"""Time and memory of passes, and the whole profile of a run."""

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from mmad.config.recognition import RecognitionConfig
from mmad.config.run import AnyConfig
from mmad.engine.distributed import Processes, choose_device
from mmad.engine.precision import choose_precision
from mmad.engine.profile.counting import count_operations, require_fvcore, tensors_in
from mmad.engine.profile.inputs import InputSize, Workload, make_workload
from mmad.engine.runs.folder import RunFolder
from mmad.engine.training import make_loop
from mmad.report.profile_tables import ModuleCost, PassCost, Profile
from mmad.wording import count

# After which a pass is not timed again.
LONGEST_MILLISECONDS = 30_000.0


def profile_run(
    config: AnyConfig,
    *,
    size: InputSize = InputSize(),
    device: str = "auto",
    repeats: int = 5,
) -> Profile:
    """The cost of the network of a run, with random weights and input.

    Args:
        config: Run configuration.
        size: Size of the input.
        device: As in `choose_device`.
        repeats: As in `measure`, for each pass.

    Raises: MmadError without fvcore, or if labels or features that are there cannot be read.
    """
    require_fvcore()
    processes = Processes(0, 1, choose_device(device))
    if config.training.threads is not None:
        torch.set_num_threads(config.training.threads)
    with tempfile.TemporaryDirectory() as folder:
        work = make_workload(config, size, processes=processes, folder=RunFolder(Path(folder)))
        return _profile(work, processes, folder=RunFolder(Path(folder)), repeats=repeats)


def _profile(work: Workload, processes: Processes, *, folder: RunFolder, repeats: int) -> Profile:
    device, config = processes.device, work.config
    model, task = work.experiment.model.to(device), work.experiment.task
    precision = choose_precision(config.training.precision, device)
    prepared = task.prepare(work.batch, device)
    arguments = work.arguments(prepared)
    inputs = [*model.parameters(), *model.buffers(), *tensors_in(arguments)]

    def forward() -> None:
        with (
            torch.inference_mode(),
            torch.autocast(device.type, dtype=precision, enabled=precision is not None),
        ):
            model(*arguments)

    model.eval()
    with torch.no_grad():
        inference = count_operations(model, lambda: model(*arguments))
    of_forward = measure(forward, device=device, repeats=repeats, kept=lambda: inputs)

    loop = make_loop(config, work.experiment, folder, processes=processes, quiet=True)
    learning = _arguments_in_training(model, lambda: task.losses(model, prepared))
    training = count_operations(model, lambda: model(*learning))
    of_training = measure(
        lambda: loop.step(iter([(work.batch, [])])),
        device=device,
        repeats=repeats,
        kept=lambda: [*inputs, *tensors_in(loop.state())],
    )
    learnt = {
        kind: training.forward.get(kind, 0) + training.backward.get(kind, 0)
        for kind in {**training.forward, **training.backward}
    }
    return Profile(
        input=work.text,
        unit=work.unit,
        units=work.units,
        views=_views_like_this(config),
        assumed=work.assumed,
        hardware=_hardware(device, precision),
        modules=module_costs(model, inference.by_module),
        forward=PassCost(inference.forward, *of_forward),
        training=PassCost(learnt, *of_training),
        elementwise=inference.elementwise,
        unknown={**training.unknown, **inference.unknown},
    )


def _views_like_this(config: AnyConfig) -> int:
    """Views that a prediction averages, if their images have the size of the input; else 1."""
    if not isinstance(config, RecognitionConfig):
        return 1
    views = config.data.views("test")
    return len(views) if views.hw == config.data.image_hw else 1


def _arguments_in_training(model: nn.Module, run: Callable[[], object]) -> tuple[Any, ...]:
    """What ``run()`` calls the model with, such as labels for a margin."""
    seen: list[tuple[Any, ...]] = []
    with model.register_forward_pre_hook(lambda _, arguments: seen.append(arguments)):
        run()
    return seen[0]


def module_costs(model: nn.Module, multiply_adds: Mapping[str, int]) -> tuple[ModuleCost, ...]:
    """The cost of the model, named "", and of every module in it."""
    return tuple(
        ModuleCost(
            name,
            parameters=sum(p.numel() for p in module.parameters()),
            trained=sum(p.numel() for p in module.parameters() if p.requires_grad),
            multiply_adds=multiply_adds.get(name, 0),
        )
        for name, module in model.named_modules()
    )


def _hardware(device: torch.device, precision: torch.dtype | None) -> str:
    numbers = str(precision or torch.float32).removeprefix("torch.")
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, {numbers}"
    return f"CPU, {count(torch.get_num_threads(), 'thread')}, {numbers}"


class Measured(NamedTuple):
    """Median, shortest and longest time, and peak memory, as in `PassCost`."""

    milliseconds: float
    milliseconds_range: tuple[float, float]
    peak_memory_bytes: int


def measure(
    run: Callable[[], object],
    *,
    device: torch.device,
    repeats: int,
    kept: Callable[[], Iterable[Tensor]],
) -> Measured:
    """Time and peak memory of ``run()``.

    The memory is that of tensors, on a GPU and on a CPU alike; not that of Python, the libraries
    and the driver.

    Args:
        run: The pass.
        device: Where it computes.
        repeats: How often it is timed, after one call that is not; less often if it takes long.
        kept: The tensors that exist before and after a pass.
    """
    run()
    times: list[float] = []
    while len(times) < repeats and sum(times) < LONGEST_MILLISECONDS:
        _wait(device)
        began = time.perf_counter()
        run()
        _wait(device)
        times.append(1000 * (time.perf_counter() - began))
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        run()
        peak = torch.cuda.max_memory_allocated(device)
    else:
        peak = _bytes_of(kept()) + _allocated_at_most(run)
    return Measured(statistics.median(times), (min(times), max(times)), peak)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _bytes_of(tensors: Iterable[Tensor]) -> int:
    """Memory of the tensors; what several share counts once."""
    storages = {one.untyped_storage().data_ptr(): one.untyped_storage() for one in tensors}
    return sum(storage.nbytes() for storage in storages.values())


def _allocated_at_most(run: Callable[[], object]) -> int:
    """Bytes that torch allocates on the CPU in ``run()`` and has not freed, at the most."""
    # Without this, each use of the profiler prints lines.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    events = profiler.profiler.kineto_results.events()
    changes = sorted(
        (event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]"
    )
    return max(accumulate((size for _, size in changes), initial=0))
