"""Rules between rows: duplicates, joins, references between tables, and what an answer means."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from hfkit.clean.ledger import Ledger
from hfkit.clean.privacy import mask, normalised
from hfkit.clean.settings import AtLeast, AtMost, Component, Rubric
from hfkit.clean.strict import numbers
from hfkit.shared import schema

Parts = dict[str, pd.DataFrame]
UNNAMED = ["question", "value", "answers", "people", "mostly"]
ORIGIN = ("source", "line", "file_sha256")  # where a record stood says nothing about what it says
_EMOJI = re.compile("[\ufe0e\ufe0f\U0001f3fb-\U0001f3ff]")  # variation selectors and skin tones


def single(frame: pd.DataFrame, key: tuple[str, ...], ledger: Ledger, *, distinct: bool) -> pd.DataFrame:
    """One row a key: of equal rows the first stays, the others are `duplicate` (nothing is rejected if `distinct`:
    they are repeats). Of rows that differ the latest by created_at stays, where each has a time of its own: it was
    edited, and the earlier ones are `superseded`. Otherwise all go, as `conflict`: nobody can know which is right."""
    keys = list(key)
    again = frame.duplicated(keys, keep=False)
    if not again.any():
        return frame
    content = [c for c in frame.columns if not c.startswith("_") and c not in ORIGIN]
    repeats = frame[again]
    first_seen = ~repeats.duplicated([*content, "_raw"])
    variants = first_seen.groupby([repeats[k] for k in keys]).transform("sum")
    clash = pd.Series(False, index=frame.index)
    clash[repeats.index] = (variants > 1).to_numpy()
    if "created_at" in frame and clash.any():
        frame, clash = _edited(frame, clash, first_seen, keys, ledger)
    ledger.reject(frame, clash, "conflict", key[0])
    repeat = frame.duplicated(keys) & ~clash
    if not distinct:
        ledger.reject(frame, repeat, "duplicate", key[0])
    return frame[~repeat & ~clash]


def _edited(
    frame: pd.DataFrame, clash: pd.Series, first_seen: pd.Series, keys: list[str], ledger: Ledger
) -> tuple[pd.DataFrame, pd.Series]:
    """Of versions of an answer at times of their own the latest stays."""
    versions = frame[clash & first_seen.reindex(frame.index, fill_value=False)]
    by = versions.groupby(keys)["created_at"]
    dated = by.transform(lambda t: t.notna().all() and t.is_unique).astype(bool)
    latest = versions["created_at"] == by.transform("max")
    edited = clash & frame.set_index(keys).index.isin(versions[dated].set_index(keys).index)
    stays = pd.Series(False, index=frame.index)
    stays[versions.index[dated & latest]] = True
    newest = frame[edited].merge(frame[stays][[*keys, "created_at"]], on=keys, suffixes=("", " of the latest"))
    old = (newest["created_at"] < newest["created_at of the latest"]).to_numpy()
    superseded = pd.Series(False, index=frame.index)
    superseded[frame.index[edited]] = old
    ledger.reject(frame, superseded, "superseded", keys[0])
    kept = ~superseded
    return frame[kept], (clash & ~edited)[kept]


def once(
    feedback: pd.DataFrame, ledger: Ledger, key: str = "feedback_id", about: Sequence[str] = ("item_id",)
) -> pd.DataFrame:
    """One person's answers to one question about one item count once: the last by time, the others are `superseded`.

    Answers of nobody known, and without a time, stand as they are.
    """
    keys = ["rater_id", "question", *about]
    if not {*keys, "created_at"} <= set(feedback):
        return feedback
    dated = feedback[feedback["rater_id"].notna() & feedback["created_at"].notna()]
    dated = dated.sort_values(["created_at", key])
    earlier = dated.duplicated(keys, keep="last")
    ledger.reject(dated, earlier, "superseded", "created_at")
    return feedback.drop(index=dated.index[earlier])


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
        compared = [c for c in content if c != key and c not in ORIGIN]
        clash = several[key].map((groups[compared].nunique() > 1).any(axis=1))
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
        says = side(
            feedback.loc[here, "value"], entry, feedback.loc[here, "_multiple"] if "_multiple" in feedback else ""
        )
        if entry.component != "item":
            component[here] = entry.component
        if entry.states == "agreement":
            named = decision[here].where(own[here] == component[here])
            says = named.where(says == 1, 1 - named).where(says.notna())
        label[here] = says
    return feedback.assign(component=component, label=label)


def side(values: pd.Series, entry: Rubric, multiple: pd.Series | str = "") -> pd.Series:
    """1 for a positive answer, 0 for a negative one, missing for any other.

    Numbers that are equal are equal ("4.0" answers to "4"). Where a cell may hold several answers (`multiple`, what
    stands between them), one negative among them makes it negative.

    >>> either = Rubric(question="q", component="item", states="truth", positive=["fine"], negative=["slow, or none"])
    >>> side(pd.Series(["fine, slow, or none", "fine, odd", "odd"]), either, ", ").tolist()
    [0.0, 1.0, nan]
    """
    out = pd.Series(np.nan, index=values.index)
    separator = multiple if isinstance(multiple, pd.Series) else pd.Series(multiple, index=values.index)
    for answer, rule in ((1.0, entry.positive), (0.0, entry.negative)):  # a negative one has the last word
        if isinstance(rule, AtLeast):
            hit = numbers(values) >= rule.at_least
        elif isinstance(rule, AtMost):
            hit = numbers(values) <= rule.at_most
        else:
            plain = values.map({v: bare(v) for v in values.dropna().unique()})
            hit = plain.isin([bare(r) for r in rule]) | _equal(values, rule) | _ticked(values, entry, rule, separator)
        out[hit] = answer
    return out


def bare(text: object) -> object:
    """An answer without what makes no difference to an emoji's meaning: skin tone and variation selector.

    >>> bare("\U0001f44d\U0001f3fd") == bare("\U0001f44d"), bare("\u2764\ufe0f") == bare("\u2764")
    (True, True)
    """
    return text if not isinstance(text, str) or text.isascii() else _EMOJI.sub("", text)


def _equal(values: pd.Series, options: list[str]) -> pd.Series:
    wanted = numbers(pd.Series(options, dtype="object")).dropna()
    return numbers(values).isin(wanted) & values.notna() if len(wanted) else pd.Series(False, index=values.index)


def _ticked(values: pd.Series, entry: Rubric, rule: list[str], separator: pd.Series) -> pd.Series:
    """Is one of these options among the answers of the cell? Longer options first: an option may hold the separator."""
    if not separator.astype(bool).any():
        return pd.Series(False, index=values.index)
    options = sorted((o for side in (entry.positive, entry.negative) if isinstance(side, list) for o in side), key=len)
    hit = {}
    for text, between in {(v, s) for v, s in zip(values, separator, strict=True) if isinstance(v, str) and s}:
        rest, here = f"{between}{text}{between}", set()
        for option in reversed(options):
            if f"{between}{option}{between}" in rest:
                rest = rest.replace(f"{between}{option}{between}", between)
                here.add(option)
        hit[text, between] = bool(here & set(rule))
    pairs = zip(values, separator, strict=True)
    return pd.Series(
        [hit.get(p, False) if isinstance(p[0], str) else False for p in pairs], index=values.index, dtype=bool
    )


def unnamed(tables: Parts, rubric: list[Rubric], min_people: int) -> pd.DataFrame:
    """Which answers does the rubric not name, and whose are they? Most frequent first, personal data masked.

    question, value, answers, people (raters), mostly: the group whose share of these answers exceeds its share of all
    answers to the question most, with both shares; only its name where fewer than `min_people` people are behind it.
    """
    feedback = tables["feedback"]
    asked = [entry.question for entry in rubric]
    rows = feedback[feedback["question"].isin(asked) & feedback["value"].notna()]
    unheard = rows[rows["label"].isna()]
    shown = {v: mask(str(v))[0][:60] for v in unheard["value"].unique()}
    groups = _groups(rows, tables) if len(unheard) else pd.DataFrame()
    out = []
    for (question, value), lost in unheard.groupby(["question", unheard["value"].map(shown)], sort=True):
        everybody = groups[rows["question"] == question]
        mostly = _mostly(groups.loc[lost.index], everybody, rows["rater_id"], min_people)
        out.append([question, value, len(lost), lost["rater_id"].nunique(), mostly])
    table = pd.DataFrame(out, columns=UNNAMED).astype({"question": "str", "value": "str", "mostly": "str"})
    return table.sort_values(["answers", "question", "value"], ascending=[False, True, True], ignore_index=True)


def _groups(answers: pd.DataFrame, tables: Parts) -> pd.DataFrame:
    """The groups of the person served and of the rater behind each answer, a column an attribute."""
    out = {}
    for kind, name, key in (("served", "items", "item_id"), ("rater", "raters", "rater_id")):
        people = tables[name].drop_duplicates(key).set_index(key)
        for column in schema.cohorts(tables[name]):
            out[column.replace("cohort", kind, 1)] = answers[key].map(people[column]).astype("object")
    return pd.DataFrame(out, index=answers.index)


def _mostly(lost: pd.DataFrame, everybody: pd.DataFrame, who: pd.Series, min_people: int) -> str:
    best, words = 0.0, ""
    for name in lost:
        here, overall = (f[name].fillna(schema.NOT_STATED).astype(str).value_counts(normalize=True)
                         for f in (lost, everybody))  # fmt: skip
        excess = (here - overall.reindex(here.index)).sort_index()
        if len(overall) > 1 and excess.max() > max(best, 0.2):
            best, group = float(excess.max()), str(excess.idxmax())
            inside = lost.index[lost[name].fillna(schema.NOT_STATED).astype(str) == group]
            words = f"{name}={group}"
            if who[inside].nunique() >= min_people:
                words += f" ({here[group]:.0%} of these, {overall[group]:.0%} of all)"
    return words


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
