"""From perspectives to verdicts: every group, every measure, judged against the declared margin."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from hfkit.fairness import gaps, publish
from hfkit.fairness.effective import Floats, Side, sides
from hfkit.fairness.extremes import extremes
from hfkit.fairness.rows import BETTER, MEASURES, MODELS, OPPOSITE, Perspective
from hfkit.shared import disclosure, evidence

Row = dict[str, object]
LEVEL = 0.95


@dataclass(frozen=True)
class Targets:
    """A gap beyond `margin` in a `judged` measure fails; what is published is as publish.shown says."""

    margin: float
    judged: tuple[str, ...]
    min_group: int
    suppress_below: int
    round_to: int


@dataclass(frozen=True)
class Assessment:
    """The room's tables: rates of each group, changes from baseline to candidate, and the evidence."""

    groups: pd.DataFrame
    changes: pd.DataFrame
    evidence: pd.DataFrame


@dataclass
class _Tables:
    groups: list[Row] = field(default_factory=list)
    changes: list[Row] = field(default_factory=list)
    evidence: list[Row] = field(default_factory=list)


def assess(
    perspectives: list[Perspective], *, margin: float = 0.05, min_group: int = 10, judged: list[str] | None = None,
    suppress_below: int = 1, round_to: int = 1,
) -> Assessment:  # fmt: skip
    """Is the new model at least as good for everyone? Groups, changes and evidence.

    `margin` is the largest tolerated gap (a difference of rates, 0..1); `judged` the measures held to it (None = all).
    A verdict fails where the whole interval lies beyond the margin on the bad side, passes where none of it does, and
    else cannot be told. Intervals of gaps and of changes hold together, 95 % for all judged gaps of one component and
    perspective (Sidak 1967, JASA 62:626). Groups of fewer than `min_group` items (served) or raters (rater), or that
    leave fewer outside, are named but not shown; so is a statistic on fewer than `suppress_below` persons (1 = all are
    shown). All numbers follow from counts rounded to `round_to` (1 = exact) and, of answers, from their coarse design
    effect, and can be published; bounds hold for every count that rounds to them.
    """
    targets = Targets(margin, tuple(MEASURES if judged is None else judged), min_group, suppress_below, round_to)
    out = _Tables()
    for p in perspectives:
        told = [publish.shown(p, a, min_group=min_group, suppress_below=suppress_below) for a in range(len(p.groups))]
        pairs = [sides(p, a, round_to, shown.rough) for a, shown in enumerate(told)]
        why = [_precision(shown.why, *pair, targets) for pair, shown in zip(pairs, told, strict=True)]
        both = zip(pairs, why, strict=True)
        count = sum((_family(*pair, w, targets) for pair, w in both), np.zeros(len(p.components), int))
        level = (LEVEL ** (1 / np.maximum(count, 1)))[:, None, None]
        for a, (group, rest) in enumerate(pairs):
            _attribute(out, p, a, _compare(group, rest, why[a], level), targets)
    if not out.evidence:
        note = "no test row carries a cohort column (items.cohort.* or raters.cohort.*): nobody can be compared"
        out.evidence.append(
            evidence.row("true positive rate gap (candidate)", value=math.nan, n=0, better="higher",
                         verdict="cannot tell", note=note)
        )  # fmt: skip
    return Assessment(
        pd.DataFrame(out.groups, columns=GROUPS), pd.DataFrame(out.changes, columns=CHANGES),
        evidence.table(out.evidence),
    )  # fmt: skip


NO_BOUNDS = "no interval: too few raters of equal share, or nobody acted on, on one of the sides"
GROUPS = ["component", "group", "model", "measure", "numerator", "denominator", "value", "low", "high", "note"]
CHANGES = ["component", "group", "measure", "n", "before", "after", "change", "low", "high", "verdict", "note"]


def _precision(why: publish.Words, group: Side, rest: Side, targets: Targets) -> publish.Words:
    """Why a statistic is not shown, with precision: too few rows acted on, as published, inside or outside."""
    out = why.copy()
    if targets.suppress_below > 1:
        for s in (3, 8):
            few = np.minimum(group.bottom[0][..., s], rest.bottom[0][..., s]) < targets.suppress_below
            out[..., s] = np.where(
                few & (why[..., s] == ""), disclosure.SMALL.format(threshold=targets.suppress_below), why[..., s]
            )
        out[..., 13] = np.where(out[..., 3] != "", out[..., 3], out[..., 8])
    return out


def _family(group: Side, rest: Side, why: publish.Words, targets: Targets) -> Any:
    """How many different gaps of each component are judged? Two groups make one gap, seen from both sides."""
    judged = [MEASURES.index(m) for m in targets.judged]
    usable = (group.bottom[0] > 0) & (rest.bottom[0] > 0) & (why[..., :10] == "")
    found = usable[..., [*judged, *(j + 5 for j in judged)]].sum(axis=(1, 2))
    return found // 2 if group.units.shape[1] == 2 else found


@dataclass(frozen=True)
class _Compared:
    """Everything known about the groups of one attribute, each (value, low, high) by component, group and statistic."""

    group: Side
    rest: Side
    why: publish.Words
    rate: gaps.Interval
    inside: gaps.Interval
    gap: gaps.Interval
    ratio: gaps.Interval
    change: gaps.Interval
    gap_change: gaps.Interval


def _compare(group: Side, rest: Side, why: publish.Words, level: Floats) -> _Compared:
    inside, outside = gaps.rates(group, level), gaps.rates(rest, level)
    change, others = gaps.changes(group, level), gaps.changes(rest, level)
    return _Compared(
        group, rest, why, gaps.rates(group, np.full((1, 1, 1), LEVEL)).interval(), inside.interval(),
        gaps.between(inside, outside, gaps.difference).interval(), gaps.between(inside, outside, gaps.ratio).interval(),
        change.interval(), gaps.between(change, others, gaps.difference).interval(),
    )  # fmt: skip


def _attribute(out: _Tables, p: Perspective, a: int, x: _Compared, targets: Targets) -> None:
    for c, component in enumerate(p.components):
        if not x.group.units[c].any():
            continue
        for g, name in enumerate(p.groups[a]):
            where = {"component": component, "group": name}
            _group(out, x, (c, g), where, targets)
            _gaps(out, x, (c, g), where, targets)
            _changes(out, x, (c, g), where, targets)
        names = [name.split(".", 1)[1] for name in p.groups[a]]
        place = {"component": component, "group": p.attributes[a]}
        out.evidence += extremes(x.group, x.inside, x.why, c, names, place)


def _group(out: _Tables, x: _Compared, at: tuple[int, int], where: dict[str, str], targets: Targets) -> None:
    top, bottom = x.group.top[0][at], x.group.bottom[0][at]
    for s in range(10):
        note = x.why[at][s] or ("" if bottom[s] else _empty(MEASURES[s % 5], MODELS[s // 5]))
        hide = math.nan if x.why[at][s] else 1.0
        value, low, high = (float(v[at][s]) * hide for v in x.rate)
        if targets.round_to > 1 and not note and top[s] in (0, bottom[s]):
            value, note = math.nan, disclosure.EDGE
        note = note or (NO_BOUNDS if math.isnan(low) else "")
        counts = {"numerator": top[s] * hide, "denominator": bottom[s] * hide}
        row = {**where, "model": MODELS[s // 5], "measure": MEASURES[s % 5]}
        out.groups.append({**row, **counts, "value": value, "low": low, "high": high, "note": note})
        if MEASURES[s % 5] in OPPOSITE:  # the same rows, counted from the other side
            counts["numerator"] = counts["denominator"] - counts["numerator"]
            row["measure"] = OPPOSITE[MEASURES[s % 5]]
            out.groups.append({**row, **counts, "value": 1 - value, "low": 1 - high, "high": 1 - low, "note": note})


def _empty(measure: str, who: str) -> str:
    rows = {"true positive rate": "rows with the event", "false positive rate": "rows without the event",
            "precision": f"rows the {who} acted on"}  # fmt: skip
    return f"undefined: no {rows.get(measure, f'rows with a score of the {who}')}"


def _gaps(out: _Tables, x: _Compared, at: tuple[int, int], where: dict[str, str], targets: Targets) -> None:
    bottom, rest = x.group.bottom[0][at], x.rest.bottom[0][at]
    for s in range(10):
        measure, model = MEASURES[s % 5], MODELS[s // 5]
        empty = "" if bottom[s] else _empty(measure, model)
        empty = empty or ("" if rest[s] else _empty(measure, model) + " outside the group")
        place = {**where, "why": x.why[at][s]}
        interval = tuple(float(v[at][s]) for v in x.gap)
        out.evidence.append(_row(f"{measure} gap ({model})", interval, int(bottom[s]), place, measure, targets, empty))
        if s % 5 == 0:
            interval = tuple(float(v[at][s]) for v in x.ratio)
            silent = replace(targets, judged=())
            row = _row(f"disparate impact ratio ({model})", interval, int(bottom[s]), place, measure, silent, empty)
            if not row["note"]:
                row["note"] = four_fifths(interval[0], interval[1], interval[2])
            out.evidence.append(row)


def four_fifths(value: float, low: float, high: float) -> str:
    """How does the four-fifths rule read a ratio of selection rates, group over everyone else?

    The rule of thumb (US Uniform Guidelines, 1978) knows no chance and no base rates: a reading, never a verdict.

    >>> four_fifths(0.7, 0.5, 0.95)
    'four-fifths reading: outside 0.8 to 1.25, though its interval reaches in'
    """
    if math.isnan(value):
        return "undefined: nobody outside the group is selected"
    if 0.8 <= value <= 1.25:
        return "four-fifths reading: within 0.8 to 1.25" + ("" if low >= 0.8 and high <= 1.25 else ", its interval not")
    clear = ", interval included" if high < 0.8 or low > 1.25 else ", though its interval reaches in"
    return "four-fifths reading: outside 0.8 to 1.25" + clear


def _row(
    name: str, interval: tuple[float, ...], n: int, where: dict[str, str], measure: str, targets: Targets, empty: str
) -> Row:
    better = BETTER[measure]
    judged = measure in targets.judged
    place: dict[str, Any] = {"component": where["component"], "group": where["group"], "better": better}
    if where["why"]:
        empty, interval, n = where["why"], (math.nan,) * 3, 0
    value, low, high = interval
    if math.isnan(low) or math.isnan(high):
        note = empty or NO_BOUNDS
        return evidence.row(name, value=value, n=n, verdict="cannot tell" if judged else "info", note=note, **place)
    verdict = verdict_of(low, high, margin=targets.margin, better=better) if judged else "info"
    note = settle(value, low, high, n=n, margin=targets.margin, better=better) if verdict == "cannot tell" else ""
    if note and (low > 0 or high < 0):
        note = f"a difference is shown, whether beyond the margin is not; {note}"
    return evidence.row(name, value=value, low=low, high=high, n=n, verdict=verdict, note=note, **place)


def verdict_of(low: float, high: float, *, margin: float, better: str) -> str:
    """Does a difference stay within the margin? `better` "none" judges both directions, else only the bad one counts.

    >>> verdict_of(-0.3, -0.1, margin=0.05, better="higher"), verdict_of(-0.3, -0.1, margin=0.05, better="lower")
    ('fail', 'pass')
    >>> verdict_of(0.1, 0.3, margin=0.05, better="none"), verdict_of(-0.04, 0.02, margin=0.05, better="none")
    ('fail', 'pass')
    """
    if better == "none":
        low, high = (-high, -low) if abs(low) > abs(high) else (low, high)
        inside = max(abs(low), abs(high)) <= margin
        return "pass" if inside else "fail" if low > margin else "cannot tell"
    return evidence.judge(low, high, target=margin if better == "lower" else -margin, better=better)


def settle(value: float, low: float, high: float, *, n: int, margin: float, better: str) -> str:
    """How many rows would settle it, if the estimate stayed as it is? Interval width falls with the root of n.

    >>> settle(0.0, -0.1, 0.1, n=100, margin=0.05, better="higher")
    'about 400 such rows in the group would settle it, if the estimate stayed'
    """
    edges = [-margin, margin] if better == "none" else [margin if better == "lower" else -margin]
    needed = [
        ((value - low if value > e else high - value) / abs(value - e)) ** 2 if value != e else math.inf for e in edges
    ]
    factor = max(needed) if better == "none" and abs(value) <= margin else min(needed)
    if n * factor > 1e6:
        return "the estimate lies at the margin: no realistic number of rows would settle it"
    rows = max(math.ceil(n * factor), 30)  # fewer rows do not carry the rule
    unit = 10 ** max(len(str(rows)) - 2, 0)
    rows = math.ceil(rows / unit) * unit
    return f"about {rows:,} such rows in the group would settle it, if the estimate stayed"


def _changes(out: _Tables, x: _Compared, at: tuple[int, int], where: dict[str, str], targets: Targets) -> None:
    paired, bottom = x.group.paired[0][at], x.group.bottom[0][at]
    for s, measure in enumerate(MEASURES):
        n = int(min(bottom[s], bottom[s + 5]) if measure == "precision" else paired[s])
        empty = "" if n else "undefined: no such rows with a score of both models"
        interval = tuple(float(v[at][s]) for v in x.change)
        place = {**where, "why": x.why[at][10 + s]}
        row = _row(f"{measure} change", interval, n, place, measure, targets, empty)
        moved = tuple(float(v[at][s]) for v in x.gap_change)
        empty = empty or ("undefined outside the group" if math.isnan(moved[0]) else "")
        out.evidence += [row, _row(f"{measure} gap change", moved, n, place, measure, targets, empty)]
        edge = (0.0, 1.0) if targets.round_to > 1 else ()
        before, after = (float(x.rate[0][at][i]) for i in (s, s + 5))
        before, after = (math.nan if x.why[at][i] or v in edge else v for i, v in ((s, before), (s + 5, after)))
        out.changes.append({
            "component": where["component"], "group": where["group"], "measure": measure, "n": row["n"],
            "before": before, "after": after, "change": row["value"],
            "low": row["low"], "high": row["high"], "verdict": row["verdict"], "note": row["note"],
        })  # fmt: skip
