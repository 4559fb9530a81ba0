"""When did a signal change, and how far has each week drifted from the first weeks?"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import chdtrc, kolmogorov, ndtri, stdtr

from hfkit.monitor.signals import DAY, LEVELS, Signal, collect, days, distance, spread, summary
from hfkit.shared import cluster, intervals, stats

Floats = npt.NDArray[np.float64]
BLOCKS, BLOCK_ROWS, FEWEST = 60, 20, 8  # up to 60 blocks of 20 rows or more; fewer than 8 are not searched
BINS = 10
SERIES = [
    "component",
    "signal",
    "week",
    "n",
    "value",
    "low",
    "high",
    "drift",
    "drift_low",
    "drift_high",
    "psi",
    "p",
    "q",
]
CHANGES = ["component", "signal", "at", "at_low", "at_high", "before", "after", "shift", "low", "high", "n", "p", "q",
           "changed"]  # fmt: skip


def weekly(
    items: pd.DataFrame, feedback: pd.DataFrame, *, freq_days: int = 7, reference_weeks: int = 4
) -> pd.DataFrame:
    """How does each signal run, and how far is each week from the first weeks?

    Parameters
    ----------
    items, feedback : as clean wrote them; rows without a date take no part.
    freq_days : length of a "week" in days, counted from the first day with data.
    reference_weeks : the first weeks, which the others are compared with.

    Returns
    -------
    One row for each component, signal and week with rows: week (its first day), n, value [low, high] (mean, median, p95
    or share; for a mix of categories its distance w from the reference), drift [drift_low, drift_high] (distance w
    between the week's and the reference's distribution over the reference's tenths, less what chance alone makes; 0 =
    alike), psi (population stability index as usually reported, chance not removed), p (two-sample Kolmogorov-Smirnov
    test for numbers, chi-square for shares and mixes) and q (p adjusted over signals and weeks, Benjamini-Hochberg).
    Reference weeks have no drift, p and q, nor has p95 (it is of the same values as p50). No dates: an empty table.
    Rows of one day go together in every bound and p value.

    Notes
    -----
    Population stability index: Siddiqi (2006), Credit Risk Scorecards; below 0.1 is customarily called stable.
    """
    signals = collect(items, feedback)
    origin = min((int(s.time[0]) for s in signals if len(s)), default=0) // DAY * DAY
    rows: list[list[Any]] = []
    for s in signals:
        week = (s.time - origin) // (freq_days * DAY)
        reference = week < reference_weeks
        codes, size = _codes(s, reference)
        effect, day = _effect(s, codes, size, reference), days(s)
        for w in np.unique(week):
            here = week == w
            value = (
                summary(s.value[here], s.kind, day=day[here])
                if s.kind != "mix"
                else distance(codes[reference], codes[here], size, effect)
            )
            drift = [math.nan] * 5
            if w >= reference_weeks and reference.any() and s.kind != "p95":
                drift = [*distance(codes[reference], codes[here], size, effect),
                         _psi(codes[reference], codes[here], size),
                         _two_sample(s, reference, here, codes, size=size, effect=effect)]  # fmt: skip
            start = pd.Timestamp(origin + int(w) * freq_days * DAY, unit="us", tz="UTC")
            rows.append([s.component, s.name, start, int(here.sum()), *value, *drift])
    series = pd.DataFrame(rows, columns=SERIES[:-1])
    series["week"] = pd.to_datetime(series["week"], utc=True).astype("datetime64[us, UTC]")
    return series.assign(q=stats.benjamini_hochberg(series["p"].to_numpy(float)))


def find_changes(
    items: pd.DataFrame, feedback: pd.DataFrame, *, rng: np.random.Generator, false_alarms: float = 0.05,
    freq_days: int = 7, reference_weeks: int = 4, n_perm: int = 4000,
) -> pd.DataFrame:  # fmt: skip
    """Has a signal changed, when, and by how much?

    The days of a signal, in order, are put into up to 60 blocks of whole days and about as many rows; the best split
    of the blocks is the date of change. Its p value comes from the same search in shuffled blocks, so that what the
    rows of a day share is no change, and q is adjusted over all signals (Benjamini-Hochberg): where nothing has
    changed anywhere, one alarm or more is raised with a probability of `false_alarms` at most. One date a signal, the
    strongest; a slow trend is reported as a change too.

    Returns
    -------
    One row for each signal: changed (q <= false_alarms), at [at_low, at_high] (95 %, blocks resampled on either side;
    missing where not changed), before and after (value before and after that date; where not changed: in the first
    `reference_weeks` and later), shift [low, high] (after less before, in standard deviations before; half the middle
    68 % for p50 and p95; for a mix its distance w, without sign, and no before and after), n, p. Bounds take the rows
    of a day as going together. Fewer than 8 blocks of whole days and 20 rows: p and shift are NaN. No dates: an empty
    table.

    Notes
    -----
    Cumulative-sum statistic with permutation null: Antoch and Huskova (2001), Statistics & Probability Letters 53:37.
    """
    rows: list[tuple[Signal, int | None, float]] = []
    orders: dict[int, npt.NDArray[np.int64]] = {}
    signals = collect(items, feedback)
    for s in signals:
        edges = _edges(s)
        k = len(edges) - 1
        if k < FEWEST:
            rows.append((s, None, math.nan))
            continue
        if k not in orders:
            orders[k] = rng.permuted(np.tile(np.arange(k), (n_perm, 1)), axis=1)
        blocks = _blocks(s, edges)
        best, at = _best_split(blocks[None, :, :])
        null, _ = _best_split(blocks[orders[k]])
        rows.append((s, int(at[0]), float((1 + (null >= best[0] * (1 - 1e-9)).sum()) / (n_perm + 1))))
    q = stats.benjamini_hochberg([p for _, _, p in rows])
    reference = freq_days * reference_weeks * DAY
    tested = [_change(*row, q=q[i], changed=bool(q[i] <= false_alarms), reference=reference, rng=rng)
             for i, row in enumerate(rows)]  # fmt: skip
    changes = pd.DataFrame(tested, columns=CHANGES)
    for column in ("at", "at_low", "at_high"):
        changes[column] = pd.to_datetime(changes[column], utc=True).astype("datetime64[us, UTC]")
    return changes.astype({"changed": bool})


def _change(
    s: Signal, split: int | None, p: float, *, q: float, changed: bool, reference: int, rng: np.random.Generator
) -> list[Any]:
    if split is None:
        return [s.component, s.name, None, None, None, *[math.nan] * 5, len(s), p, q, False]
    edges = _edges(s)
    blocks = _blocks(s, edges)
    when: list[pd.Timestamp | None] = [None, None, None]
    if changed:
        cut = edges[split]
        low, high = _resplit(blocks, split, rng)
        ends = (s.time[cut], s.time[edges[low]], s.time[min(edges[high], len(s) - 1)])
        when = [pd.Timestamp(int(t), unit="us", tz="UTC") for t in ends]
    else:
        cut = int(np.searchsorted(s.time, s.time[0] // DAY * DAY + reference))
    one, two, day = s.value[:cut], s.value[cut:], days(s)
    if s.kind == "mix":
        w = distance(one, two, len(s.labels), _effect(s, s.value, len(s.labels), np.arange(len(s)) < cut))
        return [s.component, s.name, *when, math.nan, math.nan, *w, len(s), p, q, changed]
    before, after = summary(one, s.kind, day=day[:cut]), summary(two, s.kind, day=day[cut:])
    shift, down, up = intervals.mover(after, before)
    unit = spread(one, s.kind) or spread(s.value, s.kind)
    # a constant has no spread to measure a shift in: it has not moved
    scaled = [0.0, 0.0, 0.0] if unit == 0 else [float(v) / unit for v in (shift, down, up)]
    return [s.component, s.name, *when, before[0], after[0], *scaled, len(s), p, q, changed]


def _edges(s: Signal) -> npt.NDArray[np.int64]:
    """The first row of each block, and one past the last: whole days, about as many rows each, at least BLOCK_ROWS."""
    starts = np.flatnonzero(np.r_[True, np.diff(days(s)) > 0]) if len(s) else np.zeros(0, np.int64)
    wanted = max(BLOCK_ROWS, math.ceil(len(s) / BLOCKS))
    edges = [0]
    for start in starts[1:]:
        if start - edges[-1] >= wanted:
            edges.append(int(start))
    if len(s) - edges[-1] < BLOCK_ROWS and len(edges) > 1:
        edges.pop()
    return np.array([*edges, len(s)], np.int64)


def _blocks(s: Signal, edges: npt.NDArray[np.int64]) -> Floats:
    """Blocks x d summed up values."""
    if s.kind in LEVELS:
        cells = [np.quantile(s.value[a:b], LEVELS[s.kind]) for a, b in pairwise(edges)]
        return np.array(cells)[:, None]
    if s.kind != "mix":
        return np.asarray((np.add.reduceat(s.value, edges[:-1]) / np.diff(edges))[:, None], float)
    hot = s.value[:, None] == np.arange(len(s.labels))
    # each category in units of its own chance variation, so that rare ones count as much as common ones
    share = np.add.reduceat(hot.astype(float), edges[:-1], axis=0) / np.diff(edges)[:, None]
    return np.asarray(share / np.sqrt(np.maximum(hot.mean(axis=0), 1 / len(s))), float)


def _effect(s: Signal, codes: Floats, size: int, rows: npt.NDArray[np.bool_]) -> float:
    """How many rows of these count as one, because those of a day go together? Their mean by share of category."""
    if not rows.any():
        return 1.0
    hot = (codes[rows][:, None] == np.arange(size)).astype(float)
    effect, _ = cluster.design(hot, np.ones_like(hot), cluster.codes(days(s)[rows]))
    weight = hot.mean(axis=0)
    return max(float(np.average(effect, weights=weight)), 1.0)


def _best_split(blocks: Floats) -> tuple[Floats, npt.NDArray[np.int64]]:
    """The largest squared mean difference over all splits, by its standard error, and where; blocks: series x k x d."""
    k = blocks.shape[1]
    edge = max(2, k // 20)
    left = np.arange(edge, k - edge + 1)
    sums = (blocks - blocks.mean(axis=1, keepdims=True)).cumsum(axis=1)[:, left - 1, :]
    strength: Floats = (sums**2).sum(axis=2) * (k / (left * (k - left)))
    return strength.max(axis=1), left[strength.argmax(axis=1)]


def _resplit(blocks: Floats, split: int, rng: np.random.Generator, n_boot: int = 500) -> tuple[int, int]:
    k = len(blocks)
    pick = np.hstack([rng.integers(0, split, (n_boot, split)), rng.integers(split, k, (n_boot, k - split))])
    _, at = _best_split(blocks[pick])
    low, high = np.quantile(at, [0.025, 0.975])
    # a split is known to the block at best: the change may lie anywhere in the blocks beside it
    return max(math.floor(low) - 1, 0), min(math.ceil(high) + 1, k)


def _codes(s: Signal, reference: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.float64], int]:
    """The category of each row: its own, its value where there are few, or its tenth of the reference."""
    if s.kind == "mix":
        return s.value, len(s.labels)
    distinct = np.unique(s.value)
    if len(distinct) <= BINS:
        return np.searchsorted(distinct, s.value).astype(float), len(distinct)
    base = s.value[reference] if reference.any() else s.value
    edges = np.unique(np.quantile(base, np.linspace(0, 1, BINS + 1)[1:-1]))
    return np.searchsorted(edges, s.value, side="right").astype(float), len(edges) + 1


def _psi(before: Floats, after: Floats, size: int) -> float:
    p = np.bincount(before.astype(int), minlength=size) + 0.5
    q = np.bincount(after.astype(int), minlength=size) + 0.5
    p, q = p / p.sum(), q / q.sum()
    return float(((q - p) * np.log(q / p)).sum())


def _two_sample(
    s: Signal, reference: npt.NDArray[np.bool_], here: npt.NDArray[np.bool_], codes: Floats, *, size: int,
    effect: float,
) -> float:  # fmt: skip
    n, m = int(reference.sum()), int(here.sum())
    if s.kind not in ("share", "mix"):
        x, y = np.sort(s.value[reference]), np.sort(s.value[here])
        both = np.concatenate([x, y])
        gap = np.abs(np.searchsorted(x, both, side="right") / n - np.searchsorted(y, both, side="right") / m).max()
        return _by_days(float(kolmogorov(gap * math.sqrt(n * m / (n + m) / effect))), s, reference)
    counts = np.array([np.bincount(codes[rows].astype(int), minlength=size) for rows in (reference, here)], float)
    counts = counts[:, counts.sum(axis=0) > 0]
    if counts.shape[1] < 2:
        return 1.0
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0) / counts.sum()
    return _by_days(
        float(chdtrc(counts.shape[1] - 1, ((counts - expected) ** 2 / expected).sum() / effect)), s, reference
    )


def _by_days(p: float, s: Signal, reference: npt.NDArray[np.bool_]) -> float:
    """p with the tails of Student's t: how far days differ is seen on as many days as the reference has."""
    df = len(np.unique(days(s)[reference])) - 1
    return float(2 * stdtr(df, ndtri(p / 2))) if df > 0 and 0 < p < 1 else p
