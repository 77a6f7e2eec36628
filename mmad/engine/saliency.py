"""What a recogniser looks at: class activation maps of clips, and local features at their peaks."""

import numpy as np
import torch
from torch import Tensor

from mmad.config.recognition import RecognitionConfig
from mmad.config.views import Views
from mmad.data.clips import EvaluationClips
from mmad.data.samples import Batch, Packer
from mmad.engine.clip_inference import num_streams, raise_failed_clips
from mmad.errors import CheckpointError
from mmad.models.backbones.contract import ClipTokens
from mmad.models.recognisers.class_maps import class_maps
from mmad.models.recognisers.contract import LocalFeatures
from mmad.models.recognisers.whole import Recogniser
from mmad.report.recogniser_figures.saliency import ClipSaliency, LocalMaps
from mmad.structures import ClipRecord


def require_class_maps(
    model: Recogniser, config: RecognitionConfig, *, device: torch.device, source: object
) -> None:
    """Raise CheckpointError unless activations of classes have places in the images.

    Args:
        model: Recogniser on its device.
        config: Its configuration.
        device: Where it is.
        source: Name of the model in the message.
    """
    streams, frames = num_streams(config), config.backbone.images_per_clip
    height, width = config.data.views("test").hw
    empty = torch.zeros(streams, frames, height, width, 3, dtype=torch.uint8, device=device)
    colours = torch.zeros(streams, 3, 4, device=device)
    with torch.inference_mode():
        tokens = model.eval().tokens(empty, colours, [1] * streams)
    if model.linear_map_weights(tokens) is None:
        raise CheckpointError(
            f"{source}: saliency is the activation of a class at each place, which adds up to its "
            "score where the heads are linear in the mean over the places; here they see a class "
            "token, a normalised or another vector of the clip. Take a recogniser such as "
            "configs/recognition/mlfe_r50.yaml"
        )


def clip_saliency(
    model: Recogniser,
    clip: ClipRecord,
    config: RecognitionConfig,
    *,
    label: int,
    title: str,
    device: torch.device,
) -> ClipSaliency:
    """What the model sees for ``label`` in the middle view of a clip.

    Raises: VideoError if the clip cannot be read.
    """
    views = config.data.views("test")
    batch = _read(clip, views, config).to(device)
    streams, frames = num_streams(config), config.backbone.images_per_clip
    places = [stream * len(views) + views.middle for stream in range(streams)]
    images_FHWC = batch.clips[places[0]]
    with torch.inference_mode():
        tokens = model.eval().tokens(batch.clips[places], batch.colours, [1] * streams)
        weights_KC = model.linear_map_weights(tokens)
        assert weights_KC is not None
        maps_Thw = class_maps(tokens.tokens_NTSC, weights_KC[[label]])[0, :, 0].unflatten(
            1, tokens.grid_hw
        )
        local = model.heads.local_features(tokens, label)
    per_step = frames // len(maps_Thw)
    return ClipSaliency(
        title,
        images_FHWC[per_step // 2 :: per_step].cpu().numpy(),
        _array(maps_Thw),
        None if local is None else _local_maps(local, tokens),
    )


def _read(clip: ClipRecord, views: Views, config: RecognitionConfig) -> Batch:
    found = EvaluationClips([clip], views, backbone=config.backbone)[0]
    batch, failed = Packer(clip_frames=config.backbone.images_per_clip)([found])
    raise_failed_clips(failed)
    assert batch is not None
    return batch


def _local_maps(local: LocalFeatures, tokens: ClipTokens) -> LocalMaps:
    rows_T, columns_T = np.unravel_index(local.cells_NT[0].cpu().numpy(), tokens.grid_hw)
    return LocalMaps(
        local.stage,
        _array(local.map_NTChw[0].float().mean(dim=1)),
        np.stack((rows_T, columns_T), axis=1),
        _array(local.windows_NTCyx[0].float().mean(dim=1)),
    )


def _array(x: Tensor) -> np.ndarray:
    return x.float().cpu().numpy()
