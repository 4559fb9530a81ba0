"""What the page says: the answer, what is drawn, and the numbers DVC follows."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hfkit.shared import cohorts, evidence, schema
from hfkit.shared.measures import RATES


def lowest(table: pd.DataFrame, value: str, without: tuple[str, ...] = ()) -> pd.DataFrame:
    """A table by group, the lowest `value` first, rows without a number last; columns `without` stay off the page."""
    order = table.assign(empty=table[value].isna()).sort_values(["empty", value, "component", "group"], kind="stable")
    return order.drop(columns=["empty", *without]).reset_index(drop=True)


def joined(*parts: pd.DataFrame) -> pd.DataFrame:
    """The tables of several questions as one."""
    return pd.concat(parts, ignore_index=True)


def tally(gates: pd.DataFrame) -> pd.DataFrame:
    """How many gates pass, fail or are inconclusive, by component and measure?"""
    counts = gates.groupby(["component", "measure", "verdict"]).size().unstack(fill_value=0)
    return counts.reindex(columns=list(schema.VERDICTS[:3]), fill_value=0).reset_index().rename_axis(columns=None)


def _harm(rows: pd.DataFrame) -> pd.Series:
    """How far a difference lies on the bad side; missing values last."""
    value = rows["value"]
    harm = np.where(rows["better"] == "lower", value, np.where(rows["better"] == "higher", -value, value.abs()))
    return pd.Series(harm, index=rows.index).fillna(-np.inf)


def picture(gates: pd.DataFrame, rows: int = 24) -> pd.DataFrame:
    """The intervals to draw: all gates that fail, then the most harmed ones; column `label` names them."""
    out = gates[gates["value"].notna()]
    out = out.assign(harm=_harm(out), late=out["verdict"] != "fail")
    out = out.sort_values(["late", "harm", "component", "group"], ascending=[True, False, True, True]).head(rows)
    out = out.assign(
        label=out["component"] + ", " + out["group"] + ": " + out["measure"].str.replace(" (candidate)", "")
    )
    return out[["label", "value", "low", "high", "n", "verdict"]].reset_index(drop=True)


def grid(gates: pd.DataFrame, rows: int = 24) -> pd.DataFrame:
    """The gates at a glance, for plots.grid: a row a group (the most harmed first), a column a measure.

    Groups without any number are left out: they are named in the tables.
    """
    table = gates.assign(column=gates["measure"].str.removesuffix(" (candidate)"))
    table["row"] = table["component"] + ": " + table["group"]
    order = table["verdict"].map({"fail": 2.0, schema.INCONCLUSIVE: 1.0}).astype("float64").fillna(0.0)
    table["order"] = order + np.tanh(_harm(table))
    worst = table[table["value"].notna()].groupby("row")["order"].max()
    keep = worst.sort_values(ascending=False, kind="stable").index[:rows]
    return table.set_index("row").loc[keep].reset_index()[["row", "column", "value", "verdict"]]


def by_group(changes: pd.DataFrame, outcomes: pd.DataFrame, rows: int = 40) -> pd.DataFrame:
    """Before and after for each main group: a row a component and group, those who are saved least first.

    Columns component, group, n, points per 1,000 before and after, and the true and false positive rate before and
    after.
    """
    groups = [cohorts.parse(name) for name in outcomes["group"]]
    main = outcomes[np.array([g is not None and len(g.attributes) == 1 for g in groups], bool)]
    out = main[["component", "group", "n", "before", "after", "saving"]]
    out = out.rename(columns={"before": "points before", "after": "points after"})
    for name, short in (("true positive rate", "caught"), ("false positive rate", "false alarms")):
        own = changes.loc[changes["measure"] == name, ["component", "group", "before", "after"]]
        own = own.rename(columns={"before": f"{short} before", "after": f"{short} after"})
        out = out.merge(own, on=["component", "group"], how="left")
    order = out.assign(empty=out["saving"].isna()).sort_values(["empty", "saving", "component", "group"], kind="stable")
    return order.drop(columns=["empty", "saving"]).head(rows).reset_index(drop=True)


def answer(gates: pd.DataFrame, leads: pd.DataFrame) -> str:
    """Is the new model at least as good for everyone? In a few sentences: what fails, for whom harm is proven."""
    if not len(gates):
        return "No group can be compared: nothing is judged, or no test row has a cohort (items.cohort.* or raters.*)."
    counts = gates["verdict"].value_counts()
    ok, fail, unclear = (int(counts.get(v, 0)) for v in schema.VERDICTS[:3])
    if not fail + ok:
        first = (
            "There is not enough data to say whether the new model is as good for everyone: "
            f"all {unclear} comparisons of main groups are inconclusive."
        )
    else:
        first = (
            f"Comparisons of main groups: {len(gates)}, of which {fail} beyond the margin, {ok} within it, "
            f"{unclear} inconclusive."
        )
    worst = evidence.proven_first(gates[gates["verdict"] == "fail"]).head(3)
    return " ".join(
        filter(None, [first, *(evidence.sentence(r) for r in worst.itertuples()), _harms(gates), _leads(leads)])
    )


def _harms(gates: pd.DataFrame) -> str:
    """For whom is harm proven, though it may not exceed the margin?"""
    shown = [
        r
        for r in gates[gates["verdict"] != "fail"].itertuples()
        if evidence.harmful(r.measure, r.low, r.high, r.better)
    ]
    people = list(dict.fromkeys(f"{cohorts.readable(str(r.group))} ({r.component})" for r in shown))
    more = f" and {len(people) - 3} more" if len(people) > 3 else ""
    verb = "The harm is statistically clear but may not exceed the margin for"
    return f"{verb} {', '.join(people[:3])}{more}." if people else ""


def _leads(leads: pd.DataFrame) -> str:
    """How many leads are there, and which comes first?"""
    failed = leads[leads["verdict"] == "fail"]
    if not len(failed):
        return ""
    surest = next(failed.sort_values("q", kind="stable").itertuples())
    return f"{len(failed)} leads ask for a look; the surest: {evidence.sentence(surest)}"


def metrics(gates: pd.DataFrame, leads: pd.DataFrame, facts: pd.DataFrame) -> dict[str, float]:
    """The numbers DVC follows from run to run: verdicts of gates and leads, each rate's widest spread, corrected."""
    out: dict[str, float] = {}
    for name, rows in (("gates", gates), ("leads", leads)):
        counts = rows["verdict"].value_counts()
        out |= {f"{name}_{v}": float(counts.get(v, 0)) for v in schema.VERDICTS[:3]}
    for rate in RATES:
        spreads = facts.loc[facts["measure"] == f"{rate.name} spread (candidate)", "value"].dropna()
        out[f"widest_{rate.name.replace(' ', '_')}_spread"] = float(spreads.max()) if len(spreads) else float("nan")
    return out
