"""Reversible connections: gradients, random numbers, statistics, memory, mixed precision."""

import pytest
import torch
from torch import Tensor, nn

from benchmarks.reversible_memory import bytes_kept
from mmad.engine.profile.counting import count_operations
from mmad.models.layers import batch_norm, reversible
from mmad.models.layers.reversible import Activations, Branch, couple
from support.coupled import Branches, clips

WAYS: tuple[Activations, ...] = ("from_output", "from_inputs", "kept")


def step(network: Branches, x: Tensor, activations: Activations) -> dict[str, Tensor]:
    """Output, gradients and statistics of a training step from seed 5, and the next draw."""
    network.activations = activations
    network.train().zero_grad()
    x = x.clone().requires_grad_()
    torch.manual_seed(5)
    out = network(x)
    out.square().sum().backward()
    assert x.grad is not None
    gradients = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    assert len(gradients) == len(list(network.parameters()))
    buffers = {name: value.clone() for name, value in network.named_buffers()}
    found = {"out": out.detach(), "x": x.grad, "draw": torch.rand(1), **buffers}
    return found | {f"gradient of {name}": value.clone() for name, value in gradients.items()}


def test_two_branches_by_hand() -> None:
    weights = [nn.Linear(1, 1, bias=False, dtype=torch.float64) for _ in range(2)]
    for linear, value in zip(weights, (2.0, 3.0), strict=True):
        nn.init.constant_(linear.weight, value)
    x = torch.tensor([[1.0]], dtype=torch.float64, requires_grad=True)
    out = couple(x, [Branch(w, [w]) for w in weights], activations="from_output")
    # (1, 1) -> (1, 1 + 2) -> (3, 1 + 3 * 3)
    assert out.item() == (3 + 10) / 2
    out.backward()
    assert x.grad is not None
    assert x.grad.item() == (3 + 10) / 2  # it is linear
    first, second = (linear.weight.grad for linear in weights)
    assert first is not None
    assert second is not None
    assert first.item() == (1 + 3) / 2  # of the stream it is added to, and that times 3
    assert second.item() == 3 / 2


@pytest.mark.parametrize(("dtype", "limit"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_gradients_are_those_of_autograd(dtype: torch.dtype, limit: float) -> None:
    """Also with dropout, whose numbers are drawn once, and the statistics of batch norms."""
    x = clips().to(dtype)
    expected = step(Branches().to(dtype), x, "kept")
    for way in ("from_output", "from_inputs"):
        found = step(Branches().to(dtype), x, way)
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert (found[name] - value).norm() <= limit * value.norm(), name
    assert (expected["branches.0.1.running_mean"] != 0).all()


def test_many_branches_lose_little() -> None:
    x = clips()
    expected = step(Branches(count=40), x, "kept")
    found = step(Branches(count=40), x, "from_output")
    for name, value in expected.items():
        assert (found[name] - value).norm() <= 1e-4 * value.norm(), name


def test_stochastic_branches_are_drawn_again_from_the_same_state() -> None:
    seen: list[Tensor] = []

    def drop(x: Tensor) -> Tensor:
        seen.append(torch.rand(3))
        return x * (seen[-1][0] > 0.5)

    x = torch.ones(2, requires_grad=True)
    out = couple(x, [Branch(drop, []), Branch(drop, [])], activations="from_output")
    state = torch.get_rng_state()
    torch.rand(7)  # others draw before the backward pass
    moved = torch.get_rng_state()
    assert not torch.equal(state, moved)
    out.sum().backward()
    first, second, second_again, first_again = seen
    assert torch.equal(first, first_again)
    assert torch.equal(second, second_again)
    assert torch.equal(torch.get_rng_state(), moved)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_on_a_gpu(dtype: torch.dtype) -> None:
    x = clips().cuda()
    with torch.autocast("cuda", dtype=dtype, enabled=dtype != torch.float32):
        expected = step(Branches().cuda(), x, "kept")
        found = step(Branches().cuda(), x, "from_output")
    limit = 1e-4 if dtype == torch.float32 else 3e-2
    for name, value in expected.items():
        assert (found[name] - value).norm() <= limit * value.norm(), name


def test_statistics_are_updated_once_across_processes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = step(Branches(), clips(), "kept")
    monkeypatch.setattr(batch_norm, "_has_peers", lambda: True)
    monkeypatch.setattr(batch_norm, "all_reduce", lambda value: value)
    for way in WAYS:
        found = step(Branches(), clips(), way)
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("inside", [False, True])
def test_mixed_precision(inside: bool) -> None:
    """The backward pass may be inside the context or outside; streams keep 32 bits in both."""
    dtypes: list[torch.dtype] = []
    results = []
    for way in ("kept", "from_output"):
        network = Branches(dropout=0.0).train()
        network.activations = way
        hook = network.branches[1].register_forward_hook(
            lambda module, inputs, output: dtypes.extend((inputs[0].dtype, output.dtype))
        )
        x = clips().requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = network(x).float().square().sum()
            if inside:
                loss.backward()
        if not inside:
            loss.backward()
        hook.remove()
        results.append([x.grad, *(p.grad for p in network.parameters())])
    assert dtypes == [torch.float32, torch.bfloat16] * 3
    for kept, again in zip(*results, strict=True):
        assert kept is not None
        assert again is not None
        assert kept.dtype == again.dtype == torch.float32
        # A rounding of 16 bits that falls the other way is 2 ** -8.
        assert (kept - again).norm() <= 2**-7 * kept.norm() + 1e-3


def test_gradients_add_up_over_micro_batches() -> None:
    network = Branches(dropout=0.0).eval()
    network.activations = "from_output"
    x = clips(4)
    network(x).square().sum().backward()
    whole = [p.grad.clone() for p in network.parameters() if p.grad is not None]
    network.zero_grad()
    for part in x.split(1):
        network(part).square().sum().backward()
    for parameter, expected in zip(network.parameters(), whole, strict=True):
        torch.testing.assert_close(parameter.grad, expected)


def test_parameters_that_are_not_trained_get_no_gradient() -> None:
    network = Branches(dropout=0.0).eval()
    network.activations = "from_output"
    frozen = [*network.stem.parameters(), *network.branches[0].parameters()]
    for parameter in frozen:
        parameter.requires_grad_(False)
    network(clips()).sum().backward()
    assert all(parameter.grad is None for parameter in frozen)
    trained = [p for p in network.parameters() if p.requires_grad]
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in trained)


def test_operations_are_counted_once() -> None:
    network, found = Branches(), []
    for way in WAYS:
        network.activations = way
        found.append(count_operations(network, lambda: network(clips())))
    assert sum(found[0].backward.values()) > sum(found[0].forward.values()) > 0
    assert found[0] == found[1] == found[2]


def test_without_a_backward_pass_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise AssertionError("nothing is to be recomputed")

    network = Branches().eval()
    network.activations = "from_output"
    expected = network(clips())
    monkeypatch.setattr(reversible._Added, "apply", fail)
    with torch.no_grad():
        assert torch.equal(network(clips()), expected)
    network.requires_grad_(False)
    assert torch.equal(network(clips()), expected)
    assert bytes_kept(lambda: network(clips()), parameters=network.parameters()) == 0


def test_what_is_kept_does_not_grow_with_depth() -> None:
    def measured(way: Activations, count: int) -> int:
        network = Branches(count=count).train()
        network.activations = way
        return bytes_kept(lambda: network(clips()), parameters=network.parameters())

    kept = {(way, count): measured(way, count) for way in WAYS for count in (2, 8)}
    assert kept["from_output", 8] == kept["from_output", 2]
    stream = 4 * 2 * 4 * 2 * 4 * 4  # bytes of 2 clips of 4 channels, 2 steps, 4 x 4 cells
    # The input of each branch is a stream; the first one is counted already.
    assert kept["from_inputs", 8] - kept["from_inputs", 2] == 6 * stream
    assert kept["kept", 8] - kept["kept", 2] > 3 * 6 * stream
