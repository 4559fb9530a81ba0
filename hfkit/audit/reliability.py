"""How reliable is each rater? Agreement with the others, and flags with reasons."""

from __future__ import annotations

from collections.abc import Set

import numpy as np
import pandas as pd

from hfkit.audit.careless import who_is_careless
from hfkit.audit.constant import near_constant
from hfkit.shared import intervals, stats
from hfkit.shared.people import who_answered


def votes(feedback: pd.DataFrame) -> pd.DataFrame:
    """One vote of a rater on one item and component: unit, component, channel, rater, label (0 or 1).

    Several answers of one rater count as one vote, by their majority; evenly split ones are no vote. An anonymous
    answer is a vote of its own, of nobody (rater missing).
    """
    rows = feedback.loc[
        feedback["label"].notna(), ["feedback_id", "item_id", "component", "channel", "rater_id", "label"]
    ]
    rows = rows.sort_values("feedback_id")
    keys = [rows["item_id"], rows["component"], who_answered(rows).rename("who")]
    out = rows.groupby(keys, sort=True).agg(
        channel=("channel", "first"), rater_id=("rater_id", "first"), label=("label", "mean")
    ).reset_index()  # fmt: skip
    out = out[out["label"] != 0.5].drop(columns="who")
    out["label"] = (out["label"] > 0.5).astype(int)
    out["unit"] = out.groupby(["item_id", "component"], sort=False).ngroup()
    return out.reset_index(drop=True)


def compare(ballots: pd.DataFrame, *, flagged: Set[str] = frozenset()) -> pd.DataFrame:
    """Each vote against the majority of the others' votes, own left out; those of `flagged` raters do not count.

    Adds shared (others voted and are not split in half) and agrees (missing where not shared).
    """
    unit, label = ballots["unit"].to_numpy(), ballots["label"].to_numpy(float)
    counted = (~ballots["rater_id"].isin(flagged)).to_numpy(float)
    others = np.bincount(unit, weights=counted)[unit] - counted if len(unit) else np.zeros(0)
    events = np.bincount(unit, weights=counted * label)[unit] - counted * label if len(unit) else np.zeros(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = events / others
    shared = (others > 0) & (share != 0.5)
    return ballots.assign(shared=shared, agrees=np.where(shared, label == (share > 0.5), np.nan))


def trust(
    feedback: pd.DataFrame, *, min_answers: int, rng: np.random.Generator, fdr: float = 0.05,
    brigade: Set[str] = frozenset(), min_pace: float = 0.33,
) -> pd.DataFrame:  # fmt: skip
    """How often does each rater agree with the others, and whose answers should not count? One row a rater.

    rater_id, n_answers, n_shared, agreement in 0..1 with Wilson bounds (with the others who are not flagged; NaN where
    nothing is shared), evidence and p (see careless.who_is_careless), flagged and reason. Reasons, joined by "; ":
    careless (answers do not depend on the item), near-constant (see constant.near_constant; false discovery rate
    `fdr`), too fast (see too_fast, and the votes too are likelier careless than honest), brigade. A rater with a
    minority view who still follows the items is not flagged. Flagged answers stay in every table; they get no weight.
    """
    ballots = votes(feedback)
    judged = who_is_careless(ballots, min_answers=min_answers, rng=rng)
    names = judged.careless.index
    alike = near_constant(feedback, min_answers=min_answers).reindex(names).to_numpy(float)
    fast = names.isin(too_fast(feedback, min_pace=min_pace, min_answers=min_answers))
    reasons = {
        "careless": judged.careless.to_numpy(bool),
        "near-constant": stats.benjamini_hochberg(alike) <= fdr,
        "too fast": fast & (judged.evidence > 0).to_numpy() & (judged.shared >= min_answers).to_numpy(),
        "brigade": names.isin(brigade),
    }
    text = np.full(len(names), "", dtype=object)
    for name, hit in reasons.items():
        text[hit] = [f"{t}; {name}" if t else name for t in text[hit]]
    out = _agreement(ballots, set(names[text != ""]))
    return out.assign(evidence=judged.evidence.to_numpy(), p=judged.p.to_numpy(), flagged=text != "", reason=text)


def _agreement(ballots: pd.DataFrame, flagged: Set[str]) -> pd.DataFrame:
    """Each rater against those of the others who are not flagged."""
    rows = compare(ballots, flagged=flagged).dropna(subset=["rater_id"])
    out = rows.groupby("rater_id", sort=True).agg(
        n_answers=("label", "size"), n_shared=("shared", "sum"), agreed=("agrees", "sum")
    ).reset_index()  # fmt: skip
    k, n = out.pop("agreed").to_numpy(float), out["n_shared"].to_numpy(float)
    out["agreement"] = np.divide(k, n, out=np.full(len(n), np.nan), where=n > 0)
    out["low"], out["high"] = intervals.wilson(k, n)
    return out


def too_fast(feedback: pd.DataFrame, *, min_pace: float, min_answers: int) -> set[str]:
    """Which raters take less than `min_pace` of a question's usual time, for half of their answers or more?

    The usual time is the median of all answers to the question that have one: a tap of two seconds is no sign where
    everybody taps in two. A sign only: nobody is flagged for being quick alone.
    """
    timed = feedback[feedback["seconds_spent"].notna() & feedback["rater_id"].notna()]
    usual = timed.groupby("question")["seconds_spent"].transform("median")
    pace = (timed["seconds_spent"] / usual).where(usual > 0)
    by = pace.groupby(timed["rater_id"]).agg(["median", "count"])
    return set(by.index[(by["median"] < min_pace) & (by["count"] >= min_answers)])
