"""Who spoke, who did not, how reliable are they, and what skews the feedback?

`agreement` measures how far raters agree, `reliability`, `careless` and `constant` each rater, `brigade` bursts of
equal answers, `coverage` who is heard, `silent` who is not, `skew` what else tilts answers, `instruments` and `favour`
judges that are no person, `measures` puts it into evidence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from hfkit.audit.agreement import Limits, alpha_of_counts, by_question, krippendorff_alpha
from hfkit.audit.brigade import bursts, suspects
from hfkit.audit.careless import who_is_careless
from hfkit.audit.coverage import by_group
from hfkit.audit.favour import leanings
from hfkit.audit.instruments import judge_rows, judges, kappa
from hfkit.audit.measures import alpha_rows, burst_rows, coverage_rows, flagged_by_group, reach_rows
from hfkit.audit.reliability import too_fast, trust
from hfkit.audit.silent import worst_cases
from hfkit.audit.skew import anchoring, blanks, channels, divided, skews
from hfkit.shared import evidence, schema

__all__ = [
    "Audit", "Limits", "Rules", "alpha_of_counts", "anchoring", "answer", "assess", "blanks", "bursts", "by_group",
    "by_question", "channels", "divided", "judges", "kappa", "krippendorff_alpha", "leanings", "skews", "suspects",
    "too_fast", "trust", "who_is_careless", "worst_cases",
]  # fmt: skip


class Rules(NamedTuple):
    """What the audit holds feedback against; the defaults are those of the notebook, which explains each."""

    alpha_target: float = 0.667
    min_ratio: float = 0.8
    fdr: float = 0.05
    min_answers: int = 5
    min_pace: float = 0.33
    min_people: int = 5
    n_boot: int = 500


class Audit(NamedTuple):
    """The room's tables: rater_trust and evidence as in schema, the rest as their functions say."""

    rater_trust: pd.DataFrame
    coverage: pd.DataFrame
    agreement: pd.DataFrame
    bursts: pd.DataFrame
    judges: pd.DataFrame
    evidence: pd.DataFrame
    metrics: dict[str, float]
    plot: pd.DataFrame


def assess(
    items: pd.DataFrame, feedback: pd.DataFrame, raters: pd.DataFrame, population: pd.DataFrame, *,
    rules: Rules, rng: np.random.Generator, levels: Mapping[str, str] | None = None,
) -> Audit:  # fmt: skip
    """All of the room at once. `levels` says what kind of answers each question has (clean.questions).

    The order of input rows does not matter; `rng` draws the bootstrap of kappa and honest raters. `rules.fdr` is the
    probability of calling a burst where there is none, and the share of false ones among those who are said to have
    made one. Of honest raters, careless.HONEST are flagged at most.
    """
    people = feedback[feedback["rater_kind"] == "human"]  # a judge that is no person neither flags one nor is flagged
    peaks = bursts(people, false_positives=rules.fdr)
    flagged = trust(
        people, min_answers=rules.min_answers, rng=rng, fdr=rules.fdr, min_pace=rules.min_pace,
        brigade=suspects(people, peaks, fdr=rules.fdr),
    )  # fmt: skip
    rater_trust = schema.shape(flagged[[c.name for c in schema.RATER_TRUST.columns]], schema.RATER_TRUST)
    heard = by_group(items, feedback, raters, population, min_ratio=rules.min_ratio, min_people=rules.min_people)
    limits = Limits(rules.alpha_target, rules.min_people)
    alphas = by_question(feedback, raters, limits=limits, levels=levels or {})
    compared = judges(feedback, items, min_people=rules.min_people, rng=rng, n_boot=rules.n_boot)
    rows = [
        *judge_rows(compared), *alpha_rows(alphas), *flagged_by_group(rater_trust, raters, min_people=rules.min_people),
        *burst_rows(people, peaks), *coverage_rows(heard), *reach_rows(items, feedback),
    ]  # fmt: skip
    table = evidence.table(rows)
    plot = heard.loc[heard["ratio"].notna(), ["group", "ratio", "low", "high"]].reset_index(drop=True)
    return Audit(rater_trust, heard, alphas, peaks, compared, table, _metrics(table, rater_trust), plot)


def _metrics(table: pd.DataFrame, rater_trust: pd.DataFrame) -> dict[str, float]:
    cover = table[table["measure"].isin(["rater coverage", "served coverage"])]
    numbers = {
        "raters": len(rater_trust), "flagged": int(rater_trust["flagged"].sum()),
        "groups_heard_less": int((cover["verdict"] == "fail").sum()),
        "groups_unknown": int((cover["verdict"] == "inconclusive").sum()),
        "burst_days": int(table.loc[table["measure"] == "burst days", "value"].sum()),
    }  # fmt: skip
    alphas = table[table["measure"].str.startswith("alpha ") & table["note"].ne("")]
    return {k: float(v) for k, v in numbers.items()} | {
        f"alpha.{g.removeprefix('question=')}": float(v) for g, v in zip(alphas["group"], alphas["value"], strict=True)
    }


def answer(result: Audit) -> str:
    """The answer to the room's question, in words a product manager understands."""
    alphas = result.agreement[result.agreement["verdict"] != "info"]
    raters, flagged = len(result.rater_trust), int(result.rater_trust["flagged"].sum())
    verdicts = result.coverage["verdict"]
    enough, little, unknown = (int((alphas["verdict"] == v).sum()) for v in ("pass", "fail", "inconclusive"))
    less = result.coverage.loc[verdicts == "fail", "group"].tolist()
    who = f"{flagged:,} of {raters:,} raters are flagged" if raters else "No rater is known"
    more = f" and {len(less) - 4} more" if len(less) > 4 else ""
    heard = (
        f"Heard clearly less than their share: {', '.join(less[:4])}{more}"
        if less
        else "No group is clearly heard less"
    )
    return (
        f"{who}. Raters agree enough on {enough} questions and too little on {little}; on {unknown} that is not known. "
        f"{heard}; for {int((verdicts == 'inconclusive').sum())} groups there is not enough data to tell."
    )
