"""Manifest of stored features: how they were made, and which of it must agree between two files."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator

from mmad.config.backbones.union import BackboneSettings
from mmad.config.base import PositiveCount, Settings
from mmad.config.data import ImageSettings
from mmad.config.features import ExtractionSettings, StoredGrid
from mmad.errors import FeatureError


class FeatureManifest(Settings):
    """How features were made.

    Two files are interchangeable if all but `weights_source` and `versions` are equal.
    """

    format: Literal["mmad-features"] = "mmad-features"
    version: Literal[1] = 1
    grid: StoredGrid | None = Field(description="grid of all videos; null: each has its own")
    step_shape: list[PositiveCount] = Field(
        min_length=1,
        max_length=8,
        description="[channels], or [rows, columns, channels] of a spatial grid",
    )
    extraction: ExtractionSettings | None = Field(
        None, description="how it was made; null: by other software"
    )
    backbone: BackboneSettings | None = Field(None, description="video network; null: not known")
    weights_sha256: str | None = Field(
        None, description="hash of names, types, shapes and values of all weights of the backbone"
    )
    base_sha256: str | None = Field(None, description="the same without adapters")
    weights_source: str | None = Field(None, description="origin of the weights; null: random ones")
    weights_seed: int | None = Field(
        None, description="seed of what the weights lack, such as new adapters"
    )
    pictures: ImageSettings | None = Field(None, description="how frames became images")
    sampling: dict[str, Any] = Field({}, description="which frames were used")
    precision: str | None = Field(None, description="numerical precision")
    versions: dict[str, str] = Field({}, description="versions of the software")

    @field_validator("weights_source")
    @classmethod
    def _random_weights(cls, source: str | None) -> str | None:
        return None if source == "None" else source  # how the first files wrote it

    @property
    def channels(self) -> int:
        """Numbers of a step; the cells of a spatial grid are concatenated."""
        count = 1
        for size in self.step_shape:
            count *= size
        return count

    @property
    def frames_per_step(self) -> int | None:
        """Frames that a step of dense features stands for; None for other features."""
        return self.backbone.frames_per_step if self.is_dense and self.backbone else None

    @property
    def is_dense(self) -> bool:
        """Whether the steps are those of the backbone, as in the end-to-end detector."""
        return self.extraction is not None and self.extraction.mode == "dense"

    @property
    def is_end_to_end(self) -> bool:
        """Whether the features equal those inside an end-to-end detector with that backbone."""
        kept = self.extraction
        return (
            kept is not None
            and self.is_dense
            and kept.spatial == "pooled"
            and kept.before_block is None
        )

    def to_json(self) -> str:
        """JSON text that `read_manifest` reads back to an equal value."""
        return self.model_dump_json(indent=1)

    def differences(self, other: "FeatureManifest", *, in_rate: bool = True) -> list[str]:
        """Differences between two manifests; empty if features of both may be mixed.

        Args:
            other: The other manifest.
            in_rate: Whether to compare the rates that videos were resampled to; those of single
                videos are compared by `mmad.engine.detection.require_rate`.
        """
        ours, theirs = _compared(self), _compared(other)
        ignored = _ONLY_TOLD if in_rate else (*_ONLY_TOLD, *_RATES)
        return [
            f"{key}: {_short(ours.get(key))} and {_short(theirs.get(key))}"
            for key in sorted({*ours, *theirs}, key=lambda key: (key != "weights_sha256", key))
            if ours.get(key) != theirs.get(key) and not key.startswith(ignored)
        ]

    def fingerprint(self) -> str:
        """Hash of what `differences` compares."""
        content = _compared(self)
        kept = {key: value for key, value in content.items() if not key.startswith(_ONLY_TOLD)}
        text = json.dumps(kept, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()


# What features do not depend on (or, for readers and their processes, should not).
_ONLY_TOLD = (
    *("weights_source", "weights_seed", "versions", "pictures.num_workers", "pictures.cache_gb"),
    *("pictures.augment", "backbone.pretrained", "backbone.drop_path", "backbone.freeze"),
    *("backbone.activation_checkpointing", "backbone.recompute", "pictures.max_missing"),
)
_RATES = ("extraction.fps", "grid.fps", "sampling.fps_tolerance")


def _compared(manifest: FeatureManifest) -> dict[str, Any]:
    # The cells of a grid are read concatenated, whether they are stored so or not.
    content = manifest.model_dump(mode="json", exclude={"step_shape"})
    return _flat({**content, "channels": manifest.channels})


def _flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 24 else f"{text[:12]}..."


def read_manifest(text: str, *, source: str) -> FeatureManifest:
    """The manifest in ``text``.

    Raises: FeatureError if it is not valid, or of another version.
    """
    try:
        return FeatureManifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        raise FeatureError(
            f"{source}: its manifest cannot be read ({place}: {first['msg']}); it is of another "
            "version of mmad: extract the features again"
        ) from None
