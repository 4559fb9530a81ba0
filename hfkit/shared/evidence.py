"""Evidence: one row is one measured statement, in one shape for every room (see schema.EVIDENCE).

A verdict is pass, fail or inconclusive; `info` rows have no target and never count in a decision.
"""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from hfkit.shared import cohorts, measures, schema
from hfkit.shared.schema import INCONCLUSIVE

GATE_LEVEL = {"fairness": 0.96, "retrain": 0.99}  # of the 5 % that may go wrong in a release's gates, who takes which


def row(
    measure: str, *, value: float, n: int, low: float = math.nan, high: float = math.nan, component: str = "all",
    group: str = "all", better: str = "none", verdict: str = "info", note: str = "",
) -> dict[str, object]:  # fmt: skip
    """One evidence row. An undefined value is NaN, with the reason in `note`.

    >>> row("auc", value=0.7, low=0.6, high=0.8, n=100, better="higher")["verdict"]
    'info'
    """
    return {
        "measure": measure, "component": component, "group": group, "value": value, "low": low, "high": high,
        "n": int(n), "better": better, "verdict": verdict, "note": note,
    }  # fmt: skip


def table(rows: list[dict[str, object]]) -> pd.DataFrame:
    """Rows as the agreed evidence table (also when there are none)."""
    frame = pd.DataFrame(rows, columns=[c.name for c in schema.EVIDENCE.columns])
    return schema.shape(frame, schema.EVIDENCE)


def judge(low: float, high: float, *, target: float, better: str) -> str:
    """Does an interval settle a target? pass: all of it on the good side; fail: all of it on the bad side.

    `better` is "higher" or "lower". Anything else, and a missing bound, is inconclusive.

    >>> judge(0.81, 0.9, target=0.8, better="higher")
    'pass'
    >>> judge(0.7, 0.79, target=0.8, better="higher")
    'fail'
    >>> judge(0.7, 0.9, target=0.8, better="higher"), judge(math.nan, math.nan, target=0.8, better="lower")
    ('inconclusive', 'inconclusive')
    """
    if better == "lower":
        low, high, target = -high, -low, -target
    if low >= target:
        return "pass"
    if high < target:
        return "fail"
    return INCONCLUSIVE


def within(low: float, high: float, *, margin: float, better: str) -> str:
    """Does a difference stay within the margin? "higher" and "lower" judge the bad side only, all others both sides.

    >>> within(-0.3, -0.1, margin=0.05, better="higher"), within(-0.3, -0.1, margin=0.05, better="lower")
    ('fail', 'pass')
    >>> within(0.1, 0.3, margin=0.05, better="none"), within(-0.04, 0.02, margin=0.05, better="target")
    ('fail', 'pass')
    >>> within(math.nan, math.nan, margin=0.05, better="none")
    'inconclusive'
    """
    if better in ("higher", "lower"):
        return judge(low, high, target=margin if better == "lower" else -margin, better=better)
    if low >= -margin and high <= margin:
        return "pass"
    return "fail" if low > margin or high < -margin else INCONCLUSIVE


def harmful(measure: str, low: float, high: float, better: str) -> bool:
    """Is a difference proven to be for the worse, whether or not beyond its margin? Other statements: False.

    >>> harmful("accuracy change", -0.2, -0.01, "higher"), harmful("accuracy (candidate)", -0.2, -0.01, "higher")
    (True, False)
    """
    if not measures.read(measure).difference:
        return False
    return (better == "lower" and low > 0) or (better == "higher" and high < 0)


def settle(value: float, low: float, high: float, *, n: int, margin: float, better: str) -> str:
    """How many rows would settle a difference, if the estimate stayed as it is? Interval width: 1 / root of n.

    >>> settle(0.0, -0.1, 0.1, n=100, margin=0.05, better="higher")
    'about 400 such rows would settle it at this estimate'
    """
    if any(math.isnan(v) for v in (value, low, high)):
        return ""
    both = better not in ("higher", "lower")
    edges = [-margin, margin] if both else [margin if better == "lower" else -margin]
    needed = [
        ((value - low if value > e else high - value) / abs(value - e)) ** 2 if value != e else math.inf for e in edges
    ]
    factor = max(needed)  # within the margin both edges must be cleared; beyond it the near one is the harder
    if n * factor > 1e6:
        return "the estimate lies at the margin: no realistic number of rows would settle it"
    rows = max(math.ceil(n * factor), 30)  # fewer rows do not carry the rule
    unit = 10 ** max(len(str(rows)) - 2, 0)
    rows = math.ceil(rows / unit) * unit
    return f"about {rows:,} such rows would settle it at this estimate"


def summary(evidence: pd.DataFrame) -> str:
    """How many statements pass, fail or are inconclusive? Only those that had a target.

    >>> summary(table([row("auc", value=0.7, n=9, verdict="pass"), row("n", value=9.0, n=9)]))
    '1 pass, 0 fail, 0 inconclusive'
    """
    counts = evidence["verdict"].value_counts()
    return ", ".join(f"{int(counts.get(v, 0))} {v}" for v in schema.VERDICTS[:3])


def proven_first(evidence: pd.DataFrame) -> pd.DataFrame:
    """The same rows in the order in which a person should read them: proven ones first, then by size.

    Proven is an interval that leaves out no difference (0, also of what is best at 0), or a verdict pass or fail of a
    statement that compares nothing. Fails stand first, missing values last; what is not proven is ordered by its size
    against its interval, so that the noise of small groups does not come to the top.
    """
    differs = evidence["measure"].map(lambda m: measures.read(m).difference).astype(bool)
    compares = differs | (evidence["better"] == "target")
    off = (evidence["low"] > 0) | (evidence["high"] < 0)
    settled = evidence["verdict"].isin(["pass", "fail"])
    proven = off.where(compares, settled)
    size = evidence["value"].abs() / (evidence["high"] - evidence["low"]).where(~proven, 1.0)
    rank = evidence.assign(
        order=evidence["verdict"] != "fail", unproven=~proven, size=-size, empty=evidence["value"].isna()
    )
    rank = rank.sort_values(["empty", "order", "unproven", "size", "component", "group", "measure"], kind="stable")
    return rank[evidence.columns].reset_index(drop=True)


def sentence(statement: Any) -> str:
    """A statement as a product manager reads it once. `statement` has the fields of an evidence row.

    >>> change = row("false positive rate change", value=0.39, low=0.16, high=0.61, n=72, component="safety",
    ...              group="served.language=es", better="lower", verdict="fail")
    >>> print(sentence(change))
    For people served with language es, safety: the share of cases without the event that get a false alarm rises by 39 percentage points (16 to 61).
    """  # noqa: E501
    r = statement if isinstance(statement, dict) else statement._asdict()
    name = measures.read(str(r["measure"]))
    where = "" if r["component"] == "all" else f"{r['component']}: "
    about = f"For {cohorts.readable(str(r['group']))}, " if r["group"] != cohorts.ALL else ""
    against = "compared with everyone else, " if name.form == "gap change" else ""
    phrase = f"{about}{against}{where}{name.measure.phrase or name.measure.name}"
    value, low, high = (float(r[k]) for k in ("value", "low", "high"))
    if math.isnan(value):
        return f"{_upper(phrase)} is not known{': ' + str(r['note']) if r['note'] else ''}."
    return f"{_upper(phrase)} {_verb(name, value, low, high)}."


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _verb(name: measures.Name, value: float, low: float, high: float) -> str:
    """What the measure does, with the number in its unit and its bounds; signs where it may go either way."""
    if not name.difference:
        return f"is {_amount(value, name)}{_bounds(low, high, name)}"
    change = name.form.endswith("change")
    how = {"against": " against the recalibrated baseline", "by": " by recalibration alone"}.get(name.model, "")
    if low < 0 < high:
        verb = "changes by" if change else "differs from that of everyone else by"
        return f"{verb} {_amount(value, name, '+')}{_bounds(low, high, name, '+')}{how}"
    sign = 1 if value >= 0 else -1
    if change:
        verb = "rises by" if sign > 0 else "falls by"
    else:
        verb = f"is {'higher' if sign > 0 else 'lower'} than for everyone else by"
    low, high = sorted((sign * low, sign * high)) if low == low else (low, high)
    return f"{verb} {_amount(abs(value), name)}{_bounds(low, high, name)}{how}"


def _amount(value: float, name: measures.Name, sign: str = "") -> str:
    units = {"share": " percentage points" if name.difference else " %", "points": " points", "nats": " nats"}
    return f"{_figure(value, name, sign)}{units.get(name.measure.unit, '')}"


def _bounds(low: float, high: float, name: measures.Name, sign: str = "") -> str:
    empty = math.isnan(low) or math.isnan(high)
    return "" if empty else f" ({_figure(low, name, sign)} to {_figure(high, name, sign)})"


def _figure(value: float, name: measures.Name, sign: str) -> str:
    if name.measure.unit == "share":
        return f"{100 * value:{sign}.0f}"
    return f"{value:{sign}.0f}" if name.measure.unit == "points" else f"{value:{sign}.3g}"
