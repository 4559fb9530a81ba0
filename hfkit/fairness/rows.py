"""Who is compared with whom: rows, groups and the table of counts from which every rate is computed.

Two perspectives are kept apart by name. `served`: one row is one item, its label is the aggregated one, the groups are
of the person served; rows are independent. `rater`: one row is one answer, its label is that rater's, the groups are of
the person who judged; rows go together by rater and by item.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import csr_array

from hfkit.shared import schema

MODELS = ("baseline", "candidate")
MEASURES = ("selection rate", "true positive rate", "false positive rate", "precision", "accuracy")
BETTER = {
    "selection rate": "none", "true positive rate": "higher", "false positive rate": "lower", "precision": "higher",
    "accuracy": "higher",
}  # fmt: skip
OPPOSITE = {"true positive rate": "false negative rate", "false positive rate": "true negative rate"}
UNIT = {"served": "items", "rater": "raters"}
BLOCK = 1_000_000  # rows counted at once

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Perspective:
    """The rows of one perspective. `y`, `decisions` (row x model; -1 = no score), `component` and `unit` are codes.

    `attributes` names each cohort attribute or intersection, `member[a]` gives each row's group in `groups[a]`.
    `score` (row x model, NaN = none) is the probability behind each decision; None where only decisions are known.
    """

    name: str
    components: tuple[str, ...]
    component: Ints
    y: Ints
    decisions: Ints
    unit: Ints
    item: Ints
    attributes: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    member: tuple[Ints, ...]
    score: npt.NDArray[np.float64] | None = None


def perspectives(
    components: pd.DataFrame, judgements: pd.DataFrame, labels: pd.DataFrame, predictions: pd.DataFrame, *,
    intersections: list[list[str]],
) -> list[Perspective]:  # fmt: skip
    """Which rows may fairness be assessed on? The test rows of retrain with a label, as `served` and as `rater`.

    Answers of weight 0 (flagged raters) are left out of the rater's perspective. A decision is score >= threshold; a
    missing score gives no decision. `intersections` lists attributes to cross, as [["language", "age_band"]]; one that
    names an attribute a perspective does not have is left out there. A missing group value is "not stated"; groups
    that are declared but among no rows are added by terms.completed.
    """
    test = predictions[predictions["split"] == "test"].merge(
        components[["component", "threshold"]], on="component", validate="many_to_one"
    )
    served, rater = schema.cohorts(judgements, "served."), schema.cohorts(judgements, "rater.")
    items = judgements.sort_values("feedback_id").drop_duplicates("item_id")[["item_id", *served]]
    by_item = test.merge(labels[["item_id", "component", "label"]], on=["item_id", "component"])
    by_item = by_item.merge(items, on="item_id", how="left").sort_values(["component", "item_id"])
    answers = judgements.loc[
        judgements["weight"] > 0, ["feedback_id", "item_id", "component", "rater_id", "label", *rater]
    ]
    by_answer = answers.merge(test, on=["item_id", "component"]).sort_values("feedback_id")
    by_answer["unit"] = by_answer["rater_id"].fillna("answer " + by_answer["feedback_id"].astype("str"))
    names = tuple(sorted(components["component"]))
    return [
        _perspective("served", by_item.assign(unit=by_item["item_id"]), served, names, intersections),
        _perspective("rater", by_answer, rater, names, intersections),
    ]


def _perspective(
    name: str, frame: pd.DataFrame, columns: list[str], components: tuple[str, ...], intersections: list[list[str]]
) -> Perspective:
    words = {c: _words(frame[c]) for c in columns}
    for crossed in intersections:
        parts = [f"{name}.{a}" for a in crossed]
        if len(parts) > 1 and set(parts) <= set(columns):
            pairs = [part.split(".", 1)[1] + "=" + words[part] for part in parts[1:]]
            words[" & ".join([parts[0], *crossed[1:]])] = sum((" & " + p for p in pairs), words[parts[0]])
    groups, member = [], []
    for attribute, values in words.items():
        codes, found = pd.factorize(values, sort=True)
        groups.append(tuple(f"{attribute.split(' & ')[0]}={value}" for value in found))
        member.append(codes.astype(np.int64))
    score = frame[list(MODELS)].to_numpy(float)
    decisions = np.where(np.isnan(score), -1, score >= frame[["threshold"]].to_numpy(float)).astype(np.int64)
    return Perspective(
        name, components, pd.Index(components).get_indexer(frame["component"]).astype(np.int64),
        frame["label"].to_numpy(np.int64), decisions, pd.factorize(frame["unit"], sort=True)[0].astype(np.int64),
        pd.factorize(frame["item_id"], sort=True)[0].astype(np.int64), tuple(words), tuple(groups), tuple(member),
        score,
    )  # fmt: skip


def _words(values: pd.Series) -> pd.Series:
    """Group names as text; numbers without a trailing .0; a missing value is the group "not stated"."""
    if pd.api.types.is_numeric_dtype(values):
        values = values.map(lambda v: format(v, "g"), na_action="ignore")
    return values.astype("object").where(values.notna(), schema.NOT_STATED).astype("str")


def cells(p: Perspective, attribute: int) -> tuple[Ints, Ints]:
    """The sufficient statistics of one attribute: counts and units.

    Counts have the axes component, group, label (0, 1), baseline decision, candidate decision (0, 1, none). Units are
    distinct items (served) or raters (rater) by component and group. Every rate, gap and change follows from the
    counts, and a row bootstrap is one multinomial draw over them. Rows are counted block by block, so that of all rows
    only one number each is held beside the input; no rows give zeros.

    >>> rows, one = np.arange(3), np.zeros(3, int)
    >>> says = np.array([[1, 1], [0, 1], [-1, 0]])
    >>> p = Perspective("served", ("c",), one, one + 1, says, one, rows, ("g",), (("g=a", "g=b"),), (rows // 2,))
    >>> counts, units = cells(p, 0)
    >>> counts[0, 0, 1].tolist(), units.tolist()
    ([[0, 1, 0], [0, 1, 0], [0, 0, 0]], [[1, 1]])
    """
    shape = (len(p.components), len(p.groups[attribute]))
    places, many = shape[0] * shape[1], int(p.unit.max(initial=-1)) + 1
    counts, pairs = np.zeros(places * 18, np.int64), np.empty(len(p.y), np.int64)
    for start in range(0, len(p.y), BLOCK):
        rows = slice(start, start + BLOCK)
        where = p.component[rows].astype(np.int64) * shape[1] + p.member[attribute][rows]
        code = ((where * 2 + p.y[rows]) * 3 + p.decisions[rows, 0] % 3) * 3 + p.decisions[rows, 1] % 3
        counts += np.bincount(code, minlength=len(counts))
        pairs[rows] = where * many + p.unit[rows]
    pairs.sort()  # in place; np.unique takes a minute for 10 million rows
    first = np.ones(len(pairs), bool)
    np.not_equal(pairs[1:], pairs[:-1], out=first[1:])
    edges = np.searchsorted(pairs, np.arange(places + 1) * many)
    units = np.array([np.count_nonzero(first[a:b]) for a, b in pairwise(edges)], np.int64)
    return counts.reshape(*shape, 2, 3, 3), units.reshape(shape)


def _masks() -> tuple[Ints, Ints]:
    """What each cell adds to numerator and denominator: statistic, label, baseline decision, candidate decision.

    Statistics are the MEASURES of the baseline, of the candidate, then the candidate's minus the baseline's on rows
    that both decided (a row adds -1, 0 or 1; precision has no such pairing and stays empty).
    """
    y, *decided = np.indices((2, 3, 3))
    top, bottom = [], []
    for d in decided:
        yes, known = d == 1, d < 2
        top += [yes, yes & (y == 1), yes & (y == 0), yes & (y == 1), known & (d == y)]
        bottom += [known, known & (y == 1), known & (y == 0), yes, known]
    both = bottom[0] & bottom[5]
    for s in range(5):
        pair = both & (bottom[s] if s != 3 else False)
        top.append(np.where(pair, top[s + 5].astype(int) - top[s], 0))
        bottom.append(pair)
    return np.array(top).astype(np.int64), np.array(bottom).astype(np.int64)


TOP, BOTTOM = _masks()
_ADDS = csr_array(np.concatenate([TOP, BOTTOM]).reshape(-1, 18))  # mostly zeros: adds whole numbers, without threads
BEFORE, AFTER, CHANGE = slice(0, 5), slice(5, 10), slice(10, 15)
UP, DOWN = (np.asarray(TOP[CHANGE] == step, np.int64) for step in (1, -1))


def fractions(counts: npt.ArrayLike) -> tuple[Ints, Ints]:
    """Numerators and denominators of every statistic (see _masks): the counts' leading axes, then the statistic.

    >>> counts = np.zeros((2, 3, 3), int)
    >>> counts[1, 0, 1], counts[1, 1, 1], counts[0, 1, 0] = 3, 5, 2
    >>> top, bottom = fractions(counts)
    >>> MEASURES[1], top[[1, 6, 11]].tolist(), bottom[[1, 6, 11]].tolist()
    ('true positive rate', [5, 8, 3], [8, 8, 8])
    """
    counts = np.asarray(counts, np.int64)
    both = (_ADDS @ counts.reshape(-1, 18).T).T.reshape(*counts.shape[:-3], 2 * len(TOP))
    return both[..., : len(TOP)], both[..., len(TOP) :]
