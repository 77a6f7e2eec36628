"""Inflation of 2D weights for a 3D network of the same architecture."""

from collections.abc import Mapping

from torch import Tensor


def inflate_kernels(tensors: dict[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, str]:
    """Inflate 2D kernels to the temporal length of the network, in place; what was done, by name.

    A kernel is repeated and divided by its length, so that a static clip has the features of its
    image in the 2D network (I3D, arXiv 1705.07750, section 2.4).

    Args:
        tensors: Tensors of a file, under our names.
        own: Tensors of the network, by name.
    """
    done = {}
    for name, kernel in tensors.items():
        wanted = own[name].shape if name in own else ()
        if len(wanted) != 5 or kernel.shape != (*wanted[:2], *wanted[3:]):
            continue
        length = wanted[2]
        done[name] = "inflated to one step" if length == 1 else f"inflated to {length} steps"
        tensors[name] = kernel[:, :, None].expand(wanted) / length
    return done
