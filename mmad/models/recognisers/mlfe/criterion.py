"""MLFE's loss: that of the classifier plus the weighted one of local features.

Source: Mi et al. (Pattern Recognition Letters 2022), Eq. 9.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import Tensor

from mmad.models.recognisers.contract import Criterion, RecognitionTargets
from mmad.models.recognisers.mlfe.network import MLFEOutputs


@dataclass(frozen=True, kw_only=True, eq=False)
class MLFECriterion:
    """Two losses of the same kind.

    Attributes:
        classification: Loss of logits of actions.
        weight: Weight of the classifier's; 0 for the loss of local features alone.
        coefficient: Weight of that of the local features (lambda).
    """

    classification: Criterion
    weight: float
    coefficient: float

    def __call__(self, outputs: MLFEOutputs, targets: RecognitionTargets) -> Mapping[str, Tensor]:
        """Sums over the clips, by name; "loss" is minimised."""
        whole, local = (
            self.classification(replace(outputs, fine=logits), targets)["loss_fine"]
            for logits in (outputs.whole_NK, outputs.local_logits_NK)
        )
        loss = self.weight * whole + self.coefficient * local
        return {"loss": loss, "loss_fine": whole, "loss_local": local}
