"""Who is heard? Groups of raters against the population, groups of people served against those who answered."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from hfkit.shared import cohorts, evidence, intervals, schema
from hfkit.shared.cohorts import Group

APART = "not stated: set apart, shares are among those who state it"
COLUMNS = ["group", "n", "share", "reference", "ratio", "low", "high", "verdict", "note"]


def by_group(
    items: pd.DataFrame, feedback: pd.DataFrame, raters: pd.DataFrame, population: pd.DataFrame, *,
    min_ratio: float, min_people: int,
) -> pd.DataFrame:  # fmt: skip
    """Which groups speak less than their share? One row a group: n, share, reference, ratio with bounds, verdict.

    `rater.x=g`: share of g among the people who answered, against its share of the population; n counts raters.
    `served.x=g`: share of g among the items with feedback, against its share of the items served; n counts items
    served. ratio = share / reference, 1 = heard like everybody, below 1 = heard less; the bounds are Wilson's for the
    share divided by the reference, which is taken as known. Judged against `min_ratio` (0.8 is the four-fifths rule).
    "not stated" is set apart: it has no ratio, and all shares are among those who state the attribute.
    Groups of fewer than `min_people` raters or items are named, not numbered, and no total gives one back.
    """
    spoke = raters[raters["rater_id"].isin(set(feedback["rater_id"].dropna()))]
    parts = [_raters(spoke, c, population, min_ratio, min_people) for c in schema.cohorts(raters)]
    heard = items["item_id"].isin(set(feedback.loc[feedback["label"].notna(), "item_id"])).to_numpy()
    parts += [_served(items, c, heard, min_ratio, min_people) for c in schema.cohorts(items)]
    rows = [p for p in parts if len(p)]
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=COLUMNS)


def _raters(
    spoke: pd.DataFrame, column: str, population: pd.DataFrame, min_ratio: float, min_people: int
) -> pd.DataFrame:
    name = column.removeprefix("cohort.")
    shares = population[population["cohort"] == name].set_index("group")["share"].astype(float)
    counts = cohorts.words(spoke[column]).value_counts()
    index = sorted(set(counts.index) | set(shares.index))
    k = counts.reindex(index).fillna(0).to_numpy(float)
    stated = np.array([g != schema.NOT_STATED for g in index])
    reference = shares.reindex(index).to_numpy(float)
    note = np.where(np.isnan(reference), f"no population share for {name}", "")
    names = [str(Group("rater", (name,), (g,))) for g in index]
    note = np.where(stated, note, APART)
    reference = np.where(stated, reference, np.nan)
    return _finish(names, (k, float(k[stated].sum()), k, reference), note, (min_ratio, min_people), "raters")


def _served(
    items: pd.DataFrame, column: str, heard: npt.NDArray[np.bool_], min_ratio: float, min_people: int
) -> pd.DataFrame:
    name = column.removeprefix("cohort.")
    index, code = np.unique(cohorts.words(items[column]).to_numpy(str), return_inverse=True)
    served = np.bincount(code, minlength=len(index)).astype(float)
    k = np.bincount(code, weights=heard.astype(float), minlength=len(index)).astype(float)
    stated = index != schema.NOT_STATED
    note = np.where(stated, "", APART)
    names = [str(Group("served", (name,), (str(g),))) for g in index]
    reference = np.where(stated, served / max(served[stated].sum(), 1.0), np.nan)
    counted = (k, float(k[stated].sum()), served, reference)
    return _finish(names, counted, note, (min_ratio, min_people), "items")


def _finish(
    names: list[str], counted: tuple[npt.NDArray[np.float64], float, npt.NDArray[np.float64], npt.NDArray[np.float64]],
    note: npt.NDArray[np.str_], limits: tuple[float, int], unit: str,
) -> pd.DataFrame:  # fmt: skip
    k, total, members, reference = counted
    low, high = intervals.wilson(k, np.full(len(k), total))
    base = np.where(reference > 0, reference, np.nan)
    few = cohorts.withheld(members, limits[1], unit)
    out = pd.DataFrame({
        "group": names, "n": members.astype(int), "reference": reference,
        "share": np.where(note == APART, np.nan, k / total if total else np.nan),
        "ratio": k / base / total if total else np.nan, "low": low / base, "high": high / base,
    })  # fmt: skip
    out.loc[few != "", ["share", "ratio", "low", "high"]] = np.nan
    out.loc[few != "", "n"] = 0
    if unit == "items":
        out.loc[few != "", "reference"] = np.nan  # a share of the items is their number; one of a population is public
    bounds = zip(out["low"], out["high"], strict=True)
    out["verdict"] = [evidence.judge(lo, hi, target=limits[0], better="higher") for lo, hi in bounds]
    out["note"] = np.where(few != "", few + ": named, not numbered", note)
    return out
