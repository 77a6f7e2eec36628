"""Intervals from random stretches that hold with few stretches, few instances, and none.

Instances of one stretch are not independent, and many behaviours are rare. So the spread is always
that between stretches, and where it cannot be seen because nothing, or everything, was right, the
exact limits for as many instances take its place.

Shapes: S stretches, K behaviours.
"""

from dataclasses import dataclass

import numpy as np
from scipy import special

from mmad.structures import Floats

TAIL = 0.025


@dataclass(frozen=True, eq=False)
class Estimates:
    """Estimates with 95 % intervals, (K,); NaN where there is nothing to estimate from."""

    value: Floats
    low: Floats
    high: Floats


def share_estimates(above: Floats, below: Floats, *, fraction: float) -> Estimates:
    """The shares sum(above) / sum(below) over all stretches, from some.

    The interval is that of Clopper and Pearson with the effective number of instances: as many
    independent ones as would spread as much as the stretches do. Source: Korn and Graubard,
    Confidence intervals for proportions with small expected number of positive counts estimated
    from survey data, 1998.

    Args:
        above: Successes in each stretch, (S, K), between 0 and ``below``.
        below: Instances in each stretch, (S, K).
        fraction: The share of all stretches that these are.
    """
    number, total = len(below), below.sum(axis=0)
    value = ratio(above.sum(axis=0), total)
    # Without each stretch in turn: of unequal ones, it shows more of the spread than residuals do.
    without = ratio(above.sum(axis=0) - above, total - below)
    without = np.where(np.isnan(without), value, without)
    spread = ((without - value) ** 2).sum(axis=0) * (number - 1) / max(number, 1) * (1 - fraction)
    return exact_limits(value, spread, total, effective_number(below), fraction=fraction)


def effective_number(sizes: Floats) -> Floats:
    """How many stretches of equal size would say as much as these, (K,). Source: Kish, 1965."""
    return ratio(sizes.sum(axis=0) ** 2, (sizes**2).sum(axis=0))


def exact_limits(
    value: Floats, variance: Floats, total: Floats, seen: Floats, *, fraction: float
) -> Estimates:
    """Limits of Clopper and Pearson for shares whose variance is known.

    Args:
        value: Shares, (K,).
        variance: Their variances, (K,).
        total: Numbers of instances, (K,).
        seen: Numbers of stretches with instances, (K,), as `effective_number` counts them.
        fraction: The share of all stretches that were coded.
    """
    left = max(1 - fraction, 1e-12)
    # With few stretches the spread itself is uncertain.
    penalty = (special.ndtri(TAIL) / student(np.nan_to_num(seen) - 1)) ** 2
    effective = np.where(variance > 0, value * (1 - value) / np.where(variance > 0, variance, 1), 0)
    most = np.where((value > 0) & (value < 1), total, np.minimum(total, seen)) / left
    effective = np.where(effective > 0, np.minimum(effective * penalty, most), most)
    hits = value * effective
    with np.errstate(invalid="ignore"):
        low = np.where(hits > 0, special.betaincinv(hits, effective - hits + 1, TAIL), 0.0)
        high = np.where(
            hits < effective, special.betaincinv(hits + 1, effective - hits, 1 - TAIL), 1.0
        )
    low, high = np.where(np.isnan(value), np.nan, [low, high])
    return Estimates(value, np.minimum(low, value), np.maximum(high, value))


def total_limits(values: Floats, *, weight: Floats) -> tuple[Floats, Floats]:
    """How far below and above the sum over stretches the limits of what is expected are, (K,).

    The limits of Fay and Feuer (Confidence intervals for directly standardized rates, 1997), of a
    gamma distribution, which are those of Garwood for a count; the variance is that between
    stretches, and the limits are as much wider as Student's are than the normal ones.

    Args:
        values: Something in each stretch, at least 0, (S, K).
        weight: How much one more would add, (K,), for the upper limit.
    """
    number, total = len(values), values.sum(axis=0)
    variance = number * values.var(axis=0, ddof=1) if number > 1 else total**2
    # What is constant over stretches seems to have no spread; few stretches cannot show that.
    wider = student(number - 1) / special.ndtri(TAIL)
    low = np.where(total > 0, _gamma(TAIL, total, variance), 0.0)
    high = _gamma(1 - TAIL, total + weight, variance + weight**2)
    return (total - low) * wider, (high - total) * wider


def _gamma(share: float, mean: Floats, variance: Floats) -> Floats:
    """A quantile of gamma distributions; the mean where there is no variance."""
    known = (mean > 0) & (variance > 0)
    mean_or_one, variance_or_one = np.where(known, mean, 1.0), np.where(known, variance, 1.0)
    scale = variance_or_one / mean_or_one
    return np.where(known, special.gammaincinv(mean_or_one / scale, share) * scale, mean)


def difference_limits(values: Floats, *, weight: Floats) -> tuple[Floats, Floats]:
    """How far below and above their sum the limits of differences are, (K,).

    What is above and what is below 0 have limits of their own, which are combined as Zou and Donner
    do (Construction of confidence limits about effect measures, 2008).

    Args:
        values: Differences in each stretch, (S, K).
        weight: How much one more would add, (K,).
    """
    more, less = np.maximum(values, 0.0), np.maximum(-values, 0.0)
    more_down, more_up = total_limits(more, weight=weight)
    less_down, less_up = total_limits(less, weight=weight)
    apart = [one - one.mean(axis=0) for one in (more, less)]
    size = np.sqrt((apart[0] ** 2).sum(axis=0) * (apart[1] ** 2).sum(axis=0))
    together = ratio((apart[0] * apart[1]).sum(axis=0), size)
    together = np.where(np.isnan(together), 0.0, together)

    def joined(a: Floats, b: Floats) -> Floats:
        return np.sqrt(a**2 + b**2 - 2 * together * a * b)

    return joined(more_down, less_up), joined(more_up, less_down)


def student(freedom: Floats | float) -> Floats:
    """The lower quantile of Student's distribution, with at least one degree of freedom."""
    return np.asarray(special.stdtrit(np.maximum(freedom, 1), TAIL))


def ratio(above: Floats, below: Floats) -> Floats:
    """Quotients; NaN where the divisor is not above 0."""
    above, below = np.broadcast_arrays(above, below)
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)
