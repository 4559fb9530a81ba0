"""How reliable is each rater? Agreement with the others, and flags with reasons."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import bdtr, betaln, ndtr, ndtri

from hfkit.shared import intervals, stats

Floats = npt.NDArray[np.float64]


def votes(feedback: pd.DataFrame) -> pd.DataFrame:
    """One vote of a rater on one item and component: unit, component, channel, rater, label (0 or 1).

    Several answers of one rater count as one vote, by their majority; evenly split ones are no vote. An anonymous
    answer is a vote of its own, of nobody (rater missing).
    """
    rows = feedback.loc[
        feedback["label"].notna(), ["feedback_id", "item_id", "component", "channel", "rater_id", "label"]
    ]
    rows = rows.sort_values("feedback_id")
    who = rows["rater_id"].astype("object").where(rows["rater_id"].notna(), "\0" + rows["feedback_id"].astype(str))
    keys = [rows["item_id"], rows["component"], who.rename("who")]
    out = rows.groupby(keys, sort=True).agg(
        channel=("channel", "first"), rater_id=("rater_id", "first"), label=("label", "mean")
    ).reset_index()  # fmt: skip
    out = out[out["label"] != 0.5].drop(columns="who")
    out["label"] = (out["label"] > 0.5).astype(int)
    out["unit"] = out.groupby(["item_id", "component"], sort=False).ngroup()
    return out.reset_index(drop=True)


def compare(ballots: pd.DataFrame) -> pd.DataFrame:
    """Each vote against the majority of the others' votes, own left out.

    Adds shared, majority, agrees, strength, expected. shared: others voted and are not split in half. strength: how
    firm that majority is, 0 = others are not of one mind, else 1, 2 or 3 (and more) others of one mind. expected: how
    often a vote agrees with a majority of that component, answer and strength; missing where not shared.
    """
    unit, label = ballots["unit"].to_numpy(), ballots["label"].to_numpy(float)
    others = np.bincount(unit)[unit] - 1 if len(unit) else np.zeros(0)
    events = np.bincount(unit, weights=label)[unit] - label if len(unit) else np.zeros(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = events / others
    shared = (others > 0) & (share != 0.5)
    majority = share > 0.5
    strength = np.where((share == 0) | (share == 1), np.minimum(others, 3), 0).astype(int)
    agrees = np.where(shared, label == majority, np.nan)
    out = ballots.assign(shared=shared, majority=majority, agrees=agrees, strength=strength)
    expected = out.groupby(["component", "majority", "strength"])["agrees"].transform("mean")
    return out.assign(expected=expected.where(shared))


def trust(feedback: pd.DataFrame, *, min_answers: int) -> pd.DataFrame:
    """How often does each rater agree with the others? One row a rater, with p values of two suspicions.

    agreement in 0..1, Wilson bounds; NaN where nothing is shared. `p_disagrees`: probability of agreeing this rarely
    for a rater like most here: binomial with the mean rate (conservative for unequal rates: Hoeffding 1956), its normal
    score set against the spread of all raters' scores, as raters differ in taste even where nobody is careless (the
    empirical null: Efron 2004, JASA 99:96). `guessing`: see `_guessing`; `p_constant`: see `constant`. p values are
    missing below `min_answers`.
    """
    ballots = compare(votes(feedback)).dropna(subset=["rater_id"])
    out = ballots.groupby("rater_id", sort=True).agg(
        n_answers=("label", "size"), n_shared=("shared", "sum"), agreed=("agrees", "sum"),
        expected=("expected", "mean"),
    ).reset_index()  # fmt: skip
    k, n = out["agreed"].to_numpy(float), out["n_shared"].to_numpy(float)
    out["agreement"] = np.divide(k, n, out=np.full(len(n), np.nan), where=n > 0)
    out["low"], out["high"] = intervals.wilson(k, n)
    usual = np.clip(out["expected"].fillna(1.0).to_numpy(float), 1e-9, 1 - 1e-9)
    score = ndtri(np.clip(bdtr(k, n.astype(np.int64), usual), 1e-300, 1 - 1e-12))
    out["p_disagrees"] = _empirical_null(np.where(n >= min_answers, score, np.nan))
    out["guessing"] = out["rater_id"].isin(_guessing(ballots[ballots["shared"]]))
    out["p_constant"] = constant(feedback, min_answers=min_answers).reindex(out["rater_id"]).to_numpy(float)
    return out


def _empirical_null(z: Floats) -> Floats:
    """Lower-tail p values of scores against a normal as wide as most of them are, never narrower than the theory."""
    measured = z[~np.isnan(z)]
    if not len(measured):
        return z
    middle = float(np.median(measured))
    scale = max(1.0, float(np.median(np.abs(measured - middle))) / 0.6745)
    p: Floats = ndtr(z / scale)
    return p


def _guessing(shared: pd.DataFrame) -> set[str]:
    """Whose answers follow the others' majority less than halfway between a guess and what everybody's do?

    Counted is how often a rater and the majority both say the event holds, in 2 x 2 tables, one a component and
    strength, whose margins are given, so that a strict or mild rater is not taken for a careless one. Expected: no
    association for a guess, the pooled odds ratio for everybody (Mantel and Haenszel 1959, JNCI 22:719).
    """
    keys = ["component", "strength", "rater_id"]
    counted = shared.assign(a=shared["label"] * shared["majority"], n=1.0).groupby(keys, sort=True)
    tables = counted[["a", "label", "majority", "n"]].sum().reset_index()
    a, own, others, n = (tables[c].to_numpy(float) for c in ("a", "label", "majority", "n"))
    pairs = tables.assign(same=a * (n - own - others + a) / n, cross=(own - a) * (others - a) / n)
    total = pairs.groupby(["component", "strength"])[["same", "cross"]].transform("sum").to_numpy(float)
    odds = np.clip(total[:, 0] / np.maximum(total[:, 1], 1e-9), 1.0, 1000.0)
    b = n - own - others + odds * (own + others)
    usual = 2 * odds * own * others / np.maximum(b + np.sqrt(b**2 + 4 * (1 - odds) * odds * own * others), 1e-9)
    out = tables.assign(halfway=(usual + own * others / n) / 2).groupby("rater_id", sort=True)[["a", "halfway"]].sum()
    return set(out.index[out["a"] <= out["halfway"]])


def constant(feedback: pd.DataFrame, *, min_answers: int) -> pd.Series:
    """Who gives the same answer whatever is asked about? p value by rater_id, 1 for raters whose answers vary.

    p: probability of one value only in every question, for a rater who differs from others as raters here differ
    (beta-binomial around the rates of the values in that component; any value, Bonferroni). Raters with fewer than
    `min_answers` labelled answers are left out.
    """
    rows = feedback.loc[feedback["label"].notna() & feedback["rater_id"].notna(),
                        ["rater_id", "component", "question", "value"]]  # fmt: skip
    kind = [rows["component"], rows["question"]]
    seen = rows.groupby([*kind, "value"])["rater_id"].transform("size") / rows.groupby(kind)["rater_id"].transform(
        "size"
    )
    top = rows.groupby("question")["value"].transform(lambda x: x.mode().iloc[0] if x.notna().any() else None)
    rows = rows.assign(rate=seen, usual=rows["value"] == top)
    base = rows.groupby(kind)["usual"].transform("mean")
    tables = rows.assign(base=base).groupby(["rater_id", "question"], sort=True).agg(
        n=("value", "size"), values=("value", "nunique"), rate=("rate", "mean"), k=("usual", "sum"),
        base=("base", "mean"),
    ).reset_index()  # fmt: skip
    choices = rows.groupby("question")["value"].nunique().reindex(tables["question"]).to_numpy(float)
    log_p = _all_equal(tables, _between(tables)) + np.log(np.maximum(choices, 1))
    tables["log_p"] = np.where(tables["values"] == 1, np.minimum(log_p, 0), 0.0)
    by = tables.groupby("rater_id", sort=True)
    p = np.exp(by["log_p"].sum()).where(by["values"].max() == 1, 1.0)
    return p[by["n"].sum() >= min_answers]


def _between(tables: pd.DataFrame) -> float:
    """How much do raters differ in how often they give the usual answer? Intraclass correlation by moments, 0..1."""
    n, k, m = (tables[c].to_numpy(float) for c in ("n", "k", "base"))
    spread = n * m * (1 - m)
    room = float((spread * (n - 1)).sum())
    rho = (float(((k - n * m) ** 2).sum()) - float(spread.sum())) / room if room > 0 else 0.0
    return min(max(rho, 1e-6), 0.99)


def _all_equal(tables: pd.DataFrame, rho: float) -> Floats:
    """Log probability that all n answers are the value whose rate is given, beta-binomial."""
    n, m = tables["n"].to_numpy(float), np.clip(tables["rate"].fillna(1.0).to_numpy(float), 1e-6, 1 - 1e-6)
    a, b = m * (1 / rho - 1), (1 - m) * (1 / rho - 1)
    out: Floats = betaln(a + n, b) - betaln(a, b)
    return out


def too_fast(feedback: pd.DataFrame, *, min_seconds: float, min_answers: int) -> set[str]:
    """Which raters take less than `min_seconds` for half of their answers or more? Only where time was recorded."""
    timed = feedback[feedback["seconds_spent"].notna() & feedback["rater_id"].notna()]
    by = timed.groupby("rater_id")["seconds_spent"].agg(["median", "size"])
    return set(by.index[(by["median"] < min_seconds) & (by["size"] >= min_answers)])


def flag(trusted: pd.DataFrame, *, fdr: float, fast: set[str], brigade: set[str]) -> pd.DataFrame:
    """Whose answers should not count, and why? Adds flagged and reason to the raters of `trust`.

    Reasons, joined by "; ": disagrees (agrees less than others do, false discovery rate `fdr` over all raters, and
    closer to guessing than to the others), constant (one answer only, same rate), too fast, brigade. A rater with a
    minority view who still follows the items is not flagged.
    """
    disagrees = (stats.benjamini_hochberg(trusted["p_disagrees"]) <= fdr) & trusted["guessing"].to_numpy(bool)
    reasons = {
        "disagrees": disagrees,
        "constant": stats.benjamini_hochberg(trusted["p_constant"]) <= fdr,
        "too fast": trusted["rater_id"].isin(fast).to_numpy(),
        "brigade": trusted["rater_id"].isin(brigade).to_numpy(),
    }
    text = np.full(len(trusted), "", dtype=object)
    for name, hit in reasons.items():
        text[hit] = [f"{t}; {name}" if t else name for t in text[hit]]
    return trusted.assign(flagged=text != "", reason=text)
