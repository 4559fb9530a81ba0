"""How well does the score itself serve each group? AUC, log loss, Brier score and calibration in the large."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from hfkit.fairness.assess import settle, verdict_of
from hfkit.fairness.bounds import ENOUGH, Interval, alone, changes, within
from hfkit.fairness.influence import DIRECTION, NOTHING, SCORES, Bools, Cases, Measured, cases, measured
from hfkit.fairness.publish import shown
from hfkit.fairness.rows import MODELS, UNIT, Perspective
from hfkit.shared import disclosure, errors, evidence, groups, stats

Row = dict[str, object]
LEVEL = 0.95
TABLE = ["component", "group", "model", "measure", "events", "n", "value", "low", "high", "note"]


@dataclass(frozen=True)
class Scores:
    """`table`: every measure of both models in every group (TABLE). `evidence`: gaps, changes, worst groups."""

    table: pd.DataFrame
    evidence: pd.DataFrame


@dataclass(frozen=True)
class _Rules:
    judged: dict[str, float]
    suppress_below: int
    round_to: int


@dataclass(frozen=True)
class _Block:
    """One attribute of one component: what each group and everyone else measure, and why a group is withheld."""

    component: str
    attribute: str
    names: tuple[str, ...]
    unit: str
    inside: Measured
    outside: Measured
    few: list[str]
    kinds: Bools

    def counts(self, rules: _Rules) -> tuple[Any, Any]:
        """Rows with the event and all rows (group, model or both) as publish.claims has them; NaN where withheld."""
        events, others = self.inside.events, self.inside.n - self.inside.events
        some, rest = (disclosure.round_counts(a, rules.round_to) for a in (events, others))
        whole = disclosure.round_counts(self.inside.n, rules.round_to)
        hide = np.where(self.shown, 1.0, np.nan)[:, None]
        alone = np.where(np.arange(3) < 2, whole, np.nan)  # of a group with too few of one kind
        return np.where(self.kinds, some, np.nan) * hide, np.where(self.kinds, some + rest, alone) * hide

    def too_few(self, g: int, s: int, rules: _Rules) -> str:
        """The note of a group with too few rows with, or without, the event: not which, and not whether any."""
        return "" if self.kinds[g, s] else disclosure.SMALL.format(threshold=rules.suppress_below)

    @property
    def shown(self) -> Bools:
        """Which groups are not withheld."""
        return np.array([not note for note in self.few], bool)


def scores(
    perspectives: list[Perspective], *, judged: dict[str, float] | None = None, suppress_below: int = 1,
    round_to: int = 1,
) -> Scores:  # fmt: skip
    """Does the score rank and price every group's rows as well as everyone else's, and did the new model change that?

    Parameters
    ----------
    perspectives
        Rows with a `score`. Served rows are independent; rater rows go together by rater and by item.
    judged
        Measure (see SCORES) to margin, 0 or more, in the measure's unit; its gaps and changes get a verdict. None: all
        are "info", as AUC and the losses follow how hard a group's items are.
    suppress_below, round_to
        Groups of fewer items (served) or raters (rater), inside or outside, are withheld, and one more where a single
        one would follow from the total. Counts come in multiples of `round_to`; above 1, values are rounded to 3
        decimals, low downwards, high upwards, and verdicts read off that. 1 and 1: exact.

    Returns
    -------
    Scores
        AUC 0..1, higher is better, ties count one half. Log loss in nats (probabilities clipped to 1e-6) and Brier
        score 0..1, lower is better. Calibration in the large: event rate minus mean score, -1..1, 0 is best.

        The table's intervals hold at 95 % each. In the evidence, for one component and perspective, at 95 % together
        (Sidak 1967, JASA 62:626): the gaps of both models; all changes and gap changes; the groups behind the worst
        group. A gap is a group minus everyone else (two groups make one gap), a change the candidate minus the baseline
        on rows with both scores, the worst group's interval that of the worst true value of the groups that have one;
        for calibration in the large, of the largest distance from 0. Group and rest count as independent.

        An undefined value (no row with a score; for AUC one class only) is NaN with a note. Where too few rows carry a
        measure the value stands without bounds, says so, and cannot be told.

    Examples
    --------
    >>> from hfkit.fairness.rows import Perspective
    >>> rows, y = np.arange(80), np.tile([0, 1], 40)
    >>> score = np.column_stack([0.3 + 0.4 * y * (rows % 5 > 0) - rows / 1000, 0.2 + 0.6 * y + rows / 1000])
    >>> world = Perspective("served", ("c",), 0 * rows, y, 1 + 0 * score.astype(int), rows, rows, ("served.g",),
    ...                     (("served.g=a", "served.g=b"),), (rows // 40,), score)
    >>> found = scores([world])
    >>> found.table.round(3).loc[0, ["group", "model", "measure", "n", "value", "low"]].astype(str).tolist()
    ['served.g=a', 'baseline', 'AUC', '40.0', '0.895', '0.727']
    """
    rules = _Rules(judged or {}, suppress_below, round_to)
    unknown = sorted(set(rules.judged) - set(SCORES))
    if unknown:
        raise errors.BadValue(
            expected=f"measures among {', '.join(SCORES)}", found=", ".join(unknown), where="judged",
            todo="name the measures as they stand in the table",
        )  # fmt: skip
    table: list[Row] = []
    told: list[Row] = []
    for p in perspectives:
        for code, component in enumerate(p.components):
            found = cases(p, code)
            blocks = [_block(p, a, component, found, rules) for a in range(len(p.attributes))]
            levels = _levels(blocks)
            for b in blocks:
                table += _alone(b, rules)
                told += _gaps(b, levels[0], rules) + _changes(b, levels[1], rules) + _worst(b, levels[2], rules)
    if not told:
        note = "no test row carries a cohort column (items.cohort.* or raters.cohort.*): nobody can be compared"
        verdict = "cannot tell" if rules.judged else "info"
        told = [evidence.row(f"{SCORES[0]} gap (candidate)", value=math.nan, n=0, better="higher", verdict=verdict,
                             note=note)]  # fmt: skip
    return Scores(pd.DataFrame(table, columns=TABLE), evidence.table(told))


def _block(p: Perspective, a: int, component: str, found: Cases, rules: _Rules) -> _Block:
    member = p.member[a][found.order]
    parts = [member == g for g in range(len(p.groups[a]))]
    few = [""] * len(parts)
    if rules.suppress_below > 1:
        for known in found.known:
            for g, note in enumerate(
                _few(found, [w & known for w in parts], known, rules.suppress_below, UNIT[p.name])
            ):
                few[g] = few[g] or note
    why = shown(p, a, min_group=0, suppress_below=rules.suppress_below).why[p.components.index(component)]
    kinds = (why[:, [1, 6, 11]] == "") & (why[:, [2, 7, 12]] == "")
    return _Block(component, p.attributes[a], p.groups[a], UNIT[p.name], measured(found, parts),
                  measured(found, [~w for w in parts]), few, kinds)  # fmt: skip


def _few(found: Cases, parts: list[Bools], known: Bools, least: int, unit: str) -> list[str]:
    """Why each group must be withheld: too few persons in it, too few outside, or another would follow from it."""
    inside = np.array([len(np.unique(found.unit[w])) for w in parts], int)
    outside = np.array([len(np.unique(found.unit[known & ~w])) for w in parts], int)
    notes = groups.why(inside, least, unit)
    around = (outside > 0) & (outside < least) & (inside > 0)
    told = [str(n) or (f"fewer than {least} {unit} outside the group" if o else "")
            for n, o in zip(notes, around, strict=True)]  # fmt: skip
    return [n if n.startswith("withheld") or not n else f"withheld: {n}" for n in told]


def _levels(blocks: list[_Block]) -> tuple[float, float, float]:
    """The level at which each gap, change and group must hold for all of a component to hold together."""
    count = np.zeros(3, int)
    for b in blocks:
        here, rest = (~np.isnan(m.value) & (b.shown[:, None] & b.kinds)[..., None] for m in (b.inside, b.outside))
        two = 1 + int(len(b.names) == 2)
        gap = (here & rest).sum(axis=(0, 2))
        count += [gap[:2].sum() // two, here[:, 2].sum() + gap[2] // two, here[:, :2].sum()]
    gaps, moves, each = (float(LEVEL ** (1 / max(int(k), 1))) for k in count)
    return gaps, moves, each


def _seen(interval: Interval, b: _Block, rules: _Rules) -> Interval:
    """Withheld groups, and those with too few of one kind, as NaN; three decimals, the bounds outwards."""
    told = b.shown[:, None] & b.kinds  # of the baseline, the candidate, and both on the same rows
    hide = np.where(told[:, 2:] if interval[0].ndim == 2 else told[:, : interval[0].shape[1], None], 1.0, np.nan)
    value, low, high = (v * hide for v in interval)
    return disclosure.steps(value, low, high) if rules.round_to > 1 else (value, low, high)


def _why(m: Measured, at: tuple[int, int, int], unit: str) -> str:
    """Why a side has no value or no bounds in a measure; empty where nothing is to be said."""
    g, s, j = at
    n, events, fewest = int(m.n[g, s]), int(m.events[g, s]), int(m.fewest[g, s])
    who = ("the baseline", "the candidate", "both models")[s]
    if not n:
        return f"undefined: no row with a score of {who}"
    if j == 0 and events in (0, n):
        return f"undefined: no row with{'' if events == 0 else 'out'} the event"
    if m.clusters[g, s] < 2:
        return f"one of the {'items' if m.independent else 'items or raters'} only: no interval"
    needs = s == 2 or j < 3
    if needs and fewest < ENOUGH:
        kinds = unit if m.independent else "items or raters"
        return f"fewer than {ENOUGH} {kinds} with the event, or without: no interval holds"
    if j == 0 and s < 2 and m.value[g, s, j] in (0.0, 1.0):
        return "a perfect order" if m.value[g, s, j] else "a perfectly wrong order"
    if m.variance[g, s, j] <= NOTHING:
        told = "no row tells the models apart" if s == 2 else "all scores are tied" if j == 0 else "all rows are alike"
        return f"{told}: no interval"
    if needs and j > 0 and not m.carried[g, s, j] >= ENOUGH:
        return f"fewer than {ENOUGH} rows carry it: no interval holds"
    return ""


def _alone(b: _Block, rules: _Rules) -> list[Row]:
    value, low, high = _seen(alone(b.inside, LEVEL), b, rules)
    events, n = b.counts(rules)
    rows: list[Row] = []
    for g, s, j in np.ndindex(value.shape):
        few = b.few[g]
        rows.append({
            "component": b.component, "group": b.names[g], "model": MODELS[s], "measure": SCORES[j],
            "events": events[g, s], "n": n[g, s],
            "value": value[g, s, j], "low": low[g, s, j], "high": high[g, s, j],
            "note": few or b.too_few(g, s, rules) or _why(b.inside, (g, s, j), b.unit),
        })  # fmt: skip
    return rows


def _gaps(b: _Block, level: float, rules: _Rules) -> list[Row]:
    gap = _seen(within(stats.mover(alone(b.inside, level), alone(b.outside, level))), b, rules)
    return [
        _statement(f"{SCORES[j]} gap ({MODELS[s]})", tuple(float(v[g, s, j]) for v in gap), b, (g, s, j), rules, True)
        for g, s, j in np.ndindex(gap[0].shape)
    ]


def _changes(b: _Block, level: float, rules: _Rules) -> list[Row]:
    moved, others = changes(b.inside, level), changes(b.outside, level)
    apart, moved = _seen(within(stats.mover(moved, others), 2.0), b, rules), _seen(moved, b, rules)
    rows: list[Row] = []
    for g, j in np.ndindex(moved[0].shape):
        for kind, found in (("change", moved), ("gap change", apart)):
            interval = tuple(float(v[g, j]) for v in found)
            rows.append(_statement(f"{SCORES[j]} {kind}", interval, b, (g, 2, j), rules, kind == "gap change"))
    return rows


def _statement(
    name: str, interval: tuple[float, ...], b: _Block, at: tuple[int, int, int], rules: _Rules, rest: bool
) -> Row:
    """One row of evidence; `rest` = everyone else is part of it, and may be why there is nothing to say."""
    (g, s, j), (value, low, high) = at, interval
    n = int(np.nan_to_num(b.counts(rules)[1][g, s]))
    better = DIRECTION[SCORES[j]]
    margin = rules.judged.get(SCORES[j])
    verdict, note = "info" if margin is None else "cannot tell", ""
    if math.isnan(low) or math.isnan(high):
        low = high = math.nan
        note = b.few[g] or b.too_few(g, s, rules) or _why(b.inside, at, b.unit)
        note = note or (f"outside the group, {_why(b.outside, at, b.unit)}" if rest else "")
    elif margin is not None:
        sides = "none" if better == "target" else better
        verdict = verdict_of(low, high, margin=margin, better=sides)
        note = settle(value, low, high, n=n, margin=margin, better=sides) if verdict == "cannot tell" else ""
    return evidence.row(
        name, value=value, low=low, high=high, n=n, component=b.component, group=b.names[g], better=better,
        verdict=verdict, note=note,
    )  # fmt: skip


def _worst(b: _Block, level: float, rules: _Rules) -> list[Row]:
    """The worst of the groups that have an interval. Its own is that of the worst true value, whoever has it."""
    value, low, high = _seen(alone(b.inside, level), b, rules)
    rows: list[Row] = []
    for s, j in np.ndindex(value.shape[1:]):
        name, better, v = f"{SCORES[j]} worst group ({MODELS[s]})", DIRECTION[SCORES[j]], [value, low, high]
        use = np.flatnonzero(~np.isnan(low[:, s, j]) & ~np.isnan(high[:, s, j]))
        place: dict[str, Any] = {"component": b.component, "group": b.attribute, "better": better}
        if not len(use):
            rows.append(evidence.row(name, value=math.nan, n=0, note="no group has an interval", **place))
            continue
        mid, least, most = (x[use, s, j] for x in v)
        if better == "target":
            least, most = np.maximum(np.maximum(least, -most), 0.0), np.maximum(-least, most)
            mid = np.abs(mid)
        at, pick = (int(np.argmin(mid)), np.min) if better == "higher" else (int(np.argmax(mid)), np.max)
        left = len(b.names) - len(use)
        more = f"; {left} of {len(b.names)} groups have no interval and are left out" if left else ""
        rows.append(evidence.row(
            name, value=float(mid[at]), low=float(pick(least)), high=float(pick(most)),
            n=int(np.nan_to_num(b.counts(rules)[1][use[at], s])),
            note=b.names[use[at]].split(".", 1)[1] + more, **place,
        ))  # fmt: skip
    return rows
