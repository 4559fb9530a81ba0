"""What the labels are worth: evidence, the groups that the labels overrule, and the answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from hfkit.aggregate.choose import own_errors
from hfkit.aggregate.estimate import settled, votes
from hfkit.shared import cluster, cohorts, evidence, intervals, schema
from hfkit.shared.people import who_answered


def overruled(judged: pd.DataFrame, made: pd.DataFrame, *, min_people: int) -> pd.DataFrame:
    """Whose answers does the label go against? One row a group.

    value = share of its answers that differ from the label. Only counted answers on items with two or more. 0..1, lower
    = the labels speak for the group. Bounds (95 %) take the answers of one rater as going together; group "all" first,
    then every `rater.*` and `served.*` group. `n` counts answers. Groups with fewer than `min_people` raters are
    named, not numbered.
    """
    rows = judged[judged["weight"] > 0].merge(
        made[["item_id", "component", "label", "n_answers"]], on=["item_id", "component"], suffixes=("", "_made")
    )  # fmt: skip
    rows = rows[rows["n_answers"] > 1].sort_values("feedback_id")
    rows = rows.assign(differs=(rows["label"] != rows["label_made"]).astype(float), who=who_answered(rows))
    table = [_overruled("all", rows, "")]
    for column in [*schema.cohorts(rows, "rater."), *schema.cohorts(rows, "served.")]:
        people = rows.groupby(column)["who"].nunique()
        note = dict(zip(people.index, cohorts.too_few(people.to_numpy(), min_people, "raters"), strict=True))
        perspective, _, attribute = column.partition(".")
        table += [
            _overruled(str(cohorts.Group(perspective, (attribute,), (str(g),))), part, note[g])
            for g, part in rows.groupby(column, sort=True)
        ]
    return pd.DataFrame(table)


def _overruled(name: str, rows: pd.DataFrame, note: str) -> dict[str, object]:
    if note or rows.empty:
        note = f"{note}: named, not numbered" if note else "no item has two answers"
        return {"group": name, "value": np.nan, "low": np.nan, "high": np.nan, "n": 0, "note": note}
    value, low, high = cluster.mean_interval(rows["differs"].to_numpy(), rows["who"].to_numpy(str))
    low, high = max(low, 0.0) if low == low else low, min(high, 1.0) if high == high else high
    return {"group": name, "value": value, "low": low, "high": high, "n": len(rows), "note": ""}


def flips(judged: pd.DataFrame) -> pd.DataFrame:
    """On which items do the two methods give different labels? One row an item: item_id, component, flips."""
    parts = []
    for component, used in judged[judged["weight"] > 0].groupby("component", sort=True):
        ballots = votes(used.sort_values(["item_id", "feedback_id"]))
        own = own_errors(*ballots.answers, classes=2)[0][:, 1]
        flipped = (ballots.share > 0.5) != (own > 0.5)
        parts.append(pd.DataFrame({"item_id": ballots.items, "component": component, "flips": flipped}))
    return pd.concat(parts, ignore_index=True)


def measure(
    judged: pd.DataFrame, made: pd.DataFrame, methods: pd.DataFrame, items: pd.DataFrame, *, min_people: int,
    max_flips: float,
) -> pd.DataFrame:  # fmt: skip
    """Everything the room measured, in the evidence shape: per component, per channel, per group."""
    rows: list[dict[str, object]] = []
    flipped = flips(judged)
    for component in sorted(judged["component"].unique()):
        here = made[made["component"] == component]
        rows += _component(component, here, flipped[flipped["component"] == component], max_flips)
        rows += [r for m in methods[methods["component"] == component].to_dict("records") for r in _crowd(m, len(here))]
        rows += _reach(component, judged[judged["component"] == component], len(here), items)
    channels = judged["channel"].value_counts().sort_index()
    rows += [_share("channel share", n, len(judged), group=f"channel={c}") for c, n in channels.items()]
    people = judged["rater_kind"].eq("human")
    dropped = int((people & (judged["weight"] == 0)).sum())
    rows.append(_share("dropped answers share", dropped, int(people.sum()), better="lower"))
    for kind, n in judged.loc[~people, "rater_kind"].value_counts().sort_index().items():
        counted = int((judged["weight"] > 0)[judged["rater_kind"] == kind].sum())
        note = "models and programs make no label; the audit page compares them with people" if not counted else ""
        rows.append(_share("judge answers share", int(n), len(judged), group=f"rater_kind={kind}", note=note))
    rows += [
        evidence.row("overruled share", value=r["value"], low=r["low"], high=r["high"], n=r["n"], group=r["group"],
                     better="lower", note=r["note"])
        for r in overruled(judged, made, min_people=min_people).to_dict("records")
    ]  # fmt: skip
    return evidence.table(rows)


def _component(component: str, here: pd.DataFrame, flipped: pd.DataFrame, max_flips: float) -> list[dict[str, object]]:
    n, several = len(here), here[here["n_answers"] > 1]
    decided = int(settled(here).sum())
    mean, low, high = cluster.mean_interval(several["disagreement"].to_numpy())
    note = "" if len(several) else "no item has two answers"
    return [
        _share("events by label share", int(here["label"].sum()), n, component=component, better="none",
               note="labels counted as they are: a rater's error counts as an event, or hides one"),
        _share("decided share", decided, n, component=component),
        evidence.row("disagreement", value=mean, low=low, high=high, n=len(several), component=component,
                     better="lower",
                     note=note or "mean entropy in bits of items with two answers or more"),
        _share("tied share", int(here["tied"].sum()), n, component=component, better="lower",
               note="answers split in half: no rate counts these items"),
        _judged("flip share", int(flipped["flips"].sum()), n, component, max_flips),
    ]  # fmt: skip


def _crowd(m: dict[str, Any], n: int) -> list[dict[str, object]]:
    """The event share with the raters' errors taken out, and those errors."""
    unseen = "" if m["sensitivity"] != 1 else "too few items have two people to see how often people err"
    notes = {"event share": unseen or "raters' errors taken out", "sensitivity": unseen, "specificity": unseen}
    return [
        evidence.row(name if name == "event share" else f"people's {name}", value=m[name], low=m[f"{name} low"],
                     high=m[f"{name} high"], n=n, component=str(m["component"]), note=note,
                     better="none" if name == "event share" else "higher")
        for name, note in notes.items()
    ]  # fmt: skip


def _judged(name: str, k: int, n: int, component: str, most: float) -> dict[str, object]:
    """A share that may be at most `most`: do the labels depend on how answers are combined?"""
    row = _share(name, k, n, component=component, better="lower")
    low, high = (float(row[b]) for b in ("low", "high"))  # type: ignore[arg-type]
    return {**row, "verdict": evidence.judge(low, high, target=most, better="lower"),
            "note": f"labels that differ between majority and dawid_skene, at most {most:g}"}  # fmt: skip


def _reach(component: str, judged: pd.DataFrame, made: int, items: pd.DataFrame) -> list[dict[str, object]]:
    answered, served = judged["item_id"].nunique(), int((items["component"] == component).sum())
    own = judged["item_id"].isin(set(items.loc[items["component"] == component, "item_id"])) & (judged["weight"] > 0)
    reached = judged.loc[own, "item_id"].nunique()
    return [
        _share("labelled share", reached, served, component=component),
        _share("lost items share", answered - made, answered, component=component, better="lower",
               note="items that only flagged raters answered: no label"),
    ]  # fmt: skip


def _share(
    name: str, k: int, n: int, *, component: str = "all", group: str = "all", better: str = "higher", note: str = ""
) -> dict[str, object]:
    low, high = intervals.wilson(k, n)
    if n == 0:
        return evidence.row(name, value=np.nan, n=0, component=component, group=group, better=better,
                            note="nothing to count")  # fmt: skip
    better = "none" if group != "all" else better
    return evidence.row(name, value=k / n, low=float(low), high=float(high), n=n, component=component, group=group,
                        better=better, note=note)  # fmt: skip
