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
    settings, width = config.heads, spec.channels
    assert isinstance(settings, AuxiliaryHeadsSettings)
    num_actions, num_parts = len(labels), len(labels.parent_names)
    assert labels.has_parents or not (settings.coarse or settings.frame_coarse)

    def classifier(num_classes: int, kind: str = settings.classifier) -> ArcFace | Linear:
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
        return Gate(width, squeeze=settings.squeeze, multiply=settings.gate == "multiply")

    # No unused gate: its missing gradients would stop training on several processes.
    shares = settings.shared_gate and settings.frame_coarse
    fine_gate = gate() if settings.frame or shares else None
    coarse_gate = gate() if settings.frame_coarse and not settings.shared_gate else fine_gate
    return Heads(
        classifier(num_actions),
        coarse=classifier(num_parts) if settings.coarse else None,
        norm=nn.LayerNorm(width) if settings.norm else None,
        dropout=settings.dropout,
        fine_frame=classifier(num_actions, settings.frame_classifier) if settings.frame else None,
        coarse_frame=classifier(num_parts, settings.frame_classifier)
        if settings.frame_coarse
        else None,
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
        gather=gather,
    )


FAMILY = RecogniserFamily(_heads, _criterion)
