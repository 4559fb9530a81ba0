"""What the page says: the recommendation for each component, the answer, and the numbers DVC follows."""

from __future__ import annotations

import math
import re

import pandas as pd

from hfkit.retrain.fit import KEPT
from hfkit.shared.evidence import proven_first
from hfkit.shared.measures import COST

RETRAIN, RECALIBRATE, KEEP, UNCLEAR = "ship the retrained model", "recalibrate only", "keep the baseline", "undecided"
REASONS = {
    RETRAIN: "it is cheaper than the baseline, and than the baseline recalibrated",
    RECALIBRATE: "recalibrating alone is cheaper, and learning is not shown to add to it",
    KEEP: "the retrained model is not shown to be cheaper",
    UNCLEAR: "it is cheaper than the baseline; whether recalibrating alone would do is not shown",
}


def recommend(evidence: pd.DataFrame, training: pd.DataFrame) -> pd.DataFrame:
    """What should be done with each component? component, recommendation, reason, and the three changes of cost.

    Ship where the retrained model is cheaper than the baseline and than the recalibrated baseline; recalibrate where
    that alone pays and learning is not shown to add to it; keep the baseline where neither is shown.
    """
    whole = evidence[evidence["group"] == "all"].set_index(["component", "measure"])
    out = []
    for r in training.sort_values("component").itertuples():
        names = [
            f"{COST.name} {form}" for form in ("change", "change against recalibration", "change by recalibration")
        ]
        rows = [whole.loc[(r.component, n)] if (r.component, n) in whole.index else None for n in names]
        high = [math.nan if row is None else float(row["high"]) for row in rows]
        cheaper, beyond, alone = (h < 0 for h in high)
        advice = RETRAIN if cheaper and beyond else RECALIBRATE if alone else UNCLEAR if cheaper else KEEP
        reason = REASONS[advice]
        if r.status == KEPT:
            advice, reason = (RECALIBRATE if alone else KEEP), f"{REASONS[RECALIBRATE] if alone else KEPT}: {r.note}"
        values = [math.nan if row is None else float(row["value"]) for row in rows]
        out.append([r.component, advice, reason, *values])
    columns = [
        "component",
        "recommendation",
        "reason",
        "candidate_change",
        "beyond_recalibration",
        "recalibration_change",
    ]
    return pd.DataFrame(out, columns=columns)


def before_after(evidence: pd.DataFrame) -> pd.DataFrame:
    """Costs and rates of everyone, before and after: one row a component and measure, a column a model.

    Columns component, measure, baseline, recalibrated, candidate.
    """
    split = evidence["measure"].str.extract(r"^(.*) \((baseline|recalibrated|candidate)\)$")
    rows = evidence.assign(measure=split[0], model=split[1])
    rows = rows[rows["model"].notna() & (rows["group"] == "all")]
    wide = rows.pivot(index=["component", "measure"], columns="model", values="value")
    wide = wide.reindex(columns=["baseline", "recalibrated", "candidate"]).reset_index().rename_axis(columns=None)
    order = {m: i for i, m in enumerate(rows["measure"].drop_duplicates())}
    return wide.sort_values(["component", "measure"], key=lambda s: s.map(order) if s.name == "measure" else s,
                            ignore_index=True)  # fmt: skip


def by_group(evidence: pd.DataFrame) -> pd.DataFrame:
    """What the change costs each main group, proven statements first: evidence rows against both comparators."""
    rows = evidence[(evidence["group"] != "all") & (evidence["verdict"] != "info")]
    return proven_first(rows)[["component", "group", "measure", "value", "low", "high", "n", "verdict", "note"]]


def answer(evidence: pd.DataFrame, training: pd.DataFrame, limit: int = 3) -> str:
    """Is the retrained model cheaper for the people served? A sentence a component, with the rates before and after."""
    advice = recommend(evidence, training).set_index("component")
    wide = before_after(evidence).set_index(["component", "measure"])
    whole = evidence[evidence["group"] == "all"].set_index(["component", "measure"])
    parts = []
    for component in advice.index[:limit]:
        row = (
            whole.loc[(component, f"{COST.name} change")] if (component, f"{COST.name} change") in whole.index else None
        )
        if row is None or math.isnan(row["value"]):
            parts.append(
                f"{component}: {advice.loc[component, 'recommendation']}; the cost of its decisions is not known."
            )
            continue
        cost, hits, alarms = (
            wide.loc[(component, m)] for m in (COST.name, "true positive rate", "false positive rate")
        )
        parts.append(
            f"{component}: {advice.loc[component, 'recommendation']}. Its decisions cost {cost['baseline']:.0f} points "
            f"per 1,000 served before and {cost['candidate']:.0f} after ({row['value']:+.0f}, {row['low']:+.0f} to "
            f"{row['high']:+.0f}); recalibrating alone gives {cost['recalibrated']:.0f}. Cases with the event caught: "
            f"{hits['baseline']:.0%} before, {hits['candidate']:.0%} after; false alarms: {alarms['baseline']:.0%} "
            f"before, {alarms['candidate']:.0%} after.{_never(wide.loc[(component, 'selection rate')])}"
        )
    more = f" And {len(advice) - limit} more components." if len(advice) > limit else ""
    return " ".join(parts) + more + _dearer(evidence)


def _never(acted: pd.Series) -> str:
    """Where neither model acts on any case, the unchanged cost is no finding about the new model."""
    never = acted["baseline"] == acted["candidate"] == 0
    return " Neither acts on any case: no score reaches the threshold." if never else ""


def _dearer(evidence: pd.DataFrame) -> str:
    """For which main groups does the cost rise beyond chance?"""
    rows = evidence[(evidence["measure"] == f"{COST.name} change") & (evidence["group"] != "all")]
    worse = rows[rows["low"] > 0].sort_values("value", ascending=False)
    names = [f"{r.group} ({r.component}, {r.value:+.0f})" for r in worse.head(3).itertuples()]
    return f" The cost rises, beyond chance, for {', '.join(names)}." if names else ""


def metrics(evidence: pd.DataFrame, training: pd.DataFrame) -> dict[str, float]:
    """The evidence about everyone, `safety.cost_per_1_000_change` -> value, and how many components were retrained."""
    whole = evidence[evidence["group"] == "all"]
    slug = {m: re.sub(r"\W+", "_", m.lower()).strip("_") for m in whole["measure"]}
    values = {f"{r.component}.{slug[r.measure]}": float(r.value) for r in whole.itertuples()}
    return {"components_retrained": float((training["status"] != KEPT).sum()), **values}
