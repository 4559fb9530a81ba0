"""Does training on an issue's items make the model worse? Leave-one-issue-out data valuation.

One small model a component learns from all labelled items, and once more without each issue's items. Both are asked
about held-out items; the answers of raters who can be trusted are the truth. A bootstrap over items, paired, says how
sure the difference is. Ghorbani and Zou (2019) for data valuation; leave-one-group-out is its cheapest form.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import bdtrc, expit
from sklearn.decomposition import TruncatedSVD

from hfkit.shared import learn, stats

Floats = npt.NDArray[np.float64]
MIN_ITEMS = 30
"""Held-out items with a trusted answer below which the room says "inconclusive"."""

_DIMENSIONS = 100
_EMPTY = ("issue_id", "component", "worse", "worse_low", "worse_high", "risk", "p", "n_test")


def training_value(
    labels: pd.DataFrame, judgements: pd.DataFrame, items: pd.DataFrame, member: pd.DataFrame,
    rater_trust: pd.DataFrame, *, rng: np.random.Generator, folds: int = 3,
) -> pd.DataFrame:  # fmt: skip
    """How much worse does the model get by training on an issue's items?

    `member` says which labelled item belongs to which issue (item_id, component, issue_id). One row an issue: worse
    (held-out log loss with its items minus without, nats an answer; above 0 = training on it harms), worse_low,
    worse_high (95 %), risk (share of bootstrap replicates above 0), p (one-sided, adjusted over all issues by Benjamini
    and Hochberg), n_test (items asked about). All but n_test are NaN where fewer than MIN_ITEMS held-out items carry an
    answer of a trusted rater, or where labels are of one kind only.

    Answers of raters who gave far more of their answers to the issue than others do are not used to judge that issue:
    a campaign must not vouch for itself. The model learns from the answers as given, not from `labels.p`: that is
    shrunk, and leaving out what people disagree on would look like a gain. The interval covers the choice of test
    items, not of training items.
    """
    parts = []
    for component, own in labels.groupby("component"):
        inside = member[member["component"] == component]
        if len(inside):
            answers = judgements[judgements["component"] == component]
            parts.append(_component(own, answers, items, inside, rater_trust, rng=rng, folds=folds))
    empty = pd.DataFrame({c: pd.Series(dtype="str" if c in _EMPTY[:2] else "float64") for c in _EMPTY})
    out = pd.concat(parts, ignore_index=True) if parts else empty
    return out.assign(p=stats.benjamini_hochberg(out["p"].to_numpy(float)))


def _component(
    labels: pd.DataFrame, answers: pd.DataFrame, items: pd.DataFrame, member: pd.DataFrame, rater_trust: pd.DataFrame,
    *, rng: np.random.Generator, folds: int,
) -> pd.DataFrame:  # fmt: skip
    """The rows of one component."""
    labels = labels.sort_values("item_id", ignore_index=True)
    rows = labels[["item_id"]].merge(items, on="item_id", how="left", validate="one_to_one")
    issues = sorted(member["issue_id"].unique())
    at = labels["item_id"].map(member.set_index("item_id")["issue_id"])
    inside = np.array([(at == issue).to_numpy() for issue in issues])
    group = learn.text_groups(rows)
    k, n = trusted(answers, labels["item_id"], at, issues, rater_trust)
    empty = pd.DataFrame({"issue_id": issues, "component": labels["component"].iloc[0]}).reindex(columns=list(_EMPTY))
    empty["n_test"] = (n > 0).sum(axis=1)
    seen = learn.inputs(rows, learn.input_names(rows, text=True, features=True, baseline=True))
    votes = learn.answers(answers).set_index("item_id").reindex(labels["item_id"])
    weight = votes["n"].fillna(0).to_numpy(float)
    p = np.divide(votes["k"].fillna(0).to_numpy(float), weight, out=np.full(len(weight), 0.5), where=weight > 0)
    if seen.shape[1] == 0 or (n > 0).sum(axis=1).max() < MIN_ITEMS or p.min() == p.max():
        return empty
    x = features(seen, group, rng)
    fold = (learn.unit(group, seed=0, salt="fold") * folds).astype(int)
    with_, without = cross_fit(x, p, weight, inside, fold)
    with np.errstate(invalid="ignore", divide="ignore"):
        q = np.where(n > 0, k / n, 0.0)
    worse = n * (learn.log_losses(q, np.broadcast_to(with_, q.shape)) - learn.log_losses(q, without))
    return _bootstrap(empty, worse, n, pd.factorize(group)[0], rng)


def _bootstrap(
    empty: pd.DataFrame, worse: Floats, n: Floats, group: npt.NDArray[np.int64], rng: np.random.Generator,
    n_boot: int = 2000,
) -> pd.DataFrame:  # fmt: skip
    """Whole text groups resampled, the same draws for every issue, so that issues are compared on the same items."""
    total, size = (np.array([np.bincount(group, weights=row) for row in m]) for m in (worse, n))
    used = size.sum(axis=0) > 0
    total, size = total[:, used], size[:, used]
    count = int(used.sum())
    draws = rng.multinomial(count, np.full(count, 1 / count), size=n_boot).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        replicate = (draws @ total.T) / (draws @ size.T)
        value = total.sum(axis=1) / size.sum(axis=1)
    low, high = stats.percentile_interval(replicate, units=count)
    above = (replicate > 0).mean(axis=0)
    p = (1 + (replicate <= 0).sum(axis=0)) / (n_boot + 1)
    out = empty.assign(worse=value, worse_low=low, worse_high=high, risk=above, p=p)
    out.loc[out["n_test"] < MIN_ITEMS, ["worse", "worse_low", "worse_high", "risk", "p"]] = np.nan
    return out


def trusted(
    answers: pd.DataFrame, item_id: pd.Series, at: pd.Series, issues: list[str], rater_trust: pd.DataFrame
) -> tuple[Floats, Floats]:
    """Which answers may judge an issue? (answers "event", all answers), issue by item.

    Answers of known, unflagged raters. For each issue, without the raters who gave significantly more of their answers
    on its items than all raters together do (binomial test, 5 % over all raters by Bonferroni).
    """
    good = rater_trust.loc[~rater_trust["flagged"].astype(bool), "rater_id"]
    mine = answers[answers["rater_id"].isin(good) & (answers["weight"] > 0) & answers["item_id"].isin(item_id)]
    row = pd.Series(np.arange(len(item_id)), index=item_id.to_numpy())[mine["item_id"]].to_numpy()
    issue = at.to_numpy(dtype=object)[row]
    rater, raters = pd.factorize(mine["rater_id"], sort=True)
    per, label = np.bincount(rater, minlength=len(raters)), mine["label"].to_numpy(float)
    k, n = np.zeros((2, len(issues), len(item_id)))
    for i, name in enumerate(issues):
        hit = issue == name
        there = np.bincount(rater[hit], minlength=len(raters))
        chance = bdtrc(there - 1.0, per, hit.mean()) if hit.any() else np.ones(len(raters))
        campaign = (there >= 3) & (chance < 0.05 / max(len(raters), 1))
        keep = ~campaign[rater]
        n[i] = np.bincount(row[keep], minlength=len(item_id))
        k[i] = np.bincount(row[keep], weights=label[keep], minlength=len(item_id))
    return k, n


def features(seen: pd.DataFrame, group: pd.Series, rng: np.random.Generator) -> Floats:
    """What the small model sees, as a dense matrix with a first column of ones; many words become 100 directions."""
    step = learn.design(seen, group, 5)
    if not step.transformers_:
        return np.ones((len(seen), 1))
    matrix = step.transform(seen)
    if matrix.shape[1] > _DIMENSIONS:
        matrix = TruncatedSVD(_DIMENSIONS, random_state=int(rng.integers(2**31))).fit_transform(matrix)
    dense = matrix.toarray() if hasattr(matrix, "toarray") else np.asarray(matrix)
    return np.column_stack([np.ones(len(seen)), dense])


def cross_fit(
    x: Floats, p: Floats, weight: Floats, inside: npt.NDArray[np.bool_], fold: npt.NDArray[np.int64]
) -> tuple[Floats, Floats]:
    """Held-out probabilities with all training items (items), and without each issue's (issues by items)."""
    with_, without = np.zeros(len(p)), np.zeros(inside.shape)
    for f in np.unique(fold):
        train, test = fold != f, fold == f
        whole = fit(x[train], p[train], weight[train])
        with_[test] = expit(x[test] @ whole)
        for i, mine in enumerate(inside):
            keep = train & ~mine
            without[i, test] = expit(x[test] @ fit(x[keep], p[keep], weight[keep], start=whole))
    return with_, without


def fit(x: Floats, p: Floats, weight: Floats, *, start: Any = None, penalty: float = 1.0) -> Floats:
    """Coefficients of a ridge logistic regression on soft labels, by Newton's method; column 0 is not penalised.

    >>> bool(abs(fit(np.ones((4, 1)), np.array([1.0, 0, 0, 0]), np.ones(4))[0] - np.log(1 / 3)) < 1e-5)
    True
    """
    b = np.zeros(x.shape[1]) if start is None else np.array(start, float)
    ridge = np.full(x.shape[1], penalty)
    ridge[0] = 1e-6
    for _ in range(25):
        m = expit(x @ b)
        slope = x.T @ (weight * (p - m)) - ridge * b
        bend = (x * (weight * np.maximum(m * (1 - m), 1e-6))[:, None]).T @ x
        bend[np.diag_indices_from(bend)] += ridge
        step = np.linalg.solve(bend, slope)
        b = b + step * min(1.0, 5.0 / max(float(np.abs(step).max()), 1e-12))
        if np.abs(step).max() < 1e-6:
            break
    return np.asarray(b, dtype=np.float64)
