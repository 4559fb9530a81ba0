"""Rates of each group, gaps against everyone else, changes from baseline to candidate: tables with intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from hfkit.fairness.comparison import NOT_CLUSTERED, Comparison, table
from hfkit.fairness.perspective import Part
from hfkit.fairness.rates.counts import PAIRED, Floats, Side, sides
from hfkit.shared import intervals
from hfkit.shared.cluster import FEWEST
from hfkit.shared.intervals import Interval, Rate
from hfkit.shared.measures import MODELS, RATES

COLUMNS = [
    "component", "group", "model", "measure", "numerator", "denominator", "value", "low", "high", "note"
]  # fmt: skip
OPPOSITE = {"true positive rate": "false negative rate", "false positive rate": "true negative rate"}
PAIRS = [RATES.index(r) for r in PAIRED]


class Moved(NamedTuple):
    """A change with its interval and its standard error."""

    interval: Interval
    error: Floats


@dataclass(frozen=True)
class Rates:
    """The rates of one component and cohort: of each group, and of everyone else."""

    part: Part
    group: Side
    rest: Side

    @classmethod
    def of(cls, part: Part) -> Rates:
        """Count the rows of a part."""
        return cls(part, *sides(part))

    def compare(self, level: float) -> list[Comparison]:
        """Gaps of both models, changes, gap changes: one comparison a group and rate, each interval at `level`.

        A gap is the group's rate minus that of everyone else. A change is candidate minus baseline on the same rows;
        precision has no pairs (its rows differ between the models), and its two rates are subtracted as if independent,
        which is wide. The difference of the two is a gap change. Group and rest count as independent.
        """
        gap = intervals.difference(_rates(self.group, level), _rates(self.rest, level))
        moved, others = _changes(self.group, level), _changes(self.rest, level)
        apart = Interval(*intervals.mover(moved.interval, others.interval))
        error = np.hypot(_error(self.group), _error(self.rest))
        out = []
        for g, m, r in np.ndindex(gap.value.shape):
            note = self._why(g, m, r) or self._why(g, m, r, rest=True)
            out.append(Comparison(RATES[r], "gap", MODELS[m], self.part, g, *_at(gap, (g, m, r)), float(error[g, m, r]),
                                  int(self.group.bottom[g, m, r]), note))  # fmt: skip
        for g, r in np.ndindex(moved.error.shape):
            n, note = self._moved_rows(g, r), self._why(g, 0, r) or self._why(g, 1, r)
            note = note or ("" if n else "undefined: no such rows with a score of both models")
            change, both = Interval(*_at(moved.interval, (g, r))), Interval(*_at(apart, (g, r)))
            note = note or (NOT_CLUSTERED if math.isnan(change.low) else "")
            out.append(Comparison(RATES[r], "change", "", self.part, g, *change, float(moved.error[g, r]), n, note))
            outside = "undefined" if math.isnan(both.value) else NOT_CLUSTERED if math.isnan(both.low) else ""
            note = note or (f"{outside} outside the group" if outside else "")
            noise = float(np.hypot(moved.error[g, r], others.error[g, r]))
            out.append(Comparison(RATES[r], "gap change", "", self.part, g, *both, noise, n, note))
        return out

    def ratios(self, level: float) -> list[tuple[int, str, Interval, str]]:
        """Disparate impact: each group's selection rate over everyone else's, with the four-fifths reading.

        The rule of thumb (US Uniform Guidelines, 1978) knows no chance and no base rates: a reading, never a verdict.
        """
        ratio = intervals.ratio(*(_rates(s, level) for s in (self.group, self.rest)))
        pick = [(g, m, Interval(*_at(ratio, (g, m, 0)))) for g, m in np.ndindex(ratio.value.shape[:2])]
        return [(g, MODELS[m], i, self._why(g, m, 0) or four_fifths(*i)) for g, m, i in pick]

    def alone(self) -> pd.DataFrame:
        """The rates of each group with the counts behind them, each interval 95 % by itself; opposites included."""
        rate = _rates(self.group, 0.95)
        rows = []
        for g, m, r in np.ndindex(rate.value.shape):
            top, bottom = self.group.top[g, m, r], self.group.bottom[g, m, r]
            value, low, high = _at(rate, (g, m, r))
            row = {"component": self.part.component, "group": str(self.part.cohort.groups[g]), "model": MODELS[m],
                   "measure": RATES[r].name, "numerator": top, "denominator": bottom, "value": value, "low": low,
                   "high": high, "note": self._why(g, m, r)}  # fmt: skip
            rows.append(row)
            if row["measure"] in OPPOSITE:  # the same rows, counted from the other side
                rows.append({**row, "measure": OPPOSITE[RATES[r].name], "numerator": bottom - top,
                             "value": 1 - value, "low": 1 - high, "high": 1 - low})  # fmt: skip
        return pd.DataFrame(rows, columns=COLUMNS)

    def _moved_rows(self, g: int, r: int) -> int:
        """The rows behind a change: those decided by both, of precision the fewer of the two."""
        return int(self.group.rows[g, PAIRS.index(r)] if r in PAIRS else self.group.bottom[g, :, r].min())

    def _why(self, g: int, m: int, r: int, *, rest: bool = False) -> str:
        """Why a rate is undefined or has no interval; empty where nothing is to be said."""
        side, where = (self.rest, " outside the group") if rest else (self.group, "")
        rate, model = RATES[r], MODELS[m]
        if not side.bottom[g, m, r]:
            label = {None: "", True: " with the event", False: " without the event"}[rate.event]
            kind = f"rows the {model} acted on" if rate.acted else f"rows{label} and with a score of the {model}"
            return f"undefined: no {kind}{where}"
        return "" if side.df[g, m, r] + 1 >= FEWEST else NOT_CLUSTERED + where


def _rates(side: Side, level: float) -> Rate:
    """Exact bounds on counts divided by the design effect; too few clusters: a value without bounds."""
    enough = side.df + 1 >= FEWEST
    confidence = np.where(enough, intervals.student(level, side.df), np.nan)
    return intervals.rate(side.top / side.effect, side.bottom / side.effect, confidence)


def _error(side: Side) -> Floats:
    """Standard errors of the rates, with one success and one failure added (Agresti and Caffo 2000)."""
    n = side.bottom / side.effect
    p = (side.top / side.effect + 1) / (n + 2)
    return np.where(side.bottom > 0, np.sqrt(p * (1 - p) / (n + 2)), np.nan)


def _changes(side: Side, level: float) -> Moved:
    """Candidate minus baseline by group and rate."""
    rate, error = _rates(side, level), _error(side)
    before, after = (rate._replace(**_column(rate, m)) for m in (0, 1))
    apart = intervals.difference(after, before)
    out = [np.array(v) for v in (*apart, np.hypot(error[:, 0], error[:, 1]))]
    enough = side.moved_df + 1 >= FEWEST
    confidence = np.where(enough, intervals.student(level, side.moved_df), np.nan)
    up, down, n = (a / side.moved_effect for a in (side.up, side.down, side.rows))
    p, q = ((a + 0.5) / (n + 1) for a in (up, down))
    spread = np.where(n > 0, np.sqrt(np.maximum(p + q - (p - q) ** 2, 0) / (n + 1)), np.nan)
    for whole, own in zip(out, (*intervals.paired(up, down, n, confidence), spread), strict=True):
        whole[:, PAIRS] = own
    return Moved(Interval(*out[:3]), out[3])


def _column(rate: Rate, m: int) -> dict[str, Any]:
    """The fields of a rate for one model."""
    near = tuple(v[:, m] for v in rate.near)
    return {"near": near} | {k: v[:, m] for k, v in rate._asdict().items() if k != "near"}


def _at(interval: Interval | Rate, place: tuple[int, ...]) -> tuple[float, float, float]:
    value, low, high = (float(np.asarray(v)[place]) for v in interval[:3])
    return value, low, high


def four_fifths(value: float, low: float, high: float) -> str:
    """How does the four-fifths rule read a ratio of selection rates, group over everyone else?

    >>> four_fifths(0.7, 0.5, 0.95)
    'four-fifths reading: outside 0.8 to 1.25, though its interval reaches in'
    """
    if math.isnan(value):
        return "undefined: nobody outside the group is selected"
    if 0.8 <= value <= 1.25:
        return "four-fifths reading: within 0.8 to 1.25" + ("" if low >= 0.8 and high <= 1.25 else ", its interval not")
    clear = ", interval included" if high < 0.8 or low > 1.25 else ", though its interval reaches in"
    return "four-fifths reading: outside 0.8 to 1.25" + clear


def changes(comparisons: list[Comparison], rates: pd.DataFrame) -> pd.DataFrame:
    """Before and after of every rate and group, with the change between: one row a component, group and measure."""
    moved = table([c for c in comparisons if c.form == "change" and c.measure in RATES])
    key = ["component", "group", "measure"]
    sides = {m: rates[rates["model"] == m].set_index(key)["value"].rename(m) for m in MODELS}
    out = moved.assign(measure=moved["measure"].str.removesuffix(" change")).set_index(key)
    out = out.join([sides[m] for m in MODELS]).reset_index()
    out = out.rename(columns={"baseline": "before", "candidate": "after", "value": "change"})
    return out[[*key, "n", "before", "after", "change", "low", "high", "note"]]
