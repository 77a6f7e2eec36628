"""Intraclass correlations of single measurements of several raters.

Source: Shrout and Fleiss, Intraclass correlations: uses in assessing rater reliability,
Psychological Bulletin 86, 1979.

Shapes: T targets (videos), A raters.
"""

from dataclasses import dataclass

from mmad.structures import Floats

# Sums of squares below this share of the whole are rounding.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Icc:
    """An intraclass correlation with its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class IccPair:
    """Both forms for single measurements.

    Attributes:
        absolute: ICC(2,1): raters are drawn from many, and should give the same numbers.
        consistent: ICC(3,1): these raters alone, who may differ by a constant.
    """

    absolute: Icc
    consistent: Icc


def intraclass_correlations(ratings: Floats, *, confidence: float = 0.95) -> IccPair | None:
    """ICC(2,1) and ICC(3,1) of ``ratings`` (T, A), with their F-based intervals.

    None for fewer than two targets or raters, or if all ratings are equal.
    """
    from scipy.special import fdtri

    targets, raters = ratings.shape
    if targets < 2 or raters < 2:
        return None
    rows, columns = ratings.mean(axis=1), ratings.mean(axis=0)
    centred = ratings - ratings.mean()
    whole = float((centred**2).sum())
    rest = ratings - rows[:, None] - columns + ratings.mean()
    error_sum = float((rest**2).sum())
    if whole <= _ROUNDING * max(float((ratings**2).sum()), 1.0):
        return None
    if error_sum <= _ROUNDING * whole:
        error_sum = 0.0
    between = float(raters * ((rows - ratings.mean()) ** 2).sum()) / (targets - 1)
    judges = float(targets * ((columns - ratings.mean()) ** 2).sum()) / (raters - 1)
    error = error_sum / ((targets - 1) * (raters - 1))
    upper = 1 - (1 - confidence) / 2
    free, rest_free = targets - 1, (targets - 1) * (raters - 1)

    below = between + (raters - 1) * error
    consistent = (between - error) / below if below else 0.0
    if error:
        ratio = between / error
        low = ratio / float(fdtri(free, rest_free, upper))
        high = ratio * float(fdtri(rest_free, free, upper))
        ends = (low - 1) / (low + raters - 1), (high - 1) / (high + raters - 1)
    else:
        ends = (consistent, consistent)

    spread = below + raters * (judges - error) / targets
    absolute = (between - error) / spread if spread else 0.0
    return IccPair(
        Icc(absolute, *_absolute_ends(between, judges, error, absolute, ratings.shape, upper)),
        Icc(consistent, *ends),
    )


def _absolute_ends(
    between: float,
    judges: float,
    error: float,
    value: float,
    shape: tuple[int, ...],
    upper: float,
) -> tuple[float, float]:
    """The interval of ICC(2,1), with Satterthwaite's degrees of freedom."""
    from scipy.special import fdtri

    targets, raters = shape
    if not error and not judges:
        return value, value
    own, mixed = raters * value * judges, (targets * (1 + (raters - 1) * value) - raters * value)
    mixed *= error
    square = own**2 / (raters - 1) + mixed**2 / ((targets - 1) * (raters - 1))
    if not square:
        return value, value
    free = (own + mixed) ** 2 / square
    first = float(fdtri(targets - 1, free, upper))
    second = float(fdtri(free, targets - 1, upper))
    common = raters * judges + (raters * targets - raters - targets) * error
    low = targets * (between - first * error) / (first * common + targets * between)
    high = targets * (second * between - error) / (common + targets * second * between)
    return low, high
