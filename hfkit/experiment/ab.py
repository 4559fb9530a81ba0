"""The A/B side of the experiment room: did the new version help where it was tried?

Arms are compared within a component, against one declared control arm. The reward is better when higher. The unit is
the person or session served (unit_id), who was assigned; people in two arms are left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import chdtrc

from hfkit.experiment.effects import detectable, effect, lift, mean
from hfkit.experiment.units import Rewards, assigned, rewards
from hfkit.shared import cluster, cohorts, schema
from hfkit.shared import evidence as ev

Floats = npt.NDArray[np.float64]
ALARM = 0.001  # a check of the data itself (split, missing rewards, weights) speaks up at this p value
_EFFECT = ["difference", "difference_low", "difference_high"]
ARMS = [
    "component",
    "arm",
    "n",
    "people",
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
GROUPS = ["component", "group", "arm", "n", "people", "n_control", "people_control", *_EFFECT]
NOBODY = Rewards(np.empty(0), np.empty(0, np.int64))
RATIO = ["component", "people", "arms", "crossed", "p_split", "p_missing", "note"]


def compare_arms(items: pd.DataFrame, *, control: str, planned_n: int = 0, level: float = 0.95) -> pd.DataFrame:
    """How much more reward does each arm bring than the control arm?

    Parameters
    ----------
    items : component, arm, reward (item_id, unit_id); rows without an arm, and people in two, take no part.
    control : the arm the others are compared with.
    planned_n : 0 where the results are looked at once, at the end. Otherwise the rows (both arms) at which the
        comparison is meant to be sharpest: the intervals then hold at every look, however often and whenever.

    Returns
    -------
    One row for each component and arm, control first: n (rows with a reward), people (behind them), missing (rows
    without), mean [low, high], difference to control, lift (difference / control's mean) and detectable (the
    difference found 8 times in 10 at this n), all in units of the reward, higher better. The differences of k arms
    hold together at `level` (Bonferroni). The control's own difference, and everything of an arm without rewards, is
    NaN; no arm at all gives an empty table.

    Notes
    -----
    Rewards of 0 and 1 only: Wilson and Newcombe (1998) intervals; others: Student and Welch (1947). With `planned_n`:
    asymptotic confidence sequence, Waudby-Smith and others (2024), Annals of Statistics 52:2613.
    Lift: MOVER-R, Donner and Zou (2012), Statistical Methods in Medical Research 21:347. Where people repeat, rows are
    divided by the design effect, and t by the effective number of people takes the normal's place; a row without
    unit_id stands for itself.

    >>> items = pd.DataFrame({"component": "chat", "arm": ["A"] * 80 + ["B"] * 70,
    ...                       "reward": [1.0] * 48 + [0.0] * 32 + [1.0] * 56 + [0.0] * 14})
    >>> compare_arms(items, control="A")[["arm", "mean", "difference", "difference_low"]].round(3).values.tolist()
    [['A', 0.6, nan, nan], ['B', 0.8, 0.2, 0.052]]
    """
    rows = []
    for component, part in assigned(items)[0].groupby("component", sort=True):
        by_arm = {str(arm): rewards(p) for arm, p in part.groupby("arm", sort=True)}
        missing = part["reward"].isna().groupby(part["arm"].astype(str)).sum()
        base = by_arm.get(control, NOBODY)
        share = 1 - (1 - level) / max(len(by_arm) - (control in by_arm), 1)
        for arm in sorted(by_arm, key=lambda a: (a != control, a)):
            x = by_arm[arm]
            own = [math.nan] * 7 if arm == control else [
                *effect(x, base, planned_n=planned_n, level=share), *lift(x, base, level=share),
                detectable(base, x, level=share),
            ]  # fmt: skip
            rows.append([component, arm, len(x.value), x.people, int(missing[arm]), *mean(x, level), *own])
    return pd.DataFrame(rows, columns=ARMS)


def compare_groups(
    items: pd.DataFrame, *, control: str, min_n: int = 30, planned_n: int = 0, level: float = 0.95
) -> pd.DataFrame:
    """Does the effect hold for every group of people served?

    One row for each component, served group (`served.language=es`; not stated is a group) and arm but control: n and
    n_control (rows with a reward), people and people_control (behind them), difference to control [low, high] in
    units of the reward. All differences of one component hold together at `level` (Bonferroni over groups and arms),
    so they are wide: an interval that spans 0 is not evidence of no effect. Fewer than `min_n` people in either arm:
    NaN. No cohort column: an empty table.
    """
    rows = []
    for component, part in assigned(items)[0].groupby("component", sort=True):
        cells = []
        for column in schema.cohorts(items):
            for value, group in part.groupby(part[column].fillna(schema.NOT_STATED).astype(str), sort=True):
                base = rewards(group[group["arm"] == control])
                for arm in sorted(set(part["arm"].astype(str)) - {control}):
                    x = rewards(group[group["arm"] == arm])
                    name = str(cohorts.Group("served", (column.partition(".")[2],), (str(value),)))
                    cells.append((name, arm, x, base))
        usable = sum(min(x.people, base.people) >= min_n for *_, x, base in cells)
        share = 1 - (1 - level) / max(usable, 1)
        for group, arm, x, base in cells:
            few = min(x.people, base.people) < min_n
            estimate = (math.nan,) * 3 if few else effect(x, base, planned_n=planned_n, level=share)
            rows.append([component, group, arm, len(x.value), x.people, len(base.value), base.people, *estimate])
    return pd.DataFrame(rows, columns=GROUPS)


def sample_ratio(items: pd.DataFrame, *, split: Mapping[str, float]) -> pd.DataFrame:
    """Did people reach the arms as planned, and did each arm report its rewards?

    `split` gives each arm's planned share (any positive numbers; empty = equal among the arms seen). One row for each
    component: people (with an arm), arms (people by arm as text), crossed (people in two arms, left out), p_split
    (chi-square test of the counts against the plan; below 0.001 the assignment is broken and a difference means
    nothing), p_missing (chi-square test that rewards are missing alike in all arms, divided by the design effect
    where people repeat) and a note. An arm seen but not planned gives p_split 0. One arm: NaN. Fabijan and others
    (2019), KDD: Diagnosing sample ratio mismatch.

    >>> items = pd.DataFrame({"component": "chat", "arm": ["A"] * 821588 + ["B"] * 815482, "reward": 1.0})
    >>> bool(sample_ratio(items, split={})["p_split"][0] < 1e-5)
    True
    """
    rows = []
    tried, crossed = assigned(items)
    for component, part in tried.groupby("component", sort=True):
        people = part.drop_duplicates("unit")
        seen, of = (p["arm"].astype(str).value_counts().sort_index() for p in (people, part))
        plan = pd.Series({a: float(s) for a, s in split.items() if s > 0} or dict.fromkeys(seen.index, 1.0))
        stray = sorted(set(seen.index) - set(plan.index))
        counts = seen.reindex(sorted(set(seen.index) | set(plan.index)), fill_value=0)
        kept = counts[counts.index.isin(plan.index)]
        p_split = 0.0 if stray else _chi_square(kept.to_numpy(float), plan.reindex(kept.index).to_numpy(float))
        lost = part["reward"].isna().groupby(part["arm"].astype(str)).sum().reindex(seen.index).to_numpy(float)
        twice = int((crossed["component"] == component).sum())
        notes = [f"not in the planned split: {', '.join(stray)}"] if stray else []
        notes += [f"{twice:,} people were in two arms and are left out"] if twice else []
        text = ", ".join(f"{a} {c}" for a, c in counts.items())
        p_missing = _chi_square(lost, of.to_numpy(float), of=of.to_numpy(float), effect=_repeats(part))
        rows.append([component, int(seen.sum()), text, twice, p_split, p_missing, "; ".join(notes)])
    return pd.DataFrame(rows, columns=RATIO)


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
        note = f"p of the planned split; people by arm: {r.arms}. {r.note}".strip()
        rows.append(ev.row("sample ratio", value=r.p_split, n=r.people, component=r.component, better="higher",
                           verdict=verdict, note=note))  # fmt: skip
        broken[r.component] = (
            "the arms' sizes do not fit the planned split: find out why before reading a difference" if bad_split
            else "rewards are missing more often in one arm than in another" if r.p_missing < ALARM else ""
        )  # fmt: skip
    for r in arms.itertuples(index=False):
        rows.append(ev.row(f"mean reward, arm {r.arm}", value=r.mean, low=r.low, high=r.high, n=r.n,
                           component=r.component, better="higher", note=f"{r.people:,} people"))  # fmt: skip
        if r.arm != control:
            here = arms[(arms["component"] == r.component) & (arms["arm"] == control)]
            n_control = int(here["n"].sum())
            verdict, note = _verdict(
                r, int(here["people"].sum()), control, broken.get(r.component, ""), min_difference, min_n
            )
            rows.append(ev.row(f"A/B difference, arm {r.arm}", value=r.difference, low=r.difference_low,
                               high=r.difference_high, n=int(r.n) + n_control, component=r.component, better="higher",
                               verdict=verdict, note=note))  # fmt: skip
    for r in groups.itertuples(index=False):
        few = (
            f"fewer than {min_n} people in an arm" if math.isnan(r.difference) else "simultaneous over groups and arms"
        )
        rows.append(ev.row(f"A/B difference, arm {r.arm}", value=r.difference, low=r.difference_low,
                           high=r.difference_high, n=int(r.n + r.n_control), component=r.component, group=r.group,
                           better="higher", note=few))  # fmt: skip
    return ev.table(rows)


def _verdict(
    r: tuple[float, ...], people_control: int, control: str, broken: str, min_difference: float, min_n: int
) -> tuple[str, str]:
    row = r._asdict()  # type: ignore[attr-defined]
    if people_control == 0:
        return "inconclusive", f"control arm {control} has no rows with a reward"
    if broken:
        return "inconclusive", broken
    if min(row["people"], people_control) < min_n:
        return "inconclusive", f"fewer than {min_n} people with a reward in an arm"
    verdict = ev.judge(row["difference_low"], row["difference_high"], target=min_difference, better="higher")
    reach = f"a difference of {row['detectable']:.3g} is found 8 times in 10 with these people"
    return (
        verdict,
        f"against {control}, needs {min_difference:g} or more; {people_control + int(row['people']):,} people; {reach}",
    )


def _repeats(part: pd.DataFrame) -> float:
    """The design effect of missing rewards, by people."""
    lost = part["reward"].isna().to_numpy(float)
    return Rewards(lost, cluster.codes(part["unit"].to_numpy(str))).effect[0]


def _chi_square(counts: Floats, plan: Floats, of: Floats | None = None, effect: float = 1.0) -> float:
    """p value that counts follow the plan; with `of`, that the shares counts / of are alike, `effect` of them counting
    as one (Rao and Scott 1981, JASA 76:221). One cell: NaN."""
    if len(counts) < 2 or plan.sum() <= 0:
        return math.nan
    expected = counts.sum() * plan / plan.sum()
    cells = np.array([counts]) if of is None else np.array([counts, of - counts])
    model = np.array([expected]) if of is None else np.array([expected, of - expected])
    if (model <= 0).all(axis=1).any():
        return math.nan
    return float(chdtrc(len(counts) - 1, ((cells - model) ** 2 / model).sum() / effect))
