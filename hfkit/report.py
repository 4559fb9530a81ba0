"""The front page: the decision, what every room answered, and what stands in the way."""

from __future__ import annotations

import pandas as pd

QUESTIONS = {
    "clean": "Which feedback is usable?",
    "audit": "Who spoke, who did not, how reliable are they, what skews it?",
    "aggregate": "What does the crowd say about each item, and how sure are we?",
    "route": "Which component is each piece of feedback about?",
    "prioritize": "What should we fix first, what is it worth, whom do we ask next?",
    "retrain": "Is the retrained model better on data it never saw?",
    "fairness": "Is the new model at least as good for everyone?",
    "calibration": "Does the score mean what it says?",
    "experiment": "Did it help where it was tried, and would another policy do better?",
    "monitor": "Has anything changed since?",
    "decide": "May we ship it, and who says so?",
    "retrospective": "What was promised last time, and what happened?",
}


def overview(answers: dict[str, str], evidence: pd.DataFrame) -> pd.DataFrame:
    """What did every room answer, and how much of its evidence passes, fails or cannot be told?

    Returns one row a room in the order of the loop: room, question, answer, pass, fail, cannot tell. A room without
    evidence shows zeros.
    """
    counts = evidence.groupby(["room", "verdict"]).size().unstack(fill_value=0) if len(evidence) else pd.DataFrame()
    counts = counts.reindex(index=list(QUESTIONS), columns=["pass", "fail", "cannot tell"], fill_value=0)
    rows = [[room, question, answers.get(room, "not answered yet")] for room, question in QUESTIONS.items()]
    table = pd.DataFrame(rows, columns=["room", "question", "answer"]).set_index("room").join(counts)
    return table.reset_index()


def standing(evidence: pd.DataFrame, verdict: str) -> pd.DataFrame:
    """Which statements have this verdict? room, measure, component, group, value, low, high, n, note; in room order."""
    rows = evidence[evidence["verdict"] == verdict]
    order = {room: i for i, room in enumerate(QUESTIONS)}
    rows = rows.sort_values("room", key=lambda s: s.map(order), kind="stable")
    return rows[["room", "measure", "component", "group", "value", "low", "high", "n", "note"]].reset_index(drop=True)
