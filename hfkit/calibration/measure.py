"""All measures of one set of rows, each with its interval, from one pass over resampled cluster sums."""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from hfkit.calibration import means
from hfkit.calibration import resample as r
from hfkit.calibration.binned import Codes, Floats, bin_noise, bin_of, brier_parts, debiased, ece
from hfkit.calibration.publish import uncertain
from hfkit.calibration.recalibrate import slope
from hfkit.calibration.smooth import kernel_matrix, smooth
from hfkit.shared import stats

UNTOLD = (math.nan, math.nan, math.nan)
RATE = "event rate"  # not evidence by itself: what the uncertainty is made of
MIN_EVENTS = 10  # events and non-events below which no interval is claimed
A_BIN = 5  # clusters a bin below which the spread between bins is mostly chance
WINDOW = 0.05  # scores this near the threshold tell what happens at it


def measure(
    y: Floats, s: Floats, clusters: list[Codes], *, threshold: float, n_boot: int, level: float,
    rng: np.random.Generator,
) -> tuple[dict[str, r.Triple], str]:  # fmt: skip
    """All measures of one set of rows as (value, low, high) by name, and a note on what is missing.

    `y` 0 or 1, `s` in [0, 1], none missing; `clusters` are one or two arrays of codes of rows that go together. One
    class, or fewer than two clusters, gives nothing; fewer than ten clusters with an event, or with a non-event, values
    without intervals.
    """
    if not len(y) or y.min() == y.max():
        return {}, "only one class among the labels" if len(y) else "no rows"
    codes, factor, fewest = r.choose(y - s, clusters)
    if fewest < 2:
        return {}, "all rows are about one item, or from one rater"
    rare = min(len(np.unique(c[y == side])) for c in clusters for side in (0, 1))
    fit = slope(y, s)
    error, width = smooth(y, s)
    if rare < MIN_EVENTS:
        parts = brier_parts(y, s)
        alone = {
            "ECE": ece(y, s), "debiased calibration error": debiased(y, s, codes), "smooth calibration error": error,
            "reliability": parts["reliability"], "resolution": parts["resolution"], "calibration slope": fit[1],
            "AUC": stats.auc(y, s),
        }  # fmt: skip
        few = f"no interval: one of the classes on fewer than {MIN_EVENTS} items, or from fewer raters"
        return {**{k: (v, *UNTOLD[1:]) for k, v in alone.items()},
                **_linear(y, s, clusters, threshold, level)}, few  # fmt: skip
    draws = _draw(y, s, codes, fit, width, (rng, n_boot, r.stretch(rare, factor, level)))
    found = _linear(y, s, clusters, threshold, level)
    largest = min(max(abs(end) for end in found["calibration in the large"][1:]), 1.0)
    found |= {**_absolute(y, s, codes, error, draws, largest), **_smooth_functions(y, s, fit, draws)}
    found["AUC"] = _auc(y, s, codes, level, rare)
    return found, ""


def _draw(
    y: Floats, s: Floats, codes: Codes, fit: tuple[float, float], width: float,
    how: tuple[np.random.Generator, int, float],
) -> r.Draws:  # fmt: skip
    """The sums behind every resampled measure, with the noise that few rows do not show."""
    rng, n_boot, stretch = how
    columns = r.binned_columns(y, s)
    columns["square"] = ((s - y) ** 2)[:, None]
    if not math.isnan(fit[1]):
        columns |= r.slope_columns(y, s, fit)
    kernel, spread = kernel_matrix(width), r.unseen(y, s, codes)
    codes = r.blocks(codes, rng)
    mesh = r.smooth_sums(y, s, codes, int(codes.max()) + 1, kernel)
    draws = r.draw(columns, codes, mesh, rng=rng, n_boot=n_boot, stretch=stretch)
    draws.replicate["unseen"] = rng.standard_normal((n_boot, len(spread))) * spread
    middle = np.array([s[bin_of(s) == b].mean() if (bin_of(s) == b).any() else 0.0 for b in range(len(spread))])
    draws.replicate["unseen mesh"] = (
        draws.replicate["unseen"] @ kernel[np.round(middle * (len(kernel) - 1)).astype(int)]
    )
    return draws


def _absolute(y: Floats, s: Floats, codes: Codes, error: float, draws: r.Draws, largest: float) -> dict[str, r.Triple]:
    """The measures that are absolute or squared gaps, whose plain bootstrap would be biased.

    None of them is less than the gap in the large, so none has a bound below the `largest` that may be.
    """
    n, total = draws.n, draws.replicate["n"].sum(axis=1, keepdims=True)
    reliability = brier_parts(y, s)["reliability"]
    share, gap, noise = bin_noise(y, s, codes)
    _, low, high = squared = r.squared(debiased(y, s, codes), gap, share, noise, draws)
    bins = draws.replicate["gap"] / total + draws.replicate["unseen"]
    mesh = draws.replicate["mesh"] / total + draws.replicate["unseen mesh"]
    found = {
        "ECE": r.absolute(ece(y, s), draws.point["gap"] / n, bins, draws),
        "debiased calibration error": squared,
        "smooth calibration error": r.absolute(error, draws.point["mesh"] / n, mesh, draws),
        "reliability": (reliability, min(low**2, reliability), max(high**2, largest**2, reliability)),
    }
    return {k: (v[0], v[1], v[2] if k == "reliability" else max(v[2], largest)) for k, v in found.items()}


def _linear(y: Floats, s: Floats, clusters: list[Codes], threshold: float, level: float) -> dict[str, r.Triple]:
    """The measures that are means, or shares: exact bounds at the number of rows that would vary as much."""
    rate = means.mean(y, clusters, level)
    acts, near = s >= threshold, np.abs(s - threshold) <= WINDOW
    return {
        "Brier score": means.mean((s - y) ** 2, clusters, level),
        RATE: rate,
        "uncertainty": uncertain(rate),
        "calibration in the large": means.gap(y, s, clusters, level),
        "precision at threshold": means.mean(y[acts], [c[acts] for c in clusters], level)
        if acts.sum() >= MIN_EVENTS else UNTOLD,
        "calibration at threshold": means.gap(y[near], s[near], [c[near] for c in clusters], level)
        if near.sum() >= MIN_EVENTS else UNTOLD,
    }  # fmt: skip


def _smooth_functions(y: Floats, s: Floats, fit: tuple[float, float], draws: r.Draws) -> dict[str, r.Triple]:
    """The measures that are smooth functions of means: Student t intervals on the replicates' spread."""
    again, total = draws.replicate, draws.replicate["n"].sum(axis=1)
    brier, rate = again["square"][:, 0] / total, again["event"].sum(axis=1) / total
    bins = (again["gap"] ** 2 / np.maximum(again["n"], 1)).sum(axis=1) / total
    value, low, high = r.around(brier_parts(y, s)["resolution"], bins + rate * (1 - rate) - brier, draws.stretch)
    bias = max(float((bins + rate * (1 - rate) - brier).mean()) - value, 0.0)  # chance spreads bins apart
    found = {"resolution": (value, low - bias, high) if draws.clusters >= A_BIN * len(np.unique(bin_of(s)))
             else (value, *UNTOLD[1:])}  # fmt: skip
    if not math.isnan(fit[1]):
        found["calibration slope"] = r.around(fit[1], r.slope_replicates(fit, draws), draws.stretch)
    return found


def _auc(y: Floats, s: Floats, codes: Codes, level: float, rare: int) -> r.Triple:
    """The AUC; it is a mean in [0, 1] too, so its bounds do not lean over the end of the scale.

    As many degrees of freedom as clusters with the rarer class, less one, and the variance that a single one of them
    more would bring; a perfect score counts those clusters alone.
    """
    value, low, high = stats.auc_interval(y, s, codes, level)
    if math.isnan(low):
        return value, *(means.bounds(value, 0.0, rare, level) if value in (0, 1) else UNTOLD[1:])
    half = max(value - low, high - value) / float(special.ndtri((1 + level) / 2))
    wider = r.quantile_t((1 + level) / 2, rare - 1) / r.quantile_t((1 + level) / 2, int(codes.max()))
    more = value * (1 - value) / rare**2
    return value, *means.bounds(value, (half * wider) ** 2 + more, rare, level)
