"""What the room says: the answer, the table of verdicts, what is drawn, and the numbers DVC follows."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hfkit.fairness.rows import MEASURES
from hfkit.shared import schema


def verdicts(evidence: pd.DataFrame, model: str = "candidate") -> pd.DataFrame:
    """What must a person look at? Judged statements about one model; the candidate's are all but the baseline's.

    Worst first: by verdict (fail, cannot tell, pass), then by how far the estimate lies on the bad side.
    """
    judged = evidence[evidence["verdict"] != "info"]
    before = judged["measure"].str.endswith("(baseline)")
    out = judged[before if model == "baseline" else ~before].copy()
    rank = {"fail": 0, "cannot tell": 1, "pass": 2}
    out["rank"] = out["verdict"].map(rank)
    out["harm"] = _harm(out)
    out = out.sort_values(["rank", "harm", "measure", "component", "group"], ascending=[True, False, True, True, True])
    return out.drop(columns=["rank", "harm", "better"]).reset_index(drop=True)


def _harm(evidence: pd.DataFrame) -> pd.Series:
    """How far a difference lies on the bad side; missing values last."""
    value = evidence["value"]
    harm = np.where(evidence["better"] == "lower", value, np.where(evidence["better"] == "higher", -value, value.abs()))
    return pd.Series(harm, index=evidence.index).fillna(-np.inf)


def lowest(table: pd.DataFrame, value: str, without: tuple[str, ...] = ()) -> pd.DataFrame:
    """A table by group, the lowest `value` first, failures before all others and rows without a number last.

    Columns `without` stay in the data and off the page.
    """
    failed = table["verdict"].ne("fail") if "verdict" in table else pd.Series(True, index=table.index)
    order = table.assign(last=table[value].isna() & failed, failed=failed)
    order = order.sort_values(["last", "failed", value, "component", "group"], kind="stable")
    return order.drop(columns=["last", "failed", *without]).reset_index(drop=True)


def joined(*parts: pd.DataFrame) -> pd.DataFrame:
    """The evidence of several questions as one table."""
    return pd.concat(parts, ignore_index=True)


def tally(evidence: pd.DataFrame) -> pd.DataFrame:
    """How many statements pass, fail or cannot be told, by component and measure? Judged measures only."""
    judged = evidence[evidence["verdict"] != "info"]
    counts = judged.groupby(["component", "measure", "verdict"]).size().unstack(fill_value=0)
    return counts.reindex(columns=list(schema.VERDICTS[:3]), fill_value=0).reset_index().rename_axis(columns=None)


def drawn(evidence: pd.DataFrame, measure: str, rows: int = 24) -> pd.DataFrame:
    """The intervals of one measure, all groups of all components, the most harmed first; column `label` names them."""
    out = evidence[evidence["measure"] == measure].copy()
    out["harm"] = _harm(out)
    out = out.sort_values(["harm", "component", "group"], ascending=[False, True, True]).head(rows)
    several = out["component"].nunique() > 1
    out["label"] = out["component"] + ": " + out["group"] if several else out["group"]
    return out[["label", "value", "low", "high", "n", "verdict"]].reset_index(drop=True)


def grid(evidence: pd.DataFrame, rows: int = 24) -> pd.DataFrame:
    """Gaps of the candidate at a glance, for plots.grid: a row a group (the most harmed first), a column a measure.

    Groups without any number are left out: they are named in the tables.
    """
    gaps = evidence[evidence["measure"].str.endswith(" gap (candidate)")].copy()
    gaps["column"] = gaps["measure"].str.removesuffix(" gap (candidate)")
    gaps["row"] = gaps["component"] + ": " + gaps["group"]
    gaps["order"] = gaps["verdict"].map({"fail": 2.0, "cannot tell": 1.0}).fillna(0.0) + np.tanh(_harm(gaps))
    worst = gaps[gaps["value"].notna() & (gaps["verdict"] != "info")].groupby("row")["order"].max()
    keep = worst.sort_values(ascending=False, kind="stable").index[:rows]
    found = gaps.set_index("row").loc[keep].reset_index()
    return found[["row", "column", "value", "verdict"]]


def answer(evidence: pd.DataFrame, *, margin: float) -> str:
    """Is the new model at least as good for everyone? In a sentence or two."""
    gaps = evidence[evidence["measure"].str.endswith(" gap (candidate)") & (evidence["verdict"] != "info")]
    changes = evidence[evidence["measure"].str.endswith("change") & (evidence["verdict"] == "fail")]
    if not (gaps["verdict"] != "cannot tell").any() and changes.empty:
        why = gaps["note"].iloc[0] if len(gaps) else "no measure is judged"
        return f"Not enough data to assess whether the new model is as good for everyone: {why}."
    found = gaps["verdict"].value_counts()
    fail, ok, unknown = (int(found.get(v, 0)) for v in ("fail", "pass", "cannot tell"))
    few = int(gaps["value"].isna().sum())
    first = f"Of {len(gaps)} gaps between a group and everyone else, {fail} lie beyond the margin of {margin:g}, "
    first += f"{ok} within, {unknown} cannot be told yet" + (f" ({few} on too few people to show)." if few else ".")
    if fail:
        worst = verdicts(gaps).iloc[0]
        name = str(worst["measure"]).removesuffix(" gap (candidate)")
        first += f" Widest: {name} of {worst['group']} ({worst['component']}), {worst['value']:+.2f}."
    heard = evidence[evidence["measure"].str.startswith("share in training") & (evidence["verdict"] == "fail")]
    if len(heard):
        who = list(dict.fromkeys(heard["group"]))
        first += f" Learned from less than its share of the people served: {', '.join(who[:3])}"
        first += f" and {len(who) - 3} more." if len(who) > 3 else "."
    if changes.empty:
        return f"{first} Against the serving model, no group is shown to get worse beyond the margin.{_shown(evidence)}"
    return f"{first} Against the serving model, it gets worse beyond the margin for {_named(changes)}."


def _shown(evidence: pd.DataFrame) -> str:
    """For whom is it shown to get worse, though not whether beyond the margin?"""
    moved = evidence[evidence["measure"].str.endswith(" change") & (evidence["verdict"] == "cannot tell")]
    worse = moved[
        ((moved["better"] == "lower") & (moved["low"] > 0)) | ((moved["better"] == "higher") & (moved["high"] < 0))
    ]
    return f" It is shown to get worse, whether by more is not settled, for {_named(worse)}." if len(worse) else ""


def _named(changes: pd.DataFrame) -> str:
    """The three largest changes in words, and how many more there are."""
    worse = changes.sort_values("value", key=lambda v: -v.abs(), kind="stable").head(3)
    named = [f"{r.group} ({r.component}: {r.measure} {r.value:+.2f})" for r in worse.itertuples()]
    return ", ".join(named) + (f" and {len(changes) - 3} more" if len(changes) > 3 else "")


def metrics(evidence: pd.DataFrame) -> dict[str, float]:
    """The numbers DVC follows from run to run: counts of verdicts, the widest corrected spread of each measure."""
    out: dict[str, float] = {}
    for part, ending in (
        ("candidate_gaps", " gap (candidate)"),
        ("baseline_gaps", " gap (baseline)"),
        ("changes", "change"),
    ):
        about = evidence.loc[evidence["measure"].str.endswith(ending), "verdict"].value_counts()
        out |= {f"{part}_{v.replace(' ', '_')}": float(about.get(v, 0)) for v in schema.VERDICTS[:3]}
    for measure in MEASURES:
        spreads = evidence.loc[evidence["measure"] == f"{measure} spread (candidate)", "value"].dropna()
        out[f"widest_{measure.replace(' ', '_')}_spread"] = float(spreads.max()) if len(spreads) else float("nan")
    return out
