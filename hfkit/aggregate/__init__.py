"""What does the crowd say about each item, and how sure are we?

`crowd` turns answers into class probabilities, `estimate` makes the tables other rooms read, `measures` the evidence.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from hfkit.aggregate.choose import by_held_out, own_errors
from hfkit.aggregate.classes import consensus
from hfkit.aggregate.crowd import dawid_skene, shares
from hfkit.aggregate.estimate import METHODS, judgements, labels, settled
from hfkit.aggregate.measures import flips, measure, overruled
from hfkit.aggregate.noise import crowd_errors
from hfkit.aggregate.powered import helped_by_judges, powered_mean
from hfkit.shared.learn import split

__all__ = [
    "METHODS", "Aggregated", "answer", "by_held_out", "combine", "consensus", "crowd_errors", "dawid_skene", "flips",
    "helped_by_judges", "judgements", "labels", "measure", "overruled", "own_errors", "powered_mean", "settled",
    "shares", "split",
]  # fmt: skip


class Aggregated(NamedTuple):
    """The room's tables: labels and judgements as in schema, methods (see labels), evidence, numbers, a plot."""

    labels: pd.DataFrame
    judgements: pd.DataFrame
    methods: pd.DataFrame
    evidence: pd.DataFrame
    metrics: dict[str, float]
    plot: pd.DataFrame


def combine(
    judged: pd.DataFrame, items: pd.DataFrame, *, method: str = "held_out", min_people: int = 5, max_flips: float = 0.1,
    splits: pd.DataFrame | None = None,
) -> Aggregated:  # fmt: skip
    """All of the room at once, from `judgements`; see labels and measure. The order of input rows does not matter.

    `plot` counts items by number of answers: n_answers (5 = five or more), items, decided (share that is
    settled).
    """
    made, methods = labels(judged, method=method, splits=splits)
    evidence = measure(judged, made, methods, items, min_people=min_people, max_flips=max_flips)
    decided = settled(made)
    by = made.assign(decided=decided, n_answers=np.minimum(made["n_answers"], 5)).groupby("n_answers")["decided"]
    plot = by.agg(items="size", decided="mean").reset_index()
    flipped = evidence[evidence["measure"] == "flip share"]
    people, counted = judged["rater_kind"].eq("human"), judged["weight"] > 0
    metrics = {
        "counted_answers": float(counted.sum()), "items_labelled": float(len(made)),
        "answers": float(len(judged)), "decided_share": float(decided.mean()),
        "event_share": float(np.average(methods["event share"], weights=made.groupby("component").size())),
        "disagreement": float(made["disagreement"].mean()),
        "flip_share": float((flipped["value"] * flipped["n"]).sum() / len(made)),
        "dropped_answers": float((people & ~counted).sum()),
        "judge_answers": float((~people & ~counted).sum()),
    }  # fmt: skip
    return Aggregated(made, judged, methods, evidence, metrics, plot)


def answer(result: Aggregated) -> str:
    """The answer to the room's question, in words a product manager understands."""
    m = result.metrics
    aside = m["judge_answers"]
    own = ", ".join(result.methods.loc[result.methods["method"] == "dawid_skene", "component"])
    how = f" Raters are weighed by their own errors for {own}." if own else ""
    judges = f" {aside:,.0f} answers of models and programs made no label: people are the truth." if aside else ""
    return (
        f"{m['counted_answers']:,.0f} answers give {m['items_labelled']:,.0f} labels; {m['decided_share']:.0%} of them "
        f"are settled (.95 sure or more), the rest remain uncertain. {m['dropped_answers']:,.0f} answers of people "
        "did not count: their raters are flagged, or did not agree to what the item is for. The two ways of combining "
        f"answers differ on {m['flip_share']:.1%} of the labels.{how}{judges}"
    )
