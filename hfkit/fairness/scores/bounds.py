"""Between which bounds do the scores of some rows lie? Bounds that hold where rows are few, or none at all.

Every rule here was found by simulation (tests/campaigns): where an interval would not hold the
truth in 93 of 100 worlds, it is not given.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri, stdtrit

from hfkit.fairness.perspective import Floats
from hfkit.fairness.scores.influence import Measured
from hfkit.shared import intervals
from hfkit.shared.cluster import NOTHING
from hfkit.shared.intervals import Interval

ENOUGH = 10  # people with an event and without, and rows that carry a loss or a change, for an interval
BORROWED = 20  # rows of a model's variance that stand beside those measured, for AUC near 0 or 1


def alone(m: Measured, level: float) -> Interval:
    """(value, low, high) of every measure of the baseline and of the candidate: side, model, measure.

    AUC and calibration in the large have the exact bounds of a share (Clopper and Pearson 1934) of as many rows as
    their variance says they are worth (Korn and Graubard 1998, Survey Methodology 24:193). The losses have Student's
    bounds below and those of their logarithm above, the wider ones on either side, as a few large losses make the mean.
    NaN below ENOUGH, but for calibration in the large, which has bounds at any number of rows.
    """
    value = m.value[:, :2]
    bounds = np.stack([_ranking(m, level), _loss(m, 1, level), _loss(m, 2, level), _balance(m, level)], axis=-1)
    return Interval(value, np.minimum(bounds[0], value), np.maximum(bounds[1], value))


def _student(clusters: npt.ArrayLike, level: float) -> Floats:
    """Student's quantile with `clusters` - 1 degrees of freedom; NaN below one."""
    df = np.asarray(clusters, float) - 1
    return np.asarray(stdtrit(np.where(df >= 1, df, np.nan), 0.5 + level / 2), float)


def _share(share: Floats, worth: Floats, sure: Floats) -> Floats:
    """Exact bounds, low and high, of a share of `worth` rows; `sure` is a quantile of the normal."""
    usable = ~np.isnan(share * worth * sure) & (worth > 0)
    low, high = intervals.exact(np.where(usable, share * worth, 0.0), np.where(usable, worth, 0.0), 2 * ndtr(sure) - 1)
    return np.where(usable, [low, high], np.nan)


def _ranking(m: Measured, level: float) -> Floats:
    """Bounds of AUC. DeLong's variance is near 0 where few rows rank nearly perfectly, so BORROWED rows of the variance
    that Hanley and McNeil's model gives (as in Newcombe 2006, Statistics in Medicine 25:559, method 5) are mixed in.
    """
    auc, fewest = m.value[:, :2, 0], m.fewest[:, :2]
    k, n = m.events[:, :2].astype(float), (m.n - m.events)[:, :2].astype(float)
    smooth = (auc * fewest + 0.5) / (fewest + 1)
    perfect = (auc <= 0) | (auc >= 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        model = 1 + ((k + n) / 2 - 1) * ((1 - smooth) / (2 - smooth) + smooth / (1 + smooth))
        model *= smooth * (1 - smooth) / (k * n) * np.where(perfect, (k + n) / m.clusters[:, :2], m.effect[:, :2, 0])
        mixed = (fewest * np.where(perfect, 0.0, m.variance[:, :2, 0]) + BORROWED * model) / (fewest + BORROWED)
        worth = smooth * (1 - smooth) / mixed
    enough = (fewest >= ENOUGH) & (perfect | (m.variance[:, :2, 0] > NOTHING))
    return _share(auc, np.where(enough, worth, np.nan), _student(fewest, level))


def _loss(m: Measured, measure: int, level: float) -> Floats:
    """Bounds of a mean loss; the Brier score's end at 1."""
    mean, rows = m.value[:, :2, measure], np.fmin(m.carried[:, :2, measure], m.fewest[:, :2])
    enough = (rows >= ENOUGH) & (m.variance[:, :2, measure] > NOTHING)
    half = _student(np.where(enough, rows, np.nan), level) * np.sqrt(m.variance[:, :2, measure])
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        high = mean * np.exp(half / mean)
    return np.stack([np.maximum(mean - half, 0.0), np.minimum(high, 1.0) if measure == 2 else high])


def _balance(m: Measured, level: float) -> Floats:
    """Student's bounds of calibration in the large; below ENOUGH no narrower than the event rate's exact bounds.

    Few events have no spread to be seen: the exact bounds, of no more rows than there are clusters, stand in for it,
    and Student's are wider by what one more row could move at worst.
    """
    n, events, clusters = (a[:, :2].astype(float) for a in (m.n, m.events, m.clusters))
    value, variance, fewest = m.value[:, :2, 3], m.variance[:, :2, 3], m.fewest[:, :2]
    few = fewest < ENOUGH
    half = _student(np.where(few, clusters, fewest), level) * np.sqrt(variance) + few / (clusters + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        rate, smooth = events / n, (events + 1) / (n + 2)
        worth = np.fmin(smooth * (1 - smooth) / variance, clusters)
    normal = np.full(few.shape, ndtri(0.5 + level / 2))
    low, high = _share(rate, worth, normal if m.independent else _student(clusters, level)) - rate
    none = ~few & ~(variance > NOTHING)
    ends = np.stack([np.where(few, np.minimum(low, -half), -half), np.where(few, np.maximum(high, half), half)])
    return np.clip(value + np.where(none, np.nan, ends), -1.0, 1.0)


def changes(m: Measured, level: float) -> Interval:
    """(value, low, high) of candidate minus baseline on rows with both scores: side, measure.

    Losses and calibration have Student's bounds, a loss wider on the side where rows unseen may lie; AUC those of both
    models, squared and added (MOVER, see intervals.mover) with their correlation. NaN below ENOUGH, and where no row
    tells the models apart.
    """
    value, variance = m.value[:, 2], m.variance[:, 2]
    rows = np.fmin(m.carried[:, 2], m.fewest[:, 2, None])
    enough = variance > NOTHING
    half = np.where(enough & (rows >= ENOUGH), _student(rows, level) * np.sqrt(variance), np.nan)
    low, high = value - half + np.minimum(m.unseen, 0.0), value + half + np.maximum(m.unseen, 0.0)
    low[:, 0], high[:, 0] = np.where(enough[:, 0], value[:, 0] + _reranked(m, level), np.nan)
    return within(Interval(value, low, high))


def within(difference: Interval, most: float = 1.0) -> Interval:
    """Bounds of a difference of measures (last axis) no further out than it can be; log loss has no end."""
    ends = np.array([most, np.inf, most, 2 * most])
    return Interval(difference[0], np.maximum(difference[1], -ends), np.minimum(difference[2], ends))


def _reranked(m: Measured, level: float) -> Floats:
    """How far below and above an AUC change its bounds lie; rows of one model only are taken out by their share."""
    auc, bounds = m.value[:, :2, 0], _ranking(m, level)
    with np.errstate(divide="ignore", invalid="ignore"):
        stretch = np.sqrt(m.n[:, :2] / m.n[:, 2:])
        one, two = (np.moveaxis(np.stack([auc, *bounds]) - auc, -1, 0)[s] * stretch[:, s] for s in range(2))
        v = m.variance[..., 0]
        correlation = (v[:, 0] + v[:, 1] - v[:, 2]) / (2 * np.sqrt(v[:, 0] * v[:, 1]))
    _, low, high = intervals.mover(tuple(two), tuple(one), np.clip(np.nan_to_num(correlation), -1.0, 1.0))
    return np.where(m.fewest[:, 2] >= ENOUGH, np.stack([low, high]), np.nan)
