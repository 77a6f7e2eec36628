"""What backbones have in common whose blocks have room for an adapter."""

import math
from collections.abc import Sequence

from torch import nn

from mmad.models.backbones.adapters import Adapter
from mmad.models.backbones.contract import Backbone


class AdaptableBlock(nn.Module):
    """A transformer block with room for an adapter behind it.

    Args:
        width: Channels of its tokens.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.adapter: Adapter | None = None


class AdaptableBackbone(Backbone):
    """A backbone with blocks that can have adapters."""

    def adaptable_blocks(self) -> Sequence[AdaptableBlock]:
        """The blocks that can have an adapter, in order."""
        return [module for module in self.modules() if isinstance(module, AdaptableBlock)]

    def adapters(self) -> Sequence[Adapter]:
        """As in `Backbone`."""
        return self._adapters_before(None)

    def _adapters_before(self, block: int | None) -> list[Adapter]:
        adapters = [module.adapter for module in self.adaptable_blocks()[:block]]
        return [one for one in adapters if one is not None]

    def context_clips(self, *, stop_before: int | None = None) -> int:
        """As in `Backbone`: temporal adapters add the clips that half a kernel reaches."""
        steps = self.spec.steps_per_clip
        return sum(math.ceil(a.reach_steps / steps) for a in self._adapters_before(stop_before))
