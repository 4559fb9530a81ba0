"""Groups made of numbers: an attribute such as age in single years is cut into a few groups, declared or by default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import pandas as pd

from hfkit.clean.room import Cleaned
from hfkit.shared import cohorts, schema
from hfkit.shared.errors import ParamError


def binned(cleaned: Cleaned, bins: Mapping[str, Sequence[float]]) -> Cleaned:
    """The same tables with numeric cohort attributes in a few groups, the same for items, raters and population.

    `bins` maps an attribute to the first values of its groups but the lowest, {"age": [30, 45, 60]}. An attribute that
    it does not name, of more than 12 different numbers, is cut into quarters of about equal size; `bins` of the result
    says where. Raises ParamError for an attribute that nobody carries, or edges that do not rise.
    """
    frames = {"items": cleaned.items, "raters": cleaned.raters}
    names = sorted({c.removeprefix("cohort.") for f in frames.values() for c in schema.cohorts(f)})
    _check(bins, names)
    population, used = cleaned.population, {}
    for name in names:
        column = f"cohort.{name}"
        values = [f[column].astype("object") for f in frames.values() if column in f]
        edges = cohorts.binned(pd.concat(values, ignore_index=True), bins.get(name, ()))[1]
        if edges:
            used[name] = edges
            frames = {k: f.assign(**{column: cohorts.binned(f[column].astype("object"), edges)[0].astype("str")})
                      if column in f else f for k, f in frames.items()}  # fmt: skip
            population = _summed(population, name, edges)
    return replace(cleaned, **frames, population=population, bins=used)


def _check(bins: Mapping[str, Sequence[float]], names: Sequence[str]) -> None:
    for name, edges in bins.items():
        where = f"params.yaml: clean.bins.{name}"
        if name not in names:
            raise ParamError(expected=f"an attribute of {', '.join(names) or 'nobody'}", found=str(name), where=where,
                             todo="name it as in cohort.<attribute>, without `cohort.`")  # fmt: skip
        numbers = isinstance(edges, list) and all(isinstance(e, int | float) and e is not True for e in edges)
        if not numbers or not edges or any(a >= b for a, b in pairwise(edges)):
            raise ParamError(expected="numbers that rise, as [30, 45, 60]", found=repr(edges), where=where,
                             todo="give the first value of each group but the lowest")  # fmt: skip


def _summed(population: pd.DataFrame, name: str, edges: Sequence[float]) -> pd.DataFrame:
    """The population's shares of single values added up to those of the groups; groups that are no number stay."""
    own = population["cohort"] == name
    if not own.any() or pd.to_numeric(population.loc[own, "group"], errors="coerce").isna().all():
        return population
    groups = cohorts.binned(population.loc[own, "group"].astype("object"), edges)[0]
    shares = (
        population[own].assign(group=groups.astype("str")).groupby(["cohort", "group"], as_index=False)["share"].sum()
    )
    return schema.shape(pd.concat([population[~own], shares], ignore_index=True), schema.POPULATION)
