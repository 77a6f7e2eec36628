"""Initial backbone weights from a file, the Hub or another run."""

from pathlib import Path

from torch import Tensor

from mmad.checkpoint import hash_state
from mmad.config.backbones.family import BackboneFamilySettings
from mmad.config.base import changed
from mmad.config.reading import load_any_config
from mmad.config.run import AnyRun
from mmad.engine.runs.folder import RunFolder
from mmad.engine.runs.hub import require_run
from mmad.engine.runs.load import run_weights
from mmad.errors import ConfigError
from mmad.models.backbones.contract import Backbone
from mmad.models.backbones.features import BACKBONE_PREFIX
from mmad.models.emotion.network import BRANCH_PREFIXES
from mmad.weights.files import WeightFile, read_weights
from mmad.weights.hub import source_of
from mmad.weights.load import LoadReport, fill_backbone, find_weights, load_backbone, weight_names


def settle_backbone(config: AnyRun, *, started: RunFolder | None = None) -> AnyRun:
    """The settings with every ``auto`` of the backbone resolved from the pretrained weights.

    Args:
        config: Run configuration.
        started: Run to resume, in which they are resolved already.

    Raises: CheckpointError if the weights cannot be read, ConfigError if what they have does not
        go with the other settings.
    """
    settings = config.backbone
    if settings is None or not settings.depends_on_weights:
        return config
    stored = None
    if started is not None and started.config.is_file():
        stored = load_any_config(started.config).backbone
    if stored is not None:
        settled = settings.settled_as(stored)
    elif settings.pretrained is None:
        settled = settings.settled(None)
    else:
        run = RunFolder(_found(settings.pretrained))
        is_run = run.config.is_file()
        settled = settings.settled(backbone_weights(run) if is_run else weight_names(str(run.path)))
    whole = changed(config, backbone=settled)
    before = set(config.problems())
    if problems := [problem for problem in whole.problems() if problem not in before]:
        raise ConfigError(f"{settings.pretrained}: {'; '.join(problems)}")
    return whole


def _found(name: str) -> Path:
    """The file or folder of weights, or the run folder, of that name; fetched from the Hub if it
    is there.
    """
    path = find_weights(name)
    if (path / "config.yaml").is_file() and source_of(path) is not None:
        require_run(path, name=name)
    return path


def load_pretrained(backbone: Backbone, settings: BackboneFamilySettings) -> LoadReport:
    """Load ``pretrained`` of the settings into the backbone: a file, a Hub id, or a run of any
    task, with its adapters.

    Raises: CheckpointError if the weights cannot be read or do not fit.
    """
    assert settings.pretrained is not None
    run = RunFolder(_found(settings.pretrained))
    if not run.config.is_file():
        return load_backbone(backbone, str(run.path), allow=settings.pretrained_allow)
    return fill_backbone(
        backbone, _as_file(run, backbone_weights(run)), allow=settings.pretrained_allow
    )


def pretrained_file(name: str) -> WeightFile:
    """Every tensor of ``pretrained``, a file, a Hub id or a run, under the names in it.

    Raises: CheckpointError if it cannot be read.
    """
    run = RunFolder(_found(name))
    if not run.config.is_file():
        return read_weights(run.path)
    return _as_file(run, run_weights(run))


def _as_file(run: RunFolder, weights: dict[str, Tensor]) -> WeightFile:
    return WeightFile(
        source=str(run.path), container="run", tensors=weights, sha256=hash_state(weights)
    )


def backbone_weights(run: RunFolder) -> dict[str, Tensor]:
    """The backbone weights of a run, adapters included; empty if it has none.

    Of a run on emotions they are those of the branch of bodies, or of its only branch.

    Raises: CheckpointError as `run_weights`.
    """
    weights = run_weights(run)
    for prefix in (BACKBONE_PREFIX, *BRANCH_PREFIXES):
        found = {
            name.removeprefix(prefix): value
            for name, value in weights.items()
            if name.startswith(prefix)
        }
        if found:
            return found
    return {}
