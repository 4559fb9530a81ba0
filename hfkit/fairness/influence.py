"""Scores of some rows and what each row adds to them: AUC, log loss, Brier score and calibration in the large.

Every measure is a mean, or an average over pairs whose rows add independent shares (DeLong et al. 1988, Biometrics
44:837). So its variance is a sum of squared shares, of rows or of clusters of rows, and nothing is resampled.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.special import ndtr, ndtri, stdtrit

from hfkit.fairness.rows import Ints, Perspective
from hfkit.shared import stats

SCORES = ("AUC", "log loss", "Brier score", "calibration in the large")
DIRECTION = {"AUC": "higher", "log loss": "lower", "Brier score": "lower", "calibration in the large": "target"}
ENOUGH = 10  # events, and non-events, in so many items and raters: below, an interval does not hold
NOTHING = 1e-20  # a variance that is rounding
_CLIP = 1e-6  # as in stats.log_loss

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Interval = tuple[Floats, Floats, Floats]


@dataclass(frozen=True)
class Cases:
    """The rows of one component in a fixed order. First axis of `known`: baseline's score, candidate's, both.

    `rank` (model x row) orders the scores, equal ones alike. `loss` (set x measure x row) holds log loss, squared error
    and event minus score, 0 where not known; the third set is the candidate's minus the baseline's.
    """

    event: Bools
    known: Bools
    rank: Ints
    loss: Floats
    unit: Ints
    item: Ints
    independent: bool
    order: Ints


@dataclass(frozen=True)
class Measured:
    """What some sets of rows measure: `value` and `variance` by side, set (baseline, candidate, change) and measure.

    `effect` is the design effect (1 = independent rows). By side and set: rows, events, `clusters` (items or raters,
    whichever are fewer) and `fewest`, the same of rows with an event or of rows without, whichever are fewer.
    """

    value: Floats
    variance: Floats
    effect: Floats
    n: Ints
    events: Ints
    clusters: Ints
    fewest: Ints
    independent: bool


def cases(p: Perspective, component: int) -> Cases:
    """The rows of one component, sorted by what is measured, so that the order they came in cannot matter."""
    score = np.full((len(p.y), 2), np.nan) if p.score is None else p.score
    rows = np.flatnonzero(p.component == component)
    rows = rows[np.lexsort((p.y[rows], score[rows, 0], score[rows, 1]))]
    s, event = score[rows].T, p.y[rows] == 1
    known = ~np.isnan(s)
    known = np.vstack([known, known[:1] & known[1:]])
    ranks = np.stack([np.unique(v, return_inverse=True)[1] for v in s]) if len(rows) else np.zeros((2, 0))
    sure = np.clip(s, _CLIP, 1 - _CLIP)
    loss = np.stack([-np.log(np.where(event, sure, 1 - sure)), (event - s) ** 2, event - s], axis=1)
    loss = np.nan_to_num(np.concatenate([loss, loss[1:] - loss[:1]]))
    return Cases(event, known, ranks.astype(np.int64), loss, p.unit[rows], p.item[rows], p.name == "served", rows)


def measured(c: Cases, sides: list[Bools]) -> Measured:
    """Every measure of both models, and the change, on each set of rows in `sides` (masks over the cases).

    NaN where nothing can be measured: no row with a score; for AUC no event, or no row without one.
    """
    size = len(sides)
    moments, counts = np.full((size, 3, 3, 4), np.nan), np.zeros((size, 4, 3), np.int64)
    for k, use in enumerate(sides):
        rows = np.flatnonzero(use)
        whole = bool(c.known[:, rows].all())
        ranked: list[tuple[float, Floats]] = []
        for s in range(3):
            own = rows if whole else rows[c.known[s, rows]]
            event = c.event[own]
            if s < 2 or not whole:
                ranked = ranked[: 2 if s else 0] + [_ranked(event, c.rank[m, own]) for m in ((s,) if s < 2 else (0, 1))]
            moments[k, :, s] = _set(c, own, c.loss[s], ranked[-2:] if s == 2 else ranked[-1:])
            counts[k, :, s] = len(own), int(event.sum()), *_clusters(c, own, event)
    return Measured(*moments.swapaxes(0, 1), *counts.swapaxes(0, 1), c.independent)


def _set(c: Cases, rows: Ints, loss: Floats, ranked: list[tuple[float, Floats]]) -> Floats:
    """Value, variance and design effect of each measure on some rows; `ranked` of two models gives their difference."""
    auc, share = ranked[-1]
    if len(ranked) > 1:
        auc, share = auc - ranked[0][0], share - ranked[0][1]
    mean, residual = _averaged(loss[:, rows])
    value = np.array([auc, *mean])
    alone, together = _variances(np.vstack([share, residual]), c, rows)
    with np.errstate(divide="ignore", invalid="ignore"):
        effect = np.where(alone > NOTHING, together / alone, 1.0 if c.independent else np.inf)
    return np.where(np.isnan(value), np.nan, np.array([value, together, effect]))


def _ranked(event: Bools, rank: Ints) -> tuple[float, Floats]:
    """AUC and each row's share of it: how much of the other class lies on its right side, less the mean.

    Shares are scaled so that the sum of their squares is DeLong's variance.
    """
    events = int(event.sum())
    others = len(event) - events
    if not events or not others:
        return np.nan, np.zeros(len(event))
    if 8 * len(rank) < rank.max():
        rank = np.unique(rank, return_inverse=True)[1]
    size = int(rank.max()) + 1
    up, down = (np.bincount(rank[own], minlength=size) for own in (event, ~event))
    below, above = np.cumsum(down) - down / 2, events - np.cumsum(up) + up / 2
    auc = float(up @ below) / (events * others)
    share = np.where(event, below[rank] / others, above[rank] / events) - auc
    scale = [1 / np.sqrt(max(k - 1, 1) * float(k)) for k in (others, events)]
    return auc, share * np.take(scale, event.astype(int))


def _averaged(x: Floats) -> tuple[Floats, Floats]:
    """Means over the last axis, and each row's share, scaled so that squares sum to the variance of the mean."""
    n = x.shape[-1]
    if not n:
        return np.full(len(x), np.nan), x
    mean = x.mean(axis=-1)
    return mean, (x - mean[:, None]) / np.sqrt(max(n - 1, 1) * float(n))


def _averaged(x: Floats) -> tuple[Floats, Floats]:
    """Means over the last axis, and each row's share, scaled so that squares sum to the variance of the mean."""
    n = x.shape[-1]
    if not n:
        return np.full(len(x), np.nan), x
    mean = x.mean(axis=-1)
    return mean, (x - mean[:, None]) / np.sqrt(max(n - 1, 1) * float(n))


def _variances(share: Floats, c: Cases, rows: Ints) -> tuple[Floats, Floats]:
    """Variance of independent rows: the sum of squares. Of clustered ones: by rater plus by item minus by row.

    The second is never below the first. Cameron, Gelbach and Miller (2011), JBES 29:238.
    """
    alone = np.einsum("ij,ij->i", share, share)
    if c.independent or not len(rows):
        return alone, alone
    by = [_summed(share, code[rows]) for code in (c.unit, c.item)]
    return alone, np.maximum(by[0] + by[1] - alone, alone)


def _summed(share: Floats, cluster: Ints) -> Floats:
    """Squares of the clusters' sums with the factor for few clusters; of one cluster alone: NaN."""
    codes = np.unique(cluster, return_inverse=True)[1]
    count = int(codes.max()) + 1
    gather = csr_array((np.ones(len(codes)), (codes, np.arange(len(codes)))), shape=(count, len(codes)))
    factor = count / (count - 1) if count > 1 else np.nan
    return np.asarray(factor * ((gather @ share.T) ** 2).sum(axis=0), float)


def _clusters(c: Cases, rows: Ints, event: Bools) -> tuple[int, int]:
    """The fewest items or raters of all rows, and of the rows of either class."""
    if c.independent:
        events = int(event.sum())
        return len(rows), min(events, len(rows) - events)
    codes = (c.unit[rows], c.item[rows])
    each = [len(np.unique(code[own])) for code in codes for own in (event, ~event)]
    return min(len(np.unique(code)) for code in codes), min(each)


def alone(m: Measured, level: float) -> Interval:
    """(value, low, high) of every measure of the baseline and of the candidate: side, model, measure.

    AUC and calibration in the large have the exact bounds of a share (Clopper and Pearson 1934) of as many rows as
    their variance says they are worth (Korn and Graubard 1998, Survey Methodology 24:193). The losses have Student's
    bounds below and those of their logarithm above, the wider ones on either side, as a few large losses make the mean.
    NaN below ENOUGH (see the module), but for calibration in the large, which has bounds at any number of rows.
    """
    value = m.value[:, :2]
    bounds = np.stack([_ranking(m, level), _loss(m, 1, level), _loss(m, 2, level), _balance(m, level)], axis=-1)
    return value, np.minimum(bounds[0], value), np.maximum(bounds[1], value)


def _student(clusters: npt.ArrayLike, level: float) -> Floats:
    """Student's quantile with `clusters` - 1 degrees of freedom; NaN below one."""
    df = np.asarray(clusters, float) - 1
    return np.asarray(stdtrit(np.where(df >= 1, df, np.nan), 0.5 + level / 2), float)


def _share(share: Floats, worth: Floats, sure: Floats) -> Floats:
    """Exact bounds, low and high, of a share of `worth` rows; `sure` is a quantile of the normal."""
    known = ~np.isnan(share * worth * sure) & (worth > 0)
    low, high = stats.exact(np.where(known, share * worth, 0.0), np.where(known, worth, 0.0), 2 * ndtr(sure) - 1)
    return np.where(known, [low, high], np.nan)


def _ranking(m: Measured, level: float) -> Floats:
    """Bounds of AUC. DeLong's variance is near 0 where few rows rank nearly perfectly, so ENOUGH rows of the variance
    that Hanley and McNeil's model gives (as in Newcombe 2006, Statistics in Medicine 25:559, method 5) are mixed in.
    """
    auc, fewest = m.value[:, :2, 0], m.fewest[:, :2]
    k, n = m.events[:, :2].astype(float), (m.n - m.events)[:, :2].astype(float)
    smooth = (auc * fewest + 0.5) / (fewest + 1)
    perfect = (auc <= 0) | (auc >= 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        model = 1 + ((k + n) / 2 - 1) * ((1 - smooth) / (2 - smooth) + smooth / (1 + smooth))
        model *= smooth * (1 - smooth) / (k * n) * np.where(perfect, (k + n) / m.clusters[:, :2], m.effect[:, :2, 0])
        mixed = (fewest * np.where(perfect, 0.0, m.variance[:, :2, 0]) + ENOUGH * model) / (fewest + ENOUGH)
        worth = smooth * (1 - smooth) / mixed
    told = (fewest >= ENOUGH) & (perfect | (m.variance[:, :2, 0] > NOTHING))
    return _share(auc, np.where(told, worth, np.nan), _student(fewest, level))


def carried(m: Measured, measure: int) -> Floats:
    """By how many rows or clusters is a mean loss carried? Side and model; the fewer of `fewest` and Kish's number.

    The squared sum over the sum of squares (Kish 1965, Survey Sampling) counts the large losses where the rest is
    near 0.
    """
    mean, n = m.value[:, :2, measure], m.n[:, :2]
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = m.variance[:, :2, measure] / m.effect[:, :2, measure]
        return np.asarray(np.fmin(n * mean**2 / (mean**2 + (n - 1) * spread), m.fewest[:, :2]), float)


def _loss(m: Measured, measure: int, level: float) -> Floats:
    """Bounds of a mean loss; the Brier score's end at 1."""
    mean, rows = m.value[:, :2, measure], carried(m, measure)
    told = (rows >= ENOUGH) & (m.variance[:, :2, measure] > NOTHING)
    half = _student(np.where(told, rows, np.nan), level) * np.sqrt(m.variance[:, :2, measure])
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        high = mean * np.exp(half / mean)
    return np.stack([np.maximum(mean - half, 0.0), np.minimum(high, 1.0) if measure == 2 else high])


def _balance(m: Measured, level: float) -> Floats:
    """Bounds of calibration in the large: the event rate's, less the mean score.

    What a row is worth follows from the variance of event minus score; below ENOUGH no more than a row, as that
    variance is then a guess.
    """
    n, events, clusters = (a[:, :2].astype(float) for a in (m.n, m.events, m.clusters))
    with np.errstate(divide="ignore", invalid="ignore"):
        rate, smooth = events / n, (events + 1) / (n + 2)
        worth = smooth * (1 - smooth) / m.variance[:, :2, 3]
    few = (m.fewest[:, :2] < ENOUGH) | ~(m.variance[:, :2, 3] > NOTHING)
    worth = np.where(few, np.fmin(worth, clusters), worth)
    normal = np.full(few.shape, ndtri(0.5 + level / 2))
    sure = np.where(few, normal if m.independent else _student(clusters, level), _student(m.fewest[:, :2], level))
    return _share(rate, worth, sure) + (m.value[:, :2, 3] - rate)


def changes(m: Measured, level: float) -> Interval:
    """(value, low, high) of candidate minus baseline on rows with both scores: side, measure. Student's bounds.

    NaN where `fewest` < ENOUGH, and where no row tells the models apart.
    """
    value, variance = m.value[:, 2], m.variance[:, 2]
    told = (m.fewest[:, 2] >= ENOUGH)[:, None] & (variance > NOTHING)
    half = np.where(told, _student(m.fewest[:, 2], level)[:, None] * np.sqrt(variance), np.nan)
    return value, value - half, value + half
