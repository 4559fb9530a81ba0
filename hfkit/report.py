"""The front page: the decision, what every room answered, and what stands in the way."""

from __future__ import annotations

import pandas as pd

from hfkit.shared import rooms

BEFORE = {room: question for room, question in rooms.QUESTIONS.items() if room != "report"}


def overview(answers: dict[str, str], evidence: pd.DataFrame) -> pd.DataFrame:
    """What did every room answer, and how much of its evidence passes, fails or is inconclusive?

    Returns one row a room in the order of the loop: room, question, answer, pass, fail, inconclusive. A room without
    evidence shows zeros.
    """
    counts = evidence.groupby(["room", "verdict"]).size().unstack(fill_value=0) if len(evidence) else pd.DataFrame()
    counts = counts.reindex(index=list(BEFORE), columns=["pass", "fail", "inconclusive"], fill_value=0)
    rows = [[room, question, answers.get(room, "not answered yet")] for room, question in BEFORE.items()]
    table = pd.DataFrame(rows, columns=["room", "question", "answer"]).set_index("room").join(counts)
    return table.reset_index()


def standing(evidence: pd.DataFrame, verdict: str) -> pd.DataFrame:
    """Which statements have this verdict? room, measure, component, group, value, low, high, n, note; in room order."""
    rows = evidence[evidence["verdict"] == verdict]
    order = {room: i for i, room in enumerate(BEFORE)}
    rows = rows.sort_values("room", key=lambda s: s.map(order), kind="stable")
    return rows[["room", "measure", "component", "group", "value", "low", "high", "n", "note"]].reset_index(drop=True)
