"""Binned calibration measures of one set of rows: ECE, its debiased form, the Brier score and its parts.

Labels are 0 or 1, scores are probabilities in [0, 1]; pairs with a missing member are left out. Nothing left gives NaN.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
BINS = 10


def usable(y: ArrayLike, s: ArrayLike) -> tuple[Floats, Floats]:
    """The pairs of which both label and score are known."""
    label, score = np.asarray(y, dtype=float), np.asarray(s, dtype=float)
    keep = ~(np.isnan(label) | np.isnan(score))
    return label[keep], score[keep]


def bin_of(score: ArrayLike, bins: int = BINS) -> Codes:
    """Which equal-width bin, from 0, holds a score? Closed on the right, as in scikit-learn's `calibration_curve`.

    >>> bin_of([0.0, 0.1, 0.11, 1.0]).tolist()
    [0, 0, 1, 9]
    """
    return np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], np.asarray(score, dtype=float)).astype(np.int64)


def sums(y: Floats, s: Floats, bins: int = BINS) -> tuple[Floats, Floats, Floats]:
    """Rows, sum of labels and sum of scores in each bin."""
    b = bin_of(s, bins)
    return (
        np.bincount(b, minlength=bins).astype(float),
        np.bincount(b, y, minlength=bins).astype(float),
        np.bincount(b, s, minlength=bins).astype(float),
    )


def ece(y: ArrayLike, s: ArrayLike, bins: int = BINS) -> float:
    """By how much do scores miss the event rate, on average over bins? In [0, 1], lower is better.

    The expected calibration error as figures in the literature give it (Naeini et al. 2015; Guo et al. 2017). Biased
    upwards in small samples: compare it only with its interval, or use `debiased`. NaN without rows.

    >>> round(ece([0, 0, 1, 1], [0.05, 0.05, 0.95, 0.95]), 3)
    0.05
    """
    label, score = usable(y, s)
    if not len(label):
        return math.nan
    _, events, total = sums(label, score, bins)
    return float(np.abs(events - total).sum() / len(label))


def cluster_codes(cluster: Any, n: int) -> Codes:
    """Cluster labels as codes 0, 1, ...; without labels every row is its own cluster."""
    if cluster is None:
        return np.arange(n, dtype=np.int64)
    return np.unique(np.asarray(cluster), return_inverse=True)[1].astype(np.int64).reshape(-1)


def bin_noise(y: Floats, s: Floats, codes: Codes, bins: int = BINS) -> tuple[Floats, Floats, Floats]:
    """Share of rows, gap (event rate minus mean score) and sampling variance of the gap, in each bin.

    The variance is cluster robust with the G/(G-1) correction; in a bin of one cluster it cannot be known and is set to
    the squared gap, so that such a bin adds nothing to a debiased error. For single rows of equal score it is
    p(1-p)/(n-1), the correction of Broecker (2012) and Kumar et al. (2019).
    """
    n, events, total = sums(y, s, bins)
    some = np.maximum(n, 1)
    gap = (events - total) / some
    b = bin_of(s, bins)
    pair, place = np.unique(codes * bins + b, return_inverse=True)
    deviation = np.bincount(place.reshape(-1), y - s - gap[b])
    clusters = np.bincount(pair % bins, minlength=bins).astype(float)
    squares = np.bincount(pair % bins, deviation**2, minlength=bins)
    variance = np.where(clusters > 1, squares / some**2 * clusters / np.maximum(clusters - 1, 1), gap**2)
    return n / max(len(y), 1), gap, variance


def debiased(y: ArrayLike, s: ArrayLike, cluster: Any = None, bins: int = BINS) -> float:
    """The root of the mean squared calibration gap over bins, less what chance alone adds. In [0, 1], lower is better.

    Zero means not distinguishable from calibrated at this size, not calibrated. `cluster` marks rows that are not
    independent (answers on one item). NaN below two rows. Ferro and Fricker (2012), Kumar, Liang and Ma (2019).

    >>> round(debiased([0, 1] * 50, [0.8] * 100), 3)
    0.296
    """
    label, score = usable(y, s)
    if len(label) < 2:
        return math.nan
    codes = cluster_codes(None if cluster is None else np.asarray(cluster)[_kept(y, s)], len(label))
    share, gap, variance = bin_noise(label, score, codes, bins)
    return math.sqrt(max(float((share * (gap**2 - variance)).sum()), 0.0))


def _kept(y: ArrayLike, s: ArrayLike) -> NDArray[np.bool_]:
    kept: NDArray[np.bool_] = ~(np.isnan(np.asarray(y, dtype=float)) | np.isnan(np.asarray(s, dtype=float)))
    return kept


def brier_parts(y: ArrayLike, s: ArrayLike, bins: int = BINS) -> dict[str, float]:
    """The Brier score, in [0, 1], lower is better, and what it is made of: reliability - resolution + uncertainty.

    Reliability (lower is better) is the squared gap over bins, resolution (higher is better) how far bins differ from
    the base rate, uncertainty the variance of the event. Resolution is the generalised one, which includes what varies
    inside bins, so the sum is exact (Murphy 1973; Stephenson, Coelho and Jolliffe 2008). All NaN without rows.

    >>> {k: round(v, 3) for k, v in brier_parts([0, 0, 0, 1], [0.25] * 4).items()}
    {'brier': 0.188, 'reliability': 0.0, 'resolution': 0.0, 'uncertainty': 0.188}
    """
    label, score = usable(y, s)
    if not len(label):
        return dict.fromkeys(("brier", "reliability", "resolution", "uncertainty"), math.nan)
    n, events, total = sums(label, score, bins)
    brier = float(np.mean((score - label) ** 2))
    reliability = float(((events - total) ** 2 / np.maximum(n, 1)).sum() / len(label))
    uncertainty = float(label.mean() * (1 - label.mean()))
    resolution = reliability + uncertainty - brier
    return {
        "brier": brier, "reliability": reliability, "resolution": resolution if abs(resolution) > 1e-15 else 0.0,
        "uncertainty": uncertainty,
    }  # fmt: skip
