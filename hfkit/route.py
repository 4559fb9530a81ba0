"""Route: which component is each piece of feedback about?

People file a comment where they stand, not where the fault is. Rules (words a team declares) decide first. A text
model, cross-fitted so that it never judges a comment it learned from, then moves a comment only where it is confident
of another component, and hands it to a person ("abstain") where it recognises none. Answers without text stay as filed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from hfkit.shared import evidence as ev
from hfkit.shared import intervals, schema
from hfkit.shared.errors import ParamError
from hfkit.shared.learn import teaching

ABSTAIN = "abstain"
MIN_TEXTS = 20
"""Distinct comments a component needs before the model may learn it."""

_HELD_OUT = ("feedback_id", "group", "filed", "predicted", "confidence", "p_filed")


def assign(
    feedback: pd.DataFrame, components: pd.DataFrame, *, rules: Sequence[dict[str, Any]] = (), reroute_at: float = 0.8,
    abstain_below: float = 0.4, folds: int = 5,
) -> tuple[pd.DataFrame, pd.DataFrame]:  # fmt: skip
    """Which component is each answer about, and how well did the model predict filing it had not seen?

    Returns `routes` (schema.ROUTES, one row an answer) and `held_out` (one row a comment the model judged: feedback_id,
    group, filed, predicted, confidence and p_filed in 0..1, both out of fold). `held_out` is empty where there is
    nothing to tell apart: fewer than two components with MIN_TEXTS distinct comments each.

    A comment moves where another component's probability is at least `reroute_at`; it abstains where none reaches
    `abstain_below`. The model is used only if it beats filing everything under the largest component on held-out
    comments (see `skill`); otherwise every comment stays as filed. `confidence` is missing for rules, abstentions and
    answers that no model judged. Source: out-of-fold probabilities as in confident learning (Northcutt, Jiang and
    Chuang, 2021).

    >>> two = pd.DataFrame({"component": ["a", "b"]})
    >>> fed = pd.DataFrame({"feedback_id": ["1", "2"], "component": ["a", "a"], "rater_id": ["u", "v"],
    ...                     "value_text": ["too slow", None]})
    >>> routes, _ = assign(fed, two, rules=[{"component": "b", "words": ["slow"]}])
    >>> routes[["feedback_id", "routed", "method"]].values.tolist()
    [['1', 'b', 'rule'], ['2', 'a', 'filed']]
    """
    fed = feedback.sort_values("feedback_id", kind="stable").reset_index(drop=True)
    text = normal(fed["value_text"])
    ruled = by_rule(text, rules, components=components["component"].tolist())
    open_ = (text != "") & (ruled == "")
    held_out = cross_fit(fed[text != ""], text[text != ""], folds=folds)
    low, base = skill(held_out)
    routes = pd.DataFrame({
        "feedback_id": fed["feedback_id"], "filed": fed["component"], "routed": fed["component"], "method": "filed",
        "confidence": np.nan,
    })  # fmt: skip
    if low > base:
        judged = held_out.set_index("feedback_id").reindex(fed["feedback_id"]).reset_index()
        open_ = open_ & judged["predicted"].notna()
        moved = open_ & (judged["predicted"] != fed["component"]) & (judged["confidence"] >= reroute_at)
        moved &= telling(text, fed["component"], judged["predicted"])
        unsure = open_ & (judged["confidence"] < abstain_below)
        routes.loc[open_, "confidence"] = judged["p_filed"][open_]
        routes.loc[moved, ["routed", "confidence"]] = judged.loc[moved, ["predicted", "confidence"]].to_numpy()
        routes.loc[unsure, ["routed", "confidence"]] = np.nan
        routes["method"] = np.select([moved, unsure], ["model", ABSTAIN], "filed")
    hit = ruled != ""
    routes.loc[hit, "routed"], routes.loc[hit, "method"] = ruled[hit], "rule"
    return schema.shape(routes, schema.ROUTES), held_out


def telling(text: pd.Series, filed: pd.Series, predicted: pd.Series) -> pd.Series:
    """May this text move? Not a stock phrase (five copies or more) of which most are filed elsewhere than predicted.

    "Thanks" is filed everywhere: a model that has not seen it may be confident by accident, its copies tell otherwise.

    >>> said = pd.Series(["thanks"] * 5 + ["slow"])
    >>> telling(said, pd.Series(list("aabbca")), pd.Series(["b"] * 6)).tolist()
    [False, False, False, False, False, True]
    """
    counts = filed.groupby([text, filed]).size()
    backed = counts.reindex(pd.MultiIndex.from_arrays([text, predicted])).fillna(0).to_numpy()
    copies = text.map(text.value_counts())
    return (copies < 5) | (2 * backed >= copies)


def normal(text: pd.Series) -> pd.Series:
    """Comments as they are compared: lower case, single spaces, missing as empty.

    >>> normal(pd.Series(["  Too   SLOW ", None])).tolist()
    ['too slow', '']
    """
    return text.fillna("").astype("str").str.lower().str.split().str.join(" ")


def by_rule(text: pd.Series, rules: Sequence[dict[str, Any]], *, components: Sequence[str]) -> pd.Series:
    """Which component do the declared words name? Empty where none, or where rules of two components contradict.

    `rules` are `{component, words: [...]}`; a word or phrase matches whole words, in any case. Raises ParamError for a
    rule that names an unknown component or has no words.

    >>> by_rule(pd.Series(["so slow", "slowly", "rude and slow"]), [{"component": "a", "words": ["slow"]},
    ...         {"component": "b", "words": ["rude"]}], components=["a", "b"]).tolist()
    ['a', '', '']
    """
    hits = pd.DataFrame(index=text.index)
    for i, rule in enumerate(rules):
        component, words = rule.get("component"), [str(w).lower() for w in rule.get("words") or [] if str(w).strip()]
        if component not in components or not words:
            raise ParamError(
                expected=f"a component of {', '.join(components)} and at least one word", found=f"{rule}",
                where=f"params.yaml: route.rules[{i}]", todo="correct the rule or remove it",
            )  # fmt: skip
        pattern = r"(?<!\w)(?:" + "|".join(re.escape(" ".join(w.split())) for w in words) + r")(?!\w)"
        matches = text.str.contains(pattern, regex=True)
        hits[component] = matches | hits[component] if component in hits else matches
    if hits.empty:
        return pd.Series("", index=text.index, dtype="str")
    return hits.idxmax(axis=1).where(hits.sum(axis=1) == 1, "").astype("str")


def groups(text: pd.Series, rater: pd.Series) -> npt.NDArray[np.int64]:
    """Which comments must stay in one fold? Those of equal text or, where that leaves folds to make, of one rater.

    Stock phrases used by many raters would chain everybody into one group; where the largest chain holds more than a
    fifth of the comments, only equal text counts. Groups are numbered in the order of their first row.

    >>> groups(pd.Series(["x", "y", "x", "z", "q", "w"]), pd.Series(["u", "u", "v", None, None, None])).tolist()
    [0, 1, 0, 2, 3, 4]
    """
    words = pd.factorize(text)[0]
    people, n = pd.factorize(rater)[0], len(text)
    linked = people >= 0
    rows, k = np.arange(n), int(words.max(initial=-1)) + 1
    ends = np.concatenate([n + words, n + k + people[linked]])
    size = n + k + int(people.max(initial=-1)) + 1
    links = coo_array((np.ones(len(ends)), (np.concatenate([rows, rows[linked]]), ends)), shape=(size, size))
    chain = connected_components(links, directed=False)[1][:n]
    largest = np.bincount(pd.factorize(chain)[0]).max(initial=0)
    group: npt.NDArray[np.int64] = pd.factorize(chain if largest <= n / 5 else words)[0].astype(np.int64)
    return group


def cross_fit(feedback: pd.DataFrame, text: pd.Series, *, folds: int = 5) -> pd.DataFrame:
    """What does a model that never saw a comment (nor its group, see `groups`) say about it?

    Shape and meaning: see `held_out` in `route`. TF-IDF of words and word pairs, multinomial logistic regression on
    the filed component. Only components with MIN_TEXTS distinct comments take part; without two of them it is empty.
    """
    distinct = text.groupby(feedback["component"]).nunique()
    classes = sorted(distinct.index[distinct >= MIN_TEXTS])
    if len(classes) < 2:
        return pd.DataFrame({c: pd.Series(dtype="float64" if c in ("confidence", "p_filed") else "str")
                             for c in _HELD_OUT})  # fmt: skip
    keep = feedback["component"].isin(classes).to_numpy()
    fed, words = feedback[keep], text[keep].to_numpy()
    group = groups(text[keep], fed["rater_id"])
    # Largest groups first, then dealt like cards: folds of nearly equal size without any chance.
    teaches = teaching(fed).to_numpy()
    rank = np.argsort(np.argsort(-np.bincount(group), kind="stable"), kind="stable")
    fold, filed = rank[group] % folds, fed["component"].to_numpy()
    p = np.zeros((len(fed), len(classes)))
    for f in range(folds):
        train, test = (fold != f) & teaches, fold == f
        if not test.any() or len(np.unique(filed[train])) < 2:
            continue
        bag = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\w+")
        model = LogisticRegression(C=5.0, max_iter=300).fit(bag.fit_transform(words[train]), filed[train])
        p[np.ix_(test, np.searchsorted(classes, model.classes_))] = model.predict_proba(bag.transform(words[test]))
    own = p[np.arange(len(fed)), np.searchsorted(classes, filed)]
    return pd.DataFrame({
        "feedback_id": fed["feedback_id"].to_numpy(), "group": group, "filed": filed,
        "predicted": np.array(classes)[p.argmax(axis=1)], "confidence": p.max(axis=1), "p_filed": own,
    })  # fmt: skip


def skill(held_out: pd.DataFrame) -> tuple[float, float]:
    """Does the model tell components apart? (lower bound of its held-out accuracy, share of the largest component).

    Above: yes. Both are NaN where no comment was judged, so that `low > base` is never true by accident.
    """
    if held_out.empty:
        return np.nan, np.nan
    right = held_out["predicted"] == held_out["filed"]
    base = held_out["filed"].value_counts(normalize=True).max()
    return float(_share(right, held_out["group"])[1]), float(base)


def _share(hit: pd.Series, group: pd.Series) -> tuple[float, float, float, int]:
    """A share of comments, its Wilson bounds and n, where comments of one group together count as one observation."""
    if hit.empty:
        return np.nan, np.nan, np.nan, 0
    value, n = float(hit.mean()), int(group.nunique())
    low, high = intervals.wilson(value * n, n)
    return value, float(low), float(high), n


def moves(routes: pd.DataFrame) -> pd.DataFrame:
    """From where to where did answers go? Columns filed, routed (a component or "abstain"), n, share of the filed.

    >>> moves(pd.DataFrame({"filed": ["a", "a"], "routed": ["a", None]})).values.tolist()
    [['a', 'a', 1, 0.5], ['a', 'abstain', 1, 0.5]]
    """
    out = routes.assign(routed=routes["routed"].fillna(ABSTAIN)).groupby(["filed", "routed"]).size()
    table = out.rename("n").reset_index()
    return table.assign(share=table["n"] / table.groupby("filed")["n"].transform("sum"))


def curve(held_out: pd.DataFrame) -> pd.DataFrame:
    """If we acted only above a confidence, how many comments would that be, and how often would filing agree?

    Columns threshold, coverage (share of judged comments), accuracy (share whose filed component is the predicted one;
    misfiled comments count as errors, so it understates); NaN where no comment is that confident.
    """
    thresholds = np.round(np.arange(0.3, 0.96, 0.05), 2)
    right = (held_out["predicted"] == held_out["filed"]).to_numpy()
    sure = [held_out["confidence"].to_numpy() >= t for t in thresholds]
    return pd.DataFrame({
        "threshold": thresholds,
        "coverage": [s.mean() if len(s) else np.nan for s in sure],
        "accuracy": [right[s].mean() if s.any() else np.nan for s in sure],
    })  # fmt: skip


def evidence(routes: pd.DataFrame, held_out: pd.DataFrame, *, reroute_at: float = 0.8) -> pd.DataFrame:
    """The measured statements of this room: shares by method, held-out accuracy, and that of confident predictions.

    `confident accuracy` is compared with `reroute_at`: predictions that claim that probability should be right that
    often. Filing itself errs, so the estimate is a lower one.
    """
    rows = []
    for component, part in [("all", routes), *routes.groupby("filed")]:
        for method in ("rule", "model", ABSTAIN, "filed"):
            k, n = int((part["method"] == method).sum()), len(part)
            low, high = intervals.wilson(k, n)
            rows.append(ev.row(f"share {method}", component=str(component), value=k / n if n else np.nan, n=n,
                               low=float(low), high=float(high), note="share of all answers"))  # fmt: skip
    rows += _model_rows(held_out, reroute_at)
    return ev.table(rows)


def _model_rows(held_out: pd.DataFrame, reroute_at: float) -> list[dict[str, object]]:
    if held_out.empty:
        note = (f"no model: fewer than two components have {MIN_TEXTS} distinct comments (feedback.value_text); "
                "every answer without a rule stays as filed")  # fmt: skip
        return [ev.row(m, value=np.nan, n=0, better="higher", verdict="inconclusive", note=note)
                for m in ("held-out accuracy", "confident accuracy")]  # fmt: skip
    right = held_out["predicted"] == held_out["filed"]
    value, low, high, n = _share(right, held_out["group"])
    base = skill(held_out)[1]
    verdict = ev.judge(low, high, target=base, better="higher")
    use = "the model is used" if low > base else "the model is not used, comments stay as filed"
    note = f"against {base:.3f} for the largest component alone: {use}; n = distinct groups of comments"
    rows = [
        ev.row("held-out accuracy", value=value, low=low, high=high, n=n, better="higher", verdict=verdict, note=note)
    ]
    sure = held_out["confidence"] >= reroute_at
    for component, part in [("all", sure), *((c, sure & (held_out["predicted"] == c))
                                             for c in sorted(held_out["filed"].unique()))]:  # fmt: skip
        value, low, high, n = _share(right[part], held_out["group"][part])
        note = "filed where predicted, of held-out predictions at least that confident; misfiled ones count as errors"
        rows.append(ev.row("confident accuracy", component=component, value=value, low=low, high=high, n=n,
                           better="higher", verdict=ev.judge(low, high, target=reroute_at, better="higher"),
                           note=note if n else "no held-out prediction is that confident"))  # fmt: skip
    return rows


def metrics(routes: pd.DataFrame, held_out: pd.DataFrame, evidence: pd.DataFrame) -> dict[str, float]:
    """The numbers to compare between runs: answers by method and the two held-out accuracies."""
    counts = routes["method"].value_counts()
    whole = evidence[evidence["component"] == "all"].set_index("measure")["value"]
    return {
        "answers": len(routes), "comments_judged": len(held_out),
        **{f"by_{m}": int(counts.get(m, 0)) for m in ("rule", "model", ABSTAIN, "filed")},
        "held_out_accuracy": float(whole["held-out accuracy"]),
        "confident_accuracy": float(whole["confident accuracy"]),
    }  # fmt: skip


def answer(routes: pd.DataFrame, evidence: pd.DataFrame) -> str:
    """The sentence that answers the room's question."""
    counts = routes["method"].value_counts()
    moved = int(((routes["routed"] != routes["filed"]) & routes["routed"].notna()).sum())
    sure = evidence[(evidence["measure"] == "confident accuracy") & (evidence["component"] == "all")].iloc[0]
    first = (f"Of {len(routes):,} answers, {moved:,} are about another component than the one they were filed under, "
             f"and {int(counts.get(ABSTAIN, 0)):,} need a person to decide.")  # fmt: skip
    if np.isnan(sure["value"]):
        return f"{first} There is not enough data in the comments to check filing by a model."
    return (f"{first} Confident predictions agreed with filing for {sure['value']:.0%} of comments the model had not "
            f"seen ({sure['low']:.0%} to {sure['high']:.0%}).")  # fmt: skip
