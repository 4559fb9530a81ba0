"""The stages of representation: which rows count how much, in which group, and what share a group has to start with."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hfkit.fairness.effective import Floats, design
from hfkit.fairness.rows import Ints
from hfkit.fairness.terms import Bools, Cohort, Terms, box, cohorts, worth
from hfkit.shared import groups, schema

STAGES = ("served", "feedback", "training")
FEW = 10  # persons of a group, or outside of it, from whom its weights can be told


@dataclass(frozen=True)
class Pool:
    """Rows with a weight at one stage: weight, group, person and item; the effective number of rows and of clusters."""

    weight: Floats
    code: Ints
    unit: Ints
    item: Ints
    effective: float
    clusters: float
    heaviest: float

    @classmethod
    def of(cls, use: Bools, weight: Floats, code: Ints, unit: Ints, item: Ints) -> Pool:
        """The rows in use; where every row is a unit of its own, no clusters stand between it and the truth."""
        w, unit, item = weight[use], unit[use], item[use]
        person = np.unique(unit, return_inverse=True)[1]
        heaviest = float(np.bincount(person, weights=w).max(initial=0.0))
        clusters = math.inf if person.max(initial=-1) + 1 == len(w) else worth(w, unit, item)
        return cls(w, code[use], unit, item, worth(w, unit), clusters, heaviest)

    def persons(self, many: int) -> Ints:
        """Distinct persons in each group and outside of it, two columns."""
        pairs = np.unique(self.unit * many + self.code)
        inside = np.bincount(pairs % many, minlength=many)
        person, first, times = np.unique(pairs // many, return_index=True, return_counts=True)
        only = np.bincount(pairs[first][times == 1] % many, minlength=many)  # who is in two is outside of each too
        return np.column_stack([inside, len(person) - only]).astype(np.int64)

    def size(self, g: int) -> tuple[float, float, float]:
        """(numerator, denominator, design effect against the denominator) of a group's share.

        The few persons seen of a small group do not tell how heavy the unseen ones are: below FEW on either side all
        count as heavy as the heaviest seen of all, and it is taken that nobody unseen is heavier.
        """
        w, inside = self.weight, (self.code == g).astype(float)
        total, k, together = float(w.sum()), float(w @ inside), 1.0
        if not len(w):
            return k, total, 1.0
        if math.isfinite(self.clusters):
            together = float(design((w * inside)[:, None], w[:, None], self.unit, self.item)[0][0])
        effective, p = self.effective, k / total
        here = self.code == g
        if min(len(np.unique(self.unit[here])), len(np.unique(self.unit[~here]))) < FEW:
            effective = min(effective, total / self.heaviest)
        alone = float(((w * (inside - p)) ** 2).sum())
        if alone > 0:
            effective = min(effective, p * (1 - p) * total**2 / (alone * together))
        return k, total, total / effective


@dataclass(frozen=True)
class Reference:
    """The share of each group among the people served, groups it does not know; is it the population's?"""

    share: tuple[Floats, Floats, Floats]
    blank: Bools
    declared: bool


@dataclass(frozen=True)
class Stage:
    """One attribute at one stage, with the share each group has among the people served.

    `stated` holds the rows of groups the reference knows, `every` all; `blank` tells which groups only `every` holds.
    `reference` is (value, least, most) by group.
    """

    cohort: Cohort
    stage: str
    stated: Pool
    every: Pool
    blank: Bools
    reference: tuple[Floats, Floats, Floats]
    judged: bool

    @classmethod
    def of(cls, cohort: Cohort, stage: str, rows: tuple[Floats, Ints, Ints], known: Reference) -> Stage:
        """A stage from each row's weight, person and item."""
        weight, unit, item = rows
        some = weight > 0
        every = Pool.of(some, weight, cohort.code, unit, item)
        stated = every
        if known.blank.any():
            stated = Pool.of(some & ~known.blank[cohort.code], weight, cohort.code, unit, item)
        judged = known.declared or stage != "served"
        return cls(cohort, stage, stated, every, known.blank, known.share, judged)

    def pool(self, g: int) -> Pool:
        """The rows a group's share is a share of."""
        return self.every if self.blank[g] else self.stated

    def persons(self) -> Ints:
        """Distinct persons in each group and outside of it, two columns."""
        many = len(self.blank)
        return np.where(self.blank[:, None], self.every.persons(many), self.stated.persons(many))


def served(own: pd.DataFrame, population: pd.DataFrame, terms: Terms) -> Iterator[Stage]:
    """Items of one component, at every stage."""
    rows = np.arange(len(own))
    for cohort in cohorts(own, "served", population, terms.intersections):
        known = _reference(cohort, cohort, population, terms)
        for stage in STAGES:
            weight = np.ones(len(own)) if stage == "served" else own[stage].to_numpy(float)
            yield Stage.of(cohort, stage, (weight, rows, rows), known)


def raters(voices: pd.DataFrame, own: pd.DataFrame, population: pd.DataFrame, terms: Terms) -> Iterator[Stage]:
    """Raters in the feedback, their answers' weight in training."""
    theirs = {c.name.partition(".")[2]: c for c in cohorts(own, "served", population, terms.intersections)}
    unit, item = (pd.factorize(voices[c], sort=True)[0].astype(np.int64) for c in ("unit", "item_id"))
    first = (~voices.duplicated("unit")).to_numpy(float)
    for cohort in cohorts(voices, "rater", population, terms.intersections):
        known = _reference(cohort, theirs.get(cohort.name.partition(".")[2]), population, terms)
        yield Stage.of(cohort, "feedback", (first, unit, unit), known)
        yield Stage.of(cohort, "training", (voices["training"].to_numpy(float), unit, item), known)


def _reference(cohort: Cohort, served: Cohort | None, population: pd.DataFrame, terms: Terms) -> Reference:
    """The population's share of each group where it lists the cohort, else the share among the items served."""
    attribute = cohort.name.partition(".")[2]
    listed = population[population["cohort"] == attribute]
    names = [g.partition(".")[2] for g in cohort.groups]
    nobody = np.zeros(len(names), bool)
    if len(listed):
        known = dict(zip(attribute + "=" + listed["group"], listed["share"].astype(float), strict=True))
        value = np.array([known.get(n, math.nan) for n in names], float)
        blank = np.array([n == f"{attribute}={schema.NOT_STATED}" for n in names], bool) & np.isnan(value)
        return Reference((value, value, value), blank, True)
    if served is None or not len(served.code):
        unknown = np.full(len(names), math.nan)
        return Reference((unknown, unknown, unknown), nobody, False)
    size = np.bincount(served.code, minlength=len(served.groups)).astype(float)
    size[groups.withheld(size, terms.suppress_below)] = math.nan
    count = dict(zip([g.partition(".")[2] for g in served.groups], size, strict=True))
    shown, least, most = box([count.get(n, 0.0) for n in names], terms.round_to)
    total = box(len(served.code), terms.round_to)
    with np.errstate(divide="ignore", invalid="ignore"):
        return Reference((shown / total[0], least / total[2], most / total[1]), nobody, False)
