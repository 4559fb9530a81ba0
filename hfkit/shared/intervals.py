"""Intervals of rates and of their differences: arrays in, (value, low, high) out, of the shape of the counts.

`level` is the two-sided confidence level. Rows that go together are accounted for by dividing counts by their design
effect (see `cluster`) and by Student's quantile for the number of clusters (`student`). NaN where undefined.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv, ndtr, ndtri, stdtrit

Floats = npt.NDArray[np.float64]


class Interval(NamedTuple):
    """A value between its bounds."""

    value: Any
    low: Any
    high: Any


class Rate(NamedTuple):
    """A rate with exact bounds, and what a difference is made of: Jeffreys' bounds (exact ones below 20 rows), and the
    adjusted Wald interval's centre and half width.
    """

    value: Any
    low: Any
    high: Any
    near: tuple[Any, Any]
    centre: Any
    half: Any


def wilson(k: npt.ArrayLike, n: npt.ArrayLike, level: float = 0.95) -> tuple[Any, Any]:
    """Between which rates does a share of k out of n lie? (low, high), each in 0..1 and of the shape of k and n.

    k and n may be fractions (weighted or effective counts). n = 0 gives NaN. Assumes independent rows; for clustered
    rows divide k and n by the design effect first. Wilson (1927), JASA 22:209.

    >>> low, high = wilson(8, 10)
    >>> round(float(low), 4), round(float(high), 4)
    (0.4902, 0.9433)
    >>> wilson([0, 3], [0, 3])[0].round(4).tolist()
    [nan, 0.4385]
    """
    k, n = np.broadcast_arrays(np.asarray(k, float), np.asarray(n, float))
    z2 = float(ndtri(0.5 + level / 2)) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.where(n > 0, n, np.nan)
        p = k / size
        centre = (p + z2 / (2 * size)) / (1 + z2 / size)
        half = np.sqrt(z2) / (1 + z2 / size) * np.sqrt(np.maximum(p * (1 - p), 0) / size + z2 / (4 * size**2))
        low, high = np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0)
    # rounding must not lift the bound at the ends of the scale
    low, high = np.where(k == 0, 0.0, low), np.where(k == n, 1.0, high)
    return np.where(n > 0, low, np.nan)[()], np.where(n > 0, high, np.nan)[()]


def exact(k: npt.ArrayLike, n: npt.ArrayLike, level: npt.ArrayLike = 0.95) -> tuple[Any, Any]:
    """Between which rates does a share of k out of n lie, with at least the stated confidence at every n and rate?

    (low, high), each in 0..1. Wider than `wilson`, which falls to 83 % at n = 5. k, n (fractions allowed) and level
    broadcast; n = 0 gives NaN. Clopper and Pearson (1934), Biometrika 26:404.

    >>> low, high = exact(8, 10)
    >>> round(float(low), 4), round(float(high), 4)
    (0.4439, 0.9748)
    """
    k, n, level = np.broadcast_arrays(*(np.asarray(a, float) for a in (k, n, level)))
    tail, none = (1 - level) / 2, ~(n > 0) | np.isnan(k) | np.isnan(level)
    low = np.where(k > 0, betaincinv(np.where(k > 0, k, 1.0), np.where(none, 1.0, n - k + 1), tail), 0.0)
    high = np.where(k < n, betaincinv(k + 1, np.where(k < n, n - k, 1.0), 1 - tail), 1.0)
    return np.where(none, np.nan, low)[()], np.where(none, np.nan, high)[()]


def newcombe(
    k1: npt.ArrayLike, n1: npt.ArrayLike, k2: npt.ArrayLike, n2: npt.ArrayLike, level: float = 0.95
) -> Interval:
    """How far apart are two independent rates? (difference k1/n1 - k2/n2, low, high), in -1..1.

    The square-and-add interval on Wilson bounds (MOVER), which holds at small n where the textbook interval does not.
    Either n = 0 gives NaN. Newcombe (1998), Statistics in Medicine 17:873, method 10.

    >>> [round(float(v), 4) for v in newcombe(56, 70, 48, 80)]
    [0.2, 0.0524, 0.3339]
    """
    k1, n1, k2, n2 = np.broadcast_arrays(*(np.asarray(a, float) for a in (k1, n1, k2, n2)))
    (l1, u1), (l2, u2) = wilson(k1, n1, level), wilson(k2, n2, level)
    p1, p2 = k1 / np.where(n1 > 0, n1, np.nan), k2 / np.where(n2 > 0, n2, np.nan)
    return mover((p1, l1, u1), (p2, l2, u2))


def mover(first: tuple[Any, Any, Any], second: tuple[Any, Any, Any], correlation: npt.ArrayLike = 0.0) -> Interval:
    """How far apart are two estimates, each (value, low, high) with bounds of its own? (difference, low, high).

    `correlation` is that between the two estimates, 0 for independent ones. NaN in, NaN out. Zou and Donner (2008),
    Statistics in Medicine 27:1693.

    >>> [round(float(v), 3) for v in mover((0.8, 0.7, 0.9), (0.5, 0.4, 0.6))]
    [0.3, 0.159, 0.441]
    """
    p1, l1, u1 = (np.asarray(a, float) for a in first)
    p2, l2, u2 = (np.asarray(a, float) for a in second)
    r2 = 2 * np.asarray(correlation, float)
    difference = p1 - p2
    down, up = (p1 - l1, u2 - p2), (u1 - p1, p2 - l2)
    low = difference - np.sqrt(np.maximum(down[0] ** 2 - r2 * down[0] * down[1] + down[1] ** 2, 0))
    high = difference + np.sqrt(np.maximum(up[0] ** 2 - r2 * up[0] * up[1] + up[1] ** 2, 0))
    return Interval(difference[()], low[()], high[()])


def student(level: npt.ArrayLike, df: npt.ArrayLike) -> Floats:
    """The level at which a normal quantile reaches as far as Student's with `df` degrees of freedom does at `level`.

    inf: the level itself; below one degree of freedom: NaN.

    >>> student(0.95, [np.inf, 10, 0.5]).round(3).tolist()
    [0.95, 0.974, nan]
    """
    df, level = np.asarray(df, float), np.asarray(level, float)
    with np.errstate(invalid="ignore"):
        quantile = np.where(np.isinf(df), 0.0, stdtrit(np.where(df >= 1, df, np.nan), 0.5 + level / 2))
    return np.asarray(np.where(np.isinf(df), level, 2 * ndtr(quantile) - 1), float)


def simultaneous(count: npt.ArrayLike, level: float = 0.95) -> Any:
    """The level each of `count` intervals needs so that all of them hold together at `level`.

    Sidak (1967), JASA 62:626; a count below one is one.

    >>> round(float(simultaneous(10)), 4)
    0.9949
    """
    return (level ** (1 / np.maximum(np.asarray(count, float), 1.0)))[()]


def jeffreys(k: npt.ArrayLike, n: npt.ArrayLike, level: npt.ArrayLike = 0.95) -> tuple[Any, Any]:
    """Between which rates does a share of k out of n lie? (low, high): as often too high as too low, on average.

    Narrower than `exact`, and short of its level at single rates. k may be a fraction; n = 0 gives NaN. Brown, Cai and
    DasGupta (2001), Statistical Science 16:101.

    >>> [round(float(v), 4) for v in jeffreys(8, 10)]
    [0.4972, 0.9559]
    """
    k, n, level = np.broadcast_arrays(*(np.asarray(a, float) for a in (k, n, level)))
    tail, none = (1 - level) / 2, ~(n > 0) | np.isnan(k) | np.isnan(level)
    a, b = (np.where(none, 1.0, np.maximum(v, 0.0) + 0.5) for v in (k, n - k))
    low = np.where(k > 0, betaincinv(a, b, tail), 0.0)
    high = np.where(k < n, betaincinv(a, b, 1 - tail), 1.0)
    return np.where(none, np.nan, low)[()], np.where(none, np.nan, high)[()]


def rate(k: npt.ArrayLike, n: npt.ArrayLike, level: npt.ArrayLike = 0.95) -> Rate:
    """A rate k / n with exact bounds (see `exact`) and what `difference` needs; n = 0 gives NaN.

    >>> [round(float(v), 3) for v in rate(8, 10)[:3]]
    [0.8, 0.444, 0.975]
    """
    k, n = np.asarray(k, float), np.asarray(n, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where(n > 0, k / n, np.nan)
        low, high = exact(k, n, level)
        close = [np.where(n < 20, e, j) for e, j in zip((low, high), jeffreys(k, n, level), strict=True)]
        centre = np.where(n > 0, (k + 1) / (n + 2), np.nan)
        half = ndtri(0.5 + np.asarray(level, float) / 2) * np.sqrt(centre * (1 - centre) / (n + 2))
    near = np.minimum(close[0], value), np.maximum(close[1], value)
    return Rate(value, np.minimum(low, value), np.maximum(high, value), near, centre, half)


def difference(first: Rate, second: Rate) -> Interval:
    """One rate minus another, independent of it: on either side the wider of two intervals, in -1..1.

    Square-and-add (`mover`) on Jeffreys' bounds, below 20 rows on exact ones, and the adjusted Wald interval of Agresti
    and Caffo (2000), The American Statistician 54:280. Alone, the first falls far below its level where one rate is
    near 0 and the other near 1, and with Jeffreys' bounds throughout to 89 % at 7 rows; the second to 89 % at 7.
    Together they hold 93 % and more (docs/error_rates.md).

    >>> [round(float(v), 3) for v in difference(rate(8, 10), rate(20, 50))]
    [0.4, 0.018, 0.625]
    """
    pairs = [(r.value, *r.near) for r in (first, second)]
    value, low, high = mover(*pairs)
    centre, half = first.centre - second.centre, np.hypot(first.half, second.half)
    low, high = np.fmin(low, np.maximum(centre - half, -1.0)), np.fmax(high, np.minimum(centre + half, 1.0))
    return Interval(value, np.where(np.isnan(value), np.nan, low)[()], np.where(np.isnan(value), np.nan, high)[()])


def ratio(first: Rate, second: Rate) -> Interval:
    """One rate over another: square-and-add on the log scale; 0 over something is 0, over 0 is NaN.

    >>> [round(float(v), 2) for v in ratio(rate(8, 10), rate(20, 50))]
    [2.0, 1.03, 3.17]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        (a, la, ua), (b, lb, ub) = ([np.log(v) for v in side[:3]] for side in (first, second))
        value = np.where(second.value > 0, first.value / second.value, np.nan)
        low = np.where(first.value > 0, np.exp(a - b - np.hypot(a - la, ub - b)), 0.0)
        high = np.where(first.value > 0, np.exp(a - b + np.hypot(ua - a, b - lb)), np.exp(ua - lb))
    low, high = np.nan_to_num(low, nan=0.0), np.where(np.isnan(high), np.inf, high)
    unknown = np.isnan(value)
    return Interval(value[()], np.where(unknown, np.nan, low)[()], np.where(unknown, np.nan, high)[()])


def paired(up: npt.ArrayLike, down: npt.ArrayLike, n: npt.ArrayLike, level: npt.ArrayLike = 0.95) -> Interval:
    """How far has a rate moved on the same n rows, of which `up` went from 0 to 1 and `down` from 1 to 0? In -1..1.

    The two shares are cells of one multinomial, joined by square-and-add with their correlation: on Jeffreys' bounds,
    and then the wider of that and the adjusted Wald interval of Bonett and Price (2012), J. Educ. Behav. Stat. 37:479;
    below 20 rows, where these fall to 91 %, on exact bounds. n = 0 gives NaN.

    >>> [round(float(v), 3) for v in paired(6, 1, 40)]
    [0.125, -0.016, 0.262]
    """
    up, down, n = (np.asarray(a, float) for a in (up, down, n))
    with np.errstate(divide="ignore", invalid="ignore"):
        p, q = (np.where(n > 0, np.minimum(a / n, 1.0), np.nan) for a in (up, down))
        pull = np.nan_to_num(-np.sqrt(p * q / ((1 - p) * (1 - q))))
    pull = np.where(p + q >= 1 - 1e-12, -1.0, pull)
    few = mover((p, *exact(up, n, level)), (q, *exact(down, n, level)), pull)
    near = mover((p, *jeffreys(up, n, level)), (q, *jeffreys(down, n, level)), pull)
    a, b = (up + 1) / (n + 2), (down + 1) / (n + 2)
    half = ndtri(0.5 + np.asarray(level, float) / 2) * np.sqrt(np.maximum(a + b - (a - b) ** 2, 0) / (n + 2))
    low = np.where(n < 20, few.low, np.fmin(near.low, a - b - half))
    high = np.where(n < 20, few.high, np.fmax(near.high, a - b + half))
    unknown = np.isnan(few.low)
    return Interval(few.value, *(np.where(unknown, np.nan, np.clip(v, -1.0, 1.0))[()] for v in (low, high)))


def few_valued(
    at_least: npt.ArrayLike, n: float, values: npt.ArrayLike, *, effect: float = 1.0, level: float = 0.95
) -> Interval:
    """Between which bounds lies the mean of something that takes few values? In the unit of the values.

    `values` are sorted upwards; `at_least` says how many of the n rows are at least the second, the third, ... value.
    The mean is the first value plus the steps times the shares at or above them. Each share has exact bounds on counts
    divided by the design `effect`; they are joined by square-and-add (Zou and Donner 2008) with the correlations that
    nested shares have. n = 0: NaN.

    >>> [round(float(v), 3) for v in few_valued([9, 9, 2, 2], 10, [-3, -1, 0, 1, 3])]  # one loses 3, two gain 3
    [0.3, -0.957, 1.467]
    """
    values = np.asarray(values, float)
    steps, k = np.diff(values), np.asarray(at_least, float)
    if not n > 0:
        return Interval(np.nan, np.nan, np.nan)
    p = k / n
    low, high = exact(k / effect, n / effect, level)
    down, up = steps * (p - low), steps * (high - p)
    smooth = (k + 0.5) / (n + 1)  # half a row is added, so that shares of 0 and 1 have a correlation too
    rarer, likelier = np.minimum.outer(smooth, smooth), np.maximum.outer(smooth, smooth)
    both = np.minimum(np.sqrt(rarer * (1 - likelier) / (likelier * (1 - rarer))), 1.0)
    value = float(values[0] + steps @ p)
    return Interval(value, value - float(np.sqrt(down @ both @ down)), value + float(np.sqrt(up @ both @ up)))
