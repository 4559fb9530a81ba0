"""Recalibration: the logistic slope, maps from a score to a better one, and whether a map would help."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression

from hfkit.calibration.binned import Floats, brier_parts, debiased, ece, usable
from hfkit.calibration.rows import Settings, clusters
from hfkit.shared import cluster, cohorts, schema
from hfkit.shared.learn import log_losses, logit
from hfkit.shared.measures import MODELS

STEPS = 60  # of Newton's method, at most
Map = Callable[[Floats], Floats]


def slope(y: ArrayLike, s: ArrayLike) -> tuple[float, float]:
    """How must the log odds be stretched to fit? Gives (intercept, slope); calibrated is (0, 1).

    A slope below 1 says the scores are too extreme, above 1 too timid. Maximum likelihood by Newton's method. Both NaN
    where there is no finite maximum: one class, a constant score, or a score that separates the classes. Cox (1958),
    Steyerberg (2010).

    >>> a, b = slope([0, 1, 1, 1, 0, 0, 0, 1], [0.8] * 4 + [0.2] * 4)
    >>> round(abs(a), 3), round(b, 3)
    (0.0, 0.792)
    """
    label, score, _ = usable(y, s)
    odds = logit(score)
    event, rest = odds[label > 0], odds[label == 0]
    if not len(event) or not len(rest) or event.min() >= rest.max() or event.max() <= rest.min():
        return math.nan, math.nan
    x, fit = np.column_stack([np.ones(len(odds)), odds]), np.zeros(2)
    for _ in range(STEPS):
        p = expit(x @ fit)
        step = np.linalg.lstsq((x * (p * (1 - p))[:, None]).T @ x, x.T @ (label - p))[0]
        best = _log_likelihood(label, x @ fit)
        while _log_likelihood(label, x @ (fit + step)) < best - 1e-9 * abs(best):
            step = step / 2
        fit = fit + step
        if np.abs(step).max() < 1e-12 * (1 + np.abs(fit).max()):
            break
    return float(fit[0]), float(fit[1])


def _log_likelihood(y: Floats, eta: Floats) -> float:
    return float(-np.logaddexp(0, np.where(y > 0, -eta, eta)).sum())


def logistic(y: Floats, s: Floats) -> Map | None:
    """A map that shifts and stretches the log odds (Platt 1999), or None where it cannot be fitted."""
    a, b = slope(y, s)
    return None if math.isnan(b) or b <= 0 else lambda t: np.asarray(expit(a + b * logit(t)), dtype=float)


def isotonic(y: Floats, s: Floats) -> Map | None:
    """The best non-decreasing step map (Zadrozny and Elkan 2002), or None for fewer than two distinct scores."""
    if len(np.unique(s)) < 2:
        return None
    fit = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(s, y)
    return lambda t: np.asarray(fit.predict(t), dtype=float)


MAPS: dict[str, Callable[[Floats, Floats], Map | None]] = {"logistic": logistic, "isotonic": isotonic}
UNMAPPED = "none"
MATTERS = 0.001  # nats; a smaller difference in log loss is none in practice
LOSSES = ("ece", "debiased", "brier", "log_loss")
COLUMNS = ["component", "model", "map", "n_fit", "n_test", *LOSSES, "difference", "low", "high", "verdict", "note"]


def maps(rows: pd.DataFrame, *, settings: Settings) -> pd.DataFrame:
    """Would a simple correction of the score help? Maps fitted on the calibrate split, judged on the test split.

    `rows` as `judged` gives them. Columns: component, model, map ("none" = the score as it is), n_fit, n_test (rows),
    ece, debiased, brier, log_loss (all lower is better), difference in log loss from "none" with its bounds low and
    high (below 0 the map is better; clusters are the people served and the raters), verdict (pass = better, fail =
    worse, by MATTERS at least, or inconclusive; info for "none") and note; a map that cannot be fitted is NaN with the
    reason. The candidate's own last step saw the calibrate split, so its maps have less to gain than the baseline's.

    The interval takes the fitted map as it is; that another calibrate split would give another map is not in it.
    """
    out = []
    for component, part in rows.groupby("component", sort=True):
        for model in MODELS:
            scored = part[part[model].notna()].sort_values(["item_id", "feedback_id"])
            fit, test = scored[scored["split"] == "calibrate"], scored[scored["split"] == "test"]
            for name in (UNMAPPED, *MAPS):
                line = _compare(fit, test, model, name, settings)
                out.append({"component": component, "model": model, "map": name, "n_fit": len(fit),
                            "n_test": len(test), **line})  # fmt: skip
    return pd.DataFrame(out, columns=COLUMNS)


def _compare(fit: pd.DataFrame, test: pd.DataFrame, model: str, name: str, settings: Settings) -> dict[str, object]:
    """One map on one component and model."""
    y, s = test["label"].to_numpy(float), test[model].to_numpy(float)
    few = str(cohorts.too_few(test["item_id"].nunique(), settings.min_people, "items"))
    note = few or ("" if len(test) else f"no judged test rows with a {model} score")
    mapped, reason = (s, "") if note or name == UNMAPPED else _mapped(fit, s, model, name)
    if note or reason:
        return {"verdict": schema.INCONCLUSIVE, "note": note or reason} | ({"n_test": math.nan} if few else {})
    groups = clusters(test)
    line: dict[str, object] = dict(zip(LOSSES, (
        ece(y, mapped), debiased(y, mapped, groups[0]), brier_parts(y, mapped)["brier"],
        float(log_losses(y, mapped).mean()),
    ), strict=True))  # fmt: skip
    if name == UNMAPPED:
        return {**line, "verdict": "info", "note": ""}
    gain, low, high = cluster.mean_interval(log_losses(y, mapped) - log_losses(y, s), *groups, level=settings.level)
    verdict = "pass" if high < -MATTERS else "fail" if low > MATTERS else schema.INCONCLUSIVE
    note = "no interval: all test rows are about one person or from one rater" if math.isnan(low) else ""
    return {**line, "difference": gain, "low": low, "high": high, "verdict": verdict, "note": note}


def _mapped(fit: pd.DataFrame, s: Floats, model: str, name: str) -> tuple[Floats, str]:
    """The scores through a map, or why there is none."""
    label = fit["label"].to_numpy(float)
    if not len(fit) or label.min() == label.max():
        return s, "the calibrate split has no rows of both classes"
    fitted = MAPS[name](label, fit[model].to_numpy(float))
    return (s, "the map cannot be fitted to these scores") if fitted is None else (np.clip(fitted(s), 0, 1), "")
