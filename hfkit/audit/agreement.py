"""How much do raters agree beyond chance? Krippendorff's alpha through coincidence counts.

Items with the same counts of answers are interchangeable, so the data are reduced to count patterns first: the item
bootstrap is then one multinomial draw over the patterns, at any number of answers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from hfkit.shared import evidence, stats

LEVELS = ("nominal", "ordinal", "interval")
MAX_VALUES = 100  # coincidences grow with the square of the values; beyond that a question is not a scale
COLUMNS = ["question", "level", "value", "low", "high", "n_items", "n_raters", "n_answers", "verdict", "note"]

Floats = npt.NDArray[np.float64]


def krippendorff_alpha(
    unit: npt.ArrayLike, value: npt.ArrayLike, *, level: str, rng: np.random.Generator | None = None, n_boot: int = 0
) -> tuple[float, float, float]:
    """How much do answers about the same unit agree, beyond chance? (alpha, low, high).

    1 = all agree, 0 = as if answers were dealt out at random, below 0 = systematic disagreement; higher is better.
    `unit` and `value` are one row an answer. Units with one answer say nothing and are left out. `level` is nominal
    (values equal or not), ordinal (distance in ranks) or interval (distance in numbers; values must be numbers).
    Undefined (NaN) where no unit has two answers or all answers are the same. Bounds (95 %) resample units; NaN without
    `rng`. Krippendorff (2011), Computing Krippendorff's Alpha-Reliability; Hayes and Krippendorff (2007), CMM 1:77.

    >>> unit = [1, 1, 2, 2, 3, 3, 4, 4]
    >>> alpha, low, high = krippendorff_alpha(unit, [0, 0, 1, 1, 0, 1, 1, 1], level="nominal")
    >>> round(alpha, 4), low
    (0.5333, nan)
    """
    patterns, times, values = _patterns(np.asarray(unit), np.asarray(value))
    if not len(times):
        return math.nan, math.nan, math.nan
    point = float(_alpha(times[None, :].astype(float), patterns, values, level)[0])
    if rng is None:
        return point, math.nan, math.nan
    draws = _alpha(stats.resample_counts(times, rng=rng, n_boot=n_boot).astype(float), patterns, values, level)
    low, high = stats.percentile_interval(draws, units=int(times.sum()))
    return point, float(low), float(high)


def _patterns(
    unit: npt.NDArray[np.generic], value: npt.NDArray[np.generic]
) -> tuple[Floats, npt.NDArray[np.int64], Floats]:
    """Distinct count patterns of units with two or more answers, how many units have each, and the sorted values."""
    values, code = np.unique(value, return_inverse=True)
    _, row = np.unique(unit, return_inverse=True)
    counts = np.bincount(row * len(values) + code, minlength=(row.max() + 1) * len(values) if len(row) else 0)
    counts = counts.reshape(-1, max(len(values), 1))
    patterns, times = np.unique(counts[counts.sum(axis=1) > 1], axis=0, return_counts=True)
    numbers = values.astype(float) if np.issubdtype(values.dtype, np.number) else np.arange(len(values), dtype=float)
    return patterns.astype(float), times.astype(np.int64), numbers


def _alpha(weight: Floats, patterns: Floats, values: Floats, level: str) -> Floats:
    """Alpha of each row of `weight` (how often each pattern occurs in that replicate)."""
    k = patterns.shape[1]
    pairs = patterns[:, :, None] * patterns[:, None, :] - patterns[:, :, None] * np.eye(k)
    pairs /= (patterns.sum(axis=1) - 1)[:, None, None]
    coincidence = (weight @ pairs.reshape(len(patterns), -1)).reshape(-1, k, k)
    total = coincidence.sum(axis=2)
    # an ordinal distance is the interval distance between mid-ranks
    place = np.cumsum(total, axis=1) - total / 2 if level == "ordinal" else np.broadcast_to(values, total.shape)
    distance = (place[:, :, None] - place[:, None, :]) ** 2 if level != "nominal" else 1.0 - np.eye(k)[None]
    observed = (coincidence * distance).sum(axis=(1, 2))
    expected = (total[:, :, None] * total[:, None, :] * distance).sum(axis=(1, 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        alpha: Floats = np.where(expected > 0, 1 - (total.sum(axis=1) - 1) * observed / expected, np.nan)
    return alpha


def by_question(
    feedback: pd.DataFrame, *, target: float, n_boot: int, rng: np.random.Generator, levels: Mapping[str, str]
) -> pd.DataFrame:
    """How much do people agree on each question? One row a question and level, bounds from resampled items.

    Only answers of named people count, the last one where somebody answered the same question about the same item
    again. A question is judged at its level of `levels` (binary and unknown ones at nominal); for ranks and numbers the
    other levels are information.
    """
    rows = feedback[(feedback["rater_kind"] == "human") & feedback["rater_id"].notna() & feedback["value"].notna()]
    rows = rows.sort_values(["created_at", "feedback_id"], na_position="first")
    rows = rows.drop_duplicates(["question", "item_id", "rater_id"], keep="last").sort_values(["item_id", "rater_id"])
    table: list[dict[str, object]] = []
    for question in sorted(feedback["question"].unique()):
        own = rows[rows["question"] == question]
        table += _question(question, own, target, n_boot, rng, levels.get(question, "nominal"))
    return pd.DataFrame(table, columns=COLUMNS)


def _question(
    question: str, rows: pd.DataFrame, target: float, n_boot: int, rng: np.random.Generator, declared: str
) -> list[dict[str, object]]:
    numbers = pd.to_numeric(rows["value"], errors="coerce")
    numeric = bool(numbers.notna().all()) and len(rows) > 0
    value = numbers.to_numpy(float) if numeric else rows["value"].to_numpy(str)
    distinct = len(np.unique(value))
    shared = rows.duplicated("item_id", keep=False)
    counted = {"n_items": int(rows.loc[shared, "item_id"].nunique()), "n_raters": int(rows["rater_id"].nunique()),
               "n_answers": int(shared.sum())}  # fmt: skip
    judged = declared if numeric and declared in ("ordinal", "interval") else "nominal"
    out: list[dict[str, object]] = []
    for level in LEVELS if judged != "nominal" else ("nominal",):
        alpha, low, high = math.nan, math.nan, math.nan
        if distinct <= MAX_VALUES:
            alpha, low, high = krippendorff_alpha(rows["item_id"], value, level=level, rng=rng, n_boot=n_boot)
        verdict = evidence.judge(low, high, target=target, better="higher") if level == judged else "info"
        out.append({"question": question, "level": level, "value": alpha, "low": low, "high": high, **counted,
                    "verdict": verdict, "note": _why(alpha, distinct, counted)})  # fmt: skip
    return out


def _why(alpha: float, distinct: int, counted: dict[str, int]) -> str:
    if not math.isnan(alpha):
        return ""
    if counted["n_raters"] == 0:
        return "no answer of a person whose name is known (rater_id missing, or programs only)"
    if distinct > MAX_VALUES:
        return f"more than {MAX_VALUES} different values: not a scale"
    return "no item was answered by two people" if counted["n_items"] == 0 else "everybody gave the same answer"
