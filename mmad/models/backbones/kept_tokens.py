"""Which tokens of clips a transformer computes, and what stands for the others.

Only kept tokens pass through the network. They are packed: clips with equally many tokens are
consecutive, so nothing is padded and nothing is masked. On the whole grid, a place shows the last
token that was kept there, as the image does where nothing moves.

Shapes: N clips, T steps of a clip, S = h x w places of a step, L = N x T steps of all clips, P kept
tokens of all clips, C channels.
"""

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


class Group(NamedTuple):
    """Clips with equally many kept tokens."""

    num_clips: int
    num_tokens: int


@dataclass(frozen=True, eq=False)
class KeptTokens:
    """The kept tokens of clips in packed order: clip by clip, those with the fewest tokens first.

    Attributes:
        groups: Clips with equally many tokens, in packed order.
        places_P: Where each packed token lies in the grid of all clips: n x T x S + t x S + s.
        sources_LS: The packed token that each place shows: the last one that was kept there, before
            the first one the first, and P where none ever is.
        places_per_clip: T x S.
        has_gaps: Whether there are places that show none.
    """

    groups: tuple[Group, ...]
    places_P: Tensor
    sources_LS: Tensor
    places_per_clip: int
    has_gaps: bool

    @classmethod
    def of(cls, kept_NTS: Tensor) -> "KeptTokens":
        """The packing of the tokens that are True.

        Raises: ValueError if a clip keeps none.
        """
        clips, steps, places = kept_NTS.shape
        per_clip = steps * places
        counts_N, order_N = kept_NTS.sum(dim=(1, 2)).sort(stable=True)
        packed_P = kept_NTS[order_N].flatten().nonzero()[:, 0]
        places_P = order_N[packed_P // per_clip] * per_clip + packed_P % per_clip
        number_NTS = torch.full((clips * per_clip,), -1, device=kept_NTS.device)
        number_NTS[places_P] = torch.arange(len(places_P), device=kept_NTS.device)
        number_NTS = number_NTS.view(clips, steps, places)
        step_NTS = torch.arange(steps, device=kept_NTS.device)[:, None].where(kept_NTS, -1)
        first_N1S = kept_NTS.byte().argmax(dim=1, keepdim=True)
        shown_NTS = step_NTS.cummax(dim=1).values
        shown_NTS = shown_NTS.where(shown_NTS >= 0, first_N1S)
        sources_NTS = number_NTS.gather(1, shown_NTS)
        has_gaps_N = (sources_NTS < 0).any()[None]
        # All that shapes depend on comes to the host at once.
        *counts, has_gaps = torch.cat((counts_N, has_gaps_N)).tolist()
        if counts[0] == 0:
            raise ValueError("expected at least one kept token in each clip, found none")
        return cls(
            tuple(Group(count, tokens) for tokens, count in Counter(counts).items()),
            places_P,
            sources_NTS.where(sources_NTS >= 0, len(places_P)).flatten(0, 1),
            per_clip,
            bool(has_gaps),
        )

    @property
    def num_clips(self) -> int:
        """N."""
        return sum(group.num_clips for group in self.groups)

    @property
    def clip_P(self) -> Tensor:
        """The clip of each packed token."""
        return self.places_P // self.places_per_clip

    @property
    def place_in_clip_P(self) -> Tensor:
        """Where each packed token lies in the grid of its clip: t x S + s."""
        return self.places_P % self.places_per_clip

    def split(self, x_PC: Tensor) -> list[Tensor]:
        """Packed tokens by group, (clips, tokens, C) each."""
        parts = x_PC.split([clips * tokens for clips, tokens in self.groups])
        return [part.unflatten(0, group) for part, group in zip(parts, self.groups, strict=True)]

    def by_clip(self, x_PC: Tensor) -> Tensor:
        """Packed tokens as (N, K, C), where each clip keeps K; clips and places are in order.

        Raises: ValueError if clips keep different numbers of tokens.
        """
        if len(self.groups) > 1:
            counts = ", ".join(str(group.num_tokens) for group in self.groups)
            raise ValueError(f"expected equally many kept tokens in each clip, found {counts}")
        return x_PC.unflatten(0, self.groups[0])

    def take(self, x_LSC: Tensor) -> Tensor:
        """The packed tokens of a grid, (P, C)."""
        return functional.embedding(self.places_P, x_LSC.flatten(0, 1))

    def fill(self, x_PC: Tensor) -> Tensor:
        """The grid of packed tokens, (L, S, C): each place with the token it shows, or zeros."""
        if self.has_gaps:
            x_PC = functional.pad(x_PC, (0, 0, 0, 1))
        return functional.embedding(self.sources_LS, x_PC)
