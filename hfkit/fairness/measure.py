"""The room in one call: everything that is measured of every group, and whose labels decide, from the tables given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from hfkit.fairness.assess import assess
from hfkit.fairness.consistency import consistency
from hfkit.fairness.deciders import deciders
from hfkit.fairness.disagreement import rules
from hfkit.fairness.outcomes import outcomes
from hfkit.fairness.publish import coarse
from hfkit.fairness.representation import representation
from hfkit.fairness.rows import perspectives
from hfkit.fairness.scores import scores
from hfkit.fairness.slices import BlindSpots, Search, blind_spots, cases
from hfkit.fairness.terms import Terms, completed


@dataclass(frozen=True)
class Given:
    """The tables the room reads: of clean, of aggregate, of retrain, and which rows prioritize chose to train on."""

    items: pd.DataFrame
    components: pd.DataFrame
    population: pd.DataFrame
    labels: pd.DataFrame
    judgements: pd.DataFrame
    predictions: pd.DataFrame
    trained: pd.DataFrame


@dataclass(frozen=True)
class Settings:
    """What was declared before looking: the notebook's parameters (see `assess`, `representation`, `consistency`)."""

    margin: float
    min_group: int
    judged: list[str]
    intersections: list[list[str]]
    suppress_below: int
    round_to: int
    min_ratio: float
    same_text: float


@dataclass(frozen=True)
class Result:
    """The tables by group, each as its function describes it, and the evidence of all of them."""

    groups: pd.DataFrame
    changes: pd.DataFrame
    scores: pd.DataFrame
    outcomes: pd.DataFrame
    representation: pd.DataFrame
    consistency: pd.DataFrame
    evidence: pd.DataFrame


def measure(given: Given, settings: Settings) -> Result:
    """Is the new model at least as good for everyone? Rates, scores, costs, representation and consistency by group."""
    parts = (given.components, given.judgements, given.labels, given.predictions)
    rows = completed(perspectives(*parts, intersections=settings.intersections), given.population)
    terms = Terms(settings.suppress_below, settings.round_to, settings.intersections)
    hidden: dict[str, Any] = {"suppress_below": settings.suppress_below, "round_to": settings.round_to}
    rates = assess(rows, margin=settings.margin, min_group=settings.min_group, judged=settings.judged, **hidden)
    scored, gain = scores(rows, **hidden), outcomes(rows, given.components, terms=terms)
    heard = representation(
        given.items, given.population, given.judgements, given.predictions, given.trained,
        min_ratio=settings.min_ratio, terms=terms,
    )  # fmt: skip
    same = consistency(
        given.items, given.components, given.predictions, given.population, margin=settings.same_text, terms=terms
    )
    told = [part.evidence for part in (rates, scored, gain, heard, same)]
    return Result(
        rates.groups,
        rates.changes,
        scored.table,
        gain.table,
        heard.table,
        same.table,
        pd.concat(told, ignore_index=True),
    )


def search(given: Given, how: Search) -> BlindSpots:
    """Where is the model worse for a group in a kind of situation nobody declared? See `blind_spots`."""
    parts = (given.components, given.judgements, given.labels, given.predictions)
    return blind_spots(cases(*parts, given.items, settings=how), settings=how)


def whose(
    given: Given, settings: Settings, *, compared: str, most_sets: int, rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Whose labels decide, and how many people? The tables of `rules` and `deciders`, fit to be published."""
    parts = (given.components, given.judgements, given.predictions)
    found = rules(*parts, given.population, measure=compared, min_group=settings.min_group, rng=rng)
    found = coarse(found, counts=["n"], values=["value", "low", "high"], round_to=settings.round_to)
    few = deciders(*parts, measure=compared, most=most_sets)
    few = coarse(few, counts=["raters"], values=[], round_to=settings.round_to)
    return found, few.assign(share_of_raters=(few["smallest_known"] / few["raters"]).round(3))
