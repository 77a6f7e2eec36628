"""The weights that a backbone starts from: of a file, a hub, or a run."""

from pathlib import Path

from torch import Tensor

from mmad.checkpoint import hash_state
from mmad.config.run import AnyConfig
from mmad.engine.run_folder import RunFolder, run_weights
from mmad.models.videomae import VideoMAE
from mmad.weights.files import WeightFile
from mmad.weights.load import LoadReport, fill_backbone, load_backbone

BACKBONE = "features.backbone."


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
