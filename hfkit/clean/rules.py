"""Rules between rows: consent first, then duplicates, joins, references between tables, and what an answer means."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hfkit.clean.ledger import Ledger
from hfkit.clean.private import normalised
from hfkit.clean.settings import AtLeast, AtMost, Component, Rubric
from hfkit.clean.strict import numbers
from hfkit.shared import schema

GRANTED = {"granted": "granted", "true": "granted", "withdrawn": "withdrawn", "false": "withdrawn"}
REFUSING = ("none", "withdrawn", "false", "no", "0")

Parts = dict[str, pd.DataFrame]


def consent(parts: Parts, ledger: Ledger, *, assume: bool) -> Parts:
    """Who may be used at all? Runs before any other rule, on the values as written.

    A withdrawal anywhere takes out all of that rater's answers (`withdrawn`); a refusing consent_scope takes out the
    answer, and every other record of the same answer. Consent that nobody stated, or in words other than granted or
    true, is no consent (`no_consent`), unless `assume`.
    """
    raters, feedback = parts["raters"], parts["feedback"]
    stated = _column(raters, "consent").map(lambda v: GRANTED.get(v, "unclear") if isinstance(v, str) else None)
    who = _person(raters)
    by_rater = {k: set(who[stated.eq(k).to_numpy()].dropna()) for k in ("granted", "withdrawn", "unclear")}
    author = _person(feedback)
    scope = _column(feedback, "consent_scope").map(lambda v: v.strip().casefold() if isinstance(v, str) else None)
    refused = set(_column(feedback, "feedback_id")[scope.isin(REFUSING).to_numpy()].dropna())
    ledger.reject(raters, who.isin(by_rater["withdrawn"]), "withdrawn", "consent")
    ledger.reject(feedback, author.isin(by_rater["withdrawn"]), "withdrawn", "consent")
    ledger.reject(feedback, _column(feedback, "feedback_id").isin(refused), "withdrawn", "consent_scope")
    ledger.reject(raters, who.isin(by_rater["unclear"]), "no_consent", "consent")
    ledger.reject(feedback, author.isin(by_rater["unclear"]), "no_consent", "consent")
    if not assume:
        agreed = scope.notna() | author.isin(by_rater["granted"])
        ledger.reject(feedback, ~agreed, "no_consent", "consent_scope")
        named = by_rater["granted"] | set(author[(agreed & ~scope.isin(REFUSING)).to_numpy()].dropna())
        ledger.reject(raters, ~who.isin(named), "no_consent", "consent")
    raters = raters.assign(consent=stated) if "consent" in raters else raters
    return parts | {"raters": ledger.keep(raters), "feedback": ledger.keep(feedback)}


def _column(frame: pd.DataFrame, name: str) -> pd.Series:
    return frame[name] if name in frame else pd.Series(None, index=frame.index, dtype="object")


def _person(frame: pd.DataFrame) -> pd.Series:
    """rater_id so that a withdrawal under Ann@x.org also reaches ann@x.org."""
    ids = _column(frame, "rater_id")
    return ids.map({v: normalised(v)[0].strip().casefold() for v in ids.dropna().unique()})


def single(frame: pd.DataFrame, key: tuple[str, ...], ledger: Ledger, *, distinct: bool) -> pd.DataFrame:
    """One row a key: of equal rows the first stays, the others are `duplicate` (nothing is rejected if `distinct`:
    they are repeats); rows that differ all go, as `conflict`, because nobody can know which is right."""
    keys = list(key)
    again = frame.duplicated(keys, keep=False)
    if not again.any():
        return frame
    content = [c for c in frame.columns if not c.startswith("_")]
    repeats = frame[again]
    first_seen = ~repeats.duplicated([*content, "_raw"])
    variants = first_seen.groupby([repeats[k] for k in keys]).transform("sum")
    clash = pd.Series(False, index=frame.index)
    clash[repeats.index] = (variants > 1).to_numpy()
    ledger.reject(frame, clash, "conflict", key[0])
    repeat = frame.duplicated(keys) & ~clash
    if not distinct:
        ledger.reject(frame, repeat, "duplicate", key[0])
    return frame[~repeat & ~clash]


def join(parts: list[pd.DataFrame], key: str, ledger: Ledger) -> pd.DataFrame:
    """Several sources of one table side by side by key: each column from whichever source has it.

    A key whose sources contradict each other in a column goes out of all of them, as `conflict`. Column `_entries`
    lists the records behind each row.
    """
    frame = pd.concat(parts, ignore_index=True)
    content = [c for c in frame.columns if not c.startswith("_")]
    if len(parts) > 1 and len(frame):
        several = frame[frame.duplicated(key, keep=False)]
        groups = several.groupby(key, sort=False)
        clash = several[key].map((groups[[c for c in content if c != key]].nunique() > 1).any(axis=1))
        ledger.reject(several, clash, "conflict", key)
        bad = set(several.loc[clash.to_numpy(dtype=bool), key])
        frame = frame[~frame[key].isin(bad)]
        frame = frame[content].groupby(key, sort=False).first().reset_index() if frame.duplicated(key).any() else frame
    return frame.sort_values(key, kind="stable").reset_index(drop=True)[content]


def decisions(items: pd.DataFrame, components: list[Component]) -> pd.Series:
    """1 where the score reaches the component's threshold; a decision that came with the item stands."""
    threshold = items["component"].map({c.component: c.threshold for c in components})
    score = items["score"].astype("float64")
    made = (score >= threshold).astype("float64").where(score.notna())
    return items["decision"].astype("float64").fillna(made)


def meaning(feedback: pd.DataFrame, items: pd.DataFrame, rubric: list[Rubric]) -> pd.DataFrame:
    """`component` and `label` of every answer, by the rubric: 1 event, 0 no event, missing where neither is said.

    An answer about agreement says whether the model's decision on that item was right, so it needs a decision of the
    same component. A question without a rubric entry keeps its item's component and no label.
    """
    by_item = items.set_index("item_id")
    own = feedback["item_id"].map(by_item["component"])
    decision = feedback["item_id"].map(by_item["decision"])
    component, label = own.copy(), pd.Series(np.nan, index=feedback.index)
    for entry in rubric:
        here = feedback["question"] == entry.question
        says = side(feedback.loc[here, "value"], entry)
        if entry.component != "item":
            component[here] = entry.component
        if entry.states == "agreement":
            named = decision[here].where(own[here] == component[here])
            says = named.where(says == 1, 1 - named).where(says.notna())
        label[here] = says
    return feedback.assign(component=component, label=label)


def side(values: pd.Series, entry: Rubric) -> pd.Series:
    """1 for a positive answer, 0 for a negative one, missing for any other."""
    out = pd.Series(np.nan, index=values.index)
    for answer, rule in ((0.0, entry.negative), (1.0, entry.positive)):
        if isinstance(rule, AtLeast):
            hit = numbers(values) >= rule.at_least
        elif isinstance(rule, AtMost):
            hit = numbers(values) <= rule.at_most
        else:
            hit = values.isin(rule)
        out[hit] = answer
    return out


def in_range(feedback: pd.DataFrame, rubric: list[Rubric], ledger: Ledger) -> pd.DataFrame:
    """Answers to a question with a `range` must be numbers inside it."""
    for entry in rubric:
        if entry.range is not None:
            here = feedback["question"].eq(entry.question) & feedback["value"].notna()
            value = numbers(feedback["value"])
            ledger.reject(feedback, here & value.isna(), "not_a_number", "value")
            ledger.reject(feedback, here & ~value.between(*entry.range), "out_of_range", "value")
    return ledger.keep(feedback)


def referred(frame: pd.DataFrame, name: str, named: pd.Series | list[str], reason: str, ledger: Ledger) -> pd.DataFrame:
    """Rows whose `name` is known in the other table; the others are rejected."""
    ledger.reject(frame, ~frame[name].isin(named), reason, name)
    return ledger.keep(frame)


def look_alikes(frame: pd.DataFrame) -> dict[str, int]:
    """For each cohort, how many group names differ from another only in case, blanks or invisible characters?

    >>> look_alikes(pd.DataFrame({"cohort.sex": ["F", "f", "M"]}))
    {'cohort.sex': 1}
    """
    disagreeing = {}
    for name in schema.cohorts(frame):
        groups = frame[name].dropna().unique()
        same = {normalised(str(g))[0].strip().casefold() for g in groups}
        if len(same) < len(groups):
            disagreeing[name] = len(groups) - len(same)
    return disagreeing
