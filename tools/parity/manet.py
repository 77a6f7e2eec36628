"""MANet of its released code: gates and shifts in a 2D ResNet, and its two heads."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from mmad.config.backbones.resnet2d import ResNet2dSettings
from mmad.config.base import changed
from mmad.models.recognisers.contract import RecognitionTargets
from mmad.models.recognisers.manet.criterion import MANetCriterion
from mmad.models.recognisers.manet.network import MANetHeads, MANetOutputs
from parity import resnet2d
from parity.common import Check, Checks, largest
from parity.networks import (
    FEATURES,
    HEAD_IDLE,
    HEAD_KNOWN,
    LOGITS,
    LOSS,
    Network,
    Recogniser,
    check_evaluation,
    check_options,
    check_training,
)

# Of the released code: the weight of the mean square.
_ALPHA = 50.0
_LAYERS = {"fc_cls": "fine", "fc_emb": "mapping.0", "fc_emb_t": "mapping.2"}


def settings(data: Mapping[str, Any]) -> ResNet2dSettings:
    """MANet's ResNetTSM as our settings; its gates are not in the config."""
    down = data["state_dict"]["backbone.layer1.0.conv1.conv.fcce.0.weight"]
    return changed(resnet2d.settings(data), squeeze=down.shape[1] // down.shape[0])


@dataclass(frozen=True)
class MANetRecogniser(Recogniser):
    """A recogniser with both heads.

    Attributes:
        heads: Both heads.
        data: Content of the file.
        last: Outputs of the last call of `logits`.
    """

    heads: MANetHeads
    data: Mapping[str, Any]
    last: dict[str, MANetOutputs] = field(default_factory=dict)

    def logits(self, features: Tensor) -> Tensor:
        tokens = self.network.tokens(features)
        steps, clips = self.backbone.pool_steps(tokens), self.backbone.pool_clips(tokens)
        self.last["outputs"] = self.heads(steps, clips)
        return self.last["outputs"].fine

    def losses(self, labels_N: Tensor) -> Mapping[str, Tensor]:
        """Means over the clips of the last outputs."""
        vectors = self.data["label_embeddings"]
        criterion = MANetCriterion(
            classification=lambda outputs, targets: {
                "loss": Recogniser.loss(self, outputs.fine, labels_N) * len(labels_N)
            },
            label_vectors_KE=vectors,
            alpha=_ALPHA,
            distance="mean",
        )
        actions = torch.eye(len(vectors))[labels_N]
        targets = RecognitionTargets(actions, actions)
        losses = criterion(self.last["outputs"], targets)
        return {name: value / len(labels_N) for name, value in losses.items()}

    def loss(self, logits_NK: Tensor, labels_N: Tensor) -> Tensor:
        return self.losses(labels_N)["loss"]


def read_manet(network: Network, data: Mapping[str, Any]) -> MANetRecogniser:
    """The network of a file."""
    plain = Recogniser.read(network, data)
    weights = {name: value.float() for name, value in data["state_dict"].items()}
    num_classes = len(weights["cls_head.fc_cls.bias"])
    heads = MANetHeads(
        plain.backbone.spec.channels,
        num_classes,
        embedding_width=len(weights["cls_head.fc_emb_t.bias"]),
        dropout=0.0,
        maps_steps=True,
    )
    names = {
        f"cls_head.{theirs}.{part}": f"{ours}.{part}"
        for theirs, ours in _LAYERS.items()
        for part in ("weight", "bias")
    }
    heads.load_state_dict({ours: weights[theirs] for theirs, ours in names.items()})
    own = dict(heads.named_parameters())
    ours = {**plain.ours, **{theirs: own[name] for theirs, name in names.items()}}
    parts = {f: getattr(plain, f) for f in ("backbone", "head", "config", "report", "num_tensors")}
    return MANetRecogniser(network=network, ours=ours, heads=heads, data=data, **parts)


def check_manet(data: Mapping[str, Any]) -> Checks:
    """The checks of a file's content."""
    network = replace(resnet2d.network_of(data), settings=settings, maps=maps)
    fixed = network.head_fixed
    check_options("head", data["config"]["cls_head"], HEAD_KNOWN, fixed, HEAD_IDLE)
    model = read_manet(network, data)
    yield from model.audit()
    num_items = len(data["frames"])
    scores = data["scores_none"]
    data = {
        **data,
        "scores_none": scores if scores.ndim == 3 else scores.unflatten(0, (num_items, -1)),
        "train_loss": {"loss_cls": data["train_loss_total"]},
    }
    model.backbone.eval()
    with torch.no_grad():
        yield from check_evaluation(model, data)
    embedding = model.last["outputs"].embedding_NE
    yield Check("embedding", largest(embedding, data["embedding"]), LOGITS)
    pooled = model.last["outputs"].pooled
    gap = largest(pooled, data["spatial_pool_mean_feature"], relative=True)
    yield Check("mean of pooled features, of its maximum", gap, FEATURES)
    model.backbone.train()
    yield from check_training(model, data)
    outputs = model.last["outputs"]
    gap = largest(outputs.embedding_NE, data["train_embedding"])
    yield Check("training: embedding", gap, LOGITS)
    losses = model.losses(data["train_labels"])
    apart = losses["loss_embedding"]
    for name, found in (("mse", apart), ("cls", losses["loss"] - _ALPHA * apart)):
        gap = largest(found, data[f"train_loss_{name}"], relative=True)
        yield Check(f"training: loss, {name}, relative", gap, LOSS)


def maps(backbone: Any, images_NCFHW: Tensor) -> dict[str, Tensor]:
    """Outputs by the names of their modules, with the weights of the gates."""
    with resnet2d.gates_of(backbone) as gates:
        found = resnet2d.maps(backbone, images_NCFHW)
    return {**{name: value.sigmoid() for name, value in gates.items()}, **found}
