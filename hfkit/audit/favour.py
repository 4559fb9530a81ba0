"""Whom does a judge favour? A judge that errs alike everywhere can be corrected; one that leans cannot be trusted."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hfkit.audit.instruments import beside_people
from hfkit.shared import cluster, intervals
from hfkit.shared.people import which_judge, who_was_served

COLUMNS = ["judge", "component", "leans", "value", "low", "high", "n", "note"]
FEWEST = 20  # items, or comparisons, on either side


def leanings(feedback: pd.DataFrame, items: pd.DataFrame, comparisons: pd.DataFrame) -> pd.DataFrame:
    """How far does a judge lean to one model version, to longer texts, or to what stood first, beyond what people do?

    Over the items that a judge and people answered. One row a judge, component and lean: the share of events that
    the judge sees more than people do, here less elsewhere (`version=v1`: against all other versions; `longer texts`:
    the longer half against the shorter). Below 0: it sees fewer events than people there, it favours it. Bounds 95 %,
    items of one person served together. `first position` counts comparisons: the share in which the judge prefers what
    stood first, less people's; above 0 it favours the first. Fewer than FEWEST on either side: no number.
    """
    rows: list[list[object]] = []
    both = beside_people(feedback, items)[1]
    for (judge, component), part in both.groupby(["judge", "component"], sort=True):
        error = (part["label"] - part["truth"]).to_numpy(float)
        unit = who_was_served(part).to_numpy(str)
        versions = part["model_version"].dropna().unique() if "model_version" in part else []
        sides = [(f"version={v}", part["model_version"].eq(v).to_numpy(bool)) for v in sorted(versions)]
        length = _length(part)
        longer = (length > length.median()).to_numpy(bool)
        sides = (sides if len(sides) > 1 else []) + [("longer texts", longer)]
        rows += [[judge, component, lean, *_contrast(error, side, unit)] for lean, side in sides]
    return pd.DataFrame([*rows, *_positions(comparisons)], columns=COLUMNS)


def _length(part: pd.DataFrame) -> pd.Series:
    missing = pd.Series(np.nan, index=part.index)
    response, text = (part[c].str.len() if c in part else missing for c in ("response", "text"))
    return response.fillna(text).astype(float)


def _contrast(error: np.ndarray, side: np.ndarray, unit: np.ndarray) -> list[object]:
    few = min(side.sum(), (~side).sum())
    if few < FEWEST:
        return [np.nan, np.nan, np.nan, len(error), f"fewer than {FEWEST} items on one side"]
    parts = [cluster.mean_interval(error[s], unit[s]) for s in (side, ~side)]
    if any(np.isnan(p[1]) for p in parts):
        return [parts[0][0] - parts[1][0], np.nan, np.nan, len(error), "too few people served"]
    return [*(float(v) for v in intervals.mover(parts[0], parts[1])), len(error), ""]


def _positions(comparisons: pd.DataFrame) -> list[list[object]]:
    """How much more often than people does each judge prefer what stood first?"""
    placed = comparisons[comparisons["position"].notna() & comparisons["winner"].isin(["a", "b"])]
    first = placed.assign(first=placed["position"].eq(placed["winner"]).astype(float))
    human, machine = first[first["rater_kind"] == "human"], first[first["rater_kind"] != "human"]
    rows: list[list[object]] = []
    for judge, part in machine.groupby(which_judge(machine), sort=True):
        k, n, base, m = part["first"].sum(), len(part), human["first"].sum(), len(human)
        if min(n, m) < FEWEST:
            rows.append([judge, "comparisons", "first position", np.nan, np.nan, np.nan, n,
                         f"fewer than {FEWEST} comparisons with a position by people or by the judge"])  # fmt: skip
            continue
        value, low, high = intervals.newcombe(k, n, base, m)
        rows.append([judge, "comparisons", "first position", float(value), float(low), float(high), n, ""])
    return rows
