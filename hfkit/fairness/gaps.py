"""Rates of each group, gaps against everyone else, changes from baseline to candidate: arrays with intervals.

Rates have exact bounds (Clopper and Pearson), differences the square-and-add interval on them (MOVER; on Wilson bounds
it is Newcombe's), on counts divided by the design effect and with Student's quantile for the number of raters. Exact
bounds are taken because Wilson's cover only 83 % at n = 5.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, stdtrit

from hfkit.fairness.effective import Floats, Side
from hfkit.fairness.rows import AFTER, BEFORE, CHANGE, fractions
from hfkit.shared import stats

Interval = tuple[Floats, Floats, Floats]


def rates(side: Side, level: Floats) -> Interval:
    """(value, low, high) of the measures of the baseline, then of the candidate; NaN where the denominator is 0."""
    top, bottom = (a[..., :10] for a in side.effective())
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where(bottom > 0, top / bottom, np.nan)
    low, high = stats.exact(top, bottom, _student(side.df[..., :10], level))
    return value, np.minimum(low, value), np.maximum(high, value)


def changes(side: Side, level: Floats) -> Interval:
    """(value, low, high) of candidate minus baseline on the same rows, a measure each.

    Paired rows: shares that go up and down are two cells of one multinomial, correlated accordingly. Precision has no
    pairs (its rows differ between the models): its two intervals are subtracted as if independent, which is wide.
    """
    weight, df = side.weight[..., CHANGE], side.df[..., CHANGE]
    up, down, n = (a / weight for a in flips(side))
    with np.errstate(divide="ignore", invalid="ignore"):
        p, q = (np.where(n > 0, a / n, np.nan) for a in (up, down))
        correlation = -np.sqrt(p * q / ((1 - p) * (1 - q)))
    confidence = _student(df, level)
    ends = [(share, *stats.exact(a, n, confidence)) for share, a in ((p, up), (q, down))]
    value, low, high = stats.mover(ends[0], ends[1], np.nan_to_num(np.where(p + q >= 1 - 1e-12, -1.0, correlation)))
    alone = rates(side, level)
    apart = stats.mover(tuple(a[..., AFTER] for a in alone), tuple(a[..., BEFORE] for a in alone))  # type: ignore[arg-type]
    precision = np.arange(5) == 3
    pick = [np.where(precision, a, b) for a, b in zip(apart, (value, low, high), strict=True)]
    return pick[0], np.maximum(pick[1], -1.0), np.minimum(pick[2], 1.0)


def flips(side: Side) -> tuple[Floats, Floats, Floats]:
    """Rows that go from 0 to 1, from 1 to 0, and all rows both models decided, for each measure."""
    net, n = (a[..., CHANGE].astype(float) for a in fractions(side.counts))
    moved = side.counts[..., [0, 1], [1, 0]]  # label by direction: baseline 0 to candidate 1, and 1 to 0
    negative, positive = moved[..., 0, :].sum(axis=-1), moved[..., 1, :].sum(axis=-1)
    both = np.stack([negative + positive, positive, negative, np.zeros_like(positive), negative + positive], axis=-1)
    return (both + net) / 2, (both - net) / 2, n


def ratio(first: Interval, second: Interval) -> Interval:
    """(value, low, high) of one rate over another: MOVER on the log scale; 0 over something is 0, over 0 undefined."""
    with np.errstate(divide="ignore", invalid="ignore"):
        (a, la, ua), (b, lb, ub) = ([np.log(v) for v in side] for side in (first, second))
        value = np.where(second[0] > 0, first[0] / second[0], np.nan)
        low = np.where(first[0] > 0, np.exp(a - b - np.hypot(a - la, ub - b)), 0.0)
        high = np.where(first[0] > 0, np.exp(a - b + np.hypot(ua - a, b - lb)), np.exp(ua - lb))
    low, high = np.nan_to_num(low, nan=0.0), np.where(np.isnan(high), np.inf, high)
    return value, np.where(np.isnan(value), np.nan, low), np.where(np.isnan(value), np.nan, high)


def spread(value: Floats, n: Floats, k: Floats) -> float:
    """How far apart are the best and worst group, without the share that is chance? Max minus min of shrunken rates.

    Rates of few rows scatter, and the largest minus the smallest of many is large even where all are equal. Each rate
    is pulled towards the mean by the share of its variance that chance explains (Efron and Morris 1975, JASA 70:311;
    between-group variance by moments, DerSimonian and Laird 1986). Equal groups give about 0. Fewer than 2 groups: NaN.

    >>> k, n = np.array([14.0, 15.0, 17.0]), np.full(3, 30.0)
    >>> round(float(np.ptp(k / n)), 2), spread(k / n, n, k)
    (0.1, 0.0)
    """
    use = n > 0
    if use.sum() < 2:
        return float("nan")
    value, n = value[use], n[use]
    pooled = float(np.clip((k[use].sum() + 0.5) / (n.sum() + 1), 0, 1))
    noise = pooled * (1 - pooled) / n
    w = 1 / noise
    mean = float(np.average(value, weights=w))
    excess = float(np.sum(w * (value - mean) ** 2)) - (len(value) - 1)
    between = max(excess / float(w.sum() - np.sum(w**2) / w.sum()), 0.0)
    return float(np.ptp(mean + between / (between + noise) * (value - mean)))


def _student(df: Floats, level: Floats) -> Floats:
    """The normal confidence level that reaches as far as Student's quantile; NaN below one degree of freedom."""
    with np.errstate(invalid="ignore"):
        quantile = np.where(np.isinf(df), 0.0, stdtrit(np.where(df >= 1, df, np.nan), 0.5 + level / 2))
    return np.where(np.isinf(df), level, 2 * ndtr(quantile) - 1)
