"""Whole recognisers: backbones of one or two streams, and heads.

Shapes: N views of all clips, F frames of a view, V windows: the streams of all clips.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mmad.models.backbones.contract import Backbone, ClipTokens
from mmad.models.backbones.features import VideoBackbones, normalise_windows
from mmad.models.backbones.kept_tokens import KeptTokens
from mmad.models.recognisers.contract import RecogniserHeads, RecognitionOutputs


@dataclass(frozen=True)
class Mix:
    """Clips blended with others of the batch (mixup).

    Attributes:
        partner_N: Index of the other clip.
        share_N: Share of the clip itself; the rest is the partner's.
    """

    partner_N: Tensor
    share_N: Tensor


class Recogniser(nn.Module):
    """Backbone and heads in one network.

    Args:
        backbone: Network for images.
        heads: Heads for tokens of its width, or twice that if two streams are concatenated.
        num_streams: 2 if every clip is followed by its optical flow as a second window.
        flow_backbone: Network for optical flow; None shares the backbone.
        concatenate: Join the streams' tokens by channels instead of adding them.
    """

    def __init__(
        self,
        backbone: Backbone,
        heads: RecogniserHeads,
        *,
        num_streams: int = 1,
        flow_backbone: Backbone | None = None,
        concatenate: bool = False,
    ) -> None:
        super().__init__()
        self.features = VideoBackbones(backbone, flow_backbone)
        self.heads = heads
        self.num_streams = num_streams
        self.concatenate = concatenate

    def forward(
        self,
        clips_NFHWC: Tensor,
        colours_V34: Tensor,
        clips_per_window: Sequence[int],
        labels_N: Tensor | None = None,
        parents_N: Tensor | None = None,
        mix: Mix | None = None,
    ) -> RecognitionOutputs:
        """Logits of every view.

        Args:
            clips_NFHWC: uint8 frames; the views of a clip are consecutive.
            colours_V34: Affine colour map of each clip.
            clips_per_window: Number of views of each clip.
            labels_N, parents_N: Actions and body parts for the margin, in training.
            mix: Clips to blend, in training.
        """
        streams = self._streams(clips_NFHWC, colours_V34, clips_per_window, mix)
        tokens = join_streams(streams, concatenate=self.concatenate)
        backbone = self.features.backbone
        if len(streams) > 1 and backbone.pools_with_norm:
            # Each stream has its own vectors to normalise, and maybe its own norm.
            pairs = list(zip(self._backbones(), streams, strict=True))
            steps = self._joined([one.pool_steps(mine) for one, mine in pairs])
            pooled = self._joined([one.pool_clips(mine) for one, mine in pairs])
        else:
            steps, pooled = backbone.pool_steps(tokens), backbone.pool_clips(tokens)
        return self.heads(steps, pooled, labels_N, parents_N, tokens)

    def linear_map_weights(self, tokens: ClipTokens) -> Tensor | None:
        """Weights (K, C) with which logits are means of what each token adds to them, up to a
        positive factor and a bias; None if they are not.
        """
        backbone = self.features.backbone
        pools_otherwise = tokens.clip_NC is not None or backbone.pools_with_norm
        if pools_otherwise or tokens.grid_hw == (1, 1):
            return None
        return self.heads.weights_of_means()

    def tokens(
        self,
        clips_NFHWC: Tensor,
        colours_V34: Tensor,
        clips_per_window: Sequence[int],
        mix: Mix | None = None,
    ) -> ClipTokens:
        """Tokens of the backbone; to adapters, each view is a separate video."""
        streams = self._streams(clips_NFHWC, colours_V34, clips_per_window, mix)
        return join_streams(streams, concatenate=self.concatenate)

    def _streams(
        self,
        clips_NFHWC: Tensor,
        colours_V34: Tensor,
        clips_per_window: Sequence[int],
        mix: Mix | None,
    ) -> list[ClipTokens]:
        """Tokens of each stream."""
        clips = clips_NFHWC.split(list(clips_per_window))
        streams = []
        for number, backbone in enumerate(self._backbones()):
            mine = slice(number, None, self.num_streams)
            own = torch.cat(clips[mine])
            images = normalise_windows(own, colours_V34[mine], clips_per_window[mine])
            kept_NTS = backbone.choose(own)
            if mix is not None:
                if kept_NTS is not None:
                    kept_NTS = kept_NTS | kept_NTS[mix.partner_N]
                share = mix.share_N.to(images.dtype).view(-1, 1, 1, 1, 1)
                images = share * images + (1 - share) * images[mix.partner_N]
            numbers = torch.arange(len(images), device=images.device)
            if kept_NTS is None:
                streams.append(backbone.forward_stages(images, numbers, self.heads.stages))
            else:
                streams.append(backbone(images, numbers, kept=KeptTokens.of(kept_NTS)))
        return streams

    def _backbones(self) -> list[Backbone]:
        """The backbone of each stream."""
        one = self.features.backbone
        return [one] if self.num_streams == 1 else [one, self.features.flow_backbone or one]

    def _joined(self, parts: Sequence[Tensor]) -> Tensor:
        return _join(parts, concatenate=self.concatenate)


def join_streams(streams: Sequence[ClipTokens], *, concatenate: bool) -> ClipTokens:
    """Tokens of several streams of the same clips, added or concatenated by channels."""
    if len(streams) == 1:
        return streams[0]
    vectors = [stream.clip_NC for stream in streams if stream.clip_NC is not None]
    return ClipTokens(
        _join([stream.tokens_NTSC for stream in streams], concatenate=concatenate),
        streams[0].grid_hw,
        _join(vectors, concatenate=concatenate) if vectors else None,
    )


def _join(parts: Sequence[Tensor], *, concatenate: bool) -> Tensor:
    return torch.cat(list(parts), dim=-1) if concatenate else sum(parts[1:], parts[0])
