"""Which rows are judged, which groups of people they fall into, and which groups are large enough to say anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hfkit.shared import schema
from hfkit.shared.groups import withheld

MODELS = ("baseline", "candidate")
BOTH = "withheld so that a smaller group cannot be worked out"
VIEWS = (("baseline", "baseline, all rows", False), ("baseline", "baseline", True), ("candidate", "candidate", True))


@dataclass(frozen=True)
class Settings:
    """What was declared before looking: targets, the smallest publishable groups, replicates, confidence, rounding.

    `suppress_below` rows or persons are never shown, nor anything that fewer stand outside of; counts are rounded to
    `round_to`. Both 1: everything is shown as it is.
    """

    ece_max: float = 0.05
    gap_max: float = 0.05
    min_rows: int = 50
    min_raters: int = 10
    n_boot: int = 1000
    level: float = 0.95
    suppress_below: int = 10
    round_to: int = 5

    @property
    def exact(self) -> bool:
        """Is everything to be shown as it is?"""
        return self.suppress_below <= 1 and self.round_to <= 1


@dataclass(frozen=True)
class Group:
    """One group of one component: name, attribute, which rows belong to it, why it says nothing (empty if it does)."""

    name: str
    attribute: str
    rows: NDArray[np.bool_]
    reason: str


def judged(
    judgements: pd.DataFrame, predictions: pd.DataFrame, *, intersections: Sequence[Sequence[str]] = ()
) -> pd.DataFrame:
    """Which answers can a score be held against, and what did both models say?

    Answers of weight 0 (flagged raters) are left out. One row an answer: feedback_id, item_id, component, rater_id,
    label, baseline (the serving model's score), candidate and split (both missing where retrain made no prediction for
    the item), and all served.* and rater.* columns, missing group values as "not stated". `intersections` lists
    attributes to cross, as [["language", "age_band"]]: a column `served.language & age_band` holds
    "es & age_band=18-29"; those an attribute of which is missing or never stated are left out, of served and of rater
    each. Sorted by feedback_id.
    """
    families = [c for c in judgements.columns if c.startswith(("served.", "rater."))]
    columns = ["feedback_id", "item_id", "component", "rater_id", "label", "score", *families]
    rows = judgements.loc[judgements["weight"] > 0, columns].sort_values("feedback_id", kind="stable")
    said = predictions[["item_id", "component", "split", "baseline", "candidate"]]
    rows = rows.merge(said, on=["item_id", "component"], how="left", validate="m:1")
    rows["baseline"] = rows["baseline"].astype("float64").fillna(rows["score"].astype("float64"))
    for family in families:
        rows[family] = rows[family].astype("object").where(rows[family].notna(), schema.NOT_STATED).astype(str)
    stated = attributes(rows)
    for kind, crossed in ((k, c) for c in intersections for k in ("served", "rater")):
        parts = [f"{kind}.{a}" for a in crossed]
        if len(parts) > 1 and set(parts) <= set(stated):
            rest = sum((f" & {a}=" + rows[p] for a, p in zip(crossed[1:], parts[1:], strict=True)), rows[parts[0]])
            rows[" & ".join([parts[0], *crossed[1:]])] = rest
    return rows.drop(columns="score").reset_index(drop=True)


def attributes(rows: pd.DataFrame) -> list[str]:
    """The cohort attributes of the rows, sorted; one without any stated value is left out."""
    names = sorted(c for c in rows.columns if c.startswith(("served.", "rater.")))
    return [c for c in names if (rows[c] != schema.NOT_STATED).any()]


def groups(rows: pd.DataFrame, settings: Settings) -> list[Group]:
    """`all`, then every group of every attribute, each with the reason it is not published, if there is one.

    Persons are items (served) or known raters (rater). A group needs `min_rows`, for raters `min_raters`, and
    `suppress_below` persons both inside and, where there is anyone else, outside. If a single group of an attribute
    falls short, the next smallest is withheld with it, or everyone less the others would give it back.
    """
    few = f"fewer than {settings.suppress_below} items"
    reason = "no judged rows" if not len(rows) else few if rows["item_id"].nunique() < settings.suppress_below else ""
    found = [Group("all", "all", np.ones(len(rows), dtype=bool), reason)]
    for attribute in attributes(rows):
        person = rows["item_id" if attribute.startswith("served.") else "rater_id"]
        own, sizes = [], []
        for value, part in rows.groupby(attribute, sort=True):
            inside = (rows[attribute] == value).to_numpy()
            sizes.append(person[inside].nunique())
            name = f"{attribute.split(' & ')[0]}={value}"
            own.append(Group(name, attribute, inside, _short(part, attribute, person, inside, settings)))
        small = np.array([g.reason != "" for g in own])
        floor = settings.suppress_below
        both = withheld(np.where(small, 1, np.array(sizes) + floor), floor) if floor > 1 else small
        found += [replace(g, reason=g.reason or BOTH) if w else g for g, w in zip(own, both, strict=True)]
    return found


def _short(part: pd.DataFrame, attribute: str, person: pd.Series, inside: NDArray[np.bool_], settings: Settings) -> str:
    """Why a group is too small to publish; empty if it is not."""
    here, there = person[inside].nunique(), person[~inside].nunique()
    if attribute.startswith("rater."):
        least, who = max(settings.min_raters, settings.suppress_below), "raters"
        if not person.notna().any():
            return "raters cannot be counted: no rater_id"
    else:
        least, who = settings.suppress_below, "items"
    if here < least:
        return f"fewer than {least} {who}"
    if len(part) < settings.min_rows:
        return f"fewer than {settings.min_rows} rows"
    few = there < settings.suppress_below and not inside.all() and not settings.exact
    return f"fewer than {settings.suppress_below} {who} outside of the group" if few else ""


def clusterings(rows: pd.DataFrame) -> list[NDArray[np.int64]]:
    """Codes of rows that are not independent: by item, and by rater where raters are known (anonymous = one each)."""
    items = np.unique(rows["item_id"].to_numpy(object).astype(str), return_inverse=True)[1]
    if rows["rater_id"].isna().all():
        return [items.astype(np.int64)]
    codes = pd.factorize(rows["rater_id"], sort=True)[0].astype(np.int64)
    anonymous = codes < 0
    codes[anonymous] = codes.max() + 1 + np.arange(int(anonymous.sum()))
    return [items.astype(np.int64), codes]
