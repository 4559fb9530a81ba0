"""What do people's answers on a sample and a judge's on everything say together? Prediction-powered inference.

A judge (a model or a program) may be wrong in its own way: its answers never stand alone. Where people answered too,
they show how far it is off, and that is taken out; what is left of it narrows the interval, or nothing does.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from hfkit.shared import cluster
from hfkit.shared.costs import PER, Costs
from hfkit.shared.people import last_of_judges, who_was_served

Floats = npt.NDArray[np.float64]
Z95 = 1.959963984540054
FEWEST = 30  # items that people and the judge both answered
COLUMNS = ["component", "judge", "measure", "n_people", "n_judged", "people", "people_low", "people_high", "value",
           "low", "high", "weight", "saved", "note"]  # fmt: skip


class Powered(NamedTuple):
    """The estimate with its bounds, and the weight that the judge got, in 0..1 (0 = it says nothing)."""

    value: float
    low: float
    high: float
    weight: float


def powered_mean(
    people: npt.ArrayLike, judge: npt.ArrayLike, elsewhere: npt.ArrayLike, *clusters: npt.ArrayLike
) -> Powered:
    """What is the mean of what people would say, from a sample they answered and a judge's answers everywhere?

    `people` and `judge` (n) are about the same items, `elsewhere` (N) is the judge's on other items from the same
    population; `clusters` (n) go together, those of `elsewhere` are taken as independent. The mean of people plus
    weight times (judge elsewhere less judge here), the weight the one with the least variance, Cov / Var / (1 + n / N),
    within 0..1. 95 %, Student's t. It assumes that the items people answered are like the others. Fewer than 2: NaN.
    PPI++: Angelopoulos, Duchi and Zrnic (2023), arXiv 2311.01453.

    >>> p = powered_mean([1, 0, 1, 0, 1, 1], [1, 0, 1, 0, 1, 0], [1, 0, 0, 0] * 25)
    >>> round(p.value, 3), round(p.weight, 3)
    (0.466, 0.801)
    """
    y, f, other = (np.asarray(a, float) for a in (people, judge, elsewhere))
    n, m = len(y), len(other)
    if min(n, m) < 2:
        return Powered(math.nan, math.nan, math.nan, math.nan)
    spread = float(np.r_[f, other].var(ddof=1))
    weight = float(np.cov(y, f, ddof=0)[0, 1]) / (spread * (1 + n / m)) if spread > 0 else 0.0
    weight = min(max(weight, 0.0), 1.0)
    rest = y - weight * f
    mean, low, high = cluster.mean_interval(rest, *clusters)
    shift = weight * float(other.mean())
    half = math.hypot((high - low) / 2, weight * Z95 * math.sqrt(float(other.var(ddof=1)) / m))
    return Powered(mean + shift, mean + shift - half, mean + shift + half, weight)


def helped_by_judges(judged: pd.DataFrame, components: pd.DataFrame) -> pd.DataFrame:
    """Event share and cost of the decisions of each component, from people alone and helped by each judge.

    One row a component, judge and measure ("event share"; "cost per 1,000" of the logged score at its threshold, where
    there is one). people: what people's answers alone say (mean share of people by item, bounds clustered by the person
    served); value: helped by the judge. saved: how many more items people would have had to answer for the same
    precision; 0 where the judge brings nothing. People's weights are those of `judged`; a judge's last answer counts.
    """
    human = judged[judged["rater_kind"].eq("human") & (judged["weight"] > 0)]
    machine = judged[judged["rater_kind"] != "human"]
    w = human["weight"]
    sums = human.assign(k=w * human["label"], w=w).groupby(["component", "item_id"])[["k", "w"]].sum()
    truth = (sums["k"] / sums["w"]).rename("y").reset_index()
    last = last_of_judges(machine)
    about = judged.sort_values("feedback_id").drop_duplicates(["component", "item_id"])
    about = about[["component", "item_id", "unit_id", "score"]]
    rows: list[dict[str, object]] = []
    for (component, judge), spoken in last.groupby(["component", "judge"], sort=True):
        declared = components[components["component"] == component]
        table = about[about["component"] == component].merge(truth, on=["component", "item_id"], how="left")
        table = table.merge(spoken[["item_id", "label"]].rename(columns={"label": "f"}), on="item_id", how="left")
        table = table[table["y"].notna() | table["f"].notna()].sort_values("item_id")
        place = {"component": str(component), "judge": str(judge)}
        rows.append(place | _compared("event share", table, table["y"].to_numpy(float), table["f"].to_numpy(float)))
        if len(declared) and table["score"].notna().any():
            costs = Costs(*(float(declared[c].iloc[0]) for c in ("cost_false_alarm", "cost_miss")))
            scored = table[table["score"].notna()]
            acted = scored["score"].to_numpy(float) >= float(declared["threshold"].iloc[0])
            y, f = (PER * np.where(acted, (1 - v) * costs.false_alarm, v * costs.miss)
                    for v in (scored["y"].to_numpy(float), scored["f"].to_numpy(float)))  # fmt: skip
            rows.append(place | _compared("cost per 1,000", scored, y, f))
    return pd.DataFrame(rows, columns=COLUMNS)


def _compared(measure: str, table: pd.DataFrame, y: Floats, f: Floats) -> dict[str, object]:
    served = cluster.codes(who_was_served(table).to_numpy(str))
    heard, both, alone = ~np.isnan(y), ~np.isnan(y) & ~np.isnan(f), np.isnan(y) & ~np.isnan(f)
    people = cluster.mean_interval(y[heard], served[heard])
    out: dict[str, object] = dict(zip(("people", "people_low", "people_high"), people, strict=True))
    out |= {"measure": measure, "n_people": int(heard.sum()), "n_judged": int(alone.sum())}
    estimate, saved, note = (
        Powered(*people, 0.0),
        0.0,
        f"fewer than {FEWEST} items that both, or the judge alone, answered",
    )
    if both.sum() >= FEWEST and alone.sum() >= FEWEST:
        helped = powered_mean(y[both], f[both], f[alone], served[both])
        before, after = people[2] - people[1], helped.high - helped.low
        note = "the judge saves nothing: people's answers alone are as sure"
        if after < before:
            estimate, saved = helped, float(heard.sum()) * ((before / after) ** 2 - 1)
            note = f"saves about {saved:,.0f} items answered by people"
    return out | estimate._asdict() | {"saved": saved, "note": note}
