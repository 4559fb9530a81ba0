"""Intervals of means of numbers in [0, 1]: exact bounds at as many independent rows as would vary as much.

A Student interval is symmetric and too short where few events are seen; Wilson's falls to 83 % near the ends of the
scale. The bounds of Clopper and Pearson (1934) hold there, so every mean here is read as a share of that many
independent rows: clustered answers count less, a score that explains the label counts more (the effective sample size
of Korn and Graubard 1998).
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from hfkit.calibration.binned import Codes, Floats
from hfkit.shared import stats

FEW = 10  # events and non-events below which a score is not credited with explaining any of them
Triple = tuple[float, float, float]


def fewest(clusters: list[Codes]) -> int:
    """How many clusters are there, where there are fewest?"""
    return min(len(np.unique(c)) for c in clusters)


def independent(clusters: list[Codes]) -> float:
    """Of how many independent rows is a mean worth at least: as if rows of one cluster were all alike (Kish 1965).

    >>> independent([np.array([0, 0, 1, 1, 2, 2])]), independent([np.arange(6), np.arange(6)])
    (3.0, 6.0)
    """
    n = len(clusters[0])
    design = [float((np.bincount(c).astype(float) ** 2).sum()) / n for c in clusters]
    return n / (sum(design) - (len(design) - 1))


def rarer(y: Floats, clusters: list[Codes]) -> int:
    """On how many clusters does the rarer of two classes lie? At least 2; for other numbers, how many there are."""
    if not np.isin(y, (0, 1)).all():
        return fewest(clusters)
    return max(min(len(np.unique(c[y == side])) for c in clusters for side in (0, 1)), 2)


def variance(influence: Floats, clusters: list[Codes], level: float, count: int) -> float:
    """How far can a sum of influences (of mean 0) be off? Its variance, scaled for Student's t.

    Two-way cluster robust (Cameron, Gelbach and Miller 2011), never below that of either clustering. A normal quantile
    of `level` times its root is Student's with a degree of freedom less than `count`, the clusters that tell anything.
    One cluster gives NaN.
    """
    groups = fewest(clusters)
    if groups < 2:
        return math.nan
    spread = [float((np.bincount(c, influence) ** 2).sum()) * groups / (groups - 1) for c in clusters]
    both = sum(spread) - float((influence**2).sum()) * (len(spread) - 1)
    wider = special.stdtrit(count - 1, (1 + level) / 2) / special.ndtri((1 + level) / 2)
    return max(both, *spread) * float(wider) ** 2


def bounds(value: float, spread: float, least: float, level: float) -> tuple[float, float]:
    """Between which bounds does a mean in [0, 1] lie, given its variance? Exact for a share of independent rows.

    `least` is the number of independent rows it is worth in any case. A missing variance gives NaN.

    >>> low, high = bounds(0.5, 0.25 / 10, 5, 0.95)
    >>> round(low, 3), round(high, 3), [round(float(v), 3) for v in stats.exact(5, 10)]
    (0.187, 0.813, [0.187, 0.813])
    """
    if math.isnan(value) or math.isnan(spread):
        return math.nan, math.nan
    size = max(value * (1 - value) / max(spread, 1e-15), least, 1.0) if 0 < value < 1 else max(least, 1.0)
    low, high = stats.exact(value * size, size, level)
    return float(low), float(high)


def mean(x: Floats, clusters: list[Codes], level: float) -> Triple:
    """The mean of numbers in [0, 1] with its bounds; nothing gives NaN, one cluster no bounds.

    >>> [round(v, 3) for v in mean(np.repeat([0.0, 1.0], 5), [np.arange(10)], 0.95)]
    [0.5, 0.187, 0.813]
    """
    if not len(x):
        return math.nan, math.nan, math.nan
    value = float(x.mean())
    spread = variance((x - value) / len(x), clusters, level, rarer(x, clusters))
    return value, *bounds(value, spread, independent(clusters), level)


def gap(y: Floats, s: Floats, clusters: list[Codes], level: float) -> Triple:
    """The event rate less the mean score, in [-1, 1]: bounds of a rate that varies as the residuals do.

    With fewer than ten events or non-events the residuals' variance is not known well, and that of the rate is used.

    >>> value, low, high = gap(np.repeat([0.0, 1.0], 10), np.full(20, 0.4), [np.arange(20)], 0.95)
    >>> round(value, 2), low < 0 < high
    (0.1, True)
    """
    if not len(y):
        return math.nan, math.nan, math.nan
    rate, low, high = mean(y, clusters, level)
    residual, centre = y - s, float(s.mean())
    if min(y.sum(), (1 - y).sum()) >= FEW:
        spread = variance((residual - residual.mean()) / len(y), clusters, level, rarer(y, clusters))
        low, high = bounds(rate, spread, independent(clusters), level)
    return float(residual.mean()), low - centre, high - centre
