"""The monitor room. Has anything changed since: inputs, scores, latency, errors, feedback?"""

from __future__ import annotations

import math

import pandas as pd
from scipy.special import ndtri

from hfkit.monitor.drift import find_changes, weekly
from hfkit.monitor.signals import absent
from hfkit.shared import evidence as ev

__all__ = ["absent", "answer", "curve", "dates", "evidence", "find_changes", "metrics", "strongest", "weekly"]


def evidence(
    series: pd.DataFrame, changes: pd.DataFrame, missing: list[tuple[str, str, str]], *, max_shift: float = 0.2,
    max_latency_p95_ms: float = 2000.0, max_error_rate: float = 0.05, max_drift: float = 0.5,
) -> pd.DataFrame:  # fmt: skip
    """What has changed, and is the last week within its targets? Evidence rows from `weekly`, `find_changes`, `absent`.

    "shift, <signal>": passes where the whole interval of the shift lies within `max_shift` standard deviations either
    way, fails where the signal has changed and the whole interval lies beyond, inconclusive where the interval
    reaches across, days are too few or a column is missing. "latency p95, last week" and "error rate, last week"
    against their targets; "largest drift, last week" is the largest drift (distance w) of all signals with
    simultaneous bounds (Bonferroni), against `max_drift`.
    """
    rows = [_shift(c, max_shift) for c in changes.itertuples(index=False)]
    for component, signal, note in missing:
        rows.append(ev.row(f"shift, {signal}", value=math.nan, n=0, component=component, better="target",
                           verdict="inconclusive", note=note))  # fmt: skip
    for component, part in series.groupby("component", sort=True):
        for signal, target in (("latency p95", max_latency_p95_ms), ("error rate", max_error_rate)):
            last = part[part["signal"] == signal].tail(1)
            rows += [_health(r, target) for r in last.itertuples(index=False)]
        rows.append(_drift(str(component), part, max_drift))
    order = {"fail": 0, "inconclusive": 1, "pass": 2, "info": 3}
    return ev.table(sorted(rows, key=lambda r: (str(r["component"]), order[str(r["verdict"])], str(r["measure"]))))


def _shift(row: tuple[object, ...], max_shift: float) -> dict[str, object]:
    c = row._asdict()  # type: ignore[attr-defined]
    low, high = c["low"], c["high"]
    if math.isnan(c["shift"]):
        verdict, note = "inconclusive", "too few days: needs 8 blocks of whole days and 20 rows, and rows later on"
    elif c["changed"]:
        inside, beyond = low >= -max_shift and high <= max_shift, low > max_shift or high < -max_shift
        verdict = "fail" if beyond else "pass" if inside else "inconclusive"
        note = f"changed on {c['at'].date()} ({c['at_low'].date()} to {c['at_high'].date()}): " + _moved(c)
    else:
        inside = low >= -max_shift and high <= max_shift
        verdict = "pass" if inside else "inconclusive"
        note = f"no date of change found: {_moved(c)}" + ("" if inside else "; more rows would settle it")
    return ev.row(f"shift, {c['signal']}", value=c["shift"], low=low, high=high, n=c["n"], component=c["component"],
                  better="target", verdict=verdict, note=note)  # fmt: skip


def _moved(c: dict[str, object]) -> str:
    mix = isinstance(c["before"], float) and math.isnan(c["before"])
    return f"the mix moved by {c['shift']:.3g}" if mix else f"{c['before']:.4g} before, {c['after']:.4g} after"


def _health(row: tuple[object, ...], target: float) -> dict[str, object]:
    r = row._asdict()  # type: ignore[attr-defined]
    verdict = ev.judge(r["low"], r["high"], target=target, better="lower")
    note = f"week of {r['week'].date()}, at most {target:g}"
    return ev.row(f"{r['signal']}, last week", value=r["value"], low=r["low"], high=r["high"], n=r["n"],
                  component=r["component"], better="lower", verdict=verdict, note=note)  # fmt: skip


def _drift(component: str, part: pd.DataFrame, max_drift: float) -> dict[str, object]:
    last = part[(part["week"] == part["week"].max()) & part["drift"].notna()].sort_values("drift", kind="stable")
    if last.empty:
        return ev.row("largest drift, last week", value=math.nan, n=0, component=component, better="lower",
                      verdict="inconclusive", note="no week after the reference weeks")  # fmt: skip
    top = last.iloc[-1]
    # the bounds of weekly() hold for one signal at 95 %; these hold for all signals together
    half = (last["drift_high"] - last["drift"]) * float(ndtri(1 - 0.025 / len(last)) / ndtri(0.975))
    low, high = max(float((last["drift"] - half).max()), 0.0), float((last["drift"] + half).max())
    verdict = ev.judge(low, high, target=max_drift, better="lower")
    note = f"{top['signal']}, week of {top['week'].date()}, against the reference weeks, at most {max_drift:g}"
    return ev.row("largest drift, last week", value=float(top["drift"]), low=low, high=high, n=int(top["n"]),
                  component=component, better="lower", verdict=verdict, note=note)  # fmt: skip


def answer(evidence: pd.DataFrame) -> str:
    """What has changed, in a sentence or two with the numbers.

    >>> answer(ev.table([ev.row("shift, items", value=float("nan"), n=0, component="chat", verdict="inconclusive",
    ...                         note="no served_at: the items carry no date")]))
    'It is inconclusive whether anything changed: no served_at: the items carry no date.'
    """
    shifts = evidence[evidence["measure"].str.startswith("shift, ")]
    measured = shifts[shifts["value"].notna()]
    if measured.empty:
        return f"It is inconclusive whether anything changed: {shifts['note'].iloc[0] if len(shifts) else 'no items'}."
    moved = measured[measured["verdict"] == "fail"].sort_values("value", key=lambda v: -v.abs(), kind="stable")
    strongest = moved[~moved["measure"].str.split().str[1].duplicated()].head(2)  # latency once, not p50 and p95
    details = "; ".join(f"{r.component} {r.measure[7:]} {r.note}" for r in strongest.itertuples())
    health = evidence[evidence["measure"].str.endswith(", last week")]
    bad = health[health["verdict"] == "fail"]
    first = f"{len(moved)} of {len(measured)} signals changed beyond what is allowed"
    last = "; ".join(f"{r.component} {r.measure.partition(',')[0]} {r.value:.3g}" for r in bad.head(2).itertuples())
    return f"{first}{': ' + details if details else ''}. Last week " + (f"misses targets: {last}." if last else
           f"misses no target ({int((health['verdict'] == 'inconclusive').sum())} inconclusive).")  # fmt: skip


def metrics(evidence: pd.DataFrame) -> dict[str, float]:
    """The last week's numbers, the size of each shift that fails, and how many statements have which verdict."""
    kept = evidence[evidence["measure"].str.endswith(", last week") | (evidence["verdict"] == "fail")]
    flat = {f"{r.component}: {r.measure}": float(r.value) for r in kept.itertuples()}
    counts = evidence["verdict"].value_counts()
    return {**flat, **{v: float(counts.get(v, 0)) for v in ("pass", "fail", "inconclusive")}}


def strongest(changes: pd.DataFrame) -> str:
    """The signal with the strongest change: smallest q, then largest shift. Nothing watched: an empty name."""
    ranked = changes.assign(size=-changes["shift"].abs()).sort_values(["q", "size"], kind="stable")
    return str(ranked["signal"].iloc[0]) if len(ranked) else ""


def curve(series: pd.DataFrame, signal: str) -> pd.DataFrame:
    """The weekly values of one signal: week (its first day, UTC) and one column for each component; ready to draw.

    A week without rows is missing. No such signal: an empty table.
    """
    chosen = series[series["signal"] == signal]
    wide = chosen.pivot(index="week", columns="component", values="value").sort_index()
    return wide.rename_axis(columns=None).reset_index().assign(week=lambda f: f["week"].dt.tz_localize(None))


def dates(changes: pd.DataFrame, signal: str) -> list[pd.Timestamp]:
    """When one signal changed, in any component: the dates to mark in its curve."""
    return sorted(set(changes.loc[changes["signal"] == signal, "at"].dropna().dt.tz_localize(None).dt.normalize()))
