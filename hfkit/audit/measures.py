"""What the audit found, in the evidence shape, and the answer."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hfkit.shared import cohorts, evidence, intervals, schema

READING = {
    "pass": "agreed on",
    "fail": "a finding: people disagree on it",
    "inconclusive": "too few answers",
    "info": "",
}


def flagged_by_group(trust: pd.DataFrame, raters: pd.DataFrame, *, min_people: int) -> list[dict[str, object]]:
    """On whom do the flags fall? Share of flagged raters, all and by rater group; small groups have no number."""
    k, n = int(trust["flagged"].sum()), len(trust)
    if n == 0:
        return [evidence.row("flagged share", value=np.nan, n=0, better="lower",
                             note="no answer names its rater (rater_id missing)")]  # fmt: skip
    low, high = intervals.wilson(k, n)
    rows = [evidence.row("flagged share", value=k / n, low=float(low), high=float(high), n=n, better="lower")]
    people = trust[["rater_id", "flagged"]].merge(raters, on="rater_id", how="left", validate="one_to_one")
    for column in schema.cohorts(people):
        by = (
            people.assign(group=cohorts.words(people[column]))
            .groupby("group", sort=True)["flagged"]
            .agg(["sum", "size"])
        )
        notes = cohorts.withheld(by["size"].to_numpy(), min_people, "raters")
        lows, highs = intervals.wilson(by["sum"].to_numpy(float), by["size"].to_numpy(float))
        bounds = zip(by.index, by["sum"], by["size"], lows, highs, notes, strict=True)
        rows += [
            evidence.row("flagged share", value=np.nan, n=0, group=name, better="lower",
                         note=f"{note}: named, not numbered") if note else
            evidence.row("flagged share", value=s / m, low=lo, high=hi, n=m, group=name, better="lower")
            for g, s, m, lo, hi, note in bounds
            for name in [str(cohorts.Group("rater", (column.removeprefix("cohort."),), (str(g),)))]
        ]  # fmt: skip
    return rows


def alpha_rows(agreement: pd.DataFrame) -> list[dict[str, object]]:
    """Krippendorff's alpha of each question, as evidence of group `question=...`.

    Never a target of its own: people may disagree for good reasons, and that is a finding. What gates is the labels.
    """
    return [
        evidence.row(f"alpha {r['level']}", value=r["value"], low=r["low"], high=r["high"], n=r["n_answers"],
                     group=f"question={r['question']}", better="higher",
                     note="; ".join(filter(None, [READING[r["verdict"]], r["note"]])))
        for r in agreement[agreement["group"] == "all"].to_dict("records")
    ]  # fmt: skip


def coverage_rows(coverage: pd.DataFrame) -> list[dict[str, object]]:
    """How loudly each group is heard, 1 = like everybody: `rater coverage` and `served coverage`."""
    return [
        evidence.row(f"{r['group'].partition('.')[0]} coverage", value=r["ratio"], low=r["low"], high=r["high"],
                     n=r["n"], group=r["group"], better="higher", verdict=r["verdict"], note=r["note"])
        for r in coverage.to_dict("records")
    ]  # fmt: skip


def reach_rows(items: pd.DataFrame, feedback: pd.DataFrame) -> list[dict[str, object]]:
    """What share of items has feedback, by component, and through which channels does it come?"""
    rows = []
    heard = items["item_id"].isin(set(feedback.loc[feedback["label"].notna(), "item_id"]))
    for component, part in heard.groupby(items["component"], sort=True):
        low, high = intervals.wilson(part.sum(), len(part))
        rows.append(evidence.row("feedback share", value=part.mean(), low=float(low), high=float(high), n=len(part),
                                 component=component, better="higher"))  # fmt: skip
    counts = feedback["channel"].value_counts().sort_index()
    for channel, k in counts.items():
        low, high = intervals.wilson(k, len(feedback))
        rows.append(evidence.row("channel share", value=k / len(feedback), low=float(low), high=float(high),
                                 n=len(feedback), group=f"channel={channel}"))  # fmt: skip
    return rows


def burst_rows(feedback: pd.DataFrame, bursts: pd.DataFrame) -> list[dict[str, object]]:
    """How many days with a burst were found, by component? Missing dates are named, not counted as calm."""
    dated = feedback["created_at"].notna() & feedback["label"].notna()
    if not dated.any():
        return [evidence.row("burst days", value=np.nan, n=0, better="lower",
                             note="answers have no date (created_at missing)")]  # fmt: skip
    days = bursts.groupby("component")["day"].nunique()
    return [
        evidence.row("burst days", value=float(days.get(c, 0)), n=int(n), component=c, better="lower",
                     note="days with far more equal answers than usual")
        for c, n in feedback[dated].groupby("component", sort=True).size().items()
    ]  # fmt: skip
