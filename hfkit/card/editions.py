"""Editions: what an earlier card printed, and how many people moved since.

Two cards around one withdrawal would tell what that person had said. So each row of a card is kept with marks of the
people behind it, and where fewer than the threshold moved, inside the row or outside of it, the row stays as it was
last printed. Marks are sums over many people at once: they tell that somebody moved, not who.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.util import hash_pandas_object

from hfkit.shared import cohorts

BUCKETS = 64
_DIGITS = 4  # of each bucket's sum
Row = tuple[str, str, str]
Marks = dict[str, str]  # `inside raters`, `outside served` and so on: a sketch each
Bools = npt.NDArray[np.bool_]
Hashes = npt.NDArray[np.uint64]


def sketch(who: pd.Series, state: pd.Series) -> str:
    """A sum of hashes for each of 64 buckets of people, over all that is recorded of them (`state`, a text a row).

    The number of sums in which two sketches differ is at most the number of people who came, left or changed.

    >>> a = sketch(pd.Series(["ann", "bob"]), pd.Series(["yes", "no"]))
    >>> moved(a, a), moved(a, sketch(pd.Series(["ann"]), pd.Series(["yes"])))
    (0, 1)
    """
    return _sums(*_hashes(who.astype(str), state.astype(str)))


def _hashes(who: pd.Series, state: pd.Series) -> tuple[Hashes, Hashes]:
    """The bucket of each row's person, and the hash of the person with what is recorded."""
    if who.empty:
        return np.zeros(0, np.uint64), np.zeros(0, np.uint64)
    bucket, row = (hash_pandas_object(v, index=False).to_numpy() for v in (who, who + "|" + state))
    return bucket % np.uint64(BUCKETS), row


def _sums(bucket: Hashes, row: Hashes) -> str:
    sums = np.zeros(BUCKETS, np.uint64)
    np.add.at(sums, bucket.astype(np.int64), row)
    return "".join(f"{int(s) >> 48:04x}" for s in sums)


def moved(old: str, new: str) -> int:
    """How many people moved between two sketches, at least? Nobody can say less where one is missing: all buckets."""
    if len(old) != len(new):
        return BUCKETS
    return sum(old[i : i + _DIGITS] != new[i : i + _DIGITS] for i in range(0, len(new), _DIGITS))


def tested(judgements: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """The answers behind the sheets `served` and `rater`: those that count, on the items of fairness/main_rows."""
    items = rows[["component", "item_id"]].drop_duplicates()
    answers = judgements[judgements["weight"] > 0].merge(items, on=["component", "item_id"])
    return _people(answers, ["feedback_id", "label", "created_at", "weight"])


def answers(feedback: pd.DataFrame, raters: pd.DataFrame, items: pd.DataFrame) -> pd.DataFrame:
    """Every answer with the groups of who gave it: what the sheets `heard` and `usage` are made from."""
    groups = raters.rename(columns={c: c.replace("cohort.", "rater.", 1) for c in raters.columns})
    groups = groups[["rater_id", *(c for c in groups if c.startswith("rater."))]]
    rows = feedback.merge(groups, on="rater_id", how="left").merge(items[["item_id", "unit_id"]], on="item_id")
    return _people(rows, ["feedback_id", "value", "created_at"])


def served(items: pd.DataFrame) -> pd.DataFrame:
    """Everything that was served, and to whom."""
    return _people(items.assign(rater_id=None, feedback_id=""), ["item_id", "score", "served_at"])


def _people(rows: pd.DataFrame, state: Sequence[str]) -> pd.DataFrame:
    """Who answered, who was served (the nameless stand for themselves), and all that is recorded of it in one text."""
    rater, unit = (rows[c].astype(object) for c in ("rater_id", "unit_id"))
    text = reduce(lambda left, right: left + "|" + right, (rows[c].astype(str) for c in state))
    return rows.assign(
        raters=rater.where(rater.notna(), "answer " + rows["feedback_id"].astype(str)),
        served=unit.where(unit.notna(), "item " + rows["item_id"].astype(str)), state=text,
    )  # fmt: skip


def marks(rows: Sequence[Row], on_test: pd.DataFrame, every: pd.DataFrame, cases: pd.DataFrame) -> dict[Row, Marks]:
    """The marks of each row of a card: who stands inside it, who outside of it, and everybody."""
    kinds = ("raters", "served")
    hashed = {name: {kind: _hashes(frame[kind].astype(str), frame["state"]) for kind in kinds}
              for name, frame in (("every", every), ("test", on_test))}  # fmt: skip
    everybody = {"all raters": _sums(*hashed["every"]["raters"]), "all served": sketch(cases["served"], cases["state"])}
    out = {}
    for sheet, component, group in rows:
        name, frame = ("every", every) if sheet in ("heard", "usage") else ("test", on_test)
        here = np.ones(len(frame), bool) if name == "every" else (frame["component"] == component).to_numpy()
        inside = _inside(frame, group)
        out[sheet, component, group] = everybody | {
            f"{side} {kind}": _sums(*(h[here & mask] for h in hashed[name][kind]))
            for side, mask in (("inside", inside), ("outside", ~inside)) for kind in kinds
        }  # fmt: skip
    return out


def _inside(frame: pd.DataFrame, group: str) -> Bools:
    """Which answers belong to a group? To "all", every one."""
    part, inside = cohorts.parse(group), np.ones(len(frame), bool)
    for attribute, value in zip(part.attributes, part.values, strict=True) if part else ():
        column = f"{part.perspective}.{attribute}" if part else ""
        inside &= (cohorts.words(frame[column]) == value).to_numpy() if column in frame else False
    return inside


def carried(old: Mapping[Row, Mapping[str, Any]], new: Mapping[Row, Marks], below: int) -> set[Row]:
    """Which rows stay as last printed: those where 1 to `below` - 1 people moved, inside, outside or in all.

    `old` are the marks of each row as last printed. A row that was never printed is new.
    """
    return {
        row for row, mine in new.items()
        if row in old and any(1 <= moved(str(old[row].get(name, "")), s) < below for name, s in mine.items())
    }  # fmt: skip
