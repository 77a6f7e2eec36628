"""Class activation maps: what each place of the images adds to the logit of a class.

Shapes: N clips, T steps, S = h x w tokens of a step, C channels, K classes.

Source: Zhou et al., Learning Deep Features for Discriminative Localization (CVPR 2016).
"""

import torch
from torch import Tensor


def class_maps(tokens_NTSC: Tensor, weights_KC: Tensor) -> Tensor:
    """The activation of each class at each token, (N, T, K, S), in single precision.

    Their mean over T and S is the logit of a linear classifier of the mean token, without its bias.

    >>> class_maps(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), torch.eye(2)).tolist()
    [[[[1.0, 3.0], [2.0, 4.0]]]]
    """
    with torch.autocast(tokens_NTSC.device.type, enabled=False):
        return torch.einsum("ntsc,kc->ntks", tokens_NTSC.float(), weights_KC.float())
