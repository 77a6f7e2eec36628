import argparse
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from typer.testing import CliRunner

from mmad.cli.main import app
from mmad.config.recognition import RecognitionConfig
from mmad.engine.runs.pretrained import settle_backbone
from mmad.errors import CheckpointError
from mmad.models.backbones.plain_vit import PlainViT
from mmad.models.backbones.videomae.hugging_face import hugging_face_names
from mmad.weights.export import write_hugging_face
from mmad.weights.files import read_weights
from mmad.weights.load import load_backbone
from support.backbones import TINY, official, perturbed_backbone
from support.detector_checkpoints import actionformer_checkpoint, mmaction


def features(model: PlainViT) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    clips = torch.randn(2, 3, 16, 32, 32, generator=generator)
    with torch.no_grad():
        return model.pool_steps(model(clips, torch.arange(2)))


def hugging_face(model: PlainViT, *, prefix: str, old: bool) -> dict[str, Tensor]:
    names = hugging_face_names(model.state_dict())
    if not old:
        names = {
            name.replace("q_bias", "query.bias").replace("v_bias", "value.bias"): value
            for name, value in names.items()
        }
    return {prefix + name: value for name, value in names.items()}


FILES = {
    "official, fine-tuned": lambda m: {"model": official(m) | {"head.weight": torch.zeros(3, 16)}},
    "official, pre-trained": lambda m: {
        "model": {f"encoder.{name}": value for name, value in official(m).items()}
        | {"encoder.norm.weight": torch.ones(16), "decoder.head.bias": torch.zeros(2)}
        | {"mask_token": torch.zeros(1), "encoder_to_decoder.weight": torch.zeros(2, 2)},
        "args": argparse.Namespace(lr=1e-3),
        "epoch": 800,
    },
    "VideoMAEv2": lambda m: {"module": official(m) | {"fc_norm.weight": torch.ones(16)}},
    "mmaction": lambda m: {
        "meta": {"score": np.float64(0.5)},
        "state_dict": mmaction(official(m))
        | {"cls_head.fc_cls.bias": torch.zeros(3), "ema_backbone_norm_bias": torch.zeros(16)},
    },
    "OpenTAD, of several GPUs": lambda m: {
        "state_dict": {
            f"module.{name}": value
            for name, value in mmaction(official(m), prefix="backbone.model.backbone.").items()
        }
    },
    "hugging face 4": lambda m: hugging_face(m, prefix="videomae.", old=True),
    "hugging face 5": lambda m: hugging_face(m, prefix="", old=False),
}


@pytest.mark.parametrize("kind", FILES)
def test_every_naming_gives_identical_features(kind: str, tmp_path: Path) -> None:
    source = perturbed_backbone(seed=1)
    torch.save(FILES[kind](source), tmp_path / "w.pth")
    target = perturbed_backbone(seed=2)
    report = load_backbone(target, str(tmp_path / "w.pth"))
    assert not report.missing
    assert not report.unexpected
    assert len(report.matched) + len(report.renamed) == len(source.state_dict())
    assert features(target).equal(features(source))


@pytest.mark.slow
def test_the_hugging_face_model_agrees(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    source = perturbed_backbone(seed=1)
    write_hugging_face(tmp_path / "export", source)
    theirs = transformers.VideoMAEModel.from_pretrained(tmp_path / "export").eval()
    clips = torch.randn(2, 16, 3, 32, 32)
    with torch.no_grad():
        tokens = theirs(clips).last_hidden_state
        ours = source(clips.transpose(1, 2), torch.arange(2)).tokens_NTSC
    torch.testing.assert_close(ours.flatten(1, 2), tokens, atol=1e-4, rtol=1e-4)
    theirs.save_pretrained(tmp_path / "again")
    target = perturbed_backbone(seed=2)
    load_backbone(target, str(tmp_path / "again"))
    assert features(target).equal(features(source))


def test_a_fine_tuned_classifier_of_hugging_face_agrees(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.VideoMAEConfig(
        image_size=32,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        use_mean_pooling=True,
        num_labels=5,
        layer_norm_eps=1e-6,
    )
    theirs = transformers.VideoMAEForVideoClassification(config).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    theirs.save_pretrained(tmp_path)
    ours = perturbed_backbone(final_norm="pooled")
    report = load_backbone(ours, str(tmp_path))
    assert not report.missing
    assert not any(name.startswith("fc_norm") for name in report.ignored)
    clips = torch.randn(3, 16, 3, 32, 32)
    with torch.no_grad():
        tokens = ours(clips.transpose(1, 2), torch.arange(3))
        logits = theirs.classifier(ours.pool_clips(tokens))
        torch.testing.assert_close(logits, theirs(clips).logits, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("extra", "settled"), [("fc_norm", "pooled"), ("norm", True), ("head", False)]
)
def test_the_last_norm_is_that_of_the_weights(extra: str, settled: object, tmp_path: Path) -> None:
    source = perturbed_backbone(seed=1)
    torch.save(official(source) | {f"{extra}.weight": torch.ones(16)}, tmp_path / "w.pth")
    settings = {"size": TINY, "position_image_size": 32, "pretrained": str(tmp_path / "w.pth")}
    config = RecognitionConfig(
        data={"train": ["x"], "clips": "y"},
        backbone={**settings, "final_norm": "auto"},
        training={"epochs": 1},
    )
    settled_config = settle_backbone(config)
    assert settled_config.backbone is not None
    assert settled_config.backbone.final_norm == settled


def test_fine_tuned_weights_say_which_norm_they_have(tmp_path: Path) -> None:
    source = perturbed_backbone(seed=1, final_norm="pooled")
    torch.save(official(source), tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=r"fine-tuned weights.*backbone\.final_norm=pooled"):
        load_backbone(perturbed_backbone(seed=2, final_norm=True), str(tmp_path / "w.pth"))
    target = perturbed_backbone(seed=2, final_norm="pooled")
    load_backbone(target, str(tmp_path / "w.pth"))
    assert features(target).equal(features(source))


def test_a_model_in_parts_is_read_whole(tmp_path: Path) -> None:
    source = perturbed_backbone(seed=1)
    names = hugging_face(source, prefix="", old=True)
    first, second = dict(list(names.items())[:9]), dict(list(names.items())[9:])
    where = {}
    for number, part in enumerate((first, second), start=1):
        file = f"model-{number}-of-2.safetensors"
        save_file({name: value.contiguous() for name, value in part.items()}, tmp_path / file)
        where |= dict.fromkeys(part, file)
    index = json.dumps({"weight_map": where})
    (tmp_path / "model.safetensors.index.json").write_text(index)
    target = perturbed_backbone(seed=2)
    load_backbone(target, str(tmp_path))
    assert features(target).equal(features(source))
    (tmp_path / "model-2-of-2.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"model-2-of-2\.safetensors is missing"):
        load_backbone(target, str(tmp_path))


def test_adapters_come_along(tmp_path: Path) -> None:
    source = perturbed_backbone(seed=1, adapter={"name": "tia"})
    torch.save({"state_dict": mmaction(official(source))}, tmp_path / "w.pth")
    target = perturbed_backbone(seed=2, adapter={"name": "tia"})
    load_backbone(target, str(tmp_path / "w.pth"))
    assert features(target).equal(features(source))


def test_averaged_weights_are_taken_unless_asked_otherwise(tmp_path: Path) -> None:
    current, averaged = perturbed_backbone(seed=1), perturbed_backbone(seed=2)
    content = {"state_dict": official(current), "state_dict_ema": official(averaged)}
    torch.save(content, tmp_path / "w.pth")
    target = perturbed_backbone(seed=3)
    assert load_backbone(target, str(tmp_path / "w.pth")).container == "state_dict_ema"
    assert features(target).equal(features(averaged))
    load_backbone(target, str(tmp_path / "w.pth"), averaged=False)
    assert features(target).equal(features(current))


def test_a_learned_position_table_is_brought_to_size(tmp_path: Path) -> None:
    source = perturbed_backbone(seed=1, learned_positions=True)
    torch.save(official(source), tmp_path / "w.pth")
    larger = perturbed_backbone(seed=2, learned_positions=True, position_image_size=64)
    report = load_backbone(larger, str(tmp_path / "w.pth"))
    assert report.reshaped == (("pos_embed", "from 2 x 2 to 4 x 4 patches, bicubic"),)
    # At its own size it gives what interpolation at run time gives.
    torch.testing.assert_close(larger.pos_embed, source.positions((4, 4)))
    with pytest.raises(CheckpointError, match=r"backbone\.learned_positions=true"):
        load_backbone(perturbed_backbone(seed=2), str(tmp_path / "w.pth"))


def test_missing_weights_name_the_ways_to_get_them() -> None:
    with pytest.raises(CheckpointError, match="get them from their authors"):
        load_backbone(perturbed_backbone(), "nowhere.pth")


def test_an_actionformer_is_converted(tmp_path: Path) -> None:
    checkpoint = actionformer_checkpoint()
    theirs = checkpoint["state_dict_ema"]
    file, out = tmp_path / "epoch_034.pth.tar", tmp_path / "actionformer.safetensors"
    torch.save(checkpoint, file)
    result = CliRunner().invoke(app, ["weights", "convert", str(file), str(out)])
    assert result.exit_code == 0, result.output
    ours = read_weights(out).tensors
    assert ours["pyramid.embed.0.conv.conv.weight"].equal(
        theirs["module.backbone.embd.0.conv.weight"]
    )
    assert ours["classification.convs.0.norm.bias"].shape == (8,)
    result = CliRunner().invoke(app, ["weights", "inspect", str(out)])
    assert "temporal detector in our own naming, 7 classes" in result.output
