"""Scores, bootstraps and adjusted p values that more than one room needs. Plain numbers in and out; NaN if undefined.

Every function works on whole arrays, and the order of rows does not change a bit of the result. `level` is the
confidence level of a two-sided interval. Nothing here draws chance by itself: a random generator is an argument.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, stdtrit

from hfkit.shared.cluster import effective
from hfkit.shared.cluster import variance as variances

Floats = npt.NDArray[np.float64]
_CLIP = 1e-6  # a probability of exactly 0 or 1 costs a finite log loss


def _ordered(cluster: npt.ArrayLike | None, *arrays: npt.ArrayLike) -> tuple[npt.NDArray[Any], list[npt.NDArray[Any]]]:
    """Cluster codes (one a row without) and arrays by cluster and value: sums to the same bit in any order of rows."""
    data = [np.asarray(a) for a in arrays]
    n = len(data[0])
    codes = np.zeros(n, int) if cluster is None else np.unique(np.asarray(cluster), return_inverse=True)[1]
    order = np.lexsort([*(column for a in data for column in np.atleast_2d(a.T)), codes])
    return np.arange(n) if cluster is None else codes[order], [a[order] for a in data]


def bootstrap(
    statistic: Callable[..., float], *arrays: npt.ArrayLike, rng: np.random.Generator, n_boot: int = 1000,
    cluster: npt.ArrayLike | None = None, level: float = 0.95,
) -> tuple[float, float, float]:  # fmt: skip
    """Between which bounds does a statistic of rows lie? (value, low, high), rows or whole clusters resampled.

    Percentile interval with the tails widened for few rows or clusters (Hesterberg 2015, The American Statistician
    69:371: the plain percentile interval is too short by about sqrt((n - 1) / n) and a normal quantile). Replicates
    where the statistic is NaN are left out; where they are more than half, or rows or clusters fewer than 2, the bounds
    are NaN. For counts use `resample_counts`, which draws the same without touching rows.

    >>> rng = np.random.default_rng(0)
    >>> value, low, high = bootstrap(np.mean, np.arange(50.0), rng=rng, n_boot=500)
    >>> value, 19 < low < 22, 27 < high < 30
    (24.5, True, True)
    """
    codes, data = _ordered(cluster, *arrays)
    value = float(statistic(*data)) if len(codes) else math.nan
    sizes = np.bincount(codes)
    if len(sizes) < 2:
        return value, math.nan, math.nan
    starts = np.cumsum(sizes) - sizes
    draws = np.empty(n_boot)
    for b in range(n_boot):
        pick = rng.integers(0, len(sizes), len(sizes))
        take = sizes[pick]
        rows = np.arange(take.sum()) + np.repeat(starts[pick] - np.cumsum(take) + take, take)
        draws[b] = statistic(*(a[rows] for a in data))
    low, high = percentile_interval(draws, units=len(sizes), level=level)
    return value, float(low), float(high)


def percentile_interval(draws: npt.ArrayLike, *, units: int, level: float = 0.95) -> tuple[Any, Any]:
    """The bounds that replicates of a statistic give, (low, high); axis 0 is the replicates.

    `units` is how many rows or clusters were resampled: the tails are widened for few. Undefined where more than
    half of the replicates are.

    >>> [round(float(v), 2) for v in percentile_interval(np.arange(1001.0), units=1_000_000)]
    [25.0, 975.0]
    """
    draws = np.asarray(draws, float)
    if units < 2 or not len(draws):
        nothing = np.full(draws.shape[1:], np.nan)
        return nothing[()], nothing[()]
    tail = float(ndtr(-math.sqrt(units / (units - 1)) * stdtrit(units - 1, 0.5 + level / 2)))
    usable = np.mean(~np.isnan(draws), axis=0) > 0.5
    filled = np.where(usable, draws, 0.0)
    quantile = np.nanquantile if np.isnan(filled).any() else np.quantile  # the same values, several times faster
    low, high = quantile(filled, [tail, 1 - tail], axis=0)
    return np.where(usable, low, np.nan)[()], np.where(usable, high, np.nan)[()]


def resample_counts(counts: npt.ArrayLike, *, rng: np.random.Generator, n_boot: int = 1000) -> npt.NDArray[np.int64]:
    """A row bootstrap of a table of counts: n_boot tables of the same shape and total, replicate first.

    Resampling rows and counting again is exactly one multinomial draw over the cells, at any number of rows.

    >>> resample_counts([[3, 1], [0, 6]], rng=np.random.default_rng(0), n_boot=2).sum(axis=(1, 2)).tolist()
    [10, 10]
    """
    cells = np.asarray(counts, np.int64)
    total = int(cells.sum())
    if total == 0:
        return np.zeros((n_boot, *cells.shape), np.int64)
    return rng.multinomial(total, cells.ravel() / total, size=n_boot).reshape(n_boot, *cells.shape)


def _complete(*arrays: npt.ArrayLike | None) -> list[Floats] | None:
    """The arrays as floats, ordered, a weight of 1 for a missing one; None where a value or everything is missing."""
    n = len(np.asarray(arrays[0]))
    data = [np.ones(n) if a is None else np.asarray(a, float) for a in arrays]
    missing = n == 0 or any(np.isnan(a).any() for a in data)
    return None if missing or data[-1].sum() <= 0 else _ordered(None, *data)[1]


def auc(y: npt.ArrayLike, score: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> float:
    """How often does a row with the event score above one without? 0..1, higher is better, 0.5 = no better than chance.

    Ties count one half. One class only, nothing, or a missing value: NaN. Hanley and McNeil (1982), Radiology 143:29.

    >>> auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), auc([1, 1], [0.1, 0.2]), auc([0, 1], [0.5, 0.5])
    (0.75, nan, 0.5)
    """
    data = _complete(y, score, weight)
    if data is None:
        return math.nan
    event, score, weight = data[0] > 0.5, data[1], data[2]
    values, codes = np.unique(score, return_inverse=True)
    up = np.bincount(codes, weights=weight * event, minlength=len(values))
    down = np.bincount(codes, weights=weight * ~event, minlength=len(values))
    pairs = up.sum() * down.sum()
    return float(np.sum(up * (np.cumsum(down) - down / 2)) / pairs) if pairs > 0 else math.nan


def auc_interval(
    y: npt.ArrayLike, score: npt.ArrayLike, cluster: npt.ArrayLike | None = None, level: float = 0.95
) -> tuple[float, float, float]:
    """How well does a score rank, and between which bounds? (AUC, low, high), each in 0..1, higher is better.

    The spread of the clusters' sums of placements (a row's rank among the other class) gives a Student t interval. One
    class only, nothing, or a missing value: all NaN; a perfect score or one cluster: no bounds. DeLong et al. (1988),
    Biometrics 44:837; clusters as Obuchowski (1997), Biometrics 53:567.

    >>> [round(v, 3) for v in auc_interval([0, 0, 1, 1, 0, 1], [0.1, 0.4, 0.35, 0.8, 0.2, 0.3])]
    [0.778, 0.207, 1.0]
    """
    codes, (event, score) = _ordered(cluster, np.asarray(y, float), np.asarray(score, float))
    value, shares = auc_shares(event, score)
    variance = float(variances(shares, codes)[0]) if len(codes) else math.nan
    if not variance > 0:
        return value, math.nan, math.nan
    half = float(stdtrit(effective(np.ones(len(codes)), codes) - 1, 0.5 + level / 2)) * math.sqrt(variance)
    return value, max(value - half, 0.0), min(value + half, 1.0)


def auc_shares(event: npt.ArrayLike, score: npt.ArrayLike) -> tuple[float, Floats]:
    """The AUC, and what each row adds to its error: how it is placed among the other class, less the mean.

    For the variance of the AUC, or, of two scores of the same rows, of the difference (see cluster.variance). One class
    only, nothing, or a missing value: NaN and zeros. DeLong et al. (1988), Biometrics 44:837.

    >>> value, shares = auc_shares([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> value, shares.tolist()
    (0.75, [0.125, -0.125, -0.125, 0.125])
    """
    event, score = np.asarray(event, float), np.asarray(score, float)
    shares = np.zeros(len(score))
    value = auc(event, score)
    if math.isnan(value):
        return math.nan, shares
    event = event > 0.5
    for own, sign in ((event, 1.0), (~event, -1.0)):
        others = np.sort(score[~own])
        below = (np.searchsorted(others, score[own], "left") + np.searchsorted(others, score[own], "right")) / 2
        placed = below / len(others)
        shares[own] = sign * (placed - np.sort(placed).mean()) / own.sum()
    return value, shares


def log_loss(y: npt.ArrayLike, p: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> float:
    """How surprised are the probabilities by what happened? In nats, 0 or more, lower is better.

    Probabilities are clipped to 1e-6 .. 1 - 1e-6. Nothing, or a missing value: NaN. Good (1952), JRSS B 14:107.

    >>> round(log_loss([1, 0], [0.9, 0.2]), 4), round(log_loss([1], [0.0]), 2)
    (0.1643, 13.82)
    """
    data = _complete(y, p, weight)
    if data is None:
        return math.nan
    y, p = data[0], np.clip(data[1], _CLIP, 1 - _CLIP)
    return float(np.average(-(y * np.log(p) + (1 - y) * np.log1p(-p)), weights=data[2]))


def brier(y: npt.ArrayLike, p: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> float:
    """What is the mean squared error of the probabilities? 0..1, lower is better; NaN for nothing or a missing value.

    Brier (1950), Monthly Weather Review 78:1.

    >>> round(brier([1, 0], [0.9, 0.2]), 4)
    0.025
    """
    data = _complete(y, p, weight)
    return math.nan if data is None else float(np.average((data[0] - data[1]) ** 2, weights=data[2]))


def benjamini_hochberg(p: npt.ArrayLike) -> Floats:
    """Which findings stand when many were looked at? p values adjusted so that `<= q` holds the false share at q.

    Missing p values stay missing and do not count. Benjamini and Hochberg (1995), JRSS B 57:289.

    >>> benjamini_hochberg([0.01, 0.04, 0.03, np.nan]).round(4).tolist()
    [0.03, 0.04, 0.04, nan]
    """
    p = np.asarray(p, float)
    adjusted = np.full(p.shape, np.nan)
    finite = np.flatnonzero(~np.isnan(p))
    order = finite[np.argsort(p[finite], kind="stable")]
    scaled = p[order] * len(order) / np.arange(1, len(order) + 1)
    adjusted[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return adjusted
