"""Primary and auxiliary heads and their losses, from settings."""

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from mmad.config.recognisers.auxiliary_heads import AuxiliaryHeadsSettings
from mmad.config.recognition import RecognitionConfig
from mmad.labels import LabelMap
from mmad.models.backbones.contract import BackboneSpec
from mmad.models.from_settings import from_settings
from mmad.models.recognisers.auxiliary_heads.criterion import HeadsCriterion, body_weights
from mmad.models.recognisers.auxiliary_heads.network import ArcFace, Gate, Heads, Linear
from mmad.models.recognisers.contract import RecogniserFamily


def _heads(config: RecognitionConfig, spec: BackboneSpec, labels: LabelMap) -> Heads:
    settings, of_clip, of_step = config.heads, spec.vector_channels, spec.channels
    assert isinstance(settings, AuxiliaryHeadsSettings)
    num_actions, num_parts = len(labels), len(labels.parent_names)
    assert labels.has_parents or not (settings.coarse or settings.frame_coarse)

    def classifier(num_classes: int, *, width: int, kind: str) -> ArcFace | Linear:
        if kind == "linear":
            return Linear(width, num_classes)
        return ArcFace(
            width,
            num_classes,
            scale=settings.scale,
            margin=settings.margin,
            on_all=settings.margin_on == "all",
        )

    def gate() -> Gate:
        return Gate(of_step, squeeze=settings.squeeze, multiply=settings.gate == "multiply")

    # No unused gate: its missing gradients would stop training on several processes.
    shares = settings.shared_gate and settings.frame_coarse
    fine_gate = gate() if settings.frame or shares else None
    coarse_gate = gate() if settings.frame_coarse and not settings.shared_gate else fine_gate

    def primary(num_classes: int) -> ArcFace | Linear:
        return classifier(num_classes, width=of_clip, kind=settings.classifier)

    def of_frames(num_classes: int) -> ArcFace | Linear:
        return classifier(num_classes, width=of_step, kind=settings.frame_classifier)

    return Heads(
        primary(num_actions),
        coarse=primary(num_parts) if settings.coarse else None,
        norm=nn.LayerNorm(of_clip) if settings.norm else None,
        dropout=settings.dropout,
        fine_frame=of_frames(num_actions) if settings.frame else None,
        coarse_frame=of_frames(num_parts) if settings.frame_coarse else None,
        fine_gate=fine_gate,
        coarse_gate=coarse_gate,
        frame_rows=settings.frame_rows,
    )


def _criterion(
    config: RecognitionConfig,
    labels: LabelMap,
    counts: Sequence[int],
    gather: Callable[[Tensor], Tensor],
) -> HeadsCriterion:
    losses = config.losses
    return from_settings(
        HeadsCriterion,
        losses,
        weights={
            name: getattr(losses, name) for name in ("fine", "coarse", "fine_frame", "coarse_frame")
        },
        class_weights_K=body_weights(
            counts, labels.parents or (0,) * len(labels), exponent=losses.within_body_exponent
        ),
        gather=gather if losses.f1_over == "all" else lambda rows_NK: rows_NK,
    )


FAMILY = RecogniserFamily(_heads, _criterion)
