"""Models and programs that judge, as instruments: how well does each say what people say?

People are the truth here. Every judge is compared with the majority of people on the items that both answered, one vote
a person; an item on which people split in half says nothing about a judge.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from hfkit.shared import cohorts, evidence, intervals, schema, stats
from hfkit.shared.people import last_of_judges, who_answered

COLUMNS = [
    "judge", "kind", "component", "group", "items", "people", "agreement", "low", "high", "kappa", "kappa_low",
    "kappa_high", "sensitivity", "sensitivity_low", "sensitivity_high", "specificity", "specificity_low",
    "specificity_high", "shift", "shift_low", "shift_high", "note",
]  # fmt: skip
FEWEST = 10  # items: fewer carry no interval worth reading
RATES = ("sensitivity", "specificity")


def judges(
    feedback: pd.DataFrame, items: pd.DataFrame, *, min_people: int, rng: np.random.Generator, n_boot: int
) -> pd.DataFrame:
    """One row a judge, component and group of people served ("all" first).

    items: answered by the judge and by people; people: who answered them. agreement: share of items on which the judge
    says what most people say (Wilson's interval). kappa: the same beyond chance (Cohen 1960; items resampled).
    sensitivity and specificity: the share found of the items where most people see the event, and of the others. shift:
    agreement on the later half of these items less that on the earlier half (Newcombe 1998), drift where it excludes 0.
    A judge without an id is its channel. Groups of fewer than `min_people` people, and fewer than FEWEST items, have no
    number and say so.
    """
    machine, rows = beside_people(feedback, items)
    if machine.empty:
        return pd.DataFrame(columns=COLUMNS)
    people = feedback[feedback["label"].notna() & feedback["rater_kind"].eq("human")]
    out = []
    for (judge, kind, component), _ in machine.groupby(["judge", "rater_kind", "component"], sort=True):
        mine = rows[(rows["judge"] == judge) & (rows["component"] == component)]
        first = {"judge": judge, "kind": kind, "component": component}
        out.append(first | _compared("all", mine, people, min_people, rng, n_boot))
        for column in schema.cohorts(items):
            groups = cohorts.words(mine[column]) if len(mine) else pd.Series(dtype="str")
            for group, part in mine.groupby(groups, sort=True):
                name = str(cohorts.Group("served", (column.removeprefix("cohort."),), (str(group),)))
                out.append(first | _compared(name, part, people, min_people, rng, n_boot))
    return pd.DataFrame(out, columns=COLUMNS)


def beside_people(feedback: pd.DataFrame, items: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The last answer of each judge on each item; and those on items that people answered, with truth and the item."""
    labelled = feedback[feedback["label"].notna()]
    machine = labelled[labelled["rater_kind"] != "human"]
    machine = last_of_judges(machine)
    truth = _truth(labelled[labelled["rater_kind"] == "human"])
    both = machine.drop(columns=["model_version"], errors="ignore").merge(truth, on=["component", "item_id"])
    return machine, both.merge(items, on="item_id", suffixes=("", "_of"))


def shares_of_people(people: pd.DataFrame) -> pd.DataFrame:
    """What share of people sees the event on each item, one vote a person? component, item_id, label."""
    named = people.assign(who=who_answered(people))
    votes = named.groupby(["component", "item_id", "who"], as_index=False)["label"].mean()
    return votes.groupby(["component", "item_id"], as_index=False)["label"].mean()


def _truth(people: pd.DataFrame) -> pd.DataFrame:
    """What most people say of each item; items on which they split in half are left out."""
    share = shares_of_people(people)
    clear = share[share["label"] != 0.5]
    return clear.assign(truth=(clear["label"] > 0.5).astype(float)).drop(columns="label")


def _compared(
    group: str, rows: pd.DataFrame, people: pd.DataFrame, min_people: int, rng: np.random.Generator, n_boot: int
) -> dict[str, object]:
    heard = people[people["item_id"].isin(rows["item_id"])]
    n = heard["rater_id"].nunique()
    few = f"fewer than {min_people} people" if 0 < n < min_people else ""
    if few or len(rows) < FEWEST:
        note = f"{few}: named, not numbered" if few else f"fewer than {FEWEST} items that people answered too"
        return {"group": group, "items": 0 if few else len(rows), "people": 0 if few else n, "note": note}
    event, says = rows["truth"].to_numpy(float) == 1, rows["label"].to_numpy(float) == 1
    out: dict[str, object] = {"group": group, "items": len(rows), "people": n, "note": ""}
    out |= _rate("agreement", "", event == says)
    out |= _rate("sensitivity", "sensitivity_", says[event]) | _rate("specificity", "specificity_", ~says[~event])
    value, low, high = kappa(event, says, rng=rng, n_boot=n_boot)
    out |= {"kappa": value, "kappa_low": low, "kappa_high": high}
    return out | _drift(rows, event == says)


def _rate(name: str, prefix: str, hits: npt.NDArray[np.bool_]) -> dict[str, object]:
    if not len(hits):
        return {name: np.nan, f"{prefix}low": np.nan, f"{prefix}high": np.nan}
    low, high = intervals.wilson(hits.sum(), len(hits))
    return {name: float(hits.mean()), f"{prefix}low": float(low), f"{prefix}high": float(high)}


def kappa(
    one: npt.ArrayLike, other: npt.ArrayLike, *, rng: np.random.Generator, n_boot: int
) -> tuple[float, float, float]:
    """How far do two yes-or-no answers agree beyond chance? (kappa, low, high): 1 always, 0 as by chance.

    Cohen (1960), Educational and Psychological Measurement 20:37; percentile bootstrap over items. NaN where both give
    one and the same answer throughout.

    >>> kappa([1, 1, 0, 0], [1, 0, 0, 0], rng=np.random.default_rng(0), n_boot=100)[0]
    0.5
    """
    a, b = np.asarray(one, bool), np.asarray(other, bool)
    counts = np.array([(a & b).sum(), (a & ~b).sum(), (~a & b).sum(), (~a & ~b).sum()], float)
    draws = rng.multinomial(len(a), counts / len(a), size=n_boot).astype(float)
    low, high = stats.percentile_interval(_kappa(draws), units=len(a))
    return float(_kappa(counts[None])[0]), float(low), float(high)


def _kappa(counts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    n = counts.sum(axis=1)
    agree = (counts[:, 0] + counts[:, 3]) / n
    first, second = (counts[:, 0] + counts[:, 1]) / n, (counts[:, 0] + counts[:, 2]) / n
    chance = first * second + (1 - first) * (1 - second)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(chance < 1, (agree - chance) / (1 - chance), np.nan)


def _drift(rows: pd.DataFrame, right: npt.NDArray[np.bool_]) -> dict[str, object]:
    dated = rows["created_at"].notna().to_numpy()
    order = np.argsort(rows["created_at"].to_numpy()[dated], kind="stable")
    hits = right[dated][order]
    half = len(hits) // 2
    if half < FEWEST:
        return {"shift": np.nan, "shift_low": np.nan, "shift_high": np.nan}
    early, late = hits[:half], hits[half:]
    value, low, high = intervals.newcombe(late.sum(), len(late), early.sum(), len(early))
    return {"shift": float(value), "shift_low": float(low), "shift_high": float(high)}


def judge_rows(compared: pd.DataFrame) -> list[dict[str, object]]:
    """The comparison with everyone, as evidence: information, a judge gates nothing by itself."""
    rows = []
    for r in compared[compared["group"] == "all"].to_dict("records"):
        for measure, name, prefix in (("judge agreement", "agreement", ""), ("judge kappa", "kappa", "kappa_"),
                                      *((f"judge {n}", n, f"{n}_") for n in RATES)):  # fmt: skip
            rows.append(evidence.row(measure, component=str(r["component"]), group=f"judge={r['judge']}",
                                     value=r[name], low=r[f"{prefix}low"], high=r[f"{prefix}high"], n=int(r["items"]),
                                     better="higher", note=str(r["note"])))  # fmt: skip
    return rows
