"""How much do raters agree beyond chance? Krippendorff's alpha, with intervals that know items and raters repeat."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import stdtrit

from hfkit.shared import cluster, cohorts, evidence, schema

LEVELS = ("nominal", "ordinal", "interval")
FEWEST = 10  # items with two answers; fewer carry no interval
MAX_VALUES = 100  # coincidences grow with the square of the values; beyond that a question is not a scale
COLUMNS = ["question", "group", "level", "value", "low", "high", "n_items", "n_raters", "n_answers", "verdict", "note"]

Floats = npt.NDArray[np.float64]


class Limits(NamedTuple):
    """What agreement is held against: the least alpha, and the fewest people a group is numbered for."""

    target: float = 0.667
    min_people: int = 5


def alpha_of_counts(counts: npt.ArrayLike, values: npt.ArrayLike, *, level: str) -> float:
    """Krippendorff's alpha of ready counts: (units, values), how many answers of each unit have each value.

    See krippendorff_alpha.

    >>> round(alpha_of_counts([[2, 0], [0, 2], [1, 1], [0, 2]], [0, 1], level="nominal"), 4)
    0.5333
    """
    c = np.asarray(counts, float)
    return float(_alpha(*_coincidence(c[c.sum(axis=1) > 1]), np.asarray(values, float), level)[0])


def krippendorff_alpha(
    unit: npt.ArrayLike, value: npt.ArrayLike, *, level: str, rater: npt.ArrayLike | None = None
) -> tuple[float, float, float]:
    """How much do answers about the same unit agree, beyond chance? (alpha, low, high).

    1 = all agree, 0 = as if answers were dealt out at random, below 0 = systematic disagreement; higher is better.
    `unit`, `value` and `rater` are one row an answer. Units with one answer say nothing and are left out. `level` is
    nominal (values equal or not), ordinal (distance in ranks) or interval (distance in numbers; values must be
    numbers). Undefined (NaN) where no unit has two answers or all answers are the same; no bounds with fewer than
    FEWEST units. Bounds (95 %) are for other units and, with `rater`, other raters: what each answer adds to alpha,
    summed by unit and by rater (cluster.variance), Student's t on log(1 - alpha). Krippendorff (2011), Computing
    Krippendorff's Alpha-Reliability; the linearization after Gwet (2014), Handbook of Inter-Rater Reliability,
    chapter 5.

    >>> unit = [1, 1, 2, 2, 3, 3, 4, 4]
    >>> alpha, low, high = krippendorff_alpha(unit, [0, 0, 1, 1, 0, 1, 1, 1], level="nominal")
    >>> round(alpha, 4), low
    (0.5333, nan)
    """
    values, code = np.unique(np.asarray(value), return_inverse=True)
    row = np.unique(np.asarray(unit), return_inverse=True)[1]
    several = np.bincount(row)[row] > 1 if len(row) else np.zeros(0, bool)
    row, code = np.unique(row[several], return_inverse=True)[1], code[several]
    if not len(row):
        return math.nan, math.nan, math.nan
    k = len(values)
    counts = np.bincount(row * k + code, minlength=(int(row.max()) + 1) * k).reshape(-1, k).astype(float)
    numbers = values.astype(float) if np.issubdtype(values.dtype, np.number) else np.arange(k, dtype=float)
    pairs, total = _coincidence(counts)
    alpha, distance = _alpha(pairs, total, numbers, level)
    if math.isnan(alpha):
        return alpha, math.nan, math.nan
    clusters = [row] if rater is None else [row, cluster.codes(np.asarray(rater)[several])]
    spread = float(cluster.variance(_shares(counts, distance, pairs, row, code), *clusters)[0])
    df = cluster.effective(np.ones(len(row)), *clusters) - 1
    if len(counts) < FEWEST or not spread > cluster.NOTHING or df < 1 or alpha >= 1:
        return alpha, math.nan, math.nan
    half = float(stdtrit(df, 0.975)) * math.sqrt(spread) / (1 - alpha)
    return alpha, 1 - (1 - alpha) * math.exp(half), 1 - (1 - alpha) * math.exp(-half)


def _coincidence(counts: Floats) -> tuple[Floats, Floats]:
    """Pairs of values within units (values x values), each unit's divided by its answers less one; and their sums."""
    scaled = counts / (counts.sum(axis=1, keepdims=True) - 1)
    pairs = counts.T @ scaled - np.diag(scaled.sum(axis=0))
    return np.asarray(pairs, float), np.asarray(counts.sum(axis=0), float)


def _alpha(pairs: Floats, total: Floats, values: Floats, level: str) -> tuple[float, Floats]:
    """Alpha, and the distances between values that it is measured in."""
    # an ordinal distance is the interval distance between mid-ranks
    place = np.cumsum(total) - total / 2 if level == "ordinal" else values
    distance = (place[:, None] - place[None, :]) ** 2 if level != "nominal" else 1.0 - np.eye(len(total))
    expected = float(total @ distance @ total)
    lost = float((total.sum() - 1) * (pairs * distance).sum())
    return (1 - lost / expected if expected > 0 else math.nan), distance


def _shares(
    counts: Floats, distance: Floats, pairs: Floats, row: npt.NDArray[np.int64], code: npt.NDArray[np.int64]
) -> Floats:
    """How much does each answer add to alpha? Its derivative by the answer's weight, the distances held fixed."""
    total, m = counts.sum(axis=0), counts.sum(axis=1)
    n, observed, expected = total.sum(), float((pairs * distance).sum()), float(total @ distance @ total)
    near, far = counts @ distance, distance @ total
    within, size, own = (counts * near).sum(axis=1)[row], m[row], counts[row] @ far
    more_observed = 2 * near[row, code] / (size - 1) - within / (size * (size - 1))
    more_expected = 2 * (((size - 2) * far[code] + own) / (size - 1) - own / size)
    out: Floats = (n - 1) * (observed * more_expected / expected - more_observed) / expected - observed / expected
    return out


def by_question(
    feedback: pd.DataFrame, raters: pd.DataFrame, *, limits: Limits, levels: Mapping[str, str]
) -> pd.DataFrame:
    """How much do people agree on each question? One row a question, group and level.

    Only answers of named people count, the last one where somebody answered the same question about the same item
    again. A question is judged at its level of `levels` (binary and unknown ones at nominal); for ranks and numbers the
    other levels are information, and so is the label that the rubric makes of the answers (level "label"). Groups of
    raters (`rater.x=g`) at the judged level: people of one group among themselves; groups of fewer than
    `limits.min_people` are named, not numbered.
    """
    rows = feedback[(feedback["rater_kind"] == "human") & feedback["rater_id"].notna() & feedback["value"].notna()]
    rows = rows.sort_values(["created_at", "feedback_id"], na_position="first")
    rows = rows.drop_duplicates(["question", "item_id", "rater_id"], keep="last").sort_values(["item_id", "rater_id"])
    columns = schema.cohorts(raters)
    rows = rows.merge(raters[["rater_id", *columns]], on="rater_id", how="left")
    table: list[dict[str, object]] = []
    for question in sorted(feedback["question"].unique()):
        own = rows[rows["question"] == question]
        table += _question(str(question), own, columns, limits, levels.get(question, "nominal"))
    return pd.DataFrame(table, columns=COLUMNS)


def _question(
    question: str, rows: pd.DataFrame, columns: list[str], limits: Limits, declared: str
) -> list[dict[str, object]]:
    numbers = pd.to_numeric(rows["value"], errors="coerce")
    numeric = bool(numbers.notna().all()) and len(rows) > 0
    rows = rows.assign(value=numbers if numeric else rows["value"].astype(str))
    judged = declared if numeric and declared in ("ordinal", "interval") else "nominal"
    out = []
    for level in LEVELS if judged != "nominal" else ("nominal",):
        row = _measured(rows, level)
        low, high = (float(row[b]) for b in ("low", "high"))  # type: ignore[arg-type]
        verdict = evidence.judge(low, high, target=limits.target, better="higher") if level == judged else "info"
        out.append({"question": question, "group": "all", "level": level, "verdict": verdict} | row)
    labelled = rows[rows["label"].notna()]
    if labelled["value"].nunique() > 2:
        row = _measured(labelled.assign(value=labelled["label"]), "nominal")
        out.append({"question": question, "group": "all", "verdict": "info"} | row | {"level": "label"})
    for column in columns:
        for group, part in rows.groupby(cohorts.words(rows[column]), sort=True):
            name = str(cohorts.Group("rater", (column.removeprefix("cohort."),), (str(group),)))
            row = _measured(part, judged, few=limits.min_people)
            out.append({"question": question, "group": name, "level": judged, "verdict": "info"} | row)
    return out


def _measured(rows: pd.DataFrame, level: str, *, few: int = 0) -> dict[str, object]:
    people, distinct = int(rows["rater_id"].nunique()), int(rows["value"].nunique())
    nothing = {"value": math.nan, "low": math.nan, "high": math.nan}
    if people < few:
        note = f"fewer than {few} raters: named, not numbered"
        return nothing | {"n_items": 0, "n_raters": 0, "n_answers": 0, "note": note}
    shared = rows.duplicated("item_id", keep=False)
    counted = {
        "n_items": int(rows.loc[shared, "item_id"].nunique()),
        "n_raters": people,
        "n_answers": int(shared.sum()),
    }
    if distinct > MAX_VALUES:
        return nothing | counted | {"note": f"more than {MAX_VALUES} different values: not a scale"}
    value = rows["value"].to_numpy(float) if level != "nominal" else rows["value"].astype(str).to_numpy(str)
    alpha = krippendorff_alpha(rows["item_id"].to_numpy(str), value, level=level, rater=rows["rater_id"].to_numpy(str))
    return dict(zip(("value", "low", "high"), alpha, strict=True)) | counted | {"note": _why(alpha[0], counted)}


def _why(alpha: float, counted: dict[str, int]) -> str:
    if not math.isnan(alpha):
        return ""
    if counted["n_raters"] == 0:
        return "no answer of a person whose name is known (rater_id missing, or programs only)"
    return "no item was answered by two people" if counted["n_items"] == 0 else "everybody gave the same answer"
