"""Which slices are there to look at? A group of people, alone or in one kind of situation, as sets of test rows.

A situation is one item feature: a `feature.*` column, the length of the text, or the part of the week it was served in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import csr_array

from hfkit.fairness.consistency import texts
from hfkit.fairness.perspective import Bools, Floats, Perspective
from hfkit.shared import cluster, cohorts, schema
from hfkit.shared.cohorts import Codes
from hfkit.shared.errors import ParamError

LOSSES = ("log loss", "error", "miss", "false alarm")
_CLIP = 1e-6  # as in stats.log_loss: a score of exactly 0 or 1 costs a finite loss
_WEEK = ("Monday to Thursday", "Friday to Sunday")


@dataclass(frozen=True)
class Search:
    """How to look. `loss` of LOSSES, `margin` the largest tolerated excess in units of the loss.

    `most` slices at most go to the confirming half; slices that share more than `overlap` of their rows (Jaccard) count
    as one, as does a part of a group that is not clearly worse than the group; `fdr` is the tolerated share of false
    ones among the confirmed; features are cut into `bins`; a slice needs `min_rows` rows and people on either side in
    each half; `seed` splits.
    """

    loss: str = "log loss"
    margin: float = 0.05
    min_rows: int = 10
    most: int = 20
    overlap: float = 0.5
    fdr: float = 0.05
    bins: int = 3
    seed: int = 0


@dataclass(frozen=True)
class Cases:
    """The test rows of one component seen from one perspective, and the slices they belong to.

    `loss` is the candidate's, `before` the baseline's (may be missing); `clusters` are codes of rows that go together
    (nearly the same text, and people); `confirm` says which half a row is in; `member` is rows x slices, named `names`.
    """

    component: str
    unit: str
    loss: Floats
    before: Floats
    clusters: tuple[Codes, Codes]
    confirm: Bools
    member: csr_array
    names: tuple[str, ...]


def halves(keys: pd.Series, seed: int) -> npt.NDArray[np.bool_]:
    """Which half does each item belong to? True = confirm. By a keyed hash: the same in every run and any row order.

    >>> keys = pd.Series([f"i{k}" for k in range(1000)])
    >>> bool(400 < halves(keys, 1).sum() < 600), bool((halves(keys, 1) == halves(keys[::-1], 1)[::-1]).all())
    (True, True)
    """
    key = f"{seed % 10**16:016d}"
    return np.asarray(pd.util.hash_array(keys.to_numpy(object), hash_key=key, categorize=False) % 2 == 1, bool)


def levels(values: pd.Series, bins: int) -> pd.Series:
    """The level of each value as words: numbers cut into `bins` of equal size, anything else as it is.

    Numbers with no more than `bins` different values stay as they are; a missing value is "not stated".

    >>> levels(pd.Series([1.0, 2, 3, 4, 5, 6, None]), 3).tolist()[1:]
    ['up to 2.667', '2.667 to 4.333', '2.667 to 4.333', 'above 4.333', 'above 4.333', 'not stated']
    """
    number = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    if not number or values.nunique() <= bins:
        return cohorts.words(values)
    x = values.to_numpy(float, na_value=np.nan)
    edges = np.unique(np.nanquantile(x, np.arange(1, bins) / bins))
    edge = [format(e, ".4g") for e in edges]
    words = [
        f"up to {edge[0]}",
        *(f"{a} to {b}" for a, b in pairwise(edge)),
        f"above {edge[-1]}",
    ]
    named = np.array(words, object)[np.searchsorted(edges, x)]
    return pd.Series(np.where(np.isnan(x), schema.NOT_STATED, named), index=values.index).astype("str")


def situation_kinds(items: pd.DataFrame, bins: int) -> pd.DataFrame:
    """The situations of each item as words: `feature.*`, text length (characters) and served on (weekday, UTC)."""
    out = {c: levels(items[c], bins) for c in sorted(items.columns) if c.startswith("feature.")}
    if "text" in items and items["text"].notna().any():
        out["text length"] = levels(items["text"].str.len(), bins)
    if "served_at" in items and items["served_at"].notna().any():
        day = items["served_at"].dt.day_of_week
        out["served on"] = cohorts.words(pd.Series(np.where(day < 4, *_WEEK), index=items.index).where(day.notna()))
    return pd.DataFrame(out, index=items.index)


def losses(y: npt.ArrayLike, score: npt.ArrayLike, threshold: npt.ArrayLike, loss: str) -> Floats:
    """What does each row cost? "log loss" in nats; "error" 0 or 1, acting where score >= threshold.

    "miss" is the error of rows with the event, "false alarm" of those without; NaN for the others and without a score.

    >>> losses([1, 0], [0.5, np.nan], [0.4, 0.4], "log loss").round(4).tolist(), losses([0], [0.5], [0.4], "error")
    ([0.6931, nan], array([1.]))
    >>> losses([1, 1, 0], [0.1, 0.9, 0.9], 0.5, "miss").tolist()
    [1.0, 0.0, nan]
    """
    y, score = np.asarray(y, float), np.asarray(score, float)
    if loss != "log loss":
        counted = ~np.isnan(score) & ((loss == "error") | ((y > 0.5) == (loss == "miss")))
        return np.where(counted, (score >= np.asarray(threshold, float)) != (y > 0.5), np.nan).astype(float)
    p = np.clip(score, _CLIP, 1 - _CLIP)
    return np.asarray(-(y * np.log(p) + (1 - y) * np.log1p(-p)), float)


def members(groups: dict[str, tuple[Codes, list[str]]], kinds: pd.DataFrame, least: int) -> tuple[csr_array, list[str]]:
    """Rows x slices, and the slices' names: the groups of each cohort alone, and crossed with each of `kinds`.

    `groups` maps a cohort to each row's code and the groups' names. Slices of fewer than `least` rows are left out.

    >>> one = {"served.l": (np.array([1, 1, 0, 0]), ["served.l=en", "served.l=es"])}
    >>> matrix, names = members(one, pd.DataFrame({"text length": ["long", "long", "long", "short"]}), 2)
    >>> names, matrix.toarray()[:, 0].tolist()
    (['served.l=en', 'served.l=es', 'served.l=es & text length=long'], [0, 0, 1, 1])
    """
    names: list[str] = []
    blocks: list[Codes] = []
    coded = {c: pd.factorize(kinds[c], sort=True) for c in kinds}
    for inner, first in groups.values():
        crossed = [(inner, first)]
        for kind, (code, values) in coded.items():
            pairs = [f"{a} & {kind}={b}" for a in first for b in values]
            crossed.append((inner * len(values) + code, pairs))
        for code, words in crossed:
            keep = np.bincount(code, minlength=len(words)) >= least
            place = np.where(keep, np.cumsum(keep) - 1 + len(names), -1)
            blocks.append(place[code])
            names += [w for w, k in zip(words, keep, strict=True) if k]
    columns = np.column_stack(blocks) if blocks else np.zeros((len(kinds), 0), np.int64)
    row, block = np.nonzero(columns >= 0)
    data = (np.ones(len(row), np.int64), (row, columns[row, block]))
    matrix = csr_array(data, shape=(len(kinds), len(names)))
    order = np.argsort(np.array(names, object)) if names else np.zeros(0, int)
    return csr_array(matrix[:, order]), [names[i] for i in order]


def cases(
    views: Sequence[Perspective], items: pd.DataFrame, components: pd.DataFrame, *, settings: Search
) -> list[Cases]:
    """The rows with a loss of the candidate, by perspective and component, with their slices.

    Items of nearly the same text go to the same half. Raises ParamError for a loss there is none of.
    """
    if settings.loss not in LOSSES:
        raise ParamError(
            expected=" or ".join(LOSSES), found=str(settings.loss), where="fairness: loss of the slice search",
            todo="correct it",
        )  # fmt: skip
    named = situation_kinds(items, settings.bins).set_index(items["item_id"].to_numpy(object))
    threshold = components.set_index("component")["threshold"].astype(float)
    out = []
    for view in views:
        names = texts(view, items)
        same = np.where(names == "", "item " + view.items, names).astype(object)
        for at, component in enumerate(view.components):
            rows = np.flatnonzero(view.component == at)
            before, loss = (
                losses(view.event[rows], view.score[rows, m], threshold[component], settings.loss) for m in (0, 1)
            )
            use = ~np.isnan(loss)
            rows, before, loss = rows[use], before[use], loss[use]
            groups = {c.name: (c.code[rows], [str(g) for g in c.groups]) for c in view.cohorts if c.main}
            here = named.reindex(view.items[rows]).fillna(schema.NOT_STATED).reset_index(drop=True)
            member, slices = members(groups, here, 2 * settings.min_rows)
            half = halves(pd.Series(same[rows]), settings.seed)
            codes = cluster.codes(same[rows].astype(str)), cluster.codes(view.people[rows])
            out.append(Cases(component, view.unit, loss, before, codes, half, member, tuple(slices)))
    return out
