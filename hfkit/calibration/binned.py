"""Binned calibration measures of one set of rows: ECE, its debiased form, the Brier score and its parts.

Labels are 0 or 1, scores are probabilities in [0, 1]; pairs with a missing member are left out. Nothing left gives NaN.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hfkit.shared import cluster

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
BINS = 10
PARTS = ("brier", "reliability", "resolution", "uncertainty")


def usable(y: ArrayLike, s: ArrayLike) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """The pairs that have both label and score, and which of the rows these are."""
    label, score = np.asarray(y, dtype=float), np.asarray(s, dtype=float)
    keep = ~(np.isnan(label) | np.isnan(score))
    return label[keep], score[keep], keep


def bin_of(score: ArrayLike) -> Codes:
    """Which of ten equal bins, from 0, holds a score? Closed on the right, as in scikit-learn's `calibration_curve`.

    >>> bin_of([0.0, 0.1, 0.11, 1.0]).tolist()
    [0, 0, 1, 9]
    """
    return np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], np.asarray(score, dtype=float)).astype(np.int64)


def sums(y: Floats, s: Floats) -> tuple[Floats, Floats, Floats]:
    """Rows, sum of labels and sum of scores in each bin."""
    b = bin_of(s)
    n, events, total = (np.bincount(b, weight, BINS).astype(float) for weight in (np.ones(len(b)), y, s))
    return n, events, total


def ece(y: ArrayLike, s: ArrayLike) -> float:
    """By how much do scores miss the event rate, on average over ten bins? In [0, 1], lower is better.

    The expected calibration error as figures in the literature give it (Naeini et al. 2015; Guo et al. 2017). Biased
    upwards in small samples: compare it only with its interval, or use `debiased`. NaN without rows.

    >>> round(ece([0, 0, 1, 1], [0.05, 0.05, 0.95, 0.95]), 3)
    0.05
    """
    label, score, _ = usable(y, s)
    if not len(label):
        return math.nan
    _, events, total = sums(label, score)
    return float(np.abs(events - total).sum() / len(label))


def bin_noise(y: Floats, s: Floats, codes: Codes) -> tuple[Floats, Floats, Floats]:
    """Share of rows, gap (event rate minus mean score) and sampling variance of the gap, in each bin.

    The variance is robust to clusters (`codes`); in a bin of one cluster it cannot be estimated and is set to the
    squared gap, so that such a bin adds nothing to a debiased error. For single rows of equal score it is
    p(1-p)/(n-1), the correction of Broecker (2012) and Kumar et al. (2019).
    """
    n, events, total = sums(y, s)
    gap, noise, b = (events - total) / np.maximum(n, 1), np.zeros(BINS), bin_of(s)
    for at in np.flatnonzero(n):
        inside = b == at
        shares = np.bincount(cluster.codes(codes[inside]), ((y - s)[inside] - gap[at]) / n[at])
        noise[at] = cluster.variance(shares)[0]
    return n / max(len(y), 1), gap, np.where(np.isnan(noise), gap**2, noise)


def debiased(y: ArrayLike, s: ArrayLike, clusters: Any = None) -> float:
    """The root of the mean squared calibration gap over bins, less what chance alone adds. In [0, 1], lower is better.

    Zero means not distinguishable from calibrated at this size, not calibrated. `clusters` names rows that go together
    (answers about one person). NaN below two rows. Ferro and Fricker (2012), Kumar, Liang and Ma (2019).

    >>> round(debiased([0, 1] * 50, [0.8] * 100), 3)
    0.296
    """
    label, score, keep = usable(y, s)
    if len(label) < 2:
        return math.nan
    codes = np.arange(len(label)) if clusters is None else cluster.codes(np.asarray(clusters)[keep])
    share, gap, variance = bin_noise(label, score, codes)
    return math.sqrt(max(float((share * (gap**2 - variance)).sum()), 0.0))


def brier_parts(y: ArrayLike, s: ArrayLike) -> dict[str, float]:
    """The Brier score, in [0, 1], lower is better, and what it is made of: reliability - resolution + uncertainty.

    Reliability (lower is better) is the squared gap over bins, resolution (higher is better) how far bins differ from
    the base rate, uncertainty the variance of the event. Resolution is the generalised one, which includes what varies
    inside bins, so the sum is exact (Murphy 1973; Stephenson, Coelho and Jolliffe 2008). All NaN without rows.

    >>> {k: round(v, 3) for k, v in brier_parts([0, 0, 0, 1], [0.25] * 4).items()}
    {'brier': 0.188, 'reliability': 0.0, 'resolution': 0.0, 'uncertainty': 0.188}
    """
    label, score, _ = usable(y, s)
    if not len(label):
        return dict.fromkeys(PARTS, math.nan)
    n, events, total = sums(label, score)
    brier = float(np.mean((score - label) ** 2))
    reliability = float(((events - total) ** 2 / np.maximum(n, 1)).sum() / len(label))
    uncertainty = float(label.mean() * (1 - label.mean()))
    resolution = reliability + uncertainty - brier
    values = (brier, reliability, resolution if abs(resolution) > 1e-15 else 0.0, uncertainty)
    return dict(zip(PARTS, values, strict=True))
