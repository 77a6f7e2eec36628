"""MANet's heads and losses, from settings."""

import logging
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mmad.annotations.word_vectors import label_vectors, words_of
from mmad.config.recognisers.manet import MANetSettings
from mmad.config.recognition import RecognitionConfig
from mmad.labels import LabelMap
from mmad.models.backbones.contract import BackboneSpec
from mmad.models.recognisers.auxiliary_heads.build import FAMILY as AUXILIARY_HEADS
from mmad.models.recognisers.contract import RecogniserFamily
from mmad.models.recognisers.manet.criterion import MANetCriterion
from mmad.models.recognisers.manet.network import MANetHeads, letter_vectors, random_vectors

_log = logging.getLogger(__name__)


def _settings(config: RecognitionConfig) -> MANetSettings:
    assert isinstance(config.heads, MANetSettings)
    return config.heads


def _heads(config: RecognitionConfig, spec: BackboneSpec, labels: LabelMap) -> MANetHeads:
    settings = _settings(config)
    return MANetHeads(
        spec.channels,
        len(labels),
        embedding_width=None if settings.embedding == "none" else settings.embedding_width,
        dropout=settings.dropout,
        maps_steps=settings.maps == "frames",
    )


def _criterion(
    config: RecognitionConfig,
    labels: LabelMap,
    counts: Sequence[int],
    gather: Callable[[Tensor], Tensor],
) -> MANetCriterion:
    settings = _settings(config)
    return MANetCriterion(
        classification=AUXILIARY_HEADS.criterion(config, labels, counts, gather),
        label_vectors_KE=_vectors(settings, labels, seed=config.seed),
        alpha=settings.alpha,
        distance=settings.distance,
    )


def _vectors(settings: MANetSettings, labels: LabelMap, *, seed: int) -> Tensor | None:
    """The vectors of the labels; those that are not from a file are warned of."""
    width = settings.embedding_width
    if settings.embedding == "none":
        return None
    if settings.embedding == "file":
        assert settings.word_vectors is not None
        found = label_vectors(settings.word_vectors, labels.names, width=width)
        if found.missing:
            _log.warning(
                "%s: lacks these words of labels: %s",
                *(settings.word_vectors, ", ".join(found.missing)),
            )
        return torch.from_numpy(found.vectors_KE)
    _log.warning("%s; set heads.embedding=file and heads.word_vectors", settings.trial)
    if settings.embedding == "random":
        return random_vectors(len(labels), width=width, seed=seed)
    return letter_vectors([words_of(name) for name in labels.names], width=width)


FAMILY = RecogniserFamily(_heads, _criterion)
