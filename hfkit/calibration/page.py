"""What the page says: the answer, the tables in the order to read them, and the numbers DVC follows."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from hfkit.calibration.room import ECE, GAP
from hfkit.calibration.rows import VIEWS
from hfkit.shared import cohorts, measures, schema
from hfkit.shared import evidence as statements

KEY = ["component", "group", "measure"]
COLUMNS = [*KEY, "all_rows", "baseline", "candidate", "low", "high", "n", "verdict", "note"]
FOLLOWED = {ECE: "ece", "Brier score": "brier", "calibration slope": "slope"}
WORDS = {
    "pass": "within the target",
    "fail": "above the target",
    schema.INCONCLUSIVE: "inconclusive against the target",
}


def _compared(evidence: pd.DataFrame) -> pd.DataFrame:
    """The candidate's statements beside the baseline's values: one row a component, group and measure.

    Columns: component, group, measure (without its view), all_rows (the baseline on all judged rows), baseline (on the
    test split), candidate with its bounds low and high, n (test rows), verdict, note and better of the candidate; parts
    is the number of attributes the group has (0: everyone, or a whole attribute).
    """
    names = evidence["measure"].map(measures.read)
    groups = evidence["group"].map(cohorts.parse)
    table = evidence.assign(measure=[n.measure.name for n in names], view=[n.model for n in names],
                            parts=[len(g.attributes) if g else 0 for g in groups])  # fmt: skip
    out = table[table["view"] == "candidate"].rename(columns={"value": "candidate"})
    for view, column in ((VIEWS[0].name, "all_rows"), (VIEWS[1].name, "baseline")):
        old = table.loc[table["view"] == view, [*KEY, "value"]].rename(columns={"value": column})
        out = out.merge(old, on=KEY, how="left")
    return out[[*COLUMNS, "better", "parts"]]


def headline(evidence: pd.DataFrame) -> pd.DataFrame:
    """Does the score mean what it says for everyone? The measures with a target, of both models.

    Columns: component, measure, all_rows (the baseline on all judged rows), baseline (on the test split), candidate
    with its bounds low and high, n (test rows), verdict and note of the candidate.
    """
    table = _compared(evidence)
    rows = table["measure"].isin([ECE, GAP]) & (table["group"] == cohorts.ALL)
    return table.loc[rows, COLUMNS].drop(columns="group").reset_index(drop=True)


def details(evidence: pd.DataFrame) -> pd.DataFrame:
    """What else was measured of everyone? Columns as `headline`, without a verdict."""
    table = _compared(evidence)
    rows = ~table["measure"].isin([ECE, GAP]) & (table["group"] == cohorts.ALL)
    return table.loc[rows, COLUMNS].drop(columns=["group", "verdict"]).reset_index(drop=True)


def gates(evidence: pd.DataFrame) -> pd.DataFrame:
    """Does the new score mean what it says for each main group? Columns as `headline`, and group, without all_rows.

    What is proven stands first, then by size; those without an interval last.
    """
    table = _compared(evidence)
    return _ordered(table[table["measure"].isin([ECE, GAP]) & (table["parts"] == 1)]).drop(columns="all_rows")


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    """Rows as `_compared` gives them: what is proven first, then by size, without an interval last."""
    rows = statements.proven_first(table.rename(columns={"candidate": "value"}))
    return rows.rename(columns={"value": "candidate"})[COLUMNS]


def leads(evidence: pd.DataFrame) -> pd.DataFrame:
    """The gap (event rate minus mean score) of each crossed group: those clearly off 0 first, then by size.

    Columns as `headline`, and group, less measure and verdict; those without an interval stand last.
    """
    table = _compared(evidence)
    rows = table[(table["measure"] == GAP) & (table["parts"] > 1)]
    return _ordered(rows).drop(columns=["measure", "verdict"])


def widest(reliability: pd.DataFrame, gates: pd.DataFrame, *, most: int = 6) -> pd.DataFrame:
    """The new model's curves of the main groups with the widest gaps, those that fail first, each with everyone's.

    `gates` as the function of this name gives it. Columns of `reliability` and `where` (component and group); of each
    component in it, everyone's curve stands under `model` "everyone", once for every group in it.
    """
    first = gates[(gates["measure"] == GAP) & gates["candidate"].notna()].head(most)
    new, parts = reliability[reliability["model"] == "candidate"], []
    for row in first.itertuples():
        mine, where = new[new["component"] == row.component], f"{row.component}, {row.group}"
        for group, model in ((cohorts.ALL, "everyone"), (row.group, "group")):
            parts.append(mine[mine["group"] == group].assign(where=where, model=model))
    return pd.concat(parts, ignore_index=True) if parts else new.iloc[:0].assign(where="")


def curve(reliability: pd.DataFrame) -> pd.DataFrame:
    """The reliability curve of everyone, for `dvc plots`: component, model, mean_score, event_rate."""
    rows = reliability[(reliability["group"] == cohorts.ALL) & reliability["event_rate"].notna()]
    return rows[["component", "model", "mean_score", "event_rate"]].reset_index(drop=True)


def metrics(evidence: pd.DataFrame) -> dict[str, float]:
    """Flat numbers: ECE, Brier score and slope of both models for each component, and the verdicts of main groups."""
    table = _compared(evidence)
    rows = table[table["measure"].isin(FOLLOWED) & (table["group"] == cohorts.ALL)].itertuples()
    out = {f"{FOLLOWED[r.measure]}_{m}_{r.component}": float(getattr(r, m)) for r in rows for m in measures.MODELS}
    counts = gates(evidence)["verdict"].value_counts()
    return out | {f"groups_{v}": float(counts.get(v, 0)) for v in schema.VERDICTS[:3]}


def answer(evidence: pd.DataFrame) -> str:
    """Does the new score mean what it says, and for whom does a gap remain? A few plain sentences."""
    table = headline(evidence)
    errors = [r for r in table.itertuples() if r.measure == ECE]
    if all(math.isnan(r.candidate) for r in errors):
        reasons = "; ".join(f"{r.component}: {r.note}" for r in errors) or "there is no component"
        return f"Whether the new score means what it says cannot be assessed ({reasons})."
    first = f"Calibration error of the new score: {'; '.join(_component(r) for r in errors)}."
    return " ".join(filter(None, [first, _unlogged(evidence), _remaining(gates(evidence))]))


def _component(row: Any) -> str:
    """The calibration error of one component before and after, and whether it meets the target."""
    if math.isnan(row.candidate):
        return f"{row.component} cannot be assessed ({row.note})"
    before = "" if math.isnan(row.baseline) else f", baseline {row.baseline:.3f}"
    return f"{row.component} {row.candidate:.3f}{before} ({WORDS[row.verdict]})"


def _unlogged(evidence: pd.DataFrame) -> str:
    """What the baseline is where no score was logged."""
    rows = evidence[(evidence["measure"] == f"{ECE} ({VIEWS[0].name})") & (evidence["group"] == cohorts.ALL)]
    names = rows.loc[rows["note"] == VIEWS[0].without, "component"].tolist()
    return f"No score was logged for {', '.join(names)}: the baseline there is the base rate." if names else ""


def _remaining(table: pd.DataFrame) -> str:
    """For which main groups does a gap remain, and for which is one clear that may not exceed the target?"""
    rows = table[table["measure"] == GAP]
    if not len(rows):
        return "No groups were declared."
    counts = rows["verdict"].value_counts()
    ok, fail, unclear = (int(counts.get(v, 0)) for v in schema.VERDICTS[:3])
    tally = (
        f"Gaps of main groups: {len(rows)}, of which {fail} beyond the target, {ok} within it, {unclear} inconclusive."
    )
    if not ok + fail:
        tally = (
            f"There is not enough data to say whether a gap remains for a main group: all {unclear} are inconclusive."
        )
    clear = rows[(rows["verdict"] == schema.INCONCLUSIVE) & ((rows["low"] > 0) | (rows["high"] < 0))]
    places = [f"{cohorts.readable(r.group)} ({r.component})" for r in clear.head(3).itertuples()]
    more = f" and {len(clear) - 3} more" if len(clear) > 3 else ""
    doubt = f"A gap is statistically clear but may not exceed the target for {', '.join(places)}{more}."
    return " ".join([tally, *([_gap(next(rows.itertuples()))] if fail else []), *([doubt] if places else [])])


def _gap(row: Any) -> str:
    """The widest gap in words."""
    side = "more" if row.candidate > 0 else "less"
    size, low, high = (100 * float(v) for v in (row.candidate, row.low, row.high))
    return (
        f"The widest: for {cohorts.readable(row.group)} ({row.component}) the event happens {abs(size):.0f} percentage "
        f"points {side} often than the score says ({low:+.0f} to {high:+.0f})."
    )
