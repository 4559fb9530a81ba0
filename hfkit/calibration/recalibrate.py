"""Recalibration: the logistic slope, and maps from a score to a better one."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from sklearn.isotonic import IsotonicRegression

from hfkit.calibration.binned import Floats, usable

EDGE = 1e-6  # scores of exactly 0 or 1 have no logit
Map = Callable[[Floats], Floats]


def logit(s: ArrayLike) -> Floats:
    """The log odds of a probability, with 0 and 1 moved inside by 1e-6."""
    p = np.clip(np.asarray(s, dtype=float), EDGE, 1 - EDGE)
    out: Floats = np.log(p) - np.log1p(-p)
    return out


def expit(x: Floats) -> Floats:
    """The probability of log odds."""
    out: Floats = 1 / (1 + np.exp(-np.clip(x, -500, 500)))
    return out


def newton(y: Floats, x: Floats, steps: int = 60) -> Floats | None:
    """Coefficients of a logistic regression by Newton's method; None where no finite maximum exists.

    Such as: one class, a constant or collinear column, or labels that the columns separate without an error.
    """
    if len(y) <= x.shape[1] or y.min() == y.max() or np.linalg.matrix_rank(x) < x.shape[1]:
        return None
    coefficients = np.zeros(x.shape[1])
    best = -len(y) * math.log(2)
    for _ in range(steps):
        p = expit(x @ coefficients)
        try:
            step = np.linalg.solve((x * (p * (1 - p))[:, None]).T @ x, x.T @ (y - p))
        except np.linalg.LinAlgError:
            return None
        while (fit := _log_likelihood(y, x @ (coefficients + step))) < best - 1e-9 * abs(best):
            step = step / 2
        coefficients, best = coefficients + step, fit
        if best > -1e-6 * len(y):
            return None
        if np.abs(step).max() < 1e-12 * (1 + np.abs(coefficients).max()):
            break
    return coefficients if np.abs(x @ coefficients).max() < 40 else None


def _log_likelihood(y: Floats, eta: Floats) -> float:
    return float(-np.logaddexp(0, np.where(y > 0, -eta, eta)).sum())


def slope(y: ArrayLike, s: ArrayLike) -> tuple[float, float]:
    """How must the log odds be stretched to fit? Gives (intercept, slope); calibrated is (0, 1).

    A slope below 1 says the scores are too extreme, above 1 too timid. Both NaN for one class, a constant score, or a
    score that separates the classes. Cox (1958), Steyerberg (2010).

    >>> a, b = slope([0, 1, 1, 1, 0, 0, 0, 1], [0.8] * 4 + [0.2] * 4)
    >>> round(abs(a), 3), round(b, 3)
    (0.0, 0.792)
    """
    label, score = usable(y, s)
    if not len(label):
        return math.nan, math.nan
    fit = newton(label, np.column_stack([np.ones(len(label)), logit(score)]))
    return (math.nan, math.nan) if fit is None else (float(fit[0]), float(fit[1]))


def logistic(y: Floats, s: Floats) -> Map | None:
    """A map that shifts and stretches the log odds (Platt 1999), or None where it cannot be fitted."""
    a, b = slope(y, s)
    return None if math.isnan(b) or b <= 0 else lambda t: expit(a + b * logit(t))


def isotonic(y: Floats, s: Floats) -> Map | None:
    """The best non-decreasing step map (Zadrozny and Elkan 2002), or None for fewer than two distinct scores."""
    if len(np.unique(s)) < 2:
        return None
    fit = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(s, y)
    return lambda t: np.asarray(fit.predict(t), dtype=float)


def beta(y: Floats, s: Floats) -> Map | None:
    """The beta map: logit = c + a ln s - b ln(1 - s), a and b not negative (Kull, Silva Filho and Flach 2017)."""
    both = np.column_stack([np.ones(len(s)), *_logs(s)])
    for columns in ([0, 1, 2], [0, 1], [0, 2]):
        fit = newton(y, both[:, columns])
        if fit is not None and (fit[1:] >= 0).all():
            full = np.zeros(3)
            full[columns] = fit
            return lambda t: expit(np.column_stack([np.ones(len(t)), *_logs(t)]) @ full)
    return None


def _logs(s: Floats) -> tuple[Floats, Floats]:
    p = np.clip(s, EDGE, 1 - EDGE)
    return np.log(p), -np.log1p(-p)
