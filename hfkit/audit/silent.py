"""What might those say who never answered? Worst cases, and how different they would have to be to matter."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hfkit.audit.instruments import shares_of_people
from hfkit.shared.costs import Costs

COLUMNS = ["component", "items", "answered", "event_share", "lowest", "highest", "turns_at", "silent_needed",
           "odds_ratio", "note"]  # fmt: skip


def worst_cases(items: pd.DataFrame, feedback: pd.DataFrame, components: pd.DataFrame) -> pd.DataFrame:
    """How far may the silent majority change the picture? One row a component with served items.

    answered: share of the items with an answer of a person. event_share: mean share of people who see the event, over
    these items. lowest, highest: its bounds whatever the silent items are (Manski 1989, Journal of Human Resources
    24:343). turns_at: the event share above which acting always is cheaper than never acting (by the declared costs);
    silent_needed: the event share among silent items at which the whole reaches it; odds_ratio: how many times the odds
    of the answered items that is. Missing where no silent item could reach it: then silence changes no such decision.
    """
    people = feedback[feedback["label"].notna() & feedback["rater_kind"].eq("human")]
    share = shares_of_people(people).set_index("item_id")
    rows: list[list[object]] = []
    for component, served in items.groupby("component", sort=True)["item_id"]:
        own = share.loc[share["component"] == component, "label"]
        heard = own[own.index.isin(set(served))].sort_index()
        answered = len(heard) / len(served)
        event = float(heard.mean()) if len(heard) else np.nan
        low, high = (answered * event, answered * event + 1 - answered) if len(heard) else (0.0, 1.0)
        declared = components[components["component"] == component]
        turns = np.nan
        if len(declared):
            costs = Costs(*(float(declared[c].iloc[0]) for c in ("cost_false_alarm", "cost_miss")))
            turns = costs.threshold
        needed, odds, note = _needed(event, answered, turns, low, high)
        rows.append([component, len(served), answered, event, low, high, turns, needed, odds, note])
    return pd.DataFrame(rows, columns=COLUMNS)


def _needed(event: float, answered: float, turns: float, low: float, high: float) -> tuple[float, float, str]:
    if np.isnan(event):
        return np.nan, np.nan, "no item was answered"
    if np.isnan(turns):
        return np.nan, np.nan, "no costs are declared"
    if answered >= 1 or not low <= turns <= high:
        return np.nan, np.nan, "whatever the silent items are, the same decision is cheaper"
    needed = (turns - answered * event) / (1 - answered)
    if not 0 < event < 1 or not 0 < needed < 1:
        return needed, np.nan, ""
    return needed, needed / (1 - needed) / (event / (1 - event)), ""
