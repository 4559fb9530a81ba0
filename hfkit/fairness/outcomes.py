"""Equitable outcomes: what do the decisions cost each group per served item, and who gains from the new model?

A row costs `cost_false_alarm` where a model acts without the event, `cost_miss` where it does not act on it, else 0.
The benefit of a row is the baseline's cost minus the candidate's, in points, higher is better. Both take few values, so
their means follow from the counts that are published anyway (see effective.sides), and so do the bounds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hfkit.fairness.assess import settle
from hfkit.fairness.effective import Floats, Side, coarse, design, less, sides
from hfkit.fairness.publish import shown
from hfkit.fairness.rows import Perspective
from hfkit.fairness.terms import FEWEST, LEVEL, OFF, Bools, Measured, Terms, reach, worth
from hfkit.shared import disclosure, evidence, stats

COLUMNS = [
    "component", "group", "n", "better", "worse", "points_before", "points_after", "before", "after", "benefit", "low",
    "high", "gap", "gap_low", "gap_high", "verdict", "note",
]  # fmt: skip
SPLIT = "groups that lose while another gains"
_Row = dict[str, Any]


@dataclass(frozen=True)
class Mean:
    """A mean with its bounds, and between which values (`least`, `most`) it lies where its counts are rounded."""

    value: float
    low: float
    high: float
    least: float
    most: float


UNKNOWN = Mean(math.nan, math.nan, math.nan, math.nan, math.nan)


def level_mean(
    tails: npt.ArrayLike, n: npt.ArrayLike, values: npt.ArrayLike, *, effect: float = 1.0, level: float = LEVEL
) -> Mean:
    """Between which bounds lies the mean of something that takes few values? In the unit of the values.

    `values` are sorted upwards; `tails` says how many of the n rows are at least the second, the third, ... value. The
    mean is the first value plus the steps times the shares at or above them. Each share has exact bounds (Clopper and
    Pearson 1934) on counts divided by the design `effect`; they are joined by MOVER (Zou and Donner 2008, Statistics in
    Medicine 27:1693) with the correlations that nested shares have. n = 0: NaN. Where counts are published rounded,
    `tails` and `n` have a first axis (as published, least, most that may stand behind), and the bounds hold for all of
    it, since both are monotone in shares and their bounds.

    >>> found = level_mean([9, 9, 2, 2], 10, [-3, -1, 0, 1, 3])  # one loses 3, seven 0, two gain 3
    >>> [round(v, 3) for v in (found.value, found.low, found.high)]
    [0.3, -1.116, 1.567]
    """
    steps, first = np.diff(np.asarray(values, float)), float(np.asarray(values, float)[0])
    top, k0, k1 = np.broadcast_to(np.asarray(tails, float), (3, len(steps)))
    bottom, n0, n1 = np.broadcast_to(np.asarray(n, float), 3)
    if not bottom > 0:
        return UNKNOWN
    n0, wide = np.maximum(n0, 1.0), effect
    p0, p1 = np.minimum(k0 / n1, 1.0), np.minimum(k1 / n0, 1.0)
    down = steps * (p0 - stats.exact(p0 * n1 / wide, n1 / wide, level)[0])
    up = steps * (stats.exact(p1 * n0 / wide, n0 / wide, level)[1] - p1)
    both = _nested((p0 * n1 + 0.5) / (n1 + 1), (p1 * n0 + 0.5) / (n0 + 1))
    least, most = first + float(steps @ p0), first + float(steps @ p1)
    value = first + float(steps @ np.minimum(top / bottom, 1.0))
    return Mean(value, least - math.sqrt(down @ both @ down), most + math.sqrt(up @ both @ up), least, most)


def _nested(low: Floats, high: Floats) -> Floats:
    """The largest correlation between "at least a" and "at least b", where their shares lie between low and high.

    Half a row is added, so that shares of 0 and 1 have one too.
    """
    p = np.where(np.arange(len(low))[:, None] <= np.arange(len(low)), low[:, None], high[:, None])  # the likelier one
    q = np.where(np.arange(len(low))[:, None] <= np.arange(len(low)), high[None, :], low[None, :])
    return np.asarray(np.minimum(np.sqrt(q * (1 - p) / (p * (1 - q))), 1.0), float)


def outcomes(
    perspectives: list[Perspective], components: pd.DataFrame, *, margin: float | None = None, terms: Terms = OFF
) -> Measured:
    """Does every group get its share of what the new model saves? One row a component and group, and evidence.

    n rows with a decision of both models; `better` and `worse`: rows that cost less and more than before; `before` and
    `after`: cost in points per row with a decision of that model (`points_*` is the sum over n); `benefit`: what the
    candidate saves on the n rows; `gap`: the benefit minus that of everyone else. served: per item by its label,
    independent rows; rater: per answer by that rater's own label, rows that go together by rater and by item. Benefits
    and gaps hold together, 95 % for all of a component and perspective
    (Sidak 1967, JASA 62:626); costs hold one at a time. With a `margin` (points per item) a gap fails where all of it
    lies below -margin and passes where none of it does; None = info. Evidence row SPLIT fails where one group of an
    attribute surely loses (all of the benefit's interval below 0) while another surely gains, and passes where that
    cannot be. No cost, no row, or answers that rest on fewer than 3 raters of equal share: NaN with a note. See Terms
    for what is withheld and rounded.
    """
    costs = components.set_index("component")[["cost_false_alarm", "cost_miss"]].astype(float)
    found: tuple[list[_Row], list[_Row]] = ([], [])
    for p in perspectives:
        for c, component in enumerate(p.components):
            rows = _Rows.of(p, c, *(float(v) for v in costs.loc[component]))
            _component(found, rows, margin, terms)
    if not found[1]:
        note = "no test row carries a cohort column (items.cohort.* or raters.cohort.*): nobody can be compared"
        found[1].append(evidence.row("benefit per item", value=math.nan, n=0, better="higher", verdict="cannot tell",
                                     note=note))  # fmt: skip
    return Measured(pd.DataFrame(found[0], columns=COLUMNS), evidence.table(found[1]))


@dataclass(frozen=True)
class _Rows:
    """The rows of one component and perspective: points by row (before, after, benefit), which count, their values."""

    p: Perspective
    component: str
    here: Bools
    use: Bools
    points: Floats
    values: tuple[Floats, Floats, Floats]
    dear_miss: bool

    @classmethod
    def of(cls, p: Perspective, c: int, alarm: float, miss: float) -> _Rows:
        """The rows of component c, with what a false alarm and a miss cost."""
        here = p.component == c
        wrong = np.where(p.y[:, None] == 1, (p.decisions == 0) * miss, (p.decisions == 1) * alarm)
        points = np.column_stack([wrong, wrong[:, 0] - wrong[:, 1]])
        small, large = sorted((alarm, miss))
        own = np.array([0.0, small, large])
        use = here & (p.decisions >= 0).all(axis=1)
        return cls(
            p,
            p.components[c],
            here,
            use,
            points,
            (own, own, np.array([-large, -small, 0.0, small, large])),
            miss >= alarm,
        )

    def mean(self, rows: Bools, statistic: int, level: float, side: Side, at: tuple[int, int]) -> Mean:
        """The mean of one statistic (0 before, 1 after, 2 benefit) over some rows; NaN where it has no bounds."""
        values = self.values[statistic]
        if not values[-1] > 0:
            return UNKNOWN
        x, base = self.points[rows, statistic], side.base
        effect, confidence = 1.0, level
        if self.p.name != "served":
            one = np.ones((len(x), 1))
            unit, item = self.p.unit[rows], self.p.item[rows]
            confidence = reach(worth(one[:, 0], unit, item), level, base)
            effect = 1.0 if math.isnan(confidence) else float(design(x[:, None], one, unit, item)[0][0])
        tails, n = _tails(side, at, statistic, dear_miss=self.dear_miss)
        return level_mean(tails, n, values, effect=float(coarse(np.array(effect), base)), level=confidence)


def _tails(side: Side, at: tuple[int, int], statistic: int, *, dear_miss: bool) -> tuple[Floats, Floats]:
    """How many rows have at least each value but the first, and how many are there? As published, least, most.

    `dear_miss` says that a miss costs more than a false alarm (or as much).
    """
    c, g = at
    if statistic < 2:
        hit, events, false, others = np.moveaxis(side.core[:, c, g, 4 * statistic : 4 * statistic + 4], -1, 0)
        missed = less(events, hit)
        return np.stack([missed + false, missed if dear_miss else false], axis=-1), events + others
    gain, loss = (side.up[:, c, g, 1], side.down[:, c, g, 2]), (side.down[:, c, g, 1], side.up[:, c, g, 2])
    n, dear = side.paired[:, c, g, 0], 0 if dear_miss else 1
    tails = [less(n, loss[dear]), less(n, loss[0] + loss[1]), gain[0] + gain[1], gain[dear]]
    return np.stack(tails, axis=-1), n


def _component(found: tuple[list[_Row], list[_Row]], rows: _Rows, margin: float | None, terms: Terms) -> None:
    """The rows of every group of one component and perspective."""
    p, c = rows.p, rows.p.components.index(rows.component)
    least = terms.suppress_below if terms.suppress_below > 1 else 0
    told = [shown(p, a, min_group=least, suppress_below=terms.suppress_below) for a in range(len(p.attributes))]
    both = [sides(p, a, terms.round_to, what.rough) for a, what in enumerate(told)]
    notes = [[str(note) for note in what.why[c, :, 14]] for what in told]
    family = sum(_statements(own.paired[0, c, :, 0], why) for (own, _), why in zip(both, notes, strict=True))
    level = LEVEL ** (1 / max(family, 1))
    for a, (pair, why) in enumerate(zip(both, notes, strict=True)):
        known = []
        for g, group in enumerate(p.groups[a]):
            at = {"component": rows.component, "group": group}
            if why[g]:
                lost = {"verdict": _verdict(UNKNOWN, margin), "note": why[g]}
                found[0].append({**dict.fromkeys(COLUMNS, math.nan), **at, **lost})
                found[1].extend(_told(at, (UNKNOWN,) * 4, 0, ("info", why[g]), margin))
                continue
            row, means = _group(rows, p.member[a] == g, level, pair, (c, g))
            verdict = _verdict(means[3], margin)
            found[0].append({**at, **row, "verdict": verdict})
            found[1].extend(_told(at, means, int(row["n"]), (verdict, row["note"]), margin))
            known.append((group, means[2]))
        n = int(disclosure.round_counts(rows.use.sum(), terms.round_to)) if known else 0
        found[1].append(_split(rows.component, p.attributes[a], known, n))


def _statements(n: Floats, why: list[str]) -> int:
    """How many benefits and gaps are there? Two groups make one gap, seen from both sides."""
    some = int(sum(size > 0 and not note for size, note in zip(n, why, strict=True)))
    return some + (1 if len(n) == 2 else some)


def _group(
    rows: _Rows, member: Bools, level: float, pair: tuple[Side, Side], at: tuple[int, int]
) -> tuple[_Row, tuple[Mean, Mean, Mean, Mean]]:
    """One group: its row of the table, and its means before, after, benefit and gap."""
    own, rest = rows.use & member, rows.use & ~member
    before, after = (
        rows.mean(rows.here & member & (rows.p.decisions[:, m] >= 0), m, LEVEL, pair[0], at) for m in (0, 1)
    )
    benefit = rows.mean(own, 2, level, pair[0], at)
    gap = _gap(benefit, rows.mean(rest, 2, level, pair[1], at))
    side = (slice(None), *at)
    n = float(pair[0].paired[0][at][0])
    better, worse = (float(a[side][0, 1] + b[side][0, 2]) for a, b in
                     ((pair[0].up, pair[0].down), (pair[0].down, pair[0].up)))  # fmt: skip
    missed = bool(pair[0].bottom[0][at][[0, 5]].max() > n)  # as published
    row = {
        "n": n, "better": better, "worse": worse, "points_before": before.value * n, "points_after": after.value * n,
        "before": before.value, "after": after.value, "benefit": benefit.value, "low": benefit.low,
        "high": benefit.high, "gap": gap.value, "gap_low": gap.low, "gap_high": gap.high,
        "note": _note(rows, (own, rest), (benefit, gap), missed),
    }  # fmt: skip
    return row, (before, after, benefit, gap)


def _gap(first: Mean, second: Mean) -> Mean:
    """One mean minus another, independent ones: MOVER, at the least favourable of the counts behind rounded ones."""
    value = first.value - second.value
    low = stats.mover((first.least, first.low, first.high), (second.most, second.low, second.high))[1]
    high = stats.mover((first.most, first.low, first.high), (second.least, second.low, second.high))[2]
    low, high = np.fmin(low, value), np.fmax(high, value)
    if math.isnan(first.low) or math.isnan(second.low):
        low = high = math.nan
    return Mean(value, float(low), float(high), first.least - second.most, first.most - second.least)


def _note(rows: _Rows, sides: tuple[Bools, Bools], means: tuple[Mean, Mean], missed: bool) -> str:
    """Why something is undefined, and how many rows were left out."""
    said = []
    if not rows.values[2][-1] > 0:
        said.append("undefined: the component declares no cost")
    elif math.isnan(means[0].value):
        said.append("undefined: no rows with a decision of both models")
    elif math.isnan(means[0].low):
        said.append(f"no interval: the answers rest on too few raters ({FEWEST} of equal share are the least)")
    elif math.isnan(means[1].value):
        said.append("no gap: no such rows outside the group")
    elif math.isnan(means[1].low):
        said.append(f"no interval of the gap: outside the group they rest on fewer than {FEWEST} raters of equal share")
    if missed:
        said.append("rows without a score of both models are left out")
    return "; ".join(said)


def _verdict(gap: Mean, margin: float | None) -> str:
    return "info" if margin is None else evidence.judge(gap.low, gap.high, target=-margin, better="higher")


def _told(
    at: dict[str, str], means: tuple[Mean, ...], n: int, told: tuple[str, str], margin: float | None
) -> list[_Row]:
    """The evidence rows of one group."""
    names = ("cost per item (baseline)", "cost per item (candidate)", "benefit per item", "benefit gap")
    unsure = "cannot tell" if margin is not None else "info"
    out = []
    for name, mean in zip(names, means, strict=True):
        verdict = "info" if name != "benefit gap" else unsure if math.isnan(mean.low) else told[0]
        better = "lower" if name.startswith("cost") else "higher"
        note = told[1]
        if verdict == "cannot tell" and not note and margin is not None:
            note = settle(mean.value, mean.low, mean.high, n=n, margin=margin, better="higher")
        out.append(evidence.row(name, value=mean.value, low=mean.low, high=mean.high, n=n, better=better,
                                verdict=verdict, note=note, **at))  # fmt: skip
    return out


def _split(component: str, attribute: str, told: list[tuple[str, Mean]], n: int) -> _Row:
    """Does one group of an attribute lose while another gains?"""
    known = [(g, m) for g, m in told if not math.isnan(m.low)]
    gain, lose = [g for g, m in known if m.low > 0], [g for g, m in known if m.high < 0]
    one_way = all(m.low >= 0 for _, m in known) or all(m.high <= 0 for _, m in known)
    verdict, value = "cannot tell", math.nan
    note = "undefined: fewer than two groups have an interval"
    if len(known) > 1:
        verdict = "fail" if gain and lose else "pass" if one_way else "cannot tell"
        value = math.nan if verdict == "cannot tell" else float(len(lose)) if gain else 0.0
        note = f"gains: {', '.join(gain) or 'nobody for sure'}; loses: {', '.join(lose) or 'nobody for sure'}"
    return evidence.row(SPLIT, value=value, n=n, component=component, group=attribute, better="lower",
                        verdict=verdict, note=note)  # fmt: skip
