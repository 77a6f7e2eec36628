"""MANet's loss: cross-entropy, and the distance of a clip to the vector of its label.

Shapes: N clips, K actions, E dimensions of a word vector.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from mmad.models.recognisers.contract import Criterion, RecognitionTargets
from mmad.models.recognisers.manet.network import MANetOutputs


@dataclass(frozen=True, kw_only=True, eq=False)
class MANetCriterion:
    """Loss of the classifier plus the weighted distance (Guo et al., Eqs. 2 and 3).

    Attributes:
        classification: Loss of the classifier.
        label_vectors_KE: Vectors of the labels; None without mapping.
        alpha: Weight of the distance.
        distance: "sum" for the squared Euclidean distance, "mean" for that divided by E.
    """

    classification: Criterion
    label_vectors_KE: Tensor | None
    alpha: float
    distance: str

    def __call__(self, outputs: MANetOutputs, targets: RecognitionTargets) -> Mapping[str, Tensor]:
        """Sums over the clips, by name; "loss" is minimised.

        A clip that is blended of two has the blend of their labels' vectors.
        """
        losses = self.classification(outputs, targets)
        if self.label_vectors_KE is None or outputs.embedding_NE is None:
            return losses
        embedding = outputs.embedding_NE.float()
        wanted_NE = targets.actions_NK @ self.label_vectors_KE.to(embedding.device)
        squares_NE = (embedding - wanted_NE).square()
        per_clip_N = squares_NE.sum(1) if self.distance == "sum" else squares_NE.mean(1)
        apart = per_clip_N.sum()
        return {**losses, "loss": losses["loss"] + self.alpha * apart, "loss_embedding": apart}
