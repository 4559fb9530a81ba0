"""The room in one call: everything that is measured of every group, and whose labels decide, from the tables given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from hfkit.fairness import leads, representation
from hfkit.fairness.comparison import Comparison, Topic, few
from hfkit.fairness.consistency import COLUMNS as OF_TEXTS
from hfkit.fairness.consistency import SameText, texts
from hfkit.fairness.gates import Targets, gated, main_cohorts
from hfkit.fairness.labels.deciders import fewest_raters
from hfkit.fairness.labels.rules import by_rule
from hfkit.fairness.outcomes import COLUMNS as OF_SAVINGS
from hfkit.fairness.outcomes import Savings
from hfkit.fairness.perspective import Bools, Floats, Perspective, main_rows, parts, perspectives
from hfkit.fairness.rates.compare import COLUMNS as OF_RATES
from hfkit.fairness.rates.compare import Rates, changes
from hfkit.fairness.rates.extremes import spreads
from hfkit.fairness.scores.compare import COLUMNS as OF_SCORES
from hfkit.fairness.scores.compare import Scores
from hfkit.fairness.scores.influence import cases as scored
from hfkit.fairness.slices.search import BlindSpots, blind_spots
from hfkit.fairness.slices.situations import Search, cases
from hfkit.shared import evidence

COLUMNS = {Rates: OF_RATES, Scores: OF_SCORES, Savings: OF_SAVINGS, SameText: OF_TEXTS}


@dataclass(frozen=True, kw_only=True)
class Given:
    """The tables the room reads: of clean, of aggregate, of retrain, and which rows prioritize chose to train on."""

    items: pd.DataFrame
    components: pd.DataFrame
    population: pd.DataFrame
    labels: pd.DataFrame
    judgements: pd.DataFrame
    predictions: pd.DataFrame
    trained: pd.DataFrame


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What was declared before looking: targets of the gates, crossings, the least ratio of representation, the FDR."""

    targets: Targets
    crossings: Sequence[Sequence[str]] = ()
    min_ratio: float = 0.8
    fdr: float = 0.05


@dataclass(frozen=True)
class Result:
    """The room's tables, each as its function describes it; the `size` gates hold together, `leads` never gate."""

    gates: pd.DataFrame
    size: int
    leads: pd.DataFrame
    groups: pd.DataFrame
    changes: pd.DataFrame
    scores: pd.DataFrame
    outcomes: pd.DataFrame
    representation: pd.DataFrame
    consistency: pd.DataFrame
    main_rows: pd.DataFrame
    evidence: pd.DataFrame


def measure(given: Given, settings: Settings) -> Result:
    """Is the new model at least as good for everyone? Gates, leads, and the tables by group behind them."""
    views = _views(given, settings)
    topics = _topics(views, given.items)
    names = [c.name for view in views for c in view.cohorts if c.main and len(view.event)]
    targets, enough = (
        replace(settings.targets, main=main_cohorts(names, settings.targets.main)),
        settings.targets.min_people,
    )
    settings = replace(settings, targets=targets)
    comparisons = few([c for t in topics for c in t.compare(0.95)], enough)
    judged, size = gated(topics, comparisons, targets)
    heard = representation.by_stage(
        given.items, given.population, given.judgements, given.predictions, given.trained,
        crossings=settings.crossings, min_people=enough,
    )  # fmt: skip
    groups, scores, outcomes, consistency = (_named_only(_tables(topics, k), views, enough) for k in COLUMNS)
    context = [c.row() for c in comparisons if c.part.cohort.main and not c.gates]
    facts = [*context, *_facts(topics, enough), *representation.statements(heard)]
    return Result(
        gates=judged, size=size, leads=_leads(comparisons, heard, settings), groups=groups,
        changes=changes(comparisons, groups), scores=scores, outcomes=outcomes, representation=heard,
        consistency=consistency, main_rows=main_rows(views, targets.main),
        evidence=pd.concat([judged, evidence.table(facts)], ignore_index=True),
    )  # fmt: skip


def _views(given: Given, settings: Settings) -> list[Perspective]:
    return perspectives(
        given.components, given.judgements, given.labels, given.predictions, population=given.population,
        crossings=settings.crossings,
    )[0]  # fmt: skip


def _topics(views: Sequence[Perspective], items: pd.DataFrame) -> list[Topic]:
    """Every topic of every component and cohort."""
    same = {view.name: texts(view, items) for view in views if view.name == "served"}
    ranked = {(view.name, at): scored(view, at) for view in views for at in range(len(view.components))}
    out: list[Topic] = []
    for part in parts(views):
        out += [Rates.of(part), Scores.of(part, ranked[part.view.name, part.at]), Savings.of(part)]
        if part.view.name in same:
            out.append(SameText.of(part, same[part.view.name]))
    return out


def _tables(topics: Sequence[Topic], kind: type) -> pd.DataFrame:
    """The tables of one topic over all components and cohorts, with its columns where there are none."""
    tables = [t.alone() for t in topics if isinstance(t, kind)]  # type: ignore[attr-defined]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=COLUMNS[kind])


def _named_only(table: pd.DataFrame, views: Sequence[Perspective], min_people: int) -> pd.DataFrame:
    """Groups of fewer than `min_people` people lose their numbers and keep their name."""
    small = {}
    for part in parts(views):
        note = f"fewer than {min_people} {part.view.unit}: named, not numbered"
        for group, n in zip(part.cohort.groups, part.people(), strict=True):
            if 0 < n < min_people:
                small[part.component, str(group)] = note
    notes = [small.get(pair, "") for pair in zip(table["component"], table["group"], strict=True)]
    hide = np.array([n != "" for n in notes], bool)
    numbers = [c for c in table if pd.api.types.is_numeric_dtype(table[c])]
    out = table.astype(dict.fromkeys(numbers, float))
    out.loc[hide, numbers] = np.nan
    return out.assign(note=np.where(hide, notes, out["note"])) if len(out) else out


def _facts(topics: Sequence[Topic], min_people: int) -> list[dict[str, object]]:
    """Evidence without a target on main cohorts: ratios, best and worst groups, who pays for whom, shared texts."""
    out: list[dict[str, object]] = []
    for topic in topics:
        part = topic.part
        if not part.cohort.main:
            continue
        enough: Bools = part.people() >= min_people
        if isinstance(topic, Rates):
            out += [
                evidence.row(
                    f"disparate impact ratio ({model})", value=i.value, low=i.low, high=i.high, better="none",
                    n=int(topic.group.bottom[g, 0, 0]), component=part.component, group=str(part.cohort.groups[g]),
                    note=note,
                )
                for g, model, i, note in topic.ratios(0.95) if enough[g]
            ]  # fmt: skip
            out += spreads(topic, enough)
        elif isinstance(topic, Scores):
            out += topic.worst(enough)
        elif isinstance(topic, Savings):
            out.append(topic.split(enough))
        elif isinstance(topic, SameText):
            out.append(topic.reach())
    return out


def _leads(comparisons: Sequence[Comparison], heard: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Everything that may be of interest and gates nothing: crossings, further measures, who is heard."""
    targets = settings.targets
    beyond = leads.harm(comparisons, targets.of)
    wide = [c.gates and not targets.gates(c) for c in comparisons]
    rows = [c.row() for c, w in zip(comparisons, wide, strict=True) if w]
    shares = representation.judged(heard)
    below: Floats = leads.below(shares["ratio"], shares["error"], settings.min_ratio)
    rows += representation.statements(heard)
    return leads.table(rows, np.append(beyond[np.array(wide, bool)], below), settings.fdr)


def search(given: Given, settings: Settings, how: Search) -> BlindSpots:
    """Where is the model worse for a group in a kind of situation nobody declared? See `blind_spots`."""
    return blind_spots(cases(_views(given, settings), given.items, given.components, settings=how), settings=how)


def whose(
    given: Given, settings: Settings, *, compared: str, most_sets: int, rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Whose labels decide, and how many people? The tables of `by_rule` and `fewest_raters`."""
    tables = (given.components, given.judgements, given.predictions)
    rules = by_rule(*tables, given.population, measure=compared, min_people=settings.targets.min_people, rng=rng)
    return rules, fewest_raters(*tables, measure=compared, most=most_sets)
