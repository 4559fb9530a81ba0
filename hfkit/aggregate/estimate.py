"""Judgements (one labelled answer with who and what) and the labels made from them (one item of one component).

One vote a person: several answers of one person on one item share a weight of 1.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit, logit, xlogy

from hfkit.aggregate import choose, noise
from hfkit.shared import cluster, cohorts, schema
from hfkit.shared.errors import NothingLeft, ParamError
from hfkit.shared.people import who_answered, who_was_served

METHODS = ("majority", "dawid_skene")
AUTO = "held_out"
SETTLED = 0.95
JUDGES = ("report", "count")
Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


def judgements(
    feedback: pd.DataFrame, items: pd.DataFrame, raters: pd.DataFrame, trust: pd.DataFrame, *, drop_flagged: bool,
    splits: pd.DataFrame | None = None, judges: str = "report",
) -> pd.DataFrame:  # fmt: skip
    """Which answers say what, by whom, about whom? Every labelled answer, shaped as schema.JUDGEMENTS.

    weight is 0 for an answer of a flagged rater if `drop_flagged`, and for one of a model or a program unless
    `judges` is "count": people are the truth, a model must not grade itself. Else it is 1. With `splits` (item_id,
    split) it is also 0 where the rater did not agree to what the item is for: `for_evaluation` on test items,
    `for_training` on all others. So no answer teaches or judges a model without consent to just that. Answers that
    one person gave about one item and component share their weight: one vote a person. score is the logged score of
    the item, missing where the answer is about another component than the one that made the item. Cohorts of the item
    become served.*, those of the rater rater.*; unknown ones are "not stated". unit_id is that of the item. Raises
    NothingLeft without a labelled answer, ParamError for another word in `judges`.
    """
    if judges not in JUDGES:
        raise ParamError(
            expected=" or ".join(JUDGES), found=repr(judges), where="params.yaml: aggregate.judges",
            todo="write report, or count where you take models and programs for raters",
        )  # fmt: skip
    rows = feedback.loc[feedback["label"].notna(), [c.name for c in schema.JUDGEMENTS.columns if c.name in feedback]]
    if rows.empty:
        raise NothingLeft(
            expected="answers that the rubric turns into labels", found=f"{len(feedback):,} answers, none with a label",
            where="data/clean/feedback.parquet", todo="add the questions to params.yaml: clean.rubric",
        )  # fmt: skip
    rows = rows.sort_values("feedback_id").reset_index(drop=True)
    flagged = set(trust.loc[trust["flagged"].astype(bool), "rater_id"]) if drop_flagged else set()
    out = rows.assign(
        label=rows["label"].round().astype("int64"), weight=(~rows["rater_id"].isin(flagged)).astype(float)
    )  # fmt: skip
    if judges == "report":
        out["weight"] *= out["rater_kind"].eq("human").astype(float)
    if splits is not None:
        out["weight"] *= permitted(out, splits)
    out["weight"] /= repeats(out)
    served = out[["item_id"]].merge(items, on="item_id", how="left", validate="many_to_one")
    out["unit_id"] = served["unit_id"].to_numpy()
    out["score"] = served["score"].where(served["component"] == out["component"]).to_numpy()
    judged = out[["rater_id"]].merge(raters, on="rater_id", how="left", validate="many_to_one")
    for family, table in (("served.", served), ("rater.", judged)):
        for column in schema.cohorts(table):
            out[family + column.removeprefix("cohort.")] = cohorts.words(table[column]).to_numpy()
    return schema.shape(out, schema.JUDGEMENTS)


def permitted(rows: pd.DataFrame, splits: pd.DataFrame) -> pd.Series:
    """1 where the rater agreed to what the item of an answer is for, 0 where not, or where nothing is said.

    >>> rows = pd.DataFrame({"item_id": ["a", "b"], "for_training": [1, 1], "for_evaluation": [0, 0]})
    >>> permitted(rows, pd.DataFrame({"item_id": ["a", "b"], "split": ["train", "test"]})).tolist()
    [1.0, 0.0]
    """
    tests = rows["item_id"].map(splits.set_index("item_id")["split"]).eq("test")
    return rows["for_evaluation"].where(tests, rows["for_training"]).fillna(0).astype(float)


def repeats(rows: pd.DataFrame) -> pd.Series:
    """How many counted answers did the person behind each answer give about that item and component? 1 at least.

    >>> rows = pd.DataFrame({"item_id": list("aab"), "component": "c", "rater_id": ["r", "r", None], "weight": 1.0,
    ...                      "feedback_id": list("123")})
    >>> repeats(rows).tolist()
    [2, 2, 1]
    """
    counted = rows["weight"] > 0
    keys = [rows["item_id"], rows["component"], who_answered(rows), counted]
    return counted.groupby(keys).transform("size").where(counted, 1)


def labels(
    judged: pd.DataFrame, *, method: str, splits: pd.DataFrame | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What does the crowd say about each item, and how sure are we? (labels as schema.LABELS, one row a component).

    Only answers with weight above 0 count; an item with no such answer has no label. share: what share of the people
    who answered says the event holds, one vote a person. p: the probability of the event once the raters' errors are
    taken out, with bounds (95 %) from the model (see noise.crowd_errors). label by "majority": 1 where share is above
    one half. By "dawid_skene": p and label are the posterior where each rater errs in their own way (anonymous
    answers of a channel are one rater), the bounds moved with p on the scale of log odds. By "held_out": whichever
    predicts held-out answers better in that component (see choose.by_held_out). A tie (share 1/2 by majority) is
    label 0: the event was not established. disagreement: entropy of the share in bits. It assumes raters independent
    given the item.

    With `splits` (item_id, split), test items and the others are told apart: how people err is learned on either side
    alone, so that no held-out answer, and none without consent to training, reaches a label that teaches.

    The second table, of all answers: component, method, reason, gain with bounds (see choose.by_held_out), event
    share, sensitivity and specificity of people, each with bounds, effect (how many answers count as one, because
    people and those they judge repeat).
    """
    if method not in (*METHODS, AUTO):
        raise ParamError(
            expected=", ".join(METHODS) + f" or {AUTO}", found=method, where="params.yaml: aggregate.method",
            todo="choose one of them",
        )  # fmt: skip
    used = judged[judged["weight"] > 0].sort_values(["component", "item_id", "feedback_id"])
    if used.empty:
        raise NothingLeft(
            expected="answers of people who are not flagged and agreed to this", found=f"{len(judged):,} answers, none "
            "of them", where="data/audit/rater_trust.parquet",
            todo="read the audit page; or set aggregate.drop_flagged: false, or aggregate.judges: count",
        )  # fmt: skip
    crowds = [_crowd(str(c), part, method) for c, part in used.groupby("component", sort=True)]
    sides = crowds
    if splits is not None:
        test = used["item_id"].map(splits.set_index("item_id")["split"]).eq("test").rename("test")
        sides = [_crowd(str(c), part, method) for (c, _), part in used.groupby(["component", test], sort=True)]
    table = pd.concat([_labels(c) for c in sides], ignore_index=True)
    table = table.sort_values(["item_id", "component"], ignore_index=True)
    return schema.shape(table, schema.LABELS), pd.DataFrame([_method(c) for c in crowds])


class Votes(NamedTuple):
    """The answers of one component: its items and what people say of each, one vote a person, and who says what."""

    items: npt.NDArray[np.str_]
    events: Floats
    people: Floats
    n_answers: Codes
    answers: tuple[Codes, Codes, Codes]

    @property
    def share(self) -> Floats:
        """The share of people who say that the event holds."""
        share = np.clip(self.events / self.people, 0, 1)
        return np.where(np.isclose(share, 0.5), 0.5, share)  # weights of thirds add up to one half but for rounding


def votes(used: pd.DataFrame) -> Votes:
    """The votes of one component, from its counted answers. `answers`: item, rater and label, each said once."""
    items, item = np.unique(used["item_id"].to_numpy(str), return_inverse=True)
    weight, says = used["weight"].to_numpy(float), used["label"].to_numpy(np.int64)
    rater = choose.rater_codes(used)
    once = ~pd.DataFrame({"item": item, "rater": rater, "says": says}).duplicated().to_numpy()
    events, people = (np.bincount(item, weights=v).astype(float) for v in (weight * says, weight))
    return Votes(items, events, people, np.bincount(item),
                 (item[once], rater[once], says[once]))  # fmt: skip


class Crowd(NamedTuple):
    """One component: its votes, how people err, how answers are combined, and how many of them count as one."""

    component: str
    votes: Votes
    errors: noise.Noise
    choice: choose.Choice
    effect: float


def _crowd(component: str, used: pd.DataFrame, method: str) -> Crowd:
    ballots, effect = votes(used), _effect(used)
    errors = noise.crowd_errors(np.round(ballots.events, 6), np.round(ballots.people, 6), effect=effect)
    declared = choose.Choice(method, "declared", *(np.nan,) * 3)
    choice = choose.by_held_out(*ballots.answers, classes=2) if method == AUTO else declared
    return Crowd(component, ballots, errors, choice, effect)


def _labels(crowd: Crowd) -> pd.DataFrame:
    errors, share = crowd.errors, crowd.votes.share
    p, low, high, label, tied = errors.p, errors.low, errors.high, share > 0.5, share == 0.5
    if crowd.choice.method == "dawid_skene":
        p = choose.own_errors(*crowd.votes.answers, classes=2)[0][:, 1]
        low, high = (_moved(errors.p, p, bound) for bound in (errors.low, errors.high))
        low, high, label, tied = np.minimum(low, p), np.maximum(high, p), p > 0.5, p == 0.5
    return pd.DataFrame({
        "item_id": crowd.votes.items, "component": crowd.component, "share": share, "p": p, "low": low, "high": high,
        "label": label.astype("int64"), "tied": tied, "n_answers": crowd.votes.n_answers,
        "n_people": np.rint(crowd.votes.people).astype("int64"),
        "disagreement": np.clip(-(xlogy(share, share) + xlogy(1 - share, 1 - share)) / np.log(2), 0, 1),
    })  # fmt: skip


def _method(crowd: Crowd) -> dict[str, object]:
    made: dict[str, object] = {"component": crowd.component} | crowd.choice._asdict() | {"effect": crowd.effect}
    for name in ("share", "sensitivity", "specificity"):
        column = "event share" if name == "share" else name
        made |= dict(zip((column, f"{column} low", f"{column} high"), getattr(crowd.errors, name), strict=True))
    return made


def _effect(used: pd.DataFrame) -> float:
    """How many items count as one, because raters and people served repeat?

    The variance of the share of answers with both together over that of answers on one item, 1 at least.
    """
    behind = who_answered(used), used["item_id"], who_was_served(used)
    rater, item, served = (cluster.codes(c.to_numpy(str)) for c in behind)
    says = used["label"].to_numpy(float)
    residual = (says - says.mean()) / len(says)
    alone, together = (float(cluster.variance(residual, *c)[0]) for c in ((item,), (rater, served)))
    return max(together / alone, 1.0) if alone > cluster.NOTHING and np.isfinite(together) else 1.0


def _moved(before: Floats, after: Floats, bound: Floats) -> Floats:
    """A bound of `before` as one of `after`: as far away in log odds."""
    a, b, c = (logit(np.clip(v, 1e-9, 1 - 1e-9)) for v in (before, after, bound))
    return np.asarray(expit(b + c - a), float)


def settled(made: pd.DataFrame) -> pd.Series:
    """On which items is it clear what holds? p at least SETTLED either way, and no crowd in reach says otherwise.

    >>> settled(pd.DataFrame({"p": [0.99, 0.9, 0.01], "low": [0.9, 0.8, 0.0], "high": [1.0, 1.0, 0.6]})).tolist()
    [True, False, False]
    """
    yes, no = (made["p"] >= SETTLED) & (made["low"] > 0.5), (made["p"] <= 1 - SETTLED) & (made["high"] < 0.5)
    return yes | no
