"""Batch norm over the clips of all processes."""

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.multiprocessing import spawn
from torch.nn.parallel import DistributedDataParallel

from mmad.models.layers import batch_norm
from mmad.models.layers.batch_norm import BatchNorm, BatchNorm2d
from support.coupled import Branches, accumulated, clips


def batch() -> tuple[Tensor, Tensor]:
    """Features of 3 clips, and what their gradient is multiplied with."""
    generator = torch.Generator().manual_seed(0)
    return (
        1e2 + torch.randn(3, 4, 2, 3, 3, generator=generator),
        torch.randn(3, 4, 2, 3, 3, generator=generator),
    )


def step(norm: nn.Module, x: Tensor, probe: Tensor) -> list[Tensor]:
    """Output, gradients and statistics of a training step."""
    x = x.clone().requires_grad_()
    out = norm.train()(x)
    (out * probe).sum().backward()
    found = [out.detach(), x.grad, norm.weight.grad, norm.bias.grad]
    return [*found, norm.running_mean, norm.running_var]  # type: ignore[list-item]


def peer(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    norm = BatchNorm(4, keep_statistics=False)
    nn.init.constant_(norm.weight, 2.0)
    x, probe = batch()
    mine = slice(0, 2) if rank == 0 else slice(2, 3)
    torch.save(step(norm, x[mine], probe[mine]), f"{folder}/{rank}.pt")
    network = Branches(dropout=0.0)
    network.activations = "from_output"
    one_each = list(clips(4)[rank::2].split(1))
    found = accumulated(network, DistributedDataParallel(network), one_each)
    torch.save(found, f"{folder}/reversible_{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes found; they take seconds to start."""
    folder = tmp_path_factory.mktemp("peers")
    spawn(peer, (str(folder),), nprocs=2)
    return folder


@pytest.mark.long
@pytest.mark.slow
def test_two_processes_have_the_statistics_of_the_whole_batch(peers: Path) -> None:
    first, second = (torch.load(peers / f"{rank}.pt") for rank in (0, 1))
    alone = nn.BatchNorm3d(4)
    nn.init.constant_(alone.weight, 2.0)
    out, x_grad, weight_grad, bias_grad, mean, var = step(alone, *batch())
    close = torch.testing.assert_close
    close(torch.cat((first[0], second[0])), out, rtol=1e-5, atol=1e-4)
    close(torch.cat((first[1], second[1])), x_grad, rtol=1e-5, atol=1e-4)
    close(first[2] + second[2], weight_grad, rtol=1e-5, atol=1e-4)
    close(first[3] + second[3], bias_grad, rtol=1e-5, atol=1e-4)
    for found in (first, second):
        close(found[4], mean, rtol=1e-6, atol=1e-5)
        close(found[5], var, rtol=1e-5, atol=1e-5)


@pytest.mark.long
@pytest.mark.slow
def test_two_processes_recompute_the_gradients_of_one(peers: Path) -> None:
    network = Branches(dropout=0.0)
    expected = accumulated(network, network, list(clips(4).split(2)))
    for rank in (0, 1):
        for name, found in torch.load(peers / f"reversible_{rank}.pt").items():
            torch.testing.assert_close(found, expected[name], rtol=1e-4, atol=1e-5)


def test_alone_it_is_torchs() -> None:
    norm, torchs = BatchNorm(4, keep_statistics=False), nn.BatchNorm3d(4)
    for found, expected in zip(step(norm, *batch()), step(torchs, *batch()), strict=True):
        assert torch.equal(found, expected)
    assert norm.state_dict().keys() == torchs.state_dict().keys() - {"num_batches_tracked"}


def test_that_of_frames_is_torchs_alone_and_that_of_clips_over_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Frames (N T, C, H, W) have the statistics of clips (N, C, T, H, W)."""
    x, probe = (part.transpose(1, 2).flatten(0, 1) for part in batch())
    expected = step(nn.BatchNorm2d(4), x, probe)
    for found, torchs in zip(
        step(BatchNorm2d(4, keep_statistics=False), x, probe), expected, strict=True
    ):
        assert torch.equal(found, torchs)
    monkeypatch.setattr(batch_norm, "_has_peers", lambda: True)
    monkeypatch.setattr(batch_norm, "all_reduce", lambda value: value)
    alone = step(BatchNorm2d(4, keep_statistics=False), x, probe)
    for found, torchs in zip(alone, expected, strict=True):
        torch.testing.assert_close(found, torchs, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("peers", [False, True])
def test_repeats_count_as_if_the_rows_stood_there_so_often(
    peers: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_norm, "_has_peers", lambda: peers)
    monkeypatch.setattr(batch_norm, "all_reduce", lambda value: value)
    x, probe = (part[:, :, 0].clone() for part in batch())
    repeats = torch.tensor([1, 3, 2])
    norm, torchs = BatchNorm2d(4, keep_statistics=False), nn.BatchNorm2d(4)
    given = x.clone().requires_grad_()
    out = norm(given, repeats)
    (out * probe * repeats.view(-1, 1, 1, 1)).sum().backward()
    expected_in = x.repeat_interleave(repeats, dim=0).requires_grad_()
    expected = torchs(expected_in)
    (expected * probe.repeat_interleave(repeats, dim=0)).sum().backward()
    close = torch.testing.assert_close
    close(out.repeat_interleave(repeats, dim=0), expected, rtol=1e-5, atol=1e-4)
    close(given.grad[1], expected_in.grad[1:4].sum(0), rtol=1e-5, atol=1e-4)
    close(norm.weight.grad, torchs.weight.grad, rtol=1e-5, atol=1e-4)
    close(norm.running_mean, torchs.running_mean, rtol=1e-6, atol=1e-5)
    close(norm.running_var, torchs.running_var, rtol=1e-5, atol=1e-5)
    # In evaluation they change nothing.
    assert torch.equal(norm.eval()(x, repeats), norm(x))
