"""The A/B side of the experiment room: did the new version help where it was tried?

Arms are compared within a component, against one declared control arm. The reward is better when higher.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import chdtrc, ndtri, stdtrit

from hfkit.shared import cluster, cohorts, intervals, schema
from hfkit.shared import evidence as ev

Floats = npt.NDArray[np.float64]
ALARM = 0.001  # a check of the data itself (split, missing rewards, weights) speaks up at this p value
POWER = 0.8
_EFFECT = ["difference", "difference_low", "difference_high"]
ARMS = [
    "component",
    "arm",
    "n",
    "missing",
    "mean",
    "low",
    "high",
    *_EFFECT,
    "lift",
    "lift_low",
    "lift_high",
    "detectable",
]
GROUPS = ["component", "group", "arm", "n", "n_control", *_EFFECT]
RATIO = ["component", "n", "arms", "p_split", "p_missing", "note"]


def compare_arms(items: pd.DataFrame, *, control: str, planned_n: int = 0, level: float = 0.95) -> pd.DataFrame:
    """How much more reward does each arm bring than the control arm?

    Parameters
    ----------
    items : component, arm, reward (and item_id); rows without an arm take no part.
    control : the arm the others are compared with.
    planned_n : 0 where the results are looked at once, at the end. Otherwise the rows (both arms) at which the
        comparison is meant to be sharpest: the intervals then hold at every look, however often and whenever.

    Returns
    -------
    One row for each component and arm, control first: n (rows with a reward), missing (rows without), mean [low, high],
    difference to control, lift (difference / control's mean) and detectable (the difference found 8 times in 10 at this
    n), all in units of the reward, higher better. The differences of k arms hold together at `level` (Bonferroni). The
    control's own difference, and everything of an arm without rewards, is NaN; no arm at all gives an empty table.

    Notes
    -----
    Rewards of 0 and 1 only: Wilson and Newcombe (1998) intervals; others: Student and Welch (1947). With `planned_n`:
    asymptotic confidence sequence, Waudby-Smith and others (2024), Annals of Statistics 52:2613.
    Lift: MOVER-R, Donner and Zou (2012), Statistical Methods in Medical Research 21:347. Rows are taken as independent.

    >>> items = pd.DataFrame({"component": "chat", "arm": ["A"] * 80 + ["B"] * 70,
    ...                       "reward": [1.0] * 48 + [0.0] * 32 + [1.0] * 56 + [0.0] * 14})
    >>> compare_arms(items, control="A")[["arm", "mean", "difference", "difference_low"]].round(3).values.tolist()
    [['A', 0.6, nan, nan], ['B', 0.8, 0.2, 0.052]]
    """
    rows = []
    for component, part in _tried(items).groupby("component", sort=True):
        rewards = {str(arm): _values(p["reward"]) for arm, p in part.groupby("arm", sort=True)}
        missing = part["reward"].isna().groupby(part["arm"].astype(str)).sum()
        base = rewards.get(control, np.empty(0))
        share = 1 - (1 - level) / max(len(rewards) - (control in rewards), 1)
        for arm in sorted(rewards, key=lambda a: (a != control, a)):
            x = rewards[arm]
            own = [math.nan] * 7 if arm == control else [
                *effect(x, base, planned_n=planned_n, level=share), *lift(x, base, level=share),
                detectable(base, len(x), level=share),
            ]  # fmt: skip
            rows.append([component, arm, len(x), int(missing[arm]), *_mean(x, level), *own])
    return pd.DataFrame(rows, columns=ARMS)


def compare_groups(
    items: pd.DataFrame, *, control: str, min_n: int = 30, planned_n: int = 0, level: float = 0.95
) -> pd.DataFrame:
    """Does the effect hold for every group of people served?

    One row for each component, served group (`served.language=es`; not stated is a group) and arm but control: n and
    n_control (rows with a reward), difference to control [low, high] in units of the reward. All differences of one
    component hold together at `level` (Bonferroni over groups and arms), so they are wide: an interval that spans 0 is
    not evidence of no effect. Fewer than `min_n` rows in either arm: NaN. No cohort column: an empty table.
    """
    rows = []
    for component, part in _tried(items).groupby("component", sort=True):
        cells = []
        for column in schema.cohorts(items):
            for value, group in part.groupby(part[column].fillna(schema.NOT_STATED).astype(str), sort=True):
                base = _values(group.loc[group["arm"] == control, "reward"])
                for arm in sorted(set(part["arm"].astype(str)) - {control}):
                    x = _values(group.loc[group["arm"] == arm, "reward"])
                    name = str(cohorts.Group("served", (column.partition(".")[2],), (str(value),)))
                    cells.append((name, arm, x, base))
        usable = sum(min(len(x), len(base)) >= min_n for *_, x, base in cells)
        share = 1 - (1 - level) / max(usable, 1)
        for group, arm, x, base in cells:
            few = min(len(x), len(base)) < min_n
            estimate = (math.nan,) * 3 if few else effect(x, base, planned_n=planned_n, level=share)
            rows.append([component, group, arm, len(x), len(base), *estimate])
    return pd.DataFrame(rows, columns=GROUPS)


def sample_ratio(items: pd.DataFrame, *, split: Mapping[str, float]) -> pd.DataFrame:
    """Did people reach the arms as planned, and did each arm report its rewards?

    `split` gives each arm's planned share (any positive numbers; empty = equal among the arms seen). One row for each
    component: n (rows with an arm), arms (counts as text), p_split (chi-square test of the counts against the plan;
    below 0.001 the assignment is broken and a difference means nothing), p_missing (chi-square test that rewards are
    missing alike in all arms) and a note. An arm seen but not planned gives p_split 0. One arm: NaN. Fabijan and others
    (2019), KDD: Diagnosing sample ratio mismatch.

    >>> items = pd.DataFrame({"component": "chat", "arm": ["A"] * 821588 + ["B"] * 815482, "reward": 1.0})
    >>> bool(sample_ratio(items, split={})["p_split"][0] < 1e-5)
    True
    """
    rows = []
    for component, part in _tried(items).groupby("component", sort=True):
        seen = part["arm"].astype(str).value_counts().sort_index()
        plan = pd.Series({a: float(s) for a, s in split.items() if s > 0} or dict.fromkeys(seen.index, 1.0))
        stray = sorted(set(seen.index) - set(plan.index))
        counts = seen.reindex(sorted(set(seen.index) | set(plan.index)), fill_value=0)
        kept = counts[counts.index.isin(plan.index)]
        p_split = 0.0 if stray else _chi_square(kept.to_numpy(float), plan.reindex(kept.index).to_numpy(float))
        lost = part["reward"].isna().groupby(part["arm"].astype(str)).sum().reindex(seen.index).to_numpy(float)
        note = f"not in the planned split: {', '.join(stray)}" if stray else ""
        text = ", ".join(f"{a} {c}" for a, c in counts.items())
        p_missing = _chi_square(lost, seen.to_numpy(float), of=seen.to_numpy(float))
        rows.append([component, int(seen.sum()), text, p_split, p_missing, note])
    return pd.DataFrame(rows, columns=RATIO)


def effect(x: Floats, base: Floats, *, planned_n: int = 0, level: float = 0.95) -> tuple[float, float, float]:
    """How far is the mean of x above that of base? (difference, low, high) in units of the reward; see compare_arms.

    Nothing in either: all NaN. One row in either, or no spread at all where rewards are not 0/1: the bounds are NaN.

    >>> [round(v, 3) for v in effect(np.array([1.0, 2.0, 4.0]), np.array([2.0, 3.0]))]
    [-0.167, -3.461, 3.127]
    """
    if min(len(x), len(base)) == 0:
        return math.nan, math.nan, math.nan
    if planned_n == 0 and _binary(x, base):
        d, low, high = intervals.newcombe(x.sum(), len(x), base.sum(), len(base), level)
        return float(d), float(low), float(high)
    difference = float(x.mean() - base.mean())
    if min(len(x), len(base)) < 2:
        return difference, math.nan, math.nan
    parts = np.array([x.var(ddof=1) / len(x), base.var(ddof=1) / len(base)])
    if parts.sum() == 0:
        return difference, math.nan, math.nan
    if planned_n:
        half = _sequence(len(x) + len(base), planned_n, 1 - level) * math.sqrt(float(parts.sum()))
    else:
        freedom = parts.sum() ** 2 / (parts**2 / np.array([len(x) - 1, len(base) - 1])).sum()
        half = float(stdtrit(freedom, 0.5 + level / 2)) * math.sqrt(float(parts.sum()))
    return difference, difference - half, difference + half


def lift(x: Floats, base: Floats, *, level: float = 0.95) -> tuple[float, float, float]:
    """By which share of the control's mean is x above it? (lift, low, high); 0.1 = one tenth more.

    NaN where control's mean is not clearly above 0, or x has no interval: a ratio has no bounds there.

    >>> [round(v, 3) for v in lift(np.repeat([1.0, 0.0], [56, 14]), np.repeat([1.0, 0.0], [48, 32]))]
    [0.333, 0.078, 0.663]
    """
    (p1, l1, u1), (p2, l2, u2) = _mean(x, level), _mean(base, level)
    if not (p2 > 0 and l2 > 0 and 2 * p2 > u2 and l1 == l1):
        return math.nan, math.nan, math.nan
    low = p1 * p2 - math.sqrt(max((p1 * p2) ** 2 - l1 * u2 * (2 * p1 - l1) * (2 * p2 - u2), 0))
    high = p1 * p2 + math.sqrt(max((p1 * p2) ** 2 - u1 * l2 * (2 * p1 - u1) * (2 * p2 - l2), 0))
    return p1 / p2 - 1, low / (u2 * (2 * p2 - u2)) - 1, high / (l2 * (2 * p2 - l2)) - 1


def detectable(base: Floats, n: int, *, level: float = 0.95) -> float:
    """Which difference would be found 8 times in 10, with n rows against these control rows? In units of the reward.

    NaN for fewer than 2 control rows, none in the arm, or control rows without spread.

    >>> round(detectable(np.repeat([0.0, 1.0], 500), 1000), 4)
    0.0627
    """
    if len(base) < 2 or n == 0 or base.var() == 0:
        return math.nan
    z = float(ndtri(0.5 + level / 2) + ndtri(POWER))
    return z * math.sqrt(float(base.var(ddof=1)) * (1 / len(base) + 1 / n))


def ab_evidence(
    arms: pd.DataFrame, ratio: pd.DataFrame, groups: pd.DataFrame, *, control: str, check_split: bool = True,
    min_difference: float = 0.0, min_n: int = 30,
) -> pd.DataFrame:  # fmt: skip
    """What do the arms show? Evidence rows from the three tables above.

    "sample ratio" (value = p; fails below 0.001, info where `check_split` is false), "mean reward, arm X" (info), "A/B
    difference, arm X" (passes where the whole interval is at or above `min_difference`, fails where all of it is
    below; inconclusive where the split is broken, rewards are missing unevenly, or an arm has fewer than `min_n` rows),
    and the same by served group (info).
    """
    if arms.empty:
        return ev.table([ev.row("A/B difference", value=math.nan, n=0, better="higher", verdict="inconclusive",
                                note="no item names an arm: no experiment was logged")])  # fmt: skip
    rows, broken = [], {}
    for r in ratio.itertuples(index=False):
        bad_split = check_split and r.p_split < ALARM
        verdict = "info" if not check_split or math.isnan(r.p_split) else "fail" if bad_split else "pass"
        note = f"p of the planned split; rows by arm: {r.arms}. {r.note}".strip()
        rows.append(ev.row("sample ratio", value=r.p_split, n=r.n, component=r.component, better="higher",
                           verdict=verdict, note=note))  # fmt: skip
        broken[r.component] = (
            "the arms' sizes do not fit the planned split: find out why before reading a difference" if bad_split
            else "rewards are missing more often in one arm than in another" if r.p_missing < ALARM else ""
        )  # fmt: skip
    for r in arms.itertuples(index=False):
        rows.append(ev.row(f"mean reward, arm {r.arm}", value=r.mean, low=r.low, high=r.high, n=r.n,
                           component=r.component, better="higher"))  # fmt: skip
        if r.arm != control:
            here = arms[(arms["component"] == r.component) & (arms["arm"] == control)]
            n_control = int(here["n"].sum())
            verdict, note = _verdict(r, n_control, control, broken.get(r.component, ""), min_difference, min_n)
            rows.append(ev.row(f"A/B difference, arm {r.arm}", value=r.difference, low=r.difference_low,
                               high=r.difference_high, n=int(r.n) + n_control, component=r.component, better="higher",
                               verdict=verdict, note=note))  # fmt: skip
    for r in groups.itertuples(index=False):
        few = f"fewer than {min_n} rows in an arm" if math.isnan(r.difference) else "simultaneous over groups and arms"
        rows.append(ev.row(f"A/B difference, arm {r.arm}", value=r.difference, low=r.difference_low,
                           high=r.difference_high, n=int(r.n + r.n_control), component=r.component, group=r.group,
                           better="higher", note=few))  # fmt: skip
    return ev.table(rows)


def _verdict(
    r: tuple[float, ...], n_control: int, control: str, broken: str, min_difference: float, min_n: int
) -> tuple[str, str]:
    row = r._asdict()  # type: ignore[attr-defined]
    if n_control == 0:
        return "inconclusive", f"control arm {control} has no rows with a reward"
    if broken:
        return "inconclusive", broken
    if min(row["n"], n_control) < min_n:
        return "inconclusive", f"fewer than {min_n} rows with a reward in an arm"
    verdict = ev.judge(row["difference_low"], row["difference_high"], target=min_difference, better="higher")
    reach = f"a difference of {row['detectable']:.3g} is found 8 times in 10 at this n"
    return verdict, f"against {control}, needs {min_difference:g} or more; {reach}"


def _tried(items: pd.DataFrame) -> pd.DataFrame:
    """The rows that were in an arm, in one order whatever the order they came in."""
    tried = items[items["arm"].notna()]
    return tried.sort_values("item_id", kind="stable") if "item_id" in tried else tried


def _values(reward: pd.Series) -> Floats:
    # sorted, so that sums do not depend on the order of rows
    return np.sort(reward.dropna().to_numpy(float))


def _binary(*arrays: Floats) -> bool:
    return all(bool(np.isin(a, (0.0, 1.0)).all()) for a in arrays)


def _mean(x: Floats, level: float) -> tuple[float, float, float]:
    if len(x) and _binary(x):
        low, high = intervals.wilson(x.sum(), len(x), level)
        return float(x.mean()), float(low), float(high)
    return cluster.mean_interval(x, level=level)


def _sequence(n: int, planned_n: int, alpha: float) -> float:
    """How many standard errors wide is a confidence sequence after n rows, tuned to be sharpest at planned_n?"""
    rho2 = (-2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha))) / planned_n
    return math.sqrt(2 * (n * rho2 + 1) / (n * rho2) * math.log(math.sqrt(n * rho2 + 1) / alpha))


def _chi_square(counts: Floats, plan: Floats, of: Floats | None = None) -> float:
    """p value that counts follow the plan; with `of`, that the shares counts / of are alike. One cell: NaN."""
    if len(counts) < 2 or plan.sum() <= 0:
        return math.nan
    expected = counts.sum() * plan / plan.sum()
    cells = np.array([counts]) if of is None else np.array([counts, of - counts])
    model = np.array([expected]) if of is None else np.array([expected, of - expected])
    if (model <= 0).all(axis=1).any():
        return math.nan
    return float(chdtrc(len(counts) - 1, ((cells - model) ** 2 / model).sum()))
