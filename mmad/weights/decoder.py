"""Decoders of masked pre-training, read and written under the names of other projects.

Sources: the state dicts of MCG-NJU/VideoMAE and OpenGVLab/VideoMAEv2 (whose names ours are), of
transformers' VideoMAEForPreTraining, and of mmselfsup's projects/videomae.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mmad.checkpoint import load_exactly, save_tensors
from mmad.errors import CheckpointError
from mmad.files import replaced, write_text
from mmad.models.backbones.contract import BackboneFamily
from mmad.models.backbones.families import BACKBONES
from mmad.models.backbones.naming import (
    Renamed,
    Rules,
    WeightNaming,
    rename,
    rename_tensors,
)
from mmad.models.pretraining.decoder import PixelDecoder
from mmad.models.pretraining.network import MaskedAutoencoder
from mmad.weights.files import WeightFile
from mmad.weights.load import LoadReport, report_of, require_complete

_FAMILY = BACKBONES["videomae"]
_OF_ALL: Rules = ((r"^encoder_to_decoder\.", "embed."), (r"^decoder\.(norm|head)\.", r"\1."))


@dataclass(frozen=True)
class _DecoderNaming:
    """One project's names of a decoder, whose blocks have the names that it gives an encoder's.

    Attributes:
        naming: Its naming of encoders.
        mark: Pattern of a name that identifies its files.
        mine: Pattern of the names that are a decoder's.
        rules: From these to names of an encoder, which that naming knows.
    """

    naming: WeightNaming
    mark: str
    mine: str
    rules: Rules


def _naming(name: str) -> WeightNaming:
    return next(one for one in _FAMILY.namings if one.name == name)


_WHOLE = r"^(decoder\.|encoder_to_decoder\.|mask_token$)"
_NAMINGS: Sequence[_DecoderNaming] = (
    _DecoderNaming(
        WeightNaming("our own", ""),
        r"^decoder\.embed\.weight$",
        r"^decoder\.",
        ((r"^decoder\.", ""),),
    ),
    _DecoderNaming(
        _naming("hugging face"),
        r"^decoder\.decoder_layers\.",
        _WHOLE,
        ((r"^decoder\.decoder_layers\.", "encoder.layer."), *_OF_ALL),
    ),
    _DecoderNaming(
        _naming("official"),
        r"^decoder\.blocks\.",
        _WHOLE,
        ((r"^decoder\.blocks\.", "blocks."), *_OF_ALL),
    ),
    _DecoderNaming(
        _naming("mmaction"),
        r"^neck\.decoder_embed_layer\.",
        r"^neck\.",
        ((r"^neck\.decoder_embed_layer\.", "embed."), (r"^neck\.", "")),
    ),
)
# A fixed table that mmselfsup keeps in its files.
_FIXED = "decoder_pos_embed"
# Channels of an attention head in every decoder of VideoMAE; weights do not tell.
_HEAD_CHANNELS = 64


def decoder_names(tensors: Mapping[str, Tensor]) -> Renamed | None:
    """The decoder in a file, under our names; None if it has none in a known naming."""
    for one in _NAMINGS:
        if not any(re.search(one.mark, name) for name in tensors):
            continue
        mine = {rename(n, one.rules): n for n in tensors if re.search(one.mine, n)}
        mine.pop(_FIXED, None)
        renamed = rename_tensors({ours: tensors[old] for ours, old in mine.items()}, one.naming)
        origins = {ours: tuple(mine[name] for name in old) for ours, old in renamed.origins.items()}
        return Renamed(one.naming.name, renamed.tensors, origins)
    return None


def fill_decoder(decoder: PixelDecoder, file: WeightFile) -> LoadReport | None:
    """Load the decoder of a file, if it has one; None if not, and the decoder stays as it is.

    Raises: CheckpointError if it has other dimensions.
    """
    found = decoder_names(file.tensors)
    if found is None:
        return None
    width = found.tensors.get("embed.weight")
    blocks = {name.split(".")[1] for name in found.tensors if name.startswith("blocks.")}
    size = decoder.size
    if width is not None and (len(width), len(blocks)) != (size.width, size.depth):
        raise CheckpointError(
            f"{file.source}: its decoder has width {len(width)} and {len(blocks)} blocks, that of "
            f"the settings width {size.width} and {size.depth}; set decoder.width={len(width)}, "
            f"decoder.depth={len(blocks)} and decoder.num_heads as it was trained (VideoMAE: "
            f"{max(1, len(width) // _HEAD_CHANNELS)}), or decoder.start=fresh to begin with a new "
            "one"
        )
    own = decoder.state_dict()
    if "embed.bias" in found.tensors and "embed.bias" not in own:
        raise CheckpointError(
            f"{file.source}: the projection into its decoder has a bias; set "
            "decoder.embed_bias=true, or decoder.start=fresh"
        )
    report = report_of(file, found, list(own))
    require_complete(report)
    chosen = {name: found.tensors[name] for name in own}
    load_exactly(decoder, chosen, source=file.source, release=file.release)
    return report


def official_names(model: MaskedAutoencoder) -> dict[str, Tensor]:
    """The whole network under the names of VideoMAE's own code."""
    encoder = model.features.backbone.state_dict()
    decoder = model.decoder.state_dict()
    names = {f"encoder.{name}": value for name, value in encoder.items()}
    names |= {_official_name(name): value for name, value in decoder.items()}
    return names


def _official_name(name: str) -> str:
    if name.startswith("embed."):
        return name.replace("embed.", "encoder_to_decoder.")
    return name if name == "mask_token" else f"decoder.{name}"


def write_official(path: str | Path, model: MaskedAutoencoder) -> None:
    """Write the file of a pre-training for VideoMAE's own code, which reads pickles.

    Raises: OutputError if it cannot be written.
    """
    tensors = {name: value.cpu() for name, value in official_names(model).items()}
    with replaced(path) as partial:
        torch.save({"model": tensors}, partial)


def write_pretraining(folder: str | Path, model: MaskedAutoencoder) -> None:
    """Write ``config.json`` and ``model.safetensors`` of transformers' model for pre-training.

    Raises: CheckpointError if that has no such encoder or decoder.
    """
    folder, decoder = Path(folder), model.decoder
    if "pos_embed" in decoder.state_dict() or "embed.bias" in decoder.state_dict():
        what = "learned positions" if "pos_embed" in decoder.state_dict() else "embed_bias"
        raise CheckpointError(
            f"transformers' decoder has no {what}; pass --naming official, or start from the run "
            "itself with backbone.pretrained=RUN"
        )
    family = model.features.backbone.family
    if family.to_hugging_face is None or family.other_names is None:
        raise CheckpointError(f"transformers has no {family.title} to export this run to")
    config, tensors = family.to_hugging_face(model.features.backbone)
    size = decoder.size
    config |= {
        "architectures": ["VideoMAEForPreTraining"],
        "decoder_hidden_size": size.width,
        "decoder_num_hidden_layers": size.depth,
        "decoder_num_attention_heads": size.num_heads,
        "decoder_intermediate_size": size.hidden,
        "norm_pix_loss": model.targets.normalised,
    }
    named = {f"videomae.{name}": value for name, value in tensors.items()}
    for name, value in _split_blocks(decoder, family).items():
        named[name] = value
    save_tensors(folder / "model.safetensors", named)
    write_text(folder / "config.json", json.dumps(config, indent=2) + "\n")


def _split_blocks(decoder: PixelDecoder, family: BackboneFamily) -> dict[str, Tensor]:
    """The tensors of a decoder under the names of transformers."""
    assert family.other_names is not None
    tensors = decoder.state_dict()
    blocks = {name: value for name, value in tensors.items() if name.startswith("blocks.")}
    named = {
        name.replace("encoder.layer.", "decoder.decoder_layers."): value
        for name, value in family.other_names(blocks).items()
    }
    rest = {name: value for name, value in tensors.items() if name not in blocks}
    return named | {_official_name(name): value for name, value in rest.items()}
