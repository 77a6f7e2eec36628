"""Settings of every backbone, told apart by their name."""

from mmad.config.backbones.videomae import VideoMAESettings

BackboneSettings = VideoMAESettings


def tiny_backbone() -> tuple[BackboneSettings, int]:
    """A backbone as small as one can be, at random weights, and an image side for it."""
    return VideoMAESettings(size="small").tiny()
