"""Equitable outcomes: what does the new model save each group, and does one group pay for what another gains?

A row costs `cost_false_alarm` where a model acts without the event, `cost_miss` where it does not act on it, else 0; it
is saved the baseline's cost minus the candidate's. Points per 1,000 served (of raters: per 1,000 answers), higher is
better.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from hfkit.fairness.comparison import NOT_CLUSTERED, Comparison, Row
from hfkit.fairness.perspective import Bools, Part
from hfkit.shared import cluster, evidence, intervals
from hfkit.shared.cohorts import Codes
from hfkit.shared.costs import PER, Costs
from hfkit.shared.intervals import Interval
from hfkit.shared.measures import SAVING

COLUMNS = ["component", "group", "n", "better", "worse", "before", "after", "saving", "low", "high", "note"]
SPLIT = "groups that lose while another gains"
NO_COST = "undefined: the component declares no cost"
NO_ROWS = "undefined: no rows with a decision of both models"


@dataclass(frozen=True)
class Savings:
    """The rows of one component and cohort that both models decided on."""

    part: Part
    costs: Costs
    event: Codes
    acted: Bools
    group: Codes
    clusters: tuple[Codes, ...]

    @classmethod
    def of(cls, part: Part) -> Savings:
        """The rows of a part."""
        view = part.view
        rows = part.rows[(view.acted[part.rows] >= 0).all(axis=1)]
        clusters = tuple(cluster.codes(c[rows]) for c in view.clusters)
        return cls(part, view.costs[part.at], view.event[rows], view.acted[rows] == 1, part.cohort.code[rows], clusters)

    def _saving(self, rows: Bools, level: float) -> Interval:
        """What the candidate saves on some rows, per 1,000: minus the change of cost."""
        value, low, high = self.costs.change(
            self.event[rows], *self.acted[rows].T, *(c[rows] for c in self.clusters), level=level
        )
        return Interval(-value, -high, -low)

    def _error(self, rows: Bools) -> float:
        """The standard error of a saving."""
        points = [self.costs.of(self.event[rows], self.acted[rows, m]) for m in (0, 1)]
        x = points[0] - points[1]
        if len(x) < 2:
            return math.nan
        return PER * math.sqrt(float(cluster.variance((x - x.mean()) / len(x), *(c[rows] for c in self.clusters))[0]))

    def compare(self, level: float) -> list[Comparison]:
        """The saving of each group minus that of everyone else, each interval at `level`."""
        out = []
        for g in range(len(self.part.cohort.groups)):
            rows = self.group == g
            inside, outside = self._saving(rows, level), self._saving(~rows, level)
            gap = Interval(*(float(v) for v in intervals.mover(inside, outside)))
            error = math.hypot(self._error(rows), self._error(~rows))
            note = self._why(inside, int(rows.sum())) or (
                f"{self._why(outside, int((~rows).sum()))} outside the group" if math.isnan(gap.low) else ""
            )
            out.append(Comparison(SAVING, "gap", "", self.part, g, *gap, error, int(rows.sum()), note))
        return out

    def _why(self, saving: Interval, n: int) -> str:
        """Why there is no saving, or no interval of it."""
        if math.isnan(saving.value):
            return NO_COST if n else NO_ROWS
        return NOT_CLUSTERED if math.isnan(saving.low) else ""

    def alone(self) -> pd.DataFrame:
        """What each group costs before and after and what it is saved: COLUMNS, intervals 95 % by themselves."""
        rows = []
        for g, group in enumerate(self.part.cohort.groups):
            use = self.group == g
            points = [self.costs.of(self.event[use], self.acted[use, m]) for m in (0, 1)]
            saving = self._saving(use, 0.95)
            mean = [PER * float(p.mean()) if len(p) and saving.value == saving.value else math.nan for p in points]
            rows.append([self.part.component, str(group), int(use.sum()), int((points[1] < points[0]).sum()),
                         int((points[1] > points[0]).sum()), *mean, *saving,
                         self._why(saving, int(use.sum()))])  # fmt: skip
        return pd.DataFrame(rows, columns=COLUMNS)

    def split(self, enough: Bools) -> Row:
        """Does one group of the attribute surely lose while another surely gains? An evidence row without a verdict.

        The savings of the groups with enough people hold together at 95 %.
        """
        level = float(intervals.simultaneous(int(enough.sum())))
        names = [str(g) for g in self.part.cohort.groups]
        groups = [(names[g], self._saving(self.group == g, level)) for g in np.flatnonzero(enough)]
        sure = [(name, s) for name, s in groups if not math.isnan(s.low)]
        gain, lose = [n for n, s in sure if s.low > 0], [n for n, s in sure if s.high < 0]
        place: dict[str, Any] = {"component": self.part.component, "group": self.part.cohort.name}
        if len(sure) < 2:
            return evidence.row(SPLIT, value=math.nan, n=len(self.event), better="lower",
                                note="undefined: fewer than two groups have an interval", **place)  # fmt: skip
        note = f"gains: {', '.join(gain) or 'nobody for sure'}; loses: {', '.join(lose) or 'nobody for sure'}"
        return evidence.row(SPLIT, value=float(len(lose)) if gain else 0.0, n=len(self.event), better="lower",
                            note=note, **place)  # fmt: skip
