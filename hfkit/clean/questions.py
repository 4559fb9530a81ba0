"""What kind of answers does each question have: two, names, ranks or numbers? Declared in the rubric, or proposed."""

from __future__ import annotations

import pandas as pd

from hfkit.clean.settings import Rubric
from hfkit.clean.strict import numbers
from hfkit.shared import schema

FEW = 11  # a scale of ranks has at most so many steps (0 to 10)


def levels(feedback: pd.DataFrame, rubric: list[Rubric]) -> pd.DataFrame:
    """One row a question that has answers with a value: schema.QUESTIONS."""
    entries = {r.question: r for r in rubric}
    rows = []
    for question, answers in feedback[feedback["value"].notna()].groupby("question", sort=True):
        entry = entries.get(str(question))
        given = entry.level if entry else None
        rows.append({
            "question": question, "level": given or proposed(answers["value"], entry), "declared": given is not None,
            "answers": len(answers), "values": answers["value"].nunique(), "labelled": answers["label"].notna().sum(),
        })  # fmt: skip
    return schema.shape(pd.DataFrame(rows, columns=[c.name for c in schema.QUESTIONS.columns]), schema.QUESTIONS)


def proposed(values: pd.Series, entry: Rubric | None) -> str:
    """The level that the answers look like.

    Two values are binary. Of numbers that the rubric compares (at_least, a range) whole ones within FEW steps are
    ordinal, others interval; decimals, and a slider from 0 to about 100, are interval too. Everything else is nominal,
    and so are numbers that only identify (class ids).

    >>> stars = Rubric(question="q", component="c", states="truth", positive=["5"], negative=["1"], range=[1, 5])
    >>> proposed(pd.Series(["1", "2", "5"]), stars), proposed(pd.Series(["1", "2", "5"]), None)
    ('ordinal', 'nominal')
    >>> proposed(pd.Series([str(v) for v in range(0, 101, 4)]), None), proposed(pd.Series(["up", "down"]), None)
    ('interval', 'binary')
    """
    distinct = values.nunique()
    if distinct <= 2:
        return "binary"
    number = numbers(values)
    if number.isna().any():
        return "nominal"
    whole, low, high = bool((number % 1 == 0).all()), number.min(), number.max()
    compared = entry is not None and (entry.range is not None or not isinstance(entry.positive, list))
    if whole and high - low < FEW:
        return "ordinal" if compared else "nominal"
    slider = distinct >= FEW and low >= 0 and 90 <= high <= 100
    return "interval" if compared or not whole or slider else "nominal"
