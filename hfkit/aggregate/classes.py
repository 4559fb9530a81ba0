"""Questions with several unordered answers: one label of K classes an item, not K yes-or-no ones."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from hfkit.aggregate import crowd
from hfkit.aggregate.choose import by_held_out, own_errors, rater_codes
from hfkit.shared.people import who_answered

MOST = 50  # different answers; with more a question is free text
COLUMNS = ["question", "item_id", "answer", "p", "share", "n_people", "method", "reason"]


def consensus(feedback: pd.DataFrame, trust: pd.DataFrame, *, levels: Mapping[str, str]) -> pd.DataFrame:
    """Which answer does the crowd give on each item, to each question whose level is "nominal"?

    One row a question with 3 to MOST different answers, and item: answer (the most probable; the first by name where
    two are level), p (its probability), share (of the people who answered), n_people, method and reason (see
    choose.by_held_out). People count, their last answer each; models, programs and flagged raters do not.
    """
    flagged = set(trust.loc[trust["flagged"].astype(bool), "rater_id"])
    given = feedback[feedback["rater_kind"].eq("human") & feedback["value"].notna()]
    given = given[~given["rater_id"].isin(flagged)].sort_values(["created_at", "feedback_id"], na_position="first")
    tables = []
    for question, rows in given.groupby("question", sort=True):
        if levels.get(str(question)) == "nominal" and 3 <= rows["value"].nunique() <= MOST:
            tables.append(_question(str(question), rows))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=COLUMNS)


def _question(question: str, rows: pd.DataFrame) -> pd.DataFrame:
    rows = (
        rows.assign(who=who_answered(rows))
        .drop_duplicates(["item_id", "who"], keep="last")
        .sort_values(["item_id", "who"])
    )
    items, task = np.unique(rows["item_id"].to_numpy(str), return_inverse=True)
    values, label = np.unique(rows["value"].to_numpy(str), return_inverse=True)
    rater = rater_codes(rows)
    shares = crowd.shares(task, label, classes=len(values))
    chosen = by_held_out(task, rater, label, classes=len(values))
    posterior = shares
    if chosen.method == "dawid_skene":
        posterior = own_errors(task, rater, label, classes=len(values))[0]
    best = posterior.argmax(axis=1)
    at = np.arange(len(items))
    return pd.DataFrame({
        "question": question, "item_id": items, "answer": values[best], "p": posterior[at, best],
        "share": shares[at, best], "n_people": np.bincount(task), "method": chosen.method, "reason": chosen.reason,
    }, columns=COLUMNS)  # fmt: skip
