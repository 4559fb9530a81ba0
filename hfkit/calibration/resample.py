"""Intervals by resampling sufficient statistics: sums per cluster once, then counts times sums.

The trap they avoid: a calibration error is an absolute value, so its plain bootstrap sits above the truth when the
model is calibrated. The lower bound here counts every bin without a clear sign as noise (the directional derivative of
Fang and Santos 2019), the upper bound counts every bin as it is; both lean to the wide side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, ndtri, stdtrit

from hfkit.calibration.binned import BINS, Codes, Floats, bin_of, sums
from hfkit.shared import cluster
from hfkit.shared.intervals import Interval
from hfkit.shared.learn import logit

BLOCKS = 3000  # more clusters than this are first put together at random: bounded memory, error of the width below 2 %
PART = 10_000  # clusters picked at once
CLEAR = 3.0  # standard errors from 0 above which a gap has a clear sign
TAIL = 0.025  # the replicates' quantiles that are stretched to the level asked for


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How to resample: chance, number of replicates, and by what to multiply their spread (see `stretch`)."""

    rng: np.random.Generator
    n_boot: int
    stretch: float


@dataclass(frozen=True)
class Draws:
    """Sums over one set of rows by name (`point`), the same by replicate, and how many clusters were resampled."""

    clusters: int
    stretch: float
    point: dict[str, Floats]
    replicate: dict[str, Floats]


def choose(residual: Floats, clusters: Sequence[Codes]) -> tuple[Codes, float]:
    """The clustering with the larger variance of the mean residual, and what the others add to its standard error."""
    e = residual - residual.mean()
    codes = [cluster.codes(c) for c in clusters]
    alone = [float(cluster.variance(np.bincount(c, e))[0]) for c in codes]
    widest = int(np.nanargmax(alone)) if not np.isnan(alone).all() else 0
    ratio = float(cluster.variance(e, *codes)[0]) / alone[widest] if alone[widest] > 0 else 1.0
    return codes[widest], math.sqrt(ratio)


def stretch(clusters: float, factor: float, level: float) -> float:
    """By what to multiply the spread of replicates between their TAIL quantiles for an interval of `level`.

    Student's quantile for so many clusters, and the bootstrap's missing factor for few.
    """
    wider = stdtrit(clusters - 1, 0.5 + level / 2) / ndtri(1 - TAIL)
    return float(factor * wider * math.sqrt(clusters / (clusters - 1)))


def draw(y: Floats, s: Floats, codes: Codes, *, fit: tuple[float, float], plan: Plan) -> Draws:
    """The sums behind every resampled measure, with the noise that few rows do not show (`unseen`).

    `fit` is intercept and slope of the logistic recalibration (NaN where there is none).
    """
    columns = {**binned_columns(y, s), "square": ((s - y) ** 2)[:, None]}
    if not math.isnan(fit[1]):
        columns |= slope_columns(y, s, fit)
    blocks = _blocks(codes, plan.rng)
    totals = {name: by_block(column, blocks) for name, column in columns.items()}
    ends = np.cumsum([t.shape[1] for t in totals.values()])[:-1]
    again = resampled(np.column_stack(list(totals.values())), plan.n_boot, plan.rng)
    replicate = dict(zip(totals, np.split(again, ends, axis=1), strict=True))
    replicate["unseen"] = plan.rng.standard_normal((plan.n_boot, BINS)) * unseen(y, s, codes)
    return Draws(len(totals["n"]), plan.stretch, {k: t.sum(axis=0) for k, t in totals.items()}, replicate)


def _blocks(codes: Codes, rng: np.random.Generator) -> Codes:
    """Clusters, or where there are more than BLOCKS, clusters put together at random."""
    clusters = int(codes.max()) + 1
    return codes if clusters <= BLOCKS else rng.permutation(clusters)[codes] % BLOCKS


def by_block(columns: Floats, blocks: Codes) -> Floats:
    """Column sums of each block: (rows x k) to (blocks x k)."""
    return np.column_stack([np.bincount(blocks, column) for column in columns.T])


def resampled(totals: Floats, n_boot: int, rng: np.random.Generator) -> Floats:
    """The column sums of each replicate (n_boot x columns), clusters (rows of `totals`) resampled with replacement.

    How often each cluster is picked, times its sums; in parts that stay in the processor's cache.
    """
    size = len(totals)
    out, part = np.empty((n_boot, totals.shape[1])), max(PART // size, 1)
    for start in range(0, n_boot, part):
        rows = min(part, n_boot - start)
        picks = rng.integers(0, size, (rows, size))
        picks += np.arange(rows)[:, None] * size
        times = np.bincount(picks.ravel(), minlength=rows * size).reshape(rows, size)
        out[start : start + rows] = times.astype(float) @ totals
    return out


def binned_columns(y: Floats, s: Floats) -> dict[str, Floats]:
    """n, gap (label minus score) and label by bin: the sums behind every binned measure."""
    inside = np.eye(BINS)[bin_of(s)]
    return {"n": inside, "gap": inside * (y - s)[:, None], "event": inside * y[:, None]}


def slope_columns(y: Floats, s: Floats, fit: tuple[float, float]) -> dict[str, Floats]:
    """Score (2) and information (3) of a logistic recalibration at its fit: enough for one Newton step a replicate."""
    x = logit(s)
    p = expit(fit[0] + fit[1] * x)
    v = p * (1 - p)
    return {"u": np.column_stack([y - p, x * (y - p)]), "h": np.column_stack([v, v * x, v * x * x])}


def unseen(y: Floats, s: Floats, codes: Codes) -> Floats:
    """What the few rows of a bin cannot show of its noise: standard deviation to add to its share of the gap, by bin.

    A bin without an event varies in no replicate. Its variance is taken as if two events and two non-events more had
    been seen (Agresti and Coull 1998), counted in independent rows.
    """
    n, events, _ = sums(y, s)
    design = float(cluster.design((y - s)[:, None], np.ones((len(y), 1)), codes)[0][0])
    size, k = n / design, events / design
    rate, fuller = k / np.maximum(size, 1e-12), (k + 2) / (size + 4)
    more = np.maximum(fuller * (1 - fuller) - rate * (1 - rate), 0.0)
    return np.asarray(np.sqrt(more * n * design) / len(y), dtype=float)


def around(value: float, replicates: Floats, stretch: float) -> Interval:
    """Value and t interval from the spread of the replicates; a spread of zero says nothing and gives NaN."""
    usable = replicates[np.isfinite(replicates)]
    spread = float(usable.std()) * float(ndtri(1 - TAIL)) * stretch if len(usable) > 1 else math.nan
    if not spread > 1e-12:
        return Interval(value, math.nan, math.nan)
    return Interval(value, value - spread, value + spread)


def _quantile(deviation: Floats, p: float, stretch: float) -> float:
    """A quantile of deviations, its distance to their mean stretched."""
    centre = float(deviation.mean())
    return centre + stretch * (float(np.quantile(deviation, p)) - centre)


def absolute(value: float, part: Floats, replicate: Floats, draws: Draws) -> Interval:
    """Interval of a sum of absolute parts (the ECE): parts (k,), their replicates (n_boot x k)."""
    h = replicate - part
    clear = np.abs(part) > max(CLEAR, math.sqrt(math.log(max(draws.clusters, 3)))) * h.std(axis=0)
    signed = np.where(part < 0, -h, h)
    lower = np.where(clear, signed, np.abs(h)).sum(axis=1)
    low = value - _quantile(lower, 1 - TAIL, draws.stretch)
    high = value - _quantile(signed.sum(axis=1), TAIL, draws.stretch)
    return _unit(value, low, high)


def squared(value: float, share: Floats, gap: Floats, noise: Floats, draws: Draws) -> Interval:
    """Interval of the root of the debiased mean square gap; `share`, `gap` and `noise` (variance of the gap) by bin.

    The lower bound is that of the debiased mean square, the upper that of the one which still has its bias: both lean
    to the wide side.
    """
    n, residual = draws.replicate["n"], draws.replicate["gap"]
    total = n.sum(axis=1, keepdims=True)
    h = ((residual - gap * n) / total + draws.replicate["unseen"]) / np.where(share > 0, share, 1.0)
    shares = ((n / total - share) * gap**2).sum(axis=1)
    up, down = ((share * (sign * 2 * gap * h + h**2 - noise)).sum(axis=1) + shares for sign in (1, -1))
    plain = float((share * gap**2).sum())
    low = plain - float(share @ noise) - _quantile(up, 1 - TAIL, draws.stretch)
    high = plain + _quantile(down, 1 - TAIL, draws.stretch)
    return _unit(value, math.sqrt(max(low, 0)), math.sqrt(max(high, 0)))


def _unit(value: float, low: float, high: float) -> Interval:
    return Interval(value, min(max(low, 0.0), value), max(min(high, 1.0), value))


def slope_replicates(fit: tuple[float, float], draws: Draws) -> Floats:
    """The slope in each replicate, one Newton step from the fit."""
    u, h = draws.replicate["u"], draws.replicate["h"]
    determinant = h[:, 0] * h[:, 2] - h[:, 1] ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(fit[1] + (h[:, 0] * u[:, 1] - h[:, 1] * u[:, 0]) / determinant, dtype=float)
