"""Which rows are judged, which groups of people they fall into, and which groups are large enough to say anything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hfkit.shared import schema

MODELS = ("baseline", "candidate")
VIEWS = (("baseline", "baseline, all rows", False), ("baseline", "baseline", True), ("candidate", "candidate", True))


@dataclass(frozen=True)
class Group:
    """One group of one component: its name, which rows belong to it, and why it says nothing (empty if it does)."""

    name: str
    rows: NDArray[np.bool_]
    reason: str


def judged(judgements: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """Which answers can a score be held against, and what did both models say?

    Answers of weight 0 (flagged raters) are left out. One row an answer: feedback_id, item_id, component, rater_id,
    label, baseline (the serving model's score), candidate and split (both missing where retrain made no prediction for
    the item), and all served.* and rater.* columns, missing group values as "not stated". Sorted by feedback_id.
    """
    families = [c for c in judgements.columns if c.startswith(("served.", "rater."))]
    columns = ["feedback_id", "item_id", "component", "rater_id", "label", "score", *families]
    rows = judgements.loc[judgements["weight"] > 0, columns].sort_values("feedback_id", kind="stable")
    said = predictions[["item_id", "component", "split", "baseline", "candidate"]]
    rows = rows.merge(said, on=["item_id", "component"], how="left", validate="m:1")
    rows["baseline"] = rows["baseline"].astype("float64").fillna(rows["score"].astype("float64"))
    for family in families:
        rows[family] = rows[family].astype("object").where(rows[family].notna(), schema.NOT_STATED).astype(str)
    return rows.drop(columns="score").reset_index(drop=True)


def attributes(rows: pd.DataFrame) -> list[str]:
    """The cohort attributes of the rows, sorted; one without any stated value is left out."""
    names = sorted(c for c in rows.columns if c.startswith(("served.", "rater.")))
    return [c for c in names if (rows[c] != schema.NOT_STATED).any()]


def groups(rows: pd.DataFrame, *, min_rows: int, min_raters: int) -> Iterator[Group]:
    """`all`, then every group of every attribute, each with the reason it is too small to publish, if it is."""
    yield Group("all", np.ones(len(rows), dtype=bool), "" if len(rows) else "no judged rows")
    known = rows["rater_id"].notna()
    for attribute in attributes(rows):
        for value, part in rows.groupby(attribute, sort=True):
            reason = f"fewer than {min_rows} rows" if len(part) < min_rows else ""
            people = part.loc[known[part.index], "rater_id"].nunique()
            if attribute.startswith("rater.") and people < min_raters:
                reason = f"fewer than {min_raters} raters" if known.any() else "raters cannot be counted: no rater_id"
            yield Group(f"{attribute}={value}", (rows[attribute] == value).to_numpy(), reason)


def clusterings(rows: pd.DataFrame) -> list[NDArray[np.int64]]:
    """Codes of rows that are not independent: by item, and by rater where raters are known (anonymous = one each)."""
    items = np.unique(rows["item_id"].to_numpy(object).astype(str), return_inverse=True)[1]
    if rows["rater_id"].isna().all():
        return [items.astype(np.int64)]
    codes = pd.factorize(rows["rater_id"], sort=True)[0].astype(np.int64)
    anonymous = codes < 0
    codes[anonymous] = codes.max() + 1 + np.arange(int(anonymous.sum()))
    return [items.astype(np.int64), codes]
