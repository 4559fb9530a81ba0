"""Who gives the same answer, or nearly always the same, whatever is asked about?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import betaln, gammaln, logsumexp

Floats = npt.NDArray[np.float64]
NEAR = 0.95  # share of a rater's answers to a question that are one value


def near_constant(feedback: pd.DataFrame, *, min_answers: int) -> pd.Series:
    """p value by rater_id that answers alike to this degree come from a rater like the others; 1 where they vary.

    It looks at values, not labels: where a label says whether the model was right, a rater who always says yes has
    labels as good as the model. p: probability of as many answers of one value, in every question, for a rater who
    differs from others as raters here differ (beta-binomial around the rates of the values in that component; any
    value, Bonferroni). A rater is alike where NEAR or more of the answers to each question are one value. Raters with
    fewer than `min_answers` labelled answers are left out.
    """
    rows = feedback.loc[feedback["label"].notna() & feedback["rater_id"].notna(),
                        ["rater_id", "component", "question", "value"]]  # fmt: skip
    kind = [rows["component"], rows["question"]]
    every = rows.groupby(kind)["rater_id"].transform("size")
    rows = rows.assign(rate=rows.groupby([*kind, "value"])["rater_id"].transform("size") / every)
    usual = rows.groupby("question")["value"].transform(lambda x: x.mode().iloc[0] if x.notna().any() else None)
    rows = rows.assign(usual=rows["value"] == usual)
    rows = rows.assign(base=rows.groupby(kind)["usual"].transform("mean"))
    own = rows.groupby(["rater_id", "question", "value"], sort=True).agg(k=("rate", "size"), rate=("rate", "mean"))
    own = own.reset_index().sort_values(["rater_id", "question", "k", "value"], ascending=[True, True, False, True])
    top = own.drop_duplicates(["rater_id", "question"]).drop(columns="value")
    tables = rows.groupby(["rater_id", "question"], sort=True).agg(
        n=("value", "size"), usual=("usual", "sum"), base=("base", "mean")
    ).reset_index().merge(top, on=["rater_id", "question"], how="left")  # fmt: skip
    choices = rows.groupby("question")["value"].nunique().reindex(tables["question"]).to_numpy(float)
    alike = (tables["k"] >= NEAR * tables["n"]).to_numpy(bool)
    log_p = np.zeros(len(tables))
    if alike.any():
        log_p[alike] = _at_least(tables[alike], _between(tables)) + np.log(np.maximum(choices[alike], 1))
    tables = tables.assign(log_p=np.minimum(log_p, 0), alike=alike)
    by = tables.groupby("rater_id", sort=True)
    p = np.exp(by["log_p"].sum()).where(by["alike"].all(), 1.0)
    return p[by["n"].sum() >= min_answers]


def _between(tables: pd.DataFrame) -> float:
    """How much do raters differ in how often they give the usual answer? Intraclass correlation by moments, 0..1."""
    n, k, m = (tables[c].to_numpy(float) for c in ("n", "usual", "base"))
    spread = n * m * (1 - m)
    room = float((spread * (n - 1)).sum())
    rho = (float(((k - n * m) ** 2).sum()) - float(spread.sum())) / room if room > 0 else 0.0
    return min(max(rho, 1e-6), 0.99)


def _at_least(tables: pd.DataFrame, rho: float) -> Floats:
    """Log probability that at least k of n answers are the value whose rate is given, beta-binomial."""
    n, k = tables["n"].to_numpy(float), tables["k"].fillna(0).to_numpy(float)
    m = np.clip(tables["rate"].fillna(1.0).to_numpy(float), 1e-6, 1 - 1e-6)
    a, b = m * (1 / rho - 1), (1 - m) * (1 / rho - 1)
    others = np.arange(int((n - k).max()) + 1)[:, None]  # answers that are another value
    choose = gammaln(n + 1) - gammaln(others + 1) - gammaln(np.maximum(n - others, 0) + 1)
    log = choose + betaln(a + np.maximum(n - others, 0), b + others) - betaln(a, b)
    return np.asarray(logsumexp(np.where(others <= n - k, log, -np.inf), axis=0), float)
