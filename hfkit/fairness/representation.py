"""Representation: whose feedback is heard, and whose does the new model learn from, against the people served?

Shares of groups at three stages: served (or the declared population), in the feedback, in training. A ratio of 1 is a
group's own share, below 1 it counts less than it is served.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from hfkit.fairness.effective import Floats, _design
from hfkit.fairness.rows import UNIT, Ints
from hfkit.fairness.terms import (
    FEWEST,
    LEVEL,
    OFF,
    Bools,
    Cohort,
    Measured,
    Terms,
    box,
    cohorts,
    reach,
    share,
    withheld,
    worth,
)  # fmt: skip
from hfkit.shared import evidence, schema

COLUMNS = [
    "component", "group", "stage", "numerator", "denominator", "share", "reference", "ratio", "low", "high", "verdict",
    "note",
]  # fmt: skip
STAGES = ("served", "feedback", "training")
_Row = dict[str, Any]


def representation(
    items: pd.DataFrame, population: pd.DataFrame, judgements: pd.DataFrame, predictions: pd.DataFrame,
    rows: pd.DataFrame | None = None, *, min_ratio: float = 0.0, terms: Terms = OFF,
) -> Measured:  # fmt: skip
    """Which groups count less in the feedback and in training than among the people served? A row a group and stage.

    served.x: items of a component, those with an answer that counts, and those trained on with their weight (`rows` of
    room prioritize: use "exploit" in the train split; None = every row of that split counts once). rater.x: raters with
    an answer that counts, and the weight of their answers in training, each item's shared out among its answers. The
    reference is the population's share where `population` lists the cohort, else the share among the items served, else
    missing. A population that does not list "not stated" is compared with those who stated a group.

    `share` is numerator / denominator, `ratio` is share / reference; low and high bound the ratio, the reference taken
    as known. The shares' bounds are exact (Clopper and Pearson 1934) on the effective number of rows: weights after
    Kish (1965), answers of one rater or item together. They hold together for all groups and stages of a component and
    perspective (Sidak 1967). With `min_ratio` above 0 a ratio is judged, higher is better; 0 = info. No row, no share
    in the reference, or answers that rest on fewer than 3 raters of equal share: NaN with a note.
    """
    answers = judgements[judgements["weight"] > 0].sort_values("feedback_id")
    trained = _trained(predictions, rows)
    pairs = [f[["item_id", "component"]] for f in (items, answers, trained)]
    every = pd.concat(pairs).drop_duplicates().sort_values(["component", "item_id"], ignore_index=True)
    every = every.merge(items[["item_id", *schema.cohorts(items)]], on="item_id", how="left")
    every = every.merge(trained, on=["item_id", "component"], how="left").fillna({"training": 0.0})
    heard = pd.MultiIndex.from_frame(answers[["item_id", "component"]])
    every["feedback"] = pd.MultiIndex.from_frame(every[["item_id", "component"]]).isin(heard).astype(float)
    said = _shared(answers, trained)
    known = {c.partition(".")[2] for c in [*schema.cohorts(every), *schema.cohorts(said)]}
    for absent in sorted(set(population["cohort"]) - known):
        every[f"cohort.{absent}"] = pd.Series(np.nan, index=every.index, dtype="object")
    out: list[_Row] = []
    for component in sorted(set(every["component"])):
        own = every[every["component"] == component].reset_index(drop=True)
        voices = said[said["component"] == component].reset_index(drop=True)
        parts = [*_served(own, population, terms), *_raters(voices, own, population, terms)]
        for name in UNIT:
            out += _told(component, [p for p in parts if p.cohort.name.startswith(name + ".")], min_ratio, terms)
    note = "" if rows is not None else "every row of the train split counted once: prioritize.rows is not given"
    return Measured(pd.DataFrame(out, columns=COLUMNS), _evidence(out, min_ratio, note))


def _trained(predictions: pd.DataFrame, rows: pd.DataFrame | None) -> pd.DataFrame:
    """The training weight of each item, in column `training`."""
    out = predictions.loc[predictions["split"] == "train", ["item_id", "component"]].assign(training=1.0)
    if rows is not None:
        use = rows.loc[(rows["use"] == "exploit") & (rows["weight"] > 0), ["item_id", "component", "weight"]]
        out = out[["item_id", "component"]].merge(use, on=["item_id", "component"])
        out = out.rename(columns={"weight": "training"})
    return out.sort_values(["component", "item_id"], ignore_index=True)


def _shared(answers: pd.DataFrame, trained: pd.DataFrame) -> pd.DataFrame:
    """The answers with the rater's cohorts and their part of the item's training weight."""
    names = {c: c.replace("rater.", "cohort.", 1) for c in schema.cohorts(answers, "rater.")}
    out = answers[["feedback_id", "item_id", "component", "rater_id", "weight", *names]].rename(columns=names)
    out = out.merge(trained, on=["item_id", "component"], how="left").fillna({"training": 0.0})
    total = out.groupby(["item_id", "component"])["weight"].transform("sum")
    out["training"] = out["training"] * out["weight"] / total
    out["unit"] = out["rater_id"].fillna("answer " + out["feedback_id"].astype("str"))
    return out.sort_values("feedback_id", ignore_index=True)


@dataclass(frozen=True)
class _Stage:
    """One attribute at one stage: each row's weight, its rater or item, and the share each group has served.

    `among` are the rows the denominator is made of; `reference` (value, least, most) by group.
    """

    cohort: Cohort
    stage: str
    weight: Floats
    among: Bools
    unit: Ints
    item: Ints
    reference: tuple[Floats, Floats, Floats]
    judged: bool

    def persons(self, g: int) -> tuple[int, int]:
        """Distinct persons in the group and outside of it with a row that counts."""
        here = (self.weight > 0) & (self.among | (self.cohort.code == g))
        inside = self.cohort.code == g
        return len(np.unique(self.unit[here & inside])), len(np.unique(self.unit[here & ~inside]))

    def size(self, g: int) -> tuple[float, float, float, float]:
        """(numerator, denominator, design effect against the denominator, clusters) of a group's share."""
        here = (self.weight > 0) & (self.among | (self.cohort.code == g))
        w, inside = self.weight[here], (self.cohort.code[here] == g).astype(float)
        total, k = float(w.sum()), float(w @ inside)
        if not len(w):
            return k, total, 1.0, math.inf
        unit, item = self.unit[here], self.item[here]
        effective, p, together, clusters = worth(w, unit), k / total, 1.0, math.inf
        if len(np.unique(unit)) < len(w):
            clusters = worth(w, unit, item)
            together = float(_design((w * inside)[:, None], w[:, None], unit, item)[0][0])
        alone = float(((w * (inside - p)) ** 2).sum())
        if alone > 0:
            effective = min(effective, p * (1 - p) * total**2 / (alone * together))
        return k, total, total / effective, clusters


def _served(own: pd.DataFrame, population: pd.DataFrame, terms: Terms) -> Iterator[_Stage]:
    """Items of one component, at every stage."""
    rows = np.arange(len(own))
    for cohort in cohorts(own, "served", population, terms.intersections):
        reference, among, declared = _reference(cohort, cohort, population, terms)
        for stage in STAGES:
            weight = np.ones(len(own)) if stage == "served" else own[stage].to_numpy(float)
            judged = declared or stage != "served"
            yield _Stage(cohort, stage, weight, among, rows, rows, reference, judged)


def _raters(voices: pd.DataFrame, own: pd.DataFrame, population: pd.DataFrame, terms: Terms) -> Iterator[_Stage]:
    """Raters in the feedback, their answers' weight in training."""
    served = {c.name.partition(".")[2]: c for c in cohorts(own, "served", population, terms.intersections)}
    unit, item = (pd.factorize(voices[c], sort=True)[0].astype(np.int64) for c in ("unit", "item_id"))
    first = ~voices.duplicated("unit").to_numpy()
    for cohort in cohorts(voices, "rater", population, terms.intersections):
        reference, among, _ = _reference(cohort, served.get(cohort.name.partition(".")[2]), population, terms)
        yield _Stage(cohort, "feedback", first.astype(float), among, unit, unit, reference, True)
        yield _Stage(cohort, "training", voices["training"].to_numpy(float), among, unit, item, reference, True)


def _reference(
    cohort: Cohort, served: Cohort | None, population: pd.DataFrame, terms: Terms
) -> tuple[tuple[Floats, Floats, Floats], Bools, bool]:
    """The share each group has among the people served, which rows are compared with it, and is it the population's?"""
    attribute = cohort.name.partition(".")[2]
    listed = population[population["cohort"] == attribute]
    names = [g.partition(".")[2] for g in cohort.groups]
    missing = np.array([schema.NOT_STATED in n for n in names])
    if len(listed):
        known = dict(zip(attribute + "=" + listed["group"], listed["share"].astype(float), strict=True))
        value = np.array([known.get(n, math.nan) for n in names], float)
        blank = missing & np.isnan(value)
        return (value, value, value), ~blank[cohort.code], True
    unknown = np.full(len(names), math.nan)
    everyone = np.ones(len(cohort.code), bool)
    if served is None or not len(served.code):
        return (unknown, unknown, unknown), everyone, False
    size = np.bincount(served.code, minlength=len(served.groups))
    count = dict(zip([g.partition(".")[2] for g in served.groups], size, strict=True))
    shown, least, most = box([count.get(n, 0) for n in names], terms.round_to)
    total = box(len(served.code), terms.round_to)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (shown / total[0], least / total[2], most / total[1]), everyone, False


def _told(component: str, stages: list[_Stage], min_ratio: float, terms: Terms) -> list[_Row]:
    """The rows of the table of one component and perspective; groups in order, stages within."""
    hidden = []
    for s in stages:
        persons = np.array([s.persons(g) for g in range(len(s.cohort.groups))], np.int64).reshape(-1, 2)
        unit = UNIT[s.cohort.name.partition(".")[0]]
        hidden.append(withheld(persons[:, 0], persons[:, 1], terms, unit))
    family = 0
    for s, (hide, _) in zip(stages, hidden, strict=True):
        shown = int(((s.reference[0] > 0) & ~hide).sum()) if s.judged else 0
        family += 1 if shown == 2 == len(s.cohort.groups) else shown
    level = LEVEL ** (1 / max(family, 1))
    out = []
    for s, (hide, notes) in zip(stages, hidden, strict=True):
        for g, group in enumerate(s.cohort.groups):
            at = {"component": component, "group": group, "stage": s.stage}
            lost = {**dict.fromkeys(COLUMNS, math.nan), **at, "verdict": "info", "note": notes[g]}
            lost["verdict"] = "cannot tell" if min_ratio > 0 and s.judged else "info"
            out.append(lost if hide[g] else {**at, **_row(s, g, level, min_ratio, terms.round_to)})
    place = {s.cohort.name: i for i, s in reversed(list(enumerate(stages)))}
    names = [s.cohort.name for s in stages for _ in s.cohort.groups]
    order = sorted(range(len(out)), key=lambda i: (place[names[i]], out[i]["group"], STAGES.index(out[i]["stage"])))
    return [out[i] for i in order]


def _row(s: _Stage, g: int, level: float, min_ratio: float, base: int) -> _Row:
    """One group at one stage, from rounded counts."""
    k, n, effect, clusters = s.size(g)
    whole = s.stage != "training"
    confidence = reach(clusters, level, base)
    value, low, high = (
        float(v) for v in share(k, n, effect=np.array(effect), level=confidence, base=base, whole=whole)
    )
    reference, least, most = (float(v[g]) for v in s.reference)
    known = s.judged and reference > 0 and least > 0
    ratio = (value / reference, low / most, high / least) if known else (math.nan,) * 3
    verdict = "info"
    if min_ratio > 0 and s.judged:
        verdict = evidence.judge(ratio[1], ratio[2], target=min_ratio, better="higher")
    return {
        "numerator": float(box(k, base, whole=whole)[0]), "denominator": float(box(n, base, whole=whole)[0]),
        "share": value, "reference": reference, "ratio": ratio[0], "low": ratio[1], "high": ratio[2],
        "verdict": verdict, "note": _note(s, (n, value, low, confidence), reference, known),
    }  # fmt: skip


def _note(s: _Stage, found: tuple[float, float, float, float], reference: float, known: bool) -> str:
    """Why something is undefined."""
    n, value, low, confidence = found
    if not n > 0:
        return f"undefined: nobody with a group is in the {s.stage}" if s.stage != "served" else "nobody states a group"
    if not s.judged:
        return "the reference itself"
    if math.isnan(reference):
        return "no share of it among the people served"
    if not known:
        return "undefined: nobody of it among the people served"
    if math.isnan(confidence):
        return f"no interval: the answers rest on too few raters ({FEWEST} of equal share are the least)"
    if math.isnan(value):
        return "too near 0 % or 100 % to give a number: bounds only" if not math.isnan(low) else "too few to show"
    return ""


def _evidence(table: list[_Row], min_ratio: float, note: str) -> pd.DataFrame:
    """One evidence row a judged ratio."""
    rows = []
    for r in table:
        if r["stage"] == "served" and (r["note"] == "the reference itself" or math.isnan(r["ratio"])):
            continue
        told = "; ".join(t for t in (r["note"], note if r["stage"] == "training" else "") if t)
        if r["verdict"] == "cannot tell" and not r["note"]:
            told = "; ".join(t for t in (f"the interval reaches across {min_ratio:g}", told) if t)
        n = 0 if math.isnan(r["denominator"]) else int(r["denominator"])
        name = {"served": "share of the items served over the population's", "feedback": "share in the feedback over "
                "share served", "training": "share in training over share served"}[r["stage"]]  # fmt: skip
        rows.append(evidence.row(
            name, value=r["ratio"], low=r["low"], high=r["high"], n=n, component=r["component"], group=r["group"],
            better="higher", verdict=r["verdict"], note=told,
        ))  # fmt: skip
    if not rows:
        rows.append(evidence.row("share in training over share served", value=math.nan, n=0, better="higher",
                                 verdict="cannot tell", note="no item and no rater carries a cohort"))  # fmt: skip
    return evidence.table(rows)
