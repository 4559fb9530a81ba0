"""Judgements (one labelled answer with who and what) and the labels made from them (one item of one component)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import betaincinv, xlogy

from hfkit.aggregate import crowd
from hfkit.shared import cohorts, schema
from hfkit.shared.errors import NothingLeft, ParamError

METHODS = ("majority", "dawid_skene")
JUDGES = ("report", "count")
Floats = npt.NDArray[np.float64]


def judgements(
    feedback: pd.DataFrame, items: pd.DataFrame, raters: pd.DataFrame, trust: pd.DataFrame, *, drop_flagged: bool,
    splits: pd.DataFrame | None = None, judges: str = "report",
) -> pd.DataFrame:  # fmt: skip
    """Which answers say what, by whom, about whom? Every labelled answer, shaped as schema.JUDGEMENTS.

    weight is 0 for an answer of a flagged rater if `drop_flagged`, and for one of a model or a program unless `judges`
    is "count": people are the truth, a model must not grade itself. Else it is 1. With `splits` (item_id, split) it is
    also 0 where the rater did not agree to what the item is for: `for_evaluation` on test items, `for_training` on all
    others. So no answer teaches or judges a model without consent to just that. score is the logged score of the item,
    missing where the answer is about another component than the one that made the item. Cohorts of the item become
    served.*, those of the rater rater.*; unknown ones are "not stated". unit_id is that of the item. Raises NothingLeft
    without a labelled answer, ParamError for another word in `judges`.
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


def labels(judged: pd.DataFrame, *, method: str) -> pd.DataFrame:
    """What does the crowd say about each item, and how sure are we? Shaped as schema.LABELS.

    Only answers with weight above 0 count; an item with no such answer has no label. p is the share of answers that say
    the event holds ("majority") or Dawid and Skene's posterior ("dawid_skene"; anonymous answers of a channel are one
    rater). A tie (p = 1/2) is label 0: the event was not established. Bounds (95 %): Jeffreys' interval for p with the
    number of different raters as its size, so that one rater who repeats an answer adds no certainty; it assumes raters
    independent given the item. disagreement: entropy of the answers in bits. Brown, Cai and DasGupta (2001),
    Statistical Science 16:101 (Jeffreys).
    """
    if method not in METHODS:
        raise ParamError(
            expected=" or ".join(METHODS), found=method, where="params.yaml: aggregate.method",
            todo="choose one of them",
        )  # fmt: skip
    used = judged[judged["weight"] > 0].sort_values(["component", "item_id", "feedback_id"])
    if used.empty:
        raise NothingLeft(
            expected="answers of people who are not flagged and agreed to this", found=f"{len(judged):,} answers, none "
            "of them", where="data/audit/rater_trust.parquet",
            todo="read the audit page; or set aggregate.drop_flagged: false, or aggregate.judges: count",
        )  # fmt: skip
    keys, unit = _units(used)
    share = crowd.shares(unit, used["label"].to_numpy(), classes=2)[:, 1]
    p = share if method == "majority" else _dawid_skene(used, unit, share)
    low, high = jeffreys(p, _raters(used, unit))
    return keys.assign(
        p=p, low=low, high=high, label=(p > 0.5).astype("int64"), n_answers=np.bincount(unit),
        disagreement=np.clip(-(xlogy(share, share) + xlogy(1 - share, 1 - share)) / np.log(2), 0, 1),
    )  # fmt: skip


def jeffreys(p: npt.ArrayLike, n: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Between which rates does p lie, seen in n independent answers? (low, high), 95 %; n may be a fraction.

    >>> low, high = jeffreys([1.0, 0.5], [4, 4])
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([0.555, 0.123], [1.0, 0.877])
    """
    p, n = np.asarray(p, float), np.asarray(n, float)
    a, b = p * n + 0.5, (1 - p) * n + 0.5
    # at the ends of the scale the interval reaches them (Brown et al., section 4.1.2)
    return (np.where(p <= 0, 0.0, np.minimum(betaincinv(a, b, 0.025), p)),
            np.where(p >= 1, 1.0, np.maximum(betaincinv(a, b, 0.975), p)))  # fmt: skip


def who(judged: pd.DataFrame) -> pd.Series:
    """Who is behind each answer, for counting people: the rater, or the anonymous answer itself."""
    named = judged["rater_id"].notna()
    return judged["rater_id"].astype("object").where(named, "\0" + judged["feedback_id"].astype(str))


def _units(used: pd.DataFrame) -> tuple[pd.DataFrame, npt.NDArray[np.int64]]:
    """The distinct (item, component) in order, and the number of each row's."""
    by = used.groupby(["item_id", "component"], sort=True)
    return by.size().reset_index()[["item_id", "component"]], by.ngroup().to_numpy()


def _raters(used: pd.DataFrame, unit: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    pairs = pd.DataFrame({"unit": unit, "who": pd.factorize(who(used))[0]}).drop_duplicates()
    return np.bincount(pairs["unit"].to_numpy())


def _dawid_skene(used: pd.DataFrame, unit: npt.NDArray[np.int64], share: Floats) -> Floats:
    """Posterior of the event, one model a component: a rater may be good at one thing and not at another."""
    p = share.copy()
    rater = used["rater_id"].astype("object").where(used["rater_id"].notna(), "\0" + used["channel"].astype(str))
    for component in sorted(used["component"].unique()):
        here = (used["component"] == component).to_numpy()
        tasks, task = np.unique(unit[here], return_inverse=True)
        codes = pd.factorize(rater[here], sort=True)[0]
        p[tasks] = crowd.dawid_skene(task, codes, used["label"].to_numpy()[here], classes=2)[0][:, 1]
    return p
