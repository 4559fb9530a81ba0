"""What the monitor room watches: one signal is one series of dated values of one component.

Inputs (features, text length, who is served), scores, latency, errors, and what people say.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import bdtr

from hfkit.shared import cluster, intervals, schema

Floats = npt.NDArray[np.float64]
DAY = 86_400_000_000  # microseconds
TOP = 9  # categories told apart in a mix; the rest is one category, "other"
LEVELS = {"median": 0.5, "p95": 0.95}
# column of items -> the signals made of it, each a name and how a period is summed up
CORE = {
    "score": (("score", "mean"),), "latency_ms": (("latency p50", "median"), ("latency p95", "p95")),
    "error": (("error rate", "share"),),
}  # fmt: skip


@dataclass(frozen=True)
class Signal:
    """One signal: time (microseconds, ascending) and value of each row; `kind` says how a period is summed up.

    kind: mean, median, p95 of numbers; share of 0/1; mix of categories (values are the numbers of the categories).
    """

    component: str
    name: str
    kind: str
    time: npt.NDArray[np.int64]
    value: Floats
    labels: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.value)


def collect(items: pd.DataFrame, feedback: pd.DataFrame) -> list[Signal]:
    """Every signal that can be watched, in order of component and name; rows without a date take no part.

    From items (at served_at): score, latency p50 and p95, error rate, text length, each feature.*, the mix of each
    cohort.* (`served.*`), and the share missing of score, latency and numeric features where only some are. From
    feedback (at created_at): the share of answers that say the event holds. A column that is all missing gives none.
    """
    signals = []
    dated = items[items["served_at"].notna()].sort_values(["served_at", "item_id"], kind="stable")
    for component, part in dated.groupby("component", sort=True):
        signals += _of_items(str(component), part)
    answers = feedback[feedback["created_at"].notna() & feedback["label"].notna()]
    answers = answers.sort_values(["created_at", "feedback_id"], kind="stable")
    for component, part in answers.groupby("component", sort=True):
        signals.append(_number(str(component), "feedback event share", "share", part["created_at"], part["label"]))
    return sorted(signals, key=lambda s: (s.component, s.name))


def absent(items: pd.DataFrame, feedback: pd.DataFrame) -> list[tuple[str, str, str]]:
    """What cannot be watched and for want of which column: (component, signal, note), the core signals only."""
    absent = []
    for component, part in items.groupby("component", sort=True):
        if part["served_at"].isna().all():
            absent.append((str(component), "items", "no served_at: the items carry no date"))
        else:
            absent += [(str(component), name, f"no {column}") for column, made in CORE.items()
                      if part[column].isna().all() for name, _ in made]  # fmt: skip
        answers = feedback[(feedback["component"] == component) & feedback["label"].notna()]
        if answers["created_at"].isna().all():
            note = "no created_at: the feedback carries no date" if len(answers) else "no labelled feedback"
            absent.append((str(component), "feedback event share", note))
    return absent


def _of_items(component: str, part: pd.DataFrame) -> list[Signal]:
    when = part["served_at"]
    signals: list[Signal] = []
    columns = {c: made for c, made in CORE.items() if part[c].notna().any()}
    numeric = [c for c in schema.cohorts(part, "feature.") if pd.api.types.is_numeric_dtype(part[c])]
    columns |= {c: ((c, "mean"),) for c in numeric if part[c].notna().any()}
    for column, made in columns.items():
        signals += [_number(component, name, kind, when, part[column]) for name, kind in made]
        if column != "error" and part[column].isna().any():
            signals.append(_number(component, f"missing {column}", "share", when, part[column].isna().astype(float)))
    if part["text"].notna().any():
        signals.append(_number(component, "text length", "mean", when, part["text"].str.len()))
    for column in [*schema.cohorts(part, "feature."), *schema.cohorts(part)]:
        if column not in numeric and part[column].notna().any():
            signals.append(_mix(component, column.replace("cohort.", "served.", 1), when, part[column]))
    return signals


def _number(component: str, name: str, kind: str, when: pd.Series, values: pd.Series) -> Signal:
    kept = values.notna().to_numpy()
    numbers = values.to_numpy(float)[kept]
    if kind == "mean" and bool(np.isin(numbers, (0.0, 1.0)).all()):
        kind = "share"
    return Signal(component, name, kind, _micro(when)[kept], numbers)


def _mix(component: str, name: str, when: pd.Series, values: pd.Series) -> Signal:
    text = values.fillna(schema.NOT_STATED).astype(str)
    counts = text.value_counts()
    order = sorted(counts.index, key=lambda v: (-counts[v], v))
    labels = tuple(order[:TOP]) + (("other",) if len(order) > TOP else ())
    codes = np.minimum(pd.Index(order).get_indexer(text), len(labels) - 1)
    return Signal(component, name, "mix", _micro(when), codes.astype(float), labels)


def _micro(when: pd.Series) -> npt.NDArray[np.int64]:
    return np.asarray(when.astype("datetime64[us, UTC]").astype("int64"), np.int64)


def days(s: Signal) -> npt.NDArray[np.int64]:
    """The day (UTC) of each row: rows of one day go together."""
    return s.time // DAY


def day_effect(values: Floats, day: npt.NDArray[np.int64]) -> tuple[float, float]:
    """How many rows count as one, because those of a day go together (1 or more), and the degrees of freedom.

    Too few days to tell, or no variation: 1 row a day is what counts at most.
    """
    if len(values) == 0:
        return 1.0, math.inf
    effect, df = cluster.design(values[:, None], np.ones((len(values), 1)), cluster.codes(day))
    return float(effect[0]), float(df[0])


def summary(
    values: Floats, kind: str, level: float = 0.95, day: npt.NDArray[np.int64] | None = None
) -> tuple[float, float, float]:
    """A period's mean, median, p95 or share with its interval (value, low, high); nothing gives NaN.

    Means: Student; shares: Wilson (1927); quantiles: order statistics by the binomial distribution of their rank, NaN
    where too few values lie beyond (p95: fewer than 72 values have no upper bound). With `day`, rows of one day go
    together: as many rows count as the design effect leaves, and Student's t has the days' degrees of freedom. Fewer
    than 3 days: no bounds.

    >>> [round(v, 3) for v in summary(np.arange(1.0, 101.0), "median")]
    [50.5, 40.0, 61.0]
    """
    n = len(values)
    if n == 0:
        return math.nan, math.nan, math.nan
    if kind == "mean":
        order = np.argsort(values, kind="stable")
        return cluster.mean_interval(values[order], *([] if day is None else [day[order]]), level=level)
    ordered = np.sort(values)
    point = float(values.mean()) if kind == "share" else float(np.quantile(ordered, LEVELS[kind]))
    effect, df = 1.0, math.inf
    if day is not None:
        effect, df = day_effect(values if kind == "share" else (values <= point).astype(float), day)
        if df + 1 < cluster.FEWEST:
            return point, math.nan, math.nan
    level = float(intervals.student(level, df))
    if kind == "share":
        low, high = intervals.wilson(values.sum() / effect, n / effect, level)
        return point, float(low), float(high)
    m = max(int(n / effect), 1)  # the rank in n rows of what would be the rank in as many as count
    below = bdtr(np.arange(m), m, LEVELS[kind])  # chance that at most 0, 1, ... values lie below the quantile
    down, up = int(np.searchsorted(below, 0.5 - level / 2, side="right")), int(np.searchsorted(below, 0.5 + level / 2))
    low = float(ordered[math.ceil(down * n / m) - 1]) if down >= 1 else math.nan
    high = float(ordered[min(math.floor(up * n / m), n - 1)]) if up < m else math.nan
    return point, low, high


def spread(values: Floats, kind: str) -> float:
    """The yardstick of a shift: the standard deviation (mean, share) or half the middle 68 % (median, p95); >= 0."""
    if kind == "share":
        p = (values.sum() + 1) / (len(values) + 2)
        return math.sqrt(float(p * (1 - p)))
    if kind == "mean":
        return float(values.std()) if len(values) else 0.0
    return float(np.diff(np.quantile(values, [0.16, 0.84]))[0]) / 2 if len(values) else 0.0


def distance(before: Floats, after: Floats, size: int, effect: float = 1.0) -> tuple[float, float, float]:
    """How far apart are two mixes of `size` categories? (w, low, high), 0 = alike, less what chance alone makes.

    w = sqrt(sum (q - p)^2 / mean of p and q), in 0..2: for two categories the difference in standard deviations; its
    square is close to the population stability index. It is Cohen's w (1988, Statistical Power Analysis, chapter 7),
    made symmetric, so that a category that is rare in one mix does not blow it up: Topsoe (2000), IEEE Transactions on
    Information Theory 46:1602. The bounds are w -+ 1.96 sqrt(1/n + 1/m), where
    `effect` rows of n and m count as one. Either empty, or one category: NaN.

    >>> [round(v, 2) for v in distance(np.repeat([0.0, 1.0], 500), np.repeat([0.0, 1.0], [400, 600]), 2)]
    [0.2, 0.11, 0.28]
    """
    if min(len(before), len(after)) == 0 or size < 2:
        return math.nan, math.nan, math.nan
    p = np.bincount(before.astype(int), minlength=size) / len(before)
    q = np.bincount(after.astype(int), minlength=size) / len(after)
    both = (p + q) > 0
    noise = effect * (1 / len(before) + 1 / len(after))
    squared = float((2 * (q - p)[both] ** 2 / (p + q)[both]).sum())
    w = math.sqrt(max(squared - (both.sum() - 1) * noise, 0.0))
    half = 1.96 * math.sqrt(noise)
    return w, max(w - half, 0.0), w + half
