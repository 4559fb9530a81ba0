"""On which terms groups are compared and shown: who stands in a table, what is withheld, what rounded counts allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import numpy.typing as npt
import pandas as pd

from hfkit.fairness.effective import Floats, coarse
from hfkit.fairness.gaps import student
from hfkit.fairness.rows import Ints, Perspective, _words
from hfkit.shared import disclosure, groups, schema, stats

LEVEL = 0.95
FEWEST = 3  # clusters (see worth): fewer do not carry an interval
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Terms:
    """Groups of fewer than `suppress_below` persons are withheld, counts rounded to `round_to`; 1 = off.

    `intersections` lists the cohort attributes to cross, as [["language", "age_band"]].
    """

    suppress_below: int = 1
    round_to: int = 1
    intersections: Sequence[Sequence[str]] = ()


OFF = Terms()


@dataclass(frozen=True)
class Measured:
    """The table by group and the evidence rows of one question."""

    table: pd.DataFrame
    evidence: pd.DataFrame


@dataclass(frozen=True)
class Cohort:
    """One attribute or intersection: the names of its groups and each row's group as a code into them."""

    name: str
    groups: tuple[str, ...]
    code: Ints


def cohorts(frame: pd.DataFrame, name: str, population: pd.DataFrame, crossed: Sequence[Sequence[str]]) -> list[Cohort]:
    """Which groups are there? Every `cohort.*` column of a frame and every intersection, `name` is served or rater.

    A missing value is "not stated". Groups that `population` declares stand there even when no row is in them.

    >>> people = pd.DataFrame({"cohort.age": ["old", None]})
    >>> declared = pd.DataFrame({"cohort": ["age"], "group": ["young"]})
    >>> [(c.groups, c.code.tolist()) for c in cohorts(people, "served", declared, [])]
    [(('served.age=not stated', 'served.age=old', 'served.age=young'), [1, 0])]
    """
    words = {c.removeprefix("cohort."): _words(frame[c]) for c in schema.cohorts(frame)}
    out = []
    for parts in [[a] for a in words] + [list(x) for x in crossed if len(x) > 1 and set(x) <= set(words)]:
        text = words[parts[0]]
        for part in parts[1:]:
            text = text + f" & {part}=" + words[part]
        found, names = pd.factorize(text, sort=True)
        attribute = f"{name}.{' & '.join(parts)}"
        own = tuple(f"{name}.{parts[0]}={n}" for n in names)
        out.append(extended(Cohort(attribute, own, found.astype(np.int64)), population))
    return out


def extended(cohort: Cohort, population: pd.DataFrame) -> Cohort:
    """A cohort with the groups that the population declares and no row is in; an intersection where all parts are."""
    name, _, attribute = cohort.name.partition(".")
    parts = attribute.split(" & ")
    listed = [sorted(population.loc[population["cohort"] == part, "group"]) for part in parts]
    pairs = (zip(parts, values, strict=True) for values in product(*listed))
    extra = {f"{name}." + " & ".join(f"{part}={value}" for part, value in pair) for pair in pairs}
    every = tuple(sorted({*cohort.groups, *extra}))
    place = pd.Index(every).get_indexer(pd.Index(cohort.groups)).astype(np.int64)
    return Cohort(cohort.name, every, place[cohort.code] if len(cohort.code) else cohort.code)


def completed(perspectives: list[Perspective], population: pd.DataFrame) -> list[Perspective]:
    """The perspectives with every group the population declares; a cohort nobody carries stands with the served."""
    known = {a.partition(".")[2] for p in perspectives for a in p.attributes}
    absent = sorted(set(population["cohort"]) - known)
    out = []
    for p in perspectives:
        found = [Cohort(*c) for c in zip(p.attributes, p.groups, p.member, strict=True)]
        if p.name == "served":
            nobody = np.zeros(len(p.y), np.int64)
            found += [Cohort(f"served.{a}", (f"served.{a}={schema.NOT_STATED}",), nobody) for a in absent]
        found = [extended(c, population) for c in found]
        out.append(replace(
            p, attributes=tuple(c.name for c in found), groups=tuple(c.groups for c in found),
            member=tuple(c.code for c in found),
        ))  # fmt: skip
    return out


def withheld(inside: Ints, outside: Ints, terms: Terms, unit: str) -> tuple[Bools, list[str]]:
    """Which groups of one attribute must not be shown, and why? Too few persons inside or outside, and one more.

    >>> withheld(np.array([40, 12, 3]), np.array([15, 43, 52]), Terms(suppress_below=10), "items")[0].tolist()
    [False, True, True]
    """
    least = terms.suppress_below
    notes = [str(n) for n in groups.why(inside, least, unit)]
    alone = (inside > 0) & (outside > 0) & (outside < least)
    notes = [n or (f"fewer than {least} {unit} outside of it" if a else "") for n, a in zip(notes, alone, strict=True)]
    return np.array([bool(n) for n in notes], bool), notes


def worth(weight: Floats, *clusters: Ints) -> float:
    """As how many equal clusters do these rows count, by the kind of cluster that counts least? At most their number.

    (sum of weights)^2 / sum of squares (Kish 1965); a few that hold most of the rows leave few degrees of freedom
    (Carter, Schnepel and Steigerwald 2017, REStat 99:698). No rows: 0.

    >>> round(worth(np.ones(12), np.repeat([0, 1, 2], [10, 1, 1])), 2)
    1.41
    """
    if not len(weight):
        return 0.0
    sums = [np.bincount(np.unique(c, return_inverse=True)[1], weights=weight) for c in clusters]
    return float(min(s.sum() ** 2 / (s @ s) for s in sums))


def reach(clusters: float, level: float, base: int) -> float:
    """The confidence level at which normal bounds reach as far as Student's for so many clusters; NaN for fewer than 3.

    >>> round(reach(10, 0.95, 1), 4), reach(2.9, 0.95, 1), reach(float("inf"), 0.95, 5)
    (0.9763, nan, 0.95)
    """
    least = float(box(clusters, base, whole=False)[1]) if np.isfinite(clusters) else clusters
    return float(student(np.array(least - 1), np.array(level))) if least >= FEWEST else float("nan")


def box(x: npt.ArrayLike, base: int, *, whole: bool = True) -> tuple[Floats, Floats, Floats]:
    """What is shown of a count, and the least and most that may stand behind it; base 1 shows it as it is.

    >>> [v.tolist() for v in box([12, 13], 5)], [float(v) for v in box(12.4, 5, whole=False)]
    ([[10.0, 15.0], [8.0, 13.0], [12.0, 17.0]], [10.0, 7.5, 12.5])
    """
    x = np.asarray(x, float)
    if base == 1:
        return x, x, x
    shown = disclosure.round_counts(x, base)
    if whole:
        return shown, *disclosure.behind(shown, base)
    return shown, np.maximum(shown - base / 2, 0.0), shown + base / 2


def share(
    k: npt.ArrayLike, n: npt.ArrayLike, *, effect: Floats, level: npt.ArrayLike, base: int, whole: bool = True
) -> tuple[Floats, Floats, Floats]:
    """Between which shares does k of n lie, for every count that rounds to those shown? (value, low, high) in 0..1.

    Exact bounds (Clopper and Pearson 1934) on counts divided by the design `effect`; n = 0, or shown as 0: NaN. A
    rounded share of 0 or 1 might be neither: its bounds are given without a value.

    >>> [round(float(v), 3) for v in share(8, 10, effect=np.array(1.0), level=0.95, base=1)]
    [0.8, 0.444, 0.975]
    >>> [round(float(v), 3) for v in share(8, 10, effect=np.array(1.0), level=0.95, base=5)]
    [nan, 0.349, 1.0]
    """
    effect = coarse(np.asarray(effect, float), base)
    (top, k0, k1), (bottom, n0, n1) = box(k, base, whole=whole), box(n, base, whole=whole)
    low = stats.exact(np.minimum(k0, n1) / effect, n1 / effect, level)[0]
    high = stats.exact(np.minimum(k1, n0) / effect, n0 / effect, level)[1]
    edge = (base > 1) & ((top <= 0) | (top >= bottom))
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where((bottom > 0) & ~edge, top / bottom, np.nan)
    low, high = np.fmin(low, value), np.fmax(np.where(np.isnan(high), 1.0, high), value)
    return value, np.where(bottom > 0, low, np.nan), np.where(bottom > 0, high, np.nan)


def outward(value: float, low: float, high: float, base: int) -> tuple[float, float, float]:
    """A mean as it is shown beside rounded counts: three decimals, low down and high up; base 1 shows it as it is.

    >>> outward(0.12345, 0.10049, 0.15001, 5), outward(0.12345, 0.1, 0.2, 1)
    ((0.123, 0.1, 0.151), (0.12345, 0.1, 0.2))
    """
    return (value, low, high) if base == 1 else tuple(float(v) for v in disclosure.steps(value, low, high))  # type: ignore[return-value]
