"""The off-policy side of the experiment room: would another policy do better, judged from logged decisions?

A logged row is an action taken in a context with a known probability (propensity). Weighting it by target probability /
propensity makes the log look as if the target policy had acted, where the log shows what that policy would do.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from hfkit.experiment.ab import ALARM
from hfkit.experiment.units import unit
from hfkit.shared import cluster, schema, stats
from hfkit.shared import evidence as ev

Floats = npt.NDArray[np.float64]
PRIOR = 20.0  # rows of belief in the coarser mean that the reward model starts from
ESTIMATORS = ("IPW", "self-normalised IPW", "doubly robust")
SUPPORT = ["component", "context", "n", "actions_logged", "actions_wanted", "unsupported"]
REWARDED = 30.0  # effective rewarded rows below which a value rests on a few lucky rows
DIAGNOSTICS = [
    "component",
    "n",
    "ess",
    "rewarded",
    "max_weight",
    "mean_weight",
    "low",
    "high",
    "unsupported",
    "refusal",
]
VALUES = ["component", "estimator", "n", "value", "low", "high", "logged", "gain", "gain_low", "gain_high", "relative",
          "relative_low", "relative_high"]  # fmt: skip


class Log(NamedTuple):
    """The logged rows of one component against one target policy, as arrays (n rows, contexts x actions tables)."""

    context: npt.NDArray[np.int64]
    action: npt.NDArray[np.int64]
    reward: Floats
    weight: Floats
    target: Floats
    seen: npt.NDArray[np.bool_]
    contexts: list[str]
    declared: npt.NDArray[np.bool_]


def logged(items: pd.DataFrame, *, logging_arm: str = "") -> pd.DataFrame:
    """Which rows tell about the logging policy? Those with action, propensity and reward, in order of item_id.

    `logging_arm` keeps the rows of that arm only ("" = of all); where several policies logged, name one.
    """
    rows = items[items["propensity"].notna() & items["action"].notna() & items["reward"].notna()]
    if logging_arm:
        rows = rows[rows["arm"] == logging_arm]
    return rows.sort_values("item_id", kind="stable").reset_index(drop=True)


def support(rows: pd.DataFrame, policy: pd.DataFrame) -> pd.DataFrame:
    """Does the log show what the target policy would do?

    One row for each component and context: n, actions_logged, actions_wanted (target probability above 0), unsupported
    (share of the target's probability on actions never logged in that context, 0..1, lower is better; 1 where the
    policy does not know the context). What is unsupported cannot be estimated, only guessed.

    >>> rows = pd.DataFrame({"component": "ad", "context": "top", "action": ["a", "a"], "propensity": 0.5,
    ...                      "reward": 1.0})
    >>> policy = pd.DataFrame({"context": "top", "action": ["a", "b"], "probability": [0.25, 0.75]})
    >>> support(rows, policy)["unsupported"].tolist()
    [0.75]
    """
    table = []
    for component, part in rows.groupby("component", sort=True):
        log = _log(part, policy)
        for i, context in enumerate(log.contexts):
            n = int((log.context == i).sum())
            if n:
                wanted = int((log.target[i] > 0).sum())
                table.append([component, context, n, int(log.seen[i].sum()), wanted, float(_unsupported(log)[i])])
    return pd.DataFrame(table, columns=SUPPORT)


def diagnose(
    rows: pd.DataFrame, policy: pd.DataFrame, *, min_ess: float = 100.0, max_unsupported: float = 0.05
) -> pd.DataFrame:
    """May the log be used to judge the target policy?

    One row for each component: n, ess (effective sample size, (sum w)^2 / sum w^2), rewarded (the same of the rows with
    a reward, w r in place of w: fewer than REWARDED carry no value), max_weight, mean_weight [low, high]
    (99.9 % t interval; must contain 1 less what is unsupported, otherwise the propensities are not those of the log),
    unsupported (share of the target's probability never logged) and refusal: why no value may be read, empty
    where one may. Weights: Kong (1992), University of Chicago technical report 348.
    """
    table = []
    for component, part in rows.groupby("component", sort=True):
        log = _log(part, policy)
        w = log.weight
        ess = float(w.sum() ** 2 / (w**2).sum()) if (w > 0).any() else 0.0
        of = w * np.abs(log.reward)
        rewarded = float(of.sum() ** 2 / (of**2).sum()) if (of > 0).any() else 0.0
        mean, low, high = cluster.mean_interval(w, unit(part).to_numpy(str), level=1 - ALARM)
        lost = float(_unsupported(log)[log.context].mean())
        refusal = _refusal(log, part, policy, ess=ess, min_ess=min_ess, lost=lost, limit=max_unsupported)
        if not refusal and not low <= 1 - lost <= high:
            refusal = f"mean weight {mean:.3g} instead of {1 - lost:.3g}: the propensities are not those of the log"
        if not refusal and rewarded < REWARDED:
            refusal = (
                f"{rewarded:.0f} effective rows with a reward, fewer than {REWARDED:.0f}: a few lucky rows carry it"
            )
        table.append([component, len(part), ess, rewarded, float(w.max(initial=0.0)), mean, low, high, lost, refusal])
    return pd.DataFrame(table, columns=DIAGNOSTICS)


def policy_value(
    rows: pd.DataFrame, policy: pd.DataFrame, *, rng: np.random.Generator, n_boot: int = 2000, level: float = 0.95
) -> pd.DataFrame:
    """Which mean reward would the target policy have brought?

    One row for each component and estimator: value [low, high] in units of the reward; logged (mean reward as logged);
    gain = value - logged and relative = value / logged with their bounds (people resampled, so also the
    normaliser and the logged mean are). Rows in contexts the policy does not know are left out. The percentile
    bootstrap is too short where a few weights carry the value (see `diagnose`). No usable row: NaN.

    IPW: Horvitz and Thompson (1952), JASA 47:663; self-normalised: Swaminathan and Joachims (2015), NeurIPS; doubly
    robust: Dudik, Langford and Li (2011), ICML, its reward model (context x action means, shrunk to the action's mean)
    fitted on other rows than it is used on: Chernozhukov and others (2018), Econometrics Journal 21:C1.

    >>> rows = pd.DataFrame({"component": "ad", "context": "top", "action": list("ab") * 50, "propensity": 0.5,
    ...                      "reward": [1.0, 0.0] * 50})
    >>> always_a = pd.DataFrame({"context": ["top"], "action": ["a"], "probability": [1.0]})
    >>> policy_value(rows, always_a, rng=np.random.default_rng(0))["value"].round(3).tolist()
    [1.0, 1.0, 1.001]
    """
    table: list[list[object]] = []
    for component, part in rows.groupby("component", sort=True):
        log = _log(part, policy)
        robust = _doubly_robust(log)
        keep = log.declared[log.context]
        terms = np.column_stack([np.ones(len(robust)), log.weight, log.weight * log.reward, robust, log.reward])[keep]
        terms = _by_unit(terms, unit(part).to_numpy(str)[keep])
        cells, counts = np.unique(terms, axis=0, return_counts=True)
        point = _estimates((counts[None, :] @ cells) if len(cells) else np.full((1, 5), np.nan))
        draws = _estimates(_resample(cells, counts, rng, n_boot))
        low, high = stats.percentile_interval(draws, units=len(terms), level=level)
        for i, estimator in enumerate(ESTIMATORS):
            columns = [(point[0, j], low[j], high[j]) for j in (i, 3 + i, 6 + i)]
            (value, gain, relative) = columns
            table.append([component, estimator, int(keep.sum()), *value, point[0, 9], *gain, *relative])
    return pd.DataFrame(table, columns=VALUES)


def _by_unit(terms: Floats, units: npt.NDArray[np.str_]) -> Floats:
    """The terms of each person added up; the same rows where everyone has one."""
    code = cluster.codes(units)
    if len(terms) == len(np.unique(code)):
        return terms
    out: Floats = np.column_stack([np.bincount(code, weights=t) for t in terms.T])
    return out


def readable(values: pd.DataFrame, diagnostics: pd.DataFrame) -> pd.DataFrame:
    """The values that may be read: those of a component that `diagnose` refuses are missing, with the refusal."""
    refusal = values["component"].map(diagnostics.set_index("component")["refusal"]).fillna("")
    out = values.assign(refusal=refusal)
    out.loc[refusal != "", [c for c in VALUES if c not in ("component", "estimator", "n", "logged")]] = np.nan
    return out


def policy_evidence(
    diagnostics: pd.DataFrame, values: pd.DataFrame, *, logging_arm: str = "", min_difference: float = 0.0
) -> pd.DataFrame:
    """What may be said about the target policy? Evidence rows from `diagnose` and `policy_value`.

    "policy gain" is the doubly robust value less the logged mean: passes where the whole interval is at or above
    `min_difference`, fails where all of it is below. Where `diagnose` refuses, every value is undefined and the gain
    "inconclusive". Nothing logged: one row that says so.
    """
    if diagnostics.empty:
        of = f" in arm {logging_arm}" if logging_arm else ""
        return ev.table([ev.row("policy gain", value=math.nan, n=0, better="higher", verdict="inconclusive",
                                note=f"no row{of} has action, propensity and reward: log the propensity")])  # fmt: skip
    rows = []
    for d in diagnostics.itertuples(index=False):
        same = {"component": d.component, "n": d.n}
        wrong = "mean weight" in d.refusal
        rows += [
            ev.row("effective sample size", value=d.ess, better="higher", note=f"of {d.n} logged rows", **same),
            ev.row("largest weight", value=d.max_weight, better="lower", **same),
            ev.row("mean weight", value=d.mean_weight, low=d.low, high=d.high, better="target",
                   verdict="fail" if wrong else "info", note="99.9 % interval; 1 where propensities are right", **same),
            ev.row("unsupported probability", value=d.unsupported, better="lower", note="never logged", **same),
        ]  # fmt: skip
        for v in values[values["component"] == d.component].itertuples(index=False):
            value, low, high = (math.nan,) * 3 if d.refusal else (v.value, v.low, v.high)
            rows.append(ev.row(f"policy value, {v.estimator}", value=value, low=low, high=high, better="higher",
                               note=d.refusal or f"{v.logged:.4g} as logged", **same))  # fmt: skip
            if v.estimator == ESTIMATORS[-1]:
                gain, low, high = (math.nan,) * 3 if d.refusal else (v.gain, v.gain_low, v.gain_high)
                verdict = ev.judge(low, high, target=min_difference, better="higher")
                rows.append(ev.row("policy gain", value=gain, low=low, high=high, better="higher", verdict=verdict,
                                   note=d.refusal or f"against {v.logged:.4g} as logged, needs {min_difference:g} or "
                                   "more", **same))  # fmt: skip
    return ev.table(rows)


def _log(part: pd.DataFrame, policy: pd.DataFrame) -> Log:
    context = part["context"].fillna(schema.NOT_STATED).astype(str).to_numpy(object)
    action = part["action"].astype(str).to_numpy(object)
    contexts = sorted(set(context) | set(policy["context"].astype(str)))
    actions = sorted(set(action) | set(policy["action"].astype(str)))
    c, a = pd.Index(contexts).get_indexer(context), pd.Index(actions).get_indexer(action)
    target = np.zeros((len(contexts), len(actions)))
    declared = np.zeros(len(contexts), bool)
    rows = pd.Index(contexts).get_indexer(policy["context"].astype(str))
    np.add.at(target, (rows, pd.Index(actions).get_indexer(policy["action"].astype(str))), policy["probability"])
    declared[rows] = True
    seen = np.zeros(target.shape, bool)
    seen[c, a] = True
    propensity = part["propensity"].to_numpy(float)
    # a logged action of propensity 0 is refused by diagnose; its weight must not turn everything infinite before that
    weight = np.divide(target[c, a], propensity, out=np.zeros(len(part)), where=propensity > 0)
    return Log(c, a, part["reward"].to_numpy(float), weight, target, seen, contexts, declared)


def _unsupported(log: Log) -> Floats:
    return np.where(log.declared, np.where(log.seen, 0.0, log.target).sum(axis=1), 1.0)


def _refusal(
    log: Log, part: pd.DataFrame, policy: pd.DataFrame, *, ess: float, min_ess: float, lost: float, limit: float
) -> str:
    sums = log.target[log.declared].sum(axis=1)
    if policy.empty:
        return "no target policy is declared"
    if (part["propensity"] <= 0).any():
        return f"{int((part['propensity'] <= 0).sum())} logged actions have propensity 0, which cannot happen"
    if (np.abs(sums - 1) > 0.01).any():
        return f"the target policy's probabilities sum to {sums[np.abs(sums - 1).argmax()]:.3g} in a context, not to 1"
    if lost > limit:
        return f"{lost:.1%} of the target policy's probability is on actions never logged (at most {limit:.1%})"
    if ess < min_ess:
        return f"effective sample size {ess:.0f} is below {min_ess:.0f}: too few rows look like the target policy"
    return ""


def _doubly_robust(log: Log) -> Floats:
    """Each row's doubly robust score, from a reward model that all other rows made (leave-one-out, in closed form)."""
    n, c, a, r = len(log.reward), log.context, log.action, log.reward
    total, count = np.zeros(log.target.shape), np.zeros(log.target.shape)
    np.add.at(total, (c, a), r)
    np.add.at(count, (c, a), 1.0)
    overall = (r.sum() - r) / max(n - 1, 1)
    # the model is linear in the overall mean: fixed + slope x overall, cell by cell
    fixed, slope = _model(total, count, total.sum(axis=0), count.sum(axis=0))
    rest = _model(total[c, a] - r, count[c, a] - 1, total.sum(axis=0)[a] - r, count.sum(axis=0)[a] - 1)
    own = rest[0] + rest[1] * overall
    model = (log.target * fixed).sum(axis=1)[c] + (log.target * slope).sum(axis=1)[c] * overall
    model += log.target[c, a] * (own - fixed[c, a] - slope[c, a] * overall)
    score: Floats = model + log.weight * (r - own)
    return score


def _model(total: Floats, count: Floats, by_action: Floats, rows: Floats) -> tuple[Floats, Floats]:
    """The mean reward of a cell, drawn towards its action's mean, which is drawn towards the overall mean."""
    fixed = (total + PRIOR * by_action / (rows + PRIOR)) / (count + PRIOR)
    slope: Floats = PRIOR * PRIOR / (rows + PRIOR) / (count + PRIOR)
    return fixed, slope


def _resample(cells: Floats, counts: npt.NDArray[np.int64], rng: np.random.Generator, n_boot: int) -> Floats:
    """Sums over rows, resampled: rows with equal terms are drawn together, which is the same and far faster."""
    done = [stats.resample_counts(counts, rng=rng, n_boot=min(100, n_boot - b)) @ cells for b in range(0, n_boot, 100)]
    return np.concatenate(done) if len(counts) and done else np.full((n_boot, 5), np.nan)


def _estimates(sums: Floats) -> Floats:
    """Ten columns from sums of (1, w, w r, dr, r): three values, their gains, their relatives, the logged mean."""
    n, w, wr, robust, r = sums.T
    with np.errstate(divide="ignore", invalid="ignore"):
        logged_mean = r / n
        values = np.column_stack([wr / n, np.where(w > 0, wr / w, np.nan), robust / n])
        relative = np.where(logged_mean[:, None] > 0, values / logged_mean[:, None], np.nan)
    return np.column_stack([values, values - logged_mean[:, None], relative, logged_mean])
