"""All measures of one set of rows, each with its interval: means with exact bounds, the others by resampling.

A Student interval is symmetric and too short where few events are seen; Wilson's falls to 83 % near the ends of the
scale. The bounds of Clopper and Pearson (1934) hold there, so every mean here is read as a share of as many independent
rows as would vary as much: clustered answers count less, a score that explains the label counts more (the effective
sample size of Korn and Graubard 1998, Survey Methodology 24:193).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import ndtri, stdtrit

from hfkit.calibration import resample as r
from hfkit.calibration.binned import Codes, Floats, bin_noise, bin_of, brier_parts, debiased, ece
from hfkit.calibration.recalibrate import slope
from hfkit.shared import cluster, intervals
from hfkit.shared.cluster import FEWEST
from hfkit.shared.intervals import Interval

UNDEFINED = Interval(math.nan, math.nan, math.nan)
MIN_EVENTS = 10  # people with the event, and without, below which no interval is claimed by resampling
A_BIN = 10  # people with the rarer class a bin below which the spread between bins is mostly chance
WINDOW = 0.05  # scores this near the threshold show what happens at it


def worth(n: int, clusters: Sequence[Codes]) -> float:
    """Of how many independent rows is a mean worth at least: as if rows of one cluster were all alike (Kish 1965).

    >>> worth(6, [np.array([0, 0, 1, 1, 2, 2])]), worth(6, [np.arange(6), np.arange(6)])
    (3.0, 6.0)
    """
    return 1 / (sum(1 / cluster.effective(np.ones(n), c) for c in clusters) - (len(clusters) - 1) / n)


def rarer(y: Floats, clusters: Sequence[Codes]) -> float:
    """On how many clusters of equal weight does the rarer of two classes lie? 0 where there is one class."""
    return min(cluster.effective(side, *clusters) for side in (y, 1 - y))


def share(value: float, variance: float, *, carriers: float, least: float, level: float) -> tuple[float, float]:
    """Between which bounds does a mean in [0, 1] lie, given its variance? Exact for a share of independent rows.

    The variance rests on `carriers` clusters, which sets Student's degrees of freedom; `least` is the number of
    independent rows the mean is worth in any case. A missing variance gives NaN.

    >>> low, high = share(0.5, 0.25 / 10, carriers=1e9, least=5, level=0.95)
    >>> round(low, 3), round(high, 3), [round(float(v), 3) for v in intervals.exact(5, 10)]
    (0.187, 0.813, [0.187, 0.813])
    """
    if math.isnan(variance):
        return math.nan, math.nan
    size = max(least, 1.0)
    if 0 < value < 1:
        wider = float(stdtrit(max(carriers, 2.0) - 1, 0.5 + level / 2) / ndtri(0.5 + level / 2))
        size = max(value * (1 - value) / max(variance * wider**2, 1e-15), size)
    low, high = intervals.exact(value * size, size, level)
    return float(low), float(high)


def mean(x: Floats, clusters: Sequence[Codes], *, level: float = 0.95) -> Interval:
    """The mean of numbers in [0, 1] with its bounds; nothing gives NaN, one cluster no bounds.

    Where all are 0 or 1 there is no variation to count by, and the clusters are counted instead.

    >>> [round(v, 3) for v in mean(np.repeat([0.0, 1.0], 5), [np.arange(10)])]
    [0.5, 0.187, 0.813]
    >>> [round(v, 3) for v in mean(np.zeros(12), [np.arange(12) // 2])]
    [0.0, 0.0, 0.459]
    """
    return Interval(float(x.mean()), *_bounds(x, x, clusters, level)) if len(x) else UNDEFINED


def gap(y: Floats, s: Floats, clusters: Sequence[Codes], *, level: float = 0.95) -> Interval:
    """The event rate less the mean score, in [-1, 1]: bounds of a rate that varies as the residuals do.

    With fewer than ten events or non-events the variance of the residuals is not well estimated: the bounds are those
    of the rate and of the mean score, squared and added (see intervals.mover). Nothing gives NaN.

    >>> value, low, high = gap(np.repeat([0.0, 1.0], 10), np.full(20, 0.4), [np.arange(20)])
    >>> round(value, 2), low < 0 < high
    (0.1, True)
    """
    if not len(y):
        return UNDEFINED
    if min(y.sum(), (1 - y).sum()) < MIN_EVENTS:
        score = cluster.mean_interval(s, *clusters, level=level)
        return Interval(*(float(v) for v in intervals.mover(mean(y, clusters, level=level), score)))
    centre = float(s.mean())
    low, high = _bounds(y, y - s, clusters, level)
    return Interval(float(y.mean()) - centre, low - centre, high - centre)


def _bounds(x: Floats, varies: Floats, clusters: Sequence[Codes], level: float) -> tuple[float, float]:
    """Bounds of the mean of x, whose variance is that of the mean of `varies`."""
    binary = bool(np.isin(x, (0, 1)).all())
    carriers = rarer(x, clusters) if binary else cluster.effective(np.ones(len(x)), *clusters)
    variance = float(cluster.variance((varies - varies.mean()) / len(x), *clusters)[0])
    return share(float(x.mean()), variance, carriers=carriers, least=worth(len(x), clusters), level=level)


def estimate(
    y: Floats, s: Floats, clusters: Sequence[Codes], *, threshold: float, n_boot: int, level: float,
    rng: np.random.Generator,
) -> tuple[dict[str, Interval], str]:  # fmt: skip
    """All measures of one set of rows by name, and a note on what is missing.

    `y` 0 or 1, `s` in [0, 1], none missing; `clusters` are one or two arrays of codes of rows that go together. Where
    fewer than MIN_EVENTS people or raters (or FEWEST of equal share) are behind one of the classes, the resampled
    measures are values without intervals; all are where the rows rest on fewer than FEWEST. What does not exist (the
    slope of one class) is NaN. No rows: nothing.
    """
    if not len(y):
        return {}, "no rows"
    fit, parts = slope(y, s), brier_parts(y, s)
    codes, factor = r.choose(y - s, clusters)
    values = {
        "ECE": ece(y, s), "debiased calibration error": debiased(y, s, codes),
        "reliability": parts["reliability"], "resolution": parts["resolution"], "calibration slope": fit[1],
    }  # fmt: skip
    means = _means(y, s, clusters, threshold, level)
    alone = {name: Interval(v, math.nan, math.nan) for name, v in values.items()} | means
    if cluster.effective(np.ones(len(y)), *clusters) < FEWEST:
        note = f"no interval: the rows rest on fewer than {FEWEST:.0f} people of equal share"
        return {name: Interval(v.value, math.nan, math.nan) for name, v in alone.items()}, note
    carriers, fewest = rarer(y, clusters), min(len(np.unique(c[y == side])) for c in clusters for side in (0, 1))
    if fewest < MIN_EVENTS or carriers < FEWEST:
        rest = "one of the classes is about too few people, or from too few raters"
        return alone, f"no interval: {rest if 0 < y.sum() < len(y) else 'only one class among the labels'}"
    plan = r.Plan(rng=rng, n_boot=n_boot, stretch=r.stretch(carriers, factor, level))
    draws = r.draw(y, s, codes, fit=fit, plan=plan)
    largest = min(max(abs(end) for end in means["calibration in the large"][1:]), 1.0)
    enough = fewest >= A_BIN * len(np.unique(bin_of(s)))
    return alone | _absolute(y, s, codes, values, draws, largest) | _smooth_functions(fit, parts, draws, enough), ""


def _means(y: Floats, s: Floats, clusters: Sequence[Codes], threshold: float, level: float) -> dict[str, Interval]:
    """The measures that are means, or follow from one."""
    rate, brier = mean(y, clusters, level=level), mean((s - y) ** 2, clusters, level=level)
    near = np.abs(s - threshold) <= WINDOW
    at_it = gap(y[near], s[near], [c[near] for c in clusters], level=level)
    return {
        "Brier score": brier if 0 < rate.value < 1 else Interval(brier.value, math.nan, math.nan),
        "uncertainty": uncertain(rate),
        "calibration in the large": gap(y, s, clusters, level=level),
        "calibration at threshold": at_it if near.sum() >= MIN_EVENTS else UNDEFINED,
    }


def uncertain(rate: Interval) -> Interval:
    """p (1 - p) of a rate and its bounds.

    >>> tuple(uncertain(Interval(0.4, 0.25, 0.6)))
    (0.24, 0.1875, 0.25)
    """
    p, low, high = rate
    ends = (low * (1 - low), high * (1 - high))
    return Interval(p * (1 - p), min(ends), 0.25 if low <= 0.5 <= high else max(ends))


def _absolute(
    y: Floats, s: Floats, codes: Codes, values: dict[str, float], draws: r.Draws, largest: float
) -> dict[str, Interval]:
    """The measures that are absolute or squared gaps, whose plain bootstrap would be biased.

    None of them is less than the gap in the large, so none has an upper bound below the `largest` that may be.
    """
    n, total = len(y), draws.replicate["n"].sum(axis=1, keepdims=True)
    bins = draws.replicate["gap"] / total + draws.replicate["unseen"]
    out = {
        "ECE": r.absolute(values["ECE"], draws.point["gap"] / n, bins, draws),
        "debiased calibration error": r.squared(values["debiased calibration error"], *bin_noise(y, s, codes), draws),
    }
    out = {name: v._replace(high=max(v.high, largest)) for name, v in out.items()}
    square, reliability = out["debiased calibration error"], values["reliability"]
    bounds = min(square.low**2, reliability), max(square.high**2, reliability)
    return {**out, "reliability": Interval(reliability, *bounds)}


def _smooth_functions(
    fit: tuple[float, float], parts: dict[str, float], draws: r.Draws, enough: bool
) -> dict[str, Interval]:
    """The measures that are smooth functions of means: Student t intervals on the replicates' spread."""
    again, total = draws.replicate, draws.replicate["n"].sum(axis=1)
    brier, rate = again["square"][:, 0] / total, again["event"].sum(axis=1) / total
    bins = (again["gap"] ** 2 / np.maximum(again["n"], 1)).sum(axis=1) / total
    replicates = bins + rate * (1 - rate) - brier
    value, low, high = r.around(parts["resolution"], replicates, draws.stretch)
    low -= max(float(replicates.mean()) - value, 0.0)  # chance spreads bins apart
    high = min(high + (high - value) ** 2 / (4 * max(value, 1e-9)), 0.25)  # the bound of its root, squared
    out = {"resolution": Interval(value, low, high) if enough else Interval(value, math.nan, math.nan)}
    if not math.isnan(fit[1]):
        out["calibration slope"] = r.around(fit[1], r.slope_replicates(fit, draws), draws.stretch)
    return out
