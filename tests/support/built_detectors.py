"""Criteria and decoders as their families build them, at default settings but for given changes."""

from typing import Any

from mmad.config.detectors.union import settings_of_detector
from mmad.config.inference import InferenceSettings
from mmad.models.detectors.families import build_criterion, build_decoder


def criterion_of(name: str, *, num_classes: int = 3, **changes: object) -> Any:
    """The criterion of the detector of this name; ``changes`` are of its settings."""
    settings = settings_of_detector({"name": name})(**changes)
    return build_criterion(settings, num_classes=num_classes)


def decoder_of(name: str, **changes: object) -> Any:
    """Its decoder; ``changes`` are of its settings or of those of inference."""
    family = settings_of_detector({"name": name})
    own = {key: value for key, value in changes.items() if key in family.model_fields}
    inference = {key: value for key, value in changes.items() if key not in own}
    return build_decoder(family(**own), InferenceSettings(**inference))
