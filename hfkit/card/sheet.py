"""The exact counts behind the card, and what anybody knows of them without being told: sums, parts, verdicts.

A count has a key (sheet, component, group, name). Sheets: `served` and `rater` hold what the two models decided for the
people served, or on the answers of raters; `heard` how many people of each group answered; `usage` what became of the
feedback. The group "all" is everyone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd

from hfkit.shared import cohorts, measures
from hfkit.shared.measures import MODELS

Key = tuple[str, str, str, str]
PEOPLE, EVENTS, OTHERS = "people", "cases with the event", "cases without the event"
CAUGHT, MISSED, ALARMS, QUIET = "caught", "missed", "false alarms", "left alone"
HIDDEN = (MISSED, QUIET)  # the rest of a split is never printed: whole and part are


class Fact(NamedTuple):
    """low <= sum of coefficient * count <= high."""

    terms: Mapping[Key, float]
    low: float
    high: float


@dataclass
class Sheet:
    """Counts, the facts about them, and the splits of a whole into a part and the rest (whole, part, rest)."""

    counts: dict[Key, int] = field(default_factory=dict)
    facts: list[Fact] = field(default_factory=list)
    splits: list[tuple[Key, Key, Key]] = field(default_factory=list)

    def add(self, fact: Fact) -> None:
        """A fact that follows from a verdict: the verdict rests on all answers, the counts on those for publication, so
        that it may not hold of them; then it says nothing about them.
        """
        if fact.low <= sum(factor * self.counts[key] for key, factor in fact.terms.items()) <= fact.high:
            self.facts.append(fact)

    def total(self, whole: Key, parts: Iterable[Key]) -> None:
        """The parts add up to the whole."""
        self.facts.append(Fact({**dict.fromkeys(parts, 1.0), whole: -1.0}, 0.0, 0.0))

    def at_most(self, small: Key, large: Iterable[Key]) -> None:
        """One count is at most the sum of others."""
        self.facts.append(Fact({small: 1.0, **dict.fromkeys(large, -1.0)}, -np.inf, 0.0))

    def split(self, whole: Key, part: Key, rest: Key) -> None:
        """A whole is a part and the rest."""
        self.total(whole, [part, rest])
        self.splits.append((whole, part, rest))


def of_model(name: str, model: str) -> str:
    """The name of a count of one model's decisions, as `caught (candidate)`."""
    return f"{name} ({model})"


def add_decisions(sheet: Sheet, rows: pd.DataFrame, groups: pd.DataFrame) -> None:
    """Adds the sheets `served` and `rater` from the rows behind the gates (fairness/main_rows).

    `groups` (component, group) names the groups that stand on the card even where no row is in them.
    """
    for (view, component), part in rows.groupby(["perspective", "component"], sort=True):
        everyone = (str(view), str(component), cohorts.ALL)
        _decisions(sheet, everyone, part)
        declared = groups.loc[groups["component"] == component, "group"].astype(str)
        for attribute in [c for c in part if c.startswith(f"{view}.") and part[c].notna().any()]:
            names = sorted({*part[attribute].dropna(), *(g for g in declared if g.startswith(f"{attribute}="))})
            rows_of = [(str(view), str(component), str(name)) for name in names]
            for row in rows_of:
                _decisions(sheet, row, part[part[attribute] == row[2]])
                sheet.at_most((*row, PEOPLE), [(*everyone, PEOPLE)])
            for name in {key[3] for key in sheet.counts if key[:3] == everyone} - {PEOPLE}:
                sheet.total((*everyone, name), [(*row, name) for row in rows_of])


def _decisions(sheet: Sheet, row: tuple[str, str, str], part: pd.DataFrame) -> None:
    event = part["event"].to_numpy() == 1
    counts = {PEOPLE: part["person"].nunique(), EVENTS: event.sum(), OTHERS: (~event).sum()}
    for model in MODELS:
        acted = part[model].to_numpy()
        if (acted >= 0).all():
            pairs = ((EVENTS, event, CAUGHT, MISSED), (OTHERS, ~event, ALARMS, QUIET))
            for whole, mask, yes, no in pairs:
                counts[of_model(yes, model)] = (mask & (acted == 1)).sum()
                counts[of_model(no, model)] = (mask & (acted == 0)).sum()
                sheet.split((*row, whole), (*row, of_model(yes, model)), (*row, of_model(no, model)))
    sheet.counts |= {(*row, name): int(n) for name, n in counts.items()}
    sheet.at_most((*row, PEOPLE), [(*row, EVENTS), (*row, OTHERS)])


def numerator(measure: measures.Rate, model: str) -> dict[str, float]:
    """Which counts of a model add up to what a rate counts? A name to its coefficient."""
    yes, no = of_model(CAUGHT, model), of_model(ALARMS, model)
    if measure.counted == "right":
        return {yes: 1.0, no: -1.0, OTHERS: 1.0}
    return {name: 1.0 for name, event in ((yes, True), (no, False)) if measure.event in (event, None)}


def denominator(measure: measures.Rate) -> tuple[str, ...]:
    """The cases that a rate is a share of; empty where the model decides which they are (precision)."""
    if measure.acted is not None:
        return ()
    return tuple(name for name, event in ((EVENTS, True), (OTHERS, False)) if measure.event in (event, None))


def change_fact(row: tuple[str, str, str], measure: measures.Rate, verdict: str, margin: float) -> Fact | None:
    """What a printed verdict on a change says of the counts: fail = worse by the margin at least, pass = not so.

    None where it says nothing that is linear in them.
    """
    if verdict not in ("pass", "fail") or not denominator(measure):
        return None
    worse = -1.0 if measure.better == "higher" else 1.0
    terms: dict[Key, float] = {}
    for model, sign in zip(MODELS, (-worse, worse), strict=True):
        for name, factor in numerator(measure, model).items():
            terms[(*row, name)] = terms.get((*row, name), 0.0) + sign * factor
    for name in denominator(measure):
        terms[(*row, name)] = terms.get((*row, name), 0.0) - margin
    return Fact(terms, 0.0, np.inf) if verdict == "fail" else Fact(terms, -np.inf, 0.0)


def add_heard(sheet: Sheet, coverage: pd.DataFrame, people: pd.DataFrame, min_ratio: float) -> None:
    """Adds the sheet `heard`: how many people (one row each, with rater.* groups) answered, for groups of coverage."""
    everyone = ("heard", cohorts.ALL, cohorts.ALL, PEOPLE)
    sheet.counts[everyone] = len(people)
    groups = coverage[coverage["group"].str.startswith("rater.")]
    for attribute, part in groups.groupby(groups["group"].str.split("=").str[0], sort=True):
        stated = cohorts.words(people[attribute]) if attribute in people else pd.Series(dtype=str)
        values = {str(g): group.values[0] for g in part["group"] if (group := cohorts.parse(str(g))) is not None}
        keys = {name: ("heard", cohorts.ALL, name, PEOPLE) for name in values}
        sheet.counts |= {keys[name]: int((stated == value).sum()) for name, value in values.items()}
        if sum(sheet.counts[key] for key in keys.values()) == len(people):
            sheet.total(everyone, keys.values())
        for r in part[part["reference"].notna() & part["verdict"].isin(["pass", "fail"])].itertuples():
            terms = {keys[str(r.group)]: 1.0, everyone: -min_ratio * float(r.reference)}
            sheet.add(Fact(terms, 0.0, np.inf) if r.verdict == "pass" else Fact(terms, -np.inf, 0.0))


def add_usage(
    sheet: Sheet, *, feedback: pd.DataFrame, rejects: pd.DataFrame, items: pd.DataFrame, labels: pd.DataFrame,
    training: pd.DataFrame,
) -> None:  # fmt: skip
    """Adds the sheet `usage`: what became of the answers, and of each component's cases."""
    aside = rejects[rejects["table"] == "feedback"]
    human = feedback["rater_kind"] == "human"
    counts = {
        "answers received": len(feedback) + len(aside), "answers used": len(feedback), "answers set aside": len(aside),
        "of these for lack of consent": int(aside["reason"].isin(["withdrawn", "no_consent"]).sum()),
        "answers of people": int(human.sum()), "answers of programs": int((~human).sum()),
        "people who answered": feedback.loc[human, "rater_id"].nunique(),
        "cases served": len(items), "cases with an answer": feedback["item_id"].nunique(),
    }  # fmt: skip
    key = {name: ("usage", cohorts.ALL, cohorts.ALL, name) for name in counts}
    sheet.counts |= {key[name]: n for name, n in counts.items()}
    sheet.split(key["answers received"], key["answers used"], key["answers set aside"])
    sheet.split(key["answers used"], key["answers of people"], key["answers of programs"])
    sheet.at_most(key["of these for lack of consent"], [key["answers set aside"]])
    sheet.at_most(key["cases with an answer"], [key["cases served"]])
    sheet.at_most(key["people who answered"], [key["answers of people"]])
    for r in training.itertuples():
        row = ("usage", str(r.component), cohorts.ALL)
        cases = {
            "cases with a label": int((labels["component"] == r.component).sum()),
            "cases learned from": int(r.rows),
        }
        sheet.counts |= {(*row, name): n for name, n in cases.items()}
        sheet.at_most((*row, "cases learned from"), [(*row, "cases with a label")])
