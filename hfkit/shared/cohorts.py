"""Groups of people as structured keys: whose groups they are, by which attributes, and with which values.

Two perspectives are kept apart by name: `served` is the person the product served, `rater` the person who judged. A
group is written in one way everywhere, `served.language=es` or, crossed, `served.language=es & age_band=18-29`, and
read back by `parse`. A missing value is the group "not stated".
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
import pandas as pd

from hfkit.shared import schema
from hfkit.shared.schema import NOT_STATED

PEOPLE = {"served": "items", "rater": "raters"}  # what is counted of each perspective
ALL = "all"
_PART = re.compile(r'([^=&"]+)=("(?:[^"\\]|\\.)*"|[^&"]*)(?: & |$)')
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True, order=True)
class Group:
    """People of one perspective who share the values of some attributes.

    >>> str(Group("served", ("language", "age"), ("es", "18 & over")))
    'served.language=es & age="18 & over"'
    """

    perspective: str
    attributes: tuple[str, ...]
    values: tuple[str, ...]

    def __str__(self) -> str:
        pairs = (f"{a}={_written(v)}" for a, v in zip(self.attributes, self.values, strict=True))
        return f"{self.perspective}.{' & '.join(pairs)}"


def _written(value: str) -> str:
    """A value as it stands in a group's name: quoted where it could be taken for something else."""
    plain = value and not set('&="') & set(value) and value == value.strip() and value.isprintable()
    return value if plain else json.dumps(value, ensure_ascii=False)


def parse(name: str) -> Group | None:
    """The group that a name stands for; None where it is no group of people ("all", `question=...`, an attribute).

    >>> parse('served.language=es & age="18 & over"').values
    ('es', '18 & over')
    >>> parse("all"), parse("channel=thumbs")
    (None, None)
    """
    perspective, _, rest = name.partition(".")
    pairs = _PART.findall(rest)
    whole = sum(len(m.group(0)) for m in _PART.finditer(rest)) == len(rest)
    if perspective not in PEOPLE or not pairs or not whole:
        return None
    values = tuple(str(json.loads(v)) if v.startswith('"') else v for _, v in pairs)
    return Group(perspective, tuple(a for a, _ in pairs), values)


def readable(name: str) -> str:
    """A group's name in words: `served.language=es` is "people served with language es".

    >>> readable("served.language=es & age_band=18-29"), readable("rater.region=north"), readable("all")
    ('people served with language es and age_band 18-29', 'raters with region north', 'everyone')
    >>> readable("question=event_holds"), readable("served.language")
    ('the question event_holds', 'people served, by language')
    """
    if name == ALL:
        return "everyone"
    people = {"served": "people served", "rater": "raters"}
    group = parse(name)
    if group is not None:
        pairs = [f"{a} {v}" for a, v in zip(group.attributes, group.values, strict=True)]
        return f"{people[group.perspective]} with {' and '.join(pairs)}"
    perspective, _, attribute = name.partition(".")
    if perspective in people:
        return f"{people[perspective]}, by {attribute.replace(' & ', ' and ')}"
    kind, equals, value = name.partition("=")
    return f"the {kind} {value}" if equals else name


@dataclass(frozen=True)
class Cohort:
    """One attribute, or several crossed, of some rows: its groups in order, and each row's group as a code."""

    perspective: str
    attributes: tuple[str, ...]
    groups: tuple[Group, ...]
    code: Codes

    @property
    def name(self) -> str:
        """As `served.language` or `served.language & age_band`."""
        return f"{self.perspective}.{' & '.join(self.attributes)}"

    @property
    def main(self) -> bool:
        """Is it one attribute alone? Only main groups gate a decision; crossed ones are leads."""
        return len(self.attributes) == 1


def words(values: pd.Series) -> pd.Series:
    """Group values as text: numbers without a trailing .0, a missing one as "not stated".

    >>> words(pd.Series([18.0, None])).tolist()
    ['18', 'not stated']
    """
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        values = values.map(lambda v: format(v, ".15g"), na_action="ignore")
    return values.astype("object").where(values.notna(), NOT_STATED).astype("str")


def of(
    frame: pd.DataFrame, perspective: str, *, family: str = "cohort.", crossings: Sequence[Sequence[str]] = (),
    population: pd.DataFrame | None = None,
) -> list[Cohort]:  # fmt: skip
    """Which groups are there? One cohort a column of the `family`, then one a crossing that has all its attributes.

    `crossings` lists attributes to cross, as [["language", "age_band"]]. Groups that `population` (columns cohort,
    group) declares stand there even where no row is in them, so that nobody disappears from a table.

    >>> people = pd.DataFrame({"cohort.age": ["old", None]})
    >>> declared = pd.DataFrame({"cohort": ["age"], "group": ["young"]})
    >>> [([str(g) for g in c.groups], c.code.tolist()) for c in of(people, "served", population=declared)]
    [(['served.age=not stated', 'served.age=old', 'served.age=young'], [1, 0])]
    """
    texts = {c.removeprefix(family): words(frame[c]) for c in schema.cohorts(frame, family)}
    crossed = [tuple(x) for x in crossings if len(x) > 1 and set(x) <= set(texts)]
    return [_cohort(texts, perspective, parts, population) for parts in [*((a,) for a in texts), *crossed]]


def _cohort(
    texts: dict[str, pd.Series], perspective: str, parts: tuple[str, ...], population: pd.DataFrame | None
) -> Cohort:
    rows = pd.MultiIndex.from_arrays([texts[a] for a in parts])
    seen = {Group(perspective, parts, tuple(values)) for values in rows.unique()}
    if population is not None:
        listed = [population.loc[population["cohort"] == a, "group"].astype(str) for a in parts]
        seen |= {Group(perspective, parts, values) for values in product(*listed)}
    groups = tuple(sorted(seen))
    code = pd.MultiIndex.from_tuples([g.values for g in groups], names=parts).get_indexer(rows) if len(groups) else []
    return Cohort(perspective, parts, groups, np.asarray(code, np.int64))


def too_few(people: npt.ArrayLike, min_people: int, unit: str = "people") -> npt.NDArray[np.object_]:
    """Why each group is named and not numbered: fewer than `min_people` people; empty where it has enough, or nobody.

    >>> too_few([40, 4, 0], 5).tolist()
    ['', 'fewer than 5 people', '']
    """
    n = np.asarray(people)
    return np.where((n > 0) & (n < min_people), f"fewer than {min_people} {unit}", "").astype(object)


def withheld(people: npt.ArrayLike, min_people: int, unit: str = "people") -> npt.NDArray[np.object_]:
    """As `too_few`, for all groups of one attribute beside their total: one small group is the total less the others.

    Where the small groups together have fewer than `min_people` people, or one stands alone, the next smallest group
    has no number either (complementary suppression), until neither holds.

    >>> withheld([40, 30, 4], 5).tolist()
    ['', 'a smaller group could be told from it', 'fewer than 5 people']
    >>> withheld([40, 4, 3, 0], 5).tolist()
    ['', 'fewer than 5 people', 'fewer than 5 people', '']
    """
    n = np.asarray(people)
    notes = too_few(n, min_people, unit)
    for at in np.argsort(n, kind="stable"):
        hidden = notes != ""
        if not hidden.any() or (hidden.sum() > 1 and n[hidden].sum() >= min_people):
            break
        if n[at] > 0 and not hidden[at]:
            notes[at] = "a smaller group could be told from it"
    return notes


def binned(values: pd.Series, edges: Sequence[float] = (), most: int = 12) -> tuple[pd.Series, list[float]]:
    """A numeric attribute in a few groups: `edges` are the first values of each but the lowest; and the edges used.

    Without edges, an attribute of more than `most` different numbers is cut into quarters of about equal size; anything
    else stays as it is. Text that is no number, and a missing value, stay as they are.

    >>> groups, used = binned(pd.Series(["17", "30", "64", None]), [30, 65])
    >>> groups[:3].tolist(), used
    (['under 30', '30 to 64', '30 to 64'], [30.0, 65.0])
    """
    number = pd.to_numeric(values, errors="coerce")
    stated = number.notna()
    numeric = bool(stated.any()) and bool((stated | values.isna()).all())
    if not len(edges) and not (numeric and number.nunique() > most):
        return values, []
    cuts = sorted({float(e) for e in edges}) if len(edges) else sorted(set(number.quantile([0.25, 0.5, 0.75])))
    whole = bool((number.dropna() % 1 == 0).all()) and all(c % 1 == 0 for c in cuts)
    if not len(edges) and bool((number.dropna() % 1 == 0).all()):
        cuts, whole = sorted({float(math.ceil(c)) for c in cuts}), True
    digits = 15 if whole else next(d for d in range(6, 18) if len({f"{c:.{d}g}" for c in cuts}) == len(cuts))
    edge = [f"{c:.{digits}g}" for c in cuts]
    ends = [f"{c - 1:.15g}" if whole else f"below {e}" for c, e in zip(cuts[1:], edge[1:], strict=True)]
    middle = [f"{a} to {b}" for a, b in zip(edge[:-1], ends, strict=True)]
    names = np.array([f"under {edge[0]}", *middle, f"{edge[-1]} and over"], object)
    bins = names[np.searchsorted(cuts, number.fillna(0.0).to_numpy(float), side="right")]
    return pd.Series(np.where(stated, bins, values.astype("object")), index=values.index, dtype="object"), cuts
