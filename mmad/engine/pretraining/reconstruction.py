"""What a masked autoencoder paints, as images."""

import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor

from mmad.data.pretraining import MaskedBatch
from mmad.models.backbones.features import normalise_windows
from mmad.models.pretraining.network import MaskedAutoencoder
from mmad.models.pretraining.targets import GREY, from_patches
from mmad.report.pretraining.reconstructions import Reconstruction


def reconstructions(model: MaskedAutoencoder, batch: MaskedBatch) -> list[Reconstruction]:
    """The clips of a batch as they are, as they were seen, and as they were painted.

    Patches painted for normalised targets have the mean and the deviation of the true ones, which
    such targets do not tell, as in the figures of the paper.
    """
    clips = batch.batch.clips
    one_each = [1] * len(clips)
    images = normalise_windows(clips, batch.batch.colours, one_each)
    spec = model.features.backbone.spec
    grid_hw = spec.grid_hw((images.shape[3], images.shape[4]))
    patches = model.patches(images)
    painted = model(clips, batch.batch.colours, batch.seen_places, batch.painted_places)
    places = batch.painted_places
    true = patches.take_along_dim(places[..., None, None], dim=1)
    pixels = model.targets.colours(painted.pixels_NMP, like_NSP3=true)
    seen = torch.full_like(patches, GREY)
    kept = batch.seen_places[..., None, None].expand(-1, -1, *patches.shape[2:])
    seen = seen.scatter(1, kept, patches.gather(1, kept))
    whole = seen.scatter(1, places[..., None, None].expand_as(pixels), pixels)
    whole = whole.scatter(1, kept, patches.gather(1, kept))

    def images_of(parts: Tensor) -> NDArray[np.uint8]:
        back = from_patches(
            parts.flatten(2),
            frames=spec.frames_per_step,
            side=spec.side_multiple,
            grid_hw=grid_hw,
        )
        frames = rearrange(back, "n c f h w -> n f h w c")
        return (255 * frames).round().clamp(0, 255).to(torch.uint8).cpu().numpy()

    parts = zip(
        batch.batch.video_ids, images_of(patches), images_of(seen), images_of(whole), strict=True
    )
    return [Reconstruction(*one) for one in parts]
