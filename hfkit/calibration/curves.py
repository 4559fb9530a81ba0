"""Reliability tables: what was said and what happened, bin by bin."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from hfkit.calibration import means
from hfkit.calibration.binned import BINS, Codes, Floats, bin_of
from hfkit.calibration.groups import VIEWS, clusterings, groups

MIN_CELL = 10  # a bin with fewer rows shows no rate: it would point at people


def reliability(rows: pd.DataFrame, *, min_rows: int = 50, min_raters: int = 10) -> pd.DataFrame:
    """Of the cases scored about 0.3, how many had the event? One row a component, model, group and bin.

    `rows` as `judged` gives them. Columns: component, model ("baseline, all rows", "baseline", "candidate"; the last
    two on the test split), group, bin (0 to 9), n, mean_score, event_rate and its 95 % bounds low and high (Wilson on
    the effective number of rows: clustered answers count less). Groups too small to publish are left out, bins of
    fewer than 10 rows have n and no rate.
    """
    out: list[dict[str, object]] = []
    rows = rows.sort_values("feedback_id", kind="stable").reset_index(drop=True)
    for component, part in rows.groupby("component", sort=True):
        for model, view, test in VIEWS:
            seen = part[part[model].notna() & ((part["split"] == "test") | (not test))].reset_index(drop=True)
            for g in groups(seen, min_rows=min_rows, min_raters=min_raters):
                if not g.reason:
                    where = {"component": component, "model": view, "group": g.name}
                    out += [{**where, **line} for line in _lines(seen[g.rows], model)]
    columns = ["component", "model", "group", "bin", "n", "mean_score", "event_rate", "low", "high"]
    return pd.DataFrame(out, columns=columns)


def _lines(rows: pd.DataFrame, model: str) -> list[dict[str, object]]:
    y, s = rows["label"].to_numpy(float), rows[model].to_numpy(float)
    bins, clusters = bin_of(s), clusterings(rows)
    out: list[dict[str, object]] = []
    for b in range(BINS):
        inside = bins == b
        n = int(inside.sum())
        line: dict[str, object] = {"bin": b, "n": n}
        if n < MIN_CELL:
            line |= dict.fromkeys(("mean_score", "event_rate", "low", "high"), math.nan)
        else:
            low, high = rate_interval(y[inside], [c[inside] for c in clusters])
            line |= {"mean_score": float(s[inside].mean()), "event_rate": float(y[inside].mean()), "low": low,
                     "high": high}  # fmt: skip
        out.append(line)
    return out


def rate_interval(y: Floats, clusters: list[Codes], level: float = 0.95) -> tuple[float, float]:
    """Exact bounds of a rate of clustered rows, on the number of independent rows that would vary as much.

    Where the rate is 0 or 1 there is no variation to count by, and the clusters are counted instead.

    >>> [round(v, 3) for v in rate_interval(np.zeros(12), [np.arange(12) // 2])]
    [0.0, 0.459]
    """
    low, high = means.mean(y, clusters, level)[1:]
    return (0.0, 1.0) if math.isnan(low) else (low, high)


def curve(table: pd.DataFrame) -> pd.DataFrame:
    """The reliability curve of everyone, for `dvc plots`: component, model, mean_score, event_rate."""
    known = table[(table["group"] == "all") & table["event_rate"].notna()]
    return known[["component", "model", "mean_score", "event_rate"]].reset_index(drop=True)
