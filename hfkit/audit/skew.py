"""What skews answers apart from who gives them: the channel, a shown prediction, fields left blank, divided cohorts."""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd

from hfkit.shared import cluster, cohorts, intervals, schema
from hfkit.shared.people import who_answered

FEWEST = 20  # items that both sides answered
FIELDS = ("value_text", "correction", "seconds_spent", "created_at", "rater_id", "confidence")


class Skews(NamedTuple):
    """What tilts answers, as the functions of these names say."""

    channels: pd.DataFrame
    anchoring: pd.DataFrame
    blanks: pd.DataFrame
    divided: pd.DataFrame


def skews(feedback: pd.DataFrame, raters: pd.DataFrame, *, min_people: int) -> Skews:
    """All four tables at once."""
    return Skews(channels(feedback), anchoring(feedback), blanks(feedback, raters, min_people=min_people),
                 divided(feedback, raters, min_people=min_people))  # fmt: skip


def channels(feedback: pd.DataFrame) -> pd.DataFrame:
    """Is a channel's scale used differently? One row a component and channel: component, channel, items, value, low,
    high, note.

    value: the share of events that people see through this channel less that through the others, on the same items
    (mean over items, 95 %, Student's t); 0 = used alike. Fewer than FEWEST items that both answered: no number.
    """
    people = feedback[feedback["label"].notna() & feedback["rater_kind"].eq("human")]
    rows: list[list[object]] = []
    for component, part in people.groupby("component", sort=True):
        names = sorted(part["channel"].unique())
        for channel in names if len(names) > 1 else []:
            here = part["channel"] == channel
            by = [p.groupby("item_id")["label"].mean() for p in (part[here], part[~here])]
            gap = (by[0] - by[1]).dropna().sort_index()
            few = len(gap) < FEWEST
            value = (np.nan,) * 3 if few else cluster.mean_interval(gap.to_numpy(float))
            note = f"fewer than {FEWEST} items answered through it and another" if few else ""
            rows.append([component, channel, len(gap), *value, note])
    return pd.DataFrame(rows, columns=["component", "channel", "items", "value", "low", "high", "note"])


def anchoring(feedback: pd.DataFrame) -> pd.DataFrame:
    """Do answers follow a prediction that the rater was shown? One row a component: component, items, value, low, high,
    note.

    Needs the column `shown` (the prediction that the rater saw). value: how much more often people who saw it say the
    same as it does than people who did not see it, on the same items; 0 = they judge for themselves. 95 %, Student's t
    over items; fewer than FEWEST items that both answered, or nothing shown: no number.
    """
    people = feedback[feedback["label"].notna() & feedback["rater_kind"].eq("human")]
    shown = people["shown"] if "shown" in people else pd.Series(np.nan, index=people.index)
    people = people.assign(shown=shown)
    rows: list[list[object]] = []
    for component, part in people.groupby("component", sort=True):
        predicted = part["item_id"].map(part.groupby("item_id")["shown"].mean())
        follows = part["label"].eq((predicted >= 0.5).astype(float)).astype(float).where(predicted.notna())
        saw = part["shown"].notna()
        by = [follows[s].groupby(part.loc[s, "item_id"]).mean() for s in (saw, ~saw)]
        gap = (by[0] - by[1]).dropna().sort_index()
        note = "no answer says what its rater was shown (column shown)" if not saw.any() else ""
        if not note and len(gap) < FEWEST:
            note = f"fewer than {FEWEST} items answered with and without a prediction in sight"
        value = (np.nan,) * 3 if note else cluster.mean_interval(gap.to_numpy(float))
        rows.append([component, len(gap), *value, note])
    return pd.DataFrame(rows, columns=["component", "items", "value", "low", "high", "note"])


def blanks(feedback: pd.DataFrame, raters: pd.DataFrame, *, min_people: int) -> pd.DataFrame:
    """Who leaves fields blank, and where? One row a field and channel or group: field, group, n, value, low, high.

    value: the share of people's answers without the field, clustered by person; fields that nobody ever fills are
    left out, for they were not asked. Groups are compared in channels where somebody fills the field. A form that one
    channel or group cannot fill is no sign of having nothing to say. Groups of fewer than `min_people` people are
    left out.
    """
    people = feedback[feedback["rater_kind"] == "human"].sort_values("feedback_id")
    people = people.merge(raters[["rater_id", *schema.cohorts(raters)]], on="rater_id", how="left")
    who = who_answered(people)
    sides = [("channel=", people["channel"].astype(str))]
    sides += [(f"rater.{c.removeprefix('cohort.')}=", cohorts.words(people[c])) for c in schema.cohorts(raters)]
    rows: list[list[object]] = []
    for field in [f for f in FIELDS if f in people and people[f].notna().any() and people[f].isna().any()]:
        missing = people[field].isna().astype(float)
        asked = ~missing.groupby(people["channel"]).transform("min").eq(1)
        for prefix, every in sides:
            words = every if prefix == "channel=" else every[asked]
            for group, index in words.groupby(words, sort=True).groups.items():
                if who.loc[index].nunique() >= min_people:
                    value = cluster.mean_interval(missing.loc[index].to_numpy(), who.loc[index].to_numpy(str))
                    rows.append([field, f"{prefix}{group}", len(index), *value])
    return pd.DataFrame(rows, columns=["field", "group", "n", "value", "low", "high"])


def divided(feedback: pd.DataFrame, raters: pd.DataFrame, *, min_people: int, most: int = 20) -> pd.DataFrame:
    """On which items do groups of raters disagree most? The `most` clearest, one row an item and pair of groups.

    Columns item_id, component, one, share_one, n_one, other, share_other, n_other, low, high: the shares of people of
    each group who see the event, one vote a person, and the 95 % interval of their difference (Newcombe); clearest =
    farthest from 0. Both groups need `min_people` people on the item. Many pairs are looked at: leads, not findings.
    """
    people = feedback[feedback["label"].notna() & feedback["rater_kind"].eq("human") & feedback["rater_id"].notna()]
    votes = people.groupby(["item_id", "component", "rater_id"], as_index=False)["label"].mean()
    votes = votes.merge(raters[["rater_id", *schema.cohorts(raters)]], on="rater_id", how="left")
    rows: list[list[object]] = []
    for column in schema.cohorts(raters):
        words = cohorts.words(votes[column])
        stated = votes.assign(group=words)[words != schema.NOT_STATED]
        counts = stated.groupby(["item_id", "component", "group"])["label"].agg(["sum", "size"]).reset_index()
        counts = counts[counts["size"] >= min_people]
        name = column.removeprefix("cohort.")
        for (item, component), part in counts.groupby(["item_id", "component"], sort=True):
            for a, b in combinations(part.sort_values("group").to_dict("records"), 2):
                _, low, high = intervals.newcombe(a["sum"], a["size"], b["sum"], b["size"])
                rows.append([item, component, f"rater.{name}={a['group']}", a["sum"] / a["size"], a["size"],
                             f"rater.{name}={b['group']}", b["sum"] / b["size"], b["size"], low, high])  # fmt: skip
    columns = ["item_id", "component", "one", "share_one", "n_one", "other", "share_other", "n_other", "low", "high"]
    table = pd.DataFrame(rows, columns=columns)
    clear = np.maximum(table["low"].astype(float), -table["high"].astype(float))
    return table.assign(clear=clear).sort_values(["clear", "item_id"], ascending=[False, True]).head(most).drop(
        columns="clear"
    ).reset_index(drop=True)  # fmt: skip
