"""The weights that a backbone starts from: of a file, a hub, or a run."""

from collections.abc import Collection
from pathlib import Path
from typing import Literal

from torch import Tensor

from mmad.checkpoint import hash_state
from mmad.config.run import AnyConfig, load_any_config
from mmad.engine.runs.folder import RunFolder, run_weights
from mmad.models.backbones.videomae.network import VideoMAE
from mmad.weights.files import WeightFile
from mmad.weights.load import LoadReport, fill_backbone, load_backbone, weight_names

BACKBONE = "features.backbone."


def settle_norm(config: AnyConfig, *, started: RunFolder | None = None) -> AnyConfig:
    """The settings with ``backbone.final_norm: auto`` as the pretrained weights have it.

    Args:
        config: the settings.
        started: run that is resumed; it has settled this.

    Raises: CheckpointError if the weights cannot be read.
    """
    settings = config.backbone
    if settings is None or settings.final_norm != "auto":
        return config
    found: bool | Literal["pooled"] = True
    if started is not None and started.config.is_file():
        stored = load_any_config(started.config).backbone
        found = stored.final_norm if stored is not None else True  # type: ignore[assignment]
    elif settings.pretrained is not None:
        run = RunFolder(Path(settings.pretrained))
        if run.config.is_file():
            names: Collection[str] = backbone_weights(run)
        else:
            names = weight_names(settings.pretrained)
        if "norm.weight" not in names:
            found = "pooled" if "fc_norm.weight" in names else False
    backbone = settings.model_copy(update={"final_norm": found})
    return config.model_copy(update={"backbone": backbone})


def load_pretrained(backbone: VideoMAE, config: AnyConfig) -> LoadReport:
    """Fill the backbone with ``backbone.pretrained``: a file, a hub id, or a run of any task, whose
    adapters come along.

    Raises: CheckpointError if the weights cannot be read or do not fit.
    """
    settings = config.backbone
    assert settings is not None
    assert settings.pretrained is not None
    run = RunFolder(Path(settings.pretrained))
    if not run.config.is_file():
        return load_backbone(backbone, settings.pretrained, allow=settings.pretrained_allow)
    weights = backbone_weights(run)
    file = WeightFile(
        source=str(run.path), container="run", tensors=weights, sha256=hash_state(weights)
    )
    return fill_backbone(backbone, file, allow=settings.pretrained_allow)


def backbone_weights(run: RunFolder) -> dict[str, Tensor]:
    """The weights of the backbone of a run, adapters included; empty if it has none.

    Raises: CheckpointError as `run_weights`.
    """
    return {
        name.removeprefix(BACKBONE): value
        for name, value in run_weights(run).items()
        if name.startswith(BACKBONE)
    }
