"""How many people decide? The smallest set of raters without whom a verdict would be another one.

Every answer judges the candidate by its own label: the mean of candidate minus baseline over answers. For the sign of
that mean the smallest set is exact at any size. For its interval (raters as clusters) all sets are tried while they are
few enough; beyond that greedy removal gives a set that flips it, so that at most so many raters decide. The idea of the
smallest influential set is from Broderick, Giordano and Meager (2020), arXiv 2011.14999; theirs is a linear
approximation, these figures hold.
"""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import stdtrit

from hfkit.fairness.labels.rules import BETTER, answers
from hfkit.fairness.perspective import Floats

DECIDERS = ["component", "criterion", "verdict", "raters", "smallest_known", "lower_bound", "exact", "share_of_raters",
            "note"]  # fmt: skip
VERDICT = {1: "pass", -1: "fail", 0: "inconclusive"}
LEVEL = 0.95


def fewest_raters(
    components: pd.DataFrame, judgements: pd.DataFrame, predictions: pd.DataFrame, *, measure: str = "log loss",
    most: int = 100_000,
) -> pd.DataFrame:  # fmt: skip
    """How many people decide? Two rows a component, by `criterion`.

    "sign": the mean is no longer strictly on its side of zero (one rater must stay). "interval": another verdict of its
    95 % interval, clustered by rater (pass = better, fail = worse, inconclusive; two raters must stay).
    `smallest_known` raters flip it, fewer than `lower_bound` cannot; `exact` says that the two meet or all
    sets were tried, at most `most` of one size. Missing `smallest_known`: no removal flips it, or none
    was found (see `note`). More is better: a verdict that hangs on few is those few people's verdict. An anonymous
    answer is a rater of its own, which can make the number too high.
    """
    rows = answers(components, judgements, predictions, measure=measure)
    sign = 1.0 if BETTER[measure] == "higher" else -1.0
    weight = rows["weight"].to_numpy(float)
    gain = sign * weight * np.where(rows["label"] == 1, rows["if_1"], rows["if_0"])
    summed = pd.DataFrame({"component": rows["component"], "rater": rows["rater"], "gain": gain, "weight": weight})
    summed = summed.groupby(["component", "rater"])[["gain", "weight"]].sum()
    out = []
    for name in sorted(components["component"]):
        own = summed[summed.index.get_level_values(0) == name]
        total, size = own["gain"].to_numpy(float), own["weight"].to_numpy(float)
        loose = int(rows.loc[rows["component"] == name, "rater_id"].isna().sum())
        more = f"{loose:,} anonymous answers, each taken as a rater" if loose else ""
        for row in (by_sign(total), by_interval(total, size, most=most)):
            note = "; ".join(filter(None, [str(row["note"]), more]))
            out.append({"component": name, **row, "note": note})
    return pd.DataFrame(out, columns=DECIDERS)


def _row(criterion: str, state: int, raters: int, **fewest: object) -> dict[str, object]:
    smallest, lower = (
        float(v) if isinstance(v, int) else math.nan for v in (fewest.get("smallest"), fewest.get("lower"))
    )
    return {
        "criterion": criterion, "verdict": VERDICT[state], "raters": raters, "smallest_known": smallest,
        "lower_bound": lower, "exact": "yes" if fewest.get("exact") else "no",
        "share_of_raters": smallest / raters if raters else math.nan, "note": fewest.get("note", ""),
    }  # fmt: skip


def by_sign(total: npt.ArrayLike) -> dict[str, object]:
    """How many raters must go until the mean is no longer on its side of zero? `total` is each rater's sum of gains.

    The sign of a mean is that of its sum, so removing the largest gains first is best: the answer is exact.

    >>> row = by_sign([5.0, 4.0, -1.0, -1.0, -2.0, 1.0])
    >>> row["verdict"], row["smallest_known"], row["exact"]
    ('pass', 2.0, 'yes')
    >>> by_sign([1.0, 2.0])["note"]
    'no removal flips it: no rater is on the other side'
    """
    gain = np.asarray(total, float)
    raters, state = len(gain), int(np.sign(math.fsum(gain)))
    if state == 0:
        note = "undefined: no test answers" if raters == 0 else "undefined: the mean is zero, there is no side"
        return _row("sign", 0, raters, note=note)
    ordered = np.sort(state * gain)[::-1]
    for k in range(1, raters):
        if math.fsum(ordered[k:]) <= 0:
            return _row("sign", state, raters, smallest=k, lower=k, exact=True)
    return _row("sign", state, raters, exact=True, note="no removal flips it: no rater is on the other side")


def by_interval(total: npt.ArrayLike, size: npt.ArrayLike, *, most: int = 100_000) -> dict[str, object]:
    """How many raters must go until the interval's verdict is another one? `total` and `size` are each rater's sums.

    The interval is Student's t with raters as clusters (see stats.mean_interval). Undefined for fewer than 3 raters or
    where raters do not differ.

    >>> row = by_interval([9.0, 9.0, 1.0, -1.0, -0.5, 1.0, 0.5, 2.0], [3.0] * 8)
    >>> row["verdict"], row["exact"]
    ('inconclusive', 'yes')
    """
    gain, weight = np.asarray(total, float), np.asarray(size, float)
    raters = len(gain)
    if raters < 3:
        return _row("interval", 0, raters, note="undefined: fewer than 3 raters")
    moments = _moments(gain, weight)
    low, high = bounds(moments.sum(axis=0), raters)
    if not high > low:
        return _row("interval", 0, raters, note="undefined: raters do not differ")
    state = int(_state(low, high))
    fewest, tried = _search(moments, state, most)
    if fewest is not None or tried == raters - 2:
        note = "" if fewest else "no removal flips it: all sets that leave two raters were tried"
        return _row("interval", state, raters, smallest=fewest, lower=fewest, exact=True, note=note)
    upper = _greedy(moments, state)
    lower = tried + 1
    note = "" if upper == lower else f"between {lower} and {upper}" if upper else "no set was found that flips it"
    return _row("interval", state, raters, smallest=upper, lower=lower, exact=upper == lower, note=note)


def _moments(gain: Floats, weight: Floats) -> Floats:
    """What each rater adds to the sums an interval is made of: rater, sum."""
    return np.column_stack([gain, weight, gain * gain, gain * weight, weight * weight])


def bounds(sums: npt.ArrayLike, raters: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Lower and upper bound of the mean gain, times the answers' weight, from sums over raters (see _moments)."""
    total, size, squares, cross, sizes = np.moveaxis(np.asarray(sums, float), -1, 0)
    mean = total / size
    spread = np.maximum(squares - 2 * mean * cross + mean * mean * sizes, 0.0)
    spread = np.where(spread < 1e-13 * squares, 0.0, spread)
    half = _factor(raters) * np.sqrt(spread)
    return total - half, total + half


def _factor(raters: npt.ArrayLike) -> Floats:
    raters = np.asarray(raters, float)
    out: Floats = stdtrit(raters - 1, 0.5 + LEVEL / 2) * np.sqrt(raters / (raters - 1))
    return out


def _state(low: npt.ArrayLike, high: npt.ArrayLike) -> npt.NDArray[np.int64]:
    return (np.asarray(low) > 0).astype(np.int64) - (np.asarray(high) < 0)


def _search(moments: Floats, state: int, most: int) -> tuple[int | None, int]:
    """The size of the smallest set that flips, and up to which size all sets were tried."""
    raters, whole = len(moments), moments.sum(axis=0)
    for k in range(1, raters - 1):
        if math.comb(raters, k) > most:
            return None, k - 1
        sets = np.array(list(combinations(range(raters), k)))
        left = np.repeat(whole[None], len(sets), axis=0)
        for column in sets.T:
            left -= moments[column]
        if (_state(*bounds(left, raters - k)) != state).any():
            return k, k
    return None, raters - 2


def _greedy(moments: Floats, state: int) -> int | None:
    """How many raters go when each time the one goes who brings another verdict nearest? None: it never flips."""
    fewest = []
    for up in (True, False):
        if state and up == (state > 0):
            continue
        left, gone = moments, 0
        while len(left) > 2 and int(_state(*bounds(left.sum(axis=0), len(left)))) == state:
            low, high = bounds(left.sum(axis=0) - left, len(left) - 1)
            edge = (low if state == 0 else high) if up else (high if state == 0 else low)
            left, gone = np.delete(left, edge.argmax() if up else edge.argmin(), axis=0), gone + 1
        if int(_state(*bounds(left.sum(axis=0), len(left)))) != state:
            fewest.append(gone)
    return min(fewest, default=None)
