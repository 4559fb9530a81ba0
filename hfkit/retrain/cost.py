"""What do the decisions cost the people served, before and after, for everyone and for each main group?

Better means cheaper: false alarms and misses at the operating threshold, by the costs declared for each, on the same
test rows, paired. Two comparators: the baseline, and the baseline recalibrated on the calibrate rows, which is what is
to be had without learning anything. Items whose label is a tie are left out of every rate and cost, and counted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from hfkit.retrain.held_out import FORMS, MODELS
from hfkit.shared import cluster, cohorts, intervals, schema
from hfkit.shared import evidence as ev
from hfkit.shared.cohorts import Codes, Cohort
from hfkit.shared.costs import Costs
from hfkit.shared.evidence import GATE_LEVEL
from hfkit.shared.learn import Floats
from hfkit.shared.measures import COST, RATES

SHOWN = RATES[:3]  # selection, true and false positive rate
FEWEST_ROWS = 30  # of a group, for a verdict
Row = dict[str, object]


@dataclass(frozen=True, kw_only=True)
class Targets:
    """What the new model must bring: points it must save per 1,000 served at least, and may cost a main group at most.

    Groups of fewer than `min_people` people are named, not numbered.
    """

    min_saving: float = 0.0
    max_rise: float = 50.0
    min_people: int = 5


@dataclass(frozen=True)
class Decided:
    """The test rows of one component with a score, and a label that is no tie: event and what each model decided."""

    component: str
    costs: Costs
    threshold: float
    event: Floats
    score: dict[str, Floats]
    clusters: tuple[Codes, ...]
    cohorts: tuple[Cohort, ...]
    unit: Codes
    ties: int
    unscored: int

    def acted(self, model: str, threshold: float | None = None) -> Floats:
        """Where does a model act, at the operating threshold or at another one?"""
        at = self.threshold if threshold is None else threshold
        return np.asarray(self.score[model] >= at)

    def change(
        self, models: tuple[str, str], use: Floats | slice = slice(None), level: float = 0.95
    ) -> intervals.Interval:
        """What the second model's decisions cost more than the first's, per 1,000, on some rows."""
        before, after = (self.acted(m)[use] for m in models)
        return self.costs.change(self.event[use], before, after, *(c[use] for c in self.clusters), level=level)


def decided(rows: pd.DataFrame, components: pd.DataFrame) -> list[Decided]:
    """The test rows by component, for components with a declared threshold and costs."""
    out = []
    for declared in components.sort_values("component").itertuples():
        own = rows[rows["component"] == declared.component]
        tied, scored = own["tied"], own[list(MODELS)].notna().all(axis=1)
        use = own[~tied & scored].reset_index(drop=True)
        unit, group = (cluster.codes(use[c].astype(str)) for c in ("unit", "group"))
        alone = len(np.unique(unit)) == len(np.unique(group)) == len(use)
        out.append(Decided(
            component=declared.component, costs=Costs(declared.cost_false_alarm, declared.cost_miss),
            threshold=float(declared.threshold), event=use["label"].to_numpy(int),
            score={m: use[m].to_numpy(float) for m in MODELS}, clusters=() if alone else (unit, group),
            cohorts=tuple(cohorts.of(use, "served")), unit=unit, ties=int(tied.sum()),
            unscored=int((~scored).sum()),
        ))  # fmt: skip
    return out


def evidence(parts: Sequence[Decided], targets: Targets) -> list[Row]:
    """Costs and rates of each model, and the changes of cost that are judged, for everyone and for main groups.

    For everyone each interval holds at 95 % by itself: pass = saves at least `min_saving`, fail = surely does not. For
    main groups all hold together, as a part of the release's gates (see evidence.GATE_LEVEL): fail = surely rises by
    more than `max_rise`, pass = surely does not.
    """
    return [row for d in parts for row in _whole(d, targets)] + _by_group(parts, targets)


def _whole(d: Decided, targets: Targets) -> list[Row]:
    """The rows about everyone."""
    rows, n = [], len(d.event)
    note = f"{d.unscored} test items without a score are left out" if d.unscored else "" if n else "no test rows"
    for model in MODELS:
        value, low, high = d.costs.mean(d.event, d.acted(model), *d.clusters)
        rows.append(ev.row(f"{COST.name} ({model})", component=d.component, value=value, low=low, high=high, n=n,
                           better="lower", note=note))  # fmt: skip
        rows += [_rate(d, model, r, note) for r in range(len(SHOWN))]
    for form, models in FORMS:
        value, low, high = d.change(models)
        verdict = "info" if form.endswith("by recalibration") else ev.judge(low, high, target=-targets.min_saving,
                                                                            better="lower")  # fmt: skip
        aim = f"must save at least {targets.min_saving:g}" if verdict != "info" else "what needs no learning"
        if verdict == schema.INCONCLUSIVE:
            needed = ev.settle(value, low, high, n=n, margin=-targets.min_saving, better="lower")
            aim = "; ".join(filter(None, [aim, needed]))
        rows.append(ev.row(f"{COST.name} {form}", component=d.component, value=value, low=low, high=high, n=n,
                           better="lower", verdict=verdict, note=aim))  # fmt: skip
    rows.append(ev.row("ties left out", component=d.component, value=float(d.ties), n=n + d.ties,
                       note="items whose answers are split in half: no rate or cost counts them"))  # fmt: skip
    return rows


def _rate(d: Decided, model: str, r: int, note: str) -> Row:
    """One rate of one model, with exact bounds on as many rows as would vary as much."""
    rate, acted = SHOWN[r], d.acted(model)
    rows = np.ones(len(acted), bool) if rate.event is None else d.event == rate.event
    name = f"{rate.name} ({model})"
    if not rows.any():
        return ev.row(name, component=d.component, value=math.nan, n=int(rows.sum()), better=rate.better,
                      note="undefined: no such rows")  # fmt: skip
    x = acted[rows].astype(float)
    effect, df = cluster.design(x[:, None], np.ones((len(x), 1)), *(c[rows] for c in d.clusters))
    level = intervals.student(0.95, df[0])
    value, low, high = (float(v) for v in intervals.rate(x.sum() / effect[0], len(x) / effect[0], level)[:3])
    return ev.row(name, component=d.component, value=value, low=low, high=high, n=len(x), better=rate.better, note=note)


def _by_group(parts: Sequence[Decided], targets: Targets) -> list[Row]:
    """The changes of cost of each main group, on intervals that hold together."""
    cells = [(d, c, g, form, models) for d in parts for c in d.cohorts for g in range(len(c.groups))
             for form, models in FORMS[:2]]  # fmt: skip
    sizes = [int((c.code == g).sum()) for _, c, g, _, _ in cells]
    level = float(intervals.simultaneous(sum(n >= FEWEST_ROWS for n in sizes), GATE_LEVEL["retrain"]))
    out = []
    for (d, c, g, form, models), n in zip(cells, sizes, strict=True):
        place: dict[str, Any] = {"component": d.component, "group": str(c.groups[g]), "better": "lower"}
        use = c.code == g
        people = len(np.unique(d.unit[use]))
        if people < targets.min_people:
            note = f"fewer than {targets.min_people} people: named, not numbered" if people else "no test rows"
            out.append(ev.row(f"{COST.name} {form}", value=math.nan, n=0, verdict=schema.INCONCLUSIVE, note=note,
                              **place))  # fmt: skip
            continue
        value, low, high = d.change(models, use, level)
        verdict = ev.within(low, high, margin=targets.max_rise, better="lower")
        note = f"may rise by at most {targets.max_rise:g}"
        if n < FEWEST_ROWS:
            verdict, note = schema.INCONCLUSIVE, f"only {n} rows: too few to judge"
        elif verdict == schema.INCONCLUSIVE:
            note = ev.settle(value, low, high, n=n, margin=targets.max_rise, better="lower")
        out.append(ev.row(f"{COST.name} {form}", value=value, low=low, high=high, n=n, verdict=verdict, note=note,
                          **place))  # fmt: skip
    return out


def thresholds(parts: Sequence[Decided]) -> pd.DataFrame:
    """What would moving to the threshold that the costs imply bring? One row a component and model.

    Columns component, model, declared, implied (false alarm / (false alarm + miss): right for a calibrated score),
    cost (per 1,000, at the declared one), cost_implied, change with low and high (95 %, below 0 moving it saves), n.
    """
    out = []
    for d in parts:
        for model in MODELS:
            acted = d.acted(model), d.acted(model, d.costs.threshold)
            cost = [float(d.costs.mean(d.event, a).value) for a in acted]
            change = d.costs.change(d.event, *acted, *d.clusters)
            out.append([d.component, model, d.threshold, d.costs.threshold, *cost, *change, len(d.event)])
    columns = ["component", "model", "declared", "implied", "cost", "cost_implied", "change", "low", "high", "n"]
    return pd.DataFrame(out, columns=columns)
