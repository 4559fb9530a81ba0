"""The answer in words, the table of gaps that remain, and the numbers for `dvc metrics`."""

from __future__ import annotations

import math

import pandas as pd

GAP = "calibration in the large"


def _of(evidence: pd.DataFrame, measure: str, view: str) -> pd.DataFrame:
    return evidence[evidence["measure"] == f"{measure} ({view})"]


def summary(evidence: pd.DataFrame, measures: tuple[str, ...] = (), group: str = "all") -> pd.DataFrame:
    """What was measured for one group? One row a component and measure (all measures, or those named).

    Columns: component, measure, all_rows (the serving model on all judged rows), baseline (on the test split),
    candidate, low and high (of the candidate), n (test rows), verdict (of the candidate), note.
    """
    part = evidence[evidence["group"] == group]
    split = part["measure"].str.extract(r"^(.*) \((baseline, all rows|baseline|candidate)\)$")
    part = part.assign(measure=split[0], view=split[1])
    key = ["component", "measure"]
    views = {v: p.drop(columns="view") for v, p in part.groupby("view")}
    old = [
        views[v][[*key, "value"]].rename(columns={"value": name})
        for v, name in (("baseline, all rows", "all_rows"), ("baseline", "baseline")) if v in views
    ]  # fmt: skip
    if "candidate" not in views:
        return pd.DataFrame(columns=[*key, "all_rows", "baseline", "candidate", "low", "high", "n", "verdict", "note"])
    out = views["candidate"].rename(columns={"value": "candidate"})
    for table in old:
        out = out.merge(table, on=key, how="left")
    out = out[[*key, "all_rows", "baseline", "candidate", "low", "high", "n", "verdict", "note"]]
    return out[out["measure"].isin(measures or out["measure"])].reset_index(drop=True)


def gaps(evidence: pd.DataFrame) -> pd.DataFrame:
    """Does a gap remain for one group? Event rate minus mean score of the candidate, by group, widest first.

    Columns: component, group, where (both in one), value, low, high (intervals of all groups hold together), baseline
    (the gap of the serving model on the same rows), n, verdict, note. Undefined groups come last.
    """
    new = _of(evidence, GAP, "candidate")
    old = _of(evidence, GAP, "baseline")[["component", "group", "value"]].rename(columns={"value": "baseline"})
    out = new[new["group"] != "all"].merge(old, on=["component", "group"], how="left")
    order = out["value"].abs().fillna(-1.0)
    where = (out["component"] + ", " + out["group"]).astype("object")
    out = out.assign(order=-order, where=where).sort_values(["order", "component", "group"], kind="stable")
    columns = ["component", "group", "where", "value", "low", "high", "baseline", "n", "verdict", "note"]
    return out[columns].reset_index(drop=True)


def widest(reliability: pd.DataFrame, gaps: pd.DataFrame, most: int = 6) -> pd.DataFrame:
    """The new model's curves of the groups with the widest gaps, those that fail first, each with everyone's.

    `gaps` as the function of this name gives it. Columns of `reliability` and `where` (component and group); of each
    component in it, everyone's curve stands under `model` "everyone", once for every group shown.
    """
    known = gaps[gaps["value"].notna()].assign(late=gaps["verdict"] != "fail").sort_values("late", kind="stable")
    new, parts = reliability[reliability["model"] == "candidate"], []
    for row in known.head(most).itertuples():
        mine = new[new["component"] == row.component]
        for group, model in (("all", "everyone"), (row.group, "group")):
            parts.append(mine[mine["group"] == group].assign(where=row.where, model=model))
    return pd.concat(parts, ignore_index=True) if parts else new.iloc[:0].assign(where="")


def grid(evidence: pd.DataFrame, measures: tuple[str, ...] = ("ECE", GAP), most: int = 24) -> pd.DataFrame:
    """Group by measure at a glance: row (group), column (component and measure), value and verdict of the candidate.

    At most `most` groups: those with a failing measure first, then those with most rows; crossed groups only as far as
    room is left, groups without any value last.
    """
    part = pd.concat([_of(evidence, m, "candidate").assign(short=m) for m in measures])
    part = part[part["group"] != "all"].sort_values(["component", "short"], kind="stable")
    told = part.assign(
        late=part["verdict"] != "fail", untold=part["value"].isna(), crossed=part["group"].str.contains(" & ")
    )
    order = told.groupby("group").agg(late=("late", "min"), untold=("untold", "min"), crossed=("crossed", "min"),
                                      n=("n", "sum"))  # fmt: skip
    order = order.sort_values("n", ascending=False, kind="stable").sort_values(
        ["untold", "late", "crossed"], kind="stable"
    )
    place = {group: i for i, group in enumerate(order.index[:most])}
    shown = part[part["group"].isin(list(place))]
    shown = shown.assign(
        row=shown["group"], column=shown["component"] + ", " + shown["short"], at=shown["group"].map(place)
    )
    return shown.sort_values("at", kind="stable")[["row", "column", "value", "verdict"]].reset_index(drop=True)


def metrics(evidence: pd.DataFrame) -> dict[str, float]:
    """Flat numbers: ece, brier and slope of baseline and candidate a component, and how many groups keep a gap."""
    out: dict[str, float] = {}
    names = {"ece": "ECE", "brier": "Brier score", "slope": "calibration slope"}
    for model in ("baseline", "candidate"):
        for short, measure in names.items():
            part = _of(evidence, measure, model)
            for row in part[part["group"] == "all"].itertuples():
                out[f"{short}_{model}_{row.component}"] = float(row.value)
    table = gaps(evidence)
    for verdict in ("pass", "fail", "cannot tell"):
        out[f"gap_groups_{verdict.replace(' ', '_')}"] = float((table["verdict"] == verdict).sum())
    return out


def answer(evidence: pd.DataFrame) -> str:
    """Does the new score mean what it says, and for whom does a gap remain? One or two plain sentences."""
    new, old = _of(evidence, "ECE", "candidate"), _of(evidence, "ECE", "baseline").set_index(["component", "group"])
    parts = []
    for row in new[new["group"] == "all"].itertuples():
        before = float(old["value"].get((row.component, "all"), math.nan))
        if math.isnan(row.value):
            parts.append(f"{row.component} cannot be assessed ({row.note})")
            continue
        was = f", serving model {before:.3f}" if not math.isnan(before) else ""
        parts.append(f"{row.component} {row.value:.3f}{was} ({_WORD[row.verdict]})")
    if not parts:
        return "Not enough data: no component has judged rows."
    table = gaps(evidence)
    return f"Calibration error of the new score: {'; '.join(parts)}. {_remaining(table)}"


_WORD = {
    "pass": "within target", "fail": "above target", "cannot tell": "not enough data to say whether within target",
    "info": "no target",
}  # fmt: skip


def _remaining(table: pd.DataFrame) -> str:
    failed, unknown = table[table["verdict"] == "fail"], int((table["verdict"] == "cannot tell").sum())
    more = f" For {unknown} of {len(table)} groups there is not enough data to tell." if unknown else ""
    if not len(table):
        return "No groups were declared."
    widest = (failed if len(failed) else table).iloc[0]
    if math.isnan(widest["value"]):
        return f"No group is large enough to be assessed.{more}"
    side = "more" if widest["value"] > 0 else "less"
    others = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
    what = f"A gap remains for {widest['group']}{others}" if len(failed) else (
        f"The widest gap that remains, not settled, is for {widest['group']}")  # fmt: skip
    return (
        f"{what}: the event happens {abs(widest['value']):.3f} {side} often than the score says "
        f"({widest['low']:+.3f} to {widest['high']:+.3f}).{more}"
    )
