"""What is each issue worth, what does it cost, and what should be done about it?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from hfkit.shared import schema, stats
from hfkit.shared.errors import ParamError

LEAN = 5.0  # items that the share of events among all counts for where a decision is rare

Floats = npt.NDArray[np.float64]
_PER = 1000.0
_LEAST_EFFORT = 0.1  # days; an issue that costs nothing would be worth infinitely much a day


def membership(clustered: pd.DataFrame) -> pd.DataFrame:
    """Which labelled item belongs to which issue? The one most of its complaints fall in; ties by the issue's name.

    Columns item_id, component (as filed, the component of the label), issue_id. One row an item and component.
    """
    keys = ["item_id", "component"]
    count = clustered.drop(columns="component").rename(columns={"filed": "component"})
    count = count.groupby([*keys, "issue_id"], as_index=False).agg(n=("feedback_id", "size"))
    first = count.sort_values([*keys, "n", "issue_id"], ascending=[True, True, False, True])
    return first.drop_duplicates(keys)[[*keys, "issue_id"]].reset_index(drop=True).astype("str")


def expected_cost(labels: pd.DataFrame, items: pd.DataFrame, components: pd.DataFrame) -> pd.Series:
    """What does the model's decision on each labelled item cost, in expectation? Points; missing without a decision.

    Acting costs `cost_false_alarm` times the probability that the event does not hold, not acting `cost_miss` times the
    probability that it does. That is the label's p, corrected for what the decision says (`given`): else the raters'
    errors would be charged to the model. The index is that of `labels`.
    """
    decision = labels["item_id"].map(items.set_index("item_id")["decision"]).astype(float)
    cost = components.set_index("component")
    alarm, miss = (labels["component"].map(cost[c]).astype(float) for c in ("cost_false_alarm", "cost_miss"))
    p = given(labels, decision)
    expected = np.where(decision == 1, (1 - p) * alarm, p * miss)
    return pd.Series(np.where(decision.isna(), np.nan, expected), index=labels.index)


def given(labels: pd.DataFrame, decision: pd.Series) -> pd.Series:
    """The probability of the event given an item's answers and the model's decision; p where there is none.

    Within a component, the event is as frequent among the items with one decision as their answers together say: the
    odds of p are moved from the event share of all to that share, found by EM (Saerens, Latinne and Decaestecker 2002,
    Neural Computation 14:21).

    >>> labels = pd.DataFrame({"component": "x", "p": [0.9, 0.9, 0.9, 0.1, 0.1, 0.9, 0.1, 0.1, 0.1, 0.1]})
    >>> given(labels, pd.Series([1.0] * 4 + [0.0] * 6)).round(2).tolist()[:5]
    [0.94, 0.94, 0.94, 0.17, 0.06]
    """
    out = labels["p"].astype(float).copy()
    priors = labels.groupby("component")["p"].mean()
    for (component, _), p in out.groupby([labels["component"], decision.rename("decision")], sort=True):
        if 0 < priors[component] < 1:
            out.loc[p.index] = _moved(p.to_numpy(float), float(priors[component]))
    return out


def _moved(p: Floats, prior: float) -> Floats:
    """p as it is where the event is as frequent as these p say, instead of `prior`."""
    share = prior
    for _ in range(200):
        odds = share / (1 - share) * (1 - prior) / prior
        moved: Floats = p * odds / (p * odds + 1 - p)
        step, share = share, float((moved.sum() + LEAN * prior) / (len(moved) + LEAN))
        if abs(share - step) < 1e-9:
            break
    return moved


def benefits(
    labels: pd.DataFrame, cost: pd.Series, member: pd.DataFrame, items: pd.DataFrame, *, rng: np.random.Generator,
    n_boot: int = 1000,
) -> pd.DataFrame:  # fmt: skip
    """What would be saved per 1,000 served items if the model made no error on an issue's items any more?

    benefit = 1000 x (the component's share of served items) x (the issue's share of the component's judged items) x
    (mean expected cost of its items), summed over the components its answers were filed under. Columns issue_id,
    n_items, benefit, low, high: 95 %, by resampling a component's judged items. It assumes that judged items stand for
    the served ones (see the audit room). NaN where no item of the issue has a decision.

    >>> labels = pd.DataFrame({"item_id": list("abcd"), "component": "x"})
    >>> items = pd.DataFrame({"item_id": list("abcdefgh"), "component": ["x"] * 4 + ["y"] * 4})
    >>> member = pd.DataFrame({"item_id": ["a"], "component": "x", "issue_id": "x-1"})
    >>> rng = np.random.default_rng(0)
    >>> float(benefits(labels, pd.Series([2.0, 0, 0, 0]), member, items, rng=rng)["benefit"].iloc[0])
    250.0
    """
    issues = sorted(member["issue_id"].unique())
    share = items["component"].value_counts(normalize=True)
    frame = labels[["item_id", "component"]].assign(cost=cost).sort_values(["component", "item_id"])
    frame = frame.merge(member, on=["item_id", "component"], how="left")
    value, draws = np.zeros(len(issues)), np.zeros((n_boot, len(issues)))
    for component, judged in frame.groupby("component"):
        # A row bootstrap of means of an item's cost by issue: counts of the distinct (issue, cost) cells are enough.
        cells, counts = np.unique(
            np.column_stack([pd.Categorical(judged["issue_id"], categories=issues).codes, judged["cost"].fillna(0)]),
            axis=0, return_counts=True,
        )  # fmt: skip
        table = np.zeros((len(cells), len(issues)))
        named = cells[:, 0] >= 0
        table[named, cells[named, 0].astype(int)] = cells[named, 1]
        scale = _PER * float(share.get(component, 0.0)) / len(judged)
        value += scale * (counts @ table)
        draws += scale * (stats.resample_counts(counts, rng=rng, n_boot=n_boot) @ table)
    low, high = stats.percentile_interval(draws, units=len(frame)) if len(issues) else (value, value)
    priced = frame[frame["cost"].notna()].groupby("issue_id").size().reindex(issues).fillna(0).to_numpy() > 0
    out = pd.DataFrame({"issue_id": pd.Series(issues, dtype="str"), "benefit": value, "low": low, "high": high})
    out.loc[~priced, ["benefit", "low", "high"]] = np.nan
    return out.assign(n_items=member.groupby("issue_id").size().reindex(issues).to_numpy())


def efforts(components: pd.DataFrame, override: dict[str, float]) -> pd.Series:
    """How many person-days does one issue take, by component? `override` replaces what clean says.

    At least 0.1 days. Raises ParamError for a component that does not exist or an effort that is no positive number.
    """
    days = components.set_index("component")["effort_days"].astype(float)
    for name, value in override.items():
        if name not in days.index or not isinstance(value, int | float) or isinstance(value, bool) or value <= 0:
            raise ParamError(
                expected=f"days above 0 for a component of {', '.join(days.index)}", found=f"{name}: {value}",
                where="params.yaml: prioritize.effort_days", todo="correct or remove it",
            )  # fmt: skip
        days[name] = float(value)
    return days.clip(lower=_LEAST_EFFORT)


def rank(
    clustered: pd.DataFrame, titles: pd.DataFrame, worth: pd.DataFrame, harm: pd.DataFrame, days: pd.Series, *,
    fdr: float,
) -> pd.DataFrame:  # fmt: skip
    """The issues, first to fix first: schema.ISSUES.

    value_per_day = benefit x (1 - risk) / effort_days; an inconclusive risk is not deducted, and the note says
    so. Issues to exclude come last, and issues of unknown benefit before them. Verdicts: exclude (training on it harms,
    at a false discovery rate of `fdr`), train (the interval of its value lies on the good side), fix (nothing to train
    on: its answers were filed under another component), inconclusive (anything else).
    """
    size = clustered.groupby("issue_id").agg(
        n_feedback=("feedback_id", "size"), n_raters=("rater_id", "nunique"), trainable=("wrong", "any")
    )
    size["own"] = (clustered["filed"] == clustered["component"]).groupby(clustered["issue_id"]).any()
    table = titles.merge(size.reset_index(), on="issue_id").merge(worth, on="issue_id", how="left")
    table = table.merge(harm.drop(columns="component"), on="issue_id", how="left").sort_values("issue_id")
    table["n_items"] = table["n_items"].fillna(0).astype(int)
    table["effort_days"] = table["component"].map(days).astype(float)
    table["value_per_day"] = table["benefit"] * (1 - table["risk"].fillna(0)) / table["effort_days"]
    judged = [_verdict(row, fdr) for row in table.to_dict("records")]
    table["verdict"], table["note"] = [v for v, _ in judged], [n for _, n in judged]
    out = table["verdict"] == "exclude"
    order = table.assign(out=out).sort_values(
        ["out", "value_per_day", "issue_id"], ascending=[True, False, True], na_position="last"
    )
    order["rank"] = np.arange(1, len(order) + 1)
    return schema.shape(order[[c.name for c in schema.ISSUES.columns]], schema.ISSUES)


def _verdict(row: dict[str, object], fdr: float) -> tuple[str, str]:
    """What to do with one issue, and why."""
    p, low, high, worth = (float(row[c]) for c in ("p", "worse_low", "worse_high", "benefit"))  # type: ignore[arg-type]
    if not row["trainable"]:
        return "inconclusive", (
            "no score or decision was logged (items.score, items.decision), so no answer can be called right or wrong"
        )
    if np.isnan(worth):
        return "inconclusive", "no label for its items: their error rate is unknown"
    if not row["own"]:
        return "fix", "its answers were filed under another component: no label to train this one on; risk not deducted"
    if np.isnan(p):
        return (
            "inconclusive",
            "too few held-out items with answers of trusted raters to value its labels; risk not deducted",
        )
    sure = f"{row['n_test']:.0f} held-out items, adjusted p {p:.3f}"
    if p <= fdr and low > 0:
        return "exclude", f"training on its labels raises the held-out log loss ({sure})"
    if high < 0:
        return "train", f"training on its labels lowers the held-out log loss ({sure})"
    return "inconclusive", f"training on its labels may help or harm ({sure}); more answers on its items would tell"
