"""The body-level head of dense detectors: an action is as likely as its body part, times what it is
given that part.

With logits b of body part j and f of action a, which belongs to part j, at a point:

    P(j) = sigmoid(b_j)
    P(a | j) = sigmoid(f_a)
    P(a) = P(j) P(a | j)

A sigmoid for each action and not a softmax over the actions of a part, because several of one part
occur at once: in MMA-52 an eighth of the instances overlap another of their body part. The losses
are the focal loss of P(a), as without this head, and that of P(j), for which a point is positive if
it is so for any action of j. The first trains f_a mostly where part j is, since elsewhere P(j) is
small and with it the gradient.

Shapes: B batch, P points, K classes, J body parts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class BodyLogits:
    """What the head predicts of body parts.

    Attributes:
        logits_BPJ: Logits of each body part.
        parents_K: Body part of each class.
    """

    logits_BPJ: Tensor
    parents_K: Tensor

    def targets(self, classes_BPK: Tensor) -> Tensor:
        """1 for each body part of which a point should predict an action, else 0, (B, P, J)."""
        parts_BPJ = torch.zeros_like(self.logits_BPJ, dtype=classes_BPK.dtype)
        return parts_BPJ.index_add(2, self.parents_K, classes_BPK).clamp(max=1.0)


def joint_logits(body_BPK: Tensor, action_BPK: Tensor) -> Tensor:
    """The logit of the product of two probabilities, from the logit of each, same shape.

    1 / (sigmoid(b) sigmoid(f)) = (1 + exp(-b)) (1 + exp(-f)), and the logit of p is -log(1/p - 1).

    >>> p = joint_logits(torch.tensor([0.0]), torch.tensor([0.0])).sigmoid()  # 1/2 of 1/2
    >>> round(p.item(), 6)
    0.25
    """
    terms = torch.stack((-body_BPK, -action_BPK, -body_BPK - action_BPK))
    return -torch.logsumexp(terms, dim=0)


def split_rows(rows_BPR: Tensor, parents_K: Tensor) -> tuple[Tensor, BodyLogits | None]:
    """Class logits (B, P, K) and the body parts' from the rows of a classifier.

    Args:
        rows_BPR: Logits of the classes; with a body-level head, of the classes given their body
            part and then of the body parts.
        parents_K: Body part of each class; empty without that head.
    """
    if not len(parents_K):
        return rows_BPR, None
    action_BPK, body_BPJ = rows_BPR.float().tensor_split([len(parents_K)], dim=2)
    return joint_logits(body_BPJ[..., parents_K], action_BPK), BodyLogits(body_BPJ, parents_K)


def num_rows(num_classes: int, parents: Sequence[int]) -> int:
    """Rows of a classifier: the classes, and with ``parents`` the body parts, too."""
    return num_classes + (max(parents) + 1 if parents else 0)
