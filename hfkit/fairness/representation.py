"""Representation: whose feedback is heard, and whose does the new model learn from, against the people served?

Shares of groups at three stages: served (or the declared population), in the feedback, in training. A ratio of 1 is a
group's own share, below 1 it counts less than it is served.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from hfkit.fairness.rows import UNIT
from hfkit.fairness.stages import STAGES, Stage, raters, served
from hfkit.fairness.terms import FEWEST, LEVEL, OFF, Bools, Measured, Terms, box, reach, share, withheld
from hfkit.shared import evidence, schema

COLUMNS = [
    "component", "group", "stage", "numerator", "denominator", "share", "reference", "ratio", "low", "high", "verdict",
    "note",
]  # fmt: skip
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
        parts = [*served(own, population, terms), *raters(voices, own, population, terms)]
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


def _told(component: str, stages: list[Stage], min_ratio: float, terms: Terms) -> list[_Row]:
    """The rows of the table of one component and perspective; groups in order, stages within."""
    hidden: list[tuple[Bools, list[str]]] = []
    for i, s in enumerate(stages):
        persons = s.persons()
        unit = UNIT[s.cohort.name.partition(".")[0]]
        hide, notes = withheld(persons[:, 0], persons[:, 1], terms, unit)
        if i and stages[i - 1].cohort is s.cohort:  # a group withheld before is withheld from then on
            notes = [a or b for a, b in zip(hidden[-1][1], notes, strict=True)]
            hide = hide | hidden[-1][0]
        hidden.append((hide, notes))
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


def _row(s: Stage, g: int, level: float, min_ratio: float, base: int) -> _Row:
    """One group at one stage, from rounded counts."""
    k, n, effect = s.pool(g).size(g)
    whole = s.stage != "training"
    confidence = reach(s.pool(g).clusters, level, base)
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


def _note(s: Stage, found: tuple[float, float, float, float], reference: float, known: bool) -> str:
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
