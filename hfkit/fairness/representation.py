"""Representation: whose feedback is heard, and whose does the new model learn from, against the people served?

Shares of groups at three stages: served, in the feedback, in training. A ratio of 1 is a group's own share among the
people served, below 1 it counts less than it is served.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hfkit.fairness.comparison import NOT_CLUSTERED
from hfkit.fairness.perspective import PEOPLE, Bools, Floats, person_served
from hfkit.shared import cluster, cohorts, evidence, intervals, schema
from hfkit.shared.cohorts import Codes, Cohort
from hfkit.shared.measures import HEARD, TRAINED

MEASURE = {
    "served": "share of the items served over the population's",
    "feedback": HEARD.name,
    "training": TRAINED.name,
}
COLUMNS = [
    "component", "group", "stage", "numerator", "denominator", "share", "reference", "ratio", "low", "high", "error",
    "note",
]  # fmt: skip
REFERENCE = "the reference itself"
FEW = 10  # persons on either side from whom the heaviest unseen one cannot be guessed
Row = dict[str, Any]


@dataclass(frozen=True)
class Stage:
    """One cohort at one stage: each row's weight and person, rows that go together, and the reference of each group.

    `asked` says which groups the share is a share of: where the reference knows no "not stated", those who stated one.
    `small` are groups of too few people, at this stage or before it.
    """

    cohort: Cohort
    name: str
    weight: Floats
    person: Codes
    clusters: tuple[Codes, ...]
    reference: Floats
    asked: Bools
    judged: bool
    small: Bools

    def row(self, g: int, min_people: int) -> Row:
        """One group: its share with exact bounds on as many rows as would vary as much, over its reference."""
        use = (self.weight > 0) & (self.asked[self.cohort.code] if self.asked[g] else True)
        w, inside = self.weight[use], self.cohort.code[use] == g
        persons = [len(np.unique(self.person[use][side])) for side in (inside, ~inside)]
        if self.small[g]:
            unit = PEOPLE[self.cohort.perspective]
            return self._shown(math.nan, f"fewer than {min_people} {unit}: named, not numbered")
        if not w.sum() > 0:
            return self._shown(self.reference[g], f"undefined: nobody with a group is in the {self.name}")
        clusters = [c[use] for c in self.clusters]
        total, share = float(w.sum()), float(w @ inside) / float(w.sum())
        spread = float(cluster.variance(w * (inside - share) / total, *clusters)[0]) if len(w) > 1 else math.nan
        size = cluster.effective(w, self.person[use])
        if min(persons) < FEW:
            size = min(size, total / float(np.bincount(self.person[use], weights=w).max()))
        if spread > cluster.NOTHING:
            size = min(size, share * (1 - share) / spread * len(w) / (len(w) - 1))
        clustered = cluster.effective(w, *clusters) if clusters else math.inf
        confidence = intervals.student(0.95, clustered - 1) if clustered >= cluster.FEWEST else math.nan
        low, high = intervals.exact(share * size, size, confidence)
        error = math.sqrt(max(spread, share * (1 - share) / size)) if size > 0 else math.nan
        note = "" if not math.isnan(low) else NOT_CLUSTERED
        return self._shown(self.reference[g], note, (float(w @ inside), total, share, float(low), float(high), error))

    def _shown(self, reference: float, note: str, counted: tuple[float, ...] = (math.nan,) * 6) -> Row:
        k, n, share, low, high, error = counted
        usable = self.judged and reference > 0
        if self.judged and not note and not usable:
            absent = math.isnan(reference)
            note = "no share of it among the people served" if absent else "undefined: nobody of it is served"
        scale = 1 / reference if usable else math.nan
        return {"stage": self.name, "numerator": k, "denominator": n, "share": share, "reference": reference,
                "ratio": share * scale, "low": low * scale, "high": high * scale, "error": error * scale,
                "note": note if self.judged else f"{REFERENCE}: {note}" if note else REFERENCE}  # fmt: skip


def by_stage(
    items: pd.DataFrame, population: pd.DataFrame, judgements: pd.DataFrame, predictions: pd.DataFrame,
    rows: pd.DataFrame, *, crossings: Sequence[Sequence[str]] = (), min_people: int = 1,
) -> pd.DataFrame:  # fmt: skip
    """Which groups count less in the feedback and in training than among the people served? A row a group and stage.

    served.x: items of a component, those with an answer that counts, and those trained on with their weight (`rows` of
    room prioritize: use "exploit" in the train split). rater.x: raters with an answer that counts, and the weight of
    their answers in training, each item's shared out among its answers. The reference is the population's share where
    `population` lists the cohort, else the share among the items served, else missing.

    A group of fewer than `min_people` people is named, not numbered, there and at every later stage. `share` is
    numerator / denominator, `ratio` share / reference; low, high and error (standard) are of the ratio, the reference
    taken as known, 95 % each by itself. Shares have exact bounds (Clopper and Pearson 1934) on the effective
    number of rows: weights after Kish (1965), rows of one person together. No row, no reference, or rows that rest on
    fewer than 3 people of equal share: NaN with a note.
    """
    answers = judgements[judgements["weight"] > 0].sort_values("feedback_id")
    trained = _trained(predictions, rows)
    every = _every(items, answers, trained, population)
    voices = _voices(answers, trained)
    out: list[Row] = []
    for component in sorted(set(every["component"])):
        own, heard = (f[f["component"] == component].reset_index(drop=True) for f in (every, voices))
        for stage in _stages(own, heard, population, crossings, min_people):
            out += [{"component": component, "group": str(group), **stage.row(g, min_people)}
                    for g, group in enumerate(stage.cohort.groups)]  # fmt: skip
    table = pd.DataFrame(out, columns=COLUMNS)
    order = table["stage"].map(list(MEASURE).index) if len(table) else []
    return table.assign(order=order).sort_values(["component", "group", "order"], ignore_index=True)[COLUMNS]


def _trained(predictions: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """The training weight of each item, in column `training`."""
    out = predictions.loc[predictions["split"] == "train", ["item_id", "component"]]
    use = rows.loc[(rows["use"] == "exploit") & (rows["weight"] > 0), ["item_id", "component", "weight"]]
    out = out.merge(use, on=["item_id", "component"]).rename(columns={"weight": "training"})
    return out.sort_values(["component", "item_id"], ignore_index=True)


def _every(items: pd.DataFrame, answers: pd.DataFrame, trained: pd.DataFrame, population: pd.DataFrame) -> pd.DataFrame:
    """Every item of a component, whether it has an answer and what it weighs in training."""
    pairs = [f[["item_id", "component"]] for f in (items, answers, trained)]
    out = pd.concat(pairs).drop_duplicates().sort_values(["component", "item_id"], ignore_index=True)
    out = out.merge(items[["item_id", "unit_id", *schema.cohorts(items)]], on="item_id", how="left")
    out = out.merge(trained, on=["item_id", "component"], how="left").fillna({"training": 0.0})
    heard = pd.MultiIndex.from_frame(answers[["item_id", "component"]])
    out["feedback"] = pd.MultiIndex.from_frame(out[["item_id", "component"]]).isin(heard).astype(float)
    stated = {c.partition(".")[2] for c in [*schema.cohorts(out), *schema.cohorts(answers, "rater.")]}
    absent = {f"cohort.{a}": None for a in sorted(set(population["cohort"]) - stated)}
    return out.assign(**absent, served=1.0)


def _voices(answers: pd.DataFrame, trained: pd.DataFrame) -> pd.DataFrame:
    """The answers with the rater's cohorts and their part of the item's training weight."""
    names = schema.cohorts(answers, "rater.")
    out = answers[["feedback_id", "item_id", "component", "rater_id", "weight", *names]]
    out = out.merge(trained, on=["item_id", "component"], how="left").fillna({"training": 0.0})
    total = out.groupby(["item_id", "component"])["weight"].transform("sum")
    out = out.assign(training=out["training"] * out["weight"] / total)
    return out.assign(who=out["rater_id"].fillna("answer " + out["feedback_id"].astype("str")))


def _stages(
    own: pd.DataFrame, voices: pd.DataFrame, population: pd.DataFrame, crossings: Sequence[Sequence[str]],
    min_people: int,
) -> Iterator[Stage]:  # fmt: skip
    """Items at every stage, then raters in the feedback and in training."""
    people = cluster.codes(person_served(own))
    clusters = () if len(np.unique(people)) == len(own) else (people,)
    served = cohorts.of(own, "served", crossings=crossings, population=population)
    few = {c.attributes: _small(c, people, own["served"], min_people) for c in served}
    shares = {c.attributes: c for c in served}
    for cohort in served:
        reference, small = _reference(cohort, cohort, population), few[cohort.attributes]
        for stage in MEASURE:
            weight = own[stage].to_numpy(float)
            hidden = small | _small(cohort, people, weight, min_people)
            judged = stage != "served" or reference[2]
            yield Stage(cohort, stage, weight, people, clusters, *reference[:2], judged, hidden)
    if not len(voices):
        return
    person, item = (cluster.codes(voices[c].astype(str)) for c in ("who", "item_id"))
    once = (~voices.duplicated("who")).to_numpy(float)
    for cohort in cohorts.of(voices, "rater", family="rater.", crossings=crossings, population=population):
        reference = _reference(cohort, shares.get(cohort.attributes), population, few.get(cohort.attributes))
        small = _small(cohort, person, once, min_people)
        yield Stage(cohort, "feedback", once, person, (), *reference[:2], True, small)
        weight = voices["training"].to_numpy(float)
        small = small | _small(cohort, person, weight, min_people)
        yield Stage(cohort, "training", weight, person, (person, item), *reference[:2], True, small)


def _small(cohort: Cohort, person: Codes, weight: npt.ArrayLike, min_people: int) -> Bools:
    """Which groups have somebody, but fewer people than that?"""
    use = np.asarray(weight, float) > 0
    pairs = np.unique(np.column_stack([cohort.code[use], person[use]]), axis=0)
    people = np.bincount(pairs[:, 0], minlength=len(cohort.groups))
    return (people > 0) & (people < min_people)


def _reference(
    cohort: Cohort, served: Cohort | None, population: pd.DataFrame, small: Bools | None = None
) -> tuple[Floats, Bools, bool]:
    """The population's share of each group where it lists the cohort, else the share among the items served.

    Also which groups the shares are of, and whether the population declares them. `small` groups served lend no share.
    """
    everybody = np.ones(len(cohort.groups), bool)
    if cohort.main:
        listed = population[population["cohort"] == cohort.attributes[0]]
        if len(listed):
            shares = dict(zip(listed["group"].astype(str), listed["share"].astype(float), strict=True))
            values = [g.values[0] for g in cohort.groups]
            asked = np.array([v in shares or v != schema.NOT_STATED for v in values], bool)
            return np.array([shares.get(v, math.nan) for v in values], float), asked, True
    if served is None or not len(served.code):
        return np.full(len(cohort.groups), math.nan), everybody, False
    size = np.bincount(served.code, minlength=len(served.groups)) / len(served.code)
    size = size if small is None else np.where(small, math.nan, size)
    shares = {g.values: s for g, s in zip(served.groups, size, strict=True)}
    return np.array([shares.get(g.values, 0.0) for g in cohort.groups], float), everybody, False


def judged(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the table that are held against a reference, and not the reference itself."""
    return table[~table["note"].str.startswith(REFERENCE)]


def statements(table: pd.DataFrame) -> list[Row]:
    """One evidence row a ratio, better higher; rows of the reference itself are left out."""
    rows = judged(table)
    return [
        evidence.row(
            MEASURE[r.stage], value=r.ratio, low=r.low, high=r.high, component=r.component, group=r.group,
            n=0 if math.isnan(r.denominator) else int(r.denominator), better="higher", note=r.note,
        )
        for r in rows.itertuples()
    ]  # fmt: skip
