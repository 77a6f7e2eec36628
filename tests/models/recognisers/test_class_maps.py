"""Activations of classes at each place add up to logits, whatever the backbone, or are refused."""

import pytest
import torch

from mmad.config.backbones.union import BackboneSettings
from mmad.config.base import members
from mmad.models.backbones.families import BACKBONES, build_backbone
from mmad.models.recognisers.auxiliary_heads.network import Heads, Linear
from mmad.models.recognisers.class_maps import class_maps
from mmad.models.recognisers.whole import Recogniser

pytestmark = pytest.mark.slow

# A norm of the pooled vector is not linear, one of each token may be.
REQUIRED = {
    "videomae": {"size": "small", "final_norm": True},
    "umt": {"final_norm": True},
}
# Their clips have a vector that is not the mean over places.
WITHOUT = {"c3d", "timesformer"}


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_the_mean_activation_is_the_logit_without_its_bias(name: str) -> None:
    settings, side = members(BackboneSettings)[name](**REQUIRED.get(name, {})).tiny()
    if "image_size" in type(settings).model_fields:
        settings = settings.model_copy(update={"image_size": (side, side)})
    torch.manual_seed(0)
    backbone = build_backbone(settings)
    off = dict.fromkeys(("coarse", "norm", "fine_frame", "coarse_frame"))
    heads = Heads(
        Linear(backbone.spec.channels, 5),
        **off,
        dropout=0.0,
        fine_gate=None,
        coarse_gate=None,
        frame_rows="frames",
    )
    model = Recogniser(backbone, heads).eval()
    frames = settings.images_per_clip
    clips = torch.randint(0, 255, (2, frames, side, side, 3), dtype=torch.uint8)
    colours = torch.cat((torch.eye(3) / 64, torch.full((3, 1), -2.0)), dim=1).expand(2, 3, 4)
    with torch.no_grad():
        tokens = model.tokens(clips, colours, [1, 1])
        weights = model.linear_map_weights(tokens)
        assert (weights is None) == (name in WITHOUT)
        if weights is not None:
            logits = model(clips, colours, [1, 1]).fine - heads.fine.bias
            means = class_maps(tokens.tokens_NTSC, weights).mean(dim=(1, 3))
            torch.testing.assert_close(means, logits, rtol=1e-4, atol=1e-6)
