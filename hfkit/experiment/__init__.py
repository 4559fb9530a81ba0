"""The experiment room. Did the new version help where it was tried, and would another policy do better?"""

from __future__ import annotations

import pandas as pd

from hfkit.experiment.ab import ab_evidence, compare_arms, compare_groups, sample_ratio
from hfkit.experiment.effects import alone, detectable, effect, lift
from hfkit.experiment.offpolicy import diagnose, logged, policy_evidence, policy_value, readable, support
from hfkit.experiment.units import assigned

__all__ = [
    "ab_evidence",
    "alone",
    "answer",
    "assigned",
    "compare_arms",
    "compare_groups",
    "curve",
    "detectable",
    "diagnose",
    "effect",
    "evidence",
    "lift",
    "logged",
    "metrics",
    "policy_evidence",
    "policy_value",
    "readable",
    "sample_ratio",
    "support",
]

_WORD = {"pass": "better", "fail": "not better"}


def evidence(*parts: pd.DataFrame) -> pd.DataFrame:
    """All evidence rows of the room in one table, in the order given."""
    return pd.concat(parts, ignore_index=True)


def answer(evidence: pd.DataFrame) -> str:
    """What the experiment and the logs say, in a sentence or two with the numbers.

    >>> from hfkit.shared import evidence as ev
    >>> row = ev.row("A/B difference, arm B", value=0.2, low=0.05, high=0.33, n=9, component="chat", verdict="pass")
    >>> answer(ev.table([row]))
    'Arm B is better for chat: mean reward +0.2 [+0.05, +0.33]. No propensities were logged.'
    """
    whole = evidence[evidence["group"] == "all"]
    tried = whole[whole["measure"].str.startswith("A/B difference")]
    gains = whole[whole["measure"] == "policy gain"]
    arms = [_phrase(r, f"Arm {r.measure.rpartition(' ')[2]}") for r in tried.itertuples() if r.component != "all"]
    if len(arms) > 2:
        counts = tried["verdict"].value_counts()
        better, worse, open_ = (counts.get(v, 0) for v in ("pass", "fail", "inconclusive"))
        arms = [f"Of {len(tried)} arms tried, {better} are better, {worse} are not, {open_} lack evidence."]
    judged = [_phrase(r, "The target policy") for r in gains.itertuples() if r.component != "all"]
    if len(judged) > 2:
        better = int((gains["verdict"] == "pass").sum())
        judged = [f"The target policy is better in {better} of {len(gains)} components."]
    return " ".join([*(arms or ["No experiment was logged."]), *(judged or ["No propensities were logged."])])


def _phrase(r: tuple[object, ...], who: str) -> str:
    row = r._asdict()  # type: ignore[attr-defined]
    if row["value"] != row["value"] or row["low"] != row["low"]:
        return f"{who} for {row['component']}: inconclusive, {row['note']}."
    estimate = f"mean reward {row['value']:+.3g} [{row['low']:+.3g}, {row['high']:+.3g}]"
    if row["verdict"] != "inconclusive":
        return f"{who} is {_WORD[row['verdict']]} for {row['component']}: {estimate}."
    reason = "not enough evidence" if row["note"].startswith("against") else row["note"]
    return f"{who} for {row['component']}: {reason}; {estimate}."


def metrics(evidence: pd.DataFrame) -> dict[str, float]:
    """The differences, gains and effective sample sizes as flat numbers, and how many statements have which verdict."""
    whole = evidence[(evidence["group"] == "all") & (evidence["component"] != "all")]
    named = whole[whole["measure"].str.match("A/B difference|policy gain|effective sample size")]
    flat = {f"{r.component}: {r.measure}": float(r.value) for r in named.itertuples()}
    counts = evidence["verdict"].value_counts()
    return {**flat, **{v: float(counts.get(v, 0)) for v in ("pass", "fail", "inconclusive")}}


def curve(evidence: pd.DataFrame, group: str = "all") -> pd.DataFrame:
    """Differences and gains with their intervals, one row each (label, value, low, high, verdict), ready to draw.

    `group` = "all" for the whole, "served" for the served groups.
    """
    chosen = evidence["measure"].str.match("A/B difference|policy gain") & (evidence["component"] != "all")
    by_group = evidence["group"] != "all"
    rows = evidence[chosen & (by_group if group == "served" else ~by_group)]
    name = rows["group"] if group == "served" else rows["measure"]
    shown = rows[["value", "low", "high", "verdict"]].reset_index(drop=True)
    shown.insert(0, "label", (rows["component"] + ": " + name).tolist())
    return shown
