"""Intervals by resampling sufficient statistics: sums per cluster once, then counts times sums.

The trap they avoid: a calibration error is an absolute value, so its plain bootstrap sits above the truth when the
model is calibrated. The lower bound here counts every bin without a clear sign as noise (the directional derivative of
Fang and Santos 2019), the upper bound counts every bin as it is; both lean to the wide side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from hfkit.calibration.binned import BINS, Codes, Floats, bin_of, sums
from hfkit.calibration.recalibrate import expit, logit
from hfkit.calibration.smooth import GRID

BLOCKS = 3000  # more clusters than this are first put together at random: bounded memory, error of the width below 2 %
PART = 10_000  # draws made at once
CLEAR = 3.0  # standard errors from 0 above which the sign of a gap counts as known
Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Draws:
    """Point values and replicates (rows) of sums over one set of rows, and how far to stretch their spread."""

    n: float
    clusters: int
    stretch: float
    point: dict[str, Floats]
    replicate: dict[str, Floats]


def quantile_t(p: float, df: int) -> float:
    """Quantile of Student's t (from scipy.special, a third of the import of scipy.stats)."""
    return float(special.stdtrit(df, p))


def choose(residual: Floats, clusterings: list[Codes]) -> tuple[Codes, float, int]:
    """The clustering with the larger variance of the mean residual, and what the other one adds to its width.

    Also gives the number of clusters where they are fewest, which sets the degrees of freedom.

    The sum of both variances less the row variance is the two-way cluster robust one (Cameron, Gelbach, Miller 2011).
    """
    e = residual - residual.mean()
    spread = [float((np.bincount(c, e) ** 2).sum()) for c in clusterings]
    widest = int(np.argmax(spread))
    both = sum(spread) - float((e**2).sum()) * (len(spread) - 1)
    factor = math.sqrt(max(both / spread[widest], 1.0)) if spread[widest] > 0 else 1.0
    fewest = min(len(np.unique(c)) for c in clusterings)
    return np.unique(clusterings[widest], return_inverse=True)[1].astype(np.int64), factor, fewest


def draw(
    columns: dict[str, Floats], codes: Codes, mesh: Floats, *, rng: np.random.Generator, n_boot: int, stretch: float
) -> Draws:
    """Resample clusters: `columns` holds (rows x k) arrays whose sums every replicate needs, and must have "n".

    `mesh` are sums by block that are made already (`smooth_sums`, of the blocks `blocks` gives).
    """
    size = len(mesh)
    wide = np.column_stack(list(columns.values()))
    sums = np.column_stack([*(np.bincount(codes, column, size) for column in wide.T), mesh])
    widths = {**{k: v.shape[1] for k, v in columns.items()}, "mesh": mesh.shape[1]}
    ends = np.cumsum(list(widths.values()))[:-1]
    point = dict(zip(widths, np.split(sums.sum(axis=0), ends), strict=True))
    replicate = dict(zip(widths, np.split(resampled(sums, n_boot, rng), ends, axis=1), strict=True))
    return Draws(float(point["n"].sum()), size, stretch, point, replicate)


def blocks(codes: Codes, rng: np.random.Generator) -> Codes:
    """Clusters, or where there are more than BLOCKS, clusters put together at random."""
    clusters = int(codes.max()) + 1
    return codes if clusters <= BLOCKS else rng.permutation(clusters)[codes] % BLOCKS


def resampled(sums: Floats, n_boot: int, rng: np.random.Generator) -> Floats:
    """The column sums of each replicate (n_boot x columns), clusters (rows of `sums`) drawn with replacement.

    How often each cluster is drawn, times the sums; in parts that stay in the processor's cache.
    """
    size = len(sums)
    out, part = np.empty((n_boot, sums.shape[1])), max(PART // size, 1)
    for start in range(0, n_boot, part):
        rows = min(part, n_boot - start)
        drawn = rng.integers(0, size, (rows, size))
        drawn += np.arange(rows)[:, None] * size
        times = np.bincount(drawn.ravel(), minlength=rows * size).reshape(rows, size)
        out[start : start + rows] = times.astype(float) @ sums
    return out


def stretch(clusters: int, factor: float, level: float) -> float:
    """By what to multiply the spread between the 2.5 and 97.5 % quantiles of replicates for an interval of `level`."""
    if clusters < 2:
        return math.nan
    t = quantile_t((1 + level) / 2, clusters - 1) / 1.959963984540054
    return factor * t * math.sqrt(clusters / (clusters - 1))


def binned_columns(y: Floats, s: Floats) -> dict[str, Floats]:
    """n, gap (label minus score) and label by bin: the sums behind every binned measure."""
    inside = np.eye(BINS)[bin_of(s)]
    return {"n": inside, "gap": inside * (y - s)[:, None], "event": inside * y[:, None]}


def smooth_sums(y: Floats, s: Floats, codes: Codes, size: int, kernel: Floats) -> Floats:
    """Smoothed residuals (blocks x mesh) with the kernel of the width that the data chose."""
    cell = np.clip((s * (GRID - 1)).astype(int), 0, GRID - 2)
    part = s * (GRID - 1) - cell
    flat = codes * GRID + cell
    grid = np.bincount(flat, (1 - part) * (s - y), size * GRID)
    grid += np.bincount(flat + 1, part * (s - y), size * GRID)
    out: Floats = grid.reshape(size, GRID) @ kernel
    return out


def unseen(y: Floats, s: Floats, codes: Codes) -> Floats:
    """What the few rows of a bin cannot show of its noise: standard deviation to add to its share of the gap, by bin.

    A bin without an event varies in no replicate. Its variance is taken as if two events and two non-events more had
    been seen (Agresti and Coull 1998), counted in independent rows.
    """
    n, events, _ = sums(y, s)
    e = y - s - (y - s).mean()
    design = max(float((np.bincount(codes, e) ** 2).sum()) / max(float((e**2).sum()), 1e-12), 1.0)
    size, k = n / design, events / design
    rate, fuller = k / np.maximum(size, 1e-12), (k + 2) / (size + 4)
    more = np.maximum(fuller * (1 - fuller) - rate * (1 - rate), 0.0)
    out: Floats = np.sqrt(more * n * design) / len(y)
    return out


def slope_columns(y: Floats, s: Floats, fit: tuple[float, float]) -> dict[str, Floats]:
    """Score (2) and information (3) of a logistic recalibration at its fit: enough for one Newton step a replicate."""
    x = logit(s)
    p = expit(fit[0] + fit[1] * x)
    v = p * (1 - p)
    return {"u": np.column_stack([y - p, x * (y - p)]), "h": np.column_stack([v, v * x, v * x * x])}


def around(value: float, replicates: Floats, stretch: float) -> Triple:
    """Value and t interval from the spread of the replicates; a spread of zero says nothing and gives NaN."""
    known = replicates[np.isfinite(replicates)]
    spread = float(known.std()) * 1.959963984540054 * stretch if len(known) > 1 else math.nan
    if not spread > 1e-12:
        return value, math.nan, math.nan
    return value, value - spread, value + spread


def quantile(deviation: Floats, p: float, stretch: float) -> float:
    """A quantile of deviations, its distance to their mean stretched."""
    centre = float(deviation.mean())
    return centre + stretch * (float(np.quantile(deviation, p)) - centre)


def absolute(value: float, part: Floats, replicate: Floats, draws: Draws) -> Triple:
    """Interval of a sum of absolute parts (ECE, smooth error): parts (k,), their replicates (n_boot x k)."""
    h = replicate - part
    clear = np.abs(part) > max(CLEAR, math.sqrt(math.log(max(draws.clusters, 3)))) * h.std(axis=0)
    signed = np.where(part < 0, -h, h)
    lower = np.where(clear, signed, np.abs(h)).sum(axis=1)
    low = value - quantile(lower, 0.975, draws.stretch)
    high = value - quantile(signed.sum(axis=1), 0.025, draws.stretch)
    return _unit(value, low, high)


def squared(value: float, gap: Floats, share: Floats, noise: Floats, draws: Draws) -> Triple:
    """Interval of the root of the debiased mean square gap; `gap`, `share` and `noise` (variance of the gap) by bin.

    The lower bound is that of the debiased mean square, the upper that of the one which still has its bias: both lean
    to the wide side.
    """
    n, residual = draws.replicate["n"], draws.replicate["gap"]
    some = np.where(share > 0, share, 1.0)
    total = n.sum(axis=1, keepdims=True)
    h = ((residual - gap * n) / total + draws.replicate["unseen"]) / some
    shares = ((n / total - share) * gap**2).sum(axis=1)
    up, down = ((share * (sign * 2 * gap * h + h**2 - noise)).sum(axis=1) + shares for sign in (1, -1))
    plain = float((share * gap**2).sum())
    low = plain - float(share @ noise) - quantile(up, 0.975, draws.stretch)
    return _unit(value, math.sqrt(max(low, 0)), math.sqrt(max(plain + quantile(down, 0.975, draws.stretch), 0)))


def _unit(value: float, low: float, high: float) -> Triple:
    return value, min(max(low, 0.0), value), max(min(high, 1.0), value)


def slope_replicates(fit: tuple[float, float], draws: Draws) -> Floats:
    """The slope in each replicate, one Newton step from the fit."""
    u, h = draws.replicate["u"], draws.replicate["h"]
    determinant = h[:, 0] * h[:, 2] - h[:, 1] ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        out: Floats = fit[1] + (h[:, 0] * u[:, 1] - h[:, 1] * u[:, 0]) / determinant
    return out
