"""Adapters from settings: their names, and which blocks get one."""

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from mmad.config.backbones.adapters import AdapterSettings
from mmad.errors import ConfigError
from mmad.models.backbones.adaptable import AdaptableBackbone
from mmad.models.backbones.adapters import (
    Adapter,
    DualPathAdapter,
    StandardAdapter,
    TemporalInformationAdapter,
)

# Name in the settings -> module; the settings besides `name`, `ratio` and `blocks` are its
# arguments.
ADAPTERS: Mapping[str, Callable[..., Adapter]] = {
    "standard": StandardAdapter,
    "tia": TemporalInformationAdapter,
    "dsta": DualPathAdapter,
    "dsta_180": DualPathAdapter,
}


def build_adapter(settings: AdapterSettings, *, width: int) -> Adapter:
    """A new adapter for tokens of ``width`` channels; it is the identity until it is trained.

    Raises: ConfigError if the ratio leaves its bottleneck no channel.
    """
    arguments = settings.model_dump(exclude={"name", "ratio", "blocks"})
    assert settings.name != "none"
    channels = int(width * settings.ratio)
    if channels < 1:
        raise ConfigError(
            f"backbone.adapter.ratio: {settings.ratio} of the {width} channels of a block is less "
            f"than one channel; set it to {math.ceil(1e4 / width) / 1e4} or more"
        )
    return ADAPTERS[settings.name](width, channels=channels, **arguments)


def blocks_with_adapter(settings: AdapterSettings, *, depth: int) -> Sequence[int]:
    """The blocks, out of ``depth``, that get an adapter.

    Raises: ConfigError if one is asked for in a block that does not exist.
    """
    if settings.name == "none":
        return ()
    blocks = range(depth) if settings.blocks == "all" else settings.blocks
    missing = [block for block in blocks if not 0 <= block < depth]
    if missing:
        raise ConfigError(
            f"backbone.adapter.blocks: the backbone has blocks 0 to {depth - 1}, found {missing}"
        )
    return blocks


def add_adapters(backbone: AdaptableBackbone, settings: AdapterSettings) -> None:
    """Put new adapters behind the blocks of a backbone, each of the width of its block.

    Raises: ConfigError if one is asked for in a block that does not exist, or has no channel.
    """
    blocks = backbone.adaptable_blocks()
    for number in blocks_with_adapter(settings, depth=len(blocks)):
        block = blocks[number]
        # On the CPU, also behind blocks whose weights are still to come.
        with torch.device("cpu"):
            block.adapter = build_adapter(settings, width=block.width)


def adapters_in(tensors: Mapping[str, Tensor]) -> str:
    """The end of a description of a file with these tensors: whether it has adapters."""
    return ", with adapters" if any(".adapter." in name for name in tensors) else ""
