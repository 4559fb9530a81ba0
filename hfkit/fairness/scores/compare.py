"""How well does the score itself serve each group? AUC, log loss, Brier score and calibration in the large.

AUC 0..1, higher is better, ties count one half. Log loss in nats (probabilities clipped to 1e-6) and Brier score 0..1,
lower is better. Calibration in the large: event rate minus mean score, -1..1, 0 is best.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from hfkit.fairness.comparison import Comparison
from hfkit.fairness.perspective import Bools, Floats, Part
from hfkit.fairness.scores import bounds
from hfkit.fairness.scores.bounds import ENOUGH
from hfkit.fairness.scores.influence import Cases, Measured, cases, measured
from hfkit.shared import evidence, intervals
from hfkit.shared.cluster import NOTHING
from hfkit.shared.intervals import Interval
from hfkit.shared.measures import MODELS, SCORES

COLUMNS = ["component", "group", "model", "measure", "events", "n", "value", "low", "high", "note"]
SETS = ("the baseline", "the candidate", "both models")


@dataclass(frozen=True)
class Scores:
    """The scores of one component and cohort: of each group, and of everyone else."""

    part: Part
    inside: Measured
    outside: Measured

    @classmethod
    def of(cls, part: Part, rows: Cases | None = None) -> Scores:
        """Measure a part; `rows` are the cases of its component where they are at hand."""
        rows = cases(part.view, part.at) if rows is None else rows
        member = part.cohort.code[rows.order]
        groups = [member == g for g in range(len(part.cohort.groups))]
        return cls(part, measured(rows, groups), measured(rows, [~g for g in groups]))

    def compare(self, level: float) -> list[Comparison]:
        """Gaps of both models, changes, gap changes: one comparison a group and measure, each interval at `level`.

        A gap is the group minus everyone else, a change candidate minus baseline on rows with both scores. Group and
        rest count as independent. Where too few rows carry a measure its value stands without bounds.
        """
        inside, outside = (bounds.alone(m, level) for m in (self.inside, self.outside))
        moved, others = (bounds.changes(m, level) for m in (self.inside, self.outside))
        gap = bounds.within(Interval(*intervals.mover(inside, outside)))
        apart = bounds.within(Interval(*intervals.mover(moved, others)), 2.0)
        error = np.sqrt(self.inside.variance + self.outside.variance)
        out = []
        for g, s, j in np.ndindex(gap.value.shape):
            out.append(
                self._comparison("gap", MODELS[s], (g, s, j), _at(gap, (g, s, j)), float(error[g, s, j]), rest=True)
            )
        for g, j in np.ndindex(moved.value.shape):
            own = math.sqrt(self.inside.variance[g, 2, j]) if self.inside.variance[g, 2, j] >= 0 else math.nan
            out.append(self._comparison("change", "", (g, 2, j), _at(moved, (g, j)), own, rest=False))
            out.append(
                self._comparison("gap change", "", (g, 2, j), _at(apart, (g, j)), float(error[g, 2, j]), rest=True)
            )
        return out

    def _comparison(
        self, form: str, model: str, place: tuple[int, int, int], interval: Interval, error: float, *, rest: bool
    ) -> Comparison:
        """One comparison; `rest`: everyone else is part of it, and may be why there is nothing to say."""
        note = ""
        if math.isnan(interval.low) or math.isnan(interval.high):
            interval = Interval(interval.value, math.nan, math.nan)
            note = _why(self.inside, place)
            note = note or (f"outside the group, {_why(self.outside, place)}" if rest else "")
        g, s, j = place
        n = int(self.inside.n[g, s])
        return Comparison(SCORES[j], form, model, self.part, g, *interval, float(error), n, note)

    def alone(self) -> pd.DataFrame:
        """Every measure of both models in every group, each interval 95 % by itself."""
        estimates = bounds.alone(self.inside, 0.95)
        rows = []
        for g, s, j in np.ndindex(estimates.value.shape):
            value, low, high = _at(estimates, (g, s, j))
            rows.append([self.part.component, str(self.part.cohort.groups[g]), MODELS[s], SCORES[j].name,
                         int(self.inside.events[g, s]), int(self.inside.n[g, s]), value, low, high,
                         _why(self.inside, (g, s, j))])  # fmt: skip
        return pd.DataFrame(rows, columns=COLUMNS)

    def worst(self, enough: Bools) -> list[dict[str, object]]:
        """Evidence rows `<measure> worst group`: of the groups that have an interval, the worst, whichever it is.

        Its interval is that of the worst true value; for calibration in the large, of the largest distance from 0.
        """
        estimates = bounds.alone(self.inside, float(intervals.simultaneous(int(enough.sum()))))
        place: dict[str, Any] = {"component": self.part.component, "group": self.part.cohort.name}
        rows = []
        for s, j in np.ndindex(estimates.value.shape[1:]):
            name, better = f"{SCORES[j].name} worst group ({MODELS[s]})", SCORES[j].better
            value, low, high = (v[:, s, j] for v in estimates)
            use = np.flatnonzero(enough & ~np.isnan(low) & ~np.isnan(high))
            if not len(use):
                rows.append(
                    evidence.row(name, value=math.nan, n=0, better=better, note="no group has an interval", **place)
                )
                continue
            worst, interval = _worst((value[use], low[use], high[use]), better)
            left = len(value) - len(use)
            more = f"; {left} of {len(value)} groups have no interval and are left out" if left else ""
            note = str(self.part.cohort.groups[use[worst]]).split(".", 1)[1] + more
            rows.append(evidence.row(name, value=interval.value, low=interval.low, high=interval.high, better=better,
                                     n=int(self.inside.n[use[worst], s]), note=note, **place))  # fmt: skip
        return rows


def _worst(estimates: tuple[Floats, Floats, Floats], better: str) -> tuple[int, Interval]:
    """The worst of some groups, and the interval of the worst true value."""
    value, low, high = estimates
    if better == "target":
        low, high = np.maximum(np.maximum(low, -high), 0.0), np.maximum(-low, high)
        value = np.abs(value)
    at, pick = (int(np.argmin(value)), np.min) if better == "higher" else (int(np.argmax(value)), np.max)
    return at, Interval(float(value[at]), float(pick(low)), float(pick(high)))


def _at(interval: Interval, place: tuple[int, ...]) -> Interval:
    return Interval(*(float(v[place]) for v in interval))


def _why(m: Measured, place: tuple[int, int, int]) -> str:
    """Why a side has no value or no bounds in a measure; empty where nothing is to be said."""
    g, s, j = place
    n, events, fewest = int(m.n[g, s]), int(m.events[g, s]), int(m.fewest[g, s])
    ranking, needs = j == 0, s == 2 or j < 3
    if not n:
        return f"undefined: no row with a score of {SETS[s]}"
    if ranking and events in (0, n):
        return f"undefined: no row with{'' if events == 0 else 'out'} the event"
    if m.clusters[g, s] < 2:
        return "only one person is behind it: no interval"
    if needs and fewest < ENOUGH:
        return f"fewer than {ENOUGH} people with the event, or without: no interval holds"
    if ranking and s < 2 and m.value[g, s, j] in (0.0, 1.0):
        return "a perfect order" if m.value[g, s, j] else "a perfectly wrong order"
    if m.variance[g, s, j] <= NOTHING:
        alike = (
            "no row tells the models apart" if s == 2 else "all scores are tied" if ranking else "all rows are alike"
        )
        return f"{alike}: no interval"
    if needs and not ranking and not m.carried[g, s, j] >= ENOUGH:
        return f"fewer than {ENOUGH} rows carry it: no interval holds"
    return ""
