"""The network of pre-training computes what transformers' VideoMAEForPreTraining does."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mmad.config.backbones.family import STATISTICS
from mmad.data.pretraining import places_of
from mmad.models.pretraining.network import MaskedAutoencoder
from mmad.models.pretraining.targets import Targets, from_patches, to_patches
from mmad.weights.decoder import write_pretraining
from support.pretraining import perturbed_autoencoder

COLOURS = STATISTICS["imagenet"]
MEAN, STD = torch.tensor(COLOURS.mean), torch.tensor(COLOURS.std)


def colours(count: int) -> Tensor:
    one = torch.cat((torch.diag(1 / STD), (-MEAN / STD)[:, None]), dim=1)
    return one.expand(count, 3, 4)


def clips(count: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, 8, 32, 32, 3), dtype=torch.uint8, generator=generator)


def masks(count: int = 3) -> np.ndarray:
    rng = np.random.default_rng(2)
    return np.stack([rng.permutation(16) < 10 for _ in range(count)])


def painted(model: MaskedAutoencoder, mask: np.ndarray) -> Any:
    seen, hidden = (torch.from_numpy(places_of(one)) for one in (~mask, mask))
    return model(clips(len(mask)), colours(len(mask)), seen, hidden)


@pytest.mark.slow
@pytest.mark.parametrize("normalised", [True, False])
def test_loss_and_gradients_are_those_of_transformers(normalised: bool, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    ours = perturbed_autoencoder(decoder__normalised_targets=normalised)
    write_pretraining(tmp_path, ours)
    theirs = transformers.VideoMAEForPreTraining.from_pretrained(tmp_path)
    mask = masks()
    found = painted(ours, mask)
    loss = found.errors_NM.mean()
    images = ((clips().float() - MEAN) / STD).permute(0, 1, 4, 2, 3)
    expected = theirs(images, bool_masked_pos=torch.from_numpy(mask))
    torch.testing.assert_close(found.pixels_NMP, expected.logits, atol=1e-4, rtol=1e-4)
    assert loss.item() == pytest.approx(expected.loss.item(), rel=1e-4)
    loss.backward()
    expected.loss.backward()
    gradients = {name: p.grad for name, p in theirs.named_parameters()}
    encoder, decoder = ours.features.backbone, ours.decoder
    layer = "encoder.layer.1.attention.attention"
    split = [gradients[f"videomae.{layer}.{part}.weight"] for part in ("query", "key", "value")]
    pairs = {
        "qkv": (encoder.blocks[1].attn.qkv.weight, torch.cat(split)),
        "patches": (
            encoder.patch_embed.proj.weight,
            gradients["videomae.embeddings.patch_embeddings.projection.weight"],
        ),
        "norm": (encoder.norm.weight, gradients["videomae.layernorm.weight"]),
        "embed": (decoder.embed.weight, gradients["encoder_to_decoder.weight"]),
        "token": (decoder.mask_token, gradients["mask_token"]),
        "mlp": (
            decoder.blocks[0].mlp.fc1.weight,
            gradients["decoder.decoder_layers.0.intermediate.dense.weight"],
        ),
        "head": (decoder.head.bias, gradients["decoder.head.bias"]),
    }
    for name, (parameter, gradient) in pairs.items():
        gap = (parameter.grad - gradient).abs().max() / gradient.abs().max()
        assert gap < 1e-4, name


def test_tokens_that_are_hidden_change_nothing_that_is_painted() -> None:
    model, mask = perturbed_autoencoder(), masks(1)
    first = painted(model, mask).pixels_NMP
    hidden = torch.from_numpy(mask.reshape(4, 2, 2))
    changed = clips(1)
    for step, row, column in hidden.nonzero().tolist():
        place = changed[0, 2 * step : 2 * step + 2]
        place[:, 16 * row : 16 * row + 16, 16 * column : 16 * column + 16] = 0
    seen, places = (torch.from_numpy(places_of(one)) for one in (~mask, mask))
    assert model(changed, colours(1), seen, places).pixels_NMP.equal(first)


def test_fewer_painted_tokens_of_running_cells_see_each_other_only() -> None:
    """The pixels depend on which tokens are painted, through attention; the targets do not."""
    model, mask = perturbed_autoencoder(), masks(1)
    seen, places = (torch.from_numpy(places_of(one)) for one in (~mask, mask))
    whole, half = (model(clips(1), colours(1), seen, some) for some in (places, places[:, ::2]))
    assert half.targets_NMP.equal(whole.targets_NMP[:, ::2])
    assert not torch.allclose(half.pixels_NMP, whole.pixels_NMP[:, ::2])


def test_patches_come_together_again() -> None:
    images = torch.rand(2, 3, 4, 32, 48)
    patches = to_patches(images, frames=2, side=16)
    assert patches.shape == (2, 2 * 2 * 3, 2 * 16 * 16, 3)
    whole = from_patches(patches.flatten(2), frames=2, side=16, grid_hw=(2, 3))
    assert whole.equal(images)


def test_targets_have_no_mean_and_a_deviation_of_one_unless_a_patch_is_plain() -> None:
    patches = torch.rand(1, 2, 512, 3)
    patches[:, 1] = 0.5 + 1e-3 * patches[:, 1]
    targets = Targets(True, 1e-6, None).of(patches).unflatten(2, (512, 3))
    assert targets.mean(dim=2).abs().max() < 1e-4
    assert targets.std(dim=2).sub(1).abs().max() < 5e-3
    quiet = Targets(True, 0.05, None).of(patches).unflatten(2, (512, 3))
    assert quiet[:, 1].abs().max() < 0.02
    assert quiet[:, 0].std() > 0.8


@pytest.mark.parametrize(
    "targets", [Targets(True, 1e-6, None), Targets(False, 1e-6, None), Targets(False, 1e-6, 0.05)]
)
def test_painted_targets_are_the_colours_again(targets: Targets) -> None:
    patches = torch.rand(2, 3, 512, 3)
    torch.testing.assert_close(targets.colours(targets.of(patches), like_NSP3=patches), patches)


def test_without_normalised_targets_colours_are_to_paint_or_their_share_of_a_deviation() -> None:
    patches = torch.rand(1, 2, 512, 3)
    assert Targets(False, 1e-6, None).of(patches).equal(patches.flatten(2))
    scaled = Targets(False, 1e-6, 0.25).of(patches)
    torch.testing.assert_close(scaled, 4 * (patches.flatten(2) - 0.5))
