"""What the room says: evidence, metrics, picture data and the sentence."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hfkit.shared import cluster
from hfkit.shared import evidence as ev


def evidence(
    issues: pd.DataFrame, harm: pd.DataFrame, feedback: pd.DataFrame, items: pd.DataFrame
) -> pd.DataFrame:  # fmt: skip
    """The measured statements: how often people contradict the model, each issue's benefit and its training harm.

    `training harm` is a held-out log loss with an issue's labels minus without; its verdict is pass where training on
    the issue helps, fail where the issue is excluded because it harms.
    """
    rows = []
    answers = feedback.merge(items[["item_id", "decision"]], on="item_id")
    answers = answers[answers["label"].notna()].sort_values("feedback_id")
    for component, part in answers.groupby("component"):
        decided = part[part["decision"].notna()]
        value, low, high = cluster.mean_interval(decided["label"] != decided["decision"], decided["item_id"])
        note = "share of labelled answers that say the decision was wrong; flagged raters included"
        rows.append(ev.row("contradicted", component=str(component), value=value, low=low, high=high, n=len(decided),
                           better="lower", verdict="info" if len(decided) else "inconclusive",
                           note=note if len(decided) else "items.decision and items.score are missing"))  # fmt: skip
    for row in issues.to_dict("records"):
        rows.append(ev.row("issue benefit", component=row["component"], group=f"issue={row['issue_id']}",
                           value=row["benefit"], low=row["low"], high=row["high"], n=row["n_items"], better="none",
                           verdict="info" if row["benefit"] == row["benefit"] else "inconclusive",
                           note="points saved per 1,000 served items if all its errors were gone"
                           if row["benefit"] == row["benefit"] else row["note"]))  # fmt: skip
    verdict = {"exclude": "fail", "train": "pass"}
    for row in issues.merge(harm.drop(columns=["component", "risk"]), on="issue_id").to_dict("records"):
        rows.append(
            ev.row(
                "training harm",
                component=row["component"],
                group=f"issue={row['issue_id']}",
                value=row["worse"],
                low=row["worse_low"],
                high=row["worse_high"],
                n=row["n_test"],
                better="lower",
                verdict=verdict.get(row["verdict"], "inconclusive"),
                note=row["note"],
            )
        )
    return ev.table(rows)


def metrics(issues: pd.DataFrame, rows: pd.DataFrame, queue: pd.DataFrame) -> dict[str, float]:
    """The numbers to compare between runs."""
    use, keep = rows["use"].value_counts(), issues[issues["verdict"] != "exclude"]
    return {
        "issues": len(issues), "issues_excluded": len(issues) - len(keep),
        "benefit": float(keep["benefit"].sum(min_count=1)),
        "value_per_day_first": float(issues["value_per_day"].iloc[0]) if len(issues) else np.nan,
        **{f"rows_{u}": int(use.get(u, 0)) for u in ("exploit", "exclude")}, "queue": len(queue),
    }  # fmt: skip


def curve(issues: pd.DataFrame) -> pd.DataFrame:
    """The issues in order with what each is worth: rank, issue, value_per_day, benefit (value), low, high."""
    columns = {"rank": "rank", "issue_id": "issue", "value_per_day": "value_per_day", "benefit": "value"}
    return issues.sort_values("rank")[[*columns, "low", "high"]].rename(columns=columns)


def gained(issues: pd.DataFrame) -> pd.DataFrame:
    """How much have we saved after how many days, when issues are fixed in order? Columns days, saved (points).

    Excluded issues and those of unknown benefit are left out; benefits are assumed to add up.

    >>> one = pd.DataFrame({"rank": [1], "verdict": ["train"], "effort_days": [2.0], "benefit": [5.0]})
    >>> gained(one).values.tolist()
    [[0.0, 0.0], [2.0, 5.0]]
    """
    todo = issues[(issues["verdict"] != "exclude") & issues["benefit"].notna()].sort_values("rank")
    return pd.DataFrame({"days": np.cumsum([0.0, *todo["effort_days"]]), "saved": np.cumsum([0.0, *todo["benefit"]])})


def answer(issues: pd.DataFrame, rows: pd.DataFrame, queue: pd.DataFrame, beyond: int) -> str:
    """What to fix first, what is left out of training, whom to ask, and what people have no time for (`beyond`)."""
    out = int((issues["verdict"] == "exclude").sum())
    priced = issues[(issues["verdict"] != "exclude") & issues["benefit"].notna()].sort_values("rank")
    if priced.empty:
        why = next(iter(issues.loc[issues["verdict"] != "exclude", "note"]), "") or "no issue has a known benefit"
        first = f"There is not enough data to say what to fix first: {why}."
    else:
        top = priced.iloc[0]
        first = (f"Fix first: {top['issue_id']} ({top['title']}). Its errors cost about {top['benefit']:.1f} points "
                 f"per 1,000 served items ({top['low']:.1f} to {top['high']:.1f}), {top['value_per_day']:.1f} a day of "
                 "effort.")  # fmt: skip
    excluded = int((rows["use"] == "exclude").sum())
    train = f" {len(rows) - excluded:,} labelled items train the new model"
    train += (
        f"; {excluded:,} are left out, of {out} of {len(issues)} issues whose labels harmed it."
        if out
        else ", all of them."
    )
    ask = f" Ask people about {len(queue):,} items next." if len(queue) else " The queue is empty."
    more = f" {beyond:,} more would be worth asking about, beyond what people have time for." if beyond else ""
    return first + train + ask + more
