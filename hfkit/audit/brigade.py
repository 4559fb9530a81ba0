"""Did a set of raters push one answer in a few days? Bursts against the usual days, then who made them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import bdtrc, gammainc

from hfkit.shared import stats

NEAR = 3  # days around a day that do not count as usual: a burst of a few days must not hide itself
MIN_DAYS = 21
MIN_ANSWERS = 3  # answers within the burst before a person is suspected
TARGET = ["component", "question", "value"]
COLUMNS = [*TARGET, "day", "answers", "usual", "p"]
Floats = npt.NDArray[np.float64]


def bursts(feedback: pd.DataFrame, *, false_positives: float) -> pd.DataFrame:
    """On which days did a component get far more equal answers than usual?

    Several equal answers of a person about one item on a day count once. One row a burst: component, question, value,
    day, answers, usual (mean of the days more than 3 days away), p. A day counts where p times the number of days and
    targets is at most `false_positives`: the probability of reporting any burst where there is none (Bonferroni). p
    is the tail of a Poisson count scaled by the spread of the usual days (quasi-Poisson; McCullagh and Nelder 1989,
    section 6.2), so weekly rhythm widens it. Missing dates, or fewer than 21 days: no row.
    """
    rows = _once(feedback[feedback["created_at"].notna() & feedback["label"].notna()])
    if rows.empty:
        return pd.DataFrame(columns=COLUMNS)
    start = rows["created_at"].min().floor("D")
    day = (rows["created_at"].dt.floor("D") - start).dt.days.to_numpy()
    days = int(day.max()) + 1
    if days < MIN_DAYS:
        return pd.DataFrame(columns=COLUMNS)
    by = rows.groupby(TARGET, sort=True)
    targets = by.size().index
    cell = by.ngroup().to_numpy() * days + day
    counts = np.bincount(cell, minlength=len(targets) * days).reshape(-1, days).astype(float)
    usual, p = _surprise(counts)
    t, d = np.nonzero(p * p.size <= false_positives)
    return pd.DataFrame({
        **{name: targets.get_level_values(name)[t] for name in TARGET},
        "day": start + pd.to_timedelta(d, unit="D"), "answers": counts[t, d].astype(int), "usual": usual[t, d],
        "p": p[t, d],
    }, columns=COLUMNS)  # fmt: skip


def _once(rows: pd.DataFrame) -> pd.DataFrame:
    """One answer of a person about an item and question a day: a double click is one."""
    day = rows["created_at"].dt.floor("D")
    again = rows.assign(day=day).duplicated(["rater_id", "item_id", "question", "value", "day"])
    return rows[~(again & rows["rater_id"].notna())]


def _surprise(counts: Floats) -> tuple[Floats, Floats]:
    """Mean count of the usual days of each day, and the probability of a count as high, by target and day."""
    days = counts.shape[1]
    apart = (np.abs(np.subtract.outer(np.arange(days), np.arange(days))) > NEAR).astype(float)
    n = apart.sum(axis=0)
    usual = counts @ apart / n
    spread = (counts**2 @ apart / n - usual**2) * n / (n - 1)
    scale = np.maximum(np.divide(spread, usual, out=np.ones_like(usual), where=usual > 0), 1.0)
    base = np.maximum(usual, 1 / n)
    p: Floats = np.where(counts > base, gammainc(np.maximum(counts, 1e-9) / scale, base / scale), 1.0)
    return usual, p


def suspects(feedback: pd.DataFrame, peaks: pd.DataFrame, *, fdr: float) -> set[str]:
    """Who made the bursts? Raters with 3 answers or more in a burst, all saying the same, who are rarely there else.

    Tested within each burst of one component and answer (days joined): how probable is it that so many of a rater's
    answers fall into it, if they fell on usual days like everybody's (binomial; false discovery rate `fdr`)? Where
    there is no burst nobody is suspected. A real incident also makes a burst: people who often answer, or who say both
    things, are not suspected in it, but somebody who came only to report it several times is.
    """
    rows = _once(feedback[feedback["created_at"].notna() & feedback["label"].notna() & feedback["rater_id"].notna()])
    total, per_rater = len(rows), rows.groupby("rater_id").size()
    hit: set[str] = set()
    for (component, question, value), part in peaks.groupby(TARGET, sort=True):
        here = (rows["component"] == component) & (rows["question"] == question)
        inside = rows[here & rows["created_at"].dt.floor("D").isin(part["day"])]
        same = inside["value"] == value
        by = same.groupby(inside["rater_id"]).agg(same="sum", n="size")
        usual = min(part["usual"].sum() / max(total, 1), 1.0)
        n = per_rater.reindex(by.index).to_numpy(np.int64)
        p = bdtrc(by["same"].to_numpy(float) - 1, n, usual)
        p = np.where((by["same"] == by["n"]) & (by["n"] >= MIN_ANSWERS), p, 1.0)
        hit |= set(by.index[stats.benjamini_hochberg(p) <= fdr])
    return hit
