"""Rows that go together: one variance for rows clustered one way or two, and what follows from it.

Answers go together by who gave them and by whom they are about; items go together by the person served. An estimate is
a sum of what each row adds to it (its share); the shares of one cluster are added before they are squared.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.special import stdtrit

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
FEWEST = 3.0  # clusters of equal weight below which no interval is claimed
NOTHING = 1e-20  # a variance that is rounding


def codes(values: npt.ArrayLike) -> Codes:
    """Clusters as codes 0, 1, ... in the order of their names.

    >>> codes(["b", "a", "b"]).tolist()
    [1, 0, 1]
    """
    return np.unique(np.asarray(values), return_inverse=True)[1].astype(np.int64).reshape(-1)


def variance(shares: npt.ArrayLike, *clusters: npt.ArrayLike) -> Floats:
    """The variance of an estimate from what each row adds to it, rows clustered no way, one way or two; one a column.

    `shares` (rows, or rows x estimates) sum to the error of the estimate, so the mean's are (x - mean) / n. Two ways:
    the variance by the first clusters plus that by the second minus that by both (Cameron, Gelbach and Miller 2011,
    JBES 29:238), each with the factor G / (G - 1). Never below that by one of them alone, nor below that of independent
    rows: where a two-way sum is smaller, it is by chance. One cluster, or one row: NaN.

    >>> x = np.array([1.0, 2.0, 3.0, 6.0])
    >>> variance((x - 3) / 4).round(4).tolist(), variance((x - 3) / 4, [0, 0, 1, 1]).round(4).tolist()
    ([1.1667], [2.25])
    """
    x = np.asarray(shares, float)
    x = x.reshape(len(x), -1)
    given = [codes(c) for c in clusters]
    parts = [_summed(x, np.arange(len(x))), *(_summed(x, c) for c in given)]
    if len(given) == 2:
        both = codes(given[0] * (given[1].max(initial=0) + 1) + given[1])
        parts.append(parts[1] + parts[2] - _summed(x, both))
    return np.asarray(np.maximum.reduce(parts), float)


def _gather(cluster: Codes) -> csr_array:
    """Clusters x rows: times an array of rows, the clusters' sums."""
    rows = np.arange(len(cluster))
    return csr_array((np.ones(len(rows)), (cluster, rows)), shape=(int(cluster.max(initial=-1)) + 1, len(rows)))


def _summed(x: Floats, cluster: Codes) -> Floats:
    """Squares of the clusters' sums with the factor for few clusters."""
    sums = _gather(cluster) @ x
    count = len(sums)
    factor = count / (count - 1) if count > 1 else math.nan
    return np.asarray(factor * (sums**2).sum(axis=0), float)


def effective(weight: npt.ArrayLike, *clusters: npt.ArrayLike) -> float:
    """As how many clusters of equal weight do these rows count, by the clustering that counts least? No rows: 0.

    (sum of weights)^2 / sum of squares (Kish 1965): a few clusters that hold most of the rows leave few degrees of
    freedom (Carter, Schnepel and Steigerwald 2017, REStat 99:698). Without clusters every row is one.

    >>> round(effective(np.ones(12), np.repeat([0, 1, 2], [10, 1, 1])), 2), effective(np.ones(4))
    (1.41, 4.0)
    """
    w = np.asarray(weight, float)
    if not w.sum() > 0:
        return 0.0
    sums = [np.bincount(codes(c), weights=w) for c in clusters] or [w]
    return float(min(s.sum() ** 2 / (s @ s) for s in sums))


def design(top: Floats, bottom: Floats, *clusters: Codes) -> tuple[Floats, Floats]:
    """The design effect of rates (columns) whose rows add `top` to the numerator and `bottom` to the denominator.

    Also the degrees of freedom: the effective clusters with a row that counts, less one. The effect is how many times
    the variance of independent rows the clustered one is, at least 1; where all rows are alike and nothing varies, the
    rows count as many as there are clusters. No clusters: 1 and infinity.

    >>> top = np.array([[1.0], [1.0], [0.0], [0.0]])
    >>> [v.round(3).tolist() for v in design(top, np.ones((4, 1)), np.array([0, 0, 1, 1]))]
    [[3.0], [1.0]]
    """
    n = bottom.sum(axis=0)
    if not clusters:
        return np.ones(len(n)), np.full(len(n), math.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        residual = np.nan_to_num(top - top.sum(axis=0) / n * bottom)
        alone = variance(residual)
        effect = np.where(alone > 1e-12, variance(residual, *clusters) / alone, np.nan)
        sizes = [_gather(codes(c)) @ bottom for c in clusters]
        equal = np.min([n**2 / (s**2).sum(axis=0) for s in sizes], axis=0)
        effect = np.where(np.isnan(effect), n / equal, effect)
    return np.fmax(effect, 1.0), equal - 1.0


def mean_interval(x: npt.ArrayLike, *clusters: npt.ArrayLike, level: float = 0.95) -> tuple[float, float, float]:
    """What is the mean, and between which bounds? (mean, low, high), a Student t interval.

    `clusters` (codes or names, none, one or two arrays) make the bounds hold where values of one cluster go together.
    One value or one cluster: the bounds are NaN. Nothing, or any missing value: all NaN. The order of values does not
    change a bit. Liang and Zeger (1986), Biometrika 73:13.

    >>> [round(v, 4) for v in mean_interval([1.0, 2.0, 3.0, 4.0])]
    [2.5, 0.4457, 4.5543]
    """
    x = np.asarray(x, float)
    if x.size == 0 or np.isnan(x).any():
        return math.nan, math.nan, math.nan
    given = [codes(c) for c in clusters]
    order = np.lexsort([x, *given])
    x, given = x[order], [c[order] for c in given]
    mean = float(x.mean())
    df = effective(np.ones(len(x)), *given) - 1
    spread = float(variance((x - mean) / x.size, *given)[0])
    if math.isnan(spread) or df < 1e-9:
        return mean, math.nan, math.nan
    half = float(stdtrit(df, 0.5 + level / 2)) * math.sqrt(spread)
    return mean, mean - half, mean + half
