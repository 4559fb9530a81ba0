"""All measures of one set of rows, each with its interval, from one pass over resampled cluster sums."""

from __future__ import annotations

import math

import numpy as np

from hfkit.calibration import resample as r
from hfkit.calibration.binned import Codes, Floats, bin_noise, brier_parts, debiased, ece
from hfkit.calibration.recalibrate import slope
from hfkit.calibration.smooth import smooth
from hfkit.shared import stats

MIN_EVENTS = 10  # events and non-events below which no interval is claimed
WINDOW = 0.05  # scores this near the threshold tell what happens at it


def measure(
    y: Floats, s: Floats, clusters: list[Codes], *, threshold: float, n_boot: int, level: float,
    rng: np.random.Generator,
) -> tuple[dict[str, r.Triple], str]:  # fmt: skip
    """All measures of one set of rows as (value, low, high) by name, and a note on what is missing.

    `y` 0 or 1, `s` in [0, 1], none missing; `clusters` are one or two arrays of codes of rows that go together. One
    class, or fewer than two clusters, gives nothing; fewer than ten events or non-events values without intervals.
    """
    if not len(y) or y.min() == y.max():
        return {}, "only one class among the labels" if len(y) else "no rows"
    codes, factor, fewest = r.choose(y - s, clusters)
    if fewest < 2:
        return {}, "all rows are about one item, or from one rater"
    fit = slope(y, s)
    error, width = smooth(y, s)
    draws = _draw(y, s, codes, fit, width, threshold, (rng, n_boot, r.stretch(fewest, factor, level)))
    found = {**_absolute(y, s, codes, error, draws), **_linear(y, s, fit, draws)}
    found["AUC"] = stats.auc_interval(y, s, codes, level)
    rare = int(min(y.sum(), (1 - y).sum()))
    if rare < MIN_EVENTS:
        return {k: (v[0], math.nan, math.nan) for k, v in found.items()}, f"no interval: only {rare} of one class"
    return found, ""


def _draw(
    y: Floats, s: Floats, codes: Codes, fit: tuple[float, float], width: float, threshold: float,
    how: tuple[np.random.Generator, int, float],
) -> r.Draws:  # fmt: skip
    """The sums behind every measure, resampled."""
    rng, n_boot, stretch = how
    columns = r.binned_columns(y, s)
    acts, near = (s >= threshold).astype(float), (np.abs(s - threshold) <= WINDOW).astype(float)
    columns["square"] = ((s - y) ** 2)[:, None]
    columns["acts"] = np.column_stack([acts * y, acts])
    columns["near"] = np.column_stack([near * (y - s), near])
    if not math.isnan(fit[1]):
        columns |= r.slope_columns(y, s, fit)
    codes = r.blocks(codes, rng)
    mesh = r.smooth_sums(y, s, codes, int(codes.max()) + 1, width)
    return r.draw(columns, codes, mesh, rng=rng, n_boot=n_boot, stretch=stretch)


def _absolute(y: Floats, s: Floats, codes: Codes, error: float, draws: r.Draws) -> dict[str, r.Triple]:
    """The measures that are absolute or squared gaps, whose plain bootstrap would be biased."""
    n, total = draws.n, draws.replicate["n"].sum(axis=1, keepdims=True)
    reliability = brier_parts(y, s)["reliability"]
    share, gap, noise = bin_noise(y, s, codes)
    _, low, high = squared = r.squared(debiased(y, s, codes), gap, share, noise, draws)
    bins, mesh = draws.replicate["gap"] / total, draws.replicate["mesh"] / total
    return {
        "ECE": r.absolute(ece(y, s), draws.point["gap"] / n, bins, draws),
        "debiased calibration error": squared,
        "smooth calibration error": r.absolute(error, draws.point["mesh"] / n, mesh, draws),
        "reliability": (reliability, min(low**2, reliability), max(high**2, reliability)),
    }


def _linear(y: Floats, s: Floats, fit: tuple[float, float], draws: r.Draws) -> dict[str, r.Triple]:
    """The measures that are smooth functions of means: Student t intervals on the replicates' spread."""
    parts, again = brier_parts(y, s), draws.replicate
    total = again["n"].sum(axis=1)
    brier, rate = again["square"][:, 0] / total, again["event"].sum(axis=1) / total
    bins = (again["gap"] ** 2 / np.maximum(again["n"], 1)).sum(axis=1) / total
    found = {
        "Brier score": r.around(parts["brier"], brier, draws.stretch),
        "resolution": r.around(parts["resolution"], bins + rate * (1 - rate) - brier, draws.stretch),
        "uncertainty": r.around(parts["uncertainty"], rate * (1 - rate), draws.stretch),
        "calibration in the large": r.around(float((y - s).mean()), again["gap"].sum(axis=1) / total, draws.stretch),
        "precision at threshold": _ratio("acts", draws),
        "calibration at threshold": _ratio("near", draws),
    }
    if not math.isnan(fit[1]):
        found["calibration slope"] = r.around(fit[1], r.slope_replicates(fit, draws), draws.stretch)
    for name in ("Brier score", "uncertainty", "precision at threshold"):
        value, low, high = found[name]
        found[name] = value, max(low, 0.0), min(high, 1.0)
    return found


def _ratio(name: str, draws: r.Draws) -> r.Triple:
    """A sum over a count with its interval, linear in both; a count below ten is not enough."""
    top, count = draws.point[name]
    if count < MIN_EVENTS:
        return math.nan, math.nan, math.nan
    value = top / count
    return r.around(float(value), (draws.replicate[name] @ np.array([1.0, -value])) / count + value, draws.stretch)
