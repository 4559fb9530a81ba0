"""Reliability tables: what was said and what happened, bin by bin."""

from __future__ import annotations

import math

import pandas as pd

from hfkit.calibration import means, publish
from hfkit.calibration.binned import BINS, Codes, Floats, bin_of
from hfkit.calibration.groups import VIEWS, Settings, clusterings, groups

COLUMNS = ["component", "model", "group", "bin", "n", "events", "mean_score", "event_rate", "low", "high", "note"]


def reliability(rows: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Of the cases scored about 0.3, how many had the event? One row a component, model, group and bin.

    `rows` as `judged` gives them. Columns: component, model ("baseline, all rows", "baseline", "candidate"; the last
    two on the test split), group, bin (0 to 9), n and events (rounded counts), mean_score, event_rate and its 95 %
    bounds low and high (exact ones at the effective number of rows, for every pair of counts that rounds alike), note.
    Bins and groups that are withheld keep their row, with the reason; a rate near 0 or 1 is shown by its bounds only.
    """
    out: list[dict[str, object]] = []
    rows = rows.sort_values("feedback_id", kind="stable").reset_index(drop=True)
    for component, part in rows.groupby("component", sort=True):
        for model, view, test in VIEWS:
            seen = part[part[model].notna() & ((part["split"] == "test") | (not test))].reset_index(drop=True)
            for g in groups(seen, settings):
                where = {"component": component, "model": view, "group": g.name}
                out += [{**where, **line} for line in _lines(seen[g.rows], model, g.reason)]
    table = publish.shares(pd.DataFrame(out, columns=COLUMNS), "events", "n", ("event_rate", "low", "high"), settings)
    score = table["mean_score"].where(table["n"].notna())
    reason = pd.Series([line["reason"] for line in out], index=table.index, dtype="object")
    note = table["note"].astype("object").where(reason == "", reason)
    return table.assign(mean_score=score if settings.exact else score.round(publish.DECIMALS), note=note)


def _lines(rows: pd.DataFrame, model: str, reason: str) -> list[dict[str, object]]:
    """One group's bins; all of them empty where there is a reason to withhold it."""
    y, s = rows["label"].to_numpy(float), rows[model].to_numpy(float)
    bins, clusters = bin_of(s), clusterings(rows) if len(rows) else []
    out: list[dict[str, object]] = []
    for b in range(BINS):
        inside = (bins == b) & (reason == "")
        n = int(inside.sum())
        line: dict[str, object] = {"bin": b, "n": float(n), "events": float(y[inside].sum()), "reason": reason}
        if reason or not n:
            line |= dict.fromkeys(("mean_score", "event_rate", "low", "high"), math.nan)
            line |= dict.fromkeys(("n", "events"), math.nan) if reason else {}
            line["note"] = "no rows"
        else:
            low, high = rate_interval(y[inside], [c[inside] for c in clusters])
            line |= {"mean_score": float(s[inside].mean()), "event_rate": float(y[inside].mean()), "low": low,
                     "high": high, "note": ""}  # fmt: skip
        out.append(line)
    return out


def rate_interval(y: Floats, clusters: list[Codes], level: float = 0.95) -> tuple[float, float]:
    """Exact bounds of a rate of clustered rows, on the number of independent rows that would vary as much.

    Where the rate is 0 or 1 there is no variation to count by, and the clusters are counted instead.

    >>> import numpy as np
    >>> [round(v, 3) for v in rate_interval(np.zeros(12), [np.arange(12) // 2])]
    [0.0, 0.459]
    """
    low, high = means.mean(y, clusters, level)[1:]
    return (0.0, 1.0) if math.isnan(low) else (low, high)


def curve(table: pd.DataFrame) -> pd.DataFrame:
    """The reliability curve of everyone, for `dvc plots`: component, model, mean_score, event_rate."""
    known = table[(table["group"] == "all") & table["event_rate"].notna()]
    return known[["component", "model", "mean_score", "event_rate"]].reset_index(drop=True)
