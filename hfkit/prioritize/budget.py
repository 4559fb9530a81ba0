"""What do we train on now (exploit), and whom do we ask about what next (explore)? The budget is people's time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from hfkit.shared import schema
from hfkit.shared.schema import NOT_STATED

DOUBT = 0.1  # a label with p below .05 or above .95 is settled

Floats = npt.NDArray[np.float64]
REASONS = {
    "excluded issue": "its labels harmed the model: ask other people",
    "people disagree": "its answers are split and the label may be either",
    "few answers": "its label may be either: too few answers to tell",
    "near the threshold": "no label, and the score is close to the threshold",
    "under-represented": "no label, and its group is judged less often than it is served",
    "not judged": "no label yet",
}


def gaps(judged: pd.DataFrame, population: pd.DataFrame, family: str) -> pd.DataFrame:
    """Which groups are judged (or judge) less than their share of the population?

    `judged` carries columns such as served.language (`family` "served.") or rater.age ("rater."). Columns cohort
    (with its family), group, share, expected, gap = 1 - share / expected in 0..1 (0 where not under-represented).
    Cohorts the population table does not list, or lists but no row states, are left out. Missing is "not stated".
    """
    parts = []
    for column in schema.cohorts(judged, family):
        wanted = population[population["cohort"] == column.removeprefix(family)]
        if len(wanted) and judged[column].notna().any():
            stated = judged[column].dropna()
            share = wanted["group"].map(stated.value_counts(normalize=True)).fillna(0.0).to_numpy(float)
            expected = wanted["share"].to_numpy(float)
            gap = np.clip(1 - share / np.where(expected > 0, expected, np.nan), 0, 1)
            parts.append(pd.DataFrame({"cohort": column, "group": wanted["group"].to_numpy(), "share": share,
                                       "expected": expected, "gap": np.nan_to_num(gap)}))  # fmt: skip
    columns = ["cohort", "group", "share", "expected", "gap"]
    gaps = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)
    return gaps.sort_values(["gap", "cohort", "group"], ascending=[False, True, True], ignore_index=True)


def candidates(
    items: pd.DataFrame, labels: pd.DataFrame, components: pd.DataFrame, member: pd.DataFrame, excluded: set[str],
    served_gaps: pd.DataFrame,
) -> pd.DataFrame:  # fmt: skip
    """How much would an answer on each item tell us, and why? All served items: priority in 0..1 and the main reason.

    Reasons for a label: it belongs to an excluded issue (one half), or its probability is far from 0 and 1 (doubt,
    1 - |2 p - 1|, times disagreement, and half the doubt times agreement). For an item without a label: closeness of
    score and threshold (1 at the threshold, 0 a quarter away), the gap of its most under-represented group. Several
    reasons add up as 1 - product of (1 - reason).
    """
    frame = items.rename(columns={c: c.replace("cohort.", "served.") for c in schema.cohorts(items)})
    keep = ["item_id", "component", "score", *schema.cohorts(frame, "served.")]
    frame = frame[keep].merge(labels.drop(columns=["label"]), on=["item_id", "component"], how="left")
    frame = frame.merge(member, on=["item_id", "component"], how="left").sort_values("item_id", ignore_index=True)
    labelled = frame["p"].notna()
    doubt = (1 - (2 * frame["p"] - 1).abs()).fillna(0)
    doubt, split = doubt.where(doubt > DOUBT, 0.0), frame["disagreement"].fillna(0)
    threshold = frame["component"].map(components.set_index("component")["threshold"]).astype(float)
    close = (1 - (frame["score"] - threshold).abs() / 0.25).clip(lower=0).fillna(0)
    rare = np.zeros(len(frame))
    for (column, group), gap in served_gaps.set_index(["cohort", "group"])["gap"].items():
        rare = np.maximum(rare, np.where(frame[column].fillna(NOT_STATED) == group, gap, 0.0))
    why = pd.DataFrame({
        "excluded issue": np.where(frame["issue_id"].isin(excluded), 0.5, 0.0),
        "people disagree": doubt * split,
        "few answers": doubt * (1 - split) / 2,
        "near the threshold": np.where(labelled, 0.0, close),
        "under-represented": np.where(labelled, 0.0, rare),
        "not judged": np.where(labelled, 0.0, 0.001),
    })  # fmt: skip
    return frame.assign(priority=1 - (1 - why).prod(axis=1), reason=why.idxmax(axis=1), labelled=labelled)


def queue(listed: pd.DataFrame, rater_gaps: pd.DataFrame, *, size: int) -> pd.DataFrame:
    """Whom do we ask next, and about what? The first `size` candidates worth asking about: priority, then item_id.

    Columns item_id, component, reason, priority, labelled, served.* and ask: the rater group most under-represented
    among those who judged the component so far ("anyone" where none is, or no population is known).
    """
    first = listed[listed["priority"] > 0].sort_values(["priority", "item_id"], ascending=[False, True]).head(size)
    short = rater_gaps[rater_gaps["gap"] > 0].drop_duplicates("component").set_index("component")
    names = (short["cohort"] + "=" + short["group"]).to_dict()
    ask = [names.get(c, "anyone") for c in first["component"]]
    columns = ["item_id", "component", "reason", "priority", "labelled", *schema.cohorts(listed, "served.")]
    return first[columns].assign(ask=ask).reset_index(drop=True)


def split(labels: pd.DataFrame, cost: pd.Series, member: pd.DataFrame, excluded: set[str]) -> pd.DataFrame:
    """What happens to each labelled item? schema.ROWS: every one trains, unless its issue is excluded (weight 0).

    weight = 1 - width of the label's interval, so that an unsure label teaches little; priority = weight times
    (1 + expected cost of the model's decision, where known), higher first.
    """
    frame = labels.assign(cost=cost.fillna(0)).merge(member, on=["item_id", "component"], how="left")
    weight = (1 - (frame["high"] - frame["low"])).clip(0.01, 1)
    out = frame["issue_id"].isin(excluded)
    frame["use"] = np.where(out, "exclude", "exploit")
    frame["weight"] = weight.where(~out, 0.0)
    frame["priority"] = frame["weight"] * (1 + frame["cost"])
    frame = frame.sort_values(["use", "priority", "item_id", "component"], ascending=[True, False, True, True])
    return schema.shape(frame[[c.name for c in schema.ROWS.columns]], schema.ROWS)
