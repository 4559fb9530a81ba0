"""The test rows on which baseline, recalibrated baseline and candidate are compared, and what each score is worth."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from hfkit.shared import cluster, learn, schema, stats
from hfkit.shared import evidence as ev
from hfkit.shared.learn import Floats
from hfkit.shared.measures import SCORES

MODELS = ("baseline", "recalibrated", "candidate")
JUDGED = SCORES[:3]  # AUC, log loss, Brier score
FORMS = (  # of a comparison: its name, and the two models it compares
    ("change", ("baseline", "candidate")),
    ("change against recalibration", ("recalibrated", "candidate")),
    ("change by recalibration", ("baseline", "recalibrated")),
)


def test_rows(
    predictions: pd.DataFrame, splits: pd.DataFrame, *, judgements: pd.DataFrame, labels: pd.DataFrame,
    items: pd.DataFrame,
) -> pd.DataFrame:  # fmt: skip
    """The test rows that were answered: predictions with the answers, the label and who was served.

    Columns of predictions, k of n answers (weighted) that say the event holds, label, tied and p, `group` (same text),
    `unit` (the person served, or the item), and the items' cohorts. Sorted by component and item.
    """
    keys = ["item_id", "component"]
    rows = predictions[predictions["split"] == "test"]
    rows = rows.merge(learn.answers(judgements), on=keys).merge(labels[[*keys, "p", "label", "tied"]], on=keys)
    rows = rows.merge(splits[["item_id", "group"]], on="item_id")
    rows = rows.merge(items[["item_id", "unit_id", *schema.cohorts(items)]], on="item_id", how="left")
    unit = rows["unit_id"].astype("object").where(rows["unit_id"].notna(), "item " + rows["item_id"].astype(str))
    return rows.assign(unit=unit.astype(str)).sort_values(["component", "item_id"], ignore_index=True)


def scores(rows: pd.DataFrame) -> list[dict[str, object]]:
    """How good are the scores of one component on held-out answers, and how far apart? Evidence without a target.

    `AUC`, `log loss` and `Brier score`, of each model and as changes (log loss and Brier score below 0, AUC above 0:
    better). Every answer counts once, with its weight, against the score of its item. Intervals: Student's t, 95 %,
    items with the same text together; raters who judged many items are not modelled.
    """
    out = []
    for measure in JUDGED:
        pairs: list[tuple[str, tuple[str, ...]]] = [(f"{measure.name} ({m})", (m,)) for m in MODELS]
        pairs += [(f"{measure.name} {form}", models) for form, models in FORMS]
        for name, models in pairs:
            scored = rows[rows[list(models)].notna().all(axis=1)]
            value, low, high = _measured(scored, measure.name, models)
            out.append(ev.row(name, component=str(rows["component"].iloc[0]) if len(rows) else "all", value=value,
                              low=low, high=high, n=round(scored["n"].sum()), better=measure.better,
                              note=_note(len(rows), len(scored), value)))  # fmt: skip
    return out


def _measured(rows: pd.DataFrame, name: str, models: tuple[str, ...]) -> tuple[float, float, float]:
    """A measure of one model, or of the second minus the first, from what each row adds to its error."""
    if not len(rows):
        return math.nan, math.nan, math.nan
    n, k = rows["n"].to_numpy(float), rows["k"].to_numpy(float)
    parts = [_shares(name, k, n, rows[m].to_numpy(float)) for m in models]
    value, shares = parts[-1] if len(parts) == 1 else (parts[1][0] - parts[0][0], parts[1][1] - parts[0][1])
    groups = cluster.codes(rows["group"].astype(str))
    groups = np.tile(groups, len(shares) // len(groups))
    spread = float(cluster.variance(shares, groups)[0])
    if math.isnan(value) or math.isnan(spread):
        return value, math.nan, math.nan
    half = float(stdtrit(cluster.effective(np.ones(len(groups)), groups) - 1, 0.975)) * math.sqrt(spread)
    return value, value - half, value + half


def _shares(name: str, k: Floats, n: Floats, score: Floats) -> tuple[float, Floats]:
    """A measure of one score, and what each row adds to its error; of the AUC rows with k, then with n - k answers."""
    if name != "AUC":
        y = k / n
        loss = n * (learn.log_losses(y, score) if name == "log loss" else y * (1 - score) ** 2 + (1 - y) * score**2)
        value = float(loss.sum() / n.sum())
        return value, (loss - value * n) / n.sum()
    event, weight = np.repeat([1.0, 0.0], len(k)), np.concatenate([k, n - k])
    value = stats.auc(event, np.tile(score, 2), weight)
    if math.isnan(value):
        return value, np.zeros(2 * len(k))
    return value, np.concatenate([_placed(score, k, n - k, value), -_placed(score, n - k, k, 1 - value)])


def _placed(score: Floats, own: Floats, others: Floats, mean: float) -> Floats:
    """How the answers of one class are placed among those of the other, less the mean, weighted; sums to 0."""
    order = np.argsort(score, kind="stable")
    below = np.concatenate([[0.0], np.cumsum(others[order])])
    at = [np.searchsorted(score[order], score, side=side) for side in ("left", "right")]
    placed = (below[at[0]] + below[at[1]]) / 2 / others.sum()
    return np.asarray(own * (placed - mean) / own.sum(), float)


def _note(size: int, scored: int, value: float) -> str:
    if not scored:
        return "no test rows" if not size else "no score was logged for the test items"
    left = f"{size - scored} test items without a score are left out" if scored < size else ""
    return "; ".join(filter(None, ["test answers of one class only" if math.isnan(value) else "", left]))


def curve(rows: pd.DataFrame, bins: int = 10) -> pd.DataFrame:
    """What share of answers confirms the event, by the score? One row a component, model and equal-width score bin.

    Columns component, model, score (mean), share, answers. Empty bins are left out.
    """
    long = rows.melt(["component", "k", "n"], list(MODELS), var_name="model", value_name="score").dropna(subset="score")
    long["bin"] = np.minimum((long["score"] * bins).astype(int), bins - 1)
    long["mass"] = long["score"] * long["n"]
    out = long.groupby(["component", "model", "bin"], as_index=False)[["k", "n", "mass"]].sum()
    return out.assign(score=out["mass"] / out["n"], share=out["k"] / out["n"], answers=out["n"])[
        ["component", "model", "score", "share", "answers"]
    ]
