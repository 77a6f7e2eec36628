"""Whole detectors, on videos or on stored features.

Shapes: as in `mmad.models.backbones.features`.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from mmad.models.backbones.features import VideoFeatures


class EndToEndDetector(nn.Module):
    """Backbone and temporal detector in one network."""

    def __init__(self, features: VideoFeatures, network: nn.Module) -> None:
        super().__init__()
        self.features = features
        self.network = network

    def forward(
        self,
        clips_NFHWC: Tensor,
        colours_V34: Tensor,
        clips_per_window: Sequence[int],
        frames_per_window: Sequence[int],
    ) -> Any:
        """Raw outputs of the network; arguments as in `VideoFeatures.forward`."""
        features_BCT, mask_BT = self.features(
            clips_NFHWC, colours_V34, clips_per_window, frames_per_window
        )
        return self.network(features_BCT, mask_BT)


class FeatureDetector(nn.Module):
    """The temporal detector alone, on stored features; weights as in `EndToEndDetector`."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, features_BCT: Tensor, mask_BT: Tensor) -> Any:
        """Raw outputs of the network."""
        return self.network(features_BCT, mask_BT)


Detector = EndToEndDetector | FeatureDetector
