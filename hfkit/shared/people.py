"""Who is behind a row: the person who answered, the person served, or the judge that is no person."""

from __future__ import annotations

import pandas as pd


def who_answered(rows: pd.DataFrame) -> pd.Series:
    """Who is behind each answer, for counting people: the rater, or the anonymous answer itself.

    >>> who_answered(pd.DataFrame({"rater_id": ["ann", None], "feedback_id": ["1", "2"]})).tolist()
    ['ann', '\\x002']
    """
    return _or_else(rows["rater_id"], "\0" + rows["feedback_id"].astype(str))


def who_was_served(rows: pd.DataFrame) -> pd.Series:
    """Who was served in each row: the person or session, or the item, which stands for itself.

    >>> who_was_served(pd.DataFrame({"unit_id": ["ann", None], "item_id": ["1", "2"]})).tolist()
    ['ann', '\\x002']
    """
    return _or_else(rows["unit_id"], "\0" + rows["item_id"].astype(str))


def which_judge(rows: pd.DataFrame) -> pd.Series:
    """The name of the judge behind each answer of a model or a program: its id, or its channel.

    >>> which_judge(pd.DataFrame({"rater_id": [None], "channel": ["log"]})).tolist()
    ['log']
    """
    return _or_else(rows["rater_id"], rows["channel"].astype(str))


def last_of_judges(machine: pd.DataFrame) -> pd.DataFrame:
    """The last answer of each judge on each item and component, with `judge`."""
    rows = machine.assign(judge=which_judge(machine))
    rows = rows.sort_values(["created_at", "feedback_id"], na_position="first")
    return rows.drop_duplicates(["judge", "component", "item_id"], keep="last")


def _or_else(named: pd.Series, other: pd.Series) -> pd.Series:
    return named.astype("object").where(named.notna(), other)
