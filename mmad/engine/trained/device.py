"""The device of a network in use."""

import os

import torch

from mmad.engine.distributed import choose_device


def device_of_process(name: str) -> torch.device:
    """The device to compute on, which becomes the current one; as in `choose_device`.

    Unlike `start_processes` it joins no group of torchrun: using a network needs none.
    """
    chosen = choose_device(name, rank=int(os.environ.get("LOCAL_RANK", "0")))
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    return chosen
