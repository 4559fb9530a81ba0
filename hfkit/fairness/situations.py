"""Which slices are there to look at? A group of people, alone or in one kind of situation, as sets of test rows.

A situation is one item feature: a `feature.*` column, the length of the text, or the part of the week it was served in.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import csr_array

from hfkit.fairness.rows import MODELS, Ints, _words
from hfkit.shared import learn, schema
from hfkit.shared.errors import ParamError

Floats = npt.NDArray[np.float64]
LOSSES = ("log loss", "error", "miss", "false alarm")
_CLIP = 1e-6  # as in stats.log_loss: a score of exactly 0 or 1 costs a finite loss
_WEEK = ("Monday to Thursday", "Friday to Sunday")


@dataclass(frozen=True)
class Search:
    """How to look. `model` of MODELS, `loss` of LOSSES, `margin` the largest tolerated excess in units of the loss.

    `most` slices at most go to the confirming half; slices that share more than `overlap` of their rows (Jaccard) count
    as one, as does a part of a group that is not clearly worse than the group; `fdr` is the tolerated share of false
    ones among the confirmed; features are cut into `bins`; `seed` splits; counts go out in multiples of `round_to`.
    """

    model: str = "candidate"
    loss: str = "log loss"
    margin: float = 0.05
    min_group: int = 10
    most: int = 20
    overlap: float = 0.5
    fdr: float = 0.05
    bins: int = 3
    seed: int = 0
    round_to: int = 1


@dataclass(frozen=True)
class Cases:
    """The test rows of one component seen from one perspective, and the slices they belong to.

    `loss` is of the model in question, `other` of the other model (may be missing); `item` (nearly the same text = same
    code) and `unit` (item or rater) are codes; `confirm` says which half a row is in; `member` is rows x slices, named
    `names`.
    """

    component: str
    perspective: str
    loss: Floats
    other: Floats
    item: Ints
    unit: Ints
    confirm: npt.NDArray[np.bool_]
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
        return _words(values)
    x = values.to_numpy(float, na_value=np.nan)
    edges = np.unique(np.nanquantile(x, np.arange(1, bins) / bins))
    shown = [format(e, ".4g") for e in edges]
    words = [
        f"up to {shown[0]}",
        *(f"{a} to {b}" for a, b in pairwise(shown)),
        f"above {shown[-1]}",
    ]
    found = np.array(words, object)[np.searchsorted(edges, x)]
    return pd.Series(np.where(np.isnan(x), schema.NOT_STATED, found), index=values.index).astype("str")


def situations(items: pd.DataFrame, bins: int) -> pd.DataFrame:
    """The situations of each item as words: `feature.*`, text length (characters) and served on (weekday, UTC)."""
    out = {c: levels(items[c], bins) for c in sorted(items.columns) if c.startswith("feature.")}
    if "text" in items and items["text"].notna().any():
        out["text length"] = levels(items["text"].str.len(), bins)
    if "served_at" in items and items["served_at"].notna().any():
        day = items["served_at"].dt.day_of_week
        out["served on"] = _words(pd.Series(np.where(day < 4, *_WEEK), index=items.index).where(day.notna()))
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


def members(groups: pd.DataFrame, kinds: pd.DataFrame, least: int) -> tuple[csr_array, tuple[str, ...]]:
    """Rows x slices, and the slices' names: each group (column of `groups`) alone and crossed with each of `kinds`.

    Slices of fewer than `least` rows are left out.

    >>> one = pd.DataFrame({"served.l": ["es", "es", "en", "en"]})
    >>> matrix, names = members(one, pd.DataFrame({"text length": ["long", "long", "long", "short"]}), 2)
    >>> names, matrix.toarray()[:, 0].tolist()
    (('served.l=en', 'served.l=es', 'served.l=es & text length=long'), [0, 0, 1, 1])
    """
    names: list[str] = []
    blocks: list[Ints] = []
    coded = {c: pd.factorize(kinds[c], sort=True) for c in kinds}
    for column in groups:
        inner, group = pd.factorize(groups[column], sort=True)
        first = [f"{column}={g}" for g in group]
        crossed = [(inner, first)]
        for kind, (code, found) in coded.items():
            pairs = [f"{a} & {kind}={b}" for a in first for b in found]
            crossed.append((inner * len(found) + code, pairs))
        for code, words in crossed:
            keep = np.bincount(code, minlength=len(words)) >= least
            place = np.where(keep, np.cumsum(keep) - 1 + len(names), -1)
            blocks.append(place[code])
            names += [w for w, k in zip(words, keep, strict=True) if k]
    columns = np.column_stack(blocks) if blocks else np.zeros((len(groups), 0), np.int64)
    row, block = np.nonzero(columns >= 0)
    data = (np.ones(len(row), np.int64), (row, columns[row, block]))
    matrix = csr_array(data, shape=(len(groups), len(names)))
    order = np.argsort(np.array(names, object)) if names else np.zeros(0, int)
    return csr_array(matrix[:, order]), tuple(names[i] for i in order)


def cases(
    components: pd.DataFrame, judgements: pd.DataFrame, labels: pd.DataFrame, predictions: pd.DataFrame,
    items: pd.DataFrame, *, settings: Search,
) -> list[Cases]:  # fmt: skip
    """The rows with a label and a loss, by component, as the people served and as the raters, with their slices.

    The candidate is asked about test rows only; the baseline about all, for it had answered before anybody judged.
    Items of nearly the same text (learn.text_groups) go to the same half. Answers of weight 0 (flagged raters) are left
    out of the rater's view.
    Raises ParamError for a model or a loss there is none of.
    """
    for name, value, known in (("model", settings.model, MODELS), ("loss", settings.loss, LOSSES)):
        if value not in known:
            raise ParamError(
                expected=" or ".join(known), found=str(value), where=f"fairness: {name} of the slice search",
                todo="correct it",
            )  # fmt: skip
    test = predictions.assign(candidate=predictions["candidate"].where(predictions["split"] == "test"))
    test = test[test[settings.model].notna()].merge(components[["component", "threshold"]], on="component")
    text = pd.Series(learn.text_groups(items).to_numpy(object), index=items["item_id"].to_numpy(object))
    test["same"] = (
        test["item_id"].map(text.to_dict()).astype("object").fillna("item " + test["item_id"].astype("object"))
    )
    kinds = situations(items, settings.bins).set_index(items["item_id"].to_numpy(object))
    served, rater = schema.cohorts(judgements, "served."), schema.cohorts(judgements, "rater.")
    first = judgements.sort_values("feedback_id").drop_duplicates("item_id")[["item_id", *served]]
    by_item = test.merge(labels[["item_id", "component", "label"]], on=["item_id", "component"])
    by_item = by_item.merge(first, on="item_id", how="left").sort_values(["component", "item_id"])
    own = ["feedback_id", "item_id", "component", "rater_id", "label", *rater]
    by_answer = judgements.loc[judgements["weight"] > 0, own].merge(test, on=["item_id", "component"])
    by_answer = by_answer.sort_values("feedback_id")
    by_answer["unit"] = by_answer["rater_id"].fillna("answer " + by_answer["feedback_id"].astype("str"))
    views = (("served", by_item.assign(unit=by_item["item_id"]), served), ("rater", by_answer, rater))
    return [
        _cases(component, (name, columns), rows, kinds, settings)
        for name, frame, columns in views
        for component, rows in frame.groupby("component", sort=True)
    ]


def _cases(
    component: str, view: tuple[str, list[str]], rows: pd.DataFrame, kinds: pd.DataFrame, settings: Search
) -> Cases:
    rows = rows[~np.isnan(losses(rows["label"], rows[settings.model], rows["threshold"], settings.loss))]
    groups = pd.DataFrame({c: levels(rows[c], len(rows)) for c in view[1]}, index=rows.index)
    here = kinds.reindex(rows["item_id"].to_numpy(object)).fillna(schema.NOT_STATED)
    member, names = members(groups, here, 2 * settings.min_group)
    other = MODELS[1 - MODELS.index(settings.model)]
    own, others = (losses(rows["label"], rows[m], rows["threshold"], settings.loss) for m in (settings.model, other))
    item, unit = (pd.factorize(rows[c], sort=True)[0].astype(np.int64) for c in ("same", "unit"))
    half = halves(rows["same"], settings.seed)
    return Cases(component, view[0], own, others, item, unit, half, member, names)
