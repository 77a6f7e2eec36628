"""Which stored features a run may use, and a run on features put back onto videos."""

import torch

from mmad.config.features import ExtractionSettings
from mmad.data.features.manifest import FeatureManifest
from mmad.engine.features.backbone import open_backbone
from mmad.engine.features.plan import describe_features, hash_base, plan_clips
from mmad.engine.runs.folder import RunFolder
from mmad.errors import FeatureError
from mmad.models.backbones.contract import Backbone


def require_features_of(run: RunFolder, manifest: FeatureManifest, *, source: str) -> None:
    """Do nothing if a run may use these features.

    Raises: FeatureError if the run was trained on others, or its own backbone is another.
    """
    trained_on = run.manifest()
    if trained_on is not None:
        differing = trained_on.differences(manifest, in_rate=False)
        if differing:
            raise FeatureError(
                f"{source}: is not what {run.path} was trained on (trained on and found: "
                f"{'; '.join(differing[:4])}); extract the features as then"
            )
        return
    differing = features_of_run(run, like=manifest).differences(manifest, in_rate=False)
    if differing:
        raise FeatureError(
            f"{source}: are not the features that {run.path} sees (it and they: "
            f"{'; '.join(differing[:4])}); make them with mmad extract-features {run.path} VIDEOS"
        )


def features_of_run(run: RunFolder, *, like: FeatureManifest) -> FeatureManifest:
    """The manifest of what an end-to-end run sees.

    Args:
        run: the run.
        like: its type of numbers and precision, which change nothing or little, are taken over.
    """
    device = torch.device("cpu")
    source = open_backbone(run.path, device=device)
    wished = like.extraction or ExtractionSettings()
    settings = ExtractionSettings(dtype=wished.dtype)
    layout = plan_clips(source, settings, block_clips=8)
    seen = describe_features(source, settings, layout=layout, precision=None)
    return seen.model_copy(update={"precision": like.precision})


def require_same_base(backbone: Backbone, start: RunFolder) -> None:
    """Do nothing if a run on features may give its temporal part to a detector with this backbone.

    Raises: FeatureError if its features are of another backbone, adapters aside.
    """
    manifest = start.manifest()
    if manifest is None or manifest.base_sha256 is None:
        return
    found = hash_base(backbone)
    if found != manifest.base_sha256:
        raise FeatureError(
            f"training.start={start.path}: was trained on features of another backbone (without "
            f"adapters, sha256 {manifest.base_sha256}; backbone.pretrained gives {found})"
        )
