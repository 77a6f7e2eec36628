"""From clips of windows of different length to padded sequences of features.

Shapes: N clips of all windows, F frames of a clip, V windows of the batch (B once they are padded),
T steps, C channels.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmad.models.backbones.videomae.network import TUBELET_FRAMES, VideoMAE


def embed_windows(
    backbone: VideoMAE, clips_NFHWC: Tensor, colours_V34: Tensor, clips_per_window: Sequence[int]
) -> Tensor:
    """Patches of all clips, (N, D, T, h, w), with the colours of each window.

    One window at a time: its float frames are the largest tensor of all, and live only here.
    """
    patches = []
    windows = clips_NFHWC.split(list(clips_per_window))
    for clips, colour in zip(windows, colours_V34, strict=True):
        flat = torch.addmm(colour[:, 3], clips.reshape(-1, 3).float(), colour[:, :3].t())
        frames = flat.view(clips.shape).permute(0, 4, 1, 2, 3)
        patches.append(backbone.embed(frames))
    return torch.cat(patches)


def interpolate_steps(features_BCT: Tensor, *, factor: float) -> Tensor:
    """The sequence with ``factor`` times as many steps, linear; the same for a factor of 1."""
    if factor == 1:
        return features_BCT
    return functional.interpolate(features_BCT, scale_factor=factor, mode="linear")


class VideoFeatures(nn.Module):
    """Features of windows of different length: colours, backbone, interpolation, padding.

    Args:
        backbone: the video network.
        steps_per_tubelet: 2 interpolates to one step per frame, as the peers do; 1 keeps one per
            tubelet; 0.5 averages two.
        mask_padding: set features beyond a window's end to zero; the peers do not.
    """

    def __init__(
        self, backbone: VideoMAE, *, steps_per_tubelet: float = 2, mask_padding: bool = True
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.steps_per_tubelet = steps_per_tubelet
        self.mask_padding = mask_padding

    def forward(
        self,
        clips_NFHWC: Tensor,
        colours_V34: Tensor,
        clips_per_window: Sequence[int],
        frames_per_window: Sequence[int],
    ) -> tuple[Tensor, Tensor]:
        """Features (B, C, T) and the mask of the steps that exist (B, T).

        Args:
            clips_NFHWC: uint8 frames; the clips of a window are neighbours.
            colours_V34: affine map of the colours of each window.
            clips_per_window: number of clips of each window.
            frames_per_window: number of frames that exist; what follows is padding.
        """
        patches = embed_windows(self.backbone, clips_NFHWC, colours_V34, clips_per_window)
        counts = torch.tensor(list(clips_per_window), device=clips_NFHWC.device)
        video_of_clip_N = torch.arange(len(counts), device=counts.device).repeat_interleave(counts)
        tokens_NTSD = self.backbone.encode(patches, video_of_clip_N)
        features_LD = self.backbone.pool(tokens_NTSD).flatten(0, 1)

        sequences = []
        for part_TD in features_LD.split(
            [n * self.backbone.clip_tubelets for n in clips_per_window]
        ):
            part_1DT = part_TD.t()[None]
            sequences.append(interpolate_steps(part_1DT, factor=self.steps_per_tubelet)[0])
        length = max(part.shape[1] for part in sequences)
        features_BCT = torch.stack(
            [functional.pad(part, (0, length - part.shape[1])) for part in sequences]
        )
        steps = [self.num_steps(frames) for frames in frames_per_window]
        valid = torch.tensor(steps, device=features_BCT.device)
        mask_BT = torch.arange(length, device=valid.device)[None] < valid[:, None]
        if self.mask_padding:
            features_BCT = features_BCT * mask_BT[:, None]
        return features_BCT.float(), mask_BT

    def num_steps(self, num_frames: int) -> int:
        """Feature steps of ``num_frames`` frames; a step that a frame falls into counts."""
        return math.ceil(num_frames * self.steps_per_tubelet / TUBELET_FRAMES)
