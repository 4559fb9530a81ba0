"""One arm against another: difference, lift and what could have been found, people being the unit."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri, stdtrit

from hfkit.experiment.units import Rewards
from hfkit.shared import cluster, intervals

Floats = npt.NDArray[np.float64]
POWER = 0.8


def effect(x: Rewards, base: Rewards, *, planned_n: int = 0, level: float = 0.95) -> tuple[float, float, float]:
    """How far is the mean of x above that of base? (difference, low, high) in units of the reward; see compare_arms.

    Nothing in either: all NaN. One person in either, or no spread at all where rewards are not 0/1: the bounds are NaN.

    >>> [round(v, 3) for v in effect(alone([1.0, 2.0, 4.0]), alone([2.0, 3.0]))]
    [-0.167, -3.461, 3.127]
    """
    if min(len(x.value), len(base.value)) == 0:
        return math.nan, math.nan, math.nan
    if planned_n == 0 and _binary(x.value, base.value):
        return tuple(float(v) for v in intervals.mover(mean(x, level), mean(base, level)))  # type: ignore[return-value]
    difference = float(x.value.mean() - base.value.mean())
    if min(x.people, base.people) < 2:
        return difference, math.nan, math.nan
    parts = np.array([_variance(x), _variance(base)])
    if parts.sum() == 0:
        return difference, math.nan, math.nan
    if planned_n:
        half = _sequence(len(x.value) + len(base.value), planned_n, 1 - level) * math.sqrt(float(parts.sum()))
    else:
        df = np.array([cluster.effective(np.ones(len(r.value)), r.unit) - 1 for r in (x, base)])
        freedom = parts.sum() ** 2 / (parts**2 / df).sum()
        half = float(stdtrit(freedom, 0.5 + level / 2)) * math.sqrt(float(parts.sum()))
    return difference, difference - half, difference + half


def alone(values: npt.ArrayLike) -> Rewards:
    """Rewards of as many people.

    >>> alone([2.0, 1.0]).people
    2
    """
    value = np.sort(np.asarray(values, float))
    return Rewards(value, np.arange(len(value)))


def _variance(x: Rewards) -> float:
    """The variance of the mean, people taken as the unit."""
    return float(cluster.variance((x.value - x.value.mean()) / len(x.value), x.unit)[0])


def lift(x: Rewards, base: Rewards, *, level: float = 0.95) -> tuple[float, float, float]:
    """By which share of the control's mean is x above it? (lift, low, high); 0.1 = one tenth more.

    NaN where control's mean is not clearly above 0, or x has no interval: a ratio has no bounds there.

    >>> [round(v, 3) for v in lift(alone(np.repeat([1.0, 0.0], [56, 14])), alone(np.repeat([1.0, 0.0], [48, 32])))]
    [0.333, 0.078, 0.663]
    """
    (p1, l1, u1), (p2, l2, u2) = mean(x, level), mean(base, level)
    if not (p2 > 0 and l2 > 0 and 2 * p2 > u2 and l1 == l1):
        return math.nan, math.nan, math.nan
    low = p1 * p2 - math.sqrt(max((p1 * p2) ** 2 - l1 * u2 * (2 * p1 - l1) * (2 * p2 - u2), 0))
    high = p1 * p2 + math.sqrt(max((p1 * p2) ** 2 - u1 * l2 * (2 * p1 - u1) * (2 * p2 - l2), 0))
    return p1 / p2 - 1, low / (u2 * (2 * p2 - u2)) - 1, high / (l2 * (2 * p2 - l2)) - 1


def detectable(base: Rewards, x: Rewards, *, level: float = 0.95) -> float:
    """Which difference would be found 8 times in 10, with these rows against these control rows? In reward units.

    NaN for fewer than 2 people in control, none in the arm, or control rows without spread.

    >>> round(detectable(alone(np.repeat([0.0, 1.0], 500)), alone(np.zeros(1000))), 4)
    0.0627
    """
    if base.people < 2 or not len(x.value) or base.value.var() == 0:
        return math.nan
    z = float(ndtri(0.5 + level / 2) + ndtri(POWER))
    mean_size = len(base.value) / base.people
    spread = _variance(base) * len(base.value)  # of one row, as people repeat
    here = len(x.value) * min(1.0, mean_size / (len(x.value) / x.people))
    return z * math.sqrt(spread * (1 / len(base.value) + 1 / here))


def _binary(*arrays: Floats) -> bool:
    return all(bool(np.isin(a, (0.0, 1.0)).all()) for a in arrays)


def mean(x: Rewards, level: float) -> tuple[float, float, float]:
    """The mean reward with its bounds: Wilson's for 0 and 1, Student's else, both with people as the unit."""
    if len(x.value) and _binary(x.value):
        if x.people == 1 and len(x.value) > 1:
            return float(x.value.mean()), math.nan, math.nan
        effect, df = x.effect
        n = len(x.value) / effect
        low, high = intervals.wilson(x.value.mean() * n, n, float(intervals.student(level, df)))
        return float(x.value.mean()), float(low), float(high)
    return cluster.mean_interval(x.value, x.unit, level=level)


def _sequence(n: int, planned_n: int, alpha: float) -> float:
    """How many standard errors wide is a confidence sequence after n rows, tuned to be sharpest at planned_n?"""
    rho2 = (-2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha))) / planned_n
    return math.sqrt(2 * (n * rho2 + 1) / (n * rho2) * math.log(math.sqrt(n * rho2 + 1) / alpha))
