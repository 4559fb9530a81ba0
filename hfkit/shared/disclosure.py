"""Nothing published may point at a person: small counts withheld, the rest rounded, and an attacker to prove it.

`protect` makes a table fit for the page, and `attack` tries to get back what was withheld from all tables together.
That two publications together tell nothing either is left to the card. The rule (threshold 10, base 5, all margins
rounded) is the 10-5 rule of the UK Office for National Statistics; see Hundepool et al. (2012), Statistical
Disclosure Control, chapter 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import LinearConstraint, linprog, milp
from scipy.sparse import csr_array

from hfkit.shared import errors, stats

ANY = "all"
SMALL, EDGE = "withheld: fewer than {threshold}, or none", "too near 0 % or 100 % to give a number: bounds only"
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def round_counts(n: npt.ArrayLike, base: int = 5) -> Floats:
    """Which multiple of `base` is each count nearest to? Halves go up; the same count always gives the same answer.

    Any shape, counts of 0 or more; missing stays missing. Base 1 changes nothing. Rounding that draws no chance can
    not be averaged away over repeated releases.

    >>> round_counts([0, 2, 3, 7, 8, np.nan], 5).tolist()
    [0.0, 0.0, 5.0, 5.0, 10.0, nan]
    """
    return np.asarray(np.floor(np.asarray(n, float) / base + 0.5) * base, float)


def behind(published: npt.ArrayLike, base: int = 5) -> tuple[Floats, Floats]:
    """Which counts may stand behind a rounded one? (least, most), whole numbers; missing stays missing.

    >>> [ends.tolist() for ends in behind([0, 5, 20], 5)]
    [[0.0, 3.0, 18.0], [2.0, 7.0, 22.0]]
    """
    n = np.asarray(published, float)
    return np.maximum(np.ceil(n - base / 2), 0.0), np.ceil(n + base / 2) - 1


def protect(
    frame: pd.DataFrame, *, counts: Sequence[str], rates: Sequence[str], threshold: int = 10, base: int = 5
) -> pd.DataFrame:
    """What of a table of shares may be published? The same rows, with every number that could tell on a person changed.

    `counts` are the numerator and the denominator, `rates` the value, its lower and its upper bound. A row whose
    denominator is below `threshold` loses all its numbers: none looks like few, or an empty cell would say something of
    everybody in the group. Else both counts are rounded to `base`, and value and bounds worked out again from the
    rounded counts (see `_share`): they hold nothing that the counts do not. A share of nearly 0 or 1 is shown by its
    bounds only. Columns that are not named are not touched; a table without rows comes back without rows.

    >>> table = pd.DataFrame({"numerator": [3, 41], "denominator": [8, 98], "value": [.375, .4184], "low": [.1, .32],
    ...                       "high": [.7, .53], "note": ""})
    >>> shown = protect(table, counts=["numerator", "denominator"], rates=["value", "low", "high"])
    >>> shown.round(3).values.tolist()[0], shown.round(3).values.tolist()[1][:5]
    ([nan, nan, nan, nan, nan, 'withheld: fewer than 10, or none'], [40.0, 100.0, 0.4, 0.279, 0.533])
    """
    out = frame.copy()
    few = ~(out[counts[1]].to_numpy(float) >= threshold)
    note = out["note"].astype("object").to_numpy(copy=True) if "note" in out else np.full(len(out), "", object)
    rounded = tuple(np.where(few, np.nan, round_counts(out[c].to_numpy(float), base)) for c in counts)
    shown, edge = _share((rounded[0], rounded[1]), tuple(out[c].to_numpy(float) for c in rates), threshold, base)
    for column, values in zip([*counts, *rates], [*rounded, *shown], strict=True):
        out[column] = np.where(few, np.nan, values)
    out["note"] = np.where(few, SMALL.format(threshold=threshold), np.where(edge & ~few, EDGE, note))
    return out


def _share(
    counts: tuple[Floats, Floats], given: Sequence[Floats], threshold: int, base: int
) -> tuple[list[Floats], Bools]:
    """A share and its bounds from rounded counts, and where it lies too near an end of the scale to be shown.

    The bounds are those of Clopper and Pearson (1934) over every pair of counts that rounds to these, so they hold
    the bounds that were `given` when those are exact ones of independent rows. Clustered rows have wider ones: then
    the counts are divided by the least power of the root of 2 that makes the new bounds hold the given ones.
    """
    top, bottom = counts
    (least, most), (few, many) = behind(top, base), behind(bottom, base)
    few = np.maximum(few, threshold)
    low, high = np.zeros(len(top)), np.ones(len(top))
    todo = ~np.isnan(bottom)
    for power in np.sqrt(2.0) ** np.arange(16):
        wide_low = stats.exact(np.minimum(least, many) / power, many / power)[0]
        wide_high = stats.exact(np.minimum(most, few) / power, few / power)[1]
        low, high = np.where(todo, wide_low, low), np.where(todo, wide_high, high)
        todo &= (given[1] < low - 1e-9) | (given[2] > high + 1e-9)
    low, high = np.where(todo, 0.0, low), np.where(todo, 1.0, high)
    edge: Bools = (top <= 0) | (top >= bottom)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where(edge, np.nan, top / bottom)
    known = ~np.isnan(bottom)
    return [value, np.where(known, low, np.nan), np.where(known, high, np.nan)][: len(given)], edge


def steps(value: npt.ArrayLike, low: npt.ArrayLike, high: npt.ArrayLike, step: float = 0.001) -> tuple[Any, Any, Any]:
    """A value and its bounds in whole steps: the value to the nearest, the lower bound down, the upper bound up.

    An interval never gets narrower; missing stays missing.

    >>> [float(v) for v in steps(0.1234, 0.1019, 0.1401)]
    [0.123, 0.101, 0.141]
    """
    value, low, high = (np.asarray(v, float) / step for v in (value, low, high))
    whole = (np.round(value), np.floor(low + 1e-9), np.ceil(high - 1e-9))
    return tuple((np.round(v * step, 10) + 0.0)[()] for v in whole)  # type: ignore[return-value]


def outward(frame: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The same table with a value, its lower and its upper bound (columns, in this order) in `steps` of 0.001.

    Further columns go to the nearest step.

    >>> outward(pd.DataFrame({"value": [0.1234], "low": [0.1019], "high": [0.1401]}), "value", "low", "high").values
    array([[0.123, 0.101, 0.141]])
    """
    ends = {i: steps(frame[c], frame[c], frame[c])[i if i < 3 else 0] for i, c in enumerate(columns)}
    return frame.assign(**{c: ends[i] for i, c in enumerate(columns)})


def attack(
    tables: Sequence[pd.DataFrame], *, cells: pd.DataFrame | None = None, threshold: int = 10, base: int = 5
) -> pd.DataFrame:
    """What do all published tables together give away of the counts that were withheld? One row a withheld count.

    Every row of a table names a sum of cells: its columns are attributes, "all" or an absent column sums over one.
    `count` is what was published (in multiples of `base`; 1 = as it is), missing where it was withheld. A withheld
    count is known to be 0 to `threshold` - 1, or to `most` where the table has that column (inf = nothing is known); a
    column `goal` says which of them to try for (absent = all). `cells` lists the cells there may be (None = every
    combination of the values seen). The answer gives the smallest and the largest value (`low`, `high`) that some
    whole, non-negative table of cells agrees with, their distance `width`, and `recovered` where it is below 1. A
    linear program a side; where that leaves 2 or less, an integer program settles it.
    Fischetti and Salazar-Gonzalez (2001), Management Science 47:1008.

    >>> seen = pd.DataFrame({"age": ["young", "old", "all"], "count": [30.0, np.nan, 33.0]})
    >>> attack([seen], base=1)[["age", "low", "high", "recovered"]].values.tolist()
    [['old', 3.0, 3.0, True]]
    >>> attack([seen.assign(count=[30.0, np.nan, 35.0])], base=5)[["low", "high"]].values.tolist()
    [[1.0, 9.0]]
    """
    names = list(dict.fromkeys(c for t in tables for c in t.columns if c not in ("count", "most", "goal")))
    claims = pd.concat([t.assign(most=t.get("most", threshold - 1.0)) for t in tables], ignore_index=True)
    claims[names] = claims[names].astype("object").where(claims[names].notna(), ANY).astype("str")
    cells = _every(claims[names]) if cells is None else cells[names].astype("str")
    adds = np.ones((len(claims), len(cells)), bool)
    for column in names:
        said = claims[column].to_numpy(object)
        told = said != ANY
        adds[told] &= said[told, None] == cells[column].to_numpy(object)[None, :]
    count, hidden = claims["count"].to_numpy(float), claims["count"].isna().to_numpy()
    least, most = behind(count, base)
    system = _System.of(adds, np.where(hidden, 0.0, least), np.where(hidden, claims["most"].to_numpy(float), most))
    goal = hidden & claims["goal"].fillna(True).astype(bool).to_numpy() if "goal" in claims else hidden
    targets, back = np.unique(adds[goal], axis=0, return_inverse=True)
    found = np.array([system.ends(row.astype(float)) for row in targets]).reshape(-1, 2)[np.ravel(back)]
    out = claims.loc[goal, names].reset_index(drop=True)
    out["low"], out["high"] = found[:, 0], found[:, 1]
    out["width"] = out["high"] - out["low"]
    return out.assign(recovered=out["width"] < 1)


def _every(claims: pd.DataFrame) -> pd.DataFrame:
    """Every combination of the values seen, an attribute a column."""
    seen = [[v for v in sorted(claims[c].unique()) if v != ANY] or [ANY] for c in claims.columns]
    return pd.MultiIndex.from_product(seen, names=claims.columns).to_frame(index=False)


@dataclass(frozen=True)
class _System:
    """Everything published, as bounds on sums of cells (rows of `adds`)."""

    adds: Floats
    least: Floats
    most: Floats

    @classmethod
    def of(cls, adds: Bools, least: Floats, most: Floats) -> _System:
        """Claims about the same sum become one, with the tightest bounds."""
        sums, at = np.unique(adds, axis=0, return_inverse=True)
        low, high = np.zeros(len(sums)), np.full(len(sums), np.inf)
        np.maximum.at(low, np.ravel(at), least)
        np.minimum.at(high, np.ravel(at), most)
        return cls(sums.astype(float), low, high)

    def ends(self, goal: Floats) -> tuple[float, float]:
        """The smallest and the largest whole value of the sum `goal`."""
        if not goal.any():
            return 0.0, 0.0
        capped, floor = np.isfinite(self.most), self.least > 0
        rows = csr_array(np.vstack([self.adds[capped], -self.adds[floor]]))
        upper = {"A_ub": rows, "b_ub": np.append(self.most[capped], -self.least[floor])}
        ends = [self._solved(linprog(sign * goal, **upper, method="highs"), sign) for sign in (1.0, -1.0)]
        low, high = np.ceil(ends[0] - 1e-6), np.floor(ends[1] + 1e-6)
        if high - low < 3:
            rule = LinearConstraint(self.adds, self.least, self.most)
            whole = [
                self._solved(milp(sign * goal, constraints=rule, integrality=np.ones(len(goal))), sign)
                for sign in (1.0, -1.0)
            ]
            low, high = np.round(whole[0]), np.round(whole[1])
        return float(low), float(high)

    @staticmethod
    def _solved(result: object, sign: float) -> float:
        status = getattr(result, "status", None)
        if status == 3:
            return float("inf")
        if status != 0:
            raise errors.BadValue(
                expected="tables that some whole counts agree with", found="tables that contradict each other",
                where="the published tables", todo="check `base`, and `most` of the counts that were withheld",
            )  # fmt: skip
        return float(result.fun) * sign  # type: ignore[attr-defined]
