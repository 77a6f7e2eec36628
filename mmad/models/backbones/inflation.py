"""Weights of a 2D network in a 3D one of the same shape."""

from collections.abc import Mapping

from torch import Tensor


def inflate_kernels(tensors: dict[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, str]:
    """Give 2D kernels the length in time that the network has, in place; what was done, by name.

    A kernel is repeated and divided by its length, so that a clip that stands still has the
    features that its picture has in the 2D network (I3D, arXiv 1705.07750, section 2.4).

    Args:
        tensors: of a file, under our names.
        own: tensors of the network, by name.
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
