"""Too little memory: one message, whichever library runs out of it."""

import pytest
import torch

from mmad.cli import main

CUDA = "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 7.92 GiB"
CPU = (
    "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: "
    "you tried to allocate 4000 bytes. Error code 12 (Cannot allocate memory)"
)


def call(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    monkeypatch.setattr("sys.argv", ["mmad", *words])
    monkeypatch.setattr(main.signal, "signal", lambda *_: None)
    main.run()


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError(), "mmad: MemoryError; compute less"),
        (torch.OutOfMemoryError(CUDA), f"mmad: {CUDA.partition('. GPU')[0]}; compute less"),
        (
            RuntimeError("CUDA error: out of memory"),
            "mmad: CUDA error: out of memory; compute less",
        ),
        (RuntimeError(CPU), f"mmad: {CPU}; compute less"),
    ],
)
def test_every_kind_is_one_message(
    error: Exception,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(**_: str) -> None:
        raise error

    monkeypatch.setattr(main, "app", fail)
    with pytest.raises(SystemExit) as caught:
        call(monkeypatch)
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith(message)


def test_another_error_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: str) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(main, "app", fail)
    with pytest.raises(RuntimeError, match="mat1"):
        call(monkeypatch)


def test_a_video_longer_than_any_memory(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("profile", "configs/dsta_videomae_s.yaml", "--length", "100000000000")
    with pytest.raises(SystemExit) as caught:
        call(monkeypatch, *words)
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("mmad: Unable to allocate ")
    assert said.count("\n") == 1
