"""Compatibility of stored features with runs."""

import torch

from mmad.config.features import ExtractionSettings
from mmad.data.features.manifest import FeatureManifest
from mmad.engine.features.backbone import open_backbone
from mmad.engine.features.plan import describe_features, hash_base, plan_clips
from mmad.engine.runs.folder import RunFolder
from mmad.errors import FeatureError
from mmad.models.backbones.contract import Backbone


def require_features_of(run: RunFolder, manifest: FeatureManifest, *, source: str) -> None:
    """Raise `FeatureError` unless a run may use these features.

    It may not if it was trained on others, or has another backbone of its own.
    """
    trained_on = run.manifest()
    if trained_on is not None:
        differing = trained_on.differences(manifest, in_rate=False)
        if differing:
            raise FeatureError(
                f"{source}: differs from the features that {run.path} was trained on (trained on "
                f"and found: {'; '.join(differing[:4])}); extract them with the original settings"
            )
        return
    differing = features_of_run(run, like=manifest).differences(manifest, in_rate=False)
    if differing:
        raise FeatureError(
            f"{source}: differs from the features that {run.path} computes (computed and found: "
            f"{'; '.join(differing[:4])}); "
            f"extract them with mmad extract-features {run.path} VIDEOS"
        )


def features_of_run(run: RunFolder, *, like: FeatureManifest) -> FeatureManifest:
    """The manifest of the features that an end-to-end run computes.

    Args:
        run: Run folder.
        like: Manifest whose number type and precision, which hardly matter, are taken over.
    """
    device = torch.device("cpu")
    source = open_backbone(run.path, device=device)
    wished = like.extraction or ExtractionSettings()
    settings = ExtractionSettings(dtype=wished.dtype)
    layout = plan_clips(source, settings, block_clips=8)
    seen = describe_features(source, settings, layout=layout, precision=None)
    return seen.model_copy(update={"precision": like.precision})


def require_same_base(backbone: Backbone, start: RunFolder) -> None:
    """Raise `FeatureError` unless a detector with this backbone may start from a run on features.

    The features must come from the same backbone, adapters aside.
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
