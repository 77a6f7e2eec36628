"""Adapters from settings: their names, and which blocks get one."""

from collections.abc import Callable, Mapping, Sequence

import torch

from mmad.config.backbones.adapters import AdapterSettings
from mmad.errors import ConfigError
from mmad.models.backbones.adapters import (
    Adapter,
    DualPathAdapter,
    StandardAdapter,
    TemporalInformationAdapter,
)
from mmad.models.backbones.blocks import BlockBackbone

# Name in the settings -> module; the settings besides `name`, `ratio` and `blocks` are its
# arguments.
ADAPTERS: Mapping[str, Callable[..., Adapter]] = {
    "standard": StandardAdapter,
    "tia": TemporalInformationAdapter,
    "dsta": DualPathAdapter,
    "dsta_180": DualPathAdapter,
}


def build_adapter(settings: AdapterSettings, *, width: int) -> Adapter:
    """A new adapter for tokens of ``width`` channels; it is the identity until it is trained."""
    arguments = settings.model_dump(exclude={"name", "ratio", "blocks"})
    assert settings.name != "none"
    return ADAPTERS[settings.name](width, channels=int(width * settings.ratio), **arguments)


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


def add_adapters(backbone: BlockBackbone, settings: AdapterSettings, *, width: int) -> None:
    """Put new adapters behind the blocks of a backbone.

    Raises: ConfigError if one is asked for in a block that does not exist.
    """
    for block in blocks_with_adapter(settings, depth=len(backbone.blocks)):
        # On the CPU, also behind blocks whose weights are still to come.
        with torch.device("cpu"):
            backbone.blocks[block].adapter = build_adapter(settings, width=width)
