"""Decoders in three namings, read and written."""

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mmad.errors import CheckpointError
from mmad.models.pretraining.network import MaskedAutoencoder
from mmad.weights.decoder import (
    decoder_names,
    fill_decoder,
    official_names,
    write_official,
    write_pretraining,
)
from mmad.weights.files import read_weights
from mmad.weights.load import fill_backbone
from support.pretraining import perturbed_autoencoder


def mmselfsup(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The names that projects/videomae of mmselfsup gives official files."""
    rules = (
        (r"^encoder\.", "backbone."),
        (r"^decoder\.", "neck."),
        (r"^encoder_to_decoder\.", "neck.decoder_embed_layer."),
        (r"^mask_token$", "neck.mask_token"),
        (r"patch_embed\.proj\.", "patch_embed.projection."),
        (r"mlp\.fc1\.", "mlp.layers.0.0."),
        (r"mlp\.fc2\.", "mlp.layers.1."),
    )
    named = {}
    for name, value in tensors.items():
        for old, new in rules:
            name = re.sub(old, new, name)
        named[name] = value
    return named | {"neck.decoder_pos_embed": torch.zeros(1, 16, 8)}


def write(naming: str, model: MaskedAutoencoder, folder: Path) -> Path:
    if naming == "hugging face":
        write_pretraining(folder, model)
        return folder
    path = folder / "checkpoint.pth"
    if naming == "official":
        write_official(path, model)
    else:
        torch.save({"state_dict": mmselfsup(official_names(model))}, path)
    return path


@pytest.mark.parametrize("naming", ["official", "hugging face", "mmaction"])
def test_every_naming_gives_the_same_network(naming: str, tmp_path: Path) -> None:
    source, target = perturbed_autoencoder(1), perturbed_autoencoder(2)
    file = read_weights(write(naming, source, tmp_path))
    fill_backbone(target.features.backbone, file)
    report = fill_decoder(target.decoder, file)
    assert report is not None
    assert report.naming == naming
    assert not report.missing
    assert not report.unexpected
    for name, value in source.state_dict().items():
        assert target.state_dict()[name].equal(value), name


def test_weights_without_a_decoder_leave_it_as_it_is() -> None:
    model = perturbed_autoencoder()
    encoder = model.features.backbone.state_dict()
    assert decoder_names({f"encoder.{name}": value for name, value in encoder.items()}) is None


def test_a_decoder_of_another_width_is_named(tmp_path: Path) -> None:
    file = read_weights(write("official", perturbed_autoencoder(), tmp_path))
    wider = perturbed_autoencoder(decoder__width=12)
    with pytest.raises(CheckpointError, match=r"width 8 and 1 blocks.*decoder\.width=8"):
        fill_decoder(wider.decoder, file)


def test_a_bias_of_mmselfsup_needs_its_setting(tmp_path: Path) -> None:
    source = perturbed_autoencoder(1, decoder__embed_bias=True)
    torch.save(mmselfsup(official_names(source)), tmp_path / "w.pth")
    file = read_weights(tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=r"decoder\.embed_bias=true"):
        fill_decoder(perturbed_autoencoder().decoder, file)
    target = perturbed_autoencoder(2, decoder__embed_bias=True)
    fill_decoder(target.decoder, file)
    assert target.decoder.embed.bias.equal(source.decoder.embed.bias)


def test_transformers_has_no_learned_positions_of_decoders(tmp_path: Path) -> None:
    model = perturbed_autoencoder(decoder__learned_positions=True)
    with pytest.raises(CheckpointError, match="no learned positions; pass --naming official"):
        write_pretraining(tmp_path, model)
