"""A masked autoencoder: an encoder of what is seen of a clip, and a decoder that paints the rest.

Shapes: N clips, F frames, H W pixels, S tokens of a clip, K of them seen, M painted, P numbers of a
patch.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mmad.config.backbones.family import ColourStatistics
from mmad.models.backbones.contract import Backbone
from mmad.models.backbones.features import VideoBackbones, normalise_windows
from mmad.models.backbones.kept_tokens import KeptTokens
from mmad.models.backbones.plain_vit import PlainViT
from mmad.models.pretraining.decoder import PixelDecoder
from mmad.models.pretraining.targets import Targets, to_patches, unit_colours


class Painted(NamedTuple):
    """What was painted, and what should have been, (N, M, P) each."""

    pixels_NMP: Tensor
    targets_NMP: Tensor

    @property
    def errors_NM(self) -> Tensor:
        """Mean squared error of each patch, float32."""
        return (self.pixels_NMP.float() - self.targets_NMP).square().mean(dim=-1)


class MaskedAutoencoder(nn.Module):
    """VideoMAE's network of pre-training.

    Its backbone has the name that it has in detectors and recognisers, so that weights can be
    exchanged.

    Args:
        backbone: Network whose settings have `takes_tokens`.
        decoder: Decoder.
        statistics: Colour statistics that the backbone expects.
        targets: What the decoder is to paint.
    """

    def __init__(
        self,
        backbone: Backbone,
        decoder: PixelDecoder,
        *,
        statistics: ColourStatistics,
        targets: Targets,
    ) -> None:
        super().__init__()
        self.features = VideoBackbones(backbone)
        self.decoder = decoder
        self.statistics = statistics
        self.targets = targets

    def patches(self, images_NCFHW: Tensor, places_NM: Tensor | None = None) -> Tensor:
        """The patches of normalised images, on a scale of 0 to 1: (N, S, pixels, 3), or those at
        some places, (N, M, pixels, 3).
        """
        spec = self.features.backbone.spec
        patches = to_patches(images_NCFHW, frames=spec.frames_per_step, side=spec.side_multiple)
        if places_NM is not None:
            clips_N1 = torch.arange(len(patches), device=patches.device)[:, None]
            patches = patches[clips_N1, places_NM]
        return unit_colours(patches, self.statistics)

    def forward(
        self,
        clips_NFHWC: Tensor,
        colours_N34: Tensor,
        seen_places_NK: Tensor,
        painted_places_NM: Tensor,
    ) -> Painted:
        """Paint patches of clips.

        Args:
            clips_NFHWC: uint8 frames.
            colours_N34: Affine colour map of each clip.
            seen_places_NK, painted_places_NM: Numbers of the tokens that are seen and painted.
        """
        one_each: Sequence[int] = [1] * len(clips_NFHWC)
        device = clips_NFHWC.device.type
        with torch.no_grad(), torch.autocast(device, enabled=False):
            # Targets are computed in full precision, whatever that of the network.
            images = normalise_windows(clips_NFHWC, colours_N34, one_each)
            targets = self.targets.of(self.patches(images, painted_places_NM))
        backbone = self.features.backbone
        assert isinstance(backbone, PlainViT)
        grid_hw = backbone.spec.grid_hw((images.shape[3], images.shape[4]))
        steps = backbone.spec.steps_per_clip
        kept_NS = torch.zeros(
            len(images), steps * grid_hw[0] * grid_hw[1], dtype=torch.bool, device=images.device
        ).scatter(1, seen_places_NK, torch.ones_like(seen_places_NK, dtype=torch.bool))
        kept = KeptTokens.of(kept_NS.unflatten(1, (steps, -1)))
        clips_N = torch.arange(len(images), device=images.device)
        seen = kept.by_clip(backbone.encode(images, clips_N, kept))
        return Painted(self.decoder(seen, seen_places_NK, painted_places_NM, grid_hw), targets)
