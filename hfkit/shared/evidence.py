"""Evidence: one row is one measured statement, in one shape for every room (see schema.EVIDENCE)."""

from __future__ import annotations

import math

import pandas as pd

from hfkit.shared import schema


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
    """Does an interval settle a target? pass: all of it on the good side; fail: all on the bad side; else cannot tell.

    `better` is "higher" or "lower". A missing bound is never a pass.

    >>> judge(0.81, 0.9, target=0.8, better="higher")
    'pass'
    >>> judge(0.7, 0.79, target=0.8, better="higher")
    'fail'
    >>> judge(0.7, 0.9, target=0.8, better="higher"), judge(math.nan, math.nan, target=0.8, better="lower")
    ('cannot tell', 'cannot tell')
    """
    if better == "lower":
        low, high, target = -high, -low, -target
    if low >= target:
        return "pass"
    if high < target:
        return "fail"
    return "cannot tell"


def sentence(evidence: pd.DataFrame) -> str:
    """How many statements pass, fail or cannot be told? Only those that had a target.

    >>> sentence(table([row("auc", value=0.7, n=9, verdict="pass"), row("n", value=9.0, n=9)]))
    '1 pass, 0 fail, 0 cannot tell'
    """
    counts = evidence["verdict"].value_counts()
    return ", ".join(f"{int(counts.get(v, 0))} {v}" for v in schema.VERDICTS[:3])
