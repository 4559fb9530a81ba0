"""Rates of each group, gaps against everyone else, changes from baseline to candidate: arrays with intervals.

Rates have exact bounds (Clopper and Pearson). A difference has the wider of two intervals: square-and-add on the exact
bounds (MOVER), and Agresti and Caffo's (2000, The American Statistician 54:280), each on counts divided by the design
effect and with Student's quantile for the number of raters. Alone, the first falls to 93 % where one rate is near 0 and
the other near 1, at whatever level is asked for, and the second to 90 % at n = 6; Wilson's bounds of a rate cover 83 %
at n = 5. Where counts are published rounded, the bounds hold for every count that rounds to them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri, stdtrit

from hfkit.fairness.effective import Floats, Side
from hfkit.fairness.rows import AFTER, BEFORE, CHANGE
from hfkit.shared import stats

Interval = tuple[Floats, Floats, Floats]


class Estimate(NamedTuple):
    """A value with its bounds, and the centre and half width of its adjusted Wald interval (NaN where it has none)."""

    value: Floats
    low: Floats
    high: Floats
    centre: Floats
    half: Floats


class Bracket(NamedTuple):
    """An estimate at the published counts, and at the lowest and the highest that may stand behind them."""

    mid: Estimate
    least: Estimate
    most: Estimate

    def interval(self) -> Interval:
        """(value, low, high), the bounds holding for everything in between."""
        value = self.mid.value
        low, high = (np.array([getattr(part, side) for part in self]) for side in ("low", "high"))
        return value, np.minimum(low.min(axis=0), value), np.maximum(high.max(axis=0), value)

    def some(self, at: slice) -> Bracket:
        """The same for some of the statistics (last axis)."""
        return Bracket(*(Estimate(*(a[..., at] for a in part)) for part in self))


def rates(side: Side, level: Floats) -> Bracket:
    """The measures of the baseline, then of the candidate; NaN where the denominator is 0."""
    confidence, weight = student(side.df[..., :10], level), side.weight[..., :10]
    pairs = list(zip(side.top / weight, side.bottom / weight, strict=True))
    if not side.rounded:
        return _bracket([_rate(*pairs[0], confidence)])
    mid, least, most = (_rate(k, n, confidence) for k, n in pairs)
    centre = np.clip(0.5, least.centre, most.centre)  # the widest that may stand behind
    half = ndtri(0.5 + confidence / 2) * np.sqrt(centre * (1 - centre) / (pairs[2][1] + 2))
    return Bracket(mid, least._replace(half=half), most._replace(half=half))


def _bracket(parts: list[Estimate]) -> Bracket:
    """Mid, least and most; one part alone where counts are published as they are."""
    return Bracket(*(parts if len(parts) == 3 else parts * 3))


def _rate(top: Floats, bottom: Floats, level: Floats) -> Estimate:
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where(bottom > 0, top / bottom, np.nan)
        low, high = stats.exact(top, bottom, level)
        centre = (top + 1) / (bottom + 2)
        half = ndtri(0.5 + level / 2) * np.sqrt(centre * (1 - centre) / (bottom + 2))
    return Estimate(value, np.minimum(low, value), np.maximum(high, value), centre, half)


def changes(side: Side, level: Floats) -> Bracket:
    """Candidate minus baseline on the same rows, a measure each.

    Paired rows: shares that go up and down are two cells of one multinomial, correlated accordingly. Precision has no
    pairs (its rows differ between the models): its two rates are subtracted as if independent, which is wide.
    """
    confidence, weight = student(side.df[..., CHANGE], level), side.weight[..., CHANGE]
    (up, few_up, many_up), (down, few_down, many_down), sizes = (a / weight for a in (side.up, side.down, side.paired))
    parts = [_change(up, down, sizes[0], confidence, _pull(up, down, sizes[0]))]
    if side.rounded:
        pull = _pull(many_up, many_down, sizes[1])  # the strongest that may stand behind
        lowest, highest = [(few_up, many_down)], [(many_up, few_down)]
        if (net := side.net()) is not None:  # the core says more: the most, and the fewest, flips that it allows
            least, most = (end / weight for end in net)
            lowest = _allowed(few_up, many_up, few_down, many_down, least)
            highest = [pair[::-1] for pair in _allowed(few_down, many_down, few_up, many_up, -most)]
        low, high = (
            [_change(*pair, size, confidence, pull) for pair in pairs for size in sizes[1:]]
            for pairs in (lowest, highest)
        )
        parts += [_outer(low, low=True), _outer(high, low=False)]
    alone = rates(side, level)
    apart = between(alone.some(AFTER), alone.some(BEFORE), difference)
    precision = np.arange(5) == 3
    return _bracket([_where(precision, a, b) for a, b in zip(apart, parts, strict=False)])


def _pull(up: Floats, down: Floats, n: Floats) -> Floats:
    """The correlation between the shares that go up and down: cells of one multinomial."""
    with np.errstate(divide="ignore", invalid="ignore"):
        p, q = (np.minimum(a / np.maximum(n, up + down), 1.0) for a in (up, down))
        correlation = np.nan_to_num(-np.sqrt(p * q / ((1 - p) * (1 - q))))
        return np.asarray(np.where(p + q >= 1 - 1e-12, -1.0, correlation), float)


def _change(up: Floats, down: Floats, n: Floats, level: Floats, pull: Floats) -> Estimate:
    n = np.maximum(n, up + down)
    with np.errstate(divide="ignore", invalid="ignore"):
        p, q = (np.where(n > 0, a / n, np.nan) for a in (up, down))
        first, second = ((share, *stats.exact(a, n, level)) for share, a in ((p, up), (q, down)))
    value, low, high = stats.mover(first, second, pull)
    nothing = np.full_like(value, np.nan)
    return Estimate(value, np.maximum(low, -1.0), np.minimum(high, 1.0), nothing, nothing)


def _where(use: npt.NDArray[np.bool_], first: Estimate, second: Estimate) -> Estimate:
    return Estimate(*(np.where(use, a, b) for a, b in zip(first, second, strict=True)))


def _allowed(
    few_up: Floats, many_up: Floats, few_down: Floats, many_down: Floats, least: Floats
) -> list[tuple[Floats, Floats]]:
    """Rows up and down where up minus down is lowest, not below `least`: with the most and with the fewest flips."""
    free = few_up - many_down >= least
    down = np.clip(many_up - least, 0, many_down), np.clip(few_up - least, few_down, many_down)
    return [(np.where(free, few_up, np.maximum(d + least, 0)), np.where(free, many_down, d)) for d in down]


def _outer(parts: list[Estimate], *, low: bool) -> Estimate:
    """Of several estimates the one that reaches furthest down (or up)."""
    out = parts[0]
    for part in parts[1:]:
        out = _where(out.low <= part.low if low else out.high >= part.high, out, part)
    return out


def between(first: Bracket, second: Bracket, how: Callable[[Estimate, Estimate], Estimate]) -> Bracket:
    """The `difference` or the `ratio` of two brackets: lowest where the first is lowest and the second highest."""
    pairs = [(first.mid, second.mid), (first.least, second.most), (first.most, second.least)]
    return _bracket([how(a, b) for a, b in (pairs if first.least is not first.mid else pairs[:1])])


def difference(first: Estimate, second: Estimate) -> Estimate:
    """One estimate minus another, independent of it: the wider of both intervals on either side."""
    value, low, high = stats.mover(first[:3], second[:3])
    centre, half = first.centre - second.centre, np.hypot(first.half, second.half)
    low = np.fmin(low, np.maximum(centre - half, -1.0))
    high = np.fmax(high, np.minimum(centre + half, 1.0))
    unknown = np.isnan(value)
    return Estimate(value, np.where(unknown, np.nan, low), np.where(unknown, np.nan, high), centre, half)


def ratio(first: Estimate, second: Estimate) -> Estimate:
    """One rate over another: MOVER on the log scale; 0 over something is 0, over 0 undefined."""
    with np.errstate(divide="ignore", invalid="ignore"):
        (a, la, ua), (b, lb, ub) = ([np.log(v) for v in side[:3]] for side in (first, second))
        value = np.where(second.value > 0, first.value / second.value, np.nan)
        low = np.where(first.value > 0, np.exp(a - b - np.hypot(a - la, ub - b)), 0.0)
        high = np.where(first.value > 0, np.exp(a - b + np.hypot(ua - a, b - lb)), np.exp(ua - lb))
    low, high = np.nan_to_num(low, nan=0.0), np.where(np.isnan(high), np.inf, high)
    low, high = np.where(np.isnan(value), np.nan, low), np.where(np.isnan(value), np.nan, high)
    return Estimate(value, low, high, np.full_like(value, np.nan), np.full_like(value, np.nan))


def student(df: Floats, level: Floats) -> Floats:
    """The normal confidence level that reaches as far as Student's quantile; NaN below one degree of freedom."""
    with np.errstate(invalid="ignore"):
        quantile = np.where(np.isinf(df), 0.0, stdtrit(np.where(df >= 1, df, np.nan), 0.5 + level / 2))
    return np.where(np.isinf(df), level, 2 * ndtr(quantile) - 1)
